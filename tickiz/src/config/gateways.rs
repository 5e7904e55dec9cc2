//! The gateways that take real money: each is on when its settings are there, and one setting without the others is a mistake.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use secrecy::{ExposeSecret, SecretString};

use super::{
    parse::{parse_name, parse_secret, parse_url},
    path,
    raw::{ConfigError, DEFAULT, Raw},
    with,
};

/// The gateways that take real money.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Stripe.
    pub stripe: Option<StripeSettings>,
    /// VNPay.
    pub vnpay: Option<VnpaySettings>,
    /// MoMo.
    pub momo: Option<MomoSettings>,
    /// PayPal.
    pub paypal: Option<PaypalSettings>,
    /// A BTCPay Server.
    pub btcpay: Option<BtcpaySettings>,
}

/// What Stripe is spoken to with.
#[derive(Clone, Debug)]
pub struct StripeSettings {
    /// Our key there.
    pub key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secrets: Vec<SecretString>,
    /// Its API, without a slash at the end; `None`: its own.
    pub url: Option<String>,
}

/// What VNPay is spoken to with.
#[derive(Clone, Debug)]
pub struct VnpaySettings {
    /// Our terminal's code.
    pub tmn_code: String,
    /// What both sides sign with.
    pub hash_secret: SecretString,
    /// Its page.
    pub page_url: String,
    /// Its calls.
    pub api_url: String,
    /// The address that it is told as the buyer's and as ours.
    pub ip: IpAddr,
}

/// What MoMo is spoken to with.
#[derive(Clone, Debug)]
pub struct MomoSettings {
    /// Our code.
    pub partner_code: String,
    /// Part of what is signed.
    pub access_key: SecretString,
    /// What both sides sign with.
    pub secret_key: SecretString,
    /// Its address, without a slash at the end; `None`: its own.
    pub url: Option<String>,
}

/// What PayPal is spoken to with.
#[derive(Clone, Debug)]
pub struct PaypalSettings {
    /// Our name.
    pub client_id: String,
    /// Our secret.
    pub secret: SecretString,
    /// Our webhook's registration.
    pub webhook_id: String,
    /// Its API, without a slash at the end; `None`: its own.
    pub url: Option<String>,
    /// A certificate that is trusted as it is.
    pub certificate: Option<PathBuf>,
}

/// What a BTCPay Server is spoken to with.
#[derive(Clone, Debug)]
pub struct BtcpaySettings {
    /// Its address, without a slash at the end.
    pub url: String,
    /// Our store.
    pub store_id: String,
    /// Our key.
    pub api_key: SecretString,
    /// What its webhooks are signed with.
    pub webhook_secret: SecretString,
}

impl GatewaySettings {
    pub(super) fn read(raw: &Raw) -> Result<Self, ConfigError> {
        Ok(Self {
            stripe: stripe(raw)?,
            vnpay: vnpay(raw)?,
            momo: momo(raw)?,
            paypal: paypal(raw)?,
            btcpay: btcpay(raw)?,
        })
    }

    /// The addresses that are called or sent to, by setting.
    fn urls(&self) -> [(&'static str, Option<&str>); 6] {
        let vnpay = self.vnpay.as_ref();
        [
            ("TICKIZ_STRIPE_URL", self.stripe.as_ref().and_then(|stripe| stripe.url.as_deref())),
            ("TICKIZ_VNPAY_PAGE_URL", vnpay.map(|vnpay| vnpay.page_url.as_str())),
            ("TICKIZ_VNPAY_API_URL", vnpay.map(|vnpay| vnpay.api_url.as_str())),
            ("TICKIZ_PAYPAL_URL", self.paypal.as_ref().and_then(|paypal| paypal.url.as_deref())),
            ("TICKIZ_BTCPAY_URL", self.btcpay.as_ref().map(|btcpay| btcpay.url.as_str())),
            ("TICKIZ_MOMO_URL", self.momo.as_ref().and_then(|momo| momo.url.as_deref())),
        ]
    }

    /// What has to be so when one of them is on.
    pub(super) fn check(&self, raw: &Raw, has_public_url: bool, production: bool) -> Result<(), ConfigError> {
        let is_any_on = self.stripe.is_some()
            || self.vnpay.is_some()
            || self.momo.is_some()
            || self.paypal.is_some()
            || self.btcpay.is_some();
        if is_any_on && !has_public_url {
            let why = "gateways send the buyer's browser and their webhooks there";
            return Err(ConfigError::Missing { name: "TICKIZ_PUBLIC_URL", why });
        }
        let wrong = |name| raw.wrong(name, raw.0.get(name).map_or(DEFAULT, |(_, source)| *source));
        if !production {
            return Ok(());
        }
        if self.stripe.as_ref().is_some_and(|stripe| !stripe.key.expose_secret().contains("_live_")) {
            return Err(wrong("TICKIZ_STRIPE_KEY"));
        }
        if self.paypal.as_ref().is_some_and(|paypal| paypal.certificate.is_some()) {
            return Err(wrong("TICKIZ_PAYPAL_CERTIFICATE"));
        }
        match self.urls().into_iter().find(|(_, url)| url.is_some_and(|url| !url.starts_with("https://"))) {
            Some((name, _)) => Err(wrong(name)),
            None => Ok(()),
        }
    }
}

fn base_url(raw: &Raw, variable: &'static str) -> Result<Option<String>, ConfigError> {
    raw.parse(variable, |text| parse_url(text).map(|url| url.as_str().trim_end_matches('/').to_owned()))
}

fn stripe(raw: &Raw) -> Result<Option<StripeSettings>, ConfigError> {
    let why = "Stripe wants the key and the webhooks' secret";
    let key = raw.parse("TICKIZ_STRIPE_KEY", |text| {
        parse_secret(text).filter(|_| text.starts_with("sk_") || text.starts_with("rk_"))
    })?;
    let webhook_secrets = raw.parse("TICKIZ_STRIPE_WEBHOOK_SECRET", |text| {
        text.split(',').map(|text| parse_secret(text.trim())).collect::<Option<Vec<_>>>()
    })?;
    let url = base_url(raw, "TICKIZ_STRIPE_URL")?;
    if key.is_none() && webhook_secrets.is_none() && url.is_none() {
        return Ok(None);
    }
    Ok(Some(StripeSettings {
        key: with(key, "TICKIZ_STRIPE_KEY", why)?,
        webhook_secrets: with(webhook_secrets, "TICKIZ_STRIPE_WEBHOOK_SECRET", why)?,
        url,
    }))
}

fn vnpay(raw: &Raw) -> Result<Option<VnpaySettings>, ConfigError> {
    let why = "VNPay wants the terminal's code, the secret and both addresses";
    let tmn_code = raw.parse("TICKIZ_VNPAY_TMN_CODE", parse_name)?;
    let hash_secret = raw.parse("TICKIZ_VNPAY_HASH_SECRET", parse_secret)?;
    let page_url = base_url(raw, "TICKIZ_VNPAY_PAGE_URL")?;
    let api_url = base_url(raw, "TICKIZ_VNPAY_API_URL")?;
    let ip = raw.parse("TICKIZ_VNPAY_IP", |text| text.parse().ok())?;
    if tmn_code.is_none() && hash_secret.is_none() && page_url.is_none() && api_url.is_none() && ip.is_none() {
        return Ok(None);
    }
    Ok(Some(VnpaySettings {
        tmn_code: with(tmn_code, "TICKIZ_VNPAY_TMN_CODE", why)?,
        hash_secret: with(hash_secret, "TICKIZ_VNPAY_HASH_SECRET", why)?,
        page_url: with(page_url, "TICKIZ_VNPAY_PAGE_URL", why)?,
        api_url: with(api_url, "TICKIZ_VNPAY_API_URL", why)?,
        ip: ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    }))
}

fn momo(raw: &Raw) -> Result<Option<MomoSettings>, ConfigError> {
    let why = "MoMo wants the partner's code and both keys";
    let partner_code = raw.parse("TICKIZ_MOMO_PARTNER_CODE", parse_name)?;
    let access_key = raw.parse("TICKIZ_MOMO_ACCESS_KEY", parse_secret)?;
    let secret_key = raw.parse("TICKIZ_MOMO_SECRET_KEY", parse_secret)?;
    let url = base_url(raw, "TICKIZ_MOMO_URL")?;
    if partner_code.is_none() && access_key.is_none() && secret_key.is_none() && url.is_none() {
        return Ok(None);
    }
    Ok(Some(MomoSettings {
        partner_code: with(partner_code, "TICKIZ_MOMO_PARTNER_CODE", why)?,
        access_key: with(access_key, "TICKIZ_MOMO_ACCESS_KEY", why)?,
        secret_key: with(secret_key, "TICKIZ_MOMO_SECRET_KEY", why)?,
        url,
    }))
}

fn paypal(raw: &Raw) -> Result<Option<PaypalSettings>, ConfigError> {
    let why = "PayPal wants our name, the secret and the webhook's id";
    let client_id = raw.parse("TICKIZ_PAYPAL_CLIENT_ID", |text| parse_secret(text).map(|_| text.to_owned()))?;
    let secret = raw.parse("TICKIZ_PAYPAL_SECRET", parse_secret)?;
    let webhook_id = raw.parse("TICKIZ_PAYPAL_WEBHOOK_ID", parse_name)?;
    let url = base_url(raw, "TICKIZ_PAYPAL_URL")?;
    let certificate = path(raw, "TICKIZ_PAYPAL_CERTIFICATE")?;
    if client_id.is_none() && secret.is_none() && webhook_id.is_none() && url.is_none() && certificate.is_none() {
        return Ok(None);
    }
    Ok(Some(PaypalSettings {
        client_id: with(client_id, "TICKIZ_PAYPAL_CLIENT_ID", why)?,
        secret: with(secret, "TICKIZ_PAYPAL_SECRET", why)?,
        webhook_id: with(webhook_id, "TICKIZ_PAYPAL_WEBHOOK_ID", why)?,
        url,
        certificate,
    }))
}

fn btcpay(raw: &Raw) -> Result<Option<BtcpaySettings>, ConfigError> {
    let why = "a BTCPay Server wants its address, the store, the key and the webhooks' secret";
    let url = base_url(raw, "TICKIZ_BTCPAY_URL")?;
    let store_id = raw.parse("TICKIZ_BTCPAY_STORE_ID", parse_name)?;
    let api_key = raw.parse("TICKIZ_BTCPAY_API_KEY", parse_secret)?;
    let webhook_secret = raw.parse("TICKIZ_BTCPAY_WEBHOOK_SECRET", parse_secret)?;
    if url.is_none() && store_id.is_none() && api_key.is_none() && webhook_secret.is_none() {
        return Ok(None);
    }
    Ok(Some(BtcpaySettings {
        url: with(url, "TICKIZ_BTCPAY_URL", why)?,
        store_id: with(store_id, "TICKIZ_BTCPAY_STORE_ID", why)?,
        api_key: with(api_key, "TICKIZ_BTCPAY_API_KEY", why)?,
        webhook_secret: with(webhook_secret, "TICKIZ_BTCPAY_WEBHOOK_SECRET", why)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const STRIPE: [(&str, &str); 3] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_STRIPE_KEY", "sk_test_0123456789"),
        ("TICKIZ_STRIPE_WEBHOOK_SECRET", "whsec_0123456789, whsec_9876543210"),
    ];

    const VNPAY: [(&str, &str); 5] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_VNPAY_TMN_CODE", "TICKIZ01"),
        ("TICKIZ_VNPAY_HASH_SECRET", "HASHSECRET000001"),
        ("TICKIZ_VNPAY_PAGE_URL", "https://vnpay.example/page"),
        ("TICKIZ_VNPAY_API_URL", "https://vnpay.example/calls"),
    ];

    const MOMO: [(&str, &str); 4] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_MOMO_PARTNER_CODE", "MOMO"),
        ("TICKIZ_MOMO_ACCESS_KEY", "ACCESSKEY0001"),
        ("TICKIZ_MOMO_SECRET_KEY", "SECRETKEY0001"),
    ];

    const PAYPAL: [(&str, &str); 4] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_PAYPAL_CLIENT_ID", "AClientId0001"),
        ("TICKIZ_PAYPAL_SECRET", "ESecretOfPaypal"),
        ("TICKIZ_PAYPAL_WEBHOOK_ID", "8TKZ0000WEBHOOK01"),
    ];

    const BTCPAY: [(&str, &str); 5] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_BTCPAY_URL", "https://btcpay.example"),
        ("TICKIZ_BTCPAY_STORE_ID", "StoreTkz1"),
        ("TICKIZ_BTCPAY_API_KEY", "KeyOfTheStore"),
        ("TICKIZ_BTCPAY_WEBHOOK_SECRET", "SecretOfTheHook"),
    ];

    /// Each gateway's settings, complete.
    const COMPLETE: [&[(&str, &str)]; 5] = [&STRIPE, &VNPAY, &MOMO, &PAYPAL, &BTCPAY];

    fn of(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_sources(None, |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn a_gateway_is_on_with_all_of_its_settings_and_one_without_the_others_is_named() {
        for complete in COMPLETE {
            of(complete).expect("it is complete");
            for (missing, _) in complete {
                let rest: Vec<_> = complete.iter().copied().filter(|(name, _)| name != missing).collect();
                let error = of(&rest).expect_err(missing).to_string();
                assert!(error.starts_with(missing) && error.contains("is not set"), "{error}");
            }
        }
        let none = of(&[]).expect("nothing is legal").gateways;
        assert!(none.stripe.is_none() && none.vnpay.is_none() && none.momo.is_none());
        assert!(none.paypal.is_none() && none.btcpay.is_none());
    }

    #[test]
    fn no_secret_of_a_gateway_is_ever_shown() {
        for complete in COMPLETE {
            let config = of(complete).expect("it is complete");
            let shown = format!("{config:?} {:?}", config.gateways);
            for (name, value) in complete {
                let is_secret = super::super::raw::find(name).secret;
                assert_eq!(!shown.contains(value), is_secret, "{name}: {shown}");
            }
        }
    }

    #[test]
    fn stripes_two_secrets_are_two_and_production_wants_live_keys_by_tls() {
        let stripe = of(&STRIPE).expect("it is complete").gateways.stripe.expect("it is on");
        assert_eq!(stripe.webhook_secrets.len(), 2);
        let key = "00".repeat(32);
        let in_production = |changed: (&'static str, &'static str)| {
            let own = [("TICKIZ_PRODUCTION", "true"), ("TICKIZ_MASTER_KEY", key.as_str()), changed];
            let all: Vec<_> = own.into_iter().chain(STRIPE).collect();
            of(&all)
        };
        in_production(("TICKIZ_STRIPE_KEY", "sk_live_0123456789")).expect("it is live");
        let error = in_production(("TICKIZ_STRIPE_KEY", "sk_test_0123456789")).expect_err("a test key").to_string();
        assert!(error.starts_with("TICKIZ_STRIPE_KEY") && !error.contains("0123456789"), "{error}");
    }
}

//! The gateways that take real money: each is on when its settings are there, and one setting without the others is a mistake.

use secrecy::{ExposeSecret, SecretString};

use super::{
    parse::{parse_secret, parse_url},
    raw::{ConfigError, DEFAULT, Raw},
    with,
};

/// The gateways that take real money.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Stripe.
    pub stripe: Option<StripeSettings>,
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

impl GatewaySettings {
    pub(super) fn read(raw: &Raw) -> Result<Self, ConfigError> {
        Ok(Self { stripe: stripe(raw)? })
    }

    /// What has to be so when one of them is on.
    pub(super) fn check(&self, raw: &Raw, has_public_url: bool, production: bool) -> Result<(), ConfigError> {
        let is_any_on = self.stripe.is_some();
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
        let urls = [("TICKIZ_STRIPE_URL", self.stripe.as_ref().and_then(|stripe| stripe.url.as_deref()))];
        match urls.into_iter().find(|(_, url)| url.is_some_and(|url| !url.starts_with("https://"))) {
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

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const STRIPE: [(&str, &str); 3] = [
        ("TICKIZ_PUBLIC_URL", "https://tickets.example"),
        ("TICKIZ_STRIPE_KEY", "sk_test_0123456789"),
        ("TICKIZ_STRIPE_WEBHOOK_SECRET", "whsec_0123456789, whsec_9876543210"),
    ];

    /// Each gateway's settings, complete.
    const COMPLETE: [&[(&str, &str)]; 1] = [&STRIPE];

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
        assert!(none.stripe.is_none());
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

//! Puts together who takes the money: what is configured, and nothing else.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tickiz_command_api::gateways::{
    Gateway,
    btcpay::{BtcpayGateway, BtcpayOptions},
    momo::{self, MomoGateway, MomoOptions},
    paypal::{self, PaypalGateway, PaypalOptions},
    stripe::{self, StripeGateway, StripeOptions},
    vnpay::{VnpayGateway, VnpayOptions},
};
use tickiz_event_log::runtime::Clock;

use crate::config::Config;

/// The gateways that take real money, as they are configured. `public_url` is where browsers and gateways reach us, without a slash
/// at the end.
///
/// # Errors
/// When no HTTP client can be made.
pub fn of(config: &Config, public_url: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Arc<dyn Gateway>>> {
    let settings = &config.gateways;
    let mut gateways: Vec<Arc<dyn Gateway>> = Vec::new();
    if let Some(stripe) = &settings.stripe {
        let options = StripeOptions {
            api_url: stripe.url.clone().unwrap_or_else(|| stripe::API_URL.to_owned()),
            key: stripe.key.clone(),
            webhook_secrets: stripe.webhook_secrets.clone(),
            return_url: public_url.to_owned(),
            clock: clock.clone(),
        };
        gateways.push(Arc::new(StripeGateway::try_new(options).context("Stripe's client")?));
    }
    if let Some(vnpay) = &settings.vnpay {
        let options = VnpayOptions {
            page_url: vnpay.page_url.clone(),
            api_url: vnpay.api_url.clone(),
            tmn_code: vnpay.tmn_code.clone(),
            hash_secret: vnpay.hash_secret.clone(),
            ip: vnpay.ip.to_string(),
            return_url: public_url.to_owned(),
            clock: clock.clone(),
        };
        gateways.push(Arc::new(VnpayGateway::try_new(options).context("VNPay's client")?));
    }
    if let Some(momo) = &settings.momo {
        let options = MomoOptions {
            api_url: momo.url.clone().unwrap_or_else(|| momo::API_URL.to_owned()),
            partner_code: momo.partner_code.clone(),
            access_key: momo.access_key.clone(),
            secret_key: momo.secret_key.clone(),
            ipn_url: format!("{public_url}/webhooks/momo"),
            return_url: public_url.to_owned(),
            clock: clock.clone(),
        };
        gateways.push(Arc::new(MomoGateway::try_new(options).context("MoMo's client")?));
    }
    if let Some(paypal) = &settings.paypal {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| format!("{}", path.display()));
        let options = PaypalOptions {
            api_url: paypal.url.clone().unwrap_or_else(|| paypal::API_URL.to_owned()),
            client_id: paypal.client_id.clone(),
            secret: paypal.secret.clone(),
            webhook_id: paypal.webhook_id.clone(),
            certificate: paypal.certificate.as_ref().map(read).transpose()?,
            return_url: public_url.to_owned(),
            clock: clock.clone(),
        };
        gateways.push(Arc::new(PaypalGateway::try_new(options).context("PayPal's client")?));
    }
    if let Some(btcpay) = &settings.btcpay {
        let options = BtcpayOptions {
            api_url: btcpay.url.clone(),
            store_id: btcpay.store_id.clone(),
            api_key: btcpay.api_key.clone(),
            webhook_secret: btcpay.webhook_secret.clone(),
            return_url: public_url.to_owned(),
            clock: clock.clone(),
        };
        gateways.push(Arc::new(BtcpayGateway::try_new(options).context("BTCPay's client")?));
    }
    Ok(gateways)
}

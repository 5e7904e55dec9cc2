//! What the simulators are told at their start: keys, and where webhooks go.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// A simulated gateway, which is also the first part of its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gateway {
    /// Stripe Checkout.
    Stripe,
    /// VNPay 2.1.0.
    Vnpay,
}

impl Gateway {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Stripe, Self::Vnpay];

    /// The name in paths and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Vnpay => "vnpay",
        }
    }

    /// The gateway of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gateway| gateway.name() == name)
    }
}

/// Keys, each with a default that is no secret, and the webhooks' targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Stripe's secret key, `sk_test_…`.
    pub stripe_key: String,
    /// The whole secret of Stripe's webhook endpoint, `whsec_…`.
    pub stripe_webhook_secret: String,
    /// VNPay's terminal code, 8 characters.
    pub vnpay_tmn_code: String,
    /// VNPay's hash secret, 32 characters.
    pub vnpay_hash_secret: String,
    /// Where webhooks go, by gateway.
    pub webhooks_to: BTreeMap<Gateway, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stripe_key: "sk_test_tickiz".into(),
            stripe_webhook_secret: "whsec_tickiz_simulator".into(),
            vnpay_tmn_code: "TICKIZ01".into(),
            vnpay_hash_secret: "TICKIZSIMULATORTICKIZSIMULATOR01".into(),
            webhooks_to: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Takes `gateway=URL`.
    ///
    /// # Errors
    ///
    /// A text without `=`, a gateway that is not simulated, or no http address.
    pub fn send_webhooks(&mut self, target: &str) -> anyhow::Result<()> {
        let (name, address) = target.split_once('=').context("webhooks-to: expected GATEWAY=URL")?;
        let Some(gateway) = Gateway::named(name) else {
            bail!("webhooks-to: no gateway {name:?}; allowed: stripe, vnpay");
        };
        let url = url::Url::parse(address).with_context(|| format!("webhooks-to: {address:?}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            bail!("webhooks-to: {address:?} is neither http nor https");
        }
        self.webhooks_to.insert(gateway, address.to_owned());
        Ok(())
    }
}

//! The wallets of phones, from what the operator has of theirs. What is wrong with it ends the start, by the setting's name.

use std::{collections::BTreeMap, fs};

use anyhow::Context;
use serde::Deserialize;
use tickiz_documents::wallet::{PassIdentity, PassSigner, SaveLinks};
use tickiz_query_api::{ApplePasses, Wallets};

use crate::config::{AppleWallet, Config, GoogleWallet};

/// The part of a service account's file that is of interest.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
}

/// What the configuration has.
///
/// # Errors
/// Which file cannot be read or is not what it should be.
pub fn of(config: &Config) -> anyhow::Result<Wallets> {
    Ok(Wallets {
        apple: config.apple_wallet.as_ref().map(apple).transpose().context("TICKIZ_APPLE_WALLET_DIR")?,
        google: config.google_wallet.as_ref().map(google).transpose().context("TICKIZ_GOOGLE_WALLET_KEY")?,
    })
}

fn apple(of: &AppleWallet) -> anyhow::Result<ApplePasses> {
    let read = |name: &str| {
        let path = of.folder.join(name);
        fs::read(&path).with_context(|| format!("{}", path.display()))
    };
    let identity = PassIdentity {
        pass_type: &of.pass_type,
        team: &of.team,
        certificate_pem: &read("pass.pem")?,
        key_pem: &read("pass.key")?,
        intermediate_pem: &read("wwdr.pem")?,
    };
    let signer = PassSigner::try_new(&identity).context("pass.pem, pass.key and wwdr.pem")?;
    let mut pictures = BTreeMap::from([("icon.png".to_owned(), read("icon.png")?)]);
    for entry in fs::read_dir(&of.folder).context("its pictures")? {
        let name = entry.context("its pictures")?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".png") {
            pictures.insert(name.clone(), read(&name)?);
        }
    }
    Ok(ApplePasses { signer, pictures })
}

fn google(of: &GoogleWallet) -> anyhow::Result<SaveLinks> {
    let text = fs::read(&of.key_file).with_context(|| format!("{}", of.key_file.display()))?;
    let account: ServiceAccount =
        serde_json::from_slice(&text).context("a service account's JSON has client_email and private_key")?;
    Ok(SaveLinks::try_new(&account.client_email, &of.issuer, account.private_key.as_bytes())?)
}

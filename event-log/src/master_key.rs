//! The master key: whether it is the one that the log was begun with, and where it is kept when the operator configures none.
//!
//! A key's **fingerprint** is a secret derived from it ([`Secrets::derive`]), which says nothing of the key. The store keeps that of
//! the first key that it was opened with. With another, every new field would be sealed, every link and ticket signed with secrets
//! that no other process has, and nobody would see it before the first that does not open.

use std::path::Path;

use crate::{
    open::OpenError,
    runtime::{Entropy, random, random_id},
    sealing::Secrets,
    store::LogStore,
};

/// By what name the store keeps a key that nobody configured.
const KEY: &str = "master";
/// By what name the store keeps the fingerprint.
const FINGERPRINT: &str = "master-fingerprint";

/// The key that the store keeps; made once where there is none.
pub async fn of_store(store: &dyn LogStore, entropy: &dyn Entropy) -> Result<[u8; 32], OpenError> {
    Ok(store.kept_or(KEY, &random(entropy)).await?)
}

/// Refuses another key than the one that the store was begun with.
pub async fn check(store: &dyn LogStore, key: [u8; 32]) -> Result<(), OpenError> {
    let fingerprint = Secrets::new(key).derive("master-key-fingerprint");
    let kept = store.kept_or(FINGERPRINT, &fingerprint).await?;
    if kept == fingerprint { Ok(()) } else { Err(OpenError::OtherMasterKey) }
}

/// The key in that file; made once where there is none.
pub fn of_file(path: &Path, entropy: &dyn Entropy) -> Result<[u8; 32], OpenError> {
    let failed = |reason: String| OpenError::MasterKey { path: path.display().to_string(), reason };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
            key.ok_or_else(|| failed("it does not hold 64 hexadecimal digits".to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            write(path, entropy).map_err(|error| failed(error.to_string()))?;
            of_file(path, entropy)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Whole or not at all, and never over another: a second process that makes one at the same moment finds the first.
fn write(path: &Path, entropy: &dyn Entropy) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let beside = path.with_extension(format!("{}.new", random_id(entropy).simple()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(hex::encode(random::<32>(entropy)).as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

//! The master key's file, where the operator configures none: 64 hexadecimal digits that only its owner reads.

use std::path::Path;

use uuid::Uuid;

use crate::log::OpenError;

/// The key in that file; made once where there is none.
pub fn of_file(path: &Path) -> Result<[u8; 32], OpenError> {
    let failed = |reason: String| OpenError::MasterKey { path: path.display().to_string(), reason };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
            key.ok_or_else(|| failed("it does not hold 64 hexadecimal digits".to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            rand::fill(&mut key);
            write(path, &key).map_err(|error| failed(error.to_string()))?;
            of_file(path)
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Whole or not at all, and never over another: a second process that makes one at the same moment finds the first.
fn write(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let beside = path.with_extension(format!("{}.new", Uuid::new_v4().simple()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(hex::encode(key).as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

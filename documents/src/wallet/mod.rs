//! Tickets for the wallets of phones (feature `wallet`). Both want an account with their makers, whose keys come in as PEM.
//!
//! * [`apple`]: a `.pkpass` file, signed as a whole.
//! * [`google`]: a link that carries the ticket, signed as a JWT.
//! * `cms`: the signature of the former (RFC 5652).
//!
//! Both hold the ticket's own text as a still picture. The rotating form needs a pass that is updated (Apple) or an object
//! that was sent by REST first (Google), since otherwise its key would travel through the buyer's browser.

pub mod apple;
mod cms;
pub mod google;

pub use apple::{PassIdentity, PassSigner};
pub use google::{PassNames, SaveLinks};

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

/// Why there is no pass.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The bytes are not PEM of what they should be.
    #[error("not {what} in PEM")]
    Pem {
        /// What they should be.
        what: &'static str,
    },
    /// The key is not RSA of 2,048 to 8,192 bits.
    #[error("not an RSA key that can sign")]
    Key,
    /// The certificate is not that of the key.
    #[error("the certificate is of another key")]
    KeyMismatch,
    /// The booking has no ticket of that number.
    #[error("there is no ticket {number}")]
    NoTicket {
        /// Counted from 1.
        number: usize,
    },
    /// A pass must have `icon.png`, and its other pictures have names that Apple gave them.
    #[error("the pictures of a pass are icon.png and those that Apple names, not {name}")]
    Picture {
        /// The missing or unknown one.
        name: String,
    },
    /// The link is longer than what browsers and mail programs are known to pass on.
    #[error("a link of {chars} characters; a class that was sent by REST can be left out of it")]
    TooLong {
        /// How long it is.
        chars: usize,
    },
    /// The archive could not be written.
    #[error(transparent)]
    Archive(#[from] zip::result::ZipError),
}

/// An RSA key. It has no text of its own: what cannot be printed does not get into logs.
struct Key(KeyPair);

impl Key {
    /// From PEM, PKCS#8 or PKCS#1.
    fn from_pem(pem: &[u8]) -> Result<Self, WalletError> {
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| WalletError::Pem { what: "a private key" })?;
        let pair = match &key {
            PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(WalletError::Key),
        };
        pair.map(Self).map_err(|_| WalletError::Key)
    }

    /// PKCS #1 v1.5 with SHA-256 (RFC 8017 section 8.2): the same message has the same signature.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, WalletError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| WalletError::Key)
    }
}

#[cfg(test)]
mod tests;

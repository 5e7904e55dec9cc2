//! Apple Wallet: a `.pkpass` file (Apple's "Wallet Developer Guide"; ticket-codes.md has what is used of it).

use std::{collections::BTreeMap, io::Write};

use chrono::{DateTime, SecondsFormat, Utc};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{Key, WalletError, cms};
use crate::{Booking, text::one_line};

/// The MIME type of a pass.
pub const MEDIA_TYPE: &str = "application/vnd.apple.pkpass";
/// The pictures that a pass may have, without `.png`, `@2x.png` and `@3x.png`.
const PICTURES: [&str; 6] = ["icon", "logo", "strip", "background", "thumbnail", "footer"];

/// What Apple gave: a Pass Type ID certificate, its key, and the intermediate certificate (WWDR) that signed it.
pub struct PassSigner {
    key: Key,
    certificate: Vec<u8>,
    intermediate: Vec<u8>,
    pass_type: String,
    team: String,
}

/// The parts of a [`PassSigner`], as they come from files.
pub struct PassIdentity<'a> {
    /// Like `pass.com.example.tickets`; the certificate's, or phones refuse the pass.
    pub pass_type: &'a str,
    /// Ten characters.
    pub team: &'a str,
    /// PEM of the Pass Type ID certificate.
    pub certificate_pem: &'a [u8],
    /// PEM of its private key, RSA, not encrypted.
    pub key_pem: &'a [u8],
    /// PEM of Apple's WWDR intermediate certificate.
    pub intermediate_pem: &'a [u8],
}

impl PassSigner {
    /// Reads keys and certificates.
    ///
    /// # Errors
    /// [`WalletError::Pem`], [`WalletError::Key`], and [`WalletError::KeyMismatch`] if the certificate is of another key.
    pub fn try_new(identity: &PassIdentity<'_>) -> Result<Self, WalletError> {
        let read = |pem| {
            CertificateDer::from_pem_slice(pem)
                .map(|der| der.to_vec())
                .map_err(|_| WalletError::Pem { what: "a certificate" })
        };
        let key = Key::from_pem(identity.key_pem)?;
        let certificate = read(identity.certificate_pem)?;
        // A certificate holds its public key as these bytes (RFC 3279 section 2.3.1), and a modulus is nowhere else by chance.
        let public = aws_lc_rs::signature::KeyPair::public_key(&key.0).as_ref().to_vec();
        if !certificate.windows(public.len()).any(|bytes| bytes == public) {
            return Err(WalletError::KeyMismatch);
        }
        let (pass_type, team) = (identity.pass_type.to_owned(), identity.team.to_owned());
        Ok(Self { key, certificate, intermediate: read(identity.intermediate_pem)?, pass_type, team })
    }

    /// The pass of ticket `number`, counted from 1. `serial` names it for ever within the pass type: with the same serial a
    /// phone replaces the pass. `pictures` are PNG files by their names (`icon.png`, `logo@2x.png`). `signed_at` is in the
    /// signature; the same input gives the same bytes.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn pkpass(
        &self,
        booking: &Booking,
        number: usize,
        serial: &str,
        pictures: &BTreeMap<String, Vec<u8>>,
        signed_at: DateTime<Utc>,
    ) -> Result<Vec<u8>, WalletError> {
        let unknown = pictures.keys().find(|name| !is_picture(name)).cloned();
        let missing = (!pictures.contains_key("icon.png")).then(|| "icon.png".to_owned());
        if let Some(name) = missing.or(unknown) {
            return Err(WalletError::Picture { name });
        }
        let pass = self.pass(booking, number, serial)?.to_string().into_bytes();
        let mut files: Vec<(&str, &[u8])> = pictures.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        files.push(("pass.json", &pass));
        let manifest: BTreeMap<&str, String> = files.iter().map(|(name, bytes)| (*name, sha1_hex(bytes))).collect();
        let manifest = json!(manifest).to_string().into_bytes();
        let signature = cms::sign_detached(&manifest, &self.key, &self.certificate, &self.intermediate, signed_at)?;
        files.extend([("manifest.json", &manifest[..]), ("signature", &signature[..])]);
        // Without the crate's clock every file is of 1980, the first year that ZIP knows.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            archive.start_file(name, options)?;
            archive.write_all(bytes).map_err(zip::result::ZipError::Io)?;
        }
        Ok(archive.finish()?.into_inner())
    }

    fn pass(&self, booking: &Booking, number: usize, serial: &str) -> Result<Value, WalletError> {
        let ticket =
            number.checked_sub(1).and_then(|at| booking.tickets.get(at)).ok_or(WalletError::NoTicket { number })?;
        let (locale, show) = (booking.locale, &booking.show);
        let field = |key: &str, english: &str, vietnamese: &str, value: String| {
            let label = locale.pick(english, vietnamese);
            (!value.is_empty()).then(|| json!({ "key": key, "label": label, "value": value }))
        };
        let some = |text: Option<&str>| text.map(one_line).unwrap_or_default();
        let announced = || locale.pick("to be announced", "sẽ thông báo sau").to_owned();
        let when = if show.postponed { announced() } else { locale.date_time(show.starts_at, show.time_zone) };
        let seat = ticket.seat.as_ref().map(|seat| one_line(&seat.one_line(locale))).unwrap_or_default();
        let fields = |fields: Vec<Option<Value>>| fields.into_iter().flatten().collect::<Vec<_>>();
        let of = booking.tickets.len();
        let mut pass = json!({
            "formatVersion": 1,
            "passTypeIdentifier": self.pass_type,
            "teamIdentifier": self.team,
            "serialNumber": serial,
            "organizationName": one_line(&show.organizer),
            "description": format!("{}: {}", locale.pick("Ticket", "Vé"), one_line(&show.title)),
            "groupingIdentifier": one_line(&booking.reference),
            "sharingProhibited": true,
            "backgroundColor": "rgb(255,255,255)",
            "foregroundColor": "rgb(28,31,36)",
            "labelColor": "rgb(92,99,110)",
            "barcodes": [{
                "format": "PKBarcodeFormatQR",
                "message": ticket.code,
                "messageEncoding": "iso-8859-1",
                "altText": one_line(&booking.reference),
            }],
            "eventTicket": {
                "headerFields": fields(vec![field("number", "Ticket", "Vé", format!("{number}/{of}"))]),
                "primaryFields": fields(vec![field("event", "Event", "Sự kiện", one_line(&show.title))]),
                "secondaryFields": fields(vec![
                    field("when", "Time", "Thời gian", when),
                    field("where", "Place", "Địa điểm", one_line(&show.venue.name)),
                ]),
                "auxiliaryFields": fields(vec![
                    field("seat", "Seat", "Chỗ ngồi", seat),
                    field("type", "Ticket type", "Loại vé", one_line(&ticket.kind)),
                ]),
                "backFields": fields(vec![
                    field("address", "Address", "Địa chỉ", some(show.venue.address.as_deref())),
                    field("holder", "Ticket holder", "Người giữ vé", some(ticket.holder.as_deref())),
                    field("price", "Price", "Giá vé", some(ticket.price.as_deref())),
                    field("reference", "Booking code", "Mã đặt vé", one_line(&booking.reference)),
                    field("link", "Booking", "Đơn đặt vé", one_line(&booking.link)),
                ]),
            },
        });
        if !show.postponed {
            pass["relevantDate"] = json!(show.starts_at.to_rfc3339_opts(SecondsFormat::Secs, true));
        }
        if let Some(position) = show.venue.position {
            pass["locations"] = json!([{ "latitude": position.latitude(), "longitude": position.longitude() }]);
        }
        Ok(pass)
    }
}

fn is_picture(name: &str) -> bool {
    let stem = name.strip_suffix(".png").unwrap_or_default();
    let stem = stem.strip_suffix("@2x").or_else(|| stem.strip_suffix("@3x")).unwrap_or(stem);
    PICTURES.contains(&stem)
}

/// Apple's choice, and no protection by itself: the manifest is signed with SHA-256.
fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Google Wallet: a link that carries the ticket, as a JWT of RS256 (ticket-codes.md; the shapes are those of the REST resources
//! `eventTicketClass` and `eventTicketObject`).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::{Key, WalletError};
use crate::{Booking, Locale, Seat, text::one_line};

/// The longest link. Google advises 1,800 characters, which is what the browsers of its day passed on; today's pass on far
/// more, and servers 8,000. A ticket alone has some 1,500, with its class some 2,200, with the longest texts more than
/// this.
pub const MAX_LINK_CHARS: usize = 4_000;

/// What Google gave: a service account.
pub struct SaveLinks {
    key: Key,
    account: String,
    issuer: String,
}

/// Which object a link saves. Ids are made of letters, digits, `.`, `_` and `-`; the issuer's number is put before them.
pub struct PassNames<'a> {
    /// The show's.
    pub class: &'a str,
    /// The ticket's, the same for ever: with the same id the wallet replaces it.
    pub object: &'a str,
    /// Whether the link brings the class along. If not, the link is shorter, and the class must have been sent by REST before.
    pub with_class: bool,
}

impl SaveLinks {
    /// `account` is the service account's address, `issuer` the issuer's number, `key_pem` the account's key.
    ///
    /// # Errors
    /// [`WalletError::Pem`], [`WalletError::Key`].
    pub fn try_new(account: &str, issuer: &str, key_pem: &[u8]) -> Result<Self, WalletError> {
        Ok(Self { key: Key::from_pem(key_pem)?, account: account.to_owned(), issuer: issuer.to_owned() })
    }

    /// The link for ticket `number`, counted from 1. `origins` are the pages whose buttons may use it.
    ///
    /// # Errors
    /// [`WalletError::NoTicket`]; [`WalletError::TooLong`].
    pub fn link(
        &self,
        booking: &Booking,
        number: usize,
        names: &PassNames<'_>,
        origins: &[&str],
        issued_at: DateTime<Utc>,
    ) -> Result<String, WalletError> {
        let mut payload = json!({ "eventTicketObjects": [self.object(booking, number, names)?] });
        if names.with_class {
            payload["eventTicketClasses"] = json!([self.class(booking, names)]);
        }
        let claims = json!({
            "iss": self.account,
            "aud": "google",
            "typ": "savetowallet",
            "iat": issued_at.timestamp(),
            "origins": origins,
            "payload": payload,
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({ "alg": "RS256", "typ": "JWT" })), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes())?);
        let link = format!("https://pay.google.com/gp/v/save/{signed}.{signature}");
        // All of it is ASCII.
        if link.len() > MAX_LINK_CHARS { Err(WalletError::TooLong { chars: link.len() }) } else { Ok(link) }
    }

    fn id(&self, name: &str) -> String {
        format!("{}.{name}", self.issuer)
    }

    fn class(&self, booking: &Booking, names: &PassNames<'_>) -> Value {
        let show = &booking.show;
        let said = |text: &str| localized(booking.locale, text);
        let mut class = json!({
            "id": self.id(names.class),
            "issuerName": one_line(&show.organizer),
            "reviewStatus": "UNDER_REVIEW",
            "eventName": said(&show.title),
            // Google refuses a venue without an address.
            "venue": { "name": said(&show.venue.name), "address": said(show.venue.address.as_deref().unwrap_or(&show.venue.name)) },
        });
        if !show.postponed {
            let local =
                |at: DateTime<Utc>| at.with_timezone(&show.time_zone).to_rfc3339_opts(SecondsFormat::Secs, false);
            let times = [("start", Some(show.starts_at)), ("end", show.ends_at), ("doorsOpen", show.doors_at)];
            let times = times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), json!(local(at?)))));
            class["dateTime"] = Value::Object(times.collect());
        }
        class
    }

    fn object(&self, booking: &Booking, number: usize, names: &PassNames<'_>) -> Result<Value, WalletError> {
        let ticket =
            number.checked_sub(1).and_then(|at| booking.tickets.get(at)).ok_or(WalletError::NoTicket { number })?;
        let mut object = json!({
            "id": self.id(names.object),
            "classId": self.id(names.class),
            "state": "ACTIVE",
            "barcode": { "type": "QR_CODE", "value": ticket.code },
            "ticketType": localized(booking.locale, &ticket.kind),
            "reservationInfo": { "confirmationCode": one_line(&booking.reference) },
        });
        if let Some(holder) = &ticket.holder {
            object["ticketHolderName"] = json!(one_line(holder));
        }
        if let Some(Seat { section, row, seat }) = &ticket.seat {
            let parts = [("section", section), ("row", row), ("seat", seat)];
            let parts = parts
                .into_iter()
                .filter_map(|(name, part)| Some((name.to_owned(), localized(booking.locale, part.as_ref()?))));
            object["seatInfo"] = Value::Object(parts.collect::<Map<_, _>>());
        }
        Ok(object)
    }
}

fn localized(locale: Locale, text: &str) -> Value {
    json!({ "defaultValue": { "language": locale.tag(), "value": one_line(text) } })
}

//! What the clients of all gateways do alike: a call that ends, an answer that ends, a MAC, an amount.
//!
//! What is certain about a call that failed: without a connection nothing was sent. Everything else (a time-out, a broken answer)
//! may have taken effect, and is asked for. What a status or an error code means is each gateway's own, and stays in its folder.

use std::time::Duration;

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Sha256, Sha512};
use tickiz_domain::money::{Currency, Money};

use super::{CALL_DEADLINE, GatewayError};

/// How long a connection is kept that nobody uses: shorter than its server keeps a silent one, or a call would meet its end.
const IDLE: Duration = Duration::from_secs(5);
/// How long a connection may take, so that of a call's deadline most is left for its answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The most bytes of an answer. The longest that is asked for, a page of a hundred refunds, has some hundred thousand.
const MAX_ANSWER_BYTES: usize = 512 * 1024;
/// The longest id of a gateway's own that goes into an address or the log.
const MAX_ID_CHARS: usize = 200;
/// What of a gateway's words goes into the program's log.
const MAX_WORDS_CHARS: usize = 300;

/// An HTTP client for one gateway.
pub struct Caller(reqwest::Client);

/// An answer, whatever its status.
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most half a mebibyte.
    pub body: Vec<u8>,
}

impl Caller {
    /// A client for the gateway at that address. It follows no redirect, and goes through the environment's proxy only to what
    /// is not on this very machine.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(address: &str) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .timeout(CALL_DEADLINE);
        let builder = if is_near(address) { builder.no_proxy() } else { builder };
        Ok(Self(builder.build()?))
    }

    /// A request.
    pub fn request(&self, method: reqwest::Method, url: String) -> RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends it, and reads the whole answer within [`CALL_DEADLINE`].
    ///
    /// # Errors
    /// `NotDone` without a connection; `Unknown` without a whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, GatewayError> {
        let mut answer = request.send().await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unknown_end)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(GatewayError::Unknown(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }
}

fn is_near(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn failed(error: reqwest::Error) -> GatewayError {
    if error.is_connect() || error.is_builder() {
        return GatewayError::NotDone(error.without_url().to_string());
    }
    unknown_end(error)
}

fn unknown_end(error: reqwest::Error) -> GatewayError {
    GatewayError::Unknown(error.without_url().to_string())
}

impl Reply {
    /// The body of a good answer.
    ///
    /// # Errors
    /// `Unknown`, where it is not of the documented form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, GatewayError> {
        let unreadable =
            |error| GatewayError::Unknown(format!("an answer of {} that cannot be read: {error}", self.status));
        serde_json::from_slice(&self.body).map_err(unreadable)
    }

    /// The body, where it is of the documented form: error bodies, which somebody on the way may have written.
    pub fn said<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header's text, for the program's log.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("–")
    }
}

/// A body of JSON.
pub fn json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("a request has string keys and no fallible Serialize, so JSON cannot fail")
}

/// A gateway's words, cut for the program's log.
pub fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_WORDS_CHARS).collect()
}

/// An answer that is of the documented form and makes no sense.
pub fn odd(what: impl std::fmt::Display) -> GatewayError {
    GatewayError::Unknown(format!("an answer that cannot be understood: {}", words(&what.to_string())))
}

/// An id of a gateway's own: what may go into an address as it is.
///
/// # Errors
/// `Unknown`, where it is anything else.
pub fn id(text: &str) -> Result<&str, GatewayError> {
    let legal = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if legal && (1..=MAX_ID_CHARS).contains(&text.len()) { Ok(text) } else { Err(odd(format!("the id {text:?}"))) }
}

/// HMAC-SHA-256 of the parts, one after the other, in lower-case hexadecimal digits.
pub fn hmac_sha256_hex(key: &[u8], parts: &[&[u8]]) -> String {
    hex::encode(mac::<Hmac<Sha256>>(key, parts).finalize().into_bytes())
}

/// Whether these hexadecimal digits, in either case, are that MAC. Takes the same time wherever the two differ.
pub fn hmac_sha256_is(key: &[u8], parts: &[&[u8]], digits: &str) -> bool {
    hex::decode(digits).is_ok_and(|given| mac::<Hmac<Sha256>>(key, parts).verify_slice(&given).is_ok())
}

/// HMAC-SHA-512 of the text, in lower-case hexadecimal digits.
pub fn hmac_sha512_hex(key: &[u8], text: &str) -> String {
    hex::encode(mac::<Hmac<Sha512>>(key, &[text.as_bytes()]).finalize().into_bytes())
}

/// Whether these hexadecimal digits, in either case, are that MAC. Takes the same time wherever the two differ.
pub fn hmac_sha512_is(key: &[u8], text: &str, digits: &str) -> bool {
    hex::decode(digits).is_ok_and(|given| mac::<Hmac<Sha512>>(key, &[text.as_bytes()]).verify_slice(&given).is_ok())
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// The amount as an integer of so many decimals; `None` where it does not go into them without a rest, or not into the type.
pub fn scaled(amount: &Money, decimals: u32) -> Option<i64> {
    let exponent = amount.currency().exponent();
    if decimals >= exponent {
        return amount.minor().checked_mul(10_i64.checked_pow(decimals - exponent)?);
    }
    let by = 10_i64.checked_pow(exponent - decimals)?;
    (amount.minor() % by == 0).then(|| amount.minor() / by)
}

/// An integer of so many decimals as an amount.
///
/// # Errors
/// `Unknown`, where it is none of that currency.
pub fn unscaled(value: i64, decimals: u32, currency: Currency) -> Result<Money, GatewayError> {
    let exponent = currency.exponent();
    let minor = if exponent >= decimals {
        10_i64.checked_pow(exponent - decimals).and_then(|by| value.checked_mul(by))
    } else {
        10_i64.checked_pow(decimals - exponent).filter(|by| value % by == 0).map(|by| value / by)
    };
    let none = || odd(format!("{value} in units of {decimals} decimals of {currency}"));
    Money::try_new(minor.ok_or_else(none)?, currency).map_err(odd)
}

/// The amount as a decimal number with exactly so many digits after the point; `None` where it has more.
pub fn decimal(amount: &Money, decimals: u32) -> Option<String> {
    let value = scaled(amount, decimals)?;
    let width = decimals as usize;
    let digits = format!("{value:0>least$}", least = width + 1);
    let (whole, fraction) = digits.split_at(digits.len() - width);
    Some(if width == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") })
}

/// A decimal number as an amount. What is below the currency's smallest unit is left away: nobody is credited what he did not pay.
///
/// # Errors
/// `Unknown`, where it is no such number.
pub fn undecimal(text: &str, currency: Currency) -> Result<Money, GatewayError> {
    let none = || odd(format!("the amount {text:?}"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.len() <= 30 && digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(none());
    }
    let decimals = currency.exponent() as usize;
    let padded = format!("{whole}{fraction:0<decimals$}");
    let minor = padded[..whole.len() + decimals].parse().map_err(|_| none())?;
    Money::try_new(minor, currency).map_err(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: &str, currency: &str) -> Money {
        Money::parse(amount, currency).expect("an amount")
    }

    #[test]
    fn an_amount_goes_into_other_decimals_only_without_a_rest_and_comes_back_as_it_was() {
        for (amount, decimals, value) in [
            (money("450000", "VND"), 0, 450_000),
            (money("450000", "VND"), 2, 45_000_000),
            (money("20.00", "USD"), 2, 2_000),
            (money("5.120", "KWD"), 3, 5_120),
            (money("4500.00", "HUF"), 0, 4_500),
        ] {
            assert_eq!(scaled(&amount, decimals), Some(value));
            assert_eq!(unscaled(value, decimals, amount.currency()), Ok(amount));
        }
        assert_eq!(scaled(&money("4500.50", "HUF"), 0), None);
        assert!(unscaled(45_000_001, 2, Currency::VND).is_err());
        assert!(unscaled(i64::MAX, 0, Currency::USD).is_err() && unscaled(-1, 2, Currency::USD).is_err());
    }

    #[test]
    fn decimal_numbers_keep_every_digit_and_what_is_no_number_is_refused() {
        assert_eq!(decimal(&money("0.05", "USD"), 2).as_deref(), Some("0.05"));
        assert_eq!(decimal(&money("4500.00", "HUF"), 0).as_deref(), Some("4500"));
        assert_eq!(decimal(&money("1200", "JPY"), 0).as_deref(), Some("1200"));
        assert_eq!(undecimal("20.00", Currency::USD), Ok(money("20.00", "USD")));
        assert_eq!(undecimal("20", Currency::USD), Ok(money("20.00", "USD")));
        assert_eq!(undecimal("20.5", Currency::USD), Ok(money("20.50", "USD")));
        assert_eq!(undecimal("449999.999", Currency::VND), Ok(money("449999", "VND")));
        for wrong in ["", ".5", "-1", "+1", "1e3", "1,000", "1.0.0", " 1", "99999999999999999999999"] {
            assert!(undecimal(wrong, Currency::USD).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_mac_is_taken_in_either_case_and_not_with_anything_else_wrong() {
        // RFC 4231, test case 2.
        let digits = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_sha256_hex(b"Jefe", &[b"what do ya want ", b"for nothing?"]), digits);
        assert!(hmac_sha256_is(b"Jefe", &[b"what do ya want for nothing?"], &digits.to_uppercase()));
        for wrong in [&digits[..62], &digits.replacen('5', "6", 1), &format!("{digits}00"), "", "zz"] {
            assert!(!hmac_sha256_is(b"Jefe", &[b"what do ya want for nothing?"], wrong));
        }
    }

    #[test]
    fn only_what_is_on_this_machine_goes_past_the_proxy() {
        assert!(is_near("http://127.0.0.1:8080") && is_near("http://localhost/x") && is_near("http://[::1]:1"));
        assert!(!is_near("https://api.stripe.com") && !is_near("http://127.0.0.1.example.com"));
    }
}

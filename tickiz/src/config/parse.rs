//! From text to values; `None` where it is none. What is allowed stands in the table of settings.

use secrecy::SecretString;
use url::Url;

/// The shortest bearer token in characters: 128 bits need 22 of base64url, and nobody should guess a shorter one.
const MIN_TOKEN_CHARS: usize = 16;

/// The shortest key or secret of a gateway in characters; all of theirs are longer.
const MIN_SECRET_CHARS: usize = 8;

/// Bookings of the demo's first weeks: some thousands, in seconds.
pub(super) const DEMO_BOOKINGS: u32 = 2_400;
/// The most of them; more is what benchmarks are for.
pub(super) const MAX_DEMO_BOOKINGS: u32 = 100_000;

pub(super) fn parse_demo_bookings(text: &str) -> Option<u32> {
    text.parse().ok().filter(|bookings| *bookings <= MAX_DEMO_BOOKINGS)
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

pub(super) fn parse_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    plain.then_some(url)
}

pub(super) fn parse_brokers(text: &str) -> Option<String> {
    let is_broker = |broker: &str| {
        broker
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    text.split(',').all(is_broker).then(|| text.to_owned())
}

/// Kafka's own rule for names.
pub(super) fn parse_topic(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (legal && (1..=249).contains(&text.len()) && text != "." && text != "..").then(|| text.to_owned())
}

pub(super) fn parse_token(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
    (legal && text.len() >= MIN_TOKEN_CHARS && text.len() <= 256).then(|| text.to_owned())
}

pub(super) fn parse_mysql_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let database = url.path().trim_start_matches('/');
    let named = !database.is_empty() && !database.contains('/');
    (matches!(url.scheme(), "mysql" | "mariadb") && url.host_str().is_some() && named).then(|| text.to_owned())
}

/// A name that others gave: an issuer's number, a team, a pass type.
pub(super) fn parse_name(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    (legal && (1..=200).contains(&text.len())).then(|| text.to_owned())
}

pub(super) fn parse_ratio(text: &str) -> Option<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

pub(super) fn parse_smtp_url(text: &str) -> Option<String> {
    tickiz_command_api::workers::mails::sink::Smtp::check(text).is_ok().then(|| text.to_owned())
}

pub(super) fn parse_redis_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let database = url.path().trim_start_matches('/');
    let numbered = database.is_empty() || database.parse::<u16>().is_ok();
    (matches!(url.scheme(), "redis" | "rediss") && url.host_str().is_some() && numbered).then(|| text.to_owned())
}

pub(super) fn parse_key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

/// A key or a secret that somebody else made: visible ASCII, so that a blank or a line's end that was copied along is found here.
pub(super) fn parse_secret(text: &str) -> Option<SecretString> {
    let legal = text.bytes().all(|b| b.is_ascii_graphic());
    (legal && (MIN_SECRET_CHARS..=512).contains(&text.len())).then(|| text.into())
}

//! Configuration: defaults, then `tickiz.toml` (or `--config FILE`), then the environment.
//!
//! One table ([`SETTINGS`]) names every setting; file keys are the variable's name without `TICKIZ_`, in lower case. A wrong
//! value ends the start with its name, the value (masked where it is secret) and what is allowed, exit code 78.
//!
//! # Layout
//!
//! * [`settings`]: the table. [`gateways`]: who takes the money. [`raw`]: what file and environment say, and what is wrong with it. [`parse`]: from text to values.

mod gateways;
mod parse;
mod raw;
mod settings;

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use tickiz_domain::text::normalize_email;
use url::Url;

pub use self::{gateways::GatewaySettings, raw::ConfigError, settings::SETTINGS};
use self::{
    parse::{
        DEMO_BOOKINGS, parse_bool, parse_brokers, parse_demo_bookings, parse_key, parse_mysql_url, parse_name,
        parse_ratio, parse_redis_url, parse_smtp_url, parse_token, parse_topic, parse_url,
    },
    raw::{DEFAULT, Raw},
};

/// Exit code of a configuration error: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// Variables that this program does not read. Set, they are named in a warning: somebody expects something of them.
#[cfg(feature = "distributed")]
pub const NOT_USED: &[&str] = &[];
/// Variables that this program does not read, built without the roles.
#[cfg(not(feature = "distributed"))]
pub const NOT_USED: &[&str] = &["TICKIZ_KAFKA_BROKERS", "TICKIZ_COMMAND_API_URLS", "TICKIZ_REDIS_URL"];

/// Everything that is configured, checked.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "distributed"),
    allow(dead_code, reason = "checked all the same; only the roles use some of it")
)]
pub struct Config {
    /// Address and port of HTTP.
    pub listen: SocketAddr,
    /// How browsers and gateways reach us; `None`: the address that was bound.
    pub public_url: Option<Url>,
    /// Store, mails, keys.
    pub data_dir: PathBuf,
    /// The server that keeps log and read models; `None`: SQLite in `data_dir`.
    pub mysql_url: Option<String>,
    /// Kafka's brokers.
    pub kafka_brokers: Option<String>,
    /// The topic of the log's domain events.
    pub kafka_topic: String,
    /// Redis.
    pub redis_url: Option<String>,
    /// The processes of the write side.
    pub command_api_urls: Vec<Url>,
    /// The mail server; `None`: mails are files.
    pub smtp_url: Option<String>,
    /// Who mails come from.
    pub mail_from: String,
    /// Templates that replace built-in ones.
    pub templates_dir: Option<PathBuf>,
    /// Apple Wallet, where it is configured.
    pub apple_wallet: Option<AppleWallet>,
    /// Google Wallet, where it is configured.
    pub google_wallet: Option<GoogleWallet>,
    /// The organiser's bearer token.
    pub organizer_token: Option<String>,
    /// The bearer token of the organiser's gates.
    pub gate_token: Option<String>,
    /// The auditor's bearer token.
    pub auditor_token: Option<String>,
    /// Whether the gateway `SANDBOX` is on; `None`: as the demo wants it.
    pub sandbox_payments: Option<bool>,
    /// The gateways that take real money.
    pub gateways: GatewaySettings,
    /// How many bookings the demo makes at its first start.
    pub demo_bookings: u32,
    /// The master key.
    pub master_key: Option<[u8; 32]>,
    /// Whether the public reaches this.
    pub production: bool,
    /// What is logged.
    pub log_filter: String,
    /// Whether it is logged as JSON lines.
    pub log_json: bool,
    /// Where traces are sent.
    pub otlp_url: Option<Url>,
    /// Which share of them is recorded.
    pub trace_ratio: f64,
    /// Where each value came from, as shown: variable, value or mask, source.
    pub shown: Vec<(&'static str, String, &'static str)>,
}

/// What passes of Apple Wallet are made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppleWallet {
    /// The folder with `pass.pem`, `pass.key`, `wwdr.pem` and pictures.
    pub folder: PathBuf,
    /// Such as `pass.com.example.tickets`.
    pub pass_type: String,
    /// The team's ten characters.
    pub team: String,
}

/// What links of Google Wallet are made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoogleWallet {
    /// The service account's JSON file.
    pub key_file: PathBuf,
    /// The issuer's number.
    pub issuer: String,
}

fn path(raw: &Raw, variable: &'static str) -> Result<Option<PathBuf>, ConfigError> {
    raw.parse(variable, |text| (!text.is_empty()).then(|| PathBuf::from(text)))
}

/// One of these settings without the others is a mistake, and the missing one is named.
fn with<T>(value: Option<T>, name: &'static str, why: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { name, why })
}

fn apple_wallet(raw: &Raw) -> Result<Option<AppleWallet>, ConfigError> {
    let why = "passes of Apple Wallet want the folder, the pass type and the team";
    let folder = path(raw, "TICKIZ_APPLE_WALLET_DIR")?;
    let pass_type = raw.parse("TICKIZ_APPLE_PASS_TYPE", parse_name)?;
    let team = raw.parse("TICKIZ_APPLE_TEAM", parse_name)?;
    if folder.is_none() && pass_type.is_none() && team.is_none() {
        return Ok(None);
    }
    Ok(Some(AppleWallet {
        folder: with(folder, "TICKIZ_APPLE_WALLET_DIR", why)?,
        pass_type: with(pass_type, "TICKIZ_APPLE_PASS_TYPE", why)?,
        team: with(team, "TICKIZ_APPLE_TEAM", why)?,
    }))
}

fn google_wallet(raw: &Raw) -> Result<Option<GoogleWallet>, ConfigError> {
    let why = "links of Google Wallet want the service account's key and the issuer";
    let key_file = path(raw, "TICKIZ_GOOGLE_WALLET_KEY")?;
    let issuer = raw.parse("TICKIZ_GOOGLE_WALLET_ISSUER", parse_name)?;
    if key_file.is_none() && issuer.is_none() {
        return Ok(None);
    }
    Ok(Some(GoogleWallet {
        key_file: with(key_file, "TICKIZ_GOOGLE_WALLET_KEY", why)?,
        issuer: with(issuer, "TICKIZ_GOOGLE_WALLET_ISSUER", why)?,
    }))
}

/// The topic that outsiders rely on.
const TOPIC: &str = "tickiz.events.v1";

impl Config {
    /// Reads file and environment of this process.
    ///
    /// # Errors
    /// The first wrong value, by name, with what is allowed; a file that was named and cannot be read.
    pub fn load(file: Option<&std::path::Path>) -> Result<Self, ConfigError> {
        let default_file = std::path::Path::new("tickiz.toml");
        let path = file.or_else(|| default_file.exists().then_some(default_file));
        let text = path
            .map(|path| {
                std::fs::read_to_string(path)
                    .map(|text| (path.display().to_string(), text))
                    .map_err(|error| ConfigError::File { file: path.display().to_string(), reason: error.to_string() })
            })
            .transpose()?;
        Self::from_sources(text.as_ref().map(|(name, text)| (name.as_str(), text.as_str())), |name| {
            std::env::var(name).ok()
        })
    }

    /// Reads these sources.
    ///
    /// # Errors
    /// The first wrong value, by name, with what is allowed.
    pub fn from_sources(
        file: Option<(&str, &str)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = Raw::read(file, environment)?;
        let listen = raw.parse("TICKIZ_LISTEN", |text| SocketAddr::from_str(text).ok())?;
        let config = Self {
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            public_url: raw.parse("TICKIZ_PUBLIC_URL", parse_url)?,
            data_dir: raw
                .parse("TICKIZ_DATA_DIR", |text| (!text.is_empty()).then(|| PathBuf::from(text)))?
                .unwrap_or_else(|| PathBuf::from("./data")),
            mysql_url: raw.parse("TICKIZ_MYSQL_URL", parse_mysql_url)?,
            kafka_brokers: raw.parse("TICKIZ_KAFKA_BROKERS", parse_brokers)?,
            kafka_topic: raw.parse("TICKIZ_KAFKA_TOPIC", parse_topic)?.unwrap_or_else(|| TOPIC.to_owned()),
            redis_url: raw.parse("TICKIZ_REDIS_URL", parse_redis_url)?,
            command_api_urls: raw
                .parse("TICKIZ_COMMAND_API_URLS", |text| text.split(',').map(|url| parse_url(url.trim())).collect())?
                .unwrap_or_default(),
            smtp_url: raw.parse("TICKIZ_SMTP_URL", parse_smtp_url)?,
            mail_from: raw
                .parse("TICKIZ_MAIL_FROM", |text| normalize_email(text).ok().map(|_| text.to_owned()))?
                .unwrap_or_else(|| "tickets@tickiz.example".to_owned()),
            templates_dir: raw.parse("TICKIZ_TEMPLATES_DIR", |text| (!text.is_empty()).then(|| PathBuf::from(text)))?,
            apple_wallet: apple_wallet(&raw)?,
            google_wallet: google_wallet(&raw)?,
            organizer_token: raw.parse("TICKIZ_ORGANIZER_TOKEN", parse_token)?,
            gate_token: raw.parse("TICKIZ_GATE_TOKEN", parse_token)?,
            auditor_token: raw.parse("TICKIZ_AUDITOR_TOKEN", parse_token)?,
            sandbox_payments: raw.parse("TICKIZ_SANDBOX_PAYMENTS", parse_bool)?,
            gateways: GatewaySettings::read(&raw)?,
            demo_bookings: raw.parse("TICKIZ_DEMO_BOOKINGS", parse_demo_bookings)?.unwrap_or(DEMO_BOOKINGS),
            master_key: raw.parse("TICKIZ_MASTER_KEY", parse_key)?,
            production: raw.parse("TICKIZ_PRODUCTION", parse_bool)?.unwrap_or(false),
            log_filter: raw
                .parse("TICKIZ_LOG", |text| {
                    tracing_subscriber::EnvFilter::try_new(text).is_ok().then(|| text.to_owned())
                })?
                .unwrap_or_else(|| "info".to_owned()),
            log_json: raw
                .parse("TICKIZ_LOG_FORMAT", |text| match text {
                    "json" => Some(true),
                    "text" => Some(false),
                    _ => None,
                })?
                .unwrap_or(false),
            otlp_url: raw.parse("TICKIZ_OTLP_URL", parse_url)?,
            trace_ratio: raw.parse("TICKIZ_TRACE_RATIO", parse_ratio)?.unwrap_or(1.0),
            shown: raw.show(),
        };
        config.check_together(&raw)?;
        Ok(config)
    }

    /// The topic of the log's domain events, where Kafka is configured.
    #[cfg(feature = "distributed")]
    pub fn topic(&self) -> Option<tickiz_kafka::Topic> {
        let brokers = self.kafka_brokers.clone()?;
        Some(tickiz_kafka::Topic { brokers, name: self.kafka_topic.clone() })
    }

    fn check_together(&self, raw: &Raw) -> Result<(), ConfigError> {
        let source_of = |variable| raw.0.get(variable).map_or(DEFAULT, |(_, source)| *source);
        if self.organizer_token.is_some() && self.organizer_token == self.auditor_token {
            return Err(raw.wrong("TICKIZ_AUDITOR_TOKEN", source_of("TICKIZ_AUDITOR_TOKEN")));
        }
        if self.gate_token.is_some() && [&self.organizer_token, &self.auditor_token].contains(&&self.gate_token) {
            return Err(raw.wrong("TICKIZ_GATE_TOKEN", source_of("TICKIZ_GATE_TOKEN")));
        }
        if self.production && self.sandbox_payments == Some(true) {
            return Err(raw.wrong("TICKIZ_SANDBOX_PAYMENTS", source_of("TICKIZ_SANDBOX_PAYMENTS")));
        }
        self.gateways.check(raw, self.public_url.is_some(), self.production)?;
        if self.production && self.master_key.is_none() {
            return Err(raw.wrong("TICKIZ_MASTER_KEY", DEFAULT));
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown.iter().map(|(name, value, _)| (name, value))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_sources(None, |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn every_wrong_value_is_named_with_what_is_allowed() {
        for (name, value) in [
            ("TICKIZ_LISTEN", "8080"),
            ("TICKIZ_LISTEN", "localhost"),
            ("TICKIZ_PUBLIC_URL", "example.com"),
            ("TICKIZ_PUBLIC_URL", "ftp://example.com"),
            ("TICKIZ_MYSQL_URL", "mysql://localhost"),
            ("TICKIZ_MYSQL_URL", "postgres://localhost/x"),
            ("TICKIZ_KAFKA_BROKERS", "localhost"),
            ("TICKIZ_KAFKA_BROKERS", "localhost:9092,"),
            ("TICKIZ_KAFKA_TOPIC", "a topic"),
            ("TICKIZ_COMMAND_API_URLS", "http://127.0.0.1:1,nowhere"),
            ("TICKIZ_ORGANIZER_TOKEN", "short"),
            ("TICKIZ_AUDITOR_TOKEN", "with a blank, twenty characters"),
            ("TICKIZ_GATE_TOKEN", "short"),
            ("TICKIZ_SANDBOX_PAYMENTS", "yes"),
            ("TICKIZ_MASTER_KEY", "00"),
            ("TICKIZ_PRODUCTION", "1"),
            ("TICKIZ_LOG_FORMAT", "xml"),
        ] {
            let error = of(&[(name, value)]).expect_err(name);
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(error.to_string().contains("allowed: "), "{error}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let token = "a-token-that-is-long-enough";
        let config = of(&[("TICKIZ_ORGANIZER_TOKEN", token)]).expect("the token is legal");
        assert!(!format!("{config:?}").contains(token));
        let error = of(&[("TICKIZ_ORGANIZER_TOKEN", "illegal secret")]).expect_err("it has a blank");
        assert!(!error.to_string().contains("illegal secret"), "{error}");
    }

    #[test]
    fn production_wants_its_master_key_and_no_sandbox() {
        let key = "00".repeat(32);
        assert!(of(&[("TICKIZ_PRODUCTION", "true")]).is_err());
        assert!(of(&[("TICKIZ_PRODUCTION", "true"), ("TICKIZ_MASTER_KEY", &key)]).is_ok());
        assert!(
            of(&[("TICKIZ_PRODUCTION", "true"), ("TICKIZ_MASTER_KEY", &key), ("TICKIZ_SANDBOX_PAYMENTS", "true")])
                .is_err()
        );
    }

    #[test]
    fn the_environment_goes_before_the_file_and_unknown_keys_are_refused() {
        let file = ("tickiz.toml", "listen = \"127.0.0.1:1\"\nproduction = false\n");
        let config =
            Config::from_sources(Some(file), |name| (name == "TICKIZ_LISTEN").then(|| "127.0.0.1:2".to_owned()))
                .expect("both are legal");
        assert_eq!(config.listen.port(), 2);
        let error =
            Config::from_sources(Some(("tickiz.toml", "lisen = \"127.0.0.1:1\"")), |_| None).expect_err("a typo");
        assert!(error.to_string().contains("\"lisen\""), "{error}");
    }
}

//! Configuration: defaults, then `tickiz.toml` (or `--config FILE`), then the environment.
//!
//! One table ([`SETTINGS`]) names every setting; file keys are the variable's name without `TICKIZ_`, in lower case. A wrong
//! value ends the start with its name, the value (masked where it is secret) and what is allowed, exit code 78.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use tickiz_domain::text::normalize_email;
use url::Url;

/// The topic that outsiders rely on.
const TOPIC: &str = "tickiz.events.v1";

/// Exit code of a configuration error: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// The shortest bearer token in characters: 128 bits need 22 of base64url, and nobody should guess a shorter one.
pub const MIN_TOKEN_CHARS: usize = 16;

/// One setting as the table and `tickiz config` show it.
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What is allowed.
    pub allowed: &'static str,
    /// The default, as text.
    pub default: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
}

const fn setting(
    variable: &'static str,
    meaning: &'static str,
    allowed: &'static str,
    default: &'static str,
    secret: bool,
) -> Setting {
    Setting { variable, meaning, allowed, default, secret }
}

/// Every setting.
pub const SETTINGS: &[Setting] = &[
    setting(
        "TICKIZ_LISTEN",
        "address and port of HTTP",
        "an IP address and a port, such as 127.0.0.1:8080; port 0 takes a free one",
        "127.0.0.1:8080",
        false,
    ),
    setting(
        "TICKIZ_PUBLIC_URL",
        "how browsers and gateways reach us",
        "an absolute http or https URL without query or fragment",
        "the address of TICKIZ_LISTEN",
        false,
    ),
    setting("TICKIZ_DATA_DIR", "embedded: store, mails, keys", "a folder; made if it is missing", "./data", false),
    setting(
        "TICKIZ_MYSQL_URL",
        "keeps the log and the read models on a MySQL or MariaDB server, which several processes may share",
        "mysql://user:password@host:port/database",
        "none: SQLite in TICKIZ_DATA_DIR",
        true,
    ),
    setting(
        "TICKIZ_KAFKA_BROKERS",
        "distributed: where the relay writes the log's domain events, and the roles read them",
        "host:port, several with commas between",
        "none: roles of their own need it; `serve` does not use it",
        false,
    ),
    setting(
        "TICKIZ_KAFKA_TOPIC",
        "distributed: the topic of the log's domain events; another one for each installation on the same brokers",
        "1 to 249 characters of A-Z a-z 0-9 . _ -",
        "tickiz.events.v1",
        false,
    ),
    setting(
        "TICKIZ_REDIS_URL",
        "several processes: holds, copies of shows and lists, signals; may be away at any time",
        "redis://[user:password@]host[:port][/database], or rediss:// for TLS",
        "none: slower, and just as right",
        true,
    ),
    setting(
        "TICKIZ_COMMAND_API_URLS",
        "distributed: where query-api hands commands over",
        "absolute http or https URLs with commas between",
        "none: query-api needs it",
        false,
    ),
    setting(
        "TICKIZ_ORGANIZER_TOKEN",
        "bearer token of the organiser",
        "at least 16 characters of A-Z a-z 0-9 - . _ ~ + / =",
        "none: refused; the demo makes one",
        true,
    ),
    setting(
        "TICKIZ_AUDITOR_TOKEN",
        "bearer token of the auditor",
        "at least 16 characters of A-Z a-z 0-9 - . _ ~ + / =, another than the organiser's",
        "none: refused; the demo makes one",
        true,
    ),
    setting(
        "TICKIZ_SANDBOX_PAYMENTS",
        "switches the gateway SANDBOX on",
        "true or false; not true in production",
        "false; true with --demo",
        false,
    ),
    setting(
        "TICKIZ_DEMO_BOOKINGS",
        "how many bookings of the weeks before the demo makes at its first start, in the embedded form",
        "a number from 0 (none) to 100000",
        "2400",
        false,
    ),
    setting(
        "TICKIZ_SMTP_URL",
        "the mail server that mails are sent by; credentials go over TLS only, or to loopback",
        "smtp://[user:password@]host[:port], which goes on by STARTTLS unless on loopback, or smtps:// for TLS from the beginning",
        "none: mails are files in TICKIZ_DATA_DIR/mails",
        true,
    ),
    setting(
        "TICKIZ_MAIL_FROM",
        "the address that mails come from",
        "a mail address; with TICKIZ_SMTP_URL one of your own",
        "tickets@tickiz.example",
        false,
    ),
    setting(
        "TICKIZ_TEMPLATES_DIR",
        "a folder of templates that replace built-in ones of mails and pages, file by file",
        "a folder; its files are named as in documents/templates",
        "none",
        false,
    ),
    setting(
        "TICKIZ_MASTER_KEY",
        "wraps the keys that personal data is sealed with, and is what ticket keys are derived from",
        "64 hexadecimal digits; required in production",
        "none: one is made and kept with the store",
        true,
    ),
    setting(
        "TICKIZ_PRODUCTION",
        "no introspection, no sandbox, no unset secrets, TLS expected in front",
        "true or false",
        "false",
        false,
    ),
    setting(
        "TICKIZ_LOG",
        "what the program logs to stderr",
        "a tracing filter, such as info or tickiz=debug",
        "info",
        false,
    ),
    setting(
        "TICKIZ_LOG_FORMAT",
        "how the program logs; json is one line of the Elastic Common Schema each",
        "text or json",
        "text",
        false,
    ),
    setting(
        "TICKIZ_OTLP_URL",
        "where traces are sent, by OTLP over HTTP",
        "an absolute http or https URL without query or fragment, such as http://127.0.0.1:4318",
        "none: nothing is recorded",
        false,
    ),
    setting(
        "TICKIZ_TRACE_RATIO",
        "which share of the traces that begin here is recorded",
        "a number from 0 to 1",
        "1",
        false,
    ),
];

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
    /// The organiser's bearer token.
    pub organizer_token: Option<String>,
    /// The auditor's bearer token.
    pub auditor_token: Option<String>,
    /// Whether the gateway `SANDBOX` is on; `None`: as the demo wants it.
    pub sandbox_payments: Option<bool>,
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

/// A setting with a wrong value, or a file that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The value is wrong.
    #[error("{name} is {value:?} ({source_name}); allowed: {allowed}")]
    Value {
        /// The variable.
        name: String,
        /// The value, masked where it is secret.
        value: String,
        /// Where it stands.
        source_name: &'static str,
        /// What is allowed.
        allowed: String,
    },
    /// The file has a key that is no setting.
    #[error("{file} has the key {key:?}, which is no setting; known are: {known}")]
    UnknownKey {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// All keys.
        known: String,
    },
    /// A setting is missing that the command needs.
    #[cfg_attr(
        not(feature = "distributed"),
        allow(dead_code, reason = "only the roles need settings without a default")
    )]
    #[error("{name} is not set; {why}; allowed: {allowed}", allowed = find(name).allowed)]
    Missing {
        /// The variable.
        name: &'static str,
        /// What needs it.
        why: &'static str,
    },
    /// The file cannot be read.
    #[error("{file} cannot be read: {reason}")]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

const ENVIRONMENT: &str = "from the environment";
const FILE: &str = "from the file";
const DEFAULT: &str = "default";

/// The raw values by variable, with where they stand.
struct Raw(BTreeMap<&'static str, (String, &'static str)>);

fn file_key(variable: &str) -> String {
    variable.trim_start_matches("TICKIZ_").to_ascii_lowercase()
}

impl Raw {
    fn read(file: Option<(&str, &str)>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut raw = BTreeMap::new();
        if let Some((name, text)) = file {
            let table = toml::Table::from_str(text)
                .map_err(|error| ConfigError::File { file: name.to_owned(), reason: error.to_string() })?;
            for (key, value) in table {
                let Some(setting) = SETTINGS.iter().find(|s| file_key(s.variable) == key) else {
                    let known = SETTINGS.iter().map(|s| file_key(s.variable)).collect::<Vec<_>>().join(", ");
                    return Err(ConfigError::UnknownKey { file: name.to_owned(), key, known });
                };
                let text = match value {
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                };
                raw.insert(setting.variable, (text, FILE));
            }
        }
        for setting in SETTINGS {
            if let Some(value) = environment(setting.variable).filter(|value| !value.is_empty()) {
                raw.insert(setting.variable, (value, ENVIRONMENT));
            }
        }
        Ok(Self(raw))
    }

    fn parse<T>(&self, variable: &'static str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ConfigError> {
        let Some((value, source_name)) = self.0.get(variable) else { return Ok(None) };
        match parse(value.trim()) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(self.wrong(variable, source_name)),
        }
    }

    fn wrong(&self, variable: &str, source_name: &'static str) -> ConfigError {
        let setting = find(variable);
        let value = self.0.get(variable).map(|(value, _)| value.as_str()).unwrap_or_default();
        ConfigError::Value {
            name: variable.to_owned(),
            value: shown(setting, value),
            source_name,
            allowed: setting.allowed.to_owned(),
        }
    }

    fn show(&self) -> Vec<(&'static str, String, &'static str)> {
        SETTINGS
            .iter()
            .map(|setting| match self.0.get(setting.variable) {
                Some((value, source_name)) => (setting.variable, shown(setting, value), *source_name),
                None => (setting.variable, setting.default.to_owned(), DEFAULT),
            })
            .collect()
    }
}

fn find(variable: &str) -> &'static Setting {
    SETTINGS.iter().find(|s| s.variable == variable).expect("every variable that is parsed stands in SETTINGS")
}

fn shown(setting: &Setting, value: &str) -> String {
    if setting.secret { format!("*** ({} characters)", value.chars().count()) } else { value.to_owned() }
}

/// Bookings of the demo's first weeks: some thousands, in seconds.
const DEMO_BOOKINGS: u32 = 2_400;
/// The most of them; more is what benchmarks are for.
const MAX_DEMO_BOOKINGS: u32 = 100_000;

fn parse_demo_bookings(text: &str) -> Option<u32> {
    text.parse().ok().filter(|bookings| *bookings <= MAX_DEMO_BOOKINGS)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn parse_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    plain.then_some(url)
}

fn parse_brokers(text: &str) -> Option<String> {
    let is_broker = |broker: &str| {
        broker
            .trim()
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    text.split(',').all(is_broker).then(|| text.to_owned())
}

/// Kafka's own rule for names.
fn parse_topic(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (legal && (1..=249).contains(&text.len()) && text != "." && text != "..").then(|| text.to_owned())
}

fn parse_token(text: &str) -> Option<String> {
    let legal = text.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c));
    (legal && text.len() >= MIN_TOKEN_CHARS && text.len() <= 256).then(|| text.to_owned())
}

fn parse_mysql_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let database = url.path().trim_start_matches('/');
    let named = !database.is_empty() && !database.contains('/');
    (matches!(url.scheme(), "mysql" | "mariadb") && url.host_str().is_some() && named).then(|| text.to_owned())
}

fn parse_ratio(text: &str) -> Option<f64> {
    text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))
}

fn parse_smtp_url(text: &str) -> Option<String> {
    tickiz_command_api::workers::mails::sink::Smtp::check(text).is_ok().then(|| text.to_owned())
}

fn parse_redis_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let database = url.path().trim_start_matches('/');
    let numbered = database.is_empty() || database.parse::<u16>().is_ok();
    (matches!(url.scheme(), "redis" | "rediss") && url.host_str().is_some() && numbered).then(|| text.to_owned())
}

fn parse_key(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

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
            organizer_token: raw.parse("TICKIZ_ORGANIZER_TOKEN", parse_token)?,
            auditor_token: raw.parse("TICKIZ_AUDITOR_TOKEN", parse_token)?,
            sandbox_payments: raw.parse("TICKIZ_SANDBOX_PAYMENTS", parse_bool)?,
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
        if self.production && self.sandbox_payments == Some(true) {
            return Err(raw.wrong("TICKIZ_SANDBOX_PAYMENTS", source_of("TICKIZ_SANDBOX_PAYMENTS")));
        }
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

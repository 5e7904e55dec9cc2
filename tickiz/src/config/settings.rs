//! Every setting: its variable, what it means, what is allowed, its default.

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
        "TICKIZ_GATE_TOKEN",
        "bearer token of the organiser's gates, which let people in and do nothing else",
        "at least 16 characters of A-Z a-z 0-9 - . _ ~ + / =, another than the organiser's and the auditor's",
        "none: gates use the organiser's",
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
        "TICKIZ_APPLE_WALLET_DIR",
        "tickets for Apple Wallet: a folder with pass.pem (the Pass Type ID certificate), pass.key (its RSA key), wwdr.pem (Apple's intermediate certificate), icon.png and other pictures of a pass",
        "a folder; with TICKIZ_APPLE_PASS_TYPE and TICKIZ_APPLE_TEAM",
        "none: no passes",
        false,
    ),
    setting("TICKIZ_APPLE_PASS_TYPE", "the certificate's pass type", "such as pass.com.example.tickets", "none", false),
    setting("TICKIZ_APPLE_TEAM", "the certificate's team", "ten letters and digits", "none", false),
    setting(
        "TICKIZ_GOOGLE_WALLET_KEY",
        "tickets for Google Wallet: the service account's key, as Google gives it",
        "a JSON file; with TICKIZ_GOOGLE_WALLET_ISSUER",
        "none: no links",
        false,
    ),
    setting("TICKIZ_GOOGLE_WALLET_ISSUER", "the issuer's number at Google Wallet", "its digits", "none", false),
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

//! Mails to a mail server, by SMTP (RFC 5321).
//!
//! Credentials and mails go over TLS: from the beginning with `smtps`, and by STARTTLS with `smtp` unless the server is on
//! loopback. What the server answers with 55x concerns this mail to this person, and is for good; everything else (4xx, a
//! connection that breaks, wrong credentials) may pass, and the mail is tried again. Between the server's answer to a mail and our
//! note that it was sent lies a moment in which a crash sends it twice; both have one Message-ID.

use std::{net::IpAddr, time::Duration};

use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::Envelope,
    transport::smtp::{
        AsyncSmtpTransportBuilder, PoolConfig,
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use url::{Host, Url};

use super::{MailSink, Undelivered};
use crate::workers::mails::message::Mail;

/// How long the server may take for one answer. RFC 5321 section 4.5.3.2 would give it minutes; mails wait in line behind it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that are kept: mails are sent one after the other.
const CONNECTIONS: u32 = 2;
/// The port of `smtp`, and of `smtps`.
const PORTS: [u16; 2] = [25, 465];

/// The address of the server is none.
#[derive(Debug, thiserror::Error)]
#[error("not of the form smtp://[USER:PASSWORD@]HOST[:PORT] (or smtps:// for TLS from the beginning)")]
pub struct SmtpUrlError;

/// A mail server.
pub struct Smtp(AsyncSmtpTransport<Tokio1Executor>);

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).is_loopback(),
    }
}

fn decoded(text: &str) -> Result<String, SmtpUrlError> {
    let pairs = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned()).ok_or(SmtpUrlError)
}

impl Smtp {
    /// The server of that address. Nothing is sent yet; its connections are kept by a task of its own.
    ///
    /// # Errors
    /// When the address is none.
    pub fn at(address: &str) -> Result<Self, SmtpUrlError> {
        Ok(Self(Self::transport(address)?.build()))
    }

    /// Whether an address is one, for whoever has no runtime yet.
    ///
    /// # Errors
    /// When it is none.
    pub fn check(address: &str) -> Result<(), SmtpUrlError> {
        Self::transport(address).map(|_| ())
    }

    /// Whether the server answers, and takes our credentials where there are some.
    pub async fn is_reached(&self) -> bool {
        self.0.test_connection().await.unwrap_or(false)
    }

    /// Hands a mail over as it is.
    pub(super) async fn send(&self, from: &str, to: &str, bytes: &[u8]) -> Result<(), Undelivered> {
        let address = |text: &str| {
            // Who cannot be written to by anybody's rules.
            text.parse::<Address>().map_err(|_| Undelivered::Never("the address is none that mail goes to".to_owned()))
        };
        let envelope = Envelope::new(Some(address(from)?), vec![address(to)?])
            .map_err(|error| Undelivered::Never(error.to_string()))?;
        let Err(error) = self.0.send_raw(&envelope, bytes).await else { return Ok(()) };
        let code = error.status().map(|code| code.to_string());
        // The server's words may repeat the address.
        let what = match &code {
            Some(code) => format!("the mail server answers {code}"),
            None => "the mail server is not reached, or the connection broke".to_owned(),
        };
        let for_good = code.is_some_and(|code| code.starts_with("55"));
        Err(if for_good { Undelivered::Never(what) } else { Undelivered::Later(what) })
    }

    fn transport(address: &str) -> Result<AsyncSmtpTransportBuilder, SmtpUrlError> {
        let url = Url::parse(address).map_err(|_| SmtpUrlError)?;
        let from_the_beginning = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(SmtpUrlError),
        };
        let plain = url.query().is_none() && url.fragment().is_none() && matches!(url.path(), "" | "/");
        let host = url.host().filter(|_| plain).ok_or(SmtpUrlError)?;
        // A name in a scheme that is not special is taken as it is; an address in it is not told from a name.
        let text = host.to_string();
        let text = text.trim_start_matches('[').trim_end_matches(']');
        let host = text.parse::<IpAddr>().map_or(Host::Domain(text), |address| match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        });
        let parameters = || TlsParameters::new(text.to_owned()).map_err(|_| SmtpUrlError);
        let tls = match (from_the_beginning, is_loopback(&host)) {
            (true, _) => Tls::Wrapper(parameters()?),
            (false, true) => Tls::None,
            (false, false) => Tls::Required(parameters()?),
        };
        let port = url.port().unwrap_or(PORTS[usize::from(from_the_beginning)]);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(text)
            .port(port)
            .tls(tls)
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        if !url.username().is_empty() {
            let password = decoded(url.password().unwrap_or_default())?;
            builder = builder.credentials(Credentials::new(decoded(url.username())?, password));
        }
        Ok(builder)
    }
}

#[async_trait::async_trait]
impl MailSink for Smtp {
    fn remembers(&self) -> bool {
        false
    }

    async fn deliver(&self, mail: &Mail) -> Result<(), Undelivered> {
        let bytes = mail.to_bytes().map_err(|error| Undelivered::Never(error.to_string()))?;
        self.send(&mail.from.address, &mail.to.address, &bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_none_without_a_runtime() {
        for right in
            ["smtp://127.0.0.1:2525", "smtp://u:p%40ss@localhost", "smtps://mail.example.com", "smtp://[::1]:25/"]
        {
            Smtp::check(right).unwrap_or_else(|error| panic!("{right}: {error}"));
        }
        for wrong in ["", "127.0.0.1:25", "http://h/", "smtp://", "smtp://h/path", "smtp://h?tls=none", "smtp://h:port"]
        {
            assert!(Smtp::check(wrong).is_err(), "{wrong}");
        }
    }
}

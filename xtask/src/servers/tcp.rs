//! Talking to a server of any kind: where an address leads, and connections that do not wait for ever.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};

/// What a server gets to accept a connection, and for each piece of an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Connects, with a time limit for this and for everything that is read and written later.
pub fn connect(host: &str, port: u16) -> Result<TcpStream> {
    let address = (host, port)
        .to_socket_addrs()
        .with_context(|| format!("cannot resolve {host}"))?
        .next()
        .with_context(|| format!("{host} has no address"))?;
    let stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).with_context(|| unreachable_at(host, port))?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).context("cannot set a time limit")?;
    stream.set_write_timeout(Some(ANSWER_LIMIT)).context("cannot set a time limit")?;
    Ok(stream)
}

/// The words for a server that is not there, or that hangs up.
pub fn unreachable_at(host: &str, port: u16) -> String {
    format!("no server answers at {host}:{port}")
}

/// The part of a URL between its scheme and its path.
pub fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Takes `HOST:PORT` apart, or `HOST` alone where there is a default port; an IPv6 address stands in brackets.
pub fn host_and_port(host_port: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match host_port.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => host_port.find(':').map_or((host_port, ""), |colon| host_port.split_at(colon)),
    };
    let port = match port.strip_prefix(':') {
        Some(number) => number.parse().ok()?,
        None if port.is_empty() => default_port?,
        None => return None,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let host = |name: &str, port| Some((name.to_owned(), port));
        assert_eq!(host_and_port("127.0.0.1:9092", None), host("127.0.0.1", 9092));
        assert_eq!(host_and_port("[::1]:9092", None), host("::1", 9092));
        assert_eq!(host_and_port("db.example", Some(6379)), host("db.example", 6379));
        assert_eq!(host_and_port("[::1]", Some(6379)), host("::1", 6379));
        for wrong in ["", ":9092", "host", "host:", "host:port", "host:99999", "[::1]x", "[::1"] {
            assert_eq!(host_and_port(wrong, None), None, "{wrong}");
        }
        assert_eq!(authority("u@h:1/path?query"), "u@h:1");
    }
}

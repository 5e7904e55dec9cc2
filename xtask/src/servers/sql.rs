//! What MySQL and MariaDB have in common: settings, address, and ways to ask for the version.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Place, tcp};
use crate::process;

/// Settings that both servers know, and that the figures of `bench` are printed with.
///
/// * Durable as in production: a commit that was answered is on disk, in the log and in the binary log.
/// * 500 connections: the tests of every crate run side by side, each with pools of its own.
/// * Prepared statements: every connection of a pool keeps some 100 of them, and the default limit of 16,382 is for the
///   whole server.
/// * A small buffer pool: no test has more data than that, and the machine may be small.
pub const SETTINGS: &[&str] = &[
    "--innodb-flush-log-at-trx-commit=1",
    "--sync-binlog=1",
    "--max-connections=500",
    "--max-prepared-stmt-count=1000000",
    "--innodb-buffer-pool-size=134217728",
];

/// The longest greeting that we read; real ones have some 100 bytes.
const GREETING_MAX_BYTES: usize = 1024;
/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 3306;

/// The options that say where a server listens and writes, and the common settings.
pub fn options(place: &Place) -> Vec<OsString> {
    let folder = |option: &str, path: &std::path::Path| {
        let mut text = OsString::from(option);
        text.push(path);
        text
    };
    let mut options = vec![
        folder("--datadir=", &place.data()),
        folder("--socket=", &place.folder.join("sock")),
        folder("--pid-file=", &place.folder.join("pid")),
        OsString::from("--bind-address=127.0.0.1"),
        OsString::from(format!("--port={}", place.ports[0])),
    ];
    options.extend(SETTINGS.iter().map(OsString::from));
    options
}

/// Both servers refuse to run as root unless told that it is meant.
pub fn user_option() -> Option<&'static str> {
    process::is_root().then_some("--user=root")
}

/// The address of the private server: root with an empty password, over TCP.
pub fn address(place: &Place) -> String {
    format!("mysql://root@127.0.0.1:{}/", place.ports[0])
}

/// Asks the private server in `place` by the server's own command-line client, over TCP as the tests will.
///
/// It asks for the data folder as well: if that is another one, another server has got the port.
pub fn version(mut client: Command, place: &Place) -> Result<String> {
    let output = client
        .args(["--no-defaults", "--protocol=TCP", "--host=127.0.0.1", "--user=root", "--connect-timeout=5"])
        .arg(format!("--port={}", place.ports[0]))
        .args(["--batch", "--skip-column-names", "--execute=SELECT VERSION(), @@datadir"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot run {}", process::describe(&client)))?;
    if !output.status.success() {
        bail!("no answer: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let answer = String::from_utf8(output.stdout).context("the version is not UTF-8")?;
    let (version, data) = answer.trim().split_once('\t').with_context(|| format!("odd answer {answer:?}"))?;
    ensure!(place.data() == std::path::Path::new(data), "another server, of {data}, has the port");
    Ok(version.to_owned())
}

/// The version in the greeting that a server sends before anybody has logged in, so that no password, no certificate
/// and no client program is needed. It is the text that `VERSION()` gives.
pub fn version_at(url: &str) -> Result<String> {
    let (host, port) = host_and_port(url).context("not of the form mysql://USER:PASSWORD@HOST:PORT/")?;
    let unreachable = || tcp::unreachable_at(&host, port);
    let mut stream = tcp::connect(&host, port)?;
    let mut header = [0; 4];
    stream.read_exact(&mut header).with_context(unreachable)?;
    let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    let mut greeting = vec![0; length.min(GREETING_MAX_BYTES)];
    stream.read_exact(&mut greeting).with_context(unreachable)?;
    greeted_version(&greeting).with_context(|| format!("what answers at {host}:{port} is neither MySQL nor MariaDB"))
}

/// Protocol::HandshakeV10 of MySQL's client/server protocol: the byte 10, then the version, ended by a zero byte.
/// MariaDB puts `5.5.5-` before its own, which is not part of `VERSION()`.
fn greeted_version(greeting: &[u8]) -> Option<String> {
    let text = greeting.strip_prefix(&[10])?;
    let end = text.iter().position(|byte| *byte == 0)?;
    let version = std::str::from_utf8(&text[..end]).ok()?;
    Some(version.strip_prefix("5.5.5-").unwrap_or(version).to_owned())
}

/// Takes a database URL apart as far as we need it; passwords never leave it.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let rest = url.strip_prefix("mysql://").or_else(|| url.strip_prefix("mariadb://"))?;
    let authority = tcp::authority(rest);
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    tcp::host_and_port(host_port, Some(DEFAULT_PORT))
}

/// The first number of a version such as `9.7.4` or `10.11.19-MariaDB-…`.
pub fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// True for the versions of MariaDB, which names itself in them.
pub fn is_mariadb(version: &str) -> bool {
    version.contains("MariaDB")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_url_is_taken_apart_whatever_its_password() {
        let of = |url: &str| host_and_port(url);
        assert_eq!(of("mysql://root@127.0.0.1:4242/"), Some(("127.0.0.1".to_owned(), 4242)));
        assert_eq!(of("mysql://u:p@ss:w@db.example/x?ssl-mode=required"), Some(("db.example".to_owned(), 3306)));
        assert_eq!(of("mariadb://u@[::1]:3307"), Some(("::1".to_owned(), 3307)));
        assert_eq!(of("mysql://u@[::1]/"), Some(("::1".to_owned(), 3306)));
        for wrong in ["", "postgres://a/", "mysql://", "mysql://u@:3306/", "mysql://h:port/", "mysql://[::1]x/"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_greeting_gives_what_version_gives() {
        assert_eq!(greeted_version(b"\x0a9.7.4\0rest").as_deref(), Some("9.7.4"));
        assert_eq!(greeted_version(b"\x0a5.5.5-10.11.19-MariaDB-log\0").as_deref(), Some("10.11.19-MariaDB-log"));
        for odd in [&b""[..], b"\xff\x10\x04Too many connections", b"\x0a9.7.4", b"HTTP/1.1 400\0"] {
            assert_eq!(greeted_version(odd), None);
        }
    }

    #[test]
    fn a_foreign_server_is_asked_without_logging_in() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("mysql://u:secret@{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"\x08\0\0\0\x0a9.7.4\0x").unwrap();
        });
        assert_eq!(version_at(&url).unwrap(), "9.7.4");
        server.join().unwrap();
        let error = format!("{:#}", version_at(&url).unwrap_err());
        assert!(error.contains("no server answers") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(major("9.7.4-1"), Some(9));
        assert_eq!(major("10.11.19-MariaDB-0+deb12u1-log"), Some(10));
        assert_eq!(major("MariaDB"), None);
        assert!(is_mariadb("10.11.19-MariaDB-log") && !is_mariadb("9.7.4"));
    }
}

//! Redis, out of the distribution: 7.0 on Debian 12.
//!
//! Debian's `redis-server` would add a system service, and start it. The program itself is in `redis-tools`: Redis is
//! one program that looks at the name by which it is called, and that package calls it `redis-check-rdb`. A link of the
//! right name makes it the server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Place, Server, tcp};
use crate::install::Cache;
use crate::process::{self, Interrupts};

/// The oldest version that is tried.
const OLDEST_MAJOR: u32 = 7;
/// The name by which the program is a server.
const PROGRAM: &str = "redis-server";
/// The name by which `redis-tools` has the same program.
const SAME_PROGRAM: &str = "redis-check-rdb";
/// The port of a URL that names none.
const DEFAULT_PORT: u16 = 6379;
/// The longest answer that we read; the section of `INFO` that we ask for has less than 1 KB.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// The module's entry.
pub struct Redis;

impl Server for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn variable(&self) -> &'static str {
        "TICKIZ_TEST_REDIS_URL"
    }

    fn install(&self, cache: &Cache, _interrupts: &Interrupts) -> Result<()> {
        if process::find_program(PROGRAM).is_some() {
            return Ok(());
        }
        cache.need_programs(&[SAME_PROGRAM], &["redis-tools"])
    }

    fn initialise(&self, place: &Place) -> Result<Option<Command>> {
        std::fs::create_dir(place.data()).with_context(|| format!("cannot create {}", place.data().display()))?;
        if process::find_program(PROGRAM).is_none()
            && let Some(same_program) = process::find_program(SAME_PROGRAM)
        {
            std::os::unix::fs::symlink(same_program, place.folder.join(PROGRAM)).context("cannot link Redis")?;
        }
        Ok(None)
    }

    fn serve(&self, place: &Place) -> Result<Command> {
        let mut command =
            process::command(process::find_program(PROGRAM).unwrap_or_else(|| place.folder.join(PROGRAM)));
        command
            .args(["--bind", "127.0.0.1", "--port", &place.ports[0].to_string()])
            // Nothing on disk: what Redis holds may be lost, and tests may rely on nothing else.
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(place.data());
        Ok(command)
    }

    fn address(&self, place: &Place) -> String {
        format!("redis://127.0.0.1:{}/", place.ports[0])
    }

    /// Asks for the data folder as well: if that is another one, another server has got the port.
    fn version(&self, place: &Place) -> Result<String> {
        let mut connection = Connection::open("127.0.0.1", place.ports[0])?;
        let version = connection.version()?;
        let setting = connection.ask(&["CONFIG", "GET", "dir"])?;
        let data = setting.get(1).context("Redis does not say where its data is")?;
        ensure!(place.data() == std::path::Path::new(data), "another server, of {data}, has the port");
        Ok(version)
    }

    fn version_at(&self, address: &str) -> Result<String> {
        let target = Target::parse(address).context("not of the form redis://USER:PASSWORD@HOST:PORT/")?;
        let mut connection = Connection::open(&target.host, target.port)?;
        if !target.login.is_empty() {
            let mut words = vec!["AUTH"];
            words.extend(target.login.iter().map(String::as_str));
            connection.ask(&words).context("Redis refuses the user or the password")?;
        }
        connection.version()
    }

    fn check_version(&self, version: &str) -> Result<()> {
        match super::sql::major(version) {
            Some(major) if major >= OLDEST_MAJOR => Ok(()),
            _ => bail!("{}: wanted Redis {OLDEST_MAJOR} or newer, got {version}", self.variable()),
        }
    }
}

/// A Redis URL taken apart as far as we need it; passwords never leave it.
#[derive(PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    /// What `AUTH` is given: nothing, a password, or a user and a password.
    login: Vec<String>,
}

impl Target {
    fn parse(url: &str) -> Option<Self> {
        let authority = tcp::authority(url.strip_prefix("redis://")?);
        let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = tcp::host_and_port(host_port, Some(DEFAULT_PORT))?;
        let login = match user_info.split_once(':') {
            Some(("", password)) => vec![percent_decoded(password)?],
            Some((user, password)) => vec![percent_decoded(user)?, percent_decoded(password)?],
            None => Vec::new(),
        };
        Some(Self { host, port, login })
    }
}

/// RFC 3986, section 2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// As much of RESP, Redis' protocol, as a few questions need.
struct Connection {
    stream: BufReader<TcpStream>,
    peer: String,
}

impl Connection {
    fn open(host: &str, port: u16) -> Result<Self> {
        let stream = BufReader::new(tcp::connect(host, port)?);
        Ok(Self { stream, peer: format!("Redis at {host}:{port}") })
    }

    /// Sends one command and returns the texts of its answer.
    fn ask(&mut self, words: &[&str]) -> Result<Vec<String>> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.stream.get_mut().write_all(command.as_bytes()).with_context(|| self.peer.clone())?;
        answer(&mut self.stream).with_context(|| self.peer.clone())
    }

    fn version(&mut self) -> Result<String> {
        let pong = self.ask(&["PING"])?;
        ensure!(pong == ["PONG"], "odd answer {pong:?}");
        let info = self.ask(&["INFO", "server"])?;
        let version = info.iter().flat_map(|text| text.lines()).find_map(|line| line.strip_prefix("redis_version:"));
        version.map(str::to_owned).context("Redis does not say its version")
    }
}

/// Reads one answer; the elements of an array one after the other.
fn answer(stream: &mut impl BufRead) -> Result<Vec<String>> {
    let mut line = String::new();
    stream.by_ref().take(ANSWER_MAX_BYTES).read_line(&mut line).context("no answer")?;
    let line = line.strip_suffix("\r\n").context("half an answer")?;
    let (kind, text) = line.split_at_checked(1).context("an empty answer")?;
    match kind {
        "+" | ":" => Ok(vec![text.to_owned()]),
        "-" => bail!("refused: {text}"),
        "$" => {
            let length: usize = text.parse().context("odd length of an answer")?;
            let mut bulk = Vec::new();
            stream.take(ANSWER_MAX_BYTES.min(length as u64 + 2)).read_to_end(&mut bulk).context("half an answer")?;
            let text = bulk.strip_suffix(b"\r\n").filter(|text| text.len() == length).context("half an answer")?;
            Ok(vec![String::from_utf8(text.to_vec()).context("an answer is not UTF-8")?])
        }
        "*" => {
            let count: usize = text.parse().context("odd length of an answer")?;
            let mut texts = Vec::new();
            for _ in 0..count {
                texts.extend(answer(stream)?);
            }
            Ok(texts)
        }
        _ => bail!("what answers is not Redis"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_a_new_redis_passes() {
        for good in ["7.0.15", "8.0.2"] {
            Redis.check_version(good).unwrap();
        }
        for bad in ["6.2.14", "", "valkey"] {
            assert!(Redis.check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_is_taken_apart_whatever_its_password() {
        let of = |url: &str| Target::parse(url).map(|target| (target.host, target.port, target.login.join(" ")));
        let target = |host: &str, port, login: &str| Some((host.to_owned(), port, login.to_owned()));
        assert_eq!(of("redis://127.0.0.1:4242/"), target("127.0.0.1", 4242, ""));
        assert_eq!(of("redis://:p%40ss@cache.example/3"), target("cache.example", 6379, "p@ss"));
        assert_eq!(of("redis://u:p@ss:w@[::1]:1"), target("::1", 1, "u p@ss:w"));
        for wrong in ["", "rediss://h/", "redis://", "redis://:6379/", "redis://h:port/", "redis://:%4@h/"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_are_read_to_their_end() {
        let of = |text: &str| answer(&mut text.as_bytes());
        assert_eq!(of("+PONG\r\n").unwrap(), ["PONG"]);
        assert_eq!(of("*2\r\n$3\r\ndir\r\n$4\r\n/a\r\n\r\n").unwrap(), ["dir", "/a\r\n"]);
        for odd in ["", "+PONG", "\r\n", "-NOAUTH Authentication required.\r\n", "$4\r\nab\r\n", "HTTP/1.1 400\r\n"] {
            assert!(of(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_foreign_server_is_asked_with_its_password_which_is_never_shown() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://:secret@{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"+OK\r\n+PONG\r\n$25\r\n# Server\r\nredis_version:1\r\n").unwrap();
            let mut asked = [0; 26];
            stream.read_exact(&mut asked).unwrap();
            // Until the client is content: hanging up on what it still asks would take the answers from it.
            stream.read_to_end(&mut Vec::new()).unwrap();
            asked
        });
        assert_eq!(Redis.version_at(&url).unwrap(), "1");
        assert!(server.join().unwrap().ends_with(b"secret\r\n"));
        let error = format!("{:#}", Redis.version_at(&url).unwrap_err());
        assert!(error.contains("no server answers") && !error.contains("secret"), "{error}");
    }
}

//! A mail server that sends nothing on: each mail becomes a file. For `cargo xtask up`, on loopback.
//!
//! It speaks SMTP (RFC 5321) as far as a client of ours may go, with AUTH PLAIN and LOGIN (RFC 4954) that take any credentials.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// The biggest mail, in bytes; told to the client (RFC 1870).
const MAX_MAIL_BYTES: u64 = 32 << 20;
/// The longest line of a command, in bytes (RFC 5321 section 4.5.3.1.4, and room for AUTH).
const MAX_LINE_BYTES: u64 = 16 * 1024;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Takes mails on that socket into the folder, for as long as the process lives.
fn run(listener: TcpListener, folder: PathBuf) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A client that goes away in the middle has sent nothing.
            thread::spawn(move || Session::new(stream, &folder).and_then(|mut session| session.run()));
        }
    });
}

struct Session<'a> {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    folder: &'a Path,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Session<'a> {
    fn new(stream: TcpStream, folder: &'a Path) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { reader: BufReader::new(stream.try_clone()?), writer: stream, folder, from: None, to: Vec::new() })
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.writer.write_all(format!("{line}\r\n").as_bytes())
    }

    /// A line without its end; `None` where the client has gone.
    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        Ok((read > 0).then_some(text))
    }

    fn run(&mut self) -> std::io::Result<()> {
        self.say("220 localhost ESMTP")?;
        while let Some(line) = self.line()? {
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let greeting =
                        format!("250-localhost\r\n250-8BITMIME\r\n250-SIZE {MAX_MAIL_BYTES}\r\n250 AUTH PLAIN LOGIN");
                    self.say(&greeting)?;
                }
                "HELO" => self.say("250 localhost")?,
                "AUTH" => self.authenticate(rest)?,
                "MAIL" => {
                    self.from = Some(rest.to_owned());
                    self.to.clear();
                    self.say("250 OK")?;
                }
                "RCPT" if self.from.is_some() => {
                    self.to.push(rest.to_owned());
                    self.say("250 OK")?;
                }
                "DATA" if !self.to.is_empty() => self.data()?,
                "RCPT" | "DATA" => self.say("503 MAIL and RCPT come first")?,
                "RSET" => {
                    self.from = None;
                    self.to.clear();
                    self.say("250 OK")?;
                }
                "NOOP" => self.say("250 OK")?,
                "QUIT" => return self.say("221 bye"),
                _ => self.say("502 not known here")?,
            }
        }
        Ok(())
    }

    fn authenticate(&mut self, rest: &str) -> std::io::Result<()> {
        // PLAIN may come in one line; LOGIN asks for two.
        let questions = match rest.split(' ').collect::<Vec<_>>().as_slice() {
            ["PLAIN", _] => &[][..],
            ["PLAIN"] => &[""][..],
            ["LOGIN", _] => &["UGFzc3dvcmQ6"][..],
            ["LOGIN"] => &["VXNlcm5hbWU6", "UGFzc3dvcmQ6"][..],
            _ => return self.say("504 PLAIN or LOGIN"),
        };
        for question in questions {
            self.say(&format!("334 {question}"))?;
            self.line()?;
        }
        self.say("235 welcome")
    }

    fn data(&mut self) -> std::io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        self.say("354 end with a single full stop")?;
        let mut mail = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.reader.by_ref().take(MAX_MAIL_BYTES).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if line == b".\r\n" {
                break;
            }
            // A full stop at the beginning was doubled (RFC 5321 section 4.5.2).
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if mail.len() as u64 > MAX_MAIL_BYTES {
                return self.say("552 too large");
            }
        }
        let name = format!("{}-{}.eml", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Whole or not at all: others read the folder at any moment.
        let written = tempfile::NamedTempFile::new_in(self.folder).and_then(|mut file| {
            file.write_all(&mail)?;
            file.persist(self.folder.join(name)).map_err(|error| error.error)
        });
        self.from = None;
        self.to.clear();
        self.say(if written.is_ok() { "250 taken" } else { "451 it cannot be written" })
    }
}

/// Makes the folder, and takes mails into it; where it listens.
pub fn start(folder: &Path) -> anyhow::Result<String> {
    fs::create_dir_all(folder)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    run(listener, folder.to_owned());
    Ok(address)
}

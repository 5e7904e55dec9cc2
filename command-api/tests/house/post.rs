//! The processes that write mails, and a mail server of the test's own.

use std::{path::Path, sync::Arc};

use tickiz_command_api::{
    stores::{Database, INBOX, StoreAt},
    workers::{
        checkpoint::Checkpoint,
        mails::{
            ANNOUNCEMENTS, Announcer, CONSUMER, LEASE, MailWorker, Post, Rounds,
            message::Mailbox,
            sink::{DeadLetters, Folder, Smtp},
            writing::Writer,
        },
    },
};
use tickiz_documents::Templates;
use tickiz_tickets::{KeyRing, TicketSigner};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    House, LogList,
    faults::{Faults, FaultyBookings, FaultyFolder},
};

/// A mail server of the test's own, that takes mails into memory and says what it is told to.
#[derive(Clone)]
pub struct MailServer {
    address: std::net::SocketAddr,
    taken: Arc<parking_lot::Mutex<Vec<String>>>,
    /// What the next mails are answered; an empty one hangs up. Afterwards they are taken.
    answers: Arc<parking_lot::Mutex<std::collections::VecDeque<String>>>,
}

impl MailServer {
    /// Listens.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Self { address, taken: Arc::default(), answers: Arc::default() };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        server
    }

    /// Where it listens, with its user.
    pub fn url(&self) -> String {
        format!("smtp://user:p%40ss@{}", self.address)
    }

    /// What it says to the next mails.
    pub fn answers(&self, answers: &[&str]) {
        self.answers.lock().extend(answers.iter().map(|answer| (*answer).to_owned()));
    }

    /// How many of those are left.
    pub fn left(&self) -> usize {
        self.answers.lock().len()
    }

    /// It takes everything from now on.
    pub fn forget_answers(&self) {
        self.answers.lock().clear();
    }

    /// What it took.
    pub fn taken(&self) -> Vec<String> {
        self.taken.lock().clone()
    }

    async fn talk(&self, stream: tokio::net::TcpStream) -> Option<()> {
        use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
        let (reader, mut writer) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(reader).lines();
        writer.write_all(b"220 test ESMTP\r\n").await.ok()?;
        loop {
            let line = lines.next_line().await.ok()??;
            let answer = match line.split(' ').next().unwrap_or_default() {
                "EHLO" => "250-test\r\n250 AUTH PLAIN".to_owned(),
                "AUTH" => {
                    // "\0user\0p@ss"
                    assert_eq!(line, "AUTH PLAIN AHVzZXIAcEBzcw==");
                    "235 welcome".to_owned()
                }
                "RCPT" if line.contains("nobody@") => "550 nobody of that name".to_owned(),
                "DATA" => {
                    writer.write_all(b"354 go on\r\n").await.ok()?;
                    let mut mail = String::new();
                    loop {
                        let line = lines.next_line().await.ok()??;
                        if line == "." {
                            break;
                        }
                        mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.push_str("\r\n");
                    }
                    let answer = self.answers.lock().pop_front().unwrap_or_else(|| "250 taken".to_owned());
                    if answer.is_empty() {
                        return None;
                    }
                    if answer.starts_with("250") {
                        self.taken.lock().push(mail);
                    }
                    answer
                }
                "QUIT" => return None,
                _ => "250 OK".to_owned(),
            };
            writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

/// What the mails' processes share.
pub struct Mails {
    /// Where mails go without a server.
    pub folder: tempfile::TempDir,
    /// What codes are signed with.
    pub keys: Arc<KeyRing>,
    /// Where the processes note how far they have come.
    pub checkpoints: Database,
    /// Mails go there instead of into the folder.
    pub server: Option<MailServer>,
    /// What a writer reads of bookings, and the folder, fail on order.
    pub faults: Option<Faults>,
}

impl Mails {
    /// Nothing sent yet.
    pub async fn new() -> Self {
        let mut keys = KeyRing::default();
        keys.add(TicketSigner::from_seed(1, &[7; 32])).expect("the first key");
        let checkpoints = Database::open(&StoreAt::Memory).await.expect("a store in memory");
        checkpoints.migrate(&INBOX).await.expect("its tables");
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            keys: Arc::new(keys),
            checkpoints,
            server: None,
            faults: None,
        }
    }

    /// A process that writes mails, until it is told to stop.
    pub async fn run(
        &self,
        house: &House,
        checkpoints: &Database,
        process: u128,
    ) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let clock = Arc::new(house.world.clock.clone());
        let checkpoint =
            |name| Checkpoint::new(checkpoints.clone(), clock.clone(), name, Uuid::from_u128(process), LEASE);
        let folder = Folder::open(self.folder.path()).await.expect("a folder");
        let post = Arc::new(Post {
            bookings: match &self.faults {
                Some(faults) => Arc::new(FaultyBookings::reading(house.world.system.clone(), faults.clone())),
                None => house.bookings.clone(),
            },
            sink: match (&self.server, &self.faults) {
                (Some(server), _) => Arc::new(Smtp::at(&server.url()).expect("an address")),
                (None, Some(faults)) => Arc::new(FaultyFolder::new(folder, faults.clone())),
                (None, None) => Arc::new(folder),
            },
            undeliverable: DeadLetters::open(&self.folder.path().join("undeliverable")).await.expect("a folder"),
            keys: self.keys.clone(),
            writer: Writer {
                templates: Arc::new(Templates::built_in().expect("they are tried at build")),
                from: Mailbox { name: "Tickiz".to_owned(), address: "tickets@tickiz.example".to_owned() },
            },
            tokens: house.world.system.keys().clone(),
            public_url: "https://tickiz.example".to_owned(),
        });
        let log = house.world.log.clone();
        let worker = MailWorker { log: log.clone(), checkpoint: checkpoint(CONSUMER), post: post.clone() };
        let announcer = Announcer {
            log: log.clone(),
            checkpoint: checkpoint(ANNOUNCEMENTS),
            post,
            list: Arc::new(LogList(log)),
            rounds: Rounds::new(checkpoints.clone()),
        };
        let stop = CancellationToken::new();
        let (of_bookings, of_shows) = (stop.clone(), stop.clone());
        let running = tokio::spawn(async move {
            tokio::join!(worker.run(of_bookings), announcer.run(of_shows));
        });
        (stop, running)
    }

    /// The mails' names, in order.
    pub fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path())
            .expect("it reads")
            .map(|entry| entry.expect("it reads").file_name().into_string().expect("a name of ours"));
        let mut names: Vec<String> =
            names.filter(|name| Path::new(name).extension().is_some_and(|of| of == "eml")).collect();
        names.sort();
        names
    }

    /// A mail's headers, unfolded, and its plain text.
    pub fn read(&self, name: &str) -> (Vec<String>, String) {
        let bytes = std::fs::read_to_string(self.folder.path().join(name)).expect("a mail is ASCII");
        let (head, parts) = bytes.split_once("\r\n\r\n").expect("headers and parts");
        let headers = head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect();
        let (_, part) = parts.split_once("Content-Type: text/plain").expect("a plain text");
        let (_, body) = part.split_once("\r\n\r\n").expect("a part has headers");
        let (body, _) = body.split_once("\r\n--=_").expect("a part ends");
        let mut text = Vec::new();
        let mut rest = body.replace("=\r\n", "").replace("\r\n", "\n");
        while let Some(at) = rest.find('=') {
            text.extend_from_slice(&rest.as_bytes()[..at]);
            text.push(u8::from_str_radix(&rest[at + 1..at + 3], 16).expect("quoted-printable"));
            rest = rest[at + 3..].to_owned();
        }
        text.extend_from_slice(rest.as_bytes());
        (headers, String::from_utf8(text).expect("UTF-8"))
    }
}

/// The value of a header that stands once.
pub fn header<'a>(headers: &'a [String], name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let mut found = headers.iter().filter_map(|header| header.strip_prefix(&prefix));
    let value = found.next().unwrap_or_else(|| panic!("no {name} in {headers:#?}"));
    assert_eq!(found.next(), None, "{name} stands once");
    value
}

//! Tickiz distributed: every role twice as a process of its own, over one MySQL, one Kafka and one Redis.

use std::{collections::BTreeMap, path::PathBuf};

use serde_json::Value;

use super::{Database, Start, Tickiz, command, free_ports};

/// What runs: role and which of the two.
pub const PROCESSES: [(&str, usize); 10] = [
    ("command-api", 0),
    ("command-api", 1),
    ("query-api", 0),
    ("query-api", 1),
    ("relay", 0),
    ("relay", 1),
    ("projector", 0),
    ("projector", 1),
    ("worker", 0),
    ("worker", 1),
];

/// The processes, and what they share.
pub struct House {
    pub database: Database,
    pub folder: tempfile::TempDir,
    pub brokers: String,
    redis: String,
    pub topic: String,
    extra: Vec<(String, String)>,
    /// A port each, the same for as long as it runs.
    ports: Vec<u16>,
    running: BTreeMap<(&'static str, usize), Tickiz>,
}

/// Where the servers are.
pub struct Servers {
    pub mysql: String,
    pub brokers: String,
    pub redis: String,
}

fn server(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "{variable} is not set");
        println!("skipped: {variable} is not set; `cargo xtask test` sets it");
    }
    found
}

impl House {
    /// All of them, each with this in its environment too. `None` where a server is missing.
    pub async fn open(extra: Vec<(String, String)>) -> Option<Self> {
        let (brokers, redis) = (server("TICKIZ_TEST_KAFKA_BROKERS")?, server("TICKIZ_TEST_REDIS_URL")?);
        let mysql = server("TICKIZ_TEST_MYSQL_URL")?;
        Some(Self::open_on(Servers { mysql, brokers, redis }, extra).await)
    }

    /// The same on these servers.
    pub async fn open_on(servers: Servers, extra: Vec<(String, String)>) -> Self {
        let Servers { mysql, brokers, redis } = servers;
        let database = Database::create_at(&mysql).await;
        let migrated = command().arg("migrate").env("TICKIZ_MYSQL_URL", &database.url).status().await.expect("it runs");
        assert!(migrated.success());
        let topic = database.url.rsplit('/').next().expect("a database").to_owned();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = free_ports(PROCESSES.len());
        let mut house = Self { database, brokers, redis, topic, folder, extra, ports, running: BTreeMap::new() };
        for (role, number) in PROCESSES {
            house.start(role, number).await;
        }
        house
    }

    /// Where a process listens.
    pub fn url_of(&self, role: &str, number: usize) -> String {
        let index = PROCESSES.iter().position(|process| *process == (role, number)).expect("a process of ours");
        format!("http://127.0.0.1:{}", self.ports[index])
    }

    /// Starts a process.
    pub async fn start(&mut self, role: &'static str, number: usize) {
        let listen = self.url_of(role, number).trim_start_matches("http://").to_owned();
        let commands = format!("{},{}", self.url_of("command-api", 0), self.url_of("command-api", 1));
        let public = self.url_of("query-api", 0);
        let mut environment = vec![
            ("TICKIZ_LISTEN", listen.as_str()),
            ("TICKIZ_PUBLIC_URL", &public),
            ("TICKIZ_KAFKA_BROKERS", &self.brokers),
            ("TICKIZ_KAFKA_TOPIC", &self.topic),
            ("TICKIZ_REDIS_URL", &self.redis),
            ("TICKIZ_COMMAND_API_URLS", &commands),
        ];
        environment.extend(self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let log = self.log_of(role, number);
        let started = Tickiz::start(Start {
            log: Some(&log),
            data_dir: Some(self.folder.path()),
            mysql_url: Some(&self.database.url),
            arguments: vec![role],
            environment,
        })
        .await;
        self.running.insert((role, number), started);
    }

    fn log_of(&self, role: &str, number: usize) -> PathBuf {
        self.folder.path().join(format!("{role}-{number}.log"))
    }

    /// The log of each process.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        PROCESSES.map(|(role, number)| (format!("{role} {number}"), self.log_of(role, number))).to_vec()
    }

    /// A query-api.
    pub fn front(&self, number: usize) -> &Tickiz {
        self.process("query-api", number)
    }

    /// A process.
    pub fn process(&self, role: &'static str, number: usize) -> &Tickiz {
        &self.running[&(role, number)]
    }

    /// A process, out of the house's care.
    pub fn take(&mut self, role: &'static str, number: usize) -> Tickiz {
        self.running.remove(&(role, number)).expect("it runs")
    }

    /// SIGKILL.
    pub async fn kill(&mut self, role: &'static str, number: usize) {
        self.take(role, number).kill().await;
    }

    /// Redis forgets everything.
    pub async fn flush_redis(&self) {
        self.redis(&["FLUSHALL"]).await;
    }

    /// Stops every process, in order.
    pub async fn stop(&mut self) {
        while let Some((process, running)) = self.running.pop_first() {
            assert!(running.stop().await.success(), "{process:?} drains and ends well");
        }
    }

    /// `tickiz verify` over all of it, with this topic: its exit code and report.
    pub async fn verify(&self, topic: &str) -> (i32, Value) {
        let mut verify = command();
        verify.args(["verify", "--json"]).env("TICKIZ_MYSQL_URL", &self.database.url);
        verify.env("TICKIZ_DATA_DIR", self.folder.path()).env("TICKIZ_REDIS_URL", &self.redis);
        verify.env("TICKIZ_KAFKA_BROKERS", &self.brokers).env("TICKIZ_KAFKA_TOPIC", topic);
        let output = verify.output().await.expect("verify runs");
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("verify prints JSON, not {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().expect("verify ends by itself"), report)
    }

    /// Stops everything, and has the promises checked.
    pub async fn close(mut self) -> tempfile::TempDir {
        self.stop().await;
        let (exit, report) = self.verify(&self.topic).await;
        assert_eq!(exit, 0, "{report:#}");
        self.database.drop_it().await;
        self.folder
    }

    /// One command to Redis; its answer as it comes over the wire.
    pub async fn redis(&self, words: &[&str]) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let address = self.redis.trim_start_matches("redis://").trim_end_matches('/');
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("Redis accepts");
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        // With a QUIT behind it, everything that comes is the answer.
        command += "*1\r\n$4\r\nQUIT\r\n";
        stream.write_all(command.as_bytes()).await.expect("Redis reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("Redis answers");
        let answer = String::from_utf8(answer).expect("what we keep is text");
        assert!(!answer.starts_with('-'), "{words:?}: {answer}");
        answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned()
    }
}

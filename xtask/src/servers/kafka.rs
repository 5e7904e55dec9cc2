//! Apache Kafka 4.3, one node that is broker and controller (KRaft), out of Maven's repository of jars.
//!
//! Debian has no Kafka, but a Java and a Maven, and Maven brings Kafka's jars with all that they need into one folder.
//! It takes 54 MB and half a minute, once; what Maven keeps besides in its own repository is Maven's.

use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{Place, Server, tcp};
use crate::install::{self, Cache};
use crate::process::{self, Interrupts, OnInterrupt};

/// What the folder is made by. A change here makes it anew on every machine.
///
/// Kafka's jars speak to slf4j 1.7, so the binding is log4j's for that one.
const POM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tickiz</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.1</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.25.1</version>
    </dependency>
  </dependencies>
  <build><plugins>
    <plugin><artifactId>maven-dependency-plugin</artifactId><version>2.8</version></plugin>
  </plugins></build>
</project>
"#;

/// What it says: warnings, its version, and that it has started, which [`started_version`] looks for.
const LOGGING: &str = "\
status=error
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c{1}: %m%n%throwable{short}
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.version.name=org.apache.kafka.common.utils.AppInfoParser
logger.version.level=info
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=info
";

/// Memory that tests are content with, and a collector without threads of its own for a machine with few cores. Without
/// the last one, a JVM that is killed leaves a file in the temporary folder.
const JVM_OPTIONS: &[&str] = &["-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData"];

/// Settings that do not depend on the place.
///
/// * One node: nothing can be replicated.
/// * Topics are created by whoever wants them, with the partitions that he wants, never by a typing error.
/// * Nobody waits for other members of a group, and internal topics have one partition each: starts are quick.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
";

/// The oldest version that is tried.
const OLDEST_MAJOR: u32 = 4;
/// The request by which clients ask what a broker understands, in its first version, which every broker answers.
const API_VERSIONS: i16 = 18;
/// A request that Kafka 4.0 was the first to understand in this version.
const SINCE_4_0: Api = Api { key: 68, highest: 1 };
/// The longest answer that we read; real ones have some 500 bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// The module's entry.
pub struct Kafka {
    folder: PathBuf,
}

impl Kafka {
    /// Knows where the jars are, or will be.
    pub fn new(cache: &Cache) -> Self {
        Self { folder: cache.folder("kafka") }
    }

    fn jars(&self) -> PathBuf {
        self.folder.join("libs")
    }

    /// One of Kafka's programs. What the JVM unpacks goes with the place.
    fn program(&self, place: &Place, main_class: &str) -> Command {
        let option = |option: &str, path: PathBuf| {
            let mut text = OsString::from(option);
            text.push(path);
            text
        };
        let mut command = java();
        command
            .args(JVM_OPTIONS)
            .arg(option("-Djava.io.tmpdir=", place.folder.clone()))
            .arg(option("-Dlog4j2.configurationFile=file:", logging_file(place)))
            .arg("-cp")
            // Java resolves the star.
            .arg(self.jars().join("*"))
            .arg(main_class);
        command
    }
}

fn java() -> Command {
    process::command(process::find_program("java").unwrap_or_else(|| "java".into()))
}

fn settings_file(place: &Place) -> PathBuf {
    place.folder.join("server.properties")
}

fn logging_file(place: &Place) -> PathBuf {
    place.folder.join("log4j2.properties")
}

/// Writes what depends on the ports.
fn write_settings(place: &Place) -> Result<()> {
    let [broker, controller] = place.ports[..] else { bail!("Kafka wants two ports") };
    let text = format!(
        "{SETTINGS}\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{broker}\n\
         log.dirs={}\n",
        place.data().display()
    );
    let file = settings_file(place);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// 16 bytes in Base64: hexadecimal digits are digits of Base64 too, and the last may be an `A`. Half of it is random,
/// which keeps a node from taking another run's for a part of its own cluster.
fn cluster_id() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{random:016x}AAAAAA")
}

impl Server for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn variable(&self) -> &'static str {
        "TICKIZ_TEST_KAFKA_BROKERS"
    }

    fn install(&self, cache: &Cache, interrupts: &Interrupts) -> Result<()> {
        if install::is_complete(&self.folder, POM) {
            return cache.need_programs(&["java"], &["openjdk-17-jre-headless"]);
        }
        cache.need_programs(&["java", "mvn"], &["openjdk-17-jre-headless", "maven"])?;
        install::clear(&self.folder, interrupts)?;
        eprintln!("xtask: filling {} with Maven (54 MB, half a minute)", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {}", self.folder.display()))?;
        let pom = self.folder.join("pom.xml");
        std::fs::write(&pom, POM).with_context(|| format!("cannot write {}", pom.display()))?;
        let mut output = OsString::from("-DoutputDirectory=");
        output.push(self.jars());
        let mut maven = process::command(process::find_program("mvn").unwrap_or_else(|| "mvn".into()));
        maven
            .current_dir(&self.folder)
            .args(["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(output);
        cache.run_logged(&mut maven, &cache.folder("kafka.log"), OnInterrupt::Stop)?;
        install::mark_complete(&self.folder, POM)
    }

    /// One for clients, one for the controller.
    fn port_count(&self) -> usize {
        2
    }

    fn initialise(&self, place: &Place) -> Result<Option<Command>> {
        let logging = logging_file(place);
        std::fs::write(&logging, LOGGING).with_context(|| format!("cannot write {}", logging.display()))?;
        write_settings(place)?;
        let mut command = self.program(place, "kafka.tools.StorageTool");
        command.args(["format", "--cluster-id", &cluster_id(), "--config"]).arg(settings_file(place));
        Ok(Some(command))
    }

    fn serve(&self, place: &Place) -> Result<Command> {
        write_settings(place)?;
        let mut command = self.program(place, "kafka.Kafka");
        command.arg(settings_file(place));
        Ok(command)
    }

    fn address(&self, place: &Place) -> String {
        format!("127.0.0.1:{}", place.ports[0])
    }

    /// The broker is asked as a client would; its log says whether it is ours that has answered, and its version.
    fn version(&self, place: &Place) -> Result<String> {
        apis("127.0.0.1", place.ports[0])?;
        let log = std::fs::read(place.log()).with_context(|| format!("cannot read {}", place.log().display()))?;
        started_version(&String::from_utf8_lossy(&log)).context("not started yet")
    }

    fn version_at(&self, address: &str) -> Result<String> {
        let (host, port) = address
            .split(',')
            .next()
            .and_then(|first| tcp::host_and_port(first.trim(), None))
            .context("not of the form HOST:PORT,HOST:PORT…")?;
        Ok(release(&apis(&host, port)?).to_owned())
    }

    fn check_version(&self, version: &str) -> Result<()> {
        match super::sql::major(version) {
            Some(major) if major >= OLDEST_MAJOR => Ok(()),
            _ => bail!("{}: wanted Kafka {OLDEST_MAJOR} or newer, got {version}", self.variable()),
        }
    }
}

/// The version in the log of a broker that has started.
fn started_version(log: &str) -> Option<String> {
    if !log.contains("Kafka Server started") {
        return None;
    }
    let (_, version) = log.lines().find_map(|line| line.split_once("Kafka version: "))?;
    version.split_whitespace().next().map(str::to_owned)
}

/// A kind of request, and the highest version of it that a broker understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Api {
    key: i16,
    highest: i16,
}

/// A broker does not tell its version, only what it understands.
fn release(apis: &[Api]) -> &'static str {
    match apis.iter().find(|api| api.key == SINCE_4_0.key) {
        Some(api) if api.highest >= SINCE_4_0.highest => "4.0 or newer",
        _ => "older than 4.0",
    }
}

/// Asks a broker which requests it understands.
fn apis(host: &str, port: u16) -> Result<Vec<Api>> {
    // Length; then kind of request, its version, a number that comes back, and the name of the client: none.
    const CORRELATION: [u8; 4] = 1_i32.to_be_bytes();
    const NO_NAME: [u8; 2] = (-1_i16).to_be_bytes();
    let mut request = API_VERSIONS.to_be_bytes().to_vec();
    request.extend(0_i16.to_be_bytes());
    request.extend(CORRELATION);
    request.extend(NO_NAME);

    let mut stream = tcp::connect(host, port)?;
    let unreachable = || tcp::unreachable_at(host, port);
    let length = u32::try_from(request.len()).context("the request is too long")?;
    stream.write_all(&[&length.to_be_bytes()[..], &request].concat()).with_context(unreachable)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).with_context(unreachable)?;
    let length = usize::try_from(u32::from_be_bytes(length)).context("the answer is too long")?;
    let not_kafka = || format!("what answers at {host}:{port} is not Kafka");
    ensure!(length <= ANSWER_MAX_BYTES, not_kafka());
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).with_context(unreachable)?;
    answer.strip_prefix(&CORRELATION).and_then(understood).with_context(not_kafka)
}

/// ApiVersionsResponse, version 0: an error code, a count, and so many kinds of request with their lowest and highest
/// versions.
fn understood(answer: &[u8]) -> Option<Vec<Api>> {
    let (error, rest) = answer.split_first_chunk::<2>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    if i16::from_be_bytes(*error) != 0 {
        return None;
    }
    let number = |bytes: &[u8]| Some(i16::from_be_bytes(*bytes.first_chunk()?));
    let apis: Option<Vec<Api>> =
        rest.chunks_exact(6).map(|api| Some(Api { key: number(api)?, highest: number(&api[4..])? })).collect();
    apis.filter(|apis| u32::try_from(apis.len()).is_ok_and(|length| length == u32::from_be_bytes(*count)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn kafka() -> Kafka {
        Kafka { folder: PathBuf::from("/nowhere") }
    }

    #[test]
    fn only_a_new_kafka_passes() {
        for good in ["4.3.1", "4.0 or newer"] {
            kafka().check_version(good).unwrap();
        }
        for bad in ["3.9.1", "older than 4.0", ""] {
            assert!(kafka().check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_broker_has_started_only_once_its_log_says_so() {
        let starting = "2026-01-01 INFO AppInfoParser: Kafka version: 4.3.1\n";
        assert_eq!(started_version(starting), None);
        let started =
            format!("{starting}2026-01-01 INFO KafkaRaftServer: [KafkaRaftServer nodeId=1] Kafka Server started\n");
        assert_eq!(started_version(&started).as_deref(), Some("4.3.1"));
    }

    #[test]
    fn a_cluster_id_has_the_length_of_16_bytes_and_is_new_each_time() {
        let (one, other) = (cluster_id(), cluster_id());
        assert_eq!(one.len(), 22);
        assert_ne!(one, other);
    }

    /// An answer that understands one kind of request in versions 0 to `highest`.
    fn answer(highest: u8) -> Vec<u8> {
        vec![0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 68, 0, 0, 0, highest]
    }

    #[test]
    fn an_answer_tells_old_brokers_from_new_ones_and_both_from_other_servers() {
        let of = |answer: &[u8]| understood(&answer[8..]).map(|apis| release(&apis));
        assert_eq!(of(&answer(1)), Some("4.0 or newer"));
        assert_eq!(of(&answer(0)), Some("older than 4.0"));
        assert_eq!(understood(&[0, 0, 0, 0, 0, 0]).map(|apis| release(&apis)), Some("older than 4.0"));
        for odd in [&b""[..], &[0, 35, 0, 0, 0, 0], &[0, 0, 0, 0, 0, 1], b"HTTP/1.1 400\r\n"] {
            assert_eq!(understood(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_foreign_broker_is_asked_as_a_client_would() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let brokers = format!("{}, other.example:9092", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 14];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(&answer(1)).unwrap();
            request
        });
        assert_eq!(kafka().version_at(&brokers).unwrap(), "4.0 or newer");
        assert_eq!(server.join().unwrap(), [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255]);
        assert!(format!("{:#}", kafka().version_at(&brokers).unwrap_err()).contains("no server answers"));
        assert!(kafka().version_at("kafka.example").is_err());
    }
}

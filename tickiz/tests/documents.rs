//! What the documents say, tried: their examples run against the program, and what they name is there.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use support::{
    AUDITOR_TOKEN, ORGANIZER_TOKEN, PATIENCE, Start, Tickiz,
    document::{Block, Known, blocks, curl},
    seated,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// How long between two looks at what becomes true in its own time.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate's folder is in the workspace's").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

async fn with_a_show(folder: &tempfile::TempDir) -> Tickiz {
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(seated("Lunar New Year Concert", 4, 10)).await;
    // Whoever publishes sees it at once; the first reader of a document is somebody else.
    tickiz
        .ask(
            "query($id: ID!, $at: Position) { event(id: $id, minPosition: $at) { id } }",
            json!({"id": show["id"], "at": show["position"]}),
        )
        .await;
    tickiz
}

/// What a command of a document answers; its text where that is no JSON.
async fn run(tickiz: &Tickiz, line: &str) -> Option<Value> {
    let sent = curl(&line.replace("http://127.0.0.1:8080", &tickiz.url))?;
    let mut request = tickiz.http.post(&sent.url).body(sent.body.expect("every command of ours sends something"));
    for (name, value) in &sent.headers {
        request = request.header(name, value);
    }
    if sent.headers.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    let answer = request.send().await.unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(answer.status().is_success() || answer.status().is_redirection(), "{line}: {}", answer.status());
    let text = answer.text().await.expect("text");
    Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_purchase_by_hand_of_the_readme_ends_with_tickets_that_the_report_counts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = with_a_show(&folder).await;
    let mut known = Known::default();
    // The demo prints its own.
    known.set("ORGANIZER_TOKEN", ORGANIZER_TOKEN);
    // What each answer gives to the commands after it.
    let learnt: &[(&str, &str)] = &[
        ("/data/events/edges/0/node/id", "EVENT"),
        ("/data/events/edges/0/node/ticketTypes/0/id", "TYPE"),
        ("/data/placeBooking/id", "BOOKING"),
        ("/data/placeBooking/accessToken", "TOKEN"),
        ("/data/payBooking/redirectUrl", "REDIRECT_URL"),
    ];
    let (mut booking, mut report) = (Value::Null, Value::Null);
    let readme = blocks(&read("README.md"));
    for line in readme.iter().filter(|block| block.kind == "sh").flat_map(|block| block.text.lines()) {
        if let Some(api) = line.strip_prefix("API=") {
            known.set("API", api);
            continue;
        }
        let begun = Instant::now();
        let line = known.filled(&line.replace("$API", "API"));
        loop {
            let last = run(&tickiz, &line)
                .await
                .unwrap_or_else(|| panic!("the README has a command that is not tried: {line}"));
            assert!(last.get("errors").is_none(), "{line}: {last:#}");
            for (pointer, word) in learnt {
                if let Some(value) = last.pointer(pointer).and_then(Value::as_str) {
                    known.set(word, value);
                }
            }
            // What is read becomes true in its own time: the tickets, and what was sold.
            if let Some(read) = last.pointer("/data/booking") {
                booking = read.clone();
            }
            if let Some(rows) = last.pointer("/data/salesReport/rows") {
                report = rows.clone();
            }
            let is_sold = report.is_null() || report[0]["tickets"]["sold"] == 2;
            if (booking.is_null() || booking["status"] == "CONFIRMED") && is_sold {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{last:#}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    let tickets = booking["tickets"].as_array().expect("a command reads tickets");
    assert!(tickets.len() == 2 && tickets.iter().all(|ticket| ticket["code"].is_string() && ticket["qr"].is_string()));
    let expected = json!([{
        "event": {"title": "Lunar New Year Concert"},
        "tickets": {"placed": 2, "held": 0, "sold": 2, "returned": 0},
        "conversion": 1.0,
        "net": {"amount": "200000", "currency": "VND"},
        "capacity": 40,
        "fillRate": 0.05,
    }]);
    assert_eq!(report, expected, "the report counts what was bought by hand");
}

/// The words that stand for something in `docs/api.md`.
const WORDS: &[&str] = &["EVENT", "TYPE", "SEAT", "BOOKING", "TOKEN", "PAGE", "NEW_EVENT", "NEW_TYPE"];

/// What an example asks.
struct Example<'a> {
    document: &'a str,
    variables: Value,
    token: Option<&'static str>,
}

impl Example<'_> {
    async fn answer(&self, tickiz: &Tickiz) -> Value {
        if self.document.starts_with("subscription") {
            return first_frame(tickiz, self).await;
        }
        tickiz.send(self.token, self.document, self.variables.clone()).await
    }
}

/// The first thing that a subscription says.
async fn first_frame(tickiz: &Tickiz, example: &Example<'_>) -> Value {
    let url = format!("{}/graphql", tickiz.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("an address");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("the socket opens");
    let subscribe =
        json!({"id": "1", "type": "subscribe", "payload": {"query": example.document, "variables": example.variables}});
    for message in [json!({"type": "connection_init"}), subscribe] {
        socket.send(Message::text(message.to_string())).await.expect("it is sent");
    }
    let first = async {
        while let Some(message) = socket.next().await {
            let Ok(Message::Text(text)) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == "1" {
                return message["payload"].clone();
            }
        }
        panic!("the socket was closed");
    };
    tokio::time::timeout(PATIENCE, first).await.expect("a frame in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_api_answers_as_it_is_printed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tickiz = with_a_show(&folder).await;
    let text = read("docs/api.md");
    let mut known = Known::default();
    let mut blocks = blocks(&text).into_iter().peekable();
    let mut tried = BTreeSet::new();
    let next = |blocks: &mut std::iter::Peekable<std::vec::IntoIter<Block>>, kind: &str| {
        blocks.next_if(|block| block.kind == kind)
    };
    while let Some(block) = blocks.next() {
        let place = format!("docs/api.md, line {}", block.line);
        if block.kind == "sh" {
            let answer = run(&tickiz, &known.filled(&block.text)).await.unwrap_or_else(|| panic!("{place}: no curl"));
            if let Some(printed) = next(&mut blocks, "json answer") {
                let printed: Value = serde_json::from_str(&printed.text).expect("what is printed is JSON");
                known.compare(&printed, &answer, WORDS, "").unwrap_or_else(|why| panic!("{place}: {why}"));
            }
            continue;
        }
        let token = match block.kind.as_str() {
            "graphql" => None,
            "graphql organizer" => Some(ORGANIZER_TOKEN),
            "graphql auditor" => Some(AUDITOR_TOKEN),
            other => panic!("{place}: a block of kind {other:?} that nobody tries"),
        };
        let variables = next(&mut blocks, "json variables").map_or_else(|| "{}".to_owned(), |block| block.text);
        let variables = serde_json::from_str(&known.filled(&variables)).unwrap_or_else(|why| panic!("{place}: {why}"));
        let printed = next(&mut blocks, "json answer").unwrap_or_else(|| panic!("{place}: no answer is printed"));
        let printed: Value = serde_json::from_str(&printed.text).unwrap_or_else(|why| panic!("{place}: {why}"));
        let example = Example { document: block.text.trim(), variables, token };
        let begun = Instant::now();
        loop {
            let answer = example.answer(&tickiz).await;
            let Err(why) = known.compare(&printed, &answer, WORDS, "") else { break };
            // What was done becomes visible in its own time; a command is done once.
            let reads = !example.document.starts_with("mutation");
            assert!(reads && begun.elapsed() < PATIENCE, "{place}: {why}\n{answer:#}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        for root in
            ["events", "seatMap", "placeBooking", "payBooking", "booking(", "bookingChanged", "seatAvailability"]
                .into_iter()
                .chain(["cancelBooking", "createEvent", "publishEvent", "updateEvent", "postponeEvent", "cancelEvent"])
                .chain(["blockSeats", "log(", "reissueTickets", "salesReport"])
        {
            if block.text.contains(root) {
                tried.insert(root);
            }
        }
    }
    assert_eq!(tried.len(), 17, "an example of everything, not only of {tried:?}");
}

/// The documents for people that lie in the repository's root and in `docs`.
fn documents() -> Vec<String> {
    let folder = fs::read_dir(root().join("docs")).expect("there is a folder docs");
    let names =
        folder.map(|entry| entry.expect("it can be read").file_name().into_string().expect("a name of letters"));
    let docs = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    ["README.md", "ARCHITECTURE.md"].into_iter().map(str::to_owned).chain(docs).collect()
}

/// Where the links of a document lead, without those to other hosts.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|link| link.split('#').next().unwrap_or_default())
        .filter(|link| !link.is_empty() && !link.contains("://"))
}

/// What a document names in backquotes that reads as a file or folder of the repository: it begins with one of its folders.
fn paths<'a>(text: &'a str, folders: &BTreeSet<String>) -> Vec<&'a str> {
    let in_quotes = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let begins = |path: &&str| path.split_once('/').is_some_and(|(first, _)| folders.contains(first));
    let is_path = |path: &&str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-*{},".contains(&byte));
    in_quotes.filter(begins).filter(is_path).map(|path| path.trim_end_matches('/')).collect()
}

/// Whether there is such a path; `*` stands for any name.
fn exists(base: &Path, path: &str) -> bool {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let matching: Vec<PathBuf> = if first == "*" {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    } else {
        vec![base.join(first)]
    };
    matching.iter().any(|found| found.exists() && (rest.is_empty() || exists(found, rest)))
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let folders: BTreeSet<String> = fs::read_dir(root())
        .expect("the repository can be read")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir())?.file_name().into_string().ok())
        // What is made, not committed.
        .filter(|name| !["target", "data", ".dev"].contains(&name.as_str()))
        .collect();
    let mut missing = Vec::new();
    for document in documents() {
        let text = read(&document);
        let beside = root().join(&document).parent().expect("a file lies in a folder").to_owned();
        missing
            .extend(links(&text).filter(|link| !beside.join(link).exists()).map(|link| format!("{document}: {link}")));
        let named = paths(&text, &folders);
        missing.extend(named.iter().filter(|path| !exists(&root(), path)).map(|path| format!("{document}: {path}")));
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[test]
fn every_error_code_has_a_cause_and_a_cure_in_the_docs() {
    let text = read("docs/errors.md");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let has = |name: &str| {
        rows.iter().any(|row| {
            row[0].trim_matches('`') == name && row.len() == 3 && row[1..].iter().all(|cell| cell.len() > 10)
        })
    };
    for code in tickiz_contract::ErrorCode::ALL {
        assert!(has(code.as_str()), "{} has no row with cause and cure", code.as_str());
    }
    // Of every program, and of clap; the others as the source has them.
    let mut exits = BTreeSet::from(["0".to_owned(), "1".to_owned(), "2".to_owned()]);
    exits.extend(exit_codes(&root().join("tickiz/src")));
    assert!(exits.len() >= 5, "those of settings and of a second signal are found: {exits:?}");
    for code in exits {
        assert!(has(&code), "exit code {code} has no row with cause and cure");
    }
}

/// The exit codes that the source of a folder names: constants `EXIT_…`, and what `process::exit` is given.
fn exit_codes(folder: &Path) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("it can be read").flatten() {
        if entry.path().is_dir() {
            codes.extend(exit_codes(&entry.path()));
            continue;
        }
        let source = fs::read_to_string(entry.path()).expect("source is text");
        for line in source.lines() {
            let constant = line.split_once("const EXIT_").and_then(|(_, rest)| rest.split_once("= "));
            let given = line.split_once("process::exit(").or(constant).map(|(_, rest)| rest);
            codes.extend(given.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>()));
        }
    }
    codes
}

#[tokio::test]
async fn the_program_ends_with_the_codes_that_are_documented() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let code = async |arguments: &[&str], variable: (&str, &str)| {
        let mut command = support::command();
        command
            .args(arguments)
            .env("TICKIZ_DATA_DIR", folder.path())
            .env(variable.0, variable.1)
            .current_dir(folder.path());
        command.output().await.expect("it runs").status.code()
    };
    assert_eq!(code(&["config"], ("TICKIZ_LOG", "warn")).await, Some(0));
    assert_eq!(code(&["no-such-command"], ("TICKIZ_LOG", "warn")).await, Some(2));
    assert_eq!(code(&["config"], ("TICKIZ_LISTEN", "nowhere")).await, Some(78));
    let elsewhere = "mysql://nobody@127.0.0.1:1/nothing";
    assert_eq!(code(&["migrate"], ("TICKIZ_MYSQL_URL", elsewhere)).await, Some(1), "a store that is not there");
}

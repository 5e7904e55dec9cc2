//! `tickiz replay` by the program itself, while it sells.

mod support;

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use support::{Start, Tickiz, buyer, command, data, seated};

/// Runs the command over a data folder; its exit code and the lines that it wrote.
async fn replay(data_dir: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let output = command()
        .args(["replay", "--json"])
        .args(arguments)
        .env("TICKIZ_DATA_DIR", data_dir)
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("the program runs");
    let lines = String::from_utf8(output.stdout).expect("it writes UTF-8");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    (output.status.code().expect("it ends by itself"), lines)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_are_built_anew_while_the_program_sells_and_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(seated("Rebuilt", 1, 9)).await;
    let place = async |seat: usize| {
        let input = json!({"eventId": show["id"], "seats": [{"seatId": format!("1-{seat}")}], "buyer": buyer("mai"),
                           "idempotencyKey": format!("k{seat}")});
        data(tickiz.place(input).await);
    };
    let taken = async |wanted: &str| assert_eq!(statuses(&tickiz, &show).await, wanted);
    place(1).await;
    taken("HFFFFFFFF").await;
    let (code, lines) = replay(folder.path(), &["--projection", "all"]).await;
    assert_eq!(code, 0);
    let done: Vec<_> = lines.iter().filter(|line| line["version"].is_i64()).collect();
    assert_eq!(done.len(), 3, "{lines:?}");
    assert!(done.iter().all(|line| line["before"] == 1 && line["version"] == 2), "{lines:?}");
    taken("HFFFFFFFF").await;
    place(2).await;
    taken("HHFFFFFFF").await;
    let (code, lines) = replay(folder.path(), &["--projection", "events", "--back"]).await;
    assert_eq!((code, &lines.last().expect("a line")["version"]), (0, &json!(1)));
    taken("HHFFFFFFF").await;
    place(3).await;
    taken("HHHFFFFFF").await;
    let (code, lines) = replay(folder.path(), &["--projection", "events", "--drop-old"]).await;
    assert_eq!((code, &lines[0]["dropped"]), (0, &json!([2])));
    taken("HHHFFFFFF").await;
    assert_eq!(replay(folder.path(), &["--poisoned"]).await, (0, vec![]));
    tickiz.stop().await;
    let (code, report) = Tickiz::verify(folder.path(), None).await;
    assert_eq!(code, 0, "{report}");
}

async fn statuses(tickiz: &Tickiz, show: &Value) -> String {
    let head = tickiz.log().await.last().expect("the log is not empty")["position"].clone();
    let query = "query($id: ID!, $position: Position) { seatMap(eventId: $id, minPosition: $position) { statuses } }";
    let answer = tickiz.ask(query, json!({"id": show["id"], "position": head.to_string().trim_matches('"')})).await;
    answer["seatMap"]["statuses"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_gets_what_was_true_at_a_moment_whatever_came_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let before = chrono::Utc::now();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let show = tickiz.publish(seated("Then", 1, 4)).await;
    let place = async |seat: usize| {
        let input = json!({"eventId": show["id"], "seats": [{"seatId": format!("1-{seat}")}], "buyer": buyer("mai"),
                           "idempotencyKey": format!("k{seat}")});
        data(tickiz.place(input).await);
    };
    place(1).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let then = chrono::Utc::now();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    place(2).await;
    place(3).await;
    let out = folder.path().join("then");
    let as_of = async |at: chrono::DateTime<chrono::Utc>| {
        let (at, out) = (at.to_rfc3339(), out.to_str().expect("a path"));
        let (code, lines) = replay(folder.path(), &["--as-of", &at, "--out", out]).await;
        assert_eq!((code, lines.len()), (0, 1));
        let rows = |name: &str| {
            let files = lines[0]["files"].as_array().expect("files");
            files.iter().find(|file| file["name"] == name).expect("it is written")["rows"].as_i64().expect("a number")
        };
        (rows("events.csv"), rows("seats.csv"), rows("bookings.csv"))
    };
    assert_eq!(as_of(before).await, (0, 0, 0));
    assert_eq!(as_of(chrono::Utc::now()).await, (1, 3, 3));
    assert_eq!(as_of(then).await, (1, 1, 1));
    let bookings = std::fs::read_to_string(out.join("bookings.csv")).expect("a file");
    let (head, line) = bookings.trim_end().split_once('\n').expect("a head and one line");
    assert!(head.starts_with("booking_id,event_id,code,status,tickets,total_minor,currency"), "{head}");
    assert!(line.contains(",HELD,1,100000,VND,"), "{line}");
    assert!(!bookings.contains("mai"), "whose it is stays sealed");
    tickiz.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_still_is_listed_with_its_place_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let show = tickiz.publish(seated("Poisoned", 1, 4)).await;
    tickiz.stop().await;
    // What a newer version of the program would have written.
    let path = folder.path().join("log.db");
    let mut log = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.expect("the log's file");
    for statement in [
        "INSERT INTO events SELECT shard, position + 1, recorded_at, organizer_id, stream_type, stream_id, sequence + 1, \
         'EventTeleported', 1, CAST('{\"to\": \"nhà hát\"}' AS BLOB), metadata, leaf_hash, show_id FROM events ORDER BY position DESC LIMIT 1",
        "UPDATE log_head SET position = position + 1",
    ] {
        sqlx::query(statement).execute(&mut log).await.expect("it is written");
    }
    let position: i64 =
        sqlx::query_scalar("SELECT position FROM log_head").fetch_one(&mut log).await.expect("the log's head");
    log.close().await.expect("it closes");
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    assert_eq!(statuses(&tickiz, &show).await, "FFFF", "it is shown as it was before");
    let (code, lines) = replay(folder.path(), &["--poisoned"]).await;
    assert_eq!((code, lines.len()), (1, 1), "{lines:?}");
    let line = &lines[0];
    assert_eq!((&line["projection"], &line["position"]), (&json!("events"), &json!(position)));
    assert_eq!((&line["subject"], &line["eventType"]), (&show["id"], &json!("EventTeleported")));
    assert!(line["stream"].as_str().is_some_and(|stream| stream.contains(show["id"].as_str().expect("an id"))));
    assert!(!line["error"].to_string().contains("hát"), "{line}");
    // A program that can read no more than this one comes as far as this one.
    let (code, _) = replay(folder.path(), &["--projection", "events"]).await;
    assert_eq!(code, 0);
    assert_eq!(replay(folder.path(), &["--poisoned"]).await.1, lines);
    tickiz.stop().await;
}

//! What analysts take out of Tickiz: read models of a moment, and projections of their own.

mod support;

#[allow(dead_code, reason = "its `main` is the example's")]
#[path = "../examples/own_projection.rs"]
mod own_projection;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use support::{Start, Tickiz, buyer, command, data, seated};
use tickiz_event_log::{EventLog, LogOptions};
use tickiz_projections::{LogSource, up_to::project_up_to};
use tickiz_read_models::{Projection, ReadStore};
use tokio_util::sync::CancellationToken;

/// Far in the future: all that the log has.
const EVER: &str = "2999-01-01T00:00:00Z";

async fn place(tickiz: &Tickiz, show: &Value, seats: &[&str]) -> Value {
    let seats: Vec<Value> = seats.iter().map(|seat| json!({"seatId": seat})).collect();
    let key = format!("k{seats:?}");
    let input = json!({"eventId": show["id"], "seats": seats, "buyer": buyer("mai"), "idempotencyKey": key});
    data(tickiz.place(input).await)["placeBooking"].clone()
}

/// A stopped system with two shows, one of which has sold three seats and holds one.
async fn sold(folder: &Path) {
    let tickiz = Tickiz::start(Start { data_dir: Some(folder), ..Start::default() }).await;
    let show = tickiz.publish(seated("Sold", 2, 4)).await;
    tickiz.publish(seated("Unsold, \"quoted\"", 1, 2)).await;
    for (index, seats) in [["1-1", "1-2"].as_slice(), &["2-4"]].iter().enumerate() {
        let booking = place(&tickiz, &show, seats).await;
        tickiz.pay(&booking, &format!("p{index}"), "pay").await;
        tickiz.wait_for_status(&booking, "CONFIRMED").await;
    }
    place(&tickiz, &show, &["1-3"]).await;
    tickiz.stop().await;
}

/// Runs the command; the manifest, and what it told.
async fn as_of(folder: &Path, out: &Path, more: &[&str]) -> (Value, String) {
    let output = command()
        .args(["replay", "--as-of", EVER, "--out", out.to_str().expect("a path")])
        .args(more)
        .env("TICKIZ_DATA_DIR", folder)
        .output()
        .await
        .expect("the program runs");
    let told = String::from_utf8(output.stderr).expect("it writes UTF-8");
    assert!(output.status.success(), "{told}");
    (serde_json::from_slice(&output.stdout).expect("a manifest"), told)
}

/// Every file of a folder, the hidden ones too, in the order of their names.
fn files(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(out).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries
        .map(|path| (path.strip_prefix(out).expect("it is in it").to_owned(), std::fs::read(&path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// Projects into the hidden file of `out` and is cut off at its next wait once a projection has come to `cut`.
async fn begin_and_die(log: &EventLog, out: &Path, projection: Projection, cut: i64) -> i64 {
    let head = log.head().await.expect("a head");
    let last = log.read(head - 1, 1).await.expect("the last domain event");
    std::fs::create_dir_all(out).expect("a folder");
    let working = out.join(format!(".as-of-{}.db", hex::encode(&last[0].leaf_hash[..16])));
    let store = ReadStore::open_sqlite(&working).await.expect("it opens");
    store.migrate().await.expect("the schema");
    let source: Arc<dyn LogSource> = Arc::new(log.clone());
    let killed = CancellationToken::new();
    let tell = |at| {
        if at >= cut {
            killed.cancel();
        }
    };
    tokio::select! {
        biased;
        () = killed.cancelled() => {}
        done = project_up_to(&store, &source, projection, head, 1, tell) => panic!("it was to be cut off: {done:?}"),
    }
    let at = store.checkpoint_of(projection, 1).await.expect("a checkpoint");
    store.close().await;
    assert!(at >= cut && at < head, "{cut} {at} {head}");
    at
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_goes_on_and_writes_what_one_that_was_not_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    sold(folder.path()).await;
    let whole = folder.path().join("whole");
    let (manifest, told) = as_of(folder.path(), &whole, &[]).await;
    let head = manifest["position"].as_i64().expect("a position");
    assert!(!told.contains("goes on"), "{told}");
    assert!(told.contains(&format!("bookings: {head} of {head} (100 %)")), "{told}");
    let whole = files(&whole);
    assert_eq!(whole.len(), 6, "five tables and the manifest, and nothing hidden is left");
    let options = LogOptions { migrate: false, ..LogOptions::default() };
    let (log, service) = EventLog::open_sqlite(&folder.path().join("log.db"), options).await.expect("it opens");
    for (projection, cut) in [
        (Projection::Events, 1),
        (Projection::Events, head / 2),
        (Projection::Bookings, head - 3),
        (Projection::Reports, head / 2),
    ] {
        let out = folder.path().join(format!("{projection}-{cut}"));
        let at = begin_and_die(&log, &out, projection, cut).await;
        let (_, told) = as_of(folder.path(), &out, &[]).await;
        assert!(told.contains(&format!("{projection}: goes on at {at} of {head}")), "{told}");
        assert!(files(&out) == whole, "cut off at {at} of {projection}");
    }
    service.shutdown().await;
}

#[cfg(feature = "parquet")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_says_what_csv_says() {
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };
    let folder = tempfile::tempdir().expect("a folder");
    sold(folder.path()).await;
    let out = folder.path().join("out");
    let (manifest, _) = as_of(folder.path(), &out, &["--parquet"]).await;
    assert_eq!(manifest["files"].as_array().map(Vec::len), Some(10), "{manifest}");
    let text = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::Long(number) => number.to_string(),
        Field::Bool(yes) => yes.to_string(),
        Field::TimestampMicros(micros) => chrono::DateTime::from_timestamp_micros(*micros)
            .expect("an instant")
            .to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        other => panic!("{other:?} is of no kind that is written"),
    };
    for (table, rows) in [("events", 2), ("ticket_types", 2), ("seats", 4), ("bookings", 3)] {
        let file = std::fs::File::open(out.join(format!("{table}.parquet"))).expect("a file");
        let reader = SerializedFileReader::new(file).expect("it is Parquet");
        let mut found: Vec<Vec<String>> = Vec::new();
        for row in reader.get_row_iter(None).expect("its rows") {
            let row = row.expect("a row");
            if found.is_empty() {
                found.push(row.get_column_iter().map(|(name, _)| name.clone()).collect());
            }
            found.push(row.get_column_iter().map(|(_, field)| text(field)).collect());
        }
        let mut csv =
            csv::ReaderBuilder::new().has_headers(false).from_path(out.join(format!("{table}.csv"))).expect("a file");
        let wanted: Vec<Vec<String>> = csv.deserialize().map(|row| row.expect("a row")).collect();
        assert_eq!(found, wanted, "{table}");
        assert_eq!(found.len(), rows + 1, "{table}");
    }
}

#[cfg(not(feature = "parquet"))]
#[tokio::test]
async fn without_parquet_it_says_how_to_have_it_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    sold(folder.path()).await;
    let out = folder.path().join("out");
    let output = command()
        .args(["replay", "--as-of", EVER, "--parquet", "--out", out.to_str().expect("a path")])
        .env("TICKIZ_DATA_DIR", folder.path())
        .output()
        .await
        .expect("the program runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--features parquet"));
    assert!(!out.exists());
}

/// City and seats, all hours together.
async fn sold_seats(own: &Path) -> Vec<(String, i64)> {
    let mut own = SqliteConnection::connect(&format!("sqlite:{}", own.display())).await.expect("it opens");
    let sum = "SELECT city, SUM(seats) FROM sold GROUP BY city ORDER BY city";
    sqlx::query_as(sum).fetch_all(&mut own).await.expect("the sums")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_an_own_projection_counts_each_seat_once_however_often_it_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, own, anew) = (folder.path().join("log.db"), folder.path().join("own.db"), folder.path().join("anew.db"));
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let mut elsewhere = seated("Elsewhere", 1, 2);
    elsewhere["venue"]["city"] = json!("Elsewhere");
    let (here, there) = (tickiz.publish(seated("Here", 1, 4)).await, tickiz.publish(elsewhere).await);
    let here = place(&tickiz, &here, &["1-1", "1-2"]).await;
    place(&tickiz, &there, &["1-1"]).await;
    let first = own_projection::run(&log, &own).await.expect("it runs");
    assert_eq!(sold_seats(&own).await, [], "what is held is not sold");
    tickiz.pay(&here, "p", "pay").await;
    tickiz.wait_for_status(&here, "CONFIRMED").await;
    let there = place(&tickiz, &there, &["1-2"]).await;
    tickiz.pay(&there, "q", "pay").await;
    tickiz.wait_for_status(&there, "CONFIRMED").await;
    let second = own_projection::run(&log, &own).await.expect("it goes on");
    assert!(second > first);
    let sold = sold_seats(&own).await;
    assert_eq!(sold.iter().map(|(_, seats)| *seats).sum::<i64>(), 3);
    assert!(sold.contains(&("Elsewhere".to_owned(), 1)), "{sold:?}");
    assert_eq!(own_projection::run(&log, &own).await.expect("it finds nothing new"), second);
    assert_eq!(sold_seats(&own).await, sold);
    assert_eq!(own_projection::run(&log, &anew).await.expect("it is built anew"), second);
    assert_eq!(sold_seats(&anew).await, sold);
    tickiz.stop().await;
}

#[test]
fn the_analysts_page_leads_to_the_example() {
    let page = include_str!("../../docs/analysts.md");
    assert!(page.contains("../tickiz/examples/own_projection.rs"));
}

//! The demo's first start: its shows, and the weeks of sales before it.

mod support;

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;
use support::{Start, Tickiz, command};

/// The log as `tickiz log` tells it.
async fn log_of(data_dir: &Path) -> Vec<Value> {
    let output = command().arg("log").env("TICKIZ_DATA_DIR", data_dir).output().await.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn count(log: &[Value], event_type: &str) -> usize {
    log.iter().filter(|entry| entry["type"] == event_type).count()
}

#[tokio::test]
async fn the_demo_has_weeks_of_sales_that_the_system_itself_decided_and_nobody_is_written_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = || Start {
        data_dir: Some(folder.path()),
        arguments: vec!["serve", "--demo"],
        environment: vec![("TICKIZ_DEMO_BOOKINGS", "160")],
        ..Start::default()
    };
    let tickiz = Tickiz::start(start()).await;
    let answer = tickiz.ask("{ events(first: 1) { totalCount } }", Value::Null).await;
    assert!(answer["events"]["totalCount"].as_u64().expect("a number") >= 40, "{answer}");
    tickiz.stop().await;

    let log = log_of(folder.path()).await;
    // The show that is sold out has bookings of its own; of the others some are confirmed, some not.
    assert!(count(&log, "BookingPlaced") > 120, "{}", count(&log, "BookingPlaced"));
    for (event_type, at_least) in
        [("BookingConfirmed", 90), ("BookingExpired", 5), ("PaymentFailed", 1), ("BookingRefunded", 1)]
    {
        assert!(count(&log, event_type) >= at_least, "{} of {event_type}", count(&log, event_type));
    }
    let day = |entry: &Value| entry["recordedAt"].as_str().expect("an instant")[..10].to_owned();
    let days: BTreeSet<String> = log.iter().filter(|entry| entry["type"] == "PaymentSucceeded").map(day).collect();
    assert!(days.len() > 14, "{days:?}");
    let mails = std::fs::read_dir(folder.path().join("mails")).expect("a folder");
    assert_eq!(mails.filter(|mail| mail.as_ref().is_ok_and(|mail| mail.path().is_file())).count(), 0);
    let verify = command().args(["verify"]).env("TICKIZ_DATA_DIR", folder.path()).output().await.expect("it runs");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));

    // Another start finds all of it, and makes nothing more.
    Tickiz::start(start()).await.stop().await;
    assert_eq!(log_of(folder.path()).await.len(), log.len());
}

//! Twelve seeded corruptions of a healthy store, one at a time: each makes `tickiz verify` exit non-zero and name the promise,
//! and where it lies in the log, the position.

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use support::{Start, Tickiz, buyer, data, general_admission, seated};

/// What is done to which file, and what verify has to say about it.
struct Corruption {
    name: &'static str,
    file: &'static str,
    sql: &'static [&'static str],
    promise: &'static str,
    /// Whether the finding must name a position.
    at_position: bool,
}

const ALLOW_CHANGES: &str = "DROP TRIGGER IF EXISTS events_are_never_updated";
const ALLOW_DELETES: &str = "DROP TRIGGER IF EXISTS events_are_never_deleted";

const CORRUPTIONS: [Corruption; 14] = [
    Corruption {
        name: "a seat's claim moved to another booking",
        file: "log.db",
        sql: &[
            "UPDATE claims SET holder = 'booking/00000000-0000-0000-0000-000000000001' WHERE resource = (SELECT min(resource) FROM claims WHERE resource LIKE 'seat/%')",
        ],
        promise: "P1",
        at_position: true,
    },
    Corruption {
        name: "a seat's claim lost",
        file: "log.db",
        sql: &["DELETE FROM claims WHERE resource = (SELECT min(resource) FROM claims WHERE resource LIKE 'seat/%')"],
        promise: "P1",
        at_position: true,
    },
    Corruption {
        name: "a claim that no domain event made",
        file: "log.db",
        sql: &[
            "INSERT INTO claims (shard, resource, holder, used, max_used, fence) SELECT 0, resource || '-x', holder, 1, 1, fence FROM claims WHERE resource LIKE 'seat/%' LIMIT 1",
        ],
        promise: "P1",
        at_position: true,
    },
    Corruption {
        name: "a quota's counter off by one",
        file: "log.db",
        sql: &[
            "UPDATE claims SET used = used - 1 WHERE resource = (SELECT min(resource) FROM claims WHERE resource LIKE 'quota/%' AND used > 0)",
        ],
        promise: "P2",
        at_position: true,
    },
    Corruption {
        name: "a fence that sank",
        file: "log.db",
        sql: &[
            "UPDATE claims SET fence = fence - 1 WHERE resource = (SELECT min(resource) FROM claims WHERE resource LIKE 'seat/%')",
        ],
        promise: "P12",
        at_position: true,
    },
    Corruption {
        name: "a gap in the log",
        file: "log.db",
        sql: &[ALLOW_DELETES, "DELETE FROM events WHERE position = 3"],
        promise: "P8",
        at_position: true,
    },
    Corruption {
        name: "two domain events swapped",
        file: "log.db",
        sql: &[
            ALLOW_CHANGES,
            "UPDATE events SET position = -1 WHERE position = 3",
            "UPDATE events SET position = 3 WHERE position = 4",
            "UPDATE events SET position = 4 WHERE position = -1",
        ],
        promise: "P3",
        at_position: true,
    },
    Corruption {
        name: "a changed payload",
        file: "log.db",
        sql: &[
            ALLOW_CHANGES,
            "UPDATE events SET payload = CAST(replace(CAST(payload AS TEXT), '100000', '100001') AS BLOB) WHERE event_type = 'BookingPlaced'",
        ],
        promise: "P3",
        at_position: true,
    },
    Corruption {
        name: "the newest domain event removed",
        file: "log.db",
        sql: &[ALLOW_DELETES, "DELETE FROM events WHERE position = (SELECT max(position) FROM events)"],
        promise: "P3",
        at_position: true,
    },
    Corruption {
        name: "a receipt lost",
        file: "log.db",
        sql: &[
            "DELETE FROM receipts WHERE operation = 'placeBooking' AND first_position = (SELECT min(first_position) FROM receipts WHERE operation = 'placeBooking')",
        ],
        promise: "P7",
        at_position: true,
    },
    Corruption {
        name: "a booking's read model row lost",
        file: "read-models.db",
        sql: &["DELETE FROM rm_bookings_v1 WHERE booking_id = (SELECT min(booking_id) FROM rm_bookings_v1)"],
        promise: "P6",
        at_position: true,
    },
    Corruption {
        name: "a seat that the read models show as free",
        file: "read-models.db",
        sql: &["DELETE FROM rm_seats_v1 WHERE seat_index = (SELECT min(seat_index) FROM rm_seats_v1)"],
        promise: "P6",
        at_position: true,
    },
    Corruption {
        name: "a payment without a booking",
        file: "sandbox.db",
        sql: &["UPDATE sandbox_payments SET idempotency_key = '00000000-0000-4000-8000-000000000001'"],
        promise: "P4",
        at_position: false,
    },
    Corruption {
        name: "money that the gateway does not have",
        file: "sandbox.db",
        sql: &["DELETE FROM sandbox_movements"],
        promise: "P4",
        at_position: true,
    },
];

/// A store with a bit of everything, stopped.
async fn healthy(folder: &Path) {
    let tickiz = Tickiz::start(Start { data_dir: Some(folder), ..Start::default() }).await;
    let hall = tickiz.publish(seated("Concert", 2, 6)).await;
    let match_ = tickiz.publish(general_admission("Match", "50.00", "USD", 20)).await;
    let seat = |id: &str| json!({"eventId": hall["id"], "seats": [{"seatId": id}], "buyer": buyer("lan"), "idempotencyKey": id});
    let paid = data(tickiz.place(seat("1-1")).await)["placeBooking"].clone();
    tickiz.pay(&paid, "pay", "pay").await;
    tickiz.wait_for_status(&paid, "CONFIRMED").await;
    data(tickiz.place(seat("1-2")).await);
    data(
        tickiz
            .place(json!({"eventId": match_["id"], "tickets": [{"ticketTypeId": match_["ticketTypes"][0]["id"], "quantity": 3}], "buyer": buyer("minh"), "idempotencyKey": "k"}))
            .await,
    );
    assert!(tickiz.stop().await.success());
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the folder can be listed") {
        let path: PathBuf = entry.expect("an entry can be read").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a file has a name"))).expect("a file can be copied");
        }
    }
}

async fn corrupt(file: &Path, statements: &[&'static str]) {
    let url = format!("sqlite://{}", file.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the store opens");
    let mut changed = 0;
    for statement in statements {
        changed +=
            connection.execute(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}")).rows_affected();
    }
    assert!(changed > 0, "the corruption changes something: {statements:?}");
    connection.close().await.expect("the store closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_corruption_is_found_by_its_promise() {
    let healthy_folder = tempfile::tempdir().expect("a temporary folder");
    healthy(healthy_folder.path()).await;
    let (exit, report) = Tickiz::verify(healthy_folder.path(), None).await;
    assert_eq!(exit, 0, "the healthy store is clean: {report:#}");
    for corruption in CORRUPTIONS {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(healthy_folder.path(), folder.path());
        corrupt(&folder.path().join(corruption.file), corruption.sql).await;
        let (exit, report) = Tickiz::verify(folder.path(), None).await;
        assert_eq!(exit, 1, "{}: {report:#}", corruption.name);
        let findings = report["findings"].as_array().expect("a report has findings");
        let named = findings.iter().any(|finding: &Value| {
            finding["promise"] == corruption.promise && (!corruption.at_position || finding["position"].is_i64())
        });
        assert!(named, "{} is to be found as {}: {report:#}", corruption.name, corruption.promise);
    }
}

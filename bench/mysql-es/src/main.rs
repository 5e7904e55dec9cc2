//! Appends through mysql-es 0.5 for a fixed time, and prints what came of it as one JSON line.
//!
//! Every append is one domain event of the given payload on a new aggregate, by `PersistedEventStore::commit`. Nothing is loaded
//! before: that would only cost it a round trip more.
//!
//! Usage: `tickiz-bench-mysql-es URL COMMITTERS CONNECTIONS WARM_UP_MS MEASURE_MS < payload.json`

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore};
use cqrs_es::{Aggregate, DomainEvent, EventStore};
use mysql_es::MysqlEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::mysql::MySqlPoolOptions;
use uuid::Uuid;

/// How long a committer may wait for a connection of the pool; with fewer connections than committers it has to.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// The table as the crate's own `db/init.sql` makes it.
const CREATE_EVENTS: &str = "CREATE TABLE IF NOT EXISTS events (
    aggregate_type varchar(255)                 NOT NULL,
    aggregate_id   varchar(255)                 NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    CONSTRAINT events_pk PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

/// A document that means nothing here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Placed(Value);

impl DomainEvent for Placed {
    fn event_type(&self) -> String {
        "BookingPlaced".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// An aggregate without a state.
#[derive(Default, Serialize, Deserialize)]
struct Purchase;

impl Aggregate for Purchase {
    const TYPE: &'static str = "booking";
    type Command = ();
    type Event = Placed;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: Placed) {}
}

type Store = PersistedEventStore<MysqlEventRepository, Purchase>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, committers, connections, warm_up_ms, measure_ms] = arguments.as_slice() else {
        bail!("usage: URL COMMITTERS CONNECTIONS WARM_UP_MS MEASURE_MS < payload.json");
    };
    let mut payload = String::new();
    std::io::stdin().read_to_string(&mut payload)?;
    let placed = Arc::new(Placed(serde_json::from_str(&payload).context("the payload is not JSON")?));

    let pool = MySqlPoolOptions::new()
        .max_connections(connections.parse()?)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect(url)
        .await?;
    sqlx::query(CREATE_EVENTS).execute(&pool).await?;
    let store = Arc::new(Store::new_event_store(MysqlEventRepository::new(pool)));

    let counting_from = Instant::now() + Duration::from_millis(warm_up_ms.parse()?);
    let until = counting_from + Duration::from_millis(measure_ms.parse()?);
    let tasks: Vec<_> = (0..committers.parse::<usize>()?)
        .map(|_| tokio::spawn(commit_until(store.clone(), placed.clone(), counting_from, until)))
        .collect();
    let (mut acknowledged, mut counted) = (0, 0);
    for task in tasks {
        let (all, within) = task.await??;
        acknowledged += all;
        counted += within;
    }
    println!("{}", serde_json::json!({ "acknowledged": acknowledged, "counted": counted }));
    Ok(())
}

/// One committer: everything it was acknowledged, and what of it within the measured time.
async fn commit_until(
    store: Arc<Store>,
    placed: Arc<Placed>,
    counting_from: Instant,
    until: Instant,
) -> Result<(u64, u64)> {
    let (mut acknowledged, mut counted) = (0, 0);
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok((acknowledged, counted));
        }
        let context = EventStoreAggregateContext {
            aggregate_id: Uuid::new_v4().to_string(),
            aggregate: Purchase,
            current_sequence: 0,
            current_snapshot: None,
        };
        let metadata = HashMap::from([
            ("commandId".to_owned(), Uuid::new_v4().to_string()),
            ("correlationId".to_owned(), Uuid::new_v4().to_string()),
            ("actor".to_owned(), "buyer".to_owned()),
        ]);
        store.commit(vec![(*placed).clone()], context, metadata).await?;
        acknowledged += 1;
        let done = Instant::now();
        if done >= counting_from && done < until {
            counted += 1;
        }
    }
}

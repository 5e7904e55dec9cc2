//! `mysql-es-peer URL SECONDS COMMITTERS PAYLOAD_BYTES`: commits one event a command, each on a new aggregate, and prints the
//! events a second. Its tables are made in the database that the URL names.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use sqlx::{Executor, mysql::MySqlPoolOptions};

#[derive(Default, Serialize, Deserialize)]
struct Order(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Placed {
    filler: String,
}

impl DomainEvent for Placed {
    fn event_type(&self) -> String {
        "Placed".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never refused")]
struct Never;

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Command = String;
    type Event = Placed;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, filler: String, (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
        sink.write(Placed { filler }, self).await;
        Ok(())
    }

    fn apply(&mut self, _: Placed) {
        self.0 += 1;
    }
}

const EVENTS: &str = "CREATE TABLE IF NOT EXISTS events (aggregate_type VARCHAR(255) NOT NULL, \
    aggregate_id VARCHAR(255) NOT NULL, sequence BIGINT NOT NULL, event_type TEXT NOT NULL, event_version TEXT NOT NULL, \
    payload JSON NOT NULL, metadata JSON NOT NULL, PRIMARY KEY (aggregate_type, aggregate_id, sequence))";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds, committers, bytes] = arguments.as_slice() else {
        return Err("usage: mysql-es-peer URL SECONDS COMMITTERS PAYLOAD_BYTES".into());
    };
    let committers: u32 = committers.parse()?;
    let pool = MySqlPoolOptions::new().max_connections(committers).connect(url).await?;
    pool.execute(EVENTS).await?;
    // As many connections as committers, all open before the clock starts.
    let opened = (0..committers).map(|_| pool.acquire());
    let mut held = Vec::new();
    for connection in opened {
        held.push(connection.await?);
    }
    drop(held);
    let cqrs = Arc::new(mysql_es::mysql_cqrs::<Order>(pool, Vec::new(), ()));
    let done = Arc::new(AtomicU64::new(0));
    let filler = "q".repeat(bytes.parse()?);
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds.parse()?);
    let mut tasks = Vec::new();
    for _ in 0..committers {
        let (cqrs, done, filler) = (cqrs.clone(), done.clone(), filler.clone());
        tasks.push(tokio::spawn(async move {
            while Instant::now() < until {
                let id = uuid::Uuid::new_v4().to_string();
                cqrs.execute(&id, filler.clone()).await.map_err(|error| error.to_string())?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), String>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    println!("{:.1}", done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64());
    Ok(())
}

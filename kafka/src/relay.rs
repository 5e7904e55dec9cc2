//! From the log into the topic, in order.
//!
//! One batch is one Kafka transaction. What a relay had begun and not committed when it died is aborted by its successor's
//! `init_transactions`, and no reader of committed records ever sees it. Its successor then looks at the end of the topic for the
//! last committed record ([`crate::resume`]), and goes on with the position after it.
//!
//! The lease is kept beside all of this, from the moment it is held. Where it is lost the work is dropped wherever it stands: what
//! the publisher's thread still does is either committed before the successor looks, or fenced.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use rdkafka::error::KafkaError as ClientError;
use tickiz_event_log::{
    EventLog,
    record::{Position, Recorded, SHARD, StoreError},
};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    KafkaError,
    lease::Lease,
    publisher::Publisher,
    resume::last_committed,
    stats::{self, RelayStats},
    topic::Topic,
};

/// Domain events in one transaction: a commit costs some milliseconds whatever is in it, and nobody waits for more than this.
pub const BATCH: usize = 500;
/// Bytes of payload in one transaction, so that it is through long before a broker's patience ends on a slow line. One domain event
/// may have a megabyte.
pub const BATCH_BYTES: usize = 4 << 20;
/// Domain events read at first. Each page after that may be twice as long as long as a page is one transaction, so that a log of
/// huge ones is not read into memory by the hundred.
const FIRST_PAGE: usize = 32;
/// Between two looks whether the lease is free.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to wait after a failure. Longer than a standby's [`PAUSE`], so that a standby has its try in between: it may reach
/// brokers that this process does not.
const RETREAT: Duration = Duration::from_millis(1_500);
/// How long to wait where the log says that it has more, and does not have it yet.
const NOT_THERE_YET: Duration = Duration::from_millis(20);
/// How long the batch under way may take once the relay is told to stop. A successor aborts what is cut off.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Why the relay cannot go on now.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The brokers.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The log, or the lease in its server.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The topic is of another log, or the log was set back: filling it would give one position to two domain events.
    #[error("the topic's last record has position {topic}, and the log ends at {log}: is it the topic of another log?")]
    Ahead {
        /// What the topic has.
        topic: Position,
        /// What the log has.
        log: Position,
    },
}

impl From<ClientError> for RelayError {
    fn from(error: ClientError) -> Self {
        Self::Kafka(error.into())
    }
}

/// The relay of one log.
pub struct Relay {
    log: EventLog,
    mysql_url: String,
    topic: Topic,
    reached: watch::Sender<Position>,
    stats: Arc<RelayStats>,
}

impl Relay {
    /// A relay that has not begun yet. The lease is in the database of `mysql_url`, the log's.
    #[must_use]
    pub fn new(log: EventLog, mysql_url: &str, topic: Topic) -> Self {
        Self { log, mysql_url: mysql_url.to_owned(), topic, reached: watch::Sender::new(0), stats: Arc::default() }
    }

    /// The last position that this process has seen committed in the topic.
    #[must_use]
    pub fn reached(&self) -> watch::Receiver<Position> {
        self.reached.subscribe()
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> Arc<RelayStats> {
        self.stats.clone()
    }

    /// Relays whenever no other process does, until it is told to stop; the batch under way may end, within two seconds. Servers
    /// that fail are tried again for as long as it takes.
    ///
    /// # Errors
    /// [`RelayError::Ahead`]: nothing of that is mended by trying again.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RelayError> {
        let mut standing_by = false;
        let name = format!("tickiz-relay-{SHARD}");
        while let Some(asked) = stop.run_until_cancelled(Lease::acquire(&self.mysql_url, &name)).await {
            let mut pause = PAUSE;
            match asked {
                Ok(Some(lease)) => {
                    standing_by = false;
                    match self.hold(lease, &stop).await {
                        Ok(()) => return Ok(()),
                        Err(error @ RelayError::Ahead { .. }) => return Err(error),
                        Err(error) => tracing::warn!(%error, "the relay begins anew"),
                    }
                    self.stats.failures.fetch_add(1, Relaxed);
                    pause = RETREAT;
                }
                Ok(None) => {
                    if !std::mem::replace(&mut standing_by, true) {
                        tracing::info!("another process is the relay; this one stands by");
                    }
                }
                Err(error) => tracing::warn!(%error, "the relay's lease cannot be asked for"),
            }
            stop.run_until_cancelled(sleep(pause)).await;
        }
        Ok(())
    }

    /// Leads for as long as the lease is held.
    async fn hold(&self, mut lease: Lease, stop: &CancellationToken) -> Result<(), RelayError> {
        let ended = tokio::select! {
            ended = self.lead(stop) => ended,
            lost = lease.keep_on() => Err(lost.into()),
        };
        self.stats.leads.store(false, Relaxed);
        lease.release().await;
        ended
    }

    async fn lead(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let Some(begun) = stop.run_until_cancelled(self.begin()).await else { return Ok(()) };
        let (publisher, mut last) = begun?;
        let mut pages = Pages::default();
        let mut head = self.log.watch();
        loop {
            let seen = *head.borrow_and_update();
            self.stats.head.store(seen, Relaxed);
            if seen <= last {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    changed = head.changed() => changed.map_err(|_| StoreError("the log is closed".into()))?,
                }
                continue;
            }
            let Some(page) = stop.run_until_cancelled(self.log.read(last, pages.limit)).await else { return Ok(()) };
            let page = page?;
            if page.is_empty() {
                self.stats.empty_reads.fetch_add(1, Relaxed);
                stop.run_until_cancelled(sleep(NOT_THERE_YET)).await;
            }
            for batch in pages.cut(page) {
                if stop.is_cancelled() {
                    return Ok(());
                }
                let Some(end) = self.publish(&publisher, batch, stop).await? else { return Ok(()) };
                last = end;
            }
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Fences whoever led before, and finds the last position that is in the topic.
    async fn begin(&self) -> Result<(Publisher, Position), RelayError> {
        self.topic.ensure().await?;
        let publisher = Publisher::open(&self.topic).await?;
        let last = last_committed(&self.topic).await?;
        let log = self.log.head().await?;
        if last > log {
            return Err(RelayError::Ahead { topic: last, log });
        }
        tracing::info!(position = last, "this process is the relay");
        self.stats.leads.store(true, Relaxed);
        self.stats.position.store(last, Relaxed);
        self.reached.send_replace(last);
        Ok((publisher, last))
    }

    /// Writes a batch; its last position, or `None` where it did not end in time after the relay was told to stop.
    async fn publish(
        &self,
        publisher: &Publisher,
        batch: Vec<Arc<Recorded>>,
        stop: &CancellationToken,
    ) -> Result<Option<Position>, RelayError> {
        let Some(end) = batch.last().map(|last| last.position) else { return Ok(None) };
        let (length, bytes) = (batch.len(), batch.iter().map(|event| event.payload.len()).sum());
        tokio::select! {
            biased;
            published = publisher.publish(batch) => published?,
            () = async { stop.cancelled().await; sleep(STOP_PATIENCE).await } => return Ok(None),
        }
        stats::add(&self.stats.records, length);
        stats::add(&self.stats.bytes, bytes);
        self.stats.batches.fetch_add(1, Relaxed);
        self.stats.position.store(end, Relaxed);
        self.reached.send_replace(end);
        Ok(Some(end))
    }
}

/// How much is read at once, and how it is cut into transactions.
struct Pages {
    limit: usize,
}

impl Default for Pages {
    fn default() -> Self {
        Self { limit: FIRST_PAGE }
    }
}

impl Pages {
    /// A page as batches of at most [`BATCH_BYTES`], but for one domain event that is bigger by itself.
    fn cut(&mut self, page: Vec<Arc<Recorded>>) -> VecDeque<Vec<Arc<Recorded>>> {
        let mut batches: VecDeque<Vec<Arc<Recorded>>> = VecDeque::new();
        let mut bytes = 0;
        for event in page {
            bytes += event.payload.len();
            match batches.back_mut() {
                Some(batch) if bytes <= BATCH_BYTES => batch.push(event),
                _ => {
                    bytes = event.payload.len();
                    batches.push_back(vec![event]);
                }
            }
        }
        self.limit = if batches.len() > 1 { (self.limit / 2).max(1) } else { (self.limit * 2).min(BATCH) };
        batches
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use tickiz_domain::stream::{StreamId, StreamType};
    use tickiz_event_log::record::Metadata;
    use uuid::Uuid;

    use super::*;

    fn page(sizes: &[usize]) -> Vec<Arc<Recorded>> {
        let event = |(position, size): (i64, &usize)| {
            Arc::new(Recorded {
                shard: SHARD,
                position,
                recorded_at: DateTime::UNIX_EPOCH,
                organizer_id: None,
                stream: StreamId::new(StreamType::Person, Uuid::nil()),
                sequence: 1,
                event_type: "PersonErased".to_owned(),
                event_version: 1,
                payload: vec![b' '; *size].into(),
                metadata: Metadata::default(),
                leaf_hash: [0; 32],
            })
        };
        (1..).zip(sizes).map(event).collect()
    }

    fn lengths(batches: &VecDeque<Vec<Arc<Recorded>>>) -> Vec<usize> {
        batches.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_batch_has_a_limit_of_bytes_and_no_domain_event_is_left_out() {
        let quarter = BATCH_BYTES / 4;
        let mut pages = Pages::default();
        assert_eq!(lengths(&pages.cut(page(&[quarter; 9]))), [4, 4, 1]);
        assert_eq!(lengths(&pages.cut(page(&[1, BATCH_BYTES, 1, BATCH_BYTES + 1, 1]))), [1, 1, 1, 1, 1]);
        assert_eq!(lengths(&pages.cut(page(&[BATCH_BYTES - 1, 1, 1]))), [2, 1]);
        assert!(pages.cut(Vec::new()).is_empty());
        let positions: Vec<Position> = pages.cut(page(&[quarter; 9])).iter().flatten().map(|e| e.position).collect();
        assert_eq!(positions, (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn pages_grow_while_they_fit_and_shrink_where_they_do_not() {
        let mut pages = Pages::default();
        for _ in 0..10 {
            pages.cut(page(&[100]));
        }
        assert_eq!(pages.limit, BATCH);
        for _ in 0..20 {
            pages.cut(page(&[BATCH_BYTES, 1]));
        }
        assert_eq!(pages.limit, 1);
    }
}

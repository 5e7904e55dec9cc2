//! What the relay and the streams of this process have done since it started, for a page of metrics.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use tickiz_event_log::record::Position;

/// Counted by the relay.
#[derive(Debug, Default)]
pub struct RelayStats {
    pub(crate) leads: AtomicBool,
    pub(crate) position: AtomicI64,
    pub(crate) head: AtomicI64,
    pub(crate) records: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) empty_reads: AtomicU64,
    pub(crate) failures: AtomicU64,
}

/// The relay's figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayFigures {
    /// Whether this process is the relay now.
    pub leads: bool,
    /// The last position that it knows to be committed in the topic.
    pub position: Position,
    /// How many positions the log is ahead of that; 0 while this process stands by.
    pub lag: i64,
    /// Domain events committed.
    pub records: u64,
    /// Transactions committed.
    pub batches: u64,
    /// Bytes of payload committed.
    pub bytes: u64,
    /// How often the log did not have yet what its head says.
    pub empty_reads: u64,
    /// How often it had to begin anew.
    pub failures: u64,
}

impl RelayStats {
    /// The figures now. They are read one after the other, so two of them may be a batch apart.
    #[must_use]
    pub fn figures(&self) -> RelayFigures {
        let (leads, position) = (self.leads.load(Relaxed), self.position.load(Relaxed));
        RelayFigures {
            leads,
            position,
            lag: if leads { (self.head.load(Relaxed) - position).max(0) } else { 0 },
            records: self.records.load(Relaxed),
            batches: self.batches.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            empty_reads: self.empty_reads.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}

/// Counted by all readers of one [`KafkaStream`](crate::KafkaStream) together.
#[derive(Debug, Default)]
pub struct StreamStats {
    pub(crate) from_topic: AtomicU64,
    pub(crate) from_log: AtomicU64,
    pub(crate) looks: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) refused: AtomicU64,
}

/// The readers' figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFigures {
    /// Domain events handed out from the topic.
    pub from_topic: u64,
    /// Domain events handed out from the log, since the topic did not have them in time.
    pub from_log: u64,
    /// How often the log was looked at because the topic had nothing new.
    pub looks: u64,
    /// Records dropped because they were handed out before.
    pub stale: u64,
    /// Records passed over because they are not the log's.
    pub refused: u64,
}

impl StreamStats {
    /// The figures now.
    #[must_use]
    pub fn figures(&self) -> StreamFigures {
        StreamFigures {
            from_topic: self.from_topic.load(Relaxed),
            from_log: self.from_log.load(Relaxed),
            looks: self.looks.load(Relaxed),
            stale: self.stale.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// Adds a length to a counter.
pub(crate) fn add(counter: &AtomicU64, length: usize) {
    counter.fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Relaxed);
}

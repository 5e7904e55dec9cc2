//! What the writer counts. Mute until the program has made a meter.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

use crate::record::AppendError;

/// Batches grow by doubling up to [`crate::writer::MAX_BATCH_APPENDS`].
const BATCH_BOUNDS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// From a flush of a fast disk to a lock that was long held.
const SECONDS_BOUNDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

pub(crate) struct Metrics {
    batch: Histogram<u64>,
    seconds: Histogram<f64>,
    appends: Counter<u64>,
}

/// The process's own.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("tickiz");
    Metrics {
        batch: meter
            .u64_histogram("tickiz_append_batch_size")
            .with_description("Appends of one transaction of the log.")
            .with_boundaries(BATCH_BOUNDS.to_vec())
            .build(),
        seconds: meter
            .f64_histogram("tickiz_append_batch_seconds")
            .with_description("How long a transaction of the log took, from its lock to its answer.")
            .with_boundaries(SECONDS_BOUNDS.to_vec())
            .build(),
        appends: meter.u64_counter("tickiz_appends").with_description("Appends by outcome.").build(),
    }
});

impl Metrics {
    pub(crate) fn batch(&self, appends: usize, took: std::time::Duration) {
        self.batch.record(appends as u64, &[]);
        self.seconds.record(took.as_secs_f64(), &[]);
    }

    pub(crate) fn outcome<T>(&self, outcome: &Result<T, AppendError>) {
        let name = match outcome {
            Ok(_) => "appended",
            Err(AppendError::Conflict { .. }) => "conflict",
            Err(AppendError::ClaimsLost(_)) => "claims_lost",
            Err(AppendError::Answered(_)) => "answered_before",
            Err(AppendError::PersonKnown) => "person_known",
            Err(AppendError::Overloaded { .. }) => "overloaded",
            Err(AppendError::Closed) => "closed",
            Err(AppendError::Malformed(_)) => "malformed",
            Err(AppendError::Store(_)) => "store_failed",
            Err(AppendError::OutcomeUnknown(_)) => "outcome_unknown",
        };
        self.appends.add(1, &[KeyValue::new("outcome", name)]);
    }
}

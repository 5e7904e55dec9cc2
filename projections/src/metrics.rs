//! What projections and live feeds count, and what they note in the traces of what they project. Mute until the program has made
//! a meter.

use std::{
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use chrono::Utc;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
};
use tickiz_event_log::record::Recorded;
use tickiz_read_models::Projection;
use tickiz_telemetry::trace;

/// Batches grow by doubling up to a projector's own bound.
const BATCH_BOUNDS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

pub(crate) struct Metrics {
    lag_milliseconds: Gauge<i64>,
    batch: Histogram<u64>,
    set_aside: Counter<u64>,
}

/// The process's own.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("tickiz");
    Metrics {
        lag_milliseconds: meter
            .i64_gauge("tickiz_projection_lag_milliseconds")
            .with_description(
                "How long after it was recorded the last domain event of a projection's last batch was projected.",
            )
            .build(),
        batch: meter
            .u64_histogram("tickiz_projection_batch_size")
            .with_description("Domain events of one transaction of a projection.")
            .with_boundaries(BATCH_BOUNDS.to_vec())
            .build(),
        set_aside: meter
            .u64_counter("tickiz_projection_set_aside")
            .with_description(
                "Domain events that a projection could not read and set aside, with their show or booking.",
            )
            .build(),
    }
});

impl Metrics {
    /// A show or booking stands still from now on.
    pub(crate) fn set_aside(&self, projection: Projection) {
        self.set_aside.add(1, &[KeyValue::new("projection", projection.name())]);
    }

    /// A batch is in the store.
    pub(crate) fn projected(&self, projection: Projection, batch: &[Arc<Recorded>], began: SystemTime) {
        let Some(last) = batch.last() else { return };
        let of = [KeyValue::new("projection", projection.name())];
        self.lag_milliseconds.record((Utc::now() - last.recorded_at).num_milliseconds().max(0), &of);
        self.batch.record(batch.len() as u64, &of);
        trace::note_each(
            "project",
            batch.iter().filter_map(|recorded| recorded.metadata.traceparent.as_deref()),
            began,
            || vec![KeyValue::new("tickiz.projection", projection.name())],
        );
    }
}

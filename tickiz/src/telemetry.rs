//! What this process tells of itself: starts telemetry as it is configured, and observes what the process has opened.

#[cfg(feature = "distributed")]
use std::sync::Arc;

use opentelemetry::{KeyValue, global};
#[cfg(feature = "distributed")]
use tickiz_kafka::stats::{RelayStats, StreamStats};
use tickiz_read_models::Projection;
use tickiz_telemetry::{Options, Telemetry, TelemetryError};

use crate::{config::Config, stores::Stores};

/// Starts logs, traces and metrics, before anything else makes some.
///
/// # Errors
/// When they cannot be had as they are configured.
pub fn start(config: &Config, role: &str) -> Result<Telemetry, TelemetryError> {
    tickiz_telemetry::start(&Options {
        role: role.to_owned(),
        log_filter: config.log_filter.clone(),
        log_json: config.log_json,
        otlp: config.otlp_url.as_ref().map(ToString::to_string),
        trace_ratio: config.trace_ratio,
    })
}

/// Observes the log's queue and the pools of connections, for as long as the process lives.
pub fn observe(stores: &Stores) {
    let meter = global::meter("tickiz");
    let log = stores.log.clone();
    meter
        .u64_observable_gauge("tickiz_append_queue")
        .with_description("Appends that wait for the log's writer.")
        .with_callback(move |observer| observer.observe(log.queued().0 as u64, &[]))
        .build();
    let (log, reads, inbox, sandbox) =
        (stores.log.clone(), stores.reads.clone(), stores.inbox.clone(), stores.sandbox.clone());
    meter
        .u64_observable_gauge("tickiz_pool_connections")
        .with_description("Connections to a store, by pool and by what they do.")
        .with_callback(move |observer| {
            let pools = [
                ("log", log.connections()),
                ("read_models", Some(reads.connections())),
                ("inbox", Some(inbox.connections())),
                ("sandbox", Some(sandbox.connections())),
            ];
            for (pool, use_) in pools {
                let Some((size, idle)) = use_ else { continue };
                let of = |state: &'static str| [KeyValue::new("pool", pool), KeyValue::new("state", state)];
                observer.observe(idle as u64, &of("idle"));
                observer.observe(u64::from(size).saturating_sub(idle as u64), &of("busy"));
            }
        })
        .build();
    let (head, reads) = (stores.log.watch(), stores.reads.clone());
    meter
        .i64_observable_gauge("tickiz_projection_lag_positions")
        .with_description("How far a projection is behind the log, both as this process knows them.")
        .with_callback(move |observer| {
            for projection in Projection::ALL {
                let behind = (*head.borrow() - reads.known_checkpoint(projection)).max(0);
                observer.observe(behind, &[KeyValue::new("projection", projection.name())]);
            }
        })
        .build();
    #[cfg(feature = "distributed")]
    if let Some(redis) = stores.near.redis.clone() {
        meter
            .u64_observable_counter("tickiz_redis_failures")
            .with_description("How often Redis did not answer.")
            .with_callback(move |observer| observer.observe(redis.failures(), &[]))
            .build();
    }
}

/// A counter's name, what it is, and where it is read.
#[cfg(feature = "distributed")]
type Counted<S> = (&'static str, &'static str, fn(&S) -> u64);

#[cfg(feature = "distributed")]
fn count<S: Send + Sync + 'static, const N: usize>(stats: &Arc<S>, counters: [Counted<S>; N]) {
    for (name, description, figure) in counters {
        let stats = stats.clone();
        global::meter("tickiz")
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| observer.observe(figure(&stats), &[]))
            .build();
    }
}

/// Observes the relay for as long as the process lives.
#[cfg(feature = "distributed")]
pub fn observe_relay(stats: &Arc<RelayStats>) {
    let now = stats.clone();
    global::meter("tickiz")
        .i64_observable_gauge("tickiz_relay_lag_positions")
        .with_description("How far the topic is behind the log; 0 while another process is the relay.")
        .with_callback(move |observer| observer.observe(now.figures().lag, &[]))
        .build();
    count(
        stats,
        [
            ("tickiz_relay_records", "Domain events committed in the topic.", |now| now.figures().records),
            ("tickiz_relay_batches", "Transactions committed in the topic.", |now| now.figures().batches),
            ("tickiz_relay_bytes", "Bytes of payload committed in the topic.", |now| now.figures().bytes),
            ("tickiz_relay_empty_reads", "How often the log did not have yet what its head says.", |now| {
                now.figures().empty_reads
            }),
            ("tickiz_relay_failures", "How often the relay had to begin anew.", |now| now.figures().failures),
        ],
    );
}

/// Observes what the readers of the topic get, for as long as the process lives.
#[cfg(feature = "distributed")]
pub fn observe_stream(stats: &Arc<StreamStats>) {
    let now = stats.clone();
    global::meter("tickiz")
        .u64_observable_counter("tickiz_stream_events")
        .with_description("Domain events handed out to projections and feeds, by where they came from.")
        .with_callback(move |observer| {
            let figures = now.figures();
            observer.observe(figures.from_topic, &[KeyValue::new("from", "topic")]);
            observer.observe(figures.from_log, &[KeyValue::new("from", "log")]);
        })
        .build();
    count(
        stats,
        [
            ("tickiz_stream_looks", "How often the log was looked at, since the topic had nothing new.", |now| {
                now.figures().looks
            }),
            ("tickiz_stream_stale", "Records of the topic dropped because they were handed out before.", |now| {
                now.figures().stale
            }),
            ("tickiz_stream_refused", "Records of the topic passed over because they are not the log's.", |now| {
                now.figures().refused
            }),
        ],
    );
}

//! What this role counts, in Prometheus' text format. By hand as long as it is this little; names and labels are bounded by the
//! schema and the list of codes.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tickiz_contract::ErrorCode;

/// Counters and gauges of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By root field and code; `OK` where there was no error.
    operations: Mutex<BTreeMap<(String, &'static str), u64>>,
    /// Connections turned away since there were too many.
    pub connections_refused: AtomicU64,
    /// Connections open.
    pub connections: AtomicI64,
    /// WebSockets open.
    pub sockets: AtomicI64,
    /// Subscriptions open.
    pub subscriptions: AtomicI64,
    /// Seat frames encoded.
    pub frames_encoded: AtomicU64,
    /// Seat frames sent, each counted for each subscriber.
    pub frames_sent: AtomicU64,
}

impl Metrics {
    /// Counts an operation; one without roots never came to be one.
    pub fn operation(&self, roots: &[String], codes: &[ErrorCode]) {
        let root = roots.first().map_or("invalid", String::as_str);
        let code = codes.first().map_or("OK", |code| code.as_str());
        *self.operations.lock().entry((root.to_owned(), code)).or_insert(0) += 1;
    }

    /// The text, with gauges that are known elsewhere.
    pub fn render(&self, position: Option<i64>, head: Option<i64>) -> String {
        let mut text = String::from(
            "# HELP tickiz_graphql_operations_total GraphQL operations by their first root field and first error code.\n\
             # TYPE tickiz_graphql_operations_total counter\n",
        );
        for ((operation, code), count) in self.operations.lock().iter() {
            let _ =
                writeln!(text, "tickiz_graphql_operations_total{{operation=\"{operation}\",code=\"{code}\"}} {count}");
        }
        let mut one = |name: &str, kind: &str, help: &str, value: i128| {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        };
        let counter = |counter: &AtomicU64| i128::from(counter.load(Ordering::Relaxed));
        let gauge = |gauge: &AtomicI64| i128::from(gauge.load(Ordering::Relaxed));
        one("tickiz_http_connections", "gauge", "Connections open.", gauge(&self.connections));
        let refused = counter(&self.connections_refused);
        one("tickiz_http_connections_refused_total", "counter", "Connections turned away at the limit.", refused);
        one("tickiz_websockets", "gauge", "WebSockets open.", gauge(&self.sockets));
        one("tickiz_subscriptions", "gauge", "GraphQL subscriptions open.", gauge(&self.subscriptions));
        one("tickiz_seat_frames_encoded_total", "counter", "Seat frames encoded.", counter(&self.frames_encoded));
        one(
            "tickiz_seat_frames_sent_total",
            "counter",
            "Seat frames sent, per subscriber.",
            counter(&self.frames_sent),
        );
        if let Some(position) = position {
            one(
                "tickiz_read_models_position",
                "gauge",
                "Position up to which the read models are complete.",
                position.into(),
            );
        }
        if let Some(head) = head {
            one("tickiz_log_head_position", "gauge", "Last position of the log.", head.into());
        }
        text
    }
}

/// A gauge that counts this while it lives.
pub struct Counted<'a>(&'a AtomicI64);

impl<'a> Counted<'a> {
    /// Counts one more.
    pub fn new(gauge: &'a AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

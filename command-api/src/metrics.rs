//! What the write side counts. Mute until the program has made a meter.

use std::sync::LazyLock;

use opentelemetry::{KeyValue, global, metrics::Counter};
use tickiz_contract::Refusals;

pub(crate) struct Metrics {
    commands: Counter<u64>,
    holds: Counter<u64>,
}

/// The process's own.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let meter = global::meter("tickiz");
    Metrics {
        commands: meter.u64_counter("tickiz_commands").with_description("Commands by operation and code.").build(),
        holds: meter
            .u64_counter("tickiz_holds")
            .with_description("Short claims of seats that were asked for, by what became of them.")
            .build(),
    }
});

impl Metrics {
    pub(crate) fn command<T>(&self, operation: &'static str, answer: &Result<T, Refusals>) {
        let code = match answer {
            Ok(_) => "OK",
            Err(refusals) => refusals.0.first().map_or("INTERNAL", |refusal| refusal.code.as_str()),
        };
        self.commands.add(1, &[KeyValue::new("operation", operation), KeyValue::new("code", code)]);
    }

    pub(crate) fn hold(&self, outcome: &'static str) {
        self.holds.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}

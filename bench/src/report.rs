//! Medians and spreads over the rounds, and the targets.

use std::{collections::BTreeMap, fmt};

/// Figures by side, one a round.
#[derive(Default)]
pub struct Report {
    figures: BTreeMap<&'static str, Vec<f64>>,
}

/// Raw single-row INSERTs at the best of all concurrencies, rows/s.
pub const RAW_SINGLE: &str = "raw single-row INSERT, best concurrency (rows/s)";
/// Raw 100-row INSERTs on one connection, rows/s.
pub const RAW_BATCH: &str = "raw 100-row INSERT, one connection (rows/s)";
/// mysql-es with 256 committers, events/s.
pub const MYSQL_ES: &str = "mysql-es 0.5, 256 committers (events/s)";
/// The log with 256 appenders, events/s.
pub const LOG: &str = "event log, 256 appenders with receipt (events/s)";
/// A raw transaction that writes the same rows, microseconds.
pub const RAW_LATENCY: &str = "raw transaction of the same rows, one connection (µs)";
/// The log with one appender, microseconds.
pub const LOG_LATENCY: &str = "event log, one appender (µs)";
/// A transaction a buyer that decrements one row, buyers/s.
pub const RAW_QUOTA: &str = "UPDATE left = left - 1 in a transaction per buyer, 256 buyers (buyers/s)";
/// The log with every buyer on one quota, buyers/s.
pub const LOG_QUOTA: &str = "event log, 256 buyers of one quota (buyers/s)";

const TARGETS: [(&str, &str, &str, f64, bool); 5] = [
    ("appends against single-row INSERTs", LOG, RAW_SINGLE, 4.0, true),
    ("appends against 100-row INSERTs", LOG, RAW_BATCH, 0.5, true),
    ("appends against mysql-es", LOG, MYSQL_ES, 8.0, true),
    ("one appender's latency against a raw transaction", LOG_LATENCY, RAW_LATENCY, 1.3, false),
    ("one quota against a row decremented per buyer", LOG_QUOTA, RAW_QUOTA, 10.0, true),
];

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

impl Report {
    /// Adds a round's figure.
    pub fn add(&mut self, side: &'static str, figure: f64) {
        eprintln!("  {side}: {figure:.0}");
        self.figures.entry(side).or_default().push(figure);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| side | median | min | max | rounds |\n|---|---:|---:|---:|---:|")?;
        for (side, values) in &self.figures {
            let min = values.iter().copied().fold(f64::INFINITY, f64::min);
            let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            writeln!(f, "| {side} | {:.0} | {min:.0} | {max:.0} | {} |", median(values), values.len())?;
        }
        writeln!(f, "\n| target | wanted | reached (median of the rounds' ratios) | |\n|---|---:|---:|---|")?;
        for (name, ours, theirs, wanted, at_least) in TARGETS {
            let (Some(ours), Some(theirs)) = (self.figures.get(ours), self.figures.get(theirs)) else { continue };
            let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
            let ratio = median(&ratios);
            let met = if at_least { ratio >= wanted } else { ratio <= wanted };
            let sign = if at_least { "≥" } else { "≤" };
            writeln!(f, "| {name} | {sign} {wanted} | {ratio:.2} | {} |", if met { "met" } else { "missed" })?;
        }
        Ok(())
    }
}

//! What the rounds say: a table of the sides, a table of the targets.

use std::fmt::Write;

use super::{RAW_CONNECTIONS, Rounds, Side};
use crate::{
    drive::Timing,
    stats::{Spread, percentile},
};

/// At least so many times the best rate of raw single-row INSERTs.
const TARGET_RAW: f64 = 4.0;
/// At least this share of the rows of raw 100-row INSERTs.
const TARGET_BULK: f64 = 0.5;
/// What an append writes: its domain event, its receipt, three claims and a timer.
const ROWS_AN_APPEND: u32 = 6;
/// At least so many times mysql-es.
const TARGET_MYSQL_ES: f64 = 8.0;
/// At most so many times the latency of a raw transaction.
const TARGET_LATENCY: f64 = 1.3;
/// At least so many times a counter in a row.
const TARGET_QUOTA: f64 = 10.0;

/// The report as Markdown.
pub fn report(rounds: &Rounds, settings: &[(String, String)], timing: Timing, count: u32) -> String {
    let mut text = String::new();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(
        text,
        "{count} rounds, each side {:?} in each after {:?} of warm-up; {cores} cores ({}), client and server on the same \
         machine; tickiz {}.\n",
        timing.measured,
        timing.warm_up,
        processor(),
        env!("CARGO_PKG_VERSION"),
    );
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("`{name}={value}`")).collect();
    let _ = writeln!(text, "Server: {}.\n", settings.join(", "));
    sides(&mut text, rounds);
    targets(&mut text, rounds);
    text
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown processor", |(_, name)| name.trim()).to_owned()
}

fn sides(text: &mut String, rounds: &Rounds) {
    text.push_str("| side | rate, 1/s: median (min to max) | latency, ms: p50 | p99 |\n|---|---|---|---|\n");
    for (side, turns) in rounds {
        let Some(rate) = Spread::of(turns.iter().map(|turn| turn.rate)) else { continue };
        let latency = |share| {
            let known = turns.iter().filter(|turn| !turn.latencies_us.is_empty());
            let spread = Spread::of(known.map(|turn| f64::from(percentile(&turn.latencies_us, share)) / 1000.0));
            spread.map_or_else(|| "–".to_owned(), |of| format!("{:.2} ({:.2} to {:.2})", of.median, of.min, of.max))
        };
        let _ = writeln!(
            text,
            "| {} | {} ({} to {}) | {} | {} |",
            side.name(),
            grouped(rate.median),
            grouped(rate.min),
            grouped(rate.max),
            latency(0.5),
            latency(0.99)
        );
    }
    text.push('\n');
}

/// A number with its thousands apart.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn median_rate(rounds: &Rounds, side: Side) -> Option<f64> {
    Some(Spread::of(rounds.get(&side)?.iter().map(|turn| turn.rate))?.median)
}

fn median_latency(rounds: &Rounds, side: Side, share: f64) -> Option<f64> {
    let turns = rounds.get(&side)?;
    Some(Spread::of(turns.iter().map(|turn| f64::from(percentile(&turn.latencies_us, share))))?.median)
}

/// The greatest median among these sides.
fn best(rounds: &Rounds, sides: impl IntoIterator<Item = Side>) -> Option<f64> {
    sides.into_iter().filter_map(|side| median_rate(rounds, side)).max_by(f64::total_cmp)
}

fn targets(text: &mut String, rounds: &Rounds) {
    text.push_str("| target | ratio of the medians | wanted | |\n|---|---|---|---|\n");
    let mut line = |what: &str, ratio: Option<f64>, wanted: f64, at_least: bool| {
        let Some(ratio) = ratio else { return };
        let reached = if at_least { ratio >= wanted } else { ratio <= wanted };
        let (bound, verdict) = (if at_least { "≥" } else { "≤" }, if reached { "reached" } else { "**missed**" });
        let _ = writeln!(text, "| {what} | {ratio:.2} | {bound} {wanted} | {verdict} |");
    };
    let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
    let appends = median_rate(rounds, Side::Appends);
    let raw = best(rounds, RAW_CONNECTIONS.map(Side::Inserts));
    line("appends to the best of raw single-row INSERTs", ratio(appends, raw), TARGET_RAW, true);
    let bulk = median_rate(rounds, Side::Bulk);
    line("appends to rows of raw 100-row INSERTs", ratio(appends, bulk), TARGET_BULK, true);
    let rows = appends.map(|rate| rate * f64::from(ROWS_AN_APPEND));
    line("rows that the appends write to rows of raw 100-row INSERTs", ratio(rows, bulk), TARGET_BULK, true);
    let others = rounds.keys().copied().filter(|side| matches!(side, Side::MysqlEs(_)));
    line("appends to the best of mysql-es", ratio(appends, best(rounds, others)), TARGET_MYSQL_ES, true);
    for (what, share) in [("median", 0.5), ("p99", 0.99)] {
        let ratio =
            ratio(median_latency(rounds, Side::Append, share), median_latency(rounds, Side::Transaction, share));
        line(&format!("latency of one appender to a raw transaction, {what}"), ratio, TARGET_LATENCY, false);
    }
    let quota = ratio(median_rate(rounds, Side::Quota), median_rate(rounds, Side::Stock));
    line("buyers of one quota to a counter in a row", quota, TARGET_QUOTA, true);
}

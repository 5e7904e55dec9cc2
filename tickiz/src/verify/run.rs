//! Puts the evidence together: the log read once, then the tables beside it.

use std::{io::Write, process::ExitCode, sync::Arc};

use tickiz_command_api::gateways::sandbox::provider;
use tickiz_domain::{booking::BookingDomainEvent, ids::PaymentId, stored::StoredEvent};
use tickiz_event_log::{
    EventLog, LogFilter,
    record::{Position, Recorded},
    store::Evidence,
};
use tickiz_projections::{LogSource, compare::CompareError, compare_with_log};

use super::{Promise, Report, Walk, claims::Expected, money::LedgerPayment};
use crate::{
    config::Config,
    stores::{self, Stores},
};

/// Domain events read at a time.
const PAGE: usize = 2000;

/// `tickiz verify`: prints the report; exit code 1 where a promise is broken.
///
/// # Errors
/// When something cannot be opened or read, so that nothing can be said.
pub async fn run(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let stores = stores::open_to_read(config).await?;
    stores.reads.load_versions().await?;
    let report = verify(&stores).await?;
    #[cfg(feature = "distributed")]
    let mut report = compare_topic(config, &stores, report).await?;
    #[cfg(feature = "distributed")]
    super::copies::compare(&stores, &mut report).await?;
    let text = if json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
    // A reader that goes away (`| head`) takes nothing from the exit code.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks every promise. May run beside a working system: what is appended while it reads is compared on the next look.
///
/// # Errors
/// When something cannot be read.
async fn verify(stores: &Stores) -> anyhow::Result<Report> {
    let log = &stores.log;
    let mut walk = Walk::default();
    let mut placed = Vec::new();
    // The log goes on while it is read, and so do the tables beside it: they are taken as they were at one position, and the log
    // is read up to there.
    let Evidence { head, claims, receipts, timers } = log.evidence().await?;
    read_up_to(log, head, &mut walk, &mut placed).await?;
    if head != walk.report.head {
        let what = format!("the head row says {head}, the log ends at {}", walk.report.head);
        walk.report.find(Promise::P3, walk.report.head, "log_head", what);
    }
    let beyond = log.query(&LogFilter { after: head, ..LogFilter::default() }, 1).await?;
    if let Some(first) = beyond.first()
        && first.position > log.head().await?
    {
        walk.report.find(Promise::P3, first.position, "log_head", format!("the log goes on behind its head {head}"));
    }
    compare_claims(&mut walk, &claims);
    compare_receipts(&mut walk, &receipts, &placed);
    walk.check_conservation();
    walk.check_money();
    walk.check_holds(log.now());
    walk.check_work(&timers);
    let ledger = provider::ledger(stores.sandbox.clone()).await?;
    let ledger: Vec<LedgerPayment> = ledger.iter().filter_map(listed).collect();
    walk.check_ledger(&ledger, log.now());
    compare_read_models(&mut walk, stores).await?;
    Ok(walk.report)
}

/// P8 and P6: the topic is the log, where there is one.
#[cfg(feature = "distributed")]
async fn compare_topic(config: &Config, stores: &Stores, mut report: Report) -> anyhow::Result<Report> {
    let Some(topic) = config.topic() else { return Ok(report) };
    for difference in tickiz_kafka::compare_topic(&topic, &stores.log).await? {
        report.find(Promise::P8, difference.position, &topic.name, difference.what);
    }
    Ok(report)
}

async fn read_up_to(log: &EventLog, head: Position, walk: &mut Walk, placed: &mut Vec<Position>) -> anyhow::Result<()> {
    loop {
        // By the auditors' query, which takes what is there: a gap is to be found, not to end the reading.
        let filter = LogFilter { after: walk.report.head, ..LogFilter::default() };
        let page = log.query(&filter, PAGE).await?;
        let Some(last) = page.last().map(|last| last.position) else { return Ok(()) };
        for recorded in page.iter().take_while(|recorded| recorded.position <= head) {
            walk.take(recorded);
            note_placed(recorded, placed);
        }
        if last >= head {
            return Ok(());
        }
    }
}

fn note_placed(recorded: &Recorded, placed: &mut Vec<Position>) {
    if recorded.stream.stream_type == BookingDomainEvent::STREAM_TYPE && recorded.event_type == "BookingPlaced" {
        placed.push(recorded.position);
    }
}

/// P1, P2 and P12: the claims table is what the log says, row by row.
fn compare_claims(walk: &mut Walk, rows: &[tickiz_event_log::ClaimRow]) {
    let mut expected = walk.claims.rows.clone();
    for row in rows {
        let resource = row.resource.as_str();
        let Some(wanted) = expected.remove(resource) else {
            let what = format!("a claim of {:?} that the log knows nothing of", row.holder);
            walk.report.find(Promise::P1, row.fence, resource, what);
            continue;
        };
        match wanted {
            Expected::Held { holder, fence } => {
                if row.holder.as_deref() != Some(holder.as_str()) {
                    let what = format!("held by {holder} by the log, by {:?} in the claims", row.holder);
                    walk.report.find(Promise::P1, fence, resource, what);
                } else if row.fence != fence {
                    let what = format!("its fence is {}, it was taken at {fence}", row.fence);
                    walk.report.find(Promise::P12, fence, resource, what);
                }
            }
            Expected::Counted { used, limit } => {
                if row.used != used || row.limit != limit {
                    let what =
                        format!("{used} of {limit} are used by the log, {} of {} in the claims", row.used, row.limit);
                    walk.report.find(Promise::P2, row.fence, resource, what);
                }
            }
        }
    }
    for (resource, wanted) in expected {
        let position = match wanted {
            Expected::Held { fence, .. } => Some(fence),
            Expected::Counted { .. } => None,
        };
        walk.report.find(Promise::P1, position, resource, "claimed by the log, and the claims have no row");
    }
}

/// P7: a placed booking can be answered again, and a receipt points at what is there.
fn compare_receipts(
    walk: &mut Walk,
    receipts: &[(tickiz_event_log::store::ReceiptKey, tickiz_event_log::Receipt)],
    placed: &[Position],
) {
    let head = walk.report.head;
    let mut covered: Vec<(Position, Position)> = Vec::new();
    for (key, receipt) in receipts {
        if receipt.last_position > head || receipt.first_position > receipt.last_position {
            let what =
                format!("it points at {} to {}, the log ends at {head}", receipt.first_position, receipt.last_position);
            walk.report.find(Promise::P7, receipt.first_position, format!("receipt of {}", key.operation), what);
        }
        if key.operation == "placeBooking" {
            covered.push((receipt.first_position, receipt.last_position));
        }
    }
    covered.sort_unstable();
    let mut spans = covered.iter().peekable();
    for position in placed {
        while spans.next_if(|(_, last)| last < position).is_some() {}
        if spans.peek().is_none_or(|(first, _)| first > position) {
            walk.report.find(
                Promise::P7,
                *position,
                "BookingPlaced",
                "it has no receipt: its repetition could not be answered",
            );
        }
    }
}

fn listed(entry: &provider::account::LedgerPayment) -> Option<LedgerPayment> {
    Some(LedgerPayment {
        payment_id: entry.idempotency_key.parse::<PaymentId>().ok()?,
        paid: entry.charged_minor > 0,
        amount: entry.amount,
        refunded_minor: entry.returned_minor,
        changed_at: entry.changed_at,
    })
}

/// P6: the read models equal the fold of the log.
async fn compare_read_models(walk: &mut Walk, stores: &Stores) -> anyhow::Result<()> {
    let source: Arc<dyn LogSource> = Arc::new(stores.log.clone());
    match compare_with_log(&source, &stores.reads).await {
        Ok(differences) => {
            for difference in differences {
                let subject = format!("{} {}", difference.projection, difference.key);
                walk.report.find(Promise::P6, difference.position, subject, difference.what);
            }
        }
        // A log with a gap or a domain event that cannot be read is found above; then nothing can be compared with it.
        Err(CompareError::Ahead { projection, checkpoint, head }) => {
            let what = format!("its checkpoint is {checkpoint}, the log ends at {head}");
            walk.report.find(Promise::P6, checkpoint, projection, what);
        }
        Err(error) => walk.report.notes.push(format!("the read models were not compared: {error}")),
    }
    Ok(())
}

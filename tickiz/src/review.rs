//! `tickiz review`: money that waits for a person: refunds that a gateway refused, and payments that fit nothing.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use tickiz_command_api::{
    CommandOptions, RefundOutcome, SystemCommands,
    executor::{Origin, Reading},
};
use tickiz_domain::{
    booking::{BookingDomainEvent, PaymentMethod, PaymentStatus},
    ids::{BookingId, PaymentId, RefundId},
    money::Money,
    stored::StoredEvent,
    stream::StreamType,
};
use tickiz_event_log::{EventLog, LogFilter, record::Recorded};
use uuid::Uuid;

use crate::{config::Config, stores};

/// Domain events read at a time.
const PAGE: usize = 1000;
/// The longest text that says how money was paid back.
const MAX_REFERENCE_CHARS: usize = 200;

/// What `tickiz review` is asked.
#[derive(clap::Args)]
pub struct ReviewArguments {
    /// Records that this refund was made another way, such as by a bank transfer.
    #[arg(long, value_name = "REFUND", requires = "reference")]
    paid_back: Option<Uuid>,
    /// How the bank or the gateway calls it. It stays in the log for ever, so it must not say who the buyer is.
    #[arg(long, value_name = "TEXT", requires = "paid_back")]
    reference: Option<String>,
    /// JSON lines instead of text.
    #[arg(long)]
    json: bool,
}

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    /// A gateway refused to give it back.
    RefundFailed,
    /// It came, and fits nothing.
    PaymentHeld,
}

/// One thing that a person has to look at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    kind: Kind,
    booking_id: BookingId,
    code: String,
    payment_id: PaymentId,
    refund_id: Option<RefundId>,
    method: PaymentMethod,
    /// What has to go back, or what came.
    amount: Money,
    /// How the gateway calls the payment.
    gateway_reference: Option<String>,
    why: String,
    /// The position of the domain event that says so.
    position: i64,
}

/// Shows what waits, or records what was done about a refund.
///
/// # Errors
/// When the log cannot be read or written, or no such refund waits.
pub async fn run(config: &Config, arguments: &ReviewArguments) -> anyhow::Result<ExitCode> {
    let (log, service) = stores::open_log_to_write(config).await?;
    let system = SystemCommands::new(&log, &CommandOptions::default());
    let items = waiting(&log, &system).await?;
    let shown = match arguments.paid_back {
        None => show(&items, arguments.json),
        Some(refund) => {
            paid_back(&system, &items, RefundId(refund), arguments.reference.as_deref().unwrap_or_default()).await
        }
    };
    service.shutdown().await;
    shown.map(|()| ExitCode::SUCCESS)
}

/// Everything that waits, in the order in which it came to that.
async fn waiting(log: &EventLog, system: &SystemCommands) -> anyhow::Result<Vec<Item>> {
    let mut filter = LogFilter {
        stream_type: Some(StreamType::Booking),
        event_types: vec!["RefundFailed".to_owned(), "PaymentHeldForReview".to_owned()],
        ..LogFilter::default()
    };
    let mut items: Vec<Item> = Vec::new();
    loop {
        let page = log.query(&filter, PAGE).await?;
        let Some(last) = page.last() else { return Ok(items) };
        filter.after = last.position;
        for recorded in &page {
            let Some(item) = item(system, recorded).await? else { continue };
            // A refund may have failed more than once.
            items.retain(|before| (before.payment_id, before.refund_id) != (item.payment_id, item.refund_id));
            items.push(item);
        }
    }
}

/// What waits because of a domain event, unless it was settled since.
async fn item(system: &SystemCommands, recorded: &Recorded) -> anyhow::Result<Option<Item>> {
    let at = || format!("the domain event at position {}", recorded.position);
    let event = BookingDomainEvent::decode(&recorded.event_type, recorded.event_version, &recorded.payload);
    let event = event.with_context(at)?;
    let booking_id = BookingId(recorded.stream.id);
    let standing = system.booking(booking_id, Reading::Warm).await?;
    let Some(purchase) = &standing.aggregate.0 else { return Ok(None) };
    let (payment_id, refund, why) = match event {
        BookingDomainEvent::RefundFailed(failed) => {
            // Not where its money was asked back since, with the rest of its booking: it would go back twice.
            let refund = purchase.failed_refunds().find(|refund| refund.id == failed.refund_id);
            let Some(refund) = refund else { return Ok(None) };
            (refund.payment_id, Some((failed.refund_id, refund.amount)), failed.reason)
        }
        BookingDomainEvent::PaymentHeldForReview(held) => (held.payment_id, None, held.reason),
        _ => return Ok(None),
    };
    let payment = purchase.payment(payment_id);
    let payment = payment.filter(|payment| refund.is_some() || payment.status == PaymentStatus::Review);
    Ok(payment.map(|payment| Item {
        kind: if refund.is_some() { Kind::RefundFailed } else { Kind::PaymentHeld },
        booking_id,
        code: purchase.code.clone(),
        payment_id,
        refund_id: refund.map(|(id, _)| id),
        method: payment.method,
        amount: refund.map_or(payment.received.unwrap_or(payment.amount), |(_, amount)| amount),
        gateway_reference: payment.gateway_reference.clone(),
        why,
        position: recorded.position,
    }))
}

fn show(items: &[Item], json: bool) -> anyhow::Result<()> {
    for item in items {
        if json {
            println!("{}", serde_json::to_string(item)?);
            continue;
        }
        let what = match item.refund_id {
            Some(refund) => format!("refund {refund} failed"),
            None => format!("payment {} is held", item.payment_id),
        };
        let reference = item.gateway_reference.as_deref().unwrap_or("–");
        println!(
            "{what}: {} of booking {} ({}) by {:?}, there {reference}: {}",
            item.amount, item.code, item.booking_id, item.method, item.why
        );
    }
    if items.is_empty() && !json {
        println!("nothing waits for a person");
    }
    Ok(())
}

async fn paid_back(
    system: &SystemCommands,
    items: &[Item],
    refund_id: RefundId,
    reference: &str,
) -> anyhow::Result<()> {
    let length = reference.trim().chars().count();
    anyhow::ensure!(
        (1..=MAX_REFERENCE_CHARS).contains(&length) && !reference.chars().any(char::is_control),
        "--reference: 1 to {MAX_REFERENCE_CHARS} characters, none of them a control character"
    );
    let item = items.iter().find(|item| item.refund_id == Some(refund_id));
    let item =
        item.with_context(|| format!("--paid-back: no refund {refund_id} waits; `tickiz review` shows those that do"))?;
    let origin = Origin { actor: "operator".to_owned(), causation_id: None, correlation_id: None, traceparent: None };
    let outcome = RefundOutcome::Succeeded { gateway_reference: reference.trim().to_owned() };
    system.record_refund_outcome(item.booking_id, refund_id, outcome, &origin).await?;
    println!("recorded: {} of booking {} were paid back", item.amount, item.code);
    Ok(())
}

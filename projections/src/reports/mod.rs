//! The projection `reports`: what each booking comes to in tickets and money.
//!
//! | domain event | what becomes of the booking in the reports |
//! |---|---|
//! | `BookingPlaced` | held, with its lines by ticket type |
//! | `BookingConfirmed`, `BookingReinstated` | confirmed; sold from the first of them on |
//! | `BookingExpired`, `BookingCancelled` | expired, cancelled |
//! | `PaymentSucceeded` | its money was received, also where it bought nothing and goes back |
//! | `RefundRequested`, `RefundSucceeded` | nothing yet; then its money is refunded |
//! | `TicketsRevoked` | these tickets are returned, and what they cost is theirs when it is refunded; the others stay confirmed |
//!
//! So what was received less what was refunded is what the gateways have, to the last unit. Money under review is in neither.
//! The table and its queries are in `tickiz_read_models::reports`.

use std::collections::BTreeMap;

use tickiz_domain::{
    booking::{BookingDomainEvent, BookingPlaced},
    ids::BookingId,
};
use tickiz_event_log::record::Recorded;
use tickiz_read_models::{
    Position, Projection, ReadError, WriteTx,
    reports::sale::{Sale, SaleLine, SaleRecord, SaleStatus},
};

use crate::{
    events::ApplyError,
    per_booking::{Kept, PerBooking},
};

/// Builds the projection `reports`.
pub type ReportsProjector = PerBooking<SaleRecord>;

fn placed(placed: BookingPlaced, recorded: &Recorded) -> Sale {
    let mut lines = BTreeMap::<_, (i64, i64)>::new();
    for line in &placed.lines {
        let (tickets, price) = lines.entry(line.ticket_type_id).or_default();
        *tickets += 1;
        *price += line.price.minor();
    }
    let line = |(ticket_type_id, (tickets, price_minor))| SaleLine::new(ticket_type_id, tickets, price_minor);
    Sale {
        event_id: placed.event_id,
        organizer_id: placed.organizer_id,
        currency: placed.total.currency(),
        placed_at: recorded.recorded_at,
        status: SaleStatus::Held,
        sold_at: None,
        lines: lines.into_iter().map(line).collect(),
        received_minor: 0,
        refunded_minor: 0,
        refunds: BTreeMap::new(),
        given_back: BTreeMap::new(),
    }
}

/// What a domain event changes of a sale; false: nothing.
fn change(sale: &mut Sale, event: BookingDomainEvent, recorded: &Recorded) -> bool {
    use BookingDomainEvent as E;
    match event {
        E::BookingConfirmed(_) | E::BookingReinstated(_) => {
            sale.status = SaleStatus::Confirmed;
            sale.sold_at.get_or_insert(recorded.recorded_at);
        }
        E::BookingExpired(_) => sale.status = SaleStatus::Expired,
        E::BookingCancelled(_) => sale.status = SaleStatus::Cancelled,
        E::PaymentSucceeded(succeeded) => sale.received_minor += succeeded.amount.minor(),
        E::RefundRequested(requested) => {
            sale.refunds.insert(requested.refund_id, requested.amount.minor());
        }
        // A refund that failed may succeed later all the same, so it is remembered until it does.
        E::RefundSucceeded(succeeded) => {
            sale.refunded_minor += sale.refunds.remove(&succeeded.refund_id).unwrap_or(0);
            for (ticket_type_id, minor) in sale.given_back.remove(&succeeded.refund_id).unwrap_or_default() {
                sale.returned(ticket_type_id).refunded_minor += minor;
            }
        }
        E::TicketsRevoked(revoked) => {
            for ticket in &revoked.tickets {
                sale.take_back(ticket.ticket_type_id, ticket.price.minor());
            }
            if let Some(refund_id) = revoked.refund_id {
                let prices = revoked.tickets.iter().map(|ticket| (ticket.ticket_type_id, ticket.price.minor()));
                sale.given_back.insert(refund_id, prices.collect());
            }
        }
        _ => return false,
    }
    true
}

impl Kept for SaleRecord {
    const PROJECTION: Projection = Projection::Reports;

    fn id(&self) -> BookingId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn apply(kept: &mut Option<Self>, event: BookingDomainEvent, recorded: &Recorded) -> Result<(), ApplyError> {
        if let BookingDomainEvent::BookingPlaced(event) = event {
            let (id, position) = (BookingId(recorded.stream.id), recorded.position);
            *kept = Some(Self { id, sale: placed(event, recorded), position });
            return Ok(());
        }
        let record = kept.as_mut().ok_or(ApplyError::NoBooking)?;
        if change(&mut record.sale, event, recorded) {
            record.position = recorded.position;
        }
        Ok(())
    }

    async fn load(tx: &mut WriteTx, ids: &[BookingId]) -> Result<Vec<Self>, ReadError> {
        tx.load_sales(ids).await
    }

    async fn write(tx: &mut WriteTx, kept: &[&Self]) -> Result<(), ReadError> {
        tx.write_sales_of(kept.iter().copied()).await
    }
}

//! P4 and P5: the bookings as folded, against themselves and against the gateway's own books.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use tickiz_domain::{
    booking::{BookingStatus, PaymentStatus, Purchase, RefundStatus},
    ids::{BookingId, PaymentId},
    money::Money,
};

use super::{
    fold::Walk,
    report::{Promise, Report},
};

/// How long a hold may outlive its deadline, in seconds.
pub const HOLD_GRACE_SECONDS: i64 = 5;

/// How long money may be on its way between gateway and log before it counts as lost, in seconds: the reconciler's first
/// rounds, and a webhook's first retries.
pub const MONEY_GRACE_SECONDS: i64 = 120;

/// One payment as the gateway's own books have it.
#[derive(Clone, Debug)]
pub struct LedgerPayment {
    /// The attempt's id, which it was created with.
    pub payment_id: PaymentId,
    /// Whether the buyer's money was taken.
    pub paid: bool,
    /// How much was asked.
    pub amount: Money,
    /// Minor units that went back.
    pub refunded_minor: i64,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
}

impl Walk {
    /// P4 within the log: tickets and money, booking by booking.
    pub fn check_money(&mut self) {
        for (id, walked) in &self.bookings {
            if let Some(purchase) = &walked.booking.0 {
                check_booking(*id, purchase, walked.last_at, &mut self.report);
            }
        }
    }

    /// P5: no hold is open past its deadline plus the grace, by the store's clock.
    pub fn check_holds(&mut self, now: DateTime<Utc>) {
        let (late, latest) = self.late_ends;
        if late > 0 {
            let note = format!(
                "{late} holds ended more than {HOLD_GRACE_SECONDS} s late, the latest {latest} s: was a process running?"
            );
            self.report.notes.push(note);
        }
        for (id, walked) in &self.bookings {
            let Some(purchase) = &walked.booking.0 else { continue };
            let late = now - purchase.hold_expires_at;
            if purchase.status == BookingStatus::Held && late > Duration::seconds(HOLD_GRACE_SECONDS) {
                let what = format!("its hold ran out {} s ago and no domain event says so", late.num_seconds());
                self.report.find(Promise::P5, walked.placed_at, format!("Booking/{id}"), what);
            }
        }
    }

    /// P4 against the gateway: what it took is recorded, what is recorded it took, what went back went back.
    pub fn check_ledger(&mut self, ledger: &[LedgerPayment], now: DateTime<Utc>) {
        let mut known = BTreeMap::new();
        for (id, walked) in &self.bookings {
            for payment in walked.booking.0.iter().flat_map(|purchase| &purchase.payments) {
                known.insert(payment.id, (*id, walked));
            }
        }
        let grace = Duration::seconds(MONEY_GRACE_SECONDS);
        let mut listed = BTreeMap::new();
        for entry in ledger {
            listed.insert(entry.payment_id, entry);
            let subject = format!("Payment/{}", entry.payment_id);
            let Some((booking_id, walked)) = known.get(&entry.payment_id) else {
                self.report.find(Promise::P4, None, subject, "the gateway has a payment that no booking knows");
                continue;
            };
            let Some(payment) = walked.booking.0.as_ref().and_then(|purchase| purchase.payment(entry.payment_id))
            else {
                continue;
            };
            let settled = now - entry.changed_at > grace;
            let recorded = payment.received.as_ref().map_or(0, Money::minor);
            let taken = if entry.paid { entry.amount.minor() } else { 0 };
            if recorded != taken && (recorded > 0 || settled) {
                let what =
                    format!("the gateway took {taken}, Booking/{booking_id} has recorded {recorded} (minor units)");
                self.report.find(Promise::P4, walked.last_at, &subject, what);
            }
            let back: i64 = walked
                .booking
                .0
                .iter()
                .flat_map(|purchase| &purchase.refunds)
                .filter(|refund| refund.payment_id == entry.payment_id && refund.status == RefundStatus::Succeeded)
                .map(|refund| refund.amount.minor())
                .sum();
            if back != entry.refunded_minor && (back > entry.refunded_minor || settled) {
                let what = format!("the gateway gave {} back, recorded are {back} (minor units)", entry.refunded_minor);
                self.report.find(Promise::P4, walked.last_at, &subject, what);
            }
        }
        for (payment_id, (booking_id, walked)) in known {
            let Some(payment) = walked.booking.0.as_ref().and_then(|purchase| purchase.payment(payment_id)) else {
                continue;
            };
            let sandbox = payment.method == tickiz_domain::booking::PaymentMethod::Sandbox;
            if sandbox && payment.received.is_some() && !listed.contains_key(&payment_id) {
                let what = format!("Booking/{booking_id} has money by it, and the gateway has never heard of it");
                self.report.find(Promise::P4, walked.last_at, format!("Payment/{payment_id}"), what);
            }
        }
    }
}

fn check_booking(id: BookingId, purchase: &Purchase, position: i64, report: &mut Report) {
    let subject = format!("Booking/{id}");
    let lines: i64 = purchase.lines.iter().map(|line| line.price.minor()).sum();
    if lines != purchase.total.minor() {
        let what = format!("its lines add up to {lines}, its total is {} (minor units)", purchase.total.minor());
        report.find(Promise::P4, position, &subject, what);
    }
    let kept: i64 = purchase
        .payments
        .iter()
        .filter(|payment| payment.status != PaymentStatus::Review)
        .map(|payment| purchase.refundable_minor(payment))
        .sum();
    let due = purchase.due_minor();
    if kept < due {
        report.find(Promise::P4, position, &subject, format!("confirmed for {due}, paid {kept} (minor units)"));
    }
    if kept > due {
        let what = format!(
            "{kept} were paid and kept, {due} are due for its tickets, and no refund is on its way (minor units)"
        );
        report.find(Promise::P4, position, &subject, what);
    }
    if purchase.status == BookingStatus::Confirmed && purchase.tickets.len() != purchase.lines.len() {
        let what = format!("{} tickets were issued for {} lines", purchase.tickets.len(), purchase.lines.len());
        report.find(Promise::P4, position, &subject, what);
    }
}

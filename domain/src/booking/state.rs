//! The fold of a Booking's history. Also what the read side keeps of a booking, so that it cannot differ from the log.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{
    BookingDomainEvent, BookingPlaced, IssuedTicket, Line, PaymentMethod, Places, RefundedBy, ScanConflict,
};
use crate::{
    ids::{EventId, OrganizerId, PaymentId, PersonMark, RefundId, ScanId, TicketId},
    money::Money,
    sealed::Sealed,
};

/// Where a booking stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BookingStatus {
    /// Its places are kept until its deadline.
    Held,
    /// Paid or free; its tickets are valid.
    Confirmed,
    /// Its hold ran out.
    Expired,
    /// Somebody ended it.
    Cancelled,
    /// Ended, and all its money went back.
    Refunded,
}

/// Where a payment attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentStatus {
    /// Recorded; the gateway may not know it yet.
    Created,
    /// The gateway knows it and the buyer can pay.
    Pending,
    /// The gateway has the money.
    Succeeded,
    /// The gateway declined.
    Failed,
    /// Given up.
    Cancelled,
    /// The gateway's own deadline passed.
    Expired,
    /// Money came that does not fit.
    Review,
    /// All its money went back.
    Refunded,
    /// Some of its money went back.
    PartiallyRefunded,
}

impl PaymentStatus {
    /// Whether the buyer can still pay by this attempt.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Pending)
    }
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// Asked for; the gateway may not know it yet.
    Requested,
    /// The money is back.
    Succeeded,
    /// The gateway refused; a person has to look.
    Failed,
}

/// One attempt to pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// By which gateway.
    pub method: PaymentMethod,
    /// Where it stands.
    pub status: PaymentStatus,
    /// How much was asked.
    pub amount: Money,
    /// What the gateway has; a fact that stays whatever the status becomes.
    pub received: Option<Money>,
    /// The gateway's own id of it.
    pub gateway_reference: Option<String>,
    /// Where the buyer pays.
    pub redirect_url: Option<String>,
    /// Where his browser goes afterwards, sealed with his key. Its name is not that of the address in the clear, which older
    /// snapshots and read models have.
    #[serde(rename = "sealedReturnUrl", default)]
    pub return_url: Option<Sealed>,
    /// Until when the gateway is to accept the payment.
    pub pay_until: DateTime<Utc>,
    /// Why it failed or needs a look.
    pub reason: Option<String>,
}

/// One attempt to give money back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// The attempt whose money it is.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Where it stands.
    pub status: RefundStatus,
    /// Why it was asked for.
    pub reason: String,
    /// Who wanted it, where it is a part of what paid for a booking that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<RefundedBy>,
    /// The tickets whose prices these are; none for a sum that leaves the tickets as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticket_ids: Vec<TicketId>,
}

/// A scan of one of its tickets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    /// Its id.
    pub id: ScanId,
    /// The ticket.
    pub ticket_id: TicketId,
    /// The gate, as the house calls it.
    pub gate: String,
    /// When, by the gate's clock.
    pub scanned_at: DateTime<Utc>,
    /// What was wrong with it; `None`: it let somebody in rightly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<ScanConflict>,
}

/// The aggregate: nothing yet, or a purchase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Booking(pub Option<Purchase>);

/// Everything that is decided about a booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purchase {
    /// The show.
    pub event_id: EventId,
    /// The tenant that sells it.
    pub organizer_id: OrganizerId,
    /// The human code.
    pub code: String,
    /// Where it stands.
    pub status: BookingStatus,
    /// The priced lines.
    pub lines: Vec<Line>,
    /// Their sum.
    pub total: Money,
    /// The buyer, sealed.
    pub buyer: Sealed,
    /// Whose places these are, for the limit per person.
    pub person: PersonMark,
    /// The limit per person that counted when it was placed.
    pub max_per_person: Option<i32>,
    /// The language of mails and tickets.
    pub locale: Option<String>,
    /// SHA-256 of the access token, hexadecimal.
    pub access_token_hash: String,
    /// When the hold runs out or ran out.
    pub hold_expires_at: DateTime<Utc>,
    /// Whether a declined payment ends it at once.
    pub release_on_decline: bool,
    /// The issued tickets, in the order of the lines; empty until it is confirmed. Those that were given back stay among them.
    pub tickets: Vec<IssuedTicket>,
    /// The tickets that were given back while the booking went on with the others, in the order in which they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<TicketId>,
    /// The attempts, in the order they were made.
    pub payments: Vec<Payment>,
    /// The refunds, in the order they were asked for.
    pub refunds: Vec<Refund>,
    /// The scans of its tickets, in the order they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scans: Vec<Scan>,
}

impl Purchase {
    /// What it takes of its show, or took when it ended.
    #[must_use]
    pub fn places(&self) -> Places {
        let lines = self.lines.iter().filter(|line| !self.is_revoked(line.ticket_id));
        self.places_of(lines)
    }

    /// What those lines of it take of its show.
    pub(super) fn places_of<'a>(&self, lines: impl IntoIterator<Item = &'a Line>) -> Places {
        Places::of(self.event_id, lines, self.person.clone(), self.max_per_person.map(i64::from))
    }

    /// Whether that ticket was given back while the booking went on with the others.
    #[must_use]
    pub fn is_revoked(&self, ticket: TicketId) -> bool {
        self.revoked.contains(&ticket)
    }

    /// The tickets that let somebody in, in the order of the lines: none but those of a confirmed booking.
    pub fn valid_tickets(&self) -> impl Iterator<Item = &IssuedTicket> + Clone {
        let is_confirmed = self.status == BookingStatus::Confirmed;
        self.tickets.iter().filter(move |ticket| is_confirmed && !self.is_revoked(ticket.ticket_id))
    }

    /// Minor units of its money that are to be kept: what its tickets cost less the parts that were to go back, whatever became of
    /// these refunds. What is kept beyond that waits for a refund that failed, and for nothing else.
    #[must_use]
    pub fn due_minor(&self) -> i64 {
        if self.status != BookingStatus::Confirmed {
            return 0;
        }
        let revoked = self.lines.iter().filter(|line| self.is_revoked(line.ticket_id)).map(|line| line.price.minor());
        let sums = self.refunds.iter().filter(|refund| refund.by.is_some() && refund.ticket_ids.is_empty());
        self.total.minor() - revoked.sum::<i64>() - sums.map(|refund| refund.amount.minor()).sum::<i64>()
    }

    /// The refunds that failed and whose money nobody has asked back since: a person has to see to them.
    pub fn failed_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(|refund| {
            let left = self.payment(refund.payment_id).map_or(0, |payment| self.refundable_minor(payment));
            refund.status == RefundStatus::Failed && left >= refund.amount.minor()
        })
    }

    /// The attempt of that id.
    #[must_use]
    pub fn payment(&self, id: PaymentId) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.id == id)
    }

    /// The scan by which somebody was let in with that ticket.
    #[must_use]
    pub fn admission(&self, ticket: TicketId) -> Option<&Scan> {
        self.scans.iter().find(|scan| scan.ticket_id == ticket && scan.conflict.is_none())
    }

    /// The attempt by which the buyer can pay now.
    #[must_use]
    pub fn open_payment(&self) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.status.is_open())
    }

    /// The refund of that id.
    #[must_use]
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// Minor units of one attempt's money that are not asked back yet, failed refunds aside.
    #[must_use]
    pub fn refundable_minor(&self, payment: &Payment) -> i64 {
        let received = payment.received.as_ref().map_or(0, Money::minor);
        let asked: i64 = self
            .refunds
            .iter()
            .filter(|refund| refund.payment_id == payment.id && refund.status != RefundStatus::Failed)
            .map(|refund| refund.amount.minor())
            .sum();
        received - asked
    }

    fn payment_mut(&mut self, id: PaymentId) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|payment| payment.id == id)
    }

    fn settle_refund(&mut self, id: RefundId, status: RefundStatus) {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return };
        refund.status = status;
        let payment_id = refund.payment_id;
        let back: i64 = self
            .refunds
            .iter()
            .filter(|refund| refund.payment_id == payment_id && refund.status == RefundStatus::Succeeded)
            .map(|refund| refund.amount.minor())
            .sum();
        if let Some(payment) = self.payment_mut(payment_id)
            && back > 0
        {
            let received = payment.received.as_ref().map_or(0, Money::minor);
            payment.status = if back >= received { PaymentStatus::Refunded } else { PaymentStatus::PartiallyRefunded };
        }
    }
}

impl From<BookingPlaced> for Purchase {
    fn from(placed: BookingPlaced) -> Self {
        Self {
            event_id: placed.event_id,
            organizer_id: placed.organizer_id,
            code: placed.code,
            status: BookingStatus::Held,
            lines: placed.lines,
            total: placed.total,
            buyer: placed.buyer,
            person: placed.person,
            max_per_person: placed.max_per_person,
            locale: placed.locale,
            access_token_hash: placed.access_token_hash,
            hold_expires_at: placed.hold_expires_at,
            release_on_decline: placed.release_on_decline,
            tickets: Vec::new(),
            revoked: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            scans: Vec::new(),
        }
    }
}

impl Booking {
    /// Folds one domain event. Total: a history that the log holds was decided by this aggregate, so what cannot follow is
    /// ignored rather than a reason to stop reading.
    pub fn fold(&mut self, event: BookingDomainEvent) {
        use BookingDomainEvent as E;
        if let E::BookingPlaced(placed) = event {
            self.0 = Some(placed.into());
            return;
        }
        let Some(purchase) = self.0.as_mut() else { return };
        let attempt = |purchase: &mut Purchase, id, change: &dyn Fn(&mut Payment)| {
            if let Some(payment) = purchase.payment_mut(id) {
                change(payment);
                if !payment.status.is_open() {
                    payment.redirect_url = None;
                }
            }
        };
        match event {
            E::BookingPlaced(_) => {}
            E::BookingConfirmed(confirmed) => {
                purchase.status = BookingStatus::Confirmed;
                purchase.tickets = confirmed.tickets;
            }
            E::BookingReinstated(reinstated) => {
                purchase.status = BookingStatus::Confirmed;
                purchase.tickets = reinstated.tickets;
            }
            E::BookingExpired(_) => purchase.status = BookingStatus::Expired,
            E::BookingCancelled(_) => purchase.status = BookingStatus::Cancelled,
            E::BookingRefunded(_) => purchase.status = BookingStatus::Refunded,
            E::PaymentCreated(created) => purchase.payments.push(Payment {
                id: created.payment_id,
                method: created.method,
                status: PaymentStatus::Created,
                amount: created.amount,
                received: None,
                gateway_reference: None,
                redirect_url: None,
                return_url: created.return_url,
                pay_until: created.pay_until,
                reason: None,
            }),
            E::PaymentPending(pending) => attempt(purchase, pending.payment_id, &|payment| {
                payment.status = PaymentStatus::Pending;
                payment.gateway_reference = Some(pending.gateway_reference.clone());
                payment.redirect_url.clone_from(&pending.redirect_url);
            }),
            E::PaymentSucceeded(succeeded) => attempt(purchase, succeeded.payment_id, &|payment| {
                payment.status = PaymentStatus::Succeeded;
                payment.gateway_reference = Some(succeeded.gateway_reference.clone());
                payment.received = Some(succeeded.amount);
                // A success may follow a decline; then there is nothing to give a reason for.
                payment.reason = None;
            }),
            E::PaymentFailed(failed) => attempt(purchase, failed.payment_id, &|payment| {
                payment.status = PaymentStatus::Failed;
                payment.reason = Some(failed.reason.clone());
            }),
            E::PaymentCancelled(cancelled) => {
                attempt(purchase, cancelled.payment_id, &|payment| payment.status = PaymentStatus::Cancelled);
            }
            E::PaymentExpired(expired) => {
                attempt(purchase, expired.payment_id, &|payment| payment.status = PaymentStatus::Expired);
            }
            E::PaymentHeldForReview(review) => attempt(purchase, review.payment_id, &|payment| {
                payment.status = PaymentStatus::Review;
                payment.gateway_reference = Some(review.gateway_reference.clone());
                payment.received = Some(review.received);
                payment.reason = Some(review.reason.clone());
            }),
            E::RefundRequested(requested) => purchase.refunds.push(Refund {
                id: requested.refund_id,
                payment_id: requested.payment_id,
                amount: requested.amount,
                status: RefundStatus::Requested,
                reason: requested.reason,
                by: requested.by,
                ticket_ids: requested.ticket_ids,
            }),
            E::RefundSucceeded(succeeded) => purchase.settle_refund(succeeded.refund_id, RefundStatus::Succeeded),
            E::RefundFailed(failed) => purchase.settle_refund(failed.refund_id, RefundStatus::Failed),
            E::TicketsReissued(reissued) => {
                for anew in reissued.tickets {
                    let known = purchase.tickets.iter_mut().find(|ticket| ticket.ticket_id == anew.ticket_id);
                    known.into_iter().for_each(|ticket| ticket.clone_from(&anew));
                }
            }
            E::TicketsRevoked(given_back) => {
                purchase.revoked.extend(given_back.tickets.iter().map(|ticket| ticket.ticket_id));
            }
            E::TicketAdmitted(admitted) => purchase.scans.push(Scan {
                id: admitted.scan_id,
                ticket_id: admitted.ticket_id,
                gate: admitted.gate,
                scanned_at: admitted.scanned_at,
                conflict: None,
            }),
            E::TicketScanConflicted(conflicted) => purchase.scans.push(Scan {
                id: conflicted.scan_id,
                ticket_id: conflicted.ticket_id,
                gate: conflicted.gate,
                scanned_at: conflicted.scanned_at,
                conflict: Some(conflicted.conflict),
            }),
        }
    }
}

//! Commands that nobody outside asks for: what timers, webhooks and process managers send. And what all commands share.
//!
//! Every one of them may come twice, early or late: the state decides, and a repetition finds nothing to do. They answer the
//! booking or Event as it stands afterwards.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tickiz_contract::{CallContext, Refusal, Refusals, request::AccessToken};
use tickiz_domain::{
    booking::{Booking, BookingCommand, BookingError, Payment, Purchase, RecordSuccess},
    event::{Event, EventCommand, EventError, EventStatus, Show},
    ids::{BookingId, EventId, PaymentId, PersonId, RefundId},
    money::Money,
    sealed::{Buyer, Sealed},
    stream::{StreamId, StreamType},
    text::NormalizedEmail,
};
use tickiz_event_log::{EventLog, Loaded, LostClaim, Sequence, WantedKey};

use crate::{
    access::{self, Party},
    commands::{ReceiptResult, ticket_issue::issue_tickets},
    executor::{Ask, Carried, Decision, Executor, Origin, Reading},
    holds::HoldStore,
    ids::Ids,
    keys::Keys,
    occupancy::Occupancy,
    plans::Plans,
    refusals::{self, InputRoot, internal},
    service::CommandOptions,
};

/// A show as a named read of an append.
pub(crate) fn show_read(id: EventId, event: &Loaded<Event>) -> (StreamId, Sequence) {
    (StreamId::new(StreamType::Event, id.0), event.sequence)
}

/// What a gateway says became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum PaymentOutcome {
    /// It has the money.
    Succeeded {
        /// The gateway's own id of it.
        gateway_reference: String,
        /// What it has; need not be what was asked.
        amount: Money,
    },
    /// It declined.
    Declined {
        /// Why, as far as a buyer may know it.
        reason: String,
    },
    /// The buyer gave up.
    Abandoned,
    /// The gateway's own deadline passed.
    Expired,
}

/// What a gateway says became of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is back.
    Succeeded {
        /// The gateway's own id of it.
        gateway_reference: String,
    },
    /// It refused.
    Failed {
        /// Why.
        reason: String,
    },
}

struct Inner {
    executor: Executor,
    ids: Ids,
    keys: Keys,
    plans: Plans,
    occupancy: Occupancy,
    holds: Arc<dyn HoldStore>,
    ticket_kid: u8,
}

/// The commands of Tickiz itself. Cheap to clone.
#[derive(Clone)]
pub struct SystemCommands(Arc<Inner>);

/// A booking or Event as it stands after a command.
pub type Standing<A> = Arc<Loaded<A>>;

impl SystemCommands {
    /// Over that log.
    #[must_use]
    pub fn new(log: &EventLog, options: &CommandOptions) -> Self {
        let ids = Ids::new(options.entropy.clone());
        let secrets = log.secrets().clone();
        Self(Arc::new(Inner {
            executor: Executor::new(log.clone(), ids.clone(), options.holds.clone()),
            holds: options.holds.clone(),
            ids,
            keys: Keys::new(move |label| secrets.derive(label)),
            plans: Plans::new(log.clone()),
            occupancy: Occupancy::new(log.clone()),
            ticket_kid: options.ticket_kid,
        }))
    }

    /// The log below.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        self.0.executor.log()
    }

    /// The store's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.log().now()
    }

    /// An Event as it stands.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails.
    pub async fn event(&self, id: EventId, reading: Reading) -> Result<Standing<Event>, Refusal> {
        self.0.executor.load(id.0, reading).await.map_err(|error| internal(&error))
    }

    /// A booking as it stands.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails.
    pub async fn booking(&self, id: BookingId, reading: Reading) -> Result<Standing<Booking>, Refusal> {
        self.0.executor.load(id.0, reading).await.map_err(|error| internal(&error))
    }

    /// A booking's buyer in the clear, for a mail; `None` once he was erased.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails or the seal is broken.
    pub async fn buyer_of(&self, purchase: &Purchase) -> Result<Option<Buyer>, Refusal> {
        let opened = self.log().sealer().open(&purchase.buyer).await.map_err(|error| internal(&error))?;
        opened.map(|json| serde_json::from_slice(&json).map_err(|error| internal(&error))).transpose()
    }

    /// Where a buyer's browser goes after an attempt to pay, in the clear; `None` where it was not said, or he was erased.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails or the seal is broken.
    pub async fn return_url_of(&self, payment: &Payment) -> Result<Option<String>, Refusal> {
        let Some(sealed) = &payment.return_url else { return Ok(None) };
        let opened = self.log().sealer().open(sealed).await.map_err(|error| internal(&error))?;
        opened.map(|text| String::from_utf8(text).map_err(|error| internal(&error))).transpose()
    }

    /// The hold's deadline has come.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn expire_hold(&self, id: BookingId, origin: &Origin) -> Result<Standing<Booking>, Refusals> {
        self.on_booking(id, origin, false, |facts| BookingCommand::Expire { now: facts.now }).await
    }

    /// The booking's show was cancelled, and it ends with it. Of a show that was not, nothing is done.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn end_booking_of_cancelled_show(
        &self,
        id: BookingId,
        origin: &Origin,
    ) -> Result<Standing<Booking>, Refusals> {
        let booking = self.booking(id, Reading::Fresh).await?;
        let Some(purchase) = &booking.aggregate.0 else { return Err(Refusal::not_found("booking").into()) };
        // Cancelled is final, so it need not be a named read.
        let event = self.event(purchase.event_id, Reading::Fresh).await?;
        if event.aggregate.0.as_ref().is_none_or(|show| show.status != EventStatus::Cancelled) {
            return Ok(booking);
        }
        self.on_booking(id, origin, false, |_| BookingCommand::CancelWithShow).await
    }

    /// The gateway knows the attempt.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn record_pending(
        &self,
        id: BookingId,
        payment_id: PaymentId,
        gateway_reference: String,
        redirect_url: Option<String>,
        origin: &Origin,
    ) -> Result<Standing<Booking>, Refusals> {
        let make = |_: &Facts<'_>| BookingCommand::RecordPending {
            payment_id,
            gateway_reference: gateway_reference.clone(),
            redirect_url: redirect_url.clone(),
        };
        self.on_booking(id, origin, false, make).await
    }

    /// The gateway says what became of the attempt. A success becomes a ticket, or the way back of a booking whose places are
    /// still there, or a refund, in one append.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn record_payment_outcome(
        &self,
        id: BookingId,
        payment_id: PaymentId,
        outcome: PaymentOutcome,
        origin: &Origin,
    ) -> Result<Standing<Booking>, Refusals> {
        // Only a success is decided on the show: whether it still takes place.
        let on_show = matches!(outcome, PaymentOutcome::Succeeded { .. });
        let make = |facts: &Facts<'_>| match &outcome {
            PaymentOutcome::Succeeded { gateway_reference, amount } => {
                self.success(facts, payment_id, gateway_reference.clone(), *amount)
            }
            PaymentOutcome::Declined { reason } => BookingCommand::RecordDecline { payment_id, reason: reason.clone() },
            PaymentOutcome::Abandoned => BookingCommand::RecordAbandonment { payment_id },
            PaymentOutcome::Expired => BookingCommand::RecordPaymentExpiry { payment_id },
        };
        self.on_booking(id, origin, on_show, make).await
    }

    fn success(
        &self,
        facts: &Facts<'_>,
        payment_id: PaymentId,
        gateway_reference: String,
        amount: Money,
    ) -> BookingCommand {
        let show_open = facts.show.is_some_and(|show| show.honours_bookings(facts.now));
        let tickets =
            facts.show.map(|show| issue_tickets(self.ids(), self.ticket_kid(), show, &facts.purchase.lines, facts.now));
        BookingCommand::RecordSuccess(Box::new(RecordSuccess {
            payment_id,
            gateway_reference,
            amount,
            tickets: tickets.unwrap_or_default(),
            reinstate: facts.reinstate,
            show_open,
        }))
    }

    /// The gateway says what became of a refund.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn record_refund_outcome(
        &self,
        id: BookingId,
        refund_id: RefundId,
        outcome: RefundOutcome,
        origin: &Origin,
    ) -> Result<Standing<Booking>, Refusals> {
        let make = |_: &Facts<'_>| match &outcome {
            RefundOutcome::Succeeded { gateway_reference } => {
                BookingCommand::RecordRefundSuccess { refund_id, gateway_reference: gateway_reference.clone() }
            }
            RefundOutcome::Failed { reason } => {
                BookingCommand::RecordRefundFailure { refund_id, reason: reason.clone() }
            }
        };
        self.on_booking(id, origin, false, make).await
    }

    /// The show may be over.
    ///
    /// # Errors
    /// `NOT_FOUND`, or a fault of ours.
    pub async fn complete_event(&self, id: EventId, origin: &Origin) -> Result<Standing<Event>, Refusals> {
        let mut decision = OnShow { system: self, id, make: |now| EventCommand::Complete { now } };
        done(self.0.executor.run(id.0, origin, None, &mut decision).await?)
    }

    /// A show may be near enough to remind of it.
    ///
    /// # Errors
    /// When there is no such show, or the log cannot now.
    pub async fn remind_of_event(&self, id: EventId, origin: &Origin) -> Result<Standing<Event>, Refusals> {
        let mut decision = OnShow { system: self, id, make: |now| EventCommand::Remind { now } };
        done(self.0.executor.run(id.0, origin, None, &mut decision).await?)
    }

    async fn on_booking<F>(
        &self,
        id: BookingId,
        origin: &Origin,
        on_show: bool,
        make: F,
    ) -> Result<Standing<Booking>, Refusals>
    where
        F: Fn(&Facts<'_>) -> BookingCommand + Send + Sync,
    {
        let mut decision = OnBooking { system: self, id, on_show, reinstate: true, make };
        done(self.0.executor.run(id.0, origin, None, &mut decision).await?)
    }
}

/// What all commands share.
impl SystemCommands {
    pub(crate) fn executor(&self) -> &Executor {
        &self.0.executor
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// What derives tokens and marks.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn plans(&self) -> &Plans {
        &self.0.plans
    }

    pub(crate) fn occupancy(&self) -> &Occupancy {
        &self.0.occupancy
    }

    pub(crate) fn holds(&self) -> &Arc<dyn HoldStore> {
        &self.0.holds
    }

    pub(crate) fn ticket_kid(&self) -> u8 {
        self.0.ticket_kid
    }

    /// A booking that the caller may change, and on whose behalf. What the policy looks at never changes in a booking, so a
    /// remembered copy will do.
    pub(crate) async fn booking_of_party(
        &self,
        id: BookingId,
        context: &CallContext,
        token: Option<&AccessToken>,
    ) -> Result<(Purchase, Party), Refusal> {
        let booking = self.booking(id, Reading::Warm).await?;
        let party = access::party(context, token, booking.aggregate.0.as_ref())?;
        let purchase = booking.aggregate.0.clone().ok_or_else(|| Refusal::not_found("booking"))?;
        Ok((purchase, party))
    }

    /// A buyer, sealed with the data key of the person whom his address finds.
    pub(crate) async fn seal_buyer(&self, email: &NormalizedEmail, buyer: &Buyer) -> Result<Sealed, Refusal> {
        let json = serde_json::to_vec(buyer).map_err(|error| internal(&error))?;
        self.log().sealer().seal(email.expose(), &json).await.map_err(|error| internal(&error))
    }

    /// The same for a buyer who is most likely new, with the data key that the append is to bring.
    pub(crate) fn seal_new_buyer(
        &self,
        email: &NormalizedEmail,
        buyer: &Buyer,
    ) -> Result<(Sealed, WantedKey), Refusal> {
        let json = serde_json::to_vec(buyer).map_err(|error| internal(&error))?;
        Ok(self.log().sealer().seal_as_new(email.expose(), &json))
    }

    /// A text of or about a person, sealed with his data key; `None` once he was erased.
    pub(crate) async fn seal_for(&self, person: PersonId, text: &[u8]) -> Result<Option<Sealed>, Refusal> {
        self.log().sealer().seal_for(person, text).await.map_err(|error| internal(&error))
    }
}

fn done<A>(carried: Carried<A>) -> Result<Standing<A>, Refusals> {
    match carried {
        Carried::Done(loaded) => Ok(loaded),
        Carried::Repeated(_) => Err(internal(&"a command without a key was answered by a receipt").into()),
    }
}

/// What a system command is made of.
struct Facts<'a> {
    purchase: &'a Purchase,
    /// Only where the command is decided on it.
    show: Option<&'a Show>,
    now: DateTime<Utc>,
    /// Whether an expired booking may come back; not any more once its claims were lost.
    reinstate: bool,
}

/// The decision of every system command on a booking.
struct OnBooking<'a, F> {
    system: &'a SystemCommands,
    id: BookingId,
    on_show: bool,
    reinstate: bool,
    make: F,
}

impl<F> Decision<Booking> for OnBooking<'_, F>
where
    F: Fn(&Facts<'_>) -> BookingCommand + Send + Sync,
{
    async fn decide(&mut self, target: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(Refusal::not_found("booking").into()) };
        let event_id = purchase.event_id;
        let event = if self.on_show { Some(self.system.event(event_id, reading).await?) } else { None };
        let facts = Facts {
            purchase,
            show: event.as_ref().and_then(|event| event.aggregate.0.as_ref()),
            now: self.system.now(),
            reinstate: self.reinstate,
        };
        Ok(Ask {
            command: (self.make)(&facts),
            reads: event.iter().map(|event| show_read(event_id, event)).collect(),
            organizer_id: Some(purchase.organizer_id),
            show_id: Some(event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        refusals::booking(error).into()
    }

    /// Its places are somebody else's: the money goes back instead.
    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        if !std::mem::take(&mut self.reinstate) {
            return Err(internal(&format!("a command of ours on booking {} lost {lost:?}", self.id)).into());
        }
        Ok(())
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.id).to_json()
    }
}

/// What a timer asks of a show.
struct OnShow<'a> {
    system: &'a SystemCommands,
    id: EventId,
    make: fn(DateTime<Utc>) -> EventCommand,
}

impl Decision<Event> for OnShow<'_> {
    async fn decide(&mut self, target: &Loaded<Event>, _: Reading) -> Result<Ask<Event>, Refusals> {
        Ok(Ask {
            command: (self.make)(self.system.now()),
            reads: Vec::new(),
            organizer_id: target.aggregate.0.as_ref().map(|show| show.organizer_id),
            show_id: Some(self.id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &EventError) -> Refusals {
        refusals::event(error, InputRoot::None).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("a timer's question to an Event claims nothing and lost {lost:?}")).into())
    }

    fn result(&self, _: &Event) -> Vec<u8> {
        ReceiptResult::Event(self.id).to_json()
    }
}

//! `payBooking`: records the attempt before anything leaves the house, then lets the gateways' side act on it.
//!
//! This is the command's half. The other half, which calls the gateway under a lease, is behind [`PaymentDesk`], so that neither
//! needs to know the other's inside.

use chrono::{DateTime, Utc};
use tickiz_contract::{Answer, CallContext, PaymentAnswer, Refusal, Refusals, request};
use tickiz_domain::{
    booking::{Booking, BookingCommand, BookingError, PaymentMethod, PaymentStatus, StartPayment},
    event::Show,
    ids::{BookingId, PaymentId},
    money::Money,
    sealed::Sealed,
};
use tickiz_event_log::{Loaded, LostClaim};

use super::{ReceiptResult, booking_answer};
use crate::{
    access::{self, Party},
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    gateways::Unsuitable,
    ids,
    refusals::{self, internal},
    scope,
    service::CommandService,
    system::{SystemCommands, show_read},
    validation::booking::{Pay, check_pay},
};

/// What the command needs of the gateways' side.
#[async_trait::async_trait]
pub trait PaymentDesk: Send + Sync {
    /// The methods that are configured.
    fn methods(&self) -> Vec<PaymentMethod>;

    /// Whether that method's gateway takes that amount at all.
    ///
    /// # Errors
    /// [`Unsuitable`], with what it does take; also where the method is not configured.
    fn takes(&self, method: PaymentMethod, amount: &Money) -> Result<(), Unsuitable>;

    /// Until when a gateway is to accept a payment that is started now, of a booking whose hold ends then.
    fn pay_until(&self, method: PaymentMethod, now: DateTime<Utc>, hold_expires_at: DateTime<Utc>) -> DateTime<Utc>;

    /// The attempt is in the log: acts on it at once, if nobody else does (its lease says so), and waits a bounded time for the
    /// page's address. That it could not be had is not an error: it comes by query or subscription, and a worker goes on.
    async fn after_created(&self, booking_id: BookingId, payment_id: PaymentId);
}

/// Carries a `payBooking` out.
pub(crate) async fn pay_booking(
    service: &CommandService,
    context: &CallContext,
    request: request::PayBooking,
) -> Result<Answer, Refusals> {
    let pay = check_pay(request)?;
    access::may_pay(context, pay.access_token.as_ref())?;
    let booking_id = pay.booking_id;
    let system = service.system();
    let permit = service.admit().await?;
    let (purchase, party) = system.booking_of_party(booking_id, context, pay.access_token.as_ref()).await?;
    if party != Party::Buyer {
        return Err(Refusal::not_found("booking").into());
    }
    let Some(desk) = service.desk().filter(|desk| desk.methods().contains(&pay.method)) else {
        return Err(not_configured(service, pay.method).into());
    };
    if !purchase.total.is_zero()
        && let Err(unsuitable) = desk.takes(pay.method, &purchase.total)
    {
        return Err(unsuitable_method(desk.as_ref(), &pay, &purchase.total, &unsuitable).into());
    }
    let scope = scope::of_buyer(purchase.event_id, &purchase.person);
    let key = RequestKey {
        operation: "payBooking",
        key: pay.idempotency_key.clone(),
        request_hash: pay.request_hash(|url| system.keys().text_mark(url)),
        scope: scope.clone(),
    };
    let new_id = ids::payment_id(booking_id, &scope, &pay.idempotency_key);
    // Where the buyer was erased there is no key any more, and he needs no way back.
    let return_url = match &pay.return_url {
        Some(url) => system.seal_for(purchase.buyer.person_id, url.as_bytes()).await?,
        None => None,
    };
    let mut decision = Start { system, desk: desk.as_ref(), pay: &pay, return_url, new_id };
    let carried = system.executor().run(booking_id.0, &Origin::of_buyer(context), Some(&key), &mut decision).await?;
    drop(permit);
    let (payment_id, mut loaded) = match carried {
        Carried::Done(loaded) => (decision.payment_of(&loaded.aggregate).ok_or_else(no_payment)?, loaded),
        Carried::Repeated(receipt) => match ReceiptResult::read(&receipt.result)? {
            ReceiptResult::Payment(_, payment_id) => (payment_id, system.booking(booking_id, Reading::Fresh).await?),
            _ => return Err(no_payment().into()),
        },
    };
    let payment = loaded.aggregate.0.as_ref().and_then(|purchase| purchase.payment(payment_id));
    // Also for a repetition: ten at once under one new key all wait for the page.
    if payment.is_some_and(|payment| payment.status == PaymentStatus::Created) {
        desk.after_created(booking_id, payment_id).await;
        loaded = system.booking(booking_id, Reading::Warm).await?;
        let after = loaded.aggregate.0.as_ref().and_then(|purchase| purchase.payment(payment_id));
        // As this process remembers it where it has called the gateway itself; where another did, the log knows.
        if after.is_none_or(|payment| payment.status == PaymentStatus::Created) {
            loaded = system.booking(booking_id, Reading::Fresh).await?;
        }
    }
    let booking = booking_answer(booking_id, &loaded)?;
    Ok(Answer::Payment(Box::new(PaymentAnswer { payment_id, booking })))
}

fn no_payment() -> Refusal {
    internal(&"payBooking succeeded and its booking has no such attempt")
}

fn name(method: PaymentMethod) -> String {
    format!("{method:?}").to_uppercase()
}

fn names(methods: impl IntoIterator<Item = PaymentMethod>) -> String {
    let names = methods.into_iter().map(name).collect::<Vec<_>>().join(", ");
    if names.is_empty() { "none".to_owned() } else { names }
}

/// The buyer is told before he is sent away, with the methods that do take his amount.
fn unsuitable_method(desk: &dyn PaymentDesk, pay: &Pay, total: &Money, unsuitable: &Unsuitable) -> Refusal {
    let suitable = names(desk.methods().into_iter().filter(|method| desk.takes(*method, total).is_ok()));
    let message = format!(
        "{} does not take {} {}: {unsuitable}; methods that take it: {suitable}",
        name(pay.method),
        total.to_decimal_string(),
        total.currency()
    );
    Refusal::invalid(vec!["input".into(), "method".into()], message)
}

/// Why a show cannot be sold: its dearest ticket costs what no configured gateway takes. `None` where one does, or where nothing
/// costs anything.
pub(crate) fn unpayable(desk: Option<&dyn PaymentDesk>, show: &Show) -> Option<Refusal> {
    let dearest = show.ticket_types.iter().max_by_key(|of| of.price.minor()).filter(|of| !of.price.is_zero())?;
    let methods = desk.map(PaymentDesk::methods).unwrap_or_default();
    let mut reasons = Vec::with_capacity(methods.len());
    for method in methods {
        match desk?.takes(method, &dearest.price) {
            Ok(()) => return None,
            Err(unsuitable) => reasons.push(format!("{}: {unsuitable}", name(method))),
        }
    }
    let reasons = if reasons.is_empty() { "none is configured".to_owned() } else { reasons.join("; ") };
    let message = format!(
        "{:?} costs {} {}, and no configured payment method takes that ({reasons}); configure one that does, or sell the \
         tickets for nothing",
        dearest.name,
        dearest.price.to_decimal_string(),
        dearest.price.currency()
    );
    Some(Refusal::invalid(vec!["id".into()], message))
}

fn not_configured(service: &CommandService, method: PaymentMethod) -> Refusal {
    let configured = names(service.desk().map(|desk| desk.methods()).unwrap_or_default());
    let message = format!("the payment method {} is not configured here; configured: {configured}", name(method));
    Refusal::invalid(vec!["input".into(), "method".into()], message)
}

/// The decision of `payBooking`.
struct Start<'a> {
    system: &'a SystemCommands,
    desk: &'a dyn PaymentDesk,
    pay: &'a Pay,
    return_url: Option<Sealed>,
    new_id: PaymentId,
}

impl Start<'_> {
    /// The attempt that the command made, or the open one of the same method that it found.
    fn payment_of(&self, booking: &Booking) -> Option<PaymentId> {
        let purchase = booking.0.as_ref()?;
        let made = purchase.payment(self.new_id);
        let open = || purchase.open_payment().filter(|open| open.method == self.pay.method);
        made.or_else(open).map(|payment| payment.id)
    }
}

impl Decision<Booking> for Start<'_> {
    async fn decide(&mut self, target: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        let Some(purchase) = &target.aggregate.0 else { return Err(Refusal::not_found("booking").into()) };
        let event_id = purchase.event_id;
        let event = self.system.event(event_id, reading).await?;
        let now = self.system.now();
        let command = BookingCommand::StartPayment(Box::new(StartPayment {
            payment_id: self.new_id,
            method: self.pay.method,
            return_url: self.return_url.clone(),
            pay_until: self.desk.pay_until(self.pay.method, now, purchase.hold_expires_at),
            show_open: event.aggregate.0.as_ref().is_some_and(|show| show.honours_bookings(now)),
            now,
        }));
        Ok(Ask {
            command,
            reads: vec![show_read(event_id, &event)],
            organizer_id: Some(purchase.organizer_id),
            show_id: Some(event_id),
            attachments: Vec::new(),
        })
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        refusals::booking(error).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        Err(internal(&format!("payBooking claims nothing and lost {lost:?}")).into())
    }

    fn result(&self, after: &Booking) -> Vec<u8> {
        let payment_id = self.payment_of(after).unwrap_or(self.new_id);
        ReceiptResult::Payment(self.pay.booking_id, payment_id).to_json()
    }
}

//! Failures on order: the n-th call across a border fails before it takes effect, or after.

use std::sync::Arc;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tickiz_command_api::{
    SystemCommands,
    gateways::{
        Answering, Attempt, Created, Delivery, Gateway, GatewayError, GatewayPayment, LookSchedule, RefundOrder,
        RefundOutcome, Rejected, Unsuitable, Verdict, Webhook, WebhookAnswer, sandbox::SandboxGateway,
    },
    payments::{Bookings, BookingsError, Fact},
    workers::{
        cancellation::{BookingList, ListError},
        mails::{
            message::Mail,
            sink::{Folder, MailSink, Undelivered},
        },
    },
};
use tickiz_domain::{
    booking::{Payment, PaymentMethod, Purchase},
    event::Show,
    ids::{BookingId, EventId},
    money::Money,
    sealed::Buyer,
};
use tickiz_event_log::Position;
use uuid::Uuid;

use super::LogList;

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

#[derive(Default)]
struct State {
    calls: Vec<&'static str>,
    fail: Option<(usize, When)>,
}

/// Counts the calls across the borders and fails one of them.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// The call of that number, from 0, fails.
    pub fn at(number: usize, when: When) -> Self {
        Self(Arc::new(Mutex::new(State { calls: Vec::new(), fail: Some((number, when)) })))
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.0.lock().calls.clone()
    }

    /// Whether the call that is to fail has been made.
    pub fn hit(&self) -> bool {
        let state = self.0.lock();
        state.fail.is_some_and(|(number, _)| state.calls.len() > number)
    }

    fn call(&self, name: &'static str) -> Option<When> {
        let mut state = self.0.lock();
        state.calls.push(name);
        state.fail.filter(|(number, _)| *number + 1 == state.calls.len()).map(|(_, when)| when)
    }
}

/// A gateway whose calls fail on order. It may go by another method's name.
pub struct FaultyGateway {
    inner: SandboxGateway,
    method: PaymentMethod,
    faults: Faults,
}

impl FaultyGateway {
    pub fn new(inner: SandboxGateway, method: PaymentMethod, faults: Faults) -> Self {
        Self { inner, method, faults }
    }

    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        match self.faults.call(name) {
            Some(When::Before) => Err(GatewayError::NotDone("on order".to_owned())),
            Some(When::After) => {
                let _ = call.await;
                Err(GatewayError::Unknown("on order".to_owned()))
            }
            None => call.await,
        }
    }
}

#[async_trait::async_trait]
impl Gateway for FaultyGateway {
    fn method(&self) -> PaymentMethod {
        self.method
    }

    fn takes(&self, amount: &Money) -> Result<(), Unsuitable> {
        self.inner.takes(amount)
    }

    fn looks(&self) -> LookSchedule {
        self.inner.looks()
    }

    async fn create(&self, attempt: &Attempt) -> Result<Created, GatewayError> {
        self.call("create", self.inner.create(attempt)).await
    }

    async fn read(&self, attempt: &Attempt) -> Result<Option<GatewayPayment>, GatewayError> {
        self.call("read", self.inner.read(attempt)).await
    }

    async fn cancel(&self, attempt: &Attempt) -> Result<(), GatewayError> {
        self.call("cancel", self.inner.cancel(attempt)).await
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundOutcome, GatewayError> {
        self.call("refund", self.inner.refund(order)).await
    }

    async fn read_refund(&self, order: &RefundOrder) -> Result<Option<RefundOutcome>, GatewayError> {
        self.call("read_refund", self.inner.read_refund(order)).await
    }

    /// The second gateway of a house is one that wants the decision in the answer, as VNPay does.
    fn answering(&self) -> Answering {
        if self.method == PaymentMethod::Sandbox { Answering::WhenStored } else { Answering::AfterApplying }
    }

    fn answer(&self, verdict: Verdict) -> WebhookAnswer {
        if self.method == PaymentMethod::Sandbox {
            return self.inner.answer(verdict);
        }
        WebhookAnswer { status: StatusCode::OK, json: Some(format!("{{\"verdict\":\"{verdict:?}\"}}")) }
    }

    async fn parse_webhook(&self, delivery: Delivery<'_>) -> Result<Webhook, Rejected> {
        self.inner.parse_webhook(delivery).await
    }
}

/// Bookings whose records fail on order.
pub struct FaultyBookings {
    inner: SystemCommands,
    faults: Faults,
    reads: bool,
}

impl FaultyBookings {
    pub fn new(inner: SystemCommands, faults: Faults) -> Self {
        Self { inner, faults, reads: false }
    }

    /// Of which what is read fails on order too.
    pub fn reading(inner: SystemCommands, faults: Faults) -> Self {
        Self { inner, faults, reads: true }
    }

    /// A call across the border that changes something.
    async fn change<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, BookingsError>>,
    ) -> Result<T, BookingsError> {
        let failed = || Err(BookingsError::Unavailable("on order".to_owned()));
        match self.faults.call(name) {
            Some(When::Before) => failed(),
            Some(When::After) => {
                let _ = call.await;
                failed()
            }
            None => call.await,
        }
    }

    async fn read<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, BookingsError>>,
    ) -> Result<T, BookingsError> {
        if self.reads { self.change(name, call).await } else { call.await }
    }
}

/// A folder of mails that fails on order.
pub struct FaultyFolder {
    inner: Folder,
    faults: Faults,
}

impl FaultyFolder {
    pub fn new(inner: Folder, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait::async_trait]
impl MailSink for FaultyFolder {
    async fn deliver(&self, mail: &Mail) -> Result<(), Undelivered> {
        let failed = || Err(Undelivered::Later("on order".to_owned()));
        match self.faults.call("deliver") {
            Some(When::Before) => failed(),
            Some(When::After) => {
                let _ = self.inner.deliver(mail).await;
                failed()
            }
            None => self.inner.deliver(mail).await,
        }
    }

    fn remembers(&self) -> bool {
        self.inner.remembers()
    }
}

/// A list of bookings that fails on order.
pub struct FaultyList {
    inner: LogList,
    faults: Faults,
}

impl FaultyList {
    pub fn new(inner: LogList, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait::async_trait]
impl BookingList for FaultyList {
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError> {
        match self.faults.call("list") {
            Some(_) => Err(ListError("on order".to_owned())),
            None => self.inner.bookings_of(event, at_least, after, limit).await,
        }
    }
}

#[async_trait::async_trait]
impl Bookings for FaultyBookings {
    fn now(&self) -> DateTime<Utc> {
        Bookings::now(&self.inner)
    }

    async fn booking(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError> {
        self.read("booking", Bookings::booking(&self.inner, id)).await
    }

    async fn remembered(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError> {
        self.read("remembered", self.inner.remembered(id)).await
    }

    async fn show(&self, id: EventId) -> Result<Option<Show>, BookingsError> {
        self.read("show", Bookings::show(&self.inner, id)).await
    }

    async fn buyer(&self, purchase: &Purchase) -> Result<Option<Buyer>, BookingsError> {
        self.read("buyer", Bookings::buyer(&self.inner, purchase)).await
    }

    async fn return_url(&self, payment: &Payment) -> Result<Option<String>, BookingsError> {
        Bookings::return_url(&self.inner, payment).await
    }

    async fn record(&self, booking: BookingId, cause: Uuid, fact: Fact) -> Result<Purchase, BookingsError> {
        self.change("record", self.inner.record(booking, cause, fact)).await
    }

    async fn complete_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError> {
        self.change("complete_show", self.inner.complete_show(show, cause)).await
    }

    async fn remind_of_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError> {
        self.change("remind_of_show", self.inner.remind_of_show(show, cause)).await
    }
}

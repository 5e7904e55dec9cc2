//! A write side over a log in memory or in a SQLite file, and what a test asks of it.

#![allow(dead_code, reason = "every test file uses another part of it")]

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tickiz_command_api::{
    CommandOptions, CommandService, PaymentDesk, PaymentOutcome, SystemCommands, executor::Origin, gateways::Unsuitable,
};
use tickiz_contract::{
    Answer, BookingAnswer, CallContext, Caller, Commands, ErrorCode, EventAnswer, PaymentAnswer, Refusals, Request,
    request::{self, AccessToken, BuyerInput, SeatSelection, TicketSelection},
};
use tickiz_domain::{
    booking::{BookingDomainEvent, BookingStatus, PaymentMethod, Purchase},
    event::{EventCategory, EventDomainEvent, Show},
    ids::{BookingId, EventId, OrganizerId, PaymentId, SeatId},
    money::Money,
    stream::StreamType,
};
use tickiz_event_log::{
    EventLog, LogOptions, LogService, Recorded,
    runtime::{ManualClock, Runtime},
};
use uuid::Uuid;

#[path = "../servers/mod.rs"]
mod servers;

use servers::Server;

/// Which store a world lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Memory,
    Sqlite,
    /// The server that the variable names.
    Server(&'static str),
}

/// The stores that need no server.
pub const STORES: [Store; 2] = [Store::Memory, Store::Sqlite];

/// And the servers that there are. A test run that was promised servers fails without one.
pub fn stores_and_servers() -> Vec<Store> {
    let is_there = |variable: &&str| {
        let is_set = std::env::var(variable).is_ok();
        assert!(is_set || std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "{variable} is not set");
        is_set
    };
    STORES.into_iter().chain(servers::VARIABLES.into_iter().filter(is_there).map(Store::Server)).collect()
}

/// Where the log is, so that another process can open it too.
enum At {
    Memory,
    File(tempfile::TempDir),
    Server(Server),
}

impl At {
    async fn open(&self, options: LogOptions) -> (EventLog, LogService) {
        let opened = match self {
            Self::Memory => EventLog::open_memory(options).await,
            Self::File(folder) => EventLog::open_sqlite(&folder.path().join("log.db"), options).await,
            Self::Server(server) => EventLog::open_mysql(&server.url, options).await,
        };
        opened.expect("the log opens")
    }
}

pub const ORGANIZER: OrganizerId = OrganizerId(Uuid::from_u128(0x0190_a8f2_3c1d_7e55_9b0a_6f1d_2c3b_4a59));

/// Gateways that know every attempt at once and take no money by themselves.
struct QuietDesk(SystemCommands);

#[async_trait::async_trait]
impl PaymentDesk for QuietDesk {
    fn methods(&self) -> Vec<PaymentMethod> {
        vec![PaymentMethod::Sandbox, PaymentMethod::Stripe]
    }

    fn takes(&self, _: PaymentMethod, _: &Money) -> Result<(), Unsuitable> {
        Ok(())
    }

    fn pay_until(&self, _: PaymentMethod, _: DateTime<Utc>, hold_expires_at: DateTime<Utc>) -> DateTime<Utc> {
        hold_expires_at
    }

    async fn after_created(&self, booking_id: BookingId, payment_id: PaymentId) {
        let page = Some(format!("https://pay.example/{payment_id}"));
        let origin = Origin::system("payments", payment_id.0);
        self.0
            .record_pending(booking_id, payment_id, format!("ref-{payment_id}"), page, &origin)
            .await
            .expect("it is recorded");
    }
}

pub struct World {
    pub service: CommandService,
    pub system: SystemCommands,
    pub log: EventLog,
    /// Moves only the store in memory.
    pub clock: Arc<ManualClock>,
    log_services: Mutex<Vec<LogService>>,
    at: At,
}

impl World {
    pub async fn new(store: Store) -> Self {
        let clock = Arc::new(ManualClock::new(Utc::now()));
        let (at, options) = match store {
            Store::Memory => (At::Memory, LogOptions { runtime: Runtime::at(clock.clone()), ..LogOptions::default() }),
            Store::Sqlite => (At::File(tempfile::tempdir().expect("a temporary folder")), LogOptions::default()),
            Store::Server(variable) => {
                let server = Server::create(variable).await.expect("the variable is set");
                (At::Server(server), LogOptions::default())
            }
        };
        let (log, log_service) = at.open(options).await;
        let (service, system) = service_over(&log);
        Self { service, system, log, clock, log_services: Mutex::new(vec![log_service]), at }
    }

    /// Another process's write side over the same store: its own writer where the store allows for one, nothing remembered in
    /// common anyway.
    pub async fn other_process(&self) -> CommandService {
        if let At::Memory = self.at {
            return service_over(&self.log).0;
        }
        let (log, log_service) = self.at.open(LogOptions::default()).await;
        self.log_services.lock().push(log_service);
        service_over(&log).0
    }

    pub async fn end(self) {
        let services = std::mem::take(&mut *self.log_services.lock());
        for service in services {
            service.shutdown().await;
        }
        if let At::Server(server) = self.at {
            server.drop_it().await;
        }
    }

    pub async fn create(&self, request: Value) -> EventAnswer {
        event(self.service.execute(organizer(), create_request(request)).await)
    }

    pub async fn publish(&self, id: EventId) -> EventAnswer {
        event(self.service.execute(organizer(), Request::PublishEvent { id: id.to_string() }).await)
    }

    /// A published show.
    pub async fn show(&self, request: Value) -> EventAnswer {
        let id = self.create(request).await.id;
        self.publish(id).await
    }

    pub async fn place(&self, order: Order) -> Result<BookingAnswer, Refusals> {
        place_by(&self.service, order).await
    }

    pub async fn pay(
        &self,
        booking: &BookingAnswer,
        method: PaymentMethod,
        key: &str,
    ) -> Result<PaymentAnswer, Refusals> {
        let request = request::PayBooking {
            booking_id: booking.id.to_string(),
            method,
            return_url: None,
            access_token: booking.access_token.clone(),
            idempotency_key: key.to_owned(),
        };
        payment(self.service.execute(anybody(), Request::PayBooking(request)).await)
    }

    pub async fn cancel(
        &self,
        id: BookingId,
        token: Option<AccessToken>,
        key: &str,
    ) -> Result<BookingAnswer, Refusals> {
        let request = request::CancelBooking {
            booking_id: id.to_string(),
            reason: Some("ill".to_owned()),
            access_token: token,
            idempotency_key: key.to_owned(),
        };
        booking(self.service.execute(anybody(), Request::CancelBooking(request)).await)
    }

    pub async fn succeed(&self, booking: BookingId, payment: PaymentId) -> Purchase {
        let purchase = self.purchase(booking).await;
        let amount = purchase.payment(payment).expect("the attempt is there").amount;
        let outcome = PaymentOutcome::Succeeded { gateway_reference: format!("ref-{payment}"), amount };
        let after = self.system.record_payment_outcome(booking, payment, outcome, &test_origin()).await;
        after.expect("a success is always recorded").aggregate.0.clone().expect("a booking")
    }

    pub async fn expire(&self, booking: BookingId) -> Purchase {
        let after = self.system.expire_hold(booking, &test_origin()).await;
        after.expect("an expiry is answered").aggregate.0.clone().expect("a booking")
    }

    pub async fn purchase(&self, booking: BookingId) -> Purchase {
        let loaded = self.system.booking(booking, tickiz_command_api::executor::Reading::Fresh).await;
        loaded.expect("the booking loads").aggregate.0.clone().expect("a booking")
    }

    /// The whole log, in order. One reading gives what this process has in mind, which may end before the head.
    pub async fn whole_log(&self) -> Vec<Arc<Recorded>> {
        let mut log: Vec<Arc<Recorded>> = Vec::new();
        loop {
            let after = log.last().map_or(0, |last| last.position);
            let page = self.log.read(after, 1_000).await.expect("the log reads");
            if page.is_empty() {
                return log;
            }
            log.extend(page);
        }
    }

    /// The types of the log's domain events, in order.
    pub async fn types(&self) -> Vec<String> {
        self.whole_log().await.iter().map(|event| event.event_type.clone()).collect()
    }

    /// Checks from the log and from the claims, each by itself and against the other, that nothing is sold twice and nothing is
    /// lost: free + held + sold + blocked = capacity, at every position.
    pub async fn check_conservation(&self, show: EventId) -> Taken {
        let recorded = self.whole_log().await;
        let mut taken = Taken::default();
        for event in &recorded {
            match event.stream.stream_type {
                StreamType::Event if event.stream.id == show.0 => {
                    taken.show_event(show, event.decode().expect("it decodes"));
                }
                StreamType::Booking => taken.booking_event(event.stream.id, show, event.decode().expect("it decodes")),
                _ => {}
            }
        }
        let prefix = format!("seat/{show}/");
        let claims = self.log.claims_with_prefix(&prefix).await.expect("the claims read");
        let claimed: BTreeMap<String, String> = claims
            .into_iter()
            .map(|row| (row.resource[prefix.len()..].to_owned(), row.holder.expect("a seat's claim has a holder")))
            .collect();
        assert_eq!(claimed, taken.seats, "the seats' claims are what the log says");
        for row in self.log.claims_with_prefix(&format!("quota/{show}/")).await.expect("the claims read") {
            let quota = row.resource.rsplit('/').next().expect("a resource has parts").to_owned();
            assert_eq!(
                row.used,
                taken.quotas.get(&quota).copied().unwrap_or(0),
                "the quota's counter is what the log says"
            );
            assert!(row.used <= row.limit, "a quota never exceeds its limit: {row:?}");
        }
        taken
    }
}

/// What the log says is taken of a show.
#[derive(Debug, Default)]
pub struct Taken {
    /// Seat to holder.
    pub seats: BTreeMap<String, String>,
    /// Quota to places.
    pub quotas: BTreeMap<String, i64>,
    /// Person to tickets.
    pub persons: BTreeMap<String, i64>,
}

impl Taken {
    fn take(&mut self, seat: &SeatId, holder: String) {
        let before = self.seats.insert(seat.0.clone(), holder);
        assert_eq!(before, None, "seat {seat} is taken twice");
    }

    fn show_event(&mut self, show: EventId, event: EventDomainEvent) {
        match event {
            EventDomainEvent::SeatsBlocked(blocked) => {
                blocked.seat_ids.iter().for_each(|seat| {
                    let before = self.seats.insert(seat.0.clone(), format!("block/{show}"));
                    assert_eq!(before, None, "a taken seat is blocked");
                });
            }
            EventDomainEvent::SeatsUnblocked(unblocked) => unblocked.seat_ids.iter().for_each(|seat| {
                assert!(self.seats.remove(&seat.0).is_some());
            }),
            _ => {}
        }
    }

    fn booking_event(&mut self, stream: Uuid, show: EventId, event: BookingDomainEvent) {
        let holder = format!("booking/{stream}");
        let places = match &event {
            BookingDomainEvent::BookingPlaced(placed) => Some((
                tickiz_domain::booking::Places::of(placed.event_id, &placed.lines, placed.person.clone(), None),
                1,
            )),
            BookingDomainEvent::BookingReinstated(reinstated) => Some((reinstated.taken.clone(), 1)),
            BookingDomainEvent::BookingExpired(expired) => Some((expired.released.clone(), -1)),
            BookingDomainEvent::BookingCancelled(cancelled) => Some((cancelled.released.clone(), -1)),
            BookingDomainEvent::TicketsRevoked(revoked) => Some((revoked.released.clone(), -1)),
            _ => None,
        };
        let Some((places, sign)) = places.filter(|(places, _)| places.event_id == show) else { return };
        for seat in &places.seat_ids {
            if sign > 0 {
                self.take(seat, holder.clone());
            } else {
                assert_eq!(self.seats.remove(&seat.0), Some(holder.clone()), "a booking gives back what it has");
            }
        }
        for (quota, amount) in &places.quotas {
            *self.quotas.entry(quota.to_string()).or_default() += sign * amount;
        }
        *self.persons.entry(places.person.0.clone()).or_default() += sign * places.count;
    }
}

fn service_over(log: &EventLog) -> (CommandService, SystemCommands) {
    let options = CommandOptions::default();
    let system = SystemCommands::new(log, &options);
    let desk: Arc<dyn PaymentDesk> = Arc::new(QuietDesk(system.clone()));
    (CommandService::new(system.clone(), Some(desk), &options), system)
}

pub fn test_origin() -> Origin {
    Origin::system("test", Uuid::nil())
}

pub fn context(caller: Caller) -> CallContext {
    CallContext { caller, correlation_id: Uuid::from_u128(1), traceparent: None }
}

pub fn organizer() -> CallContext {
    context(Caller::Organizer { organizer_id: ORGANIZER })
}

pub fn anybody() -> CallContext {
    context(Caller::Anonymous)
}

pub fn create_request(value: Value) -> Request {
    Request::CreateEvent(Box::new(serde_json::from_value(value).expect("of the request's shape")))
}

pub fn event(answer: Result<Answer, Refusals>) -> EventAnswer {
    match answer.expect("the command succeeds") {
        Answer::Event(event) => *event,
        other => panic!("not an Event: {other:?}"),
    }
}

pub fn booking(answer: Result<Answer, Refusals>) -> Result<BookingAnswer, Refusals> {
    answer.map(|answer| match answer {
        Answer::Booking(booking) => *booking,
        other => panic!("not a booking: {other:?}"),
    })
}

pub fn payment(answer: Result<Answer, Refusals>) -> Result<PaymentAnswer, Refusals> {
    answer.map(|answer| match answer {
        Answer::Payment(payment) => *payment,
        other => panic!("not a payment: {other:?}"),
    })
}

/// The first code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, Refusals>) -> ErrorCode {
    result.expect_err("the command is refused").0[0].code
}

/// An order, with everything a test does not care about filled in.
#[derive(Clone)]
pub struct Order {
    pub event: EventId,
    pub seats: Vec<String>,
    pub tickets: Vec<(String, i64)>,
    pub email: String,
    pub key: String,
    pub context: CallContext,
}

impl Order {
    pub fn of(event: EventId, email: &str, key: &str) -> Self {
        Self {
            event,
            seats: Vec::new(),
            tickets: Vec::new(),
            email: email.to_owned(),
            key: key.to_owned(),
            context: anybody(),
        }
    }

    pub fn seats(mut self, seats: &[&str]) -> Self {
        self.seats = seats.iter().map(|seat| (*seat).to_owned()).collect();
        self
    }

    pub fn tickets(mut self, ticket_type: &str, quantity: i64) -> Self {
        self.tickets.push((ticket_type.to_owned(), quantity));
        self
    }

    pub fn request(&self) -> Request {
        Request::PlaceBooking(request::PlaceBooking {
            event_id: self.event.to_string(),
            seats: self
                .seats
                .iter()
                .map(|seat| SeatSelection { seat_id: seat.clone(), ticket_type_id: None })
                .collect(),
            tickets: self
                .tickets
                .iter()
                .map(|(id, quantity)| TicketSelection { ticket_type_id: id.clone(), quantity: *quantity })
                .collect(),
            buyer: BuyerInput { name: "Lan".to_owned(), email: self.email.clone() },
            locale: Some("vi-VN".to_owned()),
            idempotency_key: self.key.clone(),
        })
    }
}

pub async fn place_by(service: &CommandService, order: Order) -> Result<BookingAnswer, Refusals> {
    booking(service.execute(order.context.clone(), order.request()).await)
}

/// The id of the type of that name.
pub fn type_id(show: &Show, name: &str) -> String {
    show.ticket_types.iter().find(|of| of.name == name).expect("the show has that type").id.to_string()
}

pub fn is_held(booking: &BookingAnswer) -> bool {
    booking.purchase.status == BookingStatus::Held
}

/// A local time in Ho Chi Minh City, so many hours from now.
pub fn in_hours(hours: i64) -> String {
    let local = Utc::now().naive_utc() + Duration::hours(hours + 7);
    local.format("%Y-%m-%dT%H:%M:%S").to_string()
}

pub fn money(amount: &str) -> Value {
    json!({"amount": amount, "currency": "VND"})
}

/// General admission: `Standing` with its own quota, and `Adult` and `Child` that share one.
pub fn general_admission(capacity: i64) -> Value {
    let of = |name: &str, amount: &str, capacity: Option<i64>, quota: Option<&str>| json!({"name": name, "price": money(amount), "capacity": capacity, "quota": quota, "seatCategories": [], "maxPerBooking": 10});
    json!({
        "title": "Đêm nhạc Trịnh", "description": "", "category": EventCategory::Concert,
        "startsAt": in_hours(48), "endsAt": null, "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Nhà hát Lớn", "address": null, "city": "Hà Nội", "country": "VN", "latitude": null, "longitude": null},
        "ticketTypes": [
            of("Standing", "450000", Some(capacity), None),
            of("Adult", "300000", Some(capacity), Some("floor")),
            of("Child", "150000", None, Some("floor")),
            of("Free", "0", Some(capacity), None),
        ],
        "seatingPlan": null, "holdSeconds": 600, "releaseOnDecline": false, "salesStart": null, "salesEnd": null,
        "maxPerPerson": null, "organizerId": null, "idempotencyKey": null,
    })
}

/// A hall of `rows` rows (`A`, `B` …) with `seats` seats each, `A-1` and so on: the first row is `VIP`, the others `Regular`.
pub fn hall(rows: usize, seats: usize) -> Value {
    let row = |at: usize| {
        let label = char::from(b'A' + u8::try_from(at).expect("a few rows")).to_string();
        let category = if at == 0 { "VIP" } else { "Regular" };
        let seats: Vec<Value> = (1..=seats)
            .map(|seat| {
                json!({"seat_number": seat.to_string(), "seat_guid": format!("{label}-{seat}"), "category": category,
                    "position": {"x": seat * 20, "y": 0}})
            })
            .collect();
        json!({"row_number": label, "row_number_position": "both", "position": {"x": 0, "y": at * 30}, "seats": seats})
    };
    let rows: Vec<Value> = (0..rows).map(row).collect();
    let mut request = general_admission(100);
    request["seatingPlan"] = json!({
        "name": "Hall", "categories": [{"name": "VIP", "color": "#f00"}, {"name": "Regular", "color": "#0f0"}],
        "size": {"width": 1000, "height": 1000},
        "zones": [{"name": "Floor", "position": {"x": 0, "y": 0}, "areas": [], "rows": rows}],
    });
    request["ticketTypes"] = json!([
        {"name": "VIP", "price": money("900000"), "capacity": null, "quota": null, "seatCategories": ["VIP"], "maxPerBooking": 10},
        {"name": "Regular", "price": money("450000"), "capacity": null, "quota": null, "seatCategories": ["Regular"], "maxPerBooking": 10},
    ]);
    request
}

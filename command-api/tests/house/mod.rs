//! A whole write side with its sandbox gateway, over real sockets: what a test presses, breaks and kills.

#![allow(dead_code, reason = "every test file uses another part of it")]

pub mod faults;
pub mod post;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tickiz_command_api::{
    CommandOptions, CommandService, PaymentDesk,
    gateways::{
        AttemptRef, Gateway, Gateways, Unsuitable,
        sandbox::{
            SandboxGateway, SandboxOptions,
            provider::{self, Provider, account::LedgerPayment},
        },
    },
    ids::SystemEntropy,
    payments::{Bookings, Payments},
    stores::{Database, INBOX, SANDBOX, StoreAt},
    webhooks::{
        WebhookReceiver,
        inbox::Inbox,
        worker::{Waiting, WebhookWorker},
    },
    workers::{
        WorkerOptions, Workers,
        cancellation::{BookingList, ListError},
    },
};
use tickiz_contract::{BookingAnswer, Commands, PaymentAnswer, Refusals, Request, request};
use tickiz_domain::{
    booking::{Booking, BookingDomainEvent, BookingStatus, PaymentMethod, PaymentStatus, Purchase},
    ids::{BookingId, EventId, PaymentId},
    money::Money,
    stream::StreamType,
    timer::TimerKind,
};
use tickiz_event_log::{EventLog, LeasedTimer, Position, runtime::Clock};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::task::TaskTracker;

use self::faults::{Faults, FaultyBookings, FaultyGateway, FaultyList};
use crate::world::{Order, Store, World, anybody, payment};

/// How long something may take before a test gives up. Far above what it takes; no test measures speed.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const API_KEY: &str = "api-key-of-the-tests";
pub const SECRET: &[u8] = b"webhook-secret-of-the-tests";

/// Makes a gateway that reads that clock.
pub type MakeGateway = Box<dyn FnOnce(Arc<dyn Clock>) -> Arc<dyn Gateway>>;

/// What differs from test to test.
pub struct Plan {
    pub store: Store,
    pub faults: Faults,
    /// Webhooks are sent to an address where nobody listens to them.
    pub lose_webhooks: bool,
    /// A second gateway, of the method `STRIPE`, in the same house.
    pub second_method: bool,
    /// Further gateways, which read the house's clock.
    pub others: Vec<MakeGateway>,
    /// The sandbox gateway's books; in memory if not said.
    pub books: Option<Database>,
    /// `payBooking` leaves the gateway to the workers, as if its process died after the append.
    pub idle_desk: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            store: Store::Memory,
            faults: Faults::none(),
            lose_webhooks: false,
            second_method: false,
            others: Vec::new(),
            books: None,
            idle_desk: false,
        }
    }
}

pub struct House {
    pub world: World,
    pub service: CommandService,
    pub payments: Payments,
    pub provider: Provider,
    pub books: Database,
    pub inbox: Database,
    pub address: SocketAddr,
    pub url: String,
    pub http: reqwest::Client,
    pub bookings: Arc<dyn Bookings>,
    faults: Faults,
    tasks: TaskTracker,
    webhooks: Option<(WebhookWorker, Waiting)>,
    workers: Option<Workers>,
    server: JoinHandle<()>,
}

impl House {
    /// Everything but the workers, which [`House::work`] starts.
    pub async fn new(plan: Plan) -> Self {
        let world = World::new(plan.store).await;
        let clock = Arc::new(world.clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let url = format!("http://{address}");
        let books = match plan.books {
            Some(books) => books,
            None => Database::open(&StoreAt::Memory).await.expect("books in memory"),
        };
        books.migrate(&SANDBOX).await.expect("the books' tables");
        let inbox = Database::open(&StoreAt::Memory).await.expect("an inbox in memory");
        inbox.migrate(&INBOX).await.expect("the inbox's tables");
        let provider = Provider::try_new(provider::Options {
            database: books.clone(),
            public_url: url.clone(),
            notify_url: format!("{url}/{}", if plan.lose_webhooks { "lost" } else { "webhooks/sandbox" }),
            api_key: API_KEY.to_owned(),
            webhook_secret: SECRET.to_vec(),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
        })
        .expect("a provider");
        let client = || {
            SandboxGateway::try_new(SandboxOptions {
                api_url: url.clone(),
                api_key: API_KEY.to_owned(),
                webhook_secret: SECRET.to_vec(),
                clock: clock.clone(),
            })
            .expect("a client")
        };
        let mut gateways: Vec<Arc<dyn Gateway>> =
            vec![Arc::new(FaultyGateway::new(client(), PaymentMethod::Sandbox, plan.faults.clone()))];
        if plan.second_method {
            gateways.push(Arc::new(FaultyGateway::new(client(), PaymentMethod::Stripe, plan.faults.clone())));
        }
        gateways.extend(plan.others.into_iter().map(|make| make(clock.clone())));
        let gateways = Gateways::new(gateways);
        let bookings: Arc<dyn Bookings> = Arc::new(FaultyBookings::new(world.system.clone(), plan.faults.clone()));
        let tasks = TaskTracker::new();
        let payments = Payments::new(world.log.clone(), bookings.clone(), gateways.clone(), tasks.clone());
        let letters = Inbox::new(inbox.clone(), clock);
        let webhooks = WebhookWorker::new(letters.clone(), payments.clone());
        let receiver = WebhookReceiver::new(gateways, letters, webhooks.0.clone());
        let routes = receiver.routes().merge(provider.routes());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.expect("the server runs") });
        let desk: Arc<dyn PaymentDesk> =
            if plan.idle_desk { Arc::new(IdleDesk(payments.clone())) } else { Arc::new(payments.clone()) };
        let service = CommandService::new(world.system.clone(), Some(desk), &CommandOptions::default());
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without odd settings");
        Self {
            world,
            service,
            payments,
            provider,
            books,
            inbox,
            address,
            url,
            http,
            bookings,
            faults: plan.faults,
            tasks,
            webhooks: Some(webhooks),
            workers: None,
            server,
        }
    }

    /// With its workers.
    pub async fn working(plan: Plan) -> Self {
        let mut house = Self::new(plan).await;
        house.work();
        house
    }

    pub fn work(&mut self) {
        let list = LogList(self.world.log.clone());
        self.work_with(Arc::new(FaultyList::new(list, self.faults.clone())));
    }

    pub fn work_with(&mut self, list: Arc<dyn BookingList>) {
        self.workers = Some(Workers::start(WorkerOptions {
            log: self.world.log.clone(),
            bookings: self.bookings.clone(),
            payments: self.payments.clone(),
            list: Some(list),
            webhooks: self.webhooks.take().expect("the workers are started once"),
            mails: None,
            sandbox: Some(self.provider.clone()),
            tasks: self.tasks.clone(),
        }));
    }

    /// What waits in memory is gone, as after a crash; the tables stay.
    pub fn forget_waiting(&mut self) {
        let letters = Inbox::new(self.inbox.clone(), Arc::new(self.world.clock.clone()));
        self.webhooks = Some(WebhookWorker::new(letters, self.payments.clone()));
    }

    pub async fn end(mut self) {
        if let Some(workers) = self.workers.take() {
            workers.shutdown().await;
        }
        self.server.abort();
        self.world.end().await;
    }

    pub fn advance(&self, seconds: i64) {
        self.world.clock.advance(TimeDelta::seconds(seconds));
    }

    /// Lets a second pass every 20 ms until it is so.
    pub async fn until<T>(&self, what: &str, mut is_so: impl AsyncFnMut() -> Option<T>) -> T {
        self.until_every(what, 1_000, &mut is_so).await
    }

    /// The same without letting time pass.
    pub async fn soon<T>(&self, what: &str, mut is_so: impl AsyncFnMut() -> Option<T>) -> T {
        self.until_every(what, 0, &mut is_so).await
    }

    async fn until_every<T>(&self, what: &str, millis: i64, is_so: &mut impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(value) = is_so().await {
                return value;
            }
            assert!(begun.elapsed() < PATIENCE, "{what} never came; the log has {:?}", self.world.types().await);
            self.world.clock.advance(TimeDelta::milliseconds(millis));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn place(&self, order: Order) -> BookingAnswer {
        crate::world::place_by(&self.service, order).await.expect("the places are free")
    }

    pub async fn try_pay(
        &self,
        booking: &BookingAnswer,
        method: PaymentMethod,
        key: &str,
    ) -> Result<PaymentAnswer, Refusals> {
        let request = request::PayBooking {
            booking_id: booking.id.to_string(),
            method,
            return_url: Some("https://shop.example/thanks?order=1&x=y".to_owned()),
            access_token: booking.access_token.clone(),
            idempotency_key: key.to_owned(),
        };
        payment(self.service.execute(anybody(), Request::PayBooking(request)).await)
    }

    /// Starts a payment; its id and page.
    pub async fn pay(&self, booking: &BookingAnswer, key: &str) -> (PaymentId, String) {
        let paid = self.try_pay(booking, PaymentMethod::Sandbox, key).await.expect("it can be paid");
        let attempt = paid.booking.purchase.payment(paid.payment_id).expect("the attempt");
        (paid.payment_id, attempt.redirect_url.clone().expect("the page's address comes with the answer"))
    }

    /// The same where something fails on the way: the page comes later, by a worker.
    pub async fn pay_somehow(&self, booking: &BookingAnswer, key: &str) -> (PaymentId, String) {
        let paid = self.try_pay(booking, PaymentMethod::Sandbox, key).await.expect("it can be paid");
        let page = async || {
            let purchase = self.purchase(booking.id).await;
            purchase.payment(paid.payment_id).and_then(|payment| payment.redirect_url.clone())
        };
        (paid.payment_id, self.until("the page", page).await)
    }

    pub async fn press(&self, page: &str, outcome: &str) -> reqwest::Response {
        self.http.post(page).form(&[("outcome", outcome)]).send().await.expect("the page answers")
    }

    pub async fn purchase(&self, id: BookingId) -> Purchase {
        self.world.purchase(id).await
    }

    pub async fn status(&self, id: BookingId, status: BookingStatus) -> Purchase {
        self.until(&format!("{status:?}"), async || Some(self.purchase(id).await).filter(|p| p.status == status)).await
    }

    pub async fn payment_status(&self, id: BookingId, payment: PaymentId, status: PaymentStatus) -> Purchase {
        let is_so = async || {
            let purchase = self.purchase(id).await;
            let there = purchase.payment(payment).is_some_and(|payment| payment.status == status);
            there.then_some(purchase)
        };
        self.until(&format!("{status:?}"), is_so).await
    }

    pub async fn ledger(&self) -> Vec<LedgerPayment> {
        provider::ledger(self.books.clone()).await.expect("the books read")
    }

    /// The one timer of that kind, leased as by a worker.
    pub async fn lease(&self, kind: TimerKind, subject: uuid::Uuid) -> LeasedTimer {
        let leased = self.world.log.lease_timer(kind, subject, Duration::from_secs(30)).await.expect("the log answers");
        leased.unwrap_or_else(|| panic!("there is a free timer {kind:?}"))
    }

    /// How many domain events of that type the log has.
    pub async fn count(&self, event_type: &str) -> usize {
        self.world.types().await.iter().filter(|of| *of == event_type).count()
    }

    /// Where the only domain event of that type stands in the log.
    pub async fn position_of(&self, event_type: &str) -> i64 {
        let log = self.world.log.read(0, usize::MAX).await.expect("the log");
        let mut found = log.iter().filter(|recorded| recorded.event_type == event_type);
        let position = found.next().unwrap_or_else(|| panic!("no {event_type}")).position;
        assert!(found.next().is_none(), "one {event_type}");
        position
    }

    /// A signed webhook as the sandbox gateway would send it now.
    pub fn signed(&self, body: &[u8]) -> reqwest::RequestBuilder {
        self.signed_to("sandbox", body)
    }

    /// The same to the door of that gateway.
    pub fn signed_to(&self, gateway: &str, body: &[u8]) -> reqwest::RequestBuilder {
        let signature = provider::courier::sign(SECRET, self.world.clock.now().timestamp(), body);
        let url = format!("{}/webhooks/{gateway}", self.url);
        self.http.post(url).header("sandbox-signature", signature).body(body.to_vec())
    }

    pub async fn inbox_rows(&self) -> Vec<(String, String, i32)> {
        let Database::Sqlite(pool) = &self.inbox else { panic!("the tests' inbox is SQLite") };
        sqlx::query_as("SELECT event_key, state, attempts FROM webhook_inbox ORDER BY id")
            .fetch_all(pool)
            .await
            .expect("it reads")
    }

    /// What must hold at the end of every story: what the gateway took is recorded and became a ticket or a refund, and what it gave
    /// back is what was asked back.
    pub async fn check_money(&self, id: BookingId) {
        let purchase = self.purchase(id).await;
        let mut kept = 0;
        for entry in self.ledger().await {
            let reference: AttemptRef = entry.reference.parse().expect("a reference of ours");
            if reference.booking_id != id {
                continue;
            }
            let attempt = purchase.payment(reference.payment_id).expect("the attempt is in the log");
            assert_eq!(entry.returned_minor, entry.refunded_minor, "the gateway's account is the sum of its movements");
            assert_eq!(
                entry.charged_minor,
                attempt.received.map_or(0, |money| money.minor()),
                "what was taken is recorded"
            );
            kept += entry.charged_minor - entry.returned_minor;
        }
        let due = if purchase.status == BookingStatus::Confirmed { purchase.total.minor() } else { 0 };
        assert_eq!(kept, due, "money is kept for tickets and for nothing else: {purchase:#?}");
    }
}

/// Knows the gateways and does nothing.
struct IdleDesk(Payments);

#[async_trait::async_trait]
impl PaymentDesk for IdleDesk {
    fn methods(&self) -> Vec<PaymentMethod> {
        self.0.methods()
    }

    fn takes(&self, method: PaymentMethod, amount: &Money) -> Result<(), Unsuitable> {
        PaymentDesk::takes(&self.0, method, amount)
    }

    fn pay_until(&self, _: PaymentMethod, _: DateTime<Utc>, hold_expires_at: DateTime<Utc>) -> DateTime<Utc> {
        hold_expires_at
    }

    async fn after_created(&self, _: BookingId, _: PaymentId) {}
}

/// The bookings of shows, from the log itself.
pub struct LogList(pub EventLog);

#[async_trait::async_trait]
impl BookingList for LogList {
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError> {
        let recorded = self.0.read(0, usize::MAX).await.map_err(|error| ListError(error.to_string()))?;
        assert!(recorded.last().is_some_and(|last| last.position >= at_least));
        let mut bookings = std::collections::BTreeMap::<BookingId, Booking>::new();
        for one in recorded.iter().filter(|one| one.stream.stream_type == StreamType::Booking) {
            let event: BookingDomainEvent = one.decode().map_err(|error| ListError(error.to_string()))?;
            bookings.entry(BookingId(one.stream.id)).or_default().fold(event);
        }
        let open = |booking: &Booking| {
            booking.0.as_ref().is_some_and(|purchase| {
                purchase.event_id == event && matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed)
            })
        };
        let ids = bookings.into_iter().filter(|(id, booking)| after.is_none_or(|after| *id > after) && open(booking));
        Ok(Some(ids.map(|(id, _)| id).take(limit).collect()))
    }
}

/// A show of `rows` rows, whose holds last that long.
pub fn hall_with(rows: usize, seats: usize, hold_seconds: i64) -> Value {
    let mut show = crate::world::hall(rows, seats);
    show["holdSeconds"] = hold_seconds.into();
    show
}

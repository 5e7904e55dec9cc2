//! Four weeks of sales before the demo's first start, so that reports, lists and audits have something to say.
//!
//! Made by the ordinary commands, gateway, webhooks and workers of a whole write side, only that its clock stands in the past and is
//! moved on, batch by batch: buyers come, most pay, some are declined, some leave and their hold runs out, some give their
//! tickets back. So every domain event is one that the system decided, and `tickiz verify` holds. Nobody is written to: the mails'
//! checkpoints are moved behind it. It needs an empty log of its own, in the embedded form; killed in the middle, there is less of it.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use axum::{Router, body::Body, http};
use chrono::{DateTime, Duration, Utc};
use futures::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tickiz_command_api::{
    CommandService,
    workers::{checkpoint::Checkpoint, mails},
};
use tickiz_contract::{
    Answer, CallContext, Caller, Commands, Request,
    request::{AccessToken, BuyerInput, CancelBooking, PayBooking, PlaceBooking, TicketSelection},
};
use tickiz_domain::{
    booking::{BookingStatus, PaymentMethod},
    event::EventStatus,
    ids::BookingId,
};
use tickiz_event_log::{
    EventLog, Position,
    runtime::{Clock, ManualClock, SystemClock},
};
use tokio::net::TcpListener;
use tower::ServiceExt;
use uuid::Uuid;

use super::DemoShow;
use crate::{
    config::Config,
    serve::roles::{self, Reach, Roles, Share},
    stores::{self, Stores},
};

/// How many days of sales there are.
const DAYS: i64 = 28;
/// How many buyers there are; some come again.
const BUYERS: usize = 700;
/// How many commands are under way at a time: they fill the log's batches.
const AT_ONCE: usize = 64;
/// How long the work of one batch may take to end; the next begins then all the same.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
/// The file that says from which day on the demo's shows are counted.
const ANCHOR_FILE: &str = "demo-from";
/// The same history every time.
const SEED: u64 = 0x7469_636b_697a;

const FIRST_NAMES: [&str; 12] =
    ["Lan", "Minh", "Anh", "Hương", "Tuấn", "Anna", "Jonas", "Emily", "Noah", "Camille", "Yuki", "Mateo"];
const LAST_NAMES: [&str; 12] =
    ["Nguyễn", "Trần", "Lê", "Phạm", "Vũ", "Schmidt", "Weber", "Smith", "Johnson", "Dubois", "Tanaka", "García"];

/// From which day on the demo's shows are counted, where a first start wrote it down.
pub fn anchor(data_dir: &Path) -> Option<DateTime<Utc>> {
    std::fs::read_to_string(data_dir.join(ANCHOR_FILE)).ok()?.trim().parse().ok()
}

/// What a buyer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Pays, and keeps his tickets.
    Pays,
    /// Pays, and gives them back.
    GivesBack,
    /// Is declined, and does not try again.
    IsDeclined,
    /// Goes away.
    Leaves,
    /// Cancels at once.
    Cancels,
}

impl Then {
    fn of(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..78 => Self::Pays,
            78..81 => Self::GivesBack,
            81..86 => Self::IsDeclined,
            86..97 => Self::Leaves,
            _ => Self::Cancels,
        }
    }

    const fn presses(self) -> Option<&'static str> {
        match self {
            Self::Pays | Self::GivesBack => Some("pay"),
            Self::IsDeclined => Some("decline"),
            Self::Leaves | Self::Cancels => None,
        }
    }
}

/// Makes the demo's shows and `bookings` bookings of them, up to now, where there is no log yet.
///
/// # Errors
/// When a store or the loopback address cannot be opened.
pub async fn load_where_empty(config: &Config, bookings: u32) -> anyhow::Result<()> {
    if bookings == 0 || config.mysql_url.is_some() || stores::has_log(config) {
        return Ok(());
    }
    let now = Utc::now();
    let clock = Arc::new(ManualClock::new(now - Duration::days(DAYS)));
    let stores = stores::open_with(config, Arc::new(clock.clone())).await?;
    std::fs::write(config.data_dir.join(ANCHOR_FILE), now.to_rfc3339()).context("the demo's first day")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("an address for the sandbox gateway")?;
    let url = format!("http://{}", listener.local_addr().context("its address")?);
    let keys = roles::ticket_keys(&stores)?;
    let reach = Reach { sandbox_url: &url, public_url: &url };
    let write_side =
        roles::write_side(config, &stores, &reach, Share::Untold, true, &keys, Arc::new(clock.clone())).await?;
    let mut roles = Roles::default();
    roles::project(&stores, Arc::new(stores.log.clone()), &mut roles);
    let (routes, commands) = (write_side.routes.clone(), write_side.commands.clone());
    let stopped = roles.front.clone();
    let server =
        tokio::spawn(
            async move { axum::serve(listener, routes).with_graceful_shutdown(stopped.cancelled_owned()).await },
        );

    let history = History { clock: &clock, commands: &commands, routes: &write_side.routes, log: &stores.log };
    let made = history.make(now, bookings).await;

    let head = stores.log.head().await.context("the log")?;
    stores.reads.wait_for(head, PATIENCE).await.context("the read models")?;
    forget_mails(&stores, head).await?;
    write_side.workers.shutdown().await;
    roles.front.cancel();
    server.await.context("the sandbox gateway")?.context("the sandbox gateway")?;
    roles.stop.cancel();
    while let Some(role) = roles.tasks.join_next().await {
        role.context("a role")??;
    }
    stores.log_service.shutdown().await;
    made
}

/// Nobody is written to of what never was.
async fn forget_mails(stores: &Stores, head: Position) -> anyhow::Result<()> {
    for name in [mails::CONSUMER, mails::ANNOUNCEMENTS] {
        let clock = Arc::new(SystemClock);
        let checkpoint = Checkpoint::new(stores.inbox.clone(), clock, name, Uuid::nil(), mails::LEASE);
        checkpoint.take().await.context("the mails' checkpoint")?;
        checkpoint.move_to(head).await.context("the mails' checkpoint")?;
        checkpoint.give_back().await.context("the mails' checkpoint")?;
    }
    Ok(())
}

struct History<'a> {
    clock: &'a ManualClock,
    commands: &'a CommandService,
    routes: &'a Router,
    log: &'a EventLog,
}

/// One buyer's order, before it is sent.
struct Order {
    place: PlaceBooking,
    then: Then,
}

/// A booking that was placed.
struct Placed {
    id: BookingId,
    token: Option<AccessToken>,
    then: Then,
}

const fn context() -> CallContext {
    CallContext { caller: Caller::Anonymous, correlation_id: Uuid::nil(), traceparent: None }
}

impl History<'_> {
    async fn make(&self, now: DateTime<Utc>, bookings: u32) -> anyhow::Result<()> {
        let shows = super::load(self.commands, super::organizer_id(), now).await.context("the demo's shows")?;
        let popular: Vec<&DemoShow> = shows.iter().filter(|show| show.show.status == EventStatus::Published).collect();
        let mut random = StdRng::seed_from_u64(SEED);
        let batches = u32::try_from(DAYS).unwrap_or(1);
        let mut bar = Bar::new(bookings);
        let mut number = 0;
        for batch in 0..batches {
            // More of them come as the shows are nearer.
            let until = u64::from(bookings) * u64::from(batch + 1) * u64::from(batch + 2)
                / (u64::from(batches) * u64::from(batches + 1));
            let mut orders = Vec::new();
            while u64::from(number) < until {
                number += 1;
                orders.extend(self.order(&popular, number, &mut random));
            }
            self.sell(orders).await?;
            bar.show(number);
            // The last one ends before the present, which begins at once.
            let next = now - Duration::days(DAYS - i64::from(batch) - 1) - Duration::seconds(1);
            self.clock.advance((next - self.clock.now()).max(Duration::zero()));
        }
        bar.end();
        Ok(())
    }

    fn order(&self, shows: &[&DemoShow], number: u32, random: &mut StdRng) -> Option<Order> {
        // The first ones sell best, and the cheapest of a show more than the dearest.
        let at = random.random_range(0..shows.len()).min(random.random_range(0..shows.len()));
        let show = shows.get(at)?;
        let types = &show.show.ticket_types;
        let ticket_type = types.get(random.random_range(0..types.len()).max(random.random_range(0..types.len())))?;
        let quantity = 1 + i64::from(random.random_range(0..4u8).min(random.random_range(0..4u8)));
        let buyer = random.random_range(0..BUYERS);
        let name = format!(
            "{} {}",
            FIRST_NAMES[buyer % FIRST_NAMES.len()],
            LAST_NAMES[buyer / FIRST_NAMES.len() % LAST_NAMES.len()]
        );
        let locale = if buyer % LAST_NAMES.len() < 5 { "vi-VN" } else { "en" };
        Some(Order {
            place: PlaceBooking {
                event_id: show.id.to_string(),
                seats: Vec::new(),
                tickets: vec![TicketSelection { ticket_type_id: ticket_type.id.to_string(), quantity }],
                buyer: BuyerInput { name, email: format!("buyer-{buyer}@example.com") },
                locale: Some(locale.to_owned()),
                idempotency_key: format!("demo-history-{number}"),
            },
            then: Then::of(random),
        })
    }

    /// One batch, from its orders to the end of its holds.
    async fn sell(&self, orders: Vec<Order>) -> anyhow::Result<()> {
        let from = self.log.head().await.context("the log")?;
        let placed: Vec<Placed> = stream::iter(orders)
            .map(|order| self.place(order))
            .buffer_unordered(AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await;
        stream::iter(&placed).for_each_concurrent(AT_ONCE, |booking| self.go_on(booking)).await;
        self.settle(
            from,
            placed.iter().filter(|booking| booking.then.presses().is_some()).count(),
            &["PaymentSucceeded", "PaymentFailed"],
        )
        .await?;
        let back: Vec<&Placed> = placed.iter().filter(|booking| booking.then == Then::GivesBack).collect();
        stream::iter(&back).for_each_concurrent(AT_ONCE, |booking| self.cancel(booking)).await;
        self.settle(from, back.len(), &["BookingRefunded"]).await?;
        // The holds of those who went away run out.
        let left = placed.iter().filter(|booking| matches!(booking.then, Then::Leaves | Then::IsDeclined)).count();
        self.clock.advance(Duration::seconds(super::HOLD_SECONDS + 1));
        self.settle(from, left, &["BookingExpired"]).await
    }

    /// A booking, unless what it wants is not to be had: demand is what it is.
    async fn place(&self, order: Order) -> Option<Placed> {
        let answer = self.commands.execute(context(), Request::PlaceBooking(order.place)).await.ok()?;
        let Answer::Booking(booking) = answer else { return None };
        let held = booking.purchase.status == BookingStatus::Held;
        held.then_some(Placed { id: booking.id, token: booking.access_token, then: order.then })
    }

    async fn go_on(&self, booking: &Placed) {
        match booking.then.presses() {
            Some(button) => self.pay(booking, button).await,
            None if booking.then == Then::Cancels => self.cancel(booking).await,
            None => {}
        }
    }

    async fn pay(&self, booking: &Placed, button: &'static str) {
        let pay = PayBooking {
            booking_id: booking.id.to_string(),
            method: PaymentMethod::Sandbox,
            return_url: None,
            access_token: booking.token.clone(),
            idempotency_key: format!("pay-{}", booking.id),
        };
        let Ok(Answer::Payment(payment)) = self.commands.execute(context(), Request::PayBooking(pay)).await else {
            return;
        };
        let attempt = payment.booking.purchase.payment(payment.payment_id);
        let url = attempt.and_then(|attempt| attempt.redirect_url.as_deref());
        let Some(page) = url.and_then(|url| url.parse::<http::Uri>().ok()) else { return };
        let press = http::Request::post(page.path())
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("outcome={button}")));
        if let Ok(press) = press {
            let _ = self.routes.clone().oneshot(press).await;
        }
    }

    async fn cancel(&self, booking: &Placed) {
        let cancel = CancelBooking {
            booking_id: booking.id.to_string(),
            reason: None,
            access_token: booking.token.clone(),
            idempotency_key: format!("cancel-{}", booking.id),
        };
        // One that was settled in between stays as it is.
        let _ = self.commands.execute(context(), Request::CancelBooking(cancel)).await;
    }

    /// Waits until so many domain events of these types follow a position.
    async fn settle(&self, from: Position, wanted: usize, types: &[&str]) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            let recorded = self.log.read(from, usize::MAX).await.context("the log")?;
            let there = recorded.iter().filter(|recorded| types.contains(&recorded.event_type.as_str())).count();
            if there >= wanted || begun.elapsed() > PATIENCE {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// How far it is, for who looks on.
struct Bar {
    of: u32,
    is_shown: bool,
}

/// The bar's length, in characters.
const BAR: usize = 40;

impl Bar {
    fn new(of: u32) -> Self {
        let bar = Self { of, is_shown: std::io::stderr().is_terminal() };
        if !bar.is_shown {
            eprintln!("loading the demo: {of} bookings");
        }
        bar
    }

    fn show(&mut self, done: u32) {
        if self.is_shown {
            let filled = BAR * usize::try_from(done).unwrap_or(0) / usize::try_from(self.of.max(1)).unwrap_or(1);
            eprint!(
                "\rloading the demo [{}{}] {done} of {} bookings",
                "#".repeat(filled),
                " ".repeat(BAR - filled),
                self.of
            );
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.is_shown {
            eprintln!();
        }
    }
}

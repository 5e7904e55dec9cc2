//! The whole role in one process: a log, read models and live feeds in memory, a write side that answers by the book, and a real
//! socket in front.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod http;
pub mod shows;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tickiz_contract::{
    Answer, BookingAnswer, CallContext, Commands, ErrorCode, EventAnswer, PaymentAnswer, Refusal, Refusals, Request,
    request::AccessToken,
};
use tickiz_domain::ids::{BookingId, OrganizerId};
use tickiz_event_log::{EventLog, LogOptions, LogService, runtime::Runtime};
use tickiz_projections::{LiveService, ProjectorOptions, ProjectorService, live::LiveOptions};
use tickiz_query_api::{AccessPolicy, HttpLimits, QueryApi, QueryApiParts, ReportLimits, SocketLimits, serve};
use tickiz_read_models::ReadStore;
use tickiz_tickets::{KeyRing, TicketSigner};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::shows::Stage;

pub const ORGANIZER_TOKEN: &str = "organizer-token";
/// Of an organiser who has no show here.
pub const OTHER_ORGANIZER_TOKEN: &str = "other-organizer-token";
pub const AUDITOR_TOKEN: &str = "auditor-token";
pub const ORGANIZER: OrganizerId = OrganizerId(Uuid::from_u128(1));
/// The access token of every booking here.
pub const ACCESS_TOKEN: &str = "buyer-token";
/// A booking that was placed and that the read models do not have.
pub const UNREAD: BookingId = BookingId(Uuid::from_u128(23));
/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How a house is opened.
#[derive(Clone, Copy, Default)]
pub struct House {
    pub http: HttpLimits,
    pub sockets: SocketLimits,
    pub reports: ReportLimits,
    pub production: bool,
}

/// A house that is open.
pub struct Open {
    pub addr: std::net::SocketAddr,
    pub log: EventLog,
    pub reads: ReadStore,
    pub stage: Arc<Stage>,
    pub asked: Arc<Mutex<Vec<(CallContext, Request)>>>,
    pub api: Arc<QueryApi>,
    pub shutdown: CancellationToken,
    /// Stops the projector alone.
    pub projecting: CancellationToken,
    pub projector: AbortHandle,
    _log_service: LogService,
    pub tasks: JoinSet<()>,
}

impl House {
    pub async fn open(self) -> Open {
        self.open_at(Runtime::default()).await
    }

    /// With a log that goes by another clock.
    pub async fn open_at(self, runtime: Runtime) -> Open {
        let (log, log_service) = EventLog::open_memory(LogOptions { runtime, ..LogOptions::default() }).await.unwrap();
        let reads = ReadStore::open_memory().await.unwrap();
        reads.migrate().await.unwrap();
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let source = Arc::new(log.clone());
        let projector =
            ProjectorService::new(reads.clone(), source.clone(), source.clone(), ProjectorOptions::default());
        let live = LiveService::open(reads.clone(), source.clone(), source, LiveOptions::default()).await.unwrap();
        let feeds = live.feeds();
        let projecting = shutdown.child_token();
        let stop = projecting.clone();
        let projector = tasks.spawn(async move { projector.run(stop).await.unwrap() });
        let stop = shutdown.clone();
        tasks.spawn(async move { live.run(stop).await.unwrap() });

        let stage = Arc::new(Stage::set(log.clone()).await);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut signer = KeyRing::default();
        signer.add(TicketSigner::from_seed(1, &[7; 32])).unwrap();
        let access = AccessPolicy::new()
            .with_organizer(ORGANIZER_TOKEN, ORGANIZER)
            .with_organizer(OTHER_ORGANIZER_TOKEN, OrganizerId(Uuid::from_u128(2)))
            .with_auditor(AUDITOR_TOKEN);
        let api = Arc::new(QueryApi::new(QueryApiParts {
            wallets: tickiz_query_api::Wallets::default(),
            bundles: tickiz_tickets::BundleSigner::from_seed(&[9; 32]),
            templates: Arc::new(tickiz_documents::Templates::built_in().expect("they are tried at build")),
            public_url: "http://localhost".to_owned(),
            mail_from: "tickets@tickiz.example".to_owned(),
            commands: Arc::new(ByTheBook { stage: stage.clone(), asked: asked.clone() }),
            cache: None,
            reads: reads.clone(),
            live: feeds,
            log: Arc::new(log.clone()),
            signer: Arc::new(signer),
            access,
            production: self.production,
            head_at_start: log.head().await.unwrap(),
            sockets: self.sockets,
            reports: self.reports,
            shutdown: shutdown.clone(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = serve(listener, api.router(), self.http, api.metrics(), shutdown.clone());
        tasks.spawn(async move { serving.await.unwrap() });
        assert!(reads.wait_for(log.head().await.unwrap(), PATIENCE).await.unwrap());
        Open { addr, log, reads, stage, asked, api, shutdown, projecting, projector, _log_service: log_service, tasks }
    }
}

/// Answers every command as if it had been carried out, and some that no real one would.
struct ByTheBook {
    stage: Arc<Stage>,
    asked: Arc<Mutex<Vec<(CallContext, Request)>>>,
}

#[async_trait]
impl Commands for ByTheBook {
    async fn execute(&self, context: CallContext, request: Request) -> Result<Answer, Refusals> {
        self.asked.lock().push((context, request.clone()));
        let stage = &self.stage;
        let event = |(id, show): &(_, tickiz_domain::event::Show)| {
            Ok(Answer::Event(Box::new(EventAnswer { id: *id, show: show.clone(), position: stage.head() })))
        };
        let booking = |token: bool| {
            let (id, purchase) = stage.confirmed.clone();
            let access_token = token.then(|| AccessToken(ACCESS_TOKEN.to_owned()));
            BookingAnswer { id, purchase, position: stage.head(), access_token }
        };
        match request {
            Request::PublishEvent { id } => match id.as_str() {
                "panic" => panic!("asked to"),
                "slow" => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    event(&stage.seated)
                }
                "two" => Err(Refusals(vec![
                    Refusal::invalid(vec!["input".into(), "title".into()], "too long"),
                    Refusal::invalid(vec!["input".into(), "ticketTypes".into(), 0.into()], "too many"),
                ])),
                "taken" => {
                    let mut refusal = Refusal::new(ErrorCode::SeatTaken, "taken");
                    refusal.seat_ids = vec!["A-1".to_owned()];
                    Err(refusal.into())
                }
                "overloaded" => Err(Refusal::overloaded(250).into()),
                "internal" => Err(Refusal::internal().into()),
                "unread" => {
                    let (id, show) = stage.unseen.clone();
                    Ok(Answer::Event(Box::new(EventAnswer { id, show, position: stage.head() + 1 })))
                }
                "unfit" => Ok(Answer::Booking(Box::new(booking(false)))),
                _ => event(&stage.seated),
            },
            Request::CreateEvent(_) => event(&stage.unseen),
            Request::UpdateEvent(_)
            | Request::PostponeEvent(_)
            | Request::CancelEvent { .. }
            | Request::BlockSeats(_) => event(&stage.seated),
            Request::PlaceBooking(place) if place.event_id == "unread" => {
                Ok(Answer::Booking(Box::new(BookingAnswer { id: UNREAD, position: stage.head() + 1, ..booking(true) })))
            }
            Request::PlaceBooking(_) => Ok(Answer::Booking(Box::new(booking(true)))),
            Request::CheckIn(_) | Request::MergeScans(_) => Ok(Answer::CheckIns(Vec::new())),
            Request::CancelBooking(_) | Request::ReissueTickets(_) | Request::RefundBooking(_) => {
                Ok(Answer::Booking(Box::new(booking(false))))
            }
            Request::PayBooking(_) => {
                let booking = booking(false);
                Ok(Answer::Payment(Box::new(PaymentAnswer { payment_id: booking.purchase.payments[0].id, booking })))
            }
        }
    }
}

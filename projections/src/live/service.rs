//! Reads the stream and hands out what the read models have reached.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tickiz_domain::{
    booking::BookingDomainEvent,
    event::EventDomainEvent,
    ids::{BookingId, EventId},
    stream::StreamType,
};
use tickiz_event_log::record::{Position, Recorded};
use tickiz_read_models::{Projection, ReadError, ReadStore};
use tickiz_telemetry::trace;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, LiveFeeds,
    room::{Registry, Room},
    seats::WatchedSeats,
};
use crate::{
    events::{Change, PlacesChange},
    stream::{DomainEventStream, LogSource, Ordered, StreamError},
};

/// How long the read models are waited for before they are asked again. They are waited for in any case.
const REACHED_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked which version of each projection answers: a rebuilt one within a second.
const VERSIONS_LOOK: Duration = Duration::from_millis(250);
/// Batches that wait for a read model. One that is a little slower than the other holds up nobody.
const BATCHES_AHEAD: usize = 16;
/// Batches between a read model that has reached them and handing out.
const BATCHES_REACHED: usize = 1;

/// How the service runs.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// The most domain events that are read at once.
    pub batch: usize,
    /// How long it waits after a failure.
    pub backoff: Duration,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self { batch: 500, backoff: Duration::from_millis(100) }
    }
}

/// The service: open it, take [`LiveService::feeds`], run it.
pub struct LiveService {
    inner: Arc<Inner>,
    stream: Arc<dyn DomainEventStream>,
    log: Arc<dyn LogSource>,
    options: LiveOptions,
    begin: Position,
}

type Batch = Arc<Vec<Arc<Recorded>>>;
type Touched = HashMap<EventId, (Arc<Room<WatchedSeats>>, Vec<String>)>;

/// The most traces in which one frame is noted.
const MAX_FRAME_TRACES: usize = 100;

fn touch(touched: &mut Touched, id: EventId, room: Arc<Room<WatchedSeats>>, recorded: &Recorded) {
    let (_, traces) = touched.entry(id).or_insert_with(|| (room, Vec::new()));
    if let Some(traceparent) = recorded.metadata.traceparent.as_deref().filter(|text| trace::is_sampled(text)) {
        traces.push(traceparent.to_owned());
    }
}

/// A room that has something to send.
struct Due {
    at: Instant,
    room: Arc<Room<WatchedSeats>>,
    /// When the first change since the last frame was handed out.
    since: SystemTime,
    traces: Vec<String>,
}

impl Due {
    fn new(room: Arc<Room<WatchedSeats>>, now: Instant) -> Self {
        Self { at: now, room, since: SystemTime::now(), traces: Vec::new() }
    }

    fn add(&mut self, now: Instant, traces: Vec<String>) {
        self.at = now;
        let room = MAX_FRAME_TRACES - self.traces.len();
        self.traces.extend(traces.into_iter().take(room));
    }

    /// Sends a frame if the pace allows one; true: later.
    fn send(&mut self, now: Instant) -> bool {
        if let Some(later) = self.room.send_frame(now) {
            self.at = later;
            return true;
        }
        trace::note_each("frame", self.traces.iter().map(String::as_str), self.since, Vec::new);
        false
    }
}

impl LiveService {
    /// Begins where the read models are now. Whoever subscribes before it runs misses nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(
        store: ReadStore,
        stream: Arc<dyn DomainEventStream>,
        log: Arc<dyn LogSource>,
        options: LiveOptions,
    ) -> Result<Self, ReadError> {
        let begin = store.checkpoint().await?;
        let inner = Inner {
            store,
            seats: Registry::new(),
            bookings: Registry::new(),
            seats_out: watch::Sender::new(begin),
            bookings_out: watch::Sender::new(begin),
            closing: CancellationToken::new(),
        };
        Ok(Self { inner: Arc::new(inner), stream, log, options, begin })
    }

    /// Where to subscribe.
    #[must_use]
    pub fn feeds(&self) -> LiveFeeds {
        LiveFeeds { inner: self.inner.clone() }
    }

    /// Hands out until it is cancelled; then every stream ends.
    ///
    /// # Errors
    /// When the log has a gap. A store or stream that fails is tried again for as long as it takes.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), StreamError> {
        let _closing = self.inner.closing.clone().drop_guard();
        let (to_seats, for_seats) = mpsc::channel(BATCHES_AHEAD);
        let (to_bookings, for_bookings) = mpsc::channel(BATCHES_AHEAD);
        let (events_reached, seats) = mpsc::channel(BATCHES_REACHED);
        let (bookings_reached, bookings) = mpsc::channel(BATCHES_REACHED);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            ended = self.read([to_seats, to_bookings]) => ended,
            () = self.look_at_versions() => Ok(()),
            () = self.pass_on(Projection::Events, for_seats, events_reached) => Ok(()),
            () = self.pass_on(Projection::Bookings, for_bookings, bookings_reached) => Ok(()),
            () = self.hand_out_seats(seats) => Ok(()),
            () = self.hand_out_bookings(bookings) => Ok(()),
        }
    }

    /// Keeps this process's readers, and the rooms that stood still, on the version that answers.
    async fn look_at_versions(&self) {
        let Inner { store, seats, bookings, .. } = &*self.inner;
        let versions = || Projection::ALL.map(|projection| store.version(projection));
        let mut seen = versions();
        loop {
            tokio::time::sleep(VERSIONS_LOOK).await;
            let looked = async {
                store.load_versions().await?;
                // Whoever asks may have noticed before.
                if versions() != seen {
                    let now = versions();
                    seats.unstick(store).await?;
                    bookings.unstick(store).await?;
                    seen = now;
                }
                Ok::<_, ReadError>(())
            };
            if let Err(error) = looked.await {
                tracing::debug!(%error, "which versions answer is not known for the moment");
            }
        }
    }

    /// Reads batches for the watchers of seats and those of bookings.
    async fn read(&self, batches: [mpsc::Sender<Batch>; 2]) -> Result<(), StreamError> {
        let mut position = self.begin;
        let mut failing = false;
        loop {
            match self.read_from(&mut position, &batches).await {
                Ok(()) => return Ok(()),
                Err(error @ StreamError::GapInLog { .. }) => {
                    tracing::error!(%error, "live feeds have stopped");
                    return Err(error);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(position, %error, "live feeds wait; reading is tried again");
                    }
                    tokio::time::sleep(self.options.backoff).await;
                }
            }
        }
    }

    async fn read_from(&self, position: &mut Position, batches: &[mpsc::Sender<Batch>; 2]) -> Result<(), StreamError> {
        let mut events = Ordered::open(&*self.stream, self.log.clone(), *position).await?;
        loop {
            let batch = Arc::new(events.next_batch(self.options.batch).await?);
            let last = batch.last().map_or(*position, |last| last.position);
            for sender in batches {
                if sender.send(Arc::clone(&batch)).await.is_err() {
                    return Ok(());
                }
            }
            *position = last;
        }
    }

    /// Passes each batch on once the read model has reached it.
    async fn pass_on(&self, projection: Projection, mut read: mpsc::Receiver<Batch>, reached: mpsc::Sender<Batch>) {
        while let Some(batch) = read.recv().await {
            if let Some(last) = batch.last() {
                self.wait_until_reached(projection, last.position).await;
            }
            if reached.send(batch).await.is_err() {
                return;
            }
        }
    }

    async fn wait_until_reached(&self, projection: Projection, position: Position) {
        let mut failing = false;
        loop {
            match self.inner.store.wait_for_all(&[projection], position, REACHED_PATIENCE).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(position, %error, "live feeds wait for the read models' store");
                    }
                    tokio::time::sleep(self.options.backoff).await;
                }
            }
        }
    }

    async fn hand_out_bookings(&self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            for (at, recorded) in batch.iter().enumerate() {
                if recorded.stream.stream_type == StreamType::Booking {
                    let ends_append =
                        batch.get(at + 1).is_none_or(|next| next.metadata.command_id != recorded.metadata.command_id);
                    self.to_booking(recorded, ends_append);
                }
            }
            if let Some(last) = batch.last() {
                self.inner.bookings_out.send_replace(last.position);
            }
        }
    }

    async fn hand_out_seats(&self, mut batches: mpsc::Receiver<Batch>) {
        let mut due: HashMap<EventId, Due> = HashMap::new();
        loop {
            let next = due.values().map(|due| due.at).min();
            tokio::select! {
                batch = batches.recv() => {
                    let Some(batch) = batch else { return };
                    let now = Instant::now();
                    for (id, (room, traces)) in self.to_rooms_of_seats(&batch) {
                        due.entry(id).or_insert_with(|| Due::new(room, now)).add(now, traces);
                    }
                    if let Some(last) = batch.last() {
                        self.inner.seats_out.send_replace(last.position);
                    }
                }
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {}
            }
            let now = Instant::now();
            due.retain(|_, due| due.at > now || due.send(now));
        }
    }

    /// The shows' rooms that may have something to send, with the recorded traces of what has changed there.
    fn to_rooms_of_seats(&self, batch: &[Arc<Recorded>]) -> Touched {
        let mut touched = HashMap::new();
        for recorded in batch {
            match recorded.stream.stream_type {
                StreamType::Event => {
                    let id = EventId(recorded.stream.id);
                    if let Some(room) = self.inner.seats.get(id) {
                        let change = recorded.decode::<EventDomainEvent>().ok();
                        room.apply(recorded.position, change.map(|event| Change::Show(Box::new(event))));
                        touch(&mut touched, id, room, recorded);
                    }
                }
                StreamType::Booking => self.to_seats(recorded, &mut touched),
                StreamType::Person => {}
            }
        }
        touched
    }

    fn to_seats(&self, recorded: &Recorded, touched: &mut Touched) {
        let seats = &self.inner.seats;
        let watched = |show: Option<EventId>| show.is_none_or(|show| seats.get(show).is_some());
        if seats.is_empty() || !PlacesChange::concerns(&recorded.event_type) || !watched(recorded.metadata.show_id) {
            return;
        }
        let (show, change) = match recorded.decode::<BookingDomainEvent>() {
            Ok(event) => {
                let Some(places) = PlacesChange::of(event) else { return };
                (Some(places.event_id), Some(Change::Places(places)))
            }
            Err(_) => (recorded.metadata.show_id, None),
        };
        if let Some((id, room)) = show.and_then(|id| Some((id, seats.get(id)?))) {
            room.apply(recorded.position, change);
            touch(touched, id, room, recorded);
        }
    }

    /// Watchers get one frame for each append, so that they never see half of one.
    fn to_booking(&self, recorded: &Recorded, ends_append: bool) {
        let Some(room) = self.inner.bookings.get(BookingId(recorded.stream.id)) else { return };
        room.apply(recorded.position, recorded.decode::<BookingDomainEvent>().ok().map(Box::new));
        if ends_append {
            room.send_frame(Instant::now());
        }
    }
}

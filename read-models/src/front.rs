//! How callers read: from copies near at hand where they will do, else from the rows.
//!
//! * **Pages of lists** are kept for [`PAGE_KEPT_FOR`] in this process, and of any number who want the same one that is not there,
//!   one reads it; where processes share a cache, one of all of them.
//! * **A hot show** is kept for [`SHOW_KEPT_FOR`] in this process, unless something newer was seen.
//! * **Shows and their seats** come from the shared cache, if there is one, as long as its copy is not behind what this process has
//!   seen and somebody keeps it up to date.
//! * **Where the rows' store does not answer**, an old copy is shown rather than nothing. It is not asked again by every caller
//!   then, but by one probe, until it answers.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sha2::{Digest, Sha256};
use tickiz_domain::ids::EventId;

use crate::{
    EventPage, EventQuery, EventView, Position, Projection, ReadError, ReadStore, SeatStatuses,
    cache::{LIST_FRESH_FOR, LONGEST_SILENCE, PageCopy, PageFound, ReadCache, ShowCopy, ShowFound},
};

/// How long a show is kept in this process, as long as nothing newer was seen: a hot one is read some 25 times a second, however
/// many ask. Less than a read model may be behind in good times.
const SHOW_KEPT_FOR: Duration = Duration::from_millis(40);
/// The most shows that are kept, some 10 KB each.
const MAX_SHOWS: u64 = 1_000;
/// How long a page is kept in this process. With [`LIST_FRESH_FOR`] well under a second.
const PAGE_KEPT_FOR: Duration = Duration::from_millis(200);
/// The most pages that are kept, some 50 KB each.
const MAX_PAGES: u64 = 500;
/// How long the rows' store may take where an old copy is at hand.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// How long another process is waited for that is reading the same page.
const FILL_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const FILL_LOOK: Duration = Duration::from_millis(10);
/// How often a store that did not answer is asked again.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Inner {
    store: ReadStore,
    cache: Option<Arc<dyn ReadCache>>,
    shows: moka::future::Cache<EventId, Arc<EventView>>,
    pages: moka::future::Cache<[u8; 32], PageCopy>,
    pages_read: AtomicU64,
    /// The rows' store did not answer, and is being probed.
    is_down: AtomicBool,
}

/// The read models behind their copies. A cheap handle.
#[derive(Clone, Debug)]
pub struct ReadFront(Arc<Inner>);

impl ReadFront {
    /// In front of that store, with a cache that processes share.
    #[must_use]
    pub fn new(store: ReadStore, cache: Option<Arc<dyn ReadCache>>) -> Self {
        let pages = moka::future::Cache::builder().max_capacity(MAX_PAGES).time_to_live(PAGE_KEPT_FOR).build();
        let shows = moka::future::Cache::builder().max_capacity(MAX_SHOWS).time_to_live(SHOW_KEPT_FOR).build();
        let (pages_read, is_down) = (AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { store, cache, shows, pages, pages_read, is_down }))
    }

    /// How many pages of lists were read from the rows.
    #[must_use]
    pub fn pages_read(&self) -> u64 {
        self.0.pages_read.load(Ordering::Relaxed)
    }

    /// A show, whatever its status.
    ///
    /// # Errors
    /// When neither the rows nor a copy can be read.
    pub async fn event(&self, id: EventId) -> Result<Option<Arc<EventView>>, ReadError> {
        let seen = self.0.store.known_checkpoint(Projection::Events);
        if let Some(view) = self.0.shows.get(&id).await.filter(|view| view.position >= seen) {
            return Ok(Some(view));
        }
        let view = self.read_event(id).await?.map(Arc::new);
        if let Some(view) = &view {
            self.0.shows.insert(id, view.clone()).await;
        }
        Ok(view)
    }

    async fn read_event(&self, id: EventId) -> Result<Option<EventView>, ReadError> {
        let store = &self.0.store;
        Ok(match self.copy(id, false).await {
            Found::Current(copy) => Some(view(*copy)),
            Found::Old(copy) => match self.read_unless_down(store.event(id)).await? {
                Some(read) => read,
                None => Some(view(*copy)),
            },
            Found::Missing(ticket) => self.fill(id, &ticket).await?.map(view),
            Found::Unavailable => store.event(id).await?,
        })
    }

    /// The seats of a show, all at one version. `None` for a show that is not there.
    ///
    /// # Errors
    /// When neither the rows nor a copy can be read.
    pub async fn seat_statuses(&self, id: EventId) -> Result<Option<SeatStatuses>, ReadError> {
        let store = &self.0.store;
        Ok(match self.copy(id, true).await {
            Found::Current(copy) => Some(seats(*copy)),
            Found::Old(copy) => match self.read_unless_down(store.seat_statuses(id)).await? {
                Some(read) => read,
                None => Some(seats(*copy)),
            },
            Found::Missing(ticket) => self.fill(id, &ticket).await?.map(seats),
            Found::Unavailable => store.seat_statuses(id).await?,
        })
    }

    /// A page of the list of shows that contains everything up to `at_least`, which the read models have reached. Otherwise it is
    /// less than a second old.
    ///
    /// # Errors
    /// When the question is at fault ([`ReadError::is_callers_fault`]), or neither the rows nor a copy can be read.
    pub async fn list_events(&self, query: &EventQuery, at_least: Position) -> Result<Arc<EventPage>, ReadError> {
        let key = self.key(query);
        if let Some(copy) = self.0.pages.get(&key).await {
            if copy.position >= at_least {
                return Ok(copy.page);
            }
            self.0.pages.invalidate(&key).await;
        }
        let read = self.0.pages.try_get_with(key, self.page(&key, query, at_least)).await;
        match read {
            Ok(copy) if copy.position >= at_least => Ok(copy.page),
            // Somebody else's reading began before what this caller has to see.
            Ok(_) => Ok(self.read_page(query).await?.page),
            // Shared by all who waited, and errors cannot be; each hears his own.
            Err(shared) if shared.is_callers_fault() => Ok(self.read_page(query).await?.page),
            Err(shared) => Err(ReadError::Shared(shared)),
        }
    }

    /// Everything that a page depends on but the time.
    fn key(&self, query: &EventQuery) -> [u8; 32] {
        let EventQuery { filter, order, first, after, now: _ } = query;
        let version = self.0.store.version(Projection::Events);
        let after = after.map(|cursor| cursor.to_string());
        Sha256::digest(format!("{version} {order:?} {first} {after:?} {filter:?}")).into()
    }

    async fn page(&self, key: &[u8; 32], query: &EventQuery, at_least: Position) -> Result<PageCopy, ReadError> {
        let Some(cache) = &self.0.cache else { return self.read_page(query).await };
        let began = tokio::time::Instant::now();
        let old = loop {
            match cache.page(key).await {
                PageFound::Copy(copy, age) if copy.position >= at_least && age <= LIST_FRESH_FOR => return Ok(copy),
                PageFound::Copy(copy, _) | PageFound::YoursToFill(Some(copy)) => break Some(copy),
                PageFound::BeingFilled(Some(copy)) if self.is_down() => break Some(copy),
                PageFound::BeingFilled(_) if began.elapsed() < FILL_PATIENCE => tokio::time::sleep(FILL_LOOK).await,
                PageFound::BeingFilled(copy) => break copy,
                PageFound::YoursToFill(None) | PageFound::Unavailable => break None,
            }
        };
        let read = match old {
            Some(old) => match self.read_unless_down(self.read_page(query)).await? {
                Some(read) => read,
                None => return Ok(old),
            },
            None => self.read_page(query).await?,
        };
        cache.keep_page(key, &read).await;
        Ok(read)
    }

    async fn read_page(&self, query: &EventQuery) -> Result<PageCopy, ReadError> {
        let store = &self.0.store;
        // What the process knows to be there before it asks, is there.
        let position = store.known_checkpoint(Projection::Events);
        self.0.pages_read.fetch_add(1, Ordering::Relaxed);
        Ok(PageCopy { position, page: Arc::new(store.list_events(query).await?) })
    }

    async fn copy(&self, id: EventId, with_seats: bool) -> Found {
        let (store, Some(cache)) = (&self.0.store, &self.0.cache) else { return Found::Unavailable };
        let seen = store.known_checkpoint(Projection::Events);
        match cache.show(store.version(Projection::Events), id, with_seats).await {
            ShowFound::Copy(copy, silence) if copy.position >= seen && silence <= LONGEST_SILENCE => {
                Found::Current(copy)
            }
            ShowFound::Copy(copy, _) => Found::Old(copy),
            ShowFound::Missing(ticket) => Found::Missing(ticket),
            ShowFound::Unavailable => Found::Unavailable,
        }
    }

    /// Reads a show that the cache does not have, and hands it over.
    async fn fill(&self, id: EventId, ticket: &str) -> Result<Option<ShowCopy>, ReadError> {
        let Some((position, record, statuses)) = self.0.store.event_with_seats(id).await? else { return Ok(None) };
        let copy = ShowCopy { position, record, statuses };
        if let Some(cache) = &self.0.cache {
            cache.keep_show(self.0.store.version(Projection::Events), ticket, &copy).await;
        }
        Ok(Some(copy))
    }

    fn is_down(&self) -> bool {
        self.0.is_down.load(Ordering::Relaxed)
    }

    /// What the store answers; `None` where it does not, and an old copy has to do.
    async fn read_unless_down<T>(
        &self,
        read: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<Option<T>, ReadError> {
        if self.is_down() {
            return Ok(None);
        }
        match tokio::time::timeout(STORE_PATIENCE, read).await {
            Ok(Err(ReadError::Store(error))) => self.went_down(&error),
            Ok(answer) => return answer.map(Some),
            Err(elapsed) => self.went_down(&elapsed),
        }
        Ok(None)
    }

    fn went_down(&self, error: &dyn std::fmt::Display) {
        if self.0.is_down.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::warn!(%error, "the read models' store does not answer; old copies are shown where there are some");
        let front = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_INTERVAL).await;
                if matches!(tokio::time::timeout(STORE_PATIENCE, front.0.store.checkpoint()).await, Ok(Ok(_))) {
                    front.0.is_down.store(false, Ordering::Relaxed);
                    tracing::info!("the read models' store answers again");
                    return;
                }
            }
        });
    }
}

/// What the cache has.
enum Found {
    /// As good as the rows.
    Current(Box<ShowCopy>),
    /// Better than nothing.
    Old(Box<ShowCopy>),
    Missing(String),
    Unavailable,
}

fn view(copy: ShowCopy) -> EventView {
    let ShowCopy { position, record, .. } = copy;
    EventView {
        id: record.id,
        availability: record.sales.availability(&record.show),
        seat_version: record.sales.seat_version,
        show: record.show,
        position,
    }
}

fn seats(copy: ShowCopy) -> SeatStatuses {
    let ShowCopy { position, record, statuses } = copy;
    SeatStatuses {
        version: record.sales.seat_version,
        position,
        plan_hash: record.show.plan.as_ref().map_or_else(String::new, |plan| plan.hash.clone()),
        statuses: statuses.as_ref().to_owned(),
        availability: record.sales.availability(&record.show),
    }
}

//! Copies of shows and lists near at hand, as the read models see them: what a cache answers, and when it is believed.
//!
//! A cache is never needed. It answers from copies of rows, each complete up to a position that it says; whoever reads believes
//! it only if that is not behind what this process has seen of the rows themselves, so nobody is taken back in time. What is
//! missing is read from the rows and handed to the cache. Where the rows' store does not answer, an old copy is better than no
//! page.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tickiz_domain::ids::EventId;

use crate::{Cursor, EventPage, EventView, Position, events::tables::ShowRecord};

/// How old a copy may be although the projector has not been heard of: it says every half a second that it lives.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(2);
/// How old a page of a list may be that is shown without looking again. A published change is visible within a second.
pub const LIST_FRESH_FOR: Duration = Duration::from_millis(300);

/// A copy of a show.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowCopy {
    /// Everything of it up to here is contained.
    pub position: Position,
    /// The show.
    pub record: ShowRecord,
    /// One character per seat in plan order; empty where it has none, or nobody asked.
    pub statuses: Arc<str>,
}

/// What a cache knows of a show.
#[derive(Clone, Debug)]
pub enum ShowFound {
    /// A copy, and since when the projector has not been heard of.
    Copy(Box<ShowCopy>, Duration),
    /// Nothing. Whoever reads it may hand it over with this ticket.
    Missing(String),
    /// It does not answer.
    Unavailable,
}

/// What a cache knows of a page of a list.
#[derive(Clone, Debug)]
pub enum PageFound {
    /// A copy, and how old it is.
    Copy(PageCopy, Duration),
    /// An old copy or nothing, and the caller is the one to read it anew.
    YoursToFill(Option<PageCopy>),
    /// An old copy or nothing, and somebody else is reading it.
    BeingFilled(Option<PageCopy>),
    /// It does not answer.
    Unavailable,
}

/// A copy of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct PageCopy {
    /// Everything up to here is contained, perhaps more.
    pub position: Position,
    /// The page.
    pub page: Arc<EventPage>,
}

/// A cache that processes share.
#[async_trait]
pub trait ReadCache: Debug + Send + Sync {
    /// A show, of the tables of that version.
    async fn show(&self, version: i32, id: EventId, with_seats: bool) -> ShowFound;

    /// Hands over what was read for a ticket. Dropped where the show has changed since.
    async fn keep_show(&self, version: i32, ticket: &str, copy: &ShowCopy);

    /// A page, by everything that it depends on.
    async fn page(&self, key: &[u8; 32]) -> PageFound;

    /// Hands a page over.
    async fn keep_page(&self, key: &[u8; 32], copy: &PageCopy);
}

/// The stored form of a page.
#[derive(Serialize, Deserialize)]
struct StoredPage {
    position: Position,
    total_count: i64,
    has_next_page: bool,
    rows: Vec<(String, EventView)>,
}

impl PageCopy {
    /// As JSON, to be kept.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rows = self.page.rows.iter().map(|(cursor, view)| (cursor.to_string(), view.clone())).collect();
        let EventPage { has_next_page, total_count, .. } = *self.page;
        let stored = StoredPage { position: self.position, total_count, has_next_page, rows };
        serde_json::to_string(&stored).expect("views have string keys and no fallible Serialize, so JSON cannot fail")
    }

    /// What [`PageCopy::to_json`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_json(json: &str) -> Option<Self> {
        let StoredPage { position, total_count, has_next_page, rows } = serde_json::from_str(json).ok()?;
        let rows = rows.into_iter().map(|(cursor, view)| Some((Cursor::decode(&cursor).ok()?, view)));
        let rows = rows.collect::<Option<Vec<_>>>()?;
        Some(Self { position, page: Arc::new(EventPage { rows, has_next_page, total_count }) })
    }
}

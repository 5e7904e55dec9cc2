//! What can go wrong when reading, and what may be tried again.

use std::sync::Arc;

use crate::cursor::CursorError;

/// Why a read model could not answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The cursor is not one of ours, or of another order. The caller's fault.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// `RELEVANCE` without a text to be relevant to. The caller's fault.
    #[error("the order RELEVANCE needs a text to search for")]
    RelevanceWithoutText,
    /// More words than are looked for. The caller's fault.
    #[error("{found} words to search for; {max} at most", max = crate::events::search::MAX_SEARCH_WORDS)]
    TooManyWords {
        /// How many there are, without repetitions.
        found: usize,
    },
    /// A page's size is outside 1 to [`MAX_PAGE`](crate::events::list::MAX_PAGE). The caller's fault.
    #[error("a page of {found}; 1 to {max} is possible", max = crate::events::list::MAX_PAGE)]
    PageSize {
        /// What was asked for.
        found: u32,
    },
    /// The store failed: connection, I/O, time. May be tried again.
    #[error("the read models' store failed: {0}")]
    Store(#[from] sqlx::Error),
    /// The schema could not be brought to this version.
    #[error("the read models' schema could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The store's schema is not this program's.
    #[error("the read models' schema is at version {found}, this program needs {wanted}: run `tickiz migrate`")]
    Schema {
        /// What the store has; 0 where it has none.
        found: i64,
        /// What this program was built for.
        wanted: i64,
    },
    /// A row cannot be what a projection wrote. Rebuild the projection.
    #[error("a row of {table} is damaged: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong, and with which row.
        what: String,
    },
    /// Somebody asked the same at the same time, and this is what became of it.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// The file could not be locked or its folder not made.
    #[error("the read models' file cannot be used: {0}")]
    File(#[from] std::io::Error),
}

impl ReadError {
    /// Whether the store is only too busy: every connection was taken for too long.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Store(error) => matches!(error, sqlx::Error::PoolTimedOut),
            Self::Shared(shared) => shared.is_overload(),
            _ => false,
        }
    }

    /// Whether the caller's input is at fault rather than the store.
    #[must_use]
    pub const fn is_callers_fault(&self) -> bool {
        matches!(self, Self::Cursor(_) | Self::RelevanceWithoutText | Self::TooManyWords { .. } | Self::PageSize { .. })
    }
}

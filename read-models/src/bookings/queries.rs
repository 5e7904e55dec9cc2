//! What is asked about bookings.

use tickiz_domain::{
    booking::BookingStatus,
    ids::{BookingId, EventId},
};
use uuid::Uuid;

use super::tables::{status_of, view_of};
use crate::{
    BookingView, ReadError,
    projection::Projection,
    sql::{Value, versioned},
    store::ReadStore,
};

const READ_BOOKINGS_OF_EVENT: &str = "\
    SELECT booking_id, status FROM rm_bookings_v1 WHERE event_id = ? AND booking_id > ? ORDER BY booking_id LIMIT ?";

// A ticket that was never issued anew says `"revision":0,`: what has another one beside is found without reading every document. A
// booking of which no ticket was given back does not say `"revoked"` at all.
const READ_INVALID_OF_EVENT: &str = "\
    SELECT booking_id, document, position FROM rm_bookings_v1 \
    WHERE event_id = ? AND booking_id > ? AND position > ? AND (status IN ('CANCELLED', 'REFUNDED') \
    OR (status = 'CONFIRMED' AND (document LIKE '%\"revoked\":[%' \
    OR REPLACE(document, '\"revision\":0,', '') LIKE '%\"revision\":%'))) \
    ORDER BY booking_id LIMIT ?";

// A booking without scans does not say `"scans"` at all.
const READ_SCANNED_OF_EVENT: &str = "\
    SELECT booking_id, document, position FROM rm_bookings_v1 \
    WHERE event_id = ? AND booking_id > ? AND document LIKE '%\"scans\":[{%' ORDER BY booking_id LIMIT ?";

impl ReadStore {
    /// A booking.
    ///
    /// # Errors
    /// When the store fails or the row is damaged.
    pub async fn booking(&self, id: BookingId) -> Result<Option<BookingView>, ReadError> {
        loop {
            let version = self.version(Projection::Bookings);
            let view = self.inner.bookings.ask((version, id)).await.and_then(|view| view);
            if self.has_moved(Projection::Bookings, version, &view, Option::is_some).await {
                continue;
            }
            if let Ok(Some(view)) = &view {
                // Whoever sees a row of that position sees a projection that has come so far.
                self.inner.checkpoints.raise(Projection::Bookings, view.position);
            }
            return view;
        }
    }

    /// The bookings of a show in the order of their ids, after one of them, at most `limit`. For what has to be done to every one of
    /// them: wait for the position first ([`ReadStore::wait_for`]).
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn bookings_of_event(
        &self,
        id: EventId,
        after: Option<BookingId>,
        limit: u32,
    ) -> Result<Vec<(BookingId, BookingStatus)>, ReadError> {
        loop {
            let version = self.version(Projection::Bookings);
            let page = self.bookings_of_event_of(version, id, after, limit).await;
            let is_full = |page: &Vec<_>| page.len() == limit as usize;
            if !self.has_moved(Projection::Bookings, version, &page, is_full).await {
                return page;
            }
        }
    }

    /// The bookings of a show that a gate has to know of, in the order of their ids, after one of them, at most `limit`: those that
    /// have ended, and those with tickets that were issued anew or given back. With `since`, only those of which something was recorded
    /// after that position of the log.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn invalid_of_event(
        &self,
        id: EventId,
        since: i64,
        after: Option<BookingId>,
        limit: u32,
    ) -> Result<Vec<BookingView>, ReadError> {
        let binds = vec![id.0.into(), after_or_first(after), since.into(), i64::from(limit).into()];
        self.views(READ_INVALID_OF_EVENT, binds, limit).await
    }

    /// The bookings of a show of whose tickets one was scanned, in the order of their ids, after one of them, at most `limit`.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn scanned_of_event(
        &self,
        id: EventId,
        after: Option<BookingId>,
        limit: u32,
    ) -> Result<Vec<BookingView>, ReadError> {
        let binds = vec![id.0.into(), after_or_first(after), i64::from(limit).into()];
        self.views(READ_SCANNED_OF_EVENT, binds, limit).await
    }

    /// Whole bookings, at most `limit`.
    async fn views(&self, sql: &'static str, binds: Vec<Value>, limit: u32) -> Result<Vec<BookingView>, ReadError> {
        loop {
            let version = self.version(Projection::Bookings);
            let read = async {
                let sql = versioned(sql, version);
                let rows = self.inner.pools.reader().await?.rows(sql, binds.clone()).await?;
                rows.iter().map(view_of).collect()
            };
            let page: Result<Vec<BookingView>, ReadError> = read.await;
            let is_full = |page: &Vec<_>| page.len() == limit as usize;
            if !self.has_moved(Projection::Bookings, version, &page, is_full).await {
                return page;
            }
        }
    }

    async fn bookings_of_event_of(
        &self,
        version: i32,
        id: EventId,
        after: Option<BookingId>,
        limit: u32,
    ) -> Result<Vec<(BookingId, BookingStatus)>, ReadError> {
        let sql = versioned(READ_BOOKINGS_OF_EVENT, version);
        let binds = vec![id.0.into(), after_or_first(after), i64::from(limit).into()];
        let rows = self.inner.pools.reader().await?.rows(sql, binds).await?;
        let of = |row: &crate::sql::Row| {
            let id = BookingId(row.uuid(0)?);
            Ok((id, status_of(id, &row.text(1)?)?))
        };
        rows.iter().map(of).collect()
    }
}

/// Where a page begins. No id is all zeros, so that is before the first.
fn after_or_first(after: Option<BookingId>) -> Value {
    after.map_or(Uuid::nil(), |id| id.0).into()
}

//! All rows of a projection in one snapshot, for `tickiz verify`.

use tickiz_domain::ids::{BookingId, EventId, SeatId};
use uuid::Uuid;

use crate::{
    BookingView, Position, ReadError, SeatStatus, SetAside,
    bookings::tables::{values, view_of},
    events::tables::{SeatRecord, ShowRecord, record_of, sales_values, show_values},
    projection::{Projection, SHARD},
    reports::{
        sale::SaleRecord,
        tables::{self as sales, COLUMNS},
    },
    sql::{Row, Session, Value, versioned},
    store::{READ_CHECKPOINT, ReadStore, read_set_aside},
    versions::active_version,
};

/// How many rows are read at once.
const PAGE: i64 = 500;

/// The record, then every column as it is written.
const SCAN_SHOWS: &str = "\
    SELECT e.event_id, e.document, e.published_at, e.position, a.seat_version, a.taken, a.counters, a.position,
        e.event_id, e.status, e.category, e.city_key, e.starts_at, e.over_at, e.published_at, e.latitude, e.unit_x, e.unit_y,
        e.unit_z, e.currency, e.price_min, e.title_text, e.search_text, e.document, e.position,
        a.event_id, a.seat_version, a.taken, a.types_left, a.price_key, a.counters, a.position
    FROM rm_events_v1 e JOIN rm_availability_v1 a ON a.event_id = e.event_id
    WHERE e.event_id > ? ORDER BY e.event_id LIMIT ?";
const SCAN_SEATS: &str = "\
    SELECT event_id, seat_index, seat_id, status FROM rm_seats_v1
    WHERE event_id > ? OR (event_id = ? AND seat_index > ?) ORDER BY event_id, seat_index LIMIT ?";
const SCAN_BOOKINGS: &str = "\
    SELECT booking_id, document, position, booking_id, event_id, status, document, position
    FROM rm_bookings_v1 WHERE booking_id > ? ORDER BY booking_id LIMIT ?";

const SCAN_SALES: &str =
    "SELECT DISTINCT booking_id FROM rm_reports_v1 WHERE booking_id > ? ORDER BY booking_id LIMIT ?";
/// The record, then every column as it is written.
const SCAN_SALES_LINES: &str = "\
    SELECT booking_id, document, position, booking_id, line, event_id, organizer_id, ticket_type_id, placed_at, status, sold, \
        tickets, currency, received_minor, refunded_minor, document, position
    FROM rm_reports_v1 WHERE booking_id > ? AND booking_id <= ? ORDER BY booking_id, line";

/// The rows of one booking in the reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ScannedSale {
    /// The booking.
    pub id: BookingId,
    /// What its first row says; `None` where that is missing.
    pub record: Option<SaleRecord>,
    /// False: its rows are not those that the first one's document gives.
    pub columns_agree: bool,
}

/// A row, and whether its columns are those that its document gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned<T> {
    /// What the row says.
    pub record: T,
    /// False: lists would filter or sort it by something else than it is.
    pub columns_agree: bool,
}

/// Reads all rows of a projection as they are at one checkpoint.
pub struct Scan {
    session: Session,
    projection: Projection,
    version: i32,
}

impl ReadStore {
    /// Opens a snapshot of a projection's active version. It holds a connection until it is dropped; in memory the only one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn scan(&self, projection: Projection) -> Result<Scan, ReadError> {
        let mut session = self.inner.pools.snapshot().await?;
        let version = active_version(&mut session, projection).await?;
        Ok(Scan { session, projection, version })
    }
}

impl Scan {
    /// Up to where the rows are complete.
    ///
    /// # Errors
    /// When the store fails or has no such row.
    pub async fn checkpoint(&mut self) -> Result<Position, ReadError> {
        let binds = vec![self.projection.name().into(), i64::from(self.version).into(), SHARD.into()];
        let rows = self.session.rows(READ_CHECKPOINT, binds).await?;
        let what = || format!("it has no row of {} version {}", self.projection, self.version);
        let row = rows.first().ok_or_else(|| ReadError::Damaged { table: "projection_checkpoints", what: what() })?;
        Ok(row.int(0)?)
    }

    /// What stands still.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set_aside(&mut self) -> Result<Vec<SetAside>, ReadError> {
        read_set_aside(&mut self.session, self.projection, self.version).await
    }

    /// The next shows behind an id; empty at the end.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn shows(&mut self, after: Option<EventId>) -> Result<Vec<Scanned<ShowRecord>>, ReadError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let rows = self.session.rows(versioned(SCAN_SHOWS, self.version), vec![after.into(), PAGE.into()]).await?;
        let of = |row: &Row| {
            let record = record_of(row)?;
            let columns = [show_values(&record).as_slice(), sales_values(&record).as_slice()].concat();
            Ok(Scanned { columns_agree: row.holds(8, &columns)?, record })
        };
        rows.iter().map(of).collect()
    }

    /// The next seats that are not free behind one; empty at the end.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn seats(&mut self, after: Option<(EventId, u32)>) -> Result<Vec<SeatRecord>, ReadError> {
        let (event, index) = after.map_or((Uuid::nil(), 0), |(id, index)| (id.0, index));
        let binds: Vec<Value> = vec![event.into(), event.into(), i64::from(index).into(), PAGE.into()];
        let rows = self.session.rows(versioned(SCAN_SEATS, self.version), binds).await?;
        let of = |row: &Row| {
            let (event_id, index, seat_id, status) = (EventId(row.uuid(0)?), row.int(1)?, row.text(2)?, row.text(3)?);
            let damaged =
                || ReadError::Damaged { table: "rm_seats", what: format!("seat {index} of {event_id} is {status:?}") };
            let known = status.as_bytes().first().and_then(|byte| SeatStatus::from_byte(*byte));
            Ok(SeatRecord {
                event_id,
                index: u32::try_from(index).map_err(|_| damaged())?,
                seat_id: SeatId(seat_id),
                status: known.ok_or_else(damaged)?,
            })
        };
        rows.iter().map(of).collect()
    }

    /// The next bookings behind an id; empty at the end.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn bookings(&mut self, after: Option<BookingId>) -> Result<Vec<Scanned<BookingView>>, ReadError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let rows = self.session.rows(versioned(SCAN_BOOKINGS, self.version), vec![after.into(), PAGE.into()]).await?;
        let of = |row: &Row| {
            let record = view_of(row)?;
            Ok(Scanned { columns_agree: row.holds(3, &values(&record))?, record })
        };
        rows.iter().map(of).collect()
    }

    /// What the next bookings behind an id come to; empty at the end.
    ///
    /// # Errors
    /// When the store fails or a document is damaged.
    pub async fn sales(&mut self, after: Option<BookingId>) -> Result<Vec<ScannedSale>, ReadError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let ids = self.session.rows(versioned(SCAN_SALES, self.version), vec![after.into(), PAGE.into()]).await?;
        let Some(last) = ids.last().map(|row| row.uuid(0)).transpose()? else { return Ok(Vec::new()) };
        let lines =
            self.session.rows(versioned(SCAN_SALES_LINES, self.version), vec![after.into(), last.into()]).await?;
        let mut scanned = Vec::new();
        let mut lines = lines.as_slice();
        while let Some(first) = lines.first() {
            let id = first.uuid(0)?;
            let mut count = 0;
            while lines.get(count).map(|row| row.uuid(0)).transpose()? == Some(id) {
                count += 1;
            }
            let (own, rest) = lines.split_at(count);
            lines = rest;
            scanned.push(scanned_sale(BookingId(id), own)?);
        }
        Ok(scanned)
    }
}

fn scanned_sale(id: BookingId, rows: &[Row]) -> Result<ScannedSale, ReadError> {
    let record = match rows.first() {
        Some(first) if first.int(4)? == 0 => Some(sales::record_of(first, 0)?),
        _ => None,
    };
    let wanted: Vec<[Value; COLUMNS]> = record.as_ref().map(sales::values).unwrap_or_default();
    let mut columns_agree = wanted.len() == rows.len();
    for (row, wanted) in rows.iter().zip(&wanted) {
        columns_agree &= row.holds(3, wanted)?;
    }
    Ok(ScannedSale { id, record, columns_agree })
}

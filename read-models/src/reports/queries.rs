//! Sums of what was sold.

use chrono::{DateTime, Utc};
use tickiz_domain::{
    ids::{EventId, OrganizerId, TicketTypeId},
    money::Currency,
};

use crate::{
    ReadError,
    events::search::city_key,
    projection::Projection,
    sql::{Value, versioned},
    store::ReadStore,
};

/// Of which bookings.
#[derive(Clone, Debug, Default)]
pub struct SalesQuery {
    /// Of shows of that organiser.
    pub organizer_id: Option<OrganizerId>,
    /// Of that show.
    pub event_id: Option<EventId>,
    /// Of shows in that city, whole and without regard to case; as the projection `events` has it by now.
    pub city: Option<String>,
    /// Placed then or later.
    pub from: Option<DateTime<Utc>>,
    /// Placed before then.
    pub to: Option<DateTime<Utc>>,
    /// Whether the sums are apart by the quarter of an hour in which bookings were placed. No time zone's day begins within one, so
    /// days can be put together of them.
    pub by_time: bool,
}

/// The sums of one ticket type, of one quarter of an hour where that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesGroup {
    /// The show.
    pub event_id: EventId,
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Where the quarter of an hour begins; 1970 where that was not wanted.
    pub quarter: DateTime<Utc>,
    /// The sums.
    pub sums: SalesSums,
}

/// Tickets and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalesSums {
    /// Tickets of all bookings.
    pub placed: i64,
    /// Of bookings that are held.
    pub held: i64,
    /// Of bookings that were sold, whatever became of them.
    pub sold: i64,
    /// Of bookings that are sold and have their tickets.
    pub valid: i64,
    /// Of bookings whose hold ran out.
    pub expired: i64,
    /// Of bookings that were given up before they were sold.
    pub abandoned: i64,
    /// Of bookings that were sold and given back.
    pub returned: i64,
    /// Money that came, in minor units.
    pub received_minor: i64,
    /// Money that went back, in minor units.
    pub refunded_minor: i64,
}

impl SalesSums {
    /// Adds others of the same currency.
    pub const fn add(&mut self, other: &Self) {
        self.placed += other.placed;
        self.held += other.held;
        self.sold += other.sold;
        self.valid += other.valid;
        self.expired += other.expired;
        self.abandoned += other.abandoned;
        self.returned += other.returned;
        self.received_minor += other.received_minor;
        self.refunded_minor += other.refunded_minor;
    }
}

/// A quarter of an hour in microseconds. Every offset of every time zone since 1972 is a multiple of it.
const QUARTER_MICROS: i64 = 15 * 60 * 1_000_000;

/// Sums are cast, since MySQL's are decimal numbers; SQLite takes the name for a numeric one.
const SUMS: &str = "\
    CAST(SUM(tickets) AS SIGNED), \
    CAST(SUM(CASE WHEN status = 'HELD' THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(CASE WHEN sold = 1 THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(CASE WHEN status = 'CONFIRMED' THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(CASE WHEN status = 'EXPIRED' THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(CASE WHEN status = 'CANCELLED' AND sold = 0 THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(CASE WHEN status = 'CANCELLED' AND sold = 1 THEN tickets ELSE 0 END) AS SIGNED), \
    CAST(SUM(received_minor) AS SIGNED), CAST(SUM(refunded_minor) AS SIGNED)";

/// The city is the show's, which may move to another one, so it is looked up and not kept with what was sold.
const IN_CITY: &str = "event_id IN (SELECT event_id FROM rm_events_v1 WHERE city_key = ?)";

impl ReadStore {
    /// Sums by show, ticket type and currency, in the order of their ids, at most `limit`.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn sales(&self, query: &SalesQuery, limit: u32) -> Result<Vec<SalesGroup>, ReadError> {
        loop {
            let (version, of_shows) = (self.version(Projection::Reports), self.version(Projection::Events));
            let groups = self.sales_of(version, of_shows, query, limit).await;
            // Nobody can know how many there ought to be; only another version tells that these may be too few.
            let has_moved = self.has_moved(Projection::Reports, version, &groups, |_| false).await
                || query.city.is_some() && self.has_moved(Projection::Events, of_shows, &groups, |_| false).await;
            if !has_moved {
                return groups;
            }
        }
    }

    async fn sales_of(
        &self,
        version: i32,
        of_shows: i32,
        query: &SalesQuery,
        limit: u32,
    ) -> Result<Vec<SalesGroup>, ReadError> {
        let (mut wheres, mut binds) = (String::new(), Vec::<Value>::new());
        let mut only = |condition: &str, value: Option<Value>| {
            if let Some(value) = value {
                wheres += if wheres.is_empty() { " WHERE " } else { " AND " };
                wheres += condition;
                binds.push(value);
            }
        };
        only("organizer_id = ?", query.organizer_id.map(|id| id.0.into()));
        only("event_id = ?", query.event_id.map(|id| id.0.into()));
        let in_city = versioned(IN_CITY, of_shows);
        only(&in_city, query.city.as_deref().map(|city| city_key(city).into()));
        only("placed_at >= ?", query.from.map(|from| from.timestamp_micros().into()));
        only("placed_at < ?", query.to.map(|to| to.timestamp_micros().into()));
        let quarter = if query.by_time { format!("placed_at - placed_at % {QUARTER_MICROS}") } else { "0".to_owned() };
        binds.push(i64::from(limit).into());
        let table = versioned("rm_reports_v1", version);
        let sql = format!(
            "SELECT event_id, ticket_type_id, currency, part_of, {SUMS} FROM (\
                SELECT event_id, ticket_type_id, currency, {quarter} AS part_of, status, sold, tickets, received_minor, \
                refunded_minor FROM {table}{wheres}) AS parts \
            GROUP BY event_id, ticket_type_id, currency, part_of \
            ORDER BY event_id, ticket_type_id, currency, part_of LIMIT ?"
        );
        let rows = self.inner.pools.reader().await?.rows(sql, binds).await?;
        let of = |row: &crate::sql::Row| {
            let damaged = |what: String| ReadError::Damaged { table: "rm_reports", what };
            let currency = row.text(2)?;
            let quarter = row.int(3)?;
            Ok(SalesGroup {
                event_id: EventId(row.uuid(0)?),
                ticket_type_id: TicketTypeId(row.uuid(1)?),
                currency: Currency::parse(&currency).map_err(|error| damaged(error.to_string()))?,
                quarter: DateTime::from_timestamp_micros(quarter).ok_or_else(|| damaged(format!("{quarter}")))?,
                sums: SalesSums {
                    placed: row.int(4)?,
                    held: row.int(5)?,
                    sold: row.int(6)?,
                    valid: row.int(7)?,
                    expired: row.int(8)?,
                    abandoned: row.int(9)?,
                    returned: row.int(10)?,
                    received_minor: row.int(11)?,
                    refunded_minor: row.int(12)?,
                },
            })
        };
        rows.iter().map(of).collect()
    }
}

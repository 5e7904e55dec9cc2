//! The tables of the projection `events`: what the projector loads and writes.

use chrono::{DateTime, Utc};
use tickiz_domain::{
    event::{EventCategory, EventStatus, Show},
    ids::{EventId, SeatId},
};

use super::{
    globe::unit_vector,
    price::PriceKey,
    sales::{Counters, Sales},
    search,
};
use crate::{
    Position, ReadError, SeatStatus,
    sql::{Keys, Row, Upsert, Value, versioned},
    store::WriteTx,
};

/// Everything that the projection keeps of a show but its seats.
#[derive(Clone, Debug, PartialEq)]
pub struct ShowRecord {
    /// Its id.
    pub id: EventId,
    /// As folded, [`Show::blocked`] left out: blocked seats are rows of the seats' table, and a list of thousands in every page of
    /// shows would help nobody.
    pub show: Show,
    /// The position of its publication; 0 before.
    pub published_at: Position,
    /// The position of its own last domain event.
    pub position: Position,
    /// What of it is taken.
    pub sales: Sales,
    /// The position of the last domain event, its own or a booking's, that is counted in `sales`.
    pub sales_position: Position,
}

/// A seat and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatRecord {
    /// The show.
    pub event_id: EventId,
    /// Its place in plan order.
    pub index: u32,
    /// Its id in the plan.
    pub seat_id: SeatId,
    /// What it is.
    pub status: SeatStatus,
}

const LOAD_SHOWS: &str = "\
    SELECT e.event_id, e.document, e.published_at, e.position, a.seat_version, a.taken, a.counters, a.position
    FROM rm_events_v1 e JOIN rm_availability_v1 a ON a.event_id = e.event_id
    WHERE e.event_id IN ({keys})";

const WRITE_SHOWS: Upsert = Upsert {
    insert: "\
        INSERT INTO rm_events_v1 (event_id, status, category, city_key, starts_at, over_at, published_at, latitude, unit_x, \
        unit_y, unit_z, currency, price_min, title_text, search_text, document, position) VALUES",
    columns: 17,
    sqlite: "\
        ON CONFLICT (event_id) DO UPDATE SET status = excluded.status, category = excluded.category, \
        city_key = excluded.city_key, starts_at = excluded.starts_at, over_at = excluded.over_at, \
        published_at = excluded.published_at, latitude = excluded.latitude, unit_x = excluded.unit_x, \
        unit_y = excluded.unit_y, unit_z = excluded.unit_z, currency = excluded.currency, price_min = excluded.price_min, \
        title_text = excluded.title_text, search_text = excluded.search_text, document = excluded.document, \
        position = excluded.position",
    mysql: "\
        ON DUPLICATE KEY UPDATE status = VALUES(status), category = VALUES(category), city_key = VALUES(city_key), \
        starts_at = VALUES(starts_at), over_at = VALUES(over_at), published_at = VALUES(published_at), \
        latitude = VALUES(latitude), unit_x = VALUES(unit_x), unit_y = VALUES(unit_y), unit_z = VALUES(unit_z), \
        currency = VALUES(currency), price_min = VALUES(price_min), title_text = VALUES(title_text), \
        search_text = VALUES(search_text), document = VALUES(document), position = VALUES(position)",
};

const WRITE_SALES: Upsert = Upsert {
    insert: "\
        INSERT INTO rm_availability_v1 (event_id, seat_version, taken, types_left, price_key, counters, position) VALUES",
    columns: 7,
    sqlite: "\
        ON CONFLICT (event_id) DO UPDATE SET seat_version = excluded.seat_version, taken = excluded.taken, \
        types_left = excluded.types_left, price_key = excluded.price_key, counters = excluded.counters, \
        position = excluded.position",
    mysql: "\
        ON DUPLICATE KEY UPDATE seat_version = VALUES(seat_version), taken = VALUES(taken), types_left = VALUES(types_left), \
        price_key = VALUES(price_key), counters = VALUES(counters), position = VALUES(position)",
};

const WRITE_SEATS: Upsert = Upsert {
    insert: "INSERT INTO rm_seats_v1 (event_id, seat_index, seat_id, status) VALUES",
    columns: 4,
    sqlite: "ON CONFLICT (event_id, seat_index) DO UPDATE SET status = excluded.status",
    mysql: "ON DUPLICATE KEY UPDATE status = VALUES(status)",
};

const FREE_SEATS: &str = "DELETE FROM rm_seats_v1 WHERE (event_id, seat_index) IN {keys}";

const WRITE_PLANS: Upsert = Upsert {
    insert: "INSERT INTO rm_seat_plans (hash, packed) VALUES",
    columns: 2,
    sqlite: "ON CONFLICT (hash) DO NOTHING",
    // Named by its content: what is there is the same.
    mysql: "ON DUPLICATE KEY UPDATE hash = VALUES(hash)",
};

/// The stored name of a status, which is the GraphQL name.
pub(crate) const fn status_name(status: EventStatus) -> &'static str {
    match status {
        EventStatus::Draft => "DRAFT",
        EventStatus::Published => "PUBLISHED",
        EventStatus::Cancelled => "CANCELLED",
        EventStatus::Completed => "COMPLETED",
    }
}

/// The stored name of a category, which is the GraphQL name.
pub(crate) const fn category_name(category: EventCategory) -> &'static str {
    match category {
        EventCategory::Concert => "CONCERT",
        EventCategory::Sports => "SPORTS",
        EventCategory::Conference => "CONFERENCE",
        EventCategory::Theatre => "THEATRE",
        EventCategory::Festival => "FESTIVAL",
        EventCategory::Exhibition => "EXHIBITION",
        EventCategory::Workshop => "WORKSHOP",
        EventCategory::Other => "OTHER",
    }
}

/// A show out of its document.
pub(crate) fn show_of(id: EventId, document: &str) -> Result<Show, ReadError> {
    serde_json::from_str(document)
        .map_err(|error| ReadError::Damaged { table: "rm_events", what: format!("the document of {id}: {error}") })
}

/// Counters out of their document.
pub(crate) fn sales_of(id: EventId, seat_version: i64, taken: i64, counters: &str) -> Result<Sales, ReadError> {
    let counters: Counters = serde_json::from_str(counters).map_err(|error| ReadError::Damaged {
        table: "rm_availability",
        what: format!("the counters of {id}: {error}"),
    })?;
    Ok(Sales { seat_version, taken, counters })
}

pub(crate) fn record_of(row: &Row) -> Result<ShowRecord, ReadError> {
    let id = EventId(row.uuid(0)?);
    Ok(ShowRecord {
        id,
        show: show_of(id, &row.text(1)?)?,
        published_at: row.int(2)?,
        position: row.int(3)?,
        sales: sales_of(id, row.int(4)?, row.int(5)?, &row.text(6)?)?,
        sales_position: row.int(7)?,
    })
}

/// Until when a published show is listed: until it is over, and while its new date is open, for ever.
pub(crate) fn listed_until(show: &Show) -> DateTime<Utc> {
    /// The year 9999, the last that every store can hold.
    const FOR_EVER_SECONDS: i64 = 253_370_764_800;
    if show.postponed {
        return DateTime::from_timestamp(FOR_EVER_SECONDS, 0).expect("the year 9999 is within what an instant can be");
    }
    show.over_at()
}

pub(crate) fn show_values(record: &ShowRecord) -> [Value; 17] {
    let show = &record.show;
    let place = show.venue.latitude.zip(show.venue.longitude);
    let unit = place.map(|(latitude, longitude)| unit_vector(latitude, longitude));
    let price_min = show.ticket_types.iter().map(|t| t.price.minor()).min();
    [
        record.id.0.into(),
        status_name(show.status).into(),
        category_name(show.category).into(),
        search::city_key(&show.venue.city).into(),
        show.starts_at.instant.into(),
        listed_until(show).into(),
        record.published_at.into(),
        Value::OptFloat(place.map(|(latitude, _)| latitude)),
        Value::OptFloat(unit.map(|[x, _, _]| x)),
        Value::OptFloat(unit.map(|[_, y, _]| y)),
        Value::OptFloat(unit.map(|[_, _, z]| z)),
        show.currency.code().into(),
        Value::OptInt(price_min),
        search::title_text(show).into(),
        search::search_text(show).into(),
        document(show).into(),
        record.position.into(),
    ]
}

pub(crate) fn sales_values(record: &ShowRecord) -> [Value; 7] {
    let ShowRecord { show, sales, .. } = record;
    let types_left = show.ticket_types.iter().filter(|t| sales.available(show, t) > 0).count();
    [
        record.id.0.into(),
        sales.seat_version.into(),
        sales.taken.into(),
        i64::try_from(types_left).expect("a show's types are bounded far below i64").into(),
        PriceKey::of(sales.price_from(show)).to_string().into(),
        document(&sales.counters).into(),
        record.sales_position.into(),
    ]
}

fn document(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a folded state has string keys and no fallible Serialize, so JSON cannot fail")
}

impl WriteTx {
    /// Loads shows; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub async fn load_shows(&mut self, ids: &[EventId]) -> Result<Vec<ShowRecord>, ReadError> {
        let keys = ids.iter().map(|id| id.0.into()).collect();
        let sql = versioned(LOAD_SHOWS, self.version);
        let rows = self.session.rows_by_keys(&sql, &Keys::Single, &[], keys).await?;
        rows.iter().map(record_of).collect()
    }

    /// Writes shows as they are now, without what is left of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_shows(&mut self, records: impl Iterator<Item = &ShowRecord>) -> Result<(), ReadError> {
        let values = records.flat_map(show_values).collect();
        Ok(self.session.upsert(&WRITE_SHOWS, self.version, values).await?)
    }

    /// Writes what is left of shows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_sales(&mut self, records: impl Iterator<Item = &ShowRecord>) -> Result<(), ReadError> {
        let values = records.flat_map(sales_values).collect();
        Ok(self.session.upsert(&WRITE_SALES, self.version, values).await?)
    }

    /// Writes seats as they are now: those that are free have no row.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_seats(&mut self, seats: impl Iterator<Item = &SeatRecord>) -> Result<(), ReadError> {
        let (mut taken, mut free) = (Vec::new(), Vec::new());
        for seat in seats {
            let (event, index) = (seat.event_id.0.into(), i64::from(seat.index).into());
            if seat.status == SeatStatus::Free {
                free.extend([event, index]);
            } else {
                taken.extend([event, index, seat.seat_id.0.clone().into(), String::from(seat.status.as_char()).into()]);
            }
        }
        self.session.upsert(&WRITE_SEATS, self.version, taken).await?;
        Ok(self.session.execute_by_keys(&versioned(FREE_SEATS, self.version), &Keys::Pair, free).await?)
    }

    /// Keeps the packed bytes of a seating plan, to be served from here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn write_plan(&mut self, hash: &str, packed: &[u8]) -> Result<(), ReadError> {
        let values = vec![hash.to_owned().into(), Value::Bytes(packed.to_vec())];
        Ok(self.session.upsert(&WRITE_PLANS, self.version, values).await?)
    }
}

//! The statement behind a page of the list.
//!
//! One text per shape: which filters are set, how many words, which order, whether a cursor is there; values are always bound. The
//! inner query finds and sorts ids and sort keys alone, so that no sorter carries descriptions around; the outer one fetches the
//! page's documents. A page goes on behind a sort key and an id (see [`cursor`](crate::cursor)); what that means is written out
//! (`k > ? OR (k = ? AND id > ?)`), since MySQL does not use an index for a comparison of rows. Where a falling order has an index,
//! ties fall too, so that the index can be read backwards.

use tickiz_domain::ids::EventId;

use super::{
    globe::Circle,
    list::{EventFilter, EventOrder, EventPage, EventQuery, MAX_PAGE},
    queries::view_of,
    search::{BEGINS_TITLE_WORD, BEGINS_WORD, MAX_SEARCH_WORDS, WITHIN_TITLE, city_key, search_words},
    tables::category_name,
};
use crate::{
    ReadError,
    cursor::{Cursor, Key},
    projection::{Projection, SHARD},
    sql::{Pools, Row, Value, versioned},
    store::ReadStore,
};

const FROM_EVENTS: &str = "rm_events_v1 e";
const FROM_BOTH: &str = "rm_events_v1 e JOIN rm_availability_v1 a ON a.event_id = e.event_id";
/// Where the sort key is what is left, its index is read in order until the page is full. Left to themselves, planners join all
/// shows and sort them. The joins that keep their order go by different names.
const FROM_SALES_SQLITE: &str = "rm_availability_v1 a CROSS JOIN rm_events_v1 e ON e.event_id = a.event_id";
const FROM_SALES_MYSQL: &str = "rm_availability_v1 a STRAIGHT_JOIN rm_events_v1 e ON e.event_id = a.event_id";

/// A part of a statement and what it binds, in order.
#[derive(Default)]
struct Clause {
    text: String,
    binds: Vec<Value>,
}

impl Clause {
    fn and(&mut self, condition: &str, binds: impl IntoIterator<Item = Value>) {
        if !self.text.is_empty() {
            self.text.push_str(" AND ");
        }
        self.text.push_str(condition);
        self.binds.extend(binds);
    }
}

/// Which shows the filter lets through.
fn filter_clause(query: &EventQuery, words: &[String]) -> Clause {
    let EventFilter { text: _, category, city, near, starts_after, starts_before, price_max, available_only } =
        &query.filter;
    let mut clause = Clause::default();
    clause.and("e.status = 'PUBLISHED' AND e.over_at > ?", [query.now.into()]);
    if let Some(category) = category {
        clause.and("e.category = ?", [category_name(*category).into()]);
    }
    if let Some(city) = city {
        clause.and("e.city_key = ?", [city_key(city).into()]);
    }
    if let Some(after) = starts_after {
        clause.and("e.starts_at > ?", [(*after).into()]);
    }
    if let Some(before) = starts_before {
        clause.and("e.starts_at < ?", [(*before).into()]);
    }
    if let Some(price) = price_max {
        clause.and("e.currency = ? AND e.price_min <= ?", [price.currency().code().into(), price.minor().into()]);
    }
    if *available_only {
        clause.and("a.types_left > 0", []);
    }
    if let Some(near) = near {
        let Circle { centre: [x, y, z], chord_squared, latitudes: (south, north) } = near.into();
        clause.and(
            "e.latitude BETWEEN ? AND ? AND (e.unit_x - ?) * (e.unit_x - ?) + (e.unit_y - ?) * (e.unit_y - ?) \
             + (e.unit_z - ?) * (e.unit_z - ?) <= ?",
            [south, north, x, x, y, y, z, z, chord_squared].map(Value::Float),
        );
    }
    for word in words {
        clause.and("INSTR(e.search_text, ?) > 0", [word.clone().into()]);
    }
    clause
}

/// How well a show matches the words.
fn score(words: &[String]) -> Clause {
    let one = format!(
        "CASE WHEN INSTR(e.title_text, ?) > 0 THEN {BEGINS_TITLE_WORD} WHEN INSTR(e.title_text, ?) > 0 THEN {WITHIN_TITLE} \
         WHEN INSTR(e.search_text, ?) > 0 THEN {BEGINS_WORD} ELSE 0 END"
    );
    let begins = |word: &String| Value::from(format!(" {word}"));
    Clause {
        text: vec![one; words.len()].join(" + "),
        binds: words.iter().flat_map(|word| [begins(word), word.clone().into(), begins(word)]).collect(),
    }
}

/// The sort keys of an order: the two columns, and the ORDER BY over them and the id.
struct Sorting {
    first: Clause,
    second: &'static str,
    by: &'static str,
}

fn sorting(order: EventOrder, words: &[String]) -> Sorting {
    let column = |text: &str| Clause { text: text.to_owned(), binds: Vec::new() };
    let (first, second, by) = match order {
        EventOrder::StartsAt => (column("e.starts_at"), "0", "k1, event_id"),
        EventOrder::Popularity => (column("a.taken"), "0", "k1 DESC, event_id DESC"),
        EventOrder::Price => (column("a.price_key"), "0", "k1, event_id"),
        EventOrder::Newest => (column("e.published_at"), "0", "k1 DESC, event_id DESC"),
        EventOrder::Relevance => (score(words), "e.starts_at", "k1 DESC, k2, event_id"),
    };
    Sorting { first, second, by }
}

/// Goes on behind a cursor.
fn behind(cursor: &Cursor, words: &[String], clause: &mut Clause) {
    let id = || Value::from(cursor.id.0);
    match cursor.key {
        Key::StartsAt(at) => {
            clause.and("e.starts_at >= ? AND (e.starts_at > ? OR e.event_id > ?)", [at.into(), at.into(), id()])
        }
        Key::Popularity(taken) => {
            clause.and("a.taken <= ? AND (a.taken < ? OR a.event_id < ?)", [taken.into(), taken.into(), id()]);
        }
        Key::Price(price) => {
            let price = Value::from(price.to_string());
            clause.and("a.price_key >= ? AND (a.price_key > ? OR a.event_id > ?)", [price.clone(), price, id()]);
        }
        Key::Newest(position) => clause.and(
            "e.published_at <= ? AND (e.published_at < ? OR e.event_id < ?)",
            [position.into(), position.into(), id()],
        ),
        Key::Relevance(points, at) => {
            let Clause { text, binds } = score(words);
            let condition =
                format!("({text} < ? OR ({text} = ? AND (e.starts_at > ? OR (e.starts_at = ? AND e.event_id > ?))))");
            let twice = [binds.clone(), vec![points.into()], binds, vec![points.into(), at.into(), at.into(), id()]];
            clause.and(&condition, twice.into_iter().flatten());
        }
    }
}

/// The cursor of a row whose first columns are the id and the two sort keys.
fn cursor_of(order: EventOrder, row: &Row) -> Result<Cursor, ReadError> {
    let key =
        match order {
            EventOrder::StartsAt => Key::StartsAt(row.time(1)?),
            EventOrder::Popularity => Key::Popularity(row.int(1)?),
            EventOrder::Price => Key::Price(row.text(1)?.parse().map_err(|_| ReadError::Damaged {
                table: "rm_availability",
                what: "a price_key that is none".into(),
            })?),
            EventOrder::Newest => Key::Newest(row.int(1)?),
            EventOrder::Relevance => Key::Relevance(row.int(1)?, row.time(2)?),
        };
    Ok(Cursor { key, id: EventId(row.uuid(0)?) })
}

/// The words to look for; refuses what cannot be answered.
fn checked_words(query: &EventQuery) -> Result<Vec<String>, ReadError> {
    if !(1..=MAX_PAGE).contains(&query.first) {
        return Err(ReadError::PageSize { found: query.first });
    }
    if let Some(cursor) = query.after.filter(|cursor| cursor.order() != query.order) {
        return Err(crate::CursorError::OtherOrder { found: cursor.order(), wanted: query.order }.into());
    }
    let words = query.filter.text.as_deref().map(search_words).unwrap_or_default();
    if words.len() > MAX_SEARCH_WORDS {
        return Err(ReadError::TooManyWords { found: words.len() });
    }
    if words.is_empty() && query.order == EventOrder::Relevance {
        return Err(ReadError::RelevanceWithoutText);
    }
    Ok(words)
}

impl ReadStore {
    /// A page of the list of shows: those that are published, postponed ones too, and not over at [`EventQuery::now`].
    ///
    /// # Errors
    /// When the question is at fault ([`ReadError::is_callers_fault`]) or the store fails.
    pub async fn list_events(&self, query: &EventQuery) -> Result<EventPage, ReadError> {
        let words = checked_words(query)?;
        loop {
            let version = self.version(Projection::Events);
            let page = self.list_of(version, query, &words).await;
            let has_some = |page: &EventPage| !page.rows.is_empty();
            if !self.has_moved(Projection::Events, version, &page, has_some).await {
                return page;
            }
        }
    }

    async fn list_of(&self, version: i32, query: &EventQuery, words: &[String]) -> Result<EventPage, ReadError> {
        let filter = filter_clause(query, words);
        let by_sales = matches!(query.order, EventOrder::Popularity | EventOrder::Price);

        let count_from = if query.filter.available_only { FROM_BOTH } else { FROM_EVENTS };
        let count = format!("SELECT COUNT(*) FROM {} WHERE {}", versioned(count_from, version), filter.text);
        let count_binds = filter.binds.clone();

        let mut place = filter;
        if let Some(cursor) = &query.after {
            behind(cursor, words, &mut place);
        }
        let Sorting { first, second, by } = sorting(query.order, words);
        let from = match (&self.inner.pools, by_sales, query.filter.available_only) {
            (Pools::Sqlite { .. }, true, _) => FROM_SALES_SQLITE,
            (Pools::MySql { .. }, true, _) => FROM_SALES_MYSQL,
            (_, false, true) => FROM_BOTH,
            (_, false, false) => FROM_EVENTS,
        };
        let from = versioned(from, version);
        let by_id = if by_sales { "a.event_id" } else { "e.event_id" };
        let page = format!(
            "SELECT p.event_id, p.k1, p.k2, e.event_id, e.document, a.seat_version, a.taken, a.counters, \
             (SELECT c.position FROM projection_checkpoints c WHERE c.name = 'events' AND c.version = ? AND c.shard = ?) \
             FROM (SELECT {by_id} AS event_id, {k1} AS k1, {second} AS k2 FROM {from} WHERE {place} ORDER BY {by} LIMIT ?) p \
             JOIN {events} e ON e.event_id = p.event_id JOIN {sales} a ON a.event_id = p.event_id ORDER BY {outer}",
            k1 = first.text,
            place = place.text,
            events = versioned("rm_events_v1", version),
            sales = versioned("rm_availability_v1", version),
            outer = by.replace("event_id", "p.event_id"),
        );
        let mut binds = vec![Value::Int(version.into()), Value::Int(SHARD)];
        binds.extend(first.binds);
        binds.extend(place.binds);
        // One more than asked for tells whether more follow.
        binds.push(i64::from(query.first + 1).into());

        let mut session = self.inner.pools.reader().await?;
        let total_count = session.rows(count, count_binds).await?.first().map_or(Ok(0), |row| row.int(0))?;
        let found = session.rows(page, binds).await?;
        drop(session);
        let shown = found.iter().take(query.first as usize);
        let rows =
            shown.map(|row| Ok((cursor_of(query.order, row)?, view_of(row, 3)?))).collect::<Result<_, ReadError>>()?;
        Ok(EventPage { rows, has_next_page: found.len() > query.first as usize, total_count })
    }
}

//! `salesReport`: what was sold, by show, ticket type, day and city.
//!
//! The read models give sums by show, type, currency and quarter of an hour; here they are put together as asked. A day is that of
//! the show's own time zone, and a booking counts on the day on which it was placed, whatever becomes of it and whenever: so
//! the way from placed over sold to given back is that of the same bookings. Amounts of different currencies are never added.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use async_graphql::{Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime as Instant, NaiveDate, Utc};
use tickiz_contract::{Caller, Refusal, Refusals};
use tickiz_domain::{
    ids::{EventId, TicketTypeId},
    money::Currency,
    zoned::{local_at, parse_zone},
};
use tickiz_read_models::{
    EventView,
    events::search::city_key,
    reports::queries::{SalesGroup, SalesQuery, SalesSums},
};

use super::{
    event::{Event, Money, TicketType},
    scalars::{DateTime, Position, int},
};
use crate::{
    access::{Action, allow},
    app::{Answered, App, Failure, Fault, invalid},
    limits::{MAX_FILTER_CHARS, MAX_REPORT_GROUPS, MAX_REPORT_ROWS},
};

/// The limits of reports. The default is what [`crate::limits`] says; tests take lower ones.
#[derive(Clone, Copy, Debug)]
pub struct ReportLimits {
    /// [`MAX_REPORT_GROUPS`].
    pub max_groups: usize,
    /// [`MAX_REPORT_ROWS`].
    pub max_rows: usize,
}

impl Default for ReportLimits {
    fn default() -> Self {
        Self { max_groups: MAX_REPORT_GROUPS, max_rows: MAX_REPORT_ROWS }
    }
}

/// By what the rows of a report are apart.
#[derive(Enum, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SalesReportGroup {
    /// By show.
    Show,
    /// By ticket type, and so by show.
    TicketType,
    /// By the day on which bookings were placed, in the show's time zone.
    Day,
    /// By the venue's city.
    City,
}

/// Which bookings a report counts.
#[derive(InputObject)]
pub struct SalesReportFilter {
    /// Of that show.
    pub event_id: Option<ID>,
    /// Of shows in that city.
    pub city: Option<String>,
    /// Placed then or later.
    pub from: Option<DateTime>,
    /// Placed before then.
    pub to: Option<DateTime>,
}

/// Tickets by what became of them. placed = held + expired + abandoned + sold, and sold = valid + returned.
#[derive(SimpleObject)]
pub struct SalesCounts {
    /// All that were ever held.
    placed: i32,
    /// Held at this moment.
    held: i32,
    /// Whose hold ran out.
    expired: i32,
    /// Given up before they were paid.
    abandoned: i32,
    /// Issued, whatever became of them.
    sold: i32,
    /// Issued and in force.
    valid: i32,
    /// Issued and given back.
    returned: i32,
}

/// A row of a report.
pub struct SalesReportRow {
    key: Key,
    show: Option<Arc<EventView>>,
    sums: SalesSums,
    capacity: Option<i64>,
}

/// What a row is of. In this order rows are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    city: Option<String>,
    day: Option<NaiveDate>,
    event: Option<EventId>,
    ticket_type: Option<TicketTypeId>,
    currency: &'static str,
}

#[Object]
impl SalesReportRow {
    /// Where the rows are apart by show or ticket type.
    async fn event(&self) -> Option<Event> {
        self.show.clone().map(Event)
    }
    /// Where the rows are apart by ticket type.
    async fn ticket_type(&self) -> Option<TicketType> {
        TicketType::of(self.show.as_ref()?, self.key.ticket_type?)
    }
    /// Such as 2027-05-01, where the rows are apart by day.
    async fn day(&self) -> Option<String> {
        self.key.day.map(|day| day.to_string())
    }
    /// As its first show writes it, where the rows are apart by city.
    async fn city(&self) -> Option<&str> {
        self.key.city.as_deref()
    }
    /// Tickets.
    async fn tickets(&self) -> SalesCounts {
        let SalesSums { placed, held, sold, valid, expired, abandoned, returned, .. } = self.sums;
        SalesCounts {
            placed: int(placed),
            held: int(held),
            expired: int(expired),
            abandoned: int(abandoned),
            sold: int(sold),
            valid: int(valid),
            returned: int(returned),
        }
    }
    /// sold of placed, 0 to 1.
    async fn conversion(&self) -> f64 {
        share(self.sums.sold, self.sums.placed)
    }
    /// Money that came. Of a booking with several ticket types each gets a part as its price is to the booking's.
    async fn received(&self) -> Answered<Money> {
        self.money(self.sums.received_minor)
    }
    /// Money that went back.
    async fn refunded(&self) -> Answered<Money> {
        self.money(self.sums.refunded_minor)
    }
    /// received less refunded.
    async fn net(&self) -> Answered<Money> {
        self.money(self.sums.received_minor - self.sums.refunded_minor)
    }
    /// How many tickets the whole house has, where the rows are apart by show or ticket type and not by day; a filter by time does not
    /// change it.
    async fn capacity(&self) -> Option<i32> {
        self.capacity.map(int)
    }
    /// valid of capacity, 0 to 1: how full the house is. With filter.from or filter.to it is the share of the whole house that bookings
    /// placed in that span of time have, so that the shares of spans beside each other add up to how full it is. Null where
    /// there is no capacity to be a share of.
    async fn fill_rate(&self) -> Option<f64> {
        self.capacity.filter(|capacity| *capacity > 0).map(|capacity| share(self.sums.valid, capacity))
    }
}

fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl SalesReportRow {
    fn money(&self, minor: i64) -> Answered<Money> {
        let currency = Currency::parse(self.key.currency).map_err(Fault::new)?;
        // Of very many bookings of very dear tickets the sum is no amount any more.
        let sum = tickiz_domain::money::Money::try_new(minor, currency);
        Ok(sum.map_err(|error| too_long(format!("a sum of it is too high: {error}")))?.into())
    }
}

/// A report.
#[derive(SimpleObject)]
pub struct SalesReport {
    /// In the order of city, day, show and ticket type; one for each currency.
    rows: Vec<SalesReportRow>,
    /// Up to here the report is complete, with the shows as they stood then or later.
    position: Position,
}

/// What is asked, checked.
struct Asked {
    query: SalesQuery,
    by: BTreeSet<SalesReportGroup>,
}

/// Checks what is asked, with all faults at once. `None`: a show that cannot be there.
fn check(filter: Option<SalesReportFilter>, group_by: &[SalesReportGroup]) -> Result<Option<Asked>, Refusals> {
    let mut faults = Vec::new();
    let filter = filter.unwrap_or(SalesReportFilter { event_id: None, city: None, from: None, to: None });
    let mut instant = |field: &str, given: Option<DateTime>| -> Option<Instant<Utc>> {
        let parsed = Instant::parse_from_rfc3339(&given?.0);
        if parsed.is_err() {
            let message = "not an RFC 3339 instant: write it like 2027-05-01T12:30:00Z";
            faults.push(invalid(&["filter", field], message));
        }
        parsed.ok().map(|instant| instant.to_utc())
    };
    let (from, to) = (instant("from", filter.from), instant("to", filter.to));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        faults.push(invalid(&["filter", "to"], "not after filter.from"));
    }
    let city = filter.city.filter(|city| !city.trim().is_empty());
    let chars = city.as_ref().map_or(0, |city| city.chars().count());
    if chars > MAX_FILTER_CHARS {
        let message = format!("{chars} characters; at most {MAX_FILTER_CHARS} are allowed");
        faults.push(invalid(&["filter", "city"], message));
    }
    if !faults.is_empty() {
        return Err(Refusals(faults));
    }
    let event_id = match filter.event_id.map(|id| id.0.parse::<EventId>()) {
        Some(Err(_)) => return Ok(None),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    let by: BTreeSet<SalesReportGroup> = group_by.iter().copied().collect();
    let by_time = by.contains(&SalesReportGroup::Day);
    Ok(Some(Asked { query: SalesQuery { organizer_id: None, event_id, city, from, to, by_time }, by }))
}

/// Makes a report.
///
/// # Errors
/// `UNAUTHENTICATED`, `FORBIDDEN`; `INVALID_INPUT` with every fault; `LIMIT_EXCEEDED` where it would be too long; `OVERLOADED` where
/// the reports have not reached `minPosition` in time, or a show of theirs is not there in time.
pub async fn report(
    app: &App,
    caller: &Caller,
    filter: Option<SalesReportFilter>,
    group_by: &[SalesReportGroup],
    min_position: Option<&str>,
) -> Result<SalesReport, async_graphql::Error> {
    allow(caller, Action::SeeSales)?;
    let asked = check(filter, group_by)?;
    let position = app.freshness.of_reports(&app.reads, min_position).await?;
    let Some(Asked { mut query, by }) = asked else {
        return Ok(SalesReport { rows: Vec::new(), position: position.into() });
    };
    if let Caller::Organizer { organizer_id } = caller {
        query.organizer_id = Some(*organizer_id);
    }
    let ReportLimits { max_groups, max_rows } = app.reports;
    let most = u32::try_from(max_groups + 1).unwrap_or(u32::MAX);
    let groups = app.reads.sales(&query, most).await.map_err(Failure::from)?;
    if groups.len() > max_groups {
        return Err(too_long(format!("more than {max_groups} sums would have to be added")).into());
    }
    let shows = shows_of(app, &groups).await?;
    let rows = put_together(&groups, &shows, &by);
    if rows.len() > max_rows {
        return Err(too_long(format!("it has {} rows, and {max_rows} are possible", rows.len())).into());
    }
    Ok(SalesReport { rows, position: position.into() })
}

type Shows = HashMap<EventId, Arc<EventView>>;

/// The shows that sums are of. Two projections write sums and shows, each at its own pace: where a show is not there yet, it is waited
/// for, since without it nobody can say whose the sums are, nor on which day of its time zone.
async fn shows_of(app: &App, groups: &[SalesGroup]) -> Answered<Shows> {
    let ids: Vec<EventId> = groups.iter().map(|group| group.event_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut shows = app.reads.events(&ids).await?;
    if shows.len() < ids.len() {
        app.freshness.shows_as_far_as_reports(&app.reads).await?;
        shows = app.reads.events(&ids).await?;
    }
    Ok(shows.into_iter().map(|(id, view)| (id, Arc::new(view))).collect())
}

fn too_long(what: String) -> Refusal {
    let message = format!("the report is too long: {what}; ask for one show, or a shorter time");
    Refusal::new(tickiz_contract::ErrorCode::LimitExceeded, message)
}

fn put_together(groups: &[SalesGroup], shows: &Shows, by: &BTreeSet<SalesReportGroup>) -> Vec<SalesReportRow> {
    use SalesReportGroup::{City, Day, Show, TicketType};
    let by_type = by.contains(&TicketType);
    let by_show = by_type || by.contains(&Show);
    // Cities that are the same to a search are one, under the name that came first.
    let mut cities = HashMap::<String, String>::new();
    let mut rows = BTreeMap::<Key, SalesSums>::new();
    for group in groups {
        let show = shows.get(&group.event_id).map(|view| &view.show);
        let city = show.filter(|_| by.contains(&City)).map(|show| {
            let name = &show.venue.city;
            cities.entry(city_key(name)).or_insert_with(|| name.clone()).clone()
        });
        let zone = show.filter(|_| by.contains(&Day)).and_then(|show| parse_zone(&show.time_zone).ok());
        let key = Key {
            city,
            day: zone.map(|zone| local_at(group.quarter, zone).date()),
            event: by_show.then_some(group.event_id),
            ticket_type: by_type.then_some(group.ticket_type_id),
            currency: group.currency.code(),
        };
        rows.entry(key).or_default().add(&group.sums);
    }
    let row = |(key, sums): (Key, SalesSums)| {
        let show = key.event.and_then(|id| shows.get(&id)).cloned();
        let capacity = show.as_ref().filter(|_| !by.contains(&Day)).and_then(|view| match key.ticket_type {
            Some(id) => view.show.ticket_types.iter().find(|of| of.id == id).map(|of| view.show.capacity_of(of)),
            None => Some(view.show.capacity()),
        });
        SalesReportRow { key, show, sums, capacity }
    };
    rows.into_iter().map(row).collect()
}

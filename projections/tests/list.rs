//! The list of shows equals what a naive one in memory gives, for every filter, order and page, on every store.

mod support;

use chrono::{DateTime, Duration, Utc};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use support::{
    history::{History, now, venue_time},
    naive::Naive,
    on_every_store, project_all,
};
use tickiz_domain::{
    event::{
        EventCancelled, EventCategory, EventCompleted, EventCreated, EventPostponed, EventPublished, EventStatus, Show,
    },
    ids::EventId,
    money::{Currency, Money},
    text::fold,
};
use tickiz_read_models::{
    Cursor, CursorError, EventFilter, EventOrder, EventQuery, EventView, Near, ReadError, ReadStore,
};

const WORDS: &[&str] =
    &["Đêm", "nhạc", "Trịnh", "Rock", "AC/DC", "Symphony", "of", "Sài", "Gòn", "Straße", "live", "2027"];
const CITIES: &[&str] = &["Hà Nội", "HÀ NỘI", "Sài Gòn", "Berlin", "Gießen", "København"];
const PLACES: &[(f64, f64)] =
    &[(21.03, 105.85), (21.03, 105.9), (10.82, 106.63), (52.52, 13.4), (-89.9, 10.0), (0.0, 179.95)];

fn pick<T: Copy>(random: &mut StdRng, from: &[T]) -> T {
    *from.choose(random).unwrap()
}

fn some_words(random: &mut StdRng, most: usize) -> String {
    let count = random.random_range(1..=most);
    (0..count).map(|_| pick(random, WORDS)).collect::<Vec<_>>().join(" ")
}

fn some_show(random: &mut StdRng, mut show: EventCreated) -> EventCreated {
    show.title = some_words(random, 3);
    show.description = some_words(random, 4);
    show.venue.name = some_words(random, 1);
    show.venue.city = pick(random, CITIES).to_owned();
    let place = random.random_bool(0.8).then(|| pick(random, PLACES));
    (show.venue.latitude, show.venue.longitude) = place.unzip();
    show.category = pick(random, &[EventCategory::Concert, EventCategory::Sports, EventCategory::Other]);
    // Few different instants, so that ties are common.
    show.starts_at = venue_time(now() + Duration::days(random.random_range(-3..12)));
    show.ends_at = random.random_bool(0.3).then(|| venue_time(show.starts_at.instant + Duration::hours(30)));
    show.currency = pick(random, &[Currency::VND, Currency::USD]);
    for t in &mut show.ticket_types {
        t.price = Money::try_new(random.random_range(0..6) * 100, show.currency).unwrap();
    }
    show
}

/// A hundred shows in every state, some sold out.
fn some_shows(seed: u64) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = History::new();
    for _ in 0..100 {
        let (seated, places) = (random.random_bool(0.5), random.random_bool(0.7));
        let draft = history.draft(seated, places || !seated);
        let n = history.create(some_show(&mut random, draft));
        if random.random_bool(0.9) {
            history.append_to_show(n, EventPublished {});
            for _ in 0..random.random_range(0..4) {
                let seats: Vec<usize> = (0..10).filter(|_| random.random_bool(0.5)).collect();
                history.place(n, &seats, random.random_range(0..4));
            }
            match random.random_range(0..10) {
                0 => {
                    history.append_to_show(n, EventCancelled { reason: "x".into() });
                }
                1 => {
                    history.append_to_show(n, EventCompleted {});
                }
                2 => {
                    let starts_at = random.random_bool(0.5).then(|| venue_time(now() + Duration::days(3)));
                    history.append_to_show(n, EventPostponed { starts_at, ends_at: None, reason: "x".into() });
                }
                _ => {}
            }
        }
    }
    history
}

fn some_filter(random: &mut StdRng) -> EventFilter {
    let day = |random: &mut StdRng| now() + Duration::days(random.random_range(-2..12));
    let texts = ["dem nhac", "NHAC trinh", "roc", "ac/dc", "sai gon", "strasse", "nowhere", "live live of", "hon"];
    EventFilter {
        text: random.random_bool(0.4).then(|| pick(random, &texts).to_owned()),
        category: random.random_bool(0.3).then_some(EventCategory::Sports),
        city: random
            .random_bool(0.3)
            .then(|| pick(random, &["hà nội", "Nội", "BERLIN", "giessen", "Sài Gòn "]).to_owned()),
        near: random.random_bool(0.3).then(|| {
            let (latitude, longitude) = pick(random, &[(21.0, 105.8), (10.8, 106.6), (-89.9, -170.0), (0.1, -179.9)]);
            Near { latitude, longitude, radius_km: pick(random, &[1.0, 8.0, 40.0, 1_200.0, 21_000.0]) }
        }),
        starts_after: random.random_bool(0.3).then(|| day(random)),
        starts_before: random.random_bool(0.3).then(|| day(random)),
        price_max: random.random_bool(0.3).then(|| {
            Money::try_new(random.random_range(0..4) * 100, pick(random, &[Currency::VND, Currency::USD])).unwrap()
        }),
        available_only: random.random_bool(0.3),
    }
}

/// The list once more, as simply as it can be said.
struct NaiveList {
    rows: Vec<(EventId, Show, Row)>,
}

struct Row {
    popularity: i64,
    published_at: i64,
    price_from: Option<Money>,
    any_left: bool,
}

impl NaiveList {
    fn of(history: &History) -> Self {
        let mut naive = Naive::default();
        for recorded in history.log.all() {
            naive.take(&history.plan, &recorded);
        }
        let rows = naive.shows.keys().filter(|id| naive.is_listed(**id)).map(|id| {
            let show = naive.show(*id).clone();
            let left = naive.look(&history.plan, *id).left;
            let had = show.ticket_types.iter().filter(|t| left.iter().any(|(id, n)| *id == t.id && *n > 0));
            let price_from = had.map(|t| t.price).min_by_key(Money::minor);
            let row = Row {
                popularity: naive.popularity(*id),
                published_at: naive.published_at[id],
                price_from,
                any_left: left.iter().any(|(_, n)| *n > 0),
            };
            (*id, show, row)
        });
        Self { rows: rows.collect() }
    }

    fn list(&self, filter: &EventFilter, order: EventOrder) -> Vec<EventId> {
        let mut found: Vec<_> = self.rows.iter().filter(|(_, show, row)| matches(filter, show, row)).collect();
        let price =
            |row: &Row| row.price_from.map_or((1, String::new(), 0), |p| (0, p.currency().to_string(), p.minor()));
        let words = filter.text.as_deref().map(words).unwrap_or_default();
        match order {
            EventOrder::StartsAt => found.sort_by_key(|(id, show, _)| (show.starts_at.instant, *id)),
            EventOrder::Popularity => found.sort_by_key(|(id, _, row)| std::cmp::Reverse((row.popularity, *id))),
            EventOrder::Price => found.sort_by_key(|(id, _, row)| (price(row), *id)),
            EventOrder::Newest => found.sort_by_key(|(_, _, row)| std::cmp::Reverse(row.published_at)),
            EventOrder::Relevance => {
                found
                    .sort_by_key(|(id, show, _)| (std::cmp::Reverse(score(&words, show)), show.starts_at.instant, *id));
            }
        }
        found.into_iter().map(|(id, _, _)| *id).collect()
    }
}

fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> =
        fold(text).split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

fn searched(show: &Show) -> [String; 4] {
    [&show.title, &show.description, &show.venue.name, &show.venue.city].map(|text| fold(text))
}

fn score(wanted: &[String], show: &Show) -> i64 {
    let begins = |text: &str, word: &str| words(text).iter().any(|w| w.starts_with(word));
    let one = |word: &String| {
        let parts = searched(show);
        if begins(&parts[0], word) {
            100
        } else if parts[0].contains(word.as_str()) {
            10
        } else {
            i64::from(parts.iter().any(|part| begins(part, word)))
        }
    };
    wanted.iter().map(one).sum()
}

fn distance_km(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |x: f64, y: f64| ((x - y).to_radians() / 2.0).sin().powi(2);
    let h = half(a.0, b.0) + a.0.to_radians().cos() * b.0.to_radians().cos() * half(a.1, b.1);
    2.0 * 6371.0088 * h.sqrt().min(1.0).asin()
}

fn matches(filter: &EventFilter, show: &Show, row: &Row) -> bool {
    let over = show.ends_at.map_or(show.starts_at.instant + Duration::hours(6), |end| end.instant);
    let text = filter.text.as_deref().map(words).unwrap_or_default();
    let case = |city: &str| city.trim().to_uppercase();
    (show.postponed || over > now())
        && text.iter().all(|word| searched(show).iter().any(|part| part.contains(word.as_str())))
        && filter.category.is_none_or(|category| show.category == category)
        && filter.city.as_deref().is_none_or(|city| case(city) == case(&show.venue.city))
        && filter.near.is_none_or(|near| {
            let place = show.venue.latitude.zip(show.venue.longitude);
            place.is_some_and(|place| distance_km((near.latitude, near.longitude), place) <= near.radius_km)
        })
        && filter.starts_after.is_none_or(|after| show.starts_at.instant > after)
        && filter.starts_before.is_none_or(|before| show.starts_at.instant < before)
        && filter.price_max.is_none_or(|most| {
            show.ticket_types.iter().any(|t| t.price.currency() == most.currency() && t.price.minor() <= most.minor())
        })
        && (!filter.available_only || row.any_left)
}

fn query(filter: EventFilter, order: EventOrder, first: u32, after: Option<Cursor>) -> EventQuery {
    EventQuery { filter, order, first, after, now: now() }
}

/// All pages, one after the other, by the text of the cursors.
async fn all_pages(store: &ReadStore, filter: &EventFilter, order: EventOrder, first: u32) -> (Vec<EventView>, i64) {
    let (mut views, mut after): (Vec<EventView>, Option<Cursor>) = (Vec::new(), None);
    loop {
        let page = store.list_events(&query(filter.clone(), order, first, after)).await.unwrap();
        let last = page.rows.last().map(|(cursor, _)| cursor.to_string());
        assert!(page.rows.len() <= first as usize);
        assert!(!page.has_next_page || page.rows.len() == first as usize);
        views.extend(page.rows.into_iter().map(|(_, view)| view));
        if !page.has_next_page {
            return (views, page.total_count);
        }
        after = Some(Cursor::parse(&last.unwrap(), order).unwrap());
    }
}

#[tokio::test]
async fn every_filter_order_and_page_is_as_the_naive_list_says() {
    let history = some_shows(11);
    let naive = NaiveList::of(&history);
    on_every_store(async |store: ReadStore| {
        project_all(&store, &history).await;
        let mut random = StdRng::seed_from_u64(5);
        let mut hits = 0;
        for round in 0..50 {
            let mut filter = if round == 0 { EventFilter::default() } else { some_filter(&mut random) };
            for order in EventOrder::ALL {
                if order == EventOrder::Relevance && filter.text.is_none() {
                    filter.text = Some("nhac".into());
                }
                let first = pick(&mut random, &[5, 17, 100]);
                let expected = naive.list(&filter, order);
                let (views, total) = all_pages(&store, &filter, order, first).await;
                let found: Vec<EventId> = views.iter().map(|view| view.id).collect();
                assert_eq!(found, expected, "{order:?} {filter:?}");
                assert_eq!(total, i64::try_from(expected.len()).unwrap(), "{filter:?}");
                for view in views {
                    let (_, _, row) = naive.rows.iter().find(|(id, _, _)| *id == view.id).unwrap();
                    assert_eq!(view.price_from(), row.price_from);
                    assert_eq!(view.position, history.log.head());
                }
                hits += expected.len();
            }
        }
        assert!(hits > 1_000, "the filters let enough through to say something: {hits}");
    })
    .await;
}

#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended_while_rows_come_and_go() {
    on_every_store(async |store: ReadStore| {
        let mut history = some_shows(12);
        project_all(&store, &history).await;
        let all = NaiveList::of(&history).list(&EventFilter::default(), EventOrder::StartsAt);
        let first = store.list_events(&query(EventFilter::default(), EventOrder::StartsAt, 10, None)).await.unwrap();
        // A show of the first page goes, and one comes that belongs before all others.
        let gone = history.shows.iter().position(|(id, _)| *id == all[3]).unwrap();
        history.append_to_show(gone, EventCancelled { reason: "x".into() });
        let mut early = history.draft(false, true);
        early.starts_at = venue_time(now() + Duration::minutes(1));
        let early = history.create(early);
        history.append_to_show(early, EventPublished {});
        project_all(&store, &history).await;
        let after = first.rows.last().map(|(cursor, _)| *cursor);
        let second = store.list_events(&query(EventFilter::default(), EventOrder::StartsAt, 10, after)).await.unwrap();
        let found: Vec<EventId> = second.rows.iter().map(|(_, view)| view.id).collect();
        assert_eq!(found, all[10..20]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_published_or_has_ended_is_not_listed_but_found_by_id() {
    on_every_store(async |store: ReadStore| {
        let mut history = History::new();
        let mut in_state = |starts: DateTime<Utc>, end: &dyn Fn(&mut History, usize)| {
            let mut draft = history.draft(false, true);
            draft.starts_at = venue_time(starts);
            let n = history.create(draft);
            end(&mut history, n);
            history.shows[n].0
        };
        let publish = |h: &mut History, n: usize| {
            h.append_to_show(n, EventPublished {});
        };
        let soon = now() + Duration::days(1);
        let draft = in_state(soon, &|_, _| {});
        let on_sale = in_state(soon, &publish);
        let ended = in_state(now() - Duration::hours(7), &publish);
        let running = in_state(now() - Duration::hours(5), &publish);
        let cancelled = in_state(soon, &|h, n| {
            publish(h, n);
            h.append_to_show(n, EventCancelled { reason: "x".into() });
        });
        // Its old date has passed, and it has not taken place.
        let postponed = in_state(now() - Duration::days(7), &|h, n| {
            publish(h, n);
            h.append_to_show(n, EventPostponed { starts_at: None, ends_at: None, reason: "x".into() });
        });
        // Beyond 2038, where a TIMESTAMP ends.
        let far = in_state(DateTime::from_timestamp(4_100_000_000, 0).unwrap(), &publish);
        project_all(&store, &history).await;
        let (views, _) = all_pages(&store, &EventFilter::default(), EventOrder::Newest, 100).await;
        let listed: Vec<EventId> = views.iter().map(|view| view.id).collect();
        assert_eq!(listed, [far, postponed, running, on_sale]);
        let found = store.events(&[draft, ended, cancelled, EventId(uuid::Uuid::nil())]).await.unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[&draft].show.status, EventStatus::Draft);
        assert_eq!(found[&cancelled].show.status, EventStatus::Cancelled);
        assert_eq!(store.event(EventId(uuid::Uuid::nil())).await.unwrap(), None);
        assert_eq!(store.seat_statuses(EventId(uuid::Uuid::nil())).await.unwrap(), None);
        assert_eq!(store.seat_statuses(on_sale).await.unwrap().unwrap().plan_hash, "");
    })
    .await;
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_the_callers_fault() {
    let store = ReadStore::open_memory().await.unwrap();
    let text = |text: &str| EventFilter { text: Some(text.to_owned()), ..EventFilter::default() };
    let fault = async |question: EventQuery| store.list_events(&question).await.unwrap_err();
    let no_text = fault(query(text(" "), EventOrder::Relevance, 1, None)).await;
    assert!(matches!(no_text, ReadError::RelevanceWithoutText));
    let many = (0..13).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let too_many = fault(query(text(&many), EventOrder::StartsAt, 1, None)).await;
    assert!(matches!(too_many, ReadError::TooManyWords { found: 13 }));
    for found in [0, 101] {
        let size = fault(query(EventFilter::default(), EventOrder::StartsAt, found, None)).await;
        assert!(matches!(size, ReadError::PageSize { .. }) && size.is_callers_fault());
    }
    let mut history = History::new();
    let draft = history.draft(false, true);
    let n = history.create(draft);
    history.append_to_show(n, EventPublished {});
    project_all(&store, &history).await;
    let page = store.list_events(&query(EventFilter::default(), EventOrder::Price, 1, None)).await.unwrap();
    let other = fault(query(EventFilter::default(), EventOrder::Newest, 1, Some(page.rows[0].0))).await;
    assert!(matches!(other, ReadError::Cursor(CursorError::OtherOrder { .. })) && other.is_callers_fault());
}

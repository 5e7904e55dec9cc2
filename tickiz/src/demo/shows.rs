//! The shows of the demo: ten written by hand, and a season of others made of a few lists, the same each time.

use chrono::{DateTime, Duration, Utc};
use tickiz_contract::request::{CreateEvent, MoneyInput, TicketTypeInput, VenueInput};
use tickiz_domain::event::EventCategory;

use super::hall;

struct City {
    venue: &'static str,
    address: &'static str,
    city: &'static str,
    country: &'static str,
    latitude: f64,
    longitude: f64,
    time_zone: &'static str,
}

const SAIGON: City = City {
    venue: "Saigon Hall",
    address: "7 Công trường Lam Sơn",
    city: "Hồ Chí Minh",
    country: "VN",
    latitude: 10.7769,
    longitude: 106.7032,
    time_zone: "Asia/Ho_Chi_Minh",
};
const HANOI: City = City {
    venue: "Sân vận động Mỹ Đình",
    address: "1 Lê Đức Thọ",
    city: "Hà Nội",
    country: "VN",
    latitude: 21.0205,
    longitude: 105.7640,
    time_zone: "Asia/Ho_Chi_Minh",
};
const BERLIN: City = City {
    venue: "Spreehalle",
    address: "Holzmarktstraße 25",
    city: "Berlin",
    country: "DE",
    latitude: 52.5114,
    longitude: 13.4242,
    time_zone: "Europe/Berlin",
};
const NEW_YORK: City = City {
    venue: "Hudson Forum",
    address: "4 Pennsylvania Plaza",
    city: "New York",
    country: "US",
    latitude: 40.7505,
    longitude: -73.9934,
    time_zone: "America/New_York",
};

struct Price {
    name: &'static str,
    amount: &'static str,
    /// Places of its own or of the shared quota; `None` where it covers seats.
    capacity: Option<i64>,
    quota: Option<&'static str>,
    categories: &'static [&'static str],
}

const fn general(name: &'static str, amount: &'static str, capacity: i64) -> Price {
    Price { name, amount, capacity: Some(capacity), quota: None, categories: &[] }
}

const fn seats(name: &'static str, amount: &'static str, categories: &'static [&'static str]) -> Price {
    Price { name, amount, capacity: None, quota: None, categories }
}

struct Recipe<'a> {
    title: &'static str,
    description: &'static str,
    category: EventCategory,
    city: &'static City,
    days_ahead: i64,
    hour: u32,
    currency: &'static str,
    prices: &'a [Price],
    max_per_person: Option<i64>,
}

const RECIPES: [Recipe<'static>; 10] = [
    Recipe {
        title: "Đêm nhạc Trịnh Công Sơn",
        description: "Những bản tình ca bất hủ, với dàn nhạc và các giọng ca khách mời.",
        category: EventCategory::Concert,
        city: &SAIGON,
        days_ahead: 21,
        hour: 19,
        currency: "VND",
        prices: &[
            seats("VIP", "1500000", &["VIP"]),
            seats("Regular", "750000", &["Regular"]),
            seats("Gallery", "350000", &["Gallery"]),
            seats("Wheelchair", "350000", &["Wheelchair"]),
        ],
        max_per_person: Some(8),
    },
    Recipe {
        title: "Hà Nội FC – Sông Lam Nghệ An",
        description: "V.League, vòng 12.",
        category: EventCategory::Sports,
        city: &HANOI,
        days_ahead: 9,
        hour: 18,
        currency: "VND",
        prices: &[general("Khán đài A", "200000", 3000), general("Khán đài B", "120000", 5000)],
        max_per_person: None,
    },
    Recipe {
        title: "RustWorks Berlin",
        description: "Two days on systems that have to be right.",
        category: EventCategory::Conference,
        city: &BERLIN,
        days_ahead: 60,
        hour: 9,
        currency: "EUR",
        prices: &[general("Regular", "390.00", 400), general("Student", "90.00", 60)],
        max_per_person: Some(5),
    },
    Recipe {
        title: "Lange Nacht des Klaviers",
        description: "Von Bach bis Ligeti, bis der Letzte geht.",
        category: EventCategory::Concert,
        city: &BERLIN,
        days_ahead: 14,
        hour: 20,
        currency: "EUR",
        prices: &[
            Price { name: "Adult", amount: "32.50", capacity: Some(250), quota: Some("hall"), categories: &[] },
            Price { name: "Child", amount: "12.00", capacity: None, quota: Some("hall"), categories: &[] },
        ],
        max_per_person: None,
    },
    Recipe {
        title: "Riverside Jazz Festival",
        description: "Three stages, one river.",
        category: EventCategory::Festival,
        city: &NEW_YORK,
        days_ahead: 120,
        hour: 12,
        currency: "USD",
        prices: &[general("Day pass", "85.00", 2000), general("Backstage", "240.00", 40)],
        max_per_person: Some(6),
    },
    Recipe {
        title: "A Winter's Tale",
        description: "Shakespeare, in two acts.",
        category: EventCategory::Theatre,
        city: &NEW_YORK,
        days_ahead: 35,
        hour: 19,
        currency: "USD",
        prices: &[general("Stalls", "60.00", 180), general("Balcony", "35.00", 120)],
        max_per_person: None,
    },
    Recipe {
        title: "Gốm Bát Tràng",
        description: "Bảy thế kỷ gốm sứ, với xưởng làm thử cho trẻ em.",
        category: EventCategory::Exhibition,
        city: &HANOI,
        days_ahead: 5,
        hour: 10,
        currency: "VND",
        prices: &[general("Người lớn", "80000", 600), general("Trẻ em", "30000", 600)],
        max_per_person: None,
    },
    Recipe {
        title: "Phở from scratch",
        description: "A morning at the stove; broth, herbs and noodles to take home.",
        category: EventCategory::Workshop,
        city: &SAIGON,
        days_ahead: 12,
        hour: 8,
        currency: "VND",
        prices: &[general("Place", "650000", 16)],
        max_per_person: Some(2),
    },
    Recipe {
        title: "Community open day",
        description: "Look behind the stage. Free; places are limited.",
        category: EventCategory::Other,
        city: &BERLIN,
        days_ahead: 28,
        hour: 11,
        currency: "EUR",
        prices: &[general("Visitor", "0.00", 300)],
        max_per_person: Some(4),
    },
    Recipe {
        title: "Manhattan Comets – Bay Runners",
        description: "Season opener.",
        category: EventCategory::Sports,
        city: &NEW_YORK,
        days_ahead: 45,
        hour: 19,
        currency: "USD",
        prices: &[general("Upper tier", "28.00", 8000), general("Courtside", "410.00", 120)],
        max_per_person: Some(10),
    },
];

fn create(number: usize, recipe: &Recipe<'_>, now: DateTime<Utc>) -> CreateEvent {
    let day = (now + Duration::days(recipe.days_ahead)).date_naive();
    let at = |hour: u32, minute: u32| format!("{day}T{hour:02}:{minute:02}:00");
    CreateEvent {
        title: recipe.title.to_owned(),
        description: recipe.description.to_owned(),
        category: recipe.category,
        starts_at: at(recipe.hour, 30),
        ends_at: Some(at(recipe.hour + 3, 0)),
        time_zone: recipe.city.time_zone.to_owned(),
        venue: VenueInput {
            name: recipe.city.venue.to_owned(),
            address: Some(recipe.city.address.to_owned()),
            city: recipe.city.city.to_owned(),
            country: recipe.city.country.to_owned(),
            latitude: Some(recipe.city.latitude),
            longitude: Some(recipe.city.longitude),
        },
        ticket_types: recipe
            .prices
            .iter()
            .map(|price| TicketTypeInput {
                name: price.name.to_owned(),
                price: MoneyInput { amount: price.amount.to_owned(), currency: recipe.currency.to_owned() },
                capacity: price.capacity,
                quota: price.quota.map(str::to_owned),
                seat_categories: price.categories.iter().map(|c| (*c).to_owned()).collect(),
                max_per_booking: 10,
            })
            .collect(),
        seating_plan: recipe.prices.iter().any(|price| !price.categories.is_empty()).then(|| hall::plan(&hall::HALL)),
        hold_seconds: super::HOLD_SECONDS,
        release_on_decline: false,
        sales_start: None,
        sales_end: None,
        max_per_person: recipe.max_per_person,
        organizer_id: None,
        idempotency_key: Some(format!("demo-show-{number}")),
    }
}

const DA_NANG: City = City {
    venue: "Nhà hát Trưng Vương",
    address: "35A Phan Châu Trinh",
    city: "Đà Nẵng",
    country: "VN",
    latitude: 16.0678,
    longitude: 108.2208,
    time_zone: "Asia/Ho_Chi_Minh",
};
const PARIS: City = City {
    venue: "Salle des Quais",
    address: "12 quai de Bercy",
    city: "Paris",
    country: "FR",
    latitude: 48.8386,
    longitude: 2.3785,
    time_zone: "Europe/Paris",
};
const LONDON: City = City {
    venue: "Thames House of Arts",
    address: "2 Belvedere Road",
    city: "London",
    country: "GB",
    latitude: 51.5062,
    longitude: -0.1164,
    time_zone: "Europe/London",
};
const TOKYO: City = City {
    venue: "Sumida Dome",
    address: "1-3-61 Koraku",
    city: "Tokyo",
    country: "JP",
    latitude: 35.7056,
    longitude: 139.7519,
    time_zone: "Asia/Tokyo",
};

/// Where the season is, with the currency there and what a cheap and a dear ticket cost.
const STAGES: [(&City, &str, [&str; 2]); 8] = [
    (&SAIGON, "VND", ["250000", "900000"]),
    (&HANOI, "VND", ["200000", "700000"]),
    (&DA_NANG, "VND", ["150000", "500000"]),
    (&BERLIN, "EUR", ["19.00", "59.00"]),
    (&PARIS, "EUR", ["24.00", "79.00"]),
    (&LONDON, "GBP", ["22.50", "85.00"]),
    (&NEW_YORK, "USD", ["35.00", "120.00"]),
    (&TOKYO, "JPY", ["3500", "12000"]),
];

/// What goes on tour: title, what it is, when it begins.
const TOURS: [(&str, EventCategory, u32); 4] = [
    ("Symphony under the stars", EventCategory::Concert, 19),
    ("City derby", EventCategory::Sports, 18),
    ("Open source days", EventCategory::Conference, 9),
    ("Late night comedy", EventCategory::Theatre, 20),
];
/// Days between two shows of the season, so that its 32 are spread over the year; coprime to the number of days in a week.
const DAYS_APART: i64 = 11;

/// What is special about a show of the season, by its number.
enum Special {
    None,
    /// Seats for twenty thousand.
    Arena,
    /// Free, with few places, all of which are taken.
    SoldOut,
    /// On sale from tomorrow.
    FromTomorrow,
    /// Will not be.
    Cancelled,
}

impl Special {
    const fn of(number: usize) -> Self {
        match number {
            7 => Self::Arena,
            11 => Self::SoldOut,
            18 => Self::FromTomorrow,
            21 => Self::Cancelled,
            _ => Self::None,
        }
    }
}

fn tour(number: usize, now: DateTime<Utc>) -> CreateEvent {
    let (city, currency, [cheap, dear]) = STAGES[number % STAGES.len()];
    let (title, category, hour) = TOURS[number / STAGES.len() % TOURS.len()];
    let special = Special::of(number);
    let prices = match special {
        Special::Arena => vec![
            seats("VIP", dear, &["VIP"]),
            seats("Regular", cheap, &["Regular"]),
            seats("Upper tier", cheap, &["Gallery"]),
            seats("Wheelchair", cheap, &["Wheelchair"]),
        ],
        Special::SoldOut => vec![general("Guest", "0.00", SOLD_OUT_PLACES)],
        _ => vec![general("Regular", cheap, 400 + 40 * number as i64), general("Front", dear, 60)],
    };
    let recipe = Recipe {
        title,
        description: "On tour through eight cities.",
        category,
        city,
        days_ahead: 4 + DAYS_APART * number as i64,
        hour,
        currency,
        prices: &prices,
        max_per_person: None,
    };
    let mut show = create(RECIPES.len() + 1 + number, &recipe, now);
    show.title = format!("{title}, {}", city.city);
    if matches!(special, Special::Arena) {
        show.seating_plan = Some(hall::plan(&hall::ARENA));
    }
    if matches!(special, Special::FromTomorrow) {
        show.sales_start = Some(format!("{}T10:00:00", (now + Duration::days(1)).date_naive()));
    }
    show
}

/// How many shows the season has.
const SEASON: usize = STAGES.len() * TOURS.len();
/// Places of the show that is sold out.
pub const SOLD_OUT_PLACES: i64 = 40;

/// What becomes of a show after it was published.
pub enum Then {
    /// Nothing.
    Nothing,
    /// All its places are booked.
    BookAll,
    /// It is cancelled.
    Cancel,
}

/// The commands that make them, placed in the year after `now`, and what becomes of each.
pub fn all(now: DateTime<Utc>) -> impl Iterator<Item = (CreateEvent, Then)> {
    let by_hand =
        RECIPES.iter().enumerate().map(move |(index, recipe)| (create(index + 1, recipe, now), Then::Nothing));
    by_hand.chain((0..SEASON).map(move |number| {
        let then = match Special::of(number) {
            Special::SoldOut => Then::BookAll,
            Special::Cancelled => Then::Cancel,
            _ => Then::Nothing,
        };
        (tour(number, now), then)
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_demo_has_forty_shows_in_eight_cities_and_five_currencies_within_a_year() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let all: Vec<CreateEvent> = all(now).map(|(show, _)| show).collect();
        assert!(all.len() >= 40, "{}", all.len());
        let cities: BTreeSet<&str> = all.iter().map(|show| show.venue.city.as_str()).collect();
        let currencies: BTreeSet<&str> = all.iter().map(|show| show.ticket_types[0].price.currency.as_str()).collect();
        assert_eq!((cities.len(), currencies.len()), (8, 5));
        let keys: BTreeSet<_> = all.iter().map(|show| show.idempotency_key.clone()).collect();
        assert_eq!(keys.len(), all.len());
        let last = (now + Duration::days(365)).date_naive().to_string();
        assert!(all.iter().all(|show| show.starts_at[..10] < last[..]), "within a year");
    }
}

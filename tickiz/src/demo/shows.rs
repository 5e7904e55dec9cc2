//! The ten shows of the demo.

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

struct Recipe {
    title: &'static str,
    description: &'static str,
    category: EventCategory,
    city: &'static City,
    days_ahead: i64,
    hour: u32,
    currency: &'static str,
    prices: &'static [Price],
    max_per_person: Option<i64>,
}

const RECIPES: [Recipe; 10] = [
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

fn create(number: usize, recipe: &Recipe, now: DateTime<Utc>) -> CreateEvent {
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
        seating_plan: recipe.prices.iter().any(|price| !price.categories.is_empty()).then(hall::plan),
        hold_seconds: 600,
        release_on_decline: false,
        sales_start: None,
        sales_end: None,
        max_per_person: recipe.max_per_person,
        organizer_id: None,
        idempotency_key: Some(format!("demo-show-{number}")),
    }
}

/// The commands that make them, placed in the weeks after `now`.
pub fn all(now: DateTime<Utc>) -> Vec<CreateEvent> {
    RECIPES.iter().enumerate().map(|(index, recipe)| create(index + 1, recipe, now)).collect()
}

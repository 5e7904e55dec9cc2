//! `schemas/asyncapi.json` is what the program says; with `TICKIZ_BLESS=1` it is written, else compared.

use std::{fs, path::Path};

use tickiz_domain::{
    booking::BookingDomainEvent, event::EventDomainEvent, person::PersonDomainEvent, stored::StoredEvent,
};

type Named = (String, String, i32, String);

fn messages<E: StoredEvent>() -> impl Iterator<Item = Named> {
    let stream = E::STREAM_TYPE.as_str();
    E::catalogue().into_iter().flat_map(move |(name, newest, _)| {
        (1..=newest).map(move |version| {
            let schema = format!("events/{stream}/{name}.v{version}.schema.json");
            (stream.to_owned(), name.to_owned(), version, schema)
        })
    })
}

#[test]
fn the_description_of_the_topic_is_the_programs() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let all: Vec<Named> = messages::<EventDomainEvent>()
        .chain(messages::<BookingDomainEvent>())
        .chain(messages::<PersonDomainEvent>())
        .collect();
    for (_, _, _, schema) in &all {
        assert!(schemas.join(schema).exists(), "{schema} is named and not there");
    }
    let mut text = serde_json::to_string_pretty(&tickiz_kafka::asyncapi::description(&all)).expect("it is JSON");
    text.push('\n');
    let path = schemas.join("asyncapi.json");
    if std::env::var("TICKIZ_BLESS").is_ok_and(|value| value == "1") {
        fs::write(&path, &text).expect("it is written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "schemas/asyncapi.json is old; `cargo xtask schema` writes it");
}

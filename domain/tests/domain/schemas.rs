//! JSON Schemas of the stored documents, generated into `schemas/events`. With `TICKIZ_BLESS=1` they are written, else compared.

use std::{collections::BTreeSet, fs};

use tickiz_domain::{
    booking::BookingDomainEvent, event::EventDomainEvent, person::PersonDomainEvent, stored::StoredEvent,
};

use crate::golden::{is_blessing, schemas};

/// The newest version's schema is what the program says. Those of older versions stay as they were written.
fn check<E: StoredEvent>() {
    let folder = schemas().join("events").join(E::STREAM_TYPE.as_str());
    if is_blessing() {
        fs::create_dir_all(&folder).unwrap();
    }
    let mut expected = BTreeSet::new();
    for (name, newest, schema) in E::catalogue() {
        let path = folder.join(format!("{name}.v{newest}.schema.json"));
        let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if is_blessing() {
            fs::write(&path, &generated).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == generated,
            "{} is not what the program says; `cargo xtask schema` writes it",
            path.display()
        );
        expected.extend((1..=newest).map(|version| format!("{name}.v{version}.schema.json")));
    }
    let found: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected, "one schema per type and version in {}", folder.display());
}

#[test]
fn the_schemas_of_an_events_documents_are_written_down() {
    check::<EventDomainEvent>();
}

#[test]
fn the_schemas_of_a_bookings_documents_are_written_down() {
    check::<BookingDomainEvent>();
}

#[test]
fn the_schemas_of_a_persons_documents_are_written_down() {
    check::<PersonDomainEvent>();
}

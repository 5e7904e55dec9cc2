//! The topic's description for outsiders, as AsyncAPI 3.0: made of the same names that the relay writes.

use serde_json::{Map, Value, json};

use crate::{record::HEADERS, topic::TOPIC};

/// The description. `messages` are the stream type, type and version of every domain event that may come, with the address of
/// its payload's JSON Schema.
#[must_use]
pub fn description(messages: &[(String, String, i32, String)]) -> Value {
    let properties: Map<String, Value> = HEADERS
        .iter()
        .map(|(name, meaning, _)| ((*name).to_owned(), json!({"type": "string", "description": meaning})))
        .collect();
    let required: Vec<&str> = HEADERS.iter().filter(|(_, _, always)| *always).map(|(name, ..)| *name).collect();
    let named: Map<String, Value> = messages
        .iter()
        .map(|(stream, name, version, schema)| {
            let message = json!({
                "name": name,
                "title": format!("{name}, version {version}, of a {stream}"),
                "contentType": "application/json",
                "headers": {"$ref": "#/components/schemas/headers"},
                "payload": {"$ref": schema},
            });
            (format!("{name}.v{version}"), message)
        })
        .collect();
    let references: Map<String, Value> =
        named.keys().map(|name| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")}))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tickiz: domain events",
            "version": "1",
            "description": "Every domain event of the log, in its order. The value is the JSON document as it was recorded, byte for \
                byte; everything else is in headers, as UTF-8 text. The partition is the shard; positions on it rise by one. The key \
                is the show's id where there is one, else the stream's. Written in Kafka transactions: read with \
                isolation.level=read_committed, and drop what is at or below the last position you have.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {"address": TOPIC, "messages": references, "bindings": {"kafka": {"topic": TOPIC, "bindingVersion": "0.5.0"}}},
        },
        "operations": {
            "follow": {"action": "send", "channel": {"$ref": "#/channels/events"}, "summary": "What outsiders may follow."},
        },
        "components": {
            "messages": named,
            "schemas": {"headers": {"type": "object", "properties": properties, "required": required}},
        },
    })
}

//! A domain event as a Kafka record. The value is the payload's bytes; everything else is in headers, as UTF-8 text, so that
//! an outsider needs no code of ours.

use chrono::DateTime;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use tickiz_domain::stream::{StreamId, StreamType};
use tickiz_event_log::{
    leaf_hash, metadata_json,
    record::{Metadata, Recorded, SHARD},
};
use uuid::Uuid;

/// Every header: its name, what it says, and whether it is always there.
pub const HEADERS: [(&str, &str, bool); 12] = [
    ("shard", "the shard, decimal", true),
    ("position", "the place in the shard's log, decimal; rises by one", true),
    ("recorded_at", "when it was recorded, RFC 3339 in UTC with microseconds; never earlier than the one before", true),
    ("organizer_id", "the tenant", false),
    ("stream_type", "the kind of the aggregate", true),
    ("stream_id", "the aggregate, UUID", true),
    ("sequence", "the place in the aggregate's stream, decimal; rises by one", true),
    ("event_type", "the type of the domain event", true),
    ("event_version", "the version of its document's shape, decimal", true),
    ("metadata", "where it came from, JSON as it was recorded", true),
    ("leaf_hash", "SHA-256 over everything that was recorded, hexadecimal", true),
    ("traceparent", "W3C trace context of the request", false),
];

/// Why a record is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error("a record of the topic cannot be read: {0}")]
pub struct NotOurs(String);

/// The record's key: the show's id where there is one, else the stream's. For outsiders; the partition is the shard.
#[must_use]
pub fn key(recorded: &Recorded) -> String {
    recorded.metadata.show_id.map_or_else(|| recorded.stream.id.to_string(), |show| show.to_string())
}

/// The record's headers.
#[must_use]
pub fn headers(recorded: &Recorded) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(12);
    let mut add = |key: &str, value: &str| {
        headers = std::mem::replace(&mut headers, OwnedHeaders::new()).insert(Header { key, value: Some(value) });
    };
    add("shard", &recorded.shard.to_string());
    add("position", &recorded.position.to_string());
    add("recorded_at", &recorded.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
    if let Some(organizer) = recorded.organizer_id {
        add("organizer_id", &organizer.to_string());
    }
    add("stream_type", recorded.stream.stream_type.as_str());
    add("stream_id", &recorded.stream.id.to_string());
    add("sequence", &recorded.sequence.to_string());
    add("event_type", &recorded.event_type);
    add("event_version", &recorded.event_version.to_string());
    add("metadata", &metadata_json(&recorded.metadata));
    add("leaf_hash", &hex::encode(recorded.leaf_hash));
    if let Some(traceparent) = &recorded.metadata.traceparent {
        add("traceparent", traceparent);
    }
    headers
}

struct Read<'a, H>(&'a H);

impl<H: Headers> Read<'_, H> {
    fn find(&self, name: &str) -> Result<Option<&str>, NotOurs> {
        let Some(value) = self.0.iter().find(|header| header.key == name).and_then(|header| header.value) else {
            return Ok(None);
        };
        std::str::from_utf8(value).map(Some).map_err(|_| NotOurs(format!("its header {name} is not UTF-8")))
    }

    fn text(&self, name: &str) -> Result<&str, NotOurs> {
        self.find(name)?.ok_or_else(|| NotOurs(format!("it has no header {name}")))
    }

    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<T, NotOurs> {
        let text = self.text(name)?;
        text.parse().map_err(|_| NotOurs(format!("its header {name} is {text:?}")))
    }
}

/// Only the record's position.
///
/// # Errors
/// When it is not one of ours.
pub fn position(message: &impl Message) -> Result<i64, NotOurs> {
    Read(message.headers().ok_or_else(|| NotOurs("it has no headers".to_owned()))?).parse("position")
}

/// The domain event of a record.
///
/// # Errors
/// When it is not one of ours.
pub fn recorded(message: &impl Message) -> Result<Recorded, NotOurs> {
    let headers = Read(message.headers().ok_or_else(|| NotOurs("it has no headers".to_owned()))?);
    let at = headers.text("recorded_at")?;
    let at = DateTime::parse_from_rfc3339(at).map_err(|_| NotOurs(format!("its header recorded_at is {at:?}")))?;
    let metadata: Metadata = serde_json::from_str(headers.text("metadata")?)
        .map_err(|error| NotOurs(format!("its header metadata: {error}")))?;
    let leaf_hash = hex::decode(headers.text("leaf_hash")?).ok().and_then(|bytes| bytes.try_into().ok());
    let organizer_id = match headers.find("organizer_id")? {
        Some(_) => Some(headers.parse("organizer_id")?),
        None => None,
    };
    Ok(Recorded {
        shard: headers.parse("shard")?,
        position: headers.parse("position")?,
        recorded_at: at.to_utc(),
        organizer_id,
        stream: StreamId::new(headers.parse::<StreamType>("stream_type")?, headers.parse::<Uuid>("stream_id")?),
        sequence: headers.parse("sequence")?,
        event_type: headers.text("event_type")?.to_owned(),
        event_version: headers.parse("event_version")?,
        payload: message.payload().unwrap_or_default().into(),
        metadata,
        leaf_hash: leaf_hash.ok_or_else(|| NotOurs("its header leaf_hash is none".to_owned()))?,
    })
}

/// The domain event of a record, where its hash is that of what it says and it is of our shard. So what was changed on its way, or
/// was written by somebody else, is not taken for the log's.
///
/// # Errors
/// When it is not one of ours.
pub fn verified(message: &impl Message) -> Result<Recorded, NotOurs> {
    let event = recorded(message)?;
    if event.shard != SHARD {
        return Err(NotOurs(format!("position {} is of shard {}", event.position, event.shard)));
    }
    if leaf_hash(&event) != event.leaf_hash {
        return Err(NotOurs(format!("position {} says something else than its leaf_hash", event.position)));
    }
    Ok(event)
}

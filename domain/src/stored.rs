//! The stored shape of a domain event: an explicit type name, an integer version, a JSON document.
//!
//! [`domain_events!`](crate::domain_events) writes, for one aggregate, the enum of its domain events and the mapping to and
//! from the stored shape, so that a new domain event is one line. A shape that was ever stored can be read for ever: when a document changes in a way
//! that `serde(default)` does not cover, its version rises and an [`Upcaster`] lifts the old document to the next version.
//! The golden examples in `schemas/` hold one document per type and version, and a test decodes all of them.

use chrono::{DateTime, Utc};
use serde_json::{Value, error::Category};
use uuid::Uuid;

use crate::{claim::ClaimChange, stream::StreamType, timer::Timer};

/// A stored domain event that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type is not one of this stream's.
    #[error("{stream_type} has no domain event of type {event_type:?}")]
    UnknownType {
        /// The stream's kind.
        stream_type: StreamType,
        /// The stored name.
        event_type: String,
    },
    /// The version is newer than this program, or below 1.
    #[error("{event_type} has version {version}; this program reads 1 to {newest}")]
    UnknownVersion {
        /// The stored name.
        event_type: String,
        /// The stored version.
        version: i32,
        /// The newest version that this program reads.
        newest: i32,
    },
    /// The document is not of the shape that its version says. Where, and no more: what serde says may quote a value, and this goes
    /// into logs and tables.
    #[error("{event_type} version {version} is not of its shape: {fault} at line {line}, column {column}")]
    Document {
        /// The stored name.
        event_type: String,
        /// The stored version.
        version: i32,
        /// What kind of fault it is.
        fault: &'static str,
        /// From 1 on; 0 where an old document was lifted first.
        line: usize,
        /// From 1 on; 0 where an old document was lifted first.
        column: usize,
    },
}

/// Lifts a document of one version to the next. Pure, total over what that version could hold.
pub type Upcaster = fn(Value) -> Value;

/// What the log needs of an aggregate's domain events.
pub trait StoredEvent: cqrs_es::DomainEvent + 'static {
    /// The kind of stream they belong to.
    const STREAM_TYPE: StreamType;

    /// The stored type name.
    fn type_name(&self) -> &'static str;
    /// The stored version: the newest of that type.
    fn version(&self) -> i32;
    /// The JSON document, as it will be stored byte for byte.
    fn payload(&self) -> Vec<u8>;
    /// Reads a stored document, lifting an old version step by step.
    ///
    /// # Errors
    /// When type or version is unknown or the document is not of its shape.
    fn decode(event_type: &str, version: i32, payload: &[u8]) -> Result<Self, DecodeError>;
    /// What it does to claims, in order. A pure function of the domain event and its stream.
    fn claims(&self, stream: Uuid) -> Vec<ClaimChange>;
    /// What it wants to be looked at again. A pure function of the domain event, its stream and its recorded time.
    fn timers(&self, stream: Uuid, recorded_at: DateTime<Utc>) -> Vec<Timer>;
    /// The types with their newest version and JSON Schema, for `schemas/`.
    fn catalogue() -> Vec<(&'static str, i32, schemars::Schema)>;
}

/// Writes the enum of an aggregate's domain events and everything of [`StoredEvent`] but `claims` and `timers`, which it
/// takes from the inherent functions `claims_of` and `timers_of`.
///
/// A line is `Name = version` or `Name = version [upcaster from 1, upcaster from 2, …]`.
#[macro_export]
macro_rules! domain_events {
    (
        $(#[$meta:meta])* $vis:vis enum $name:ident for $stream:path;
        $( $(#[$vmeta:meta])* $variant:ident = $version:literal $([ $($upcaster:path),* ])? ),+ $(,)?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "type", content = "data")]
        $vis enum $name { $( $(#[$vmeta])* $variant($variant), )+ }

        $( const _: () = assert!(
            <[&str]>::len(&[$($(stringify!($upcaster)),*)?]) + 1 == $version,
            "a domain event of version n has n - 1 upcasters, one for each older version"
        ); )+

        $( impl From<$variant> for $name { fn from(body: $variant) -> Self { Self::$variant(body) } } )+

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                $crate::stored::StoredEvent::type_name(self).to_owned()
            }
            fn event_version(&self) -> String {
                $crate::stored::StoredEvent::version(self).to_string()
            }
        }

        impl $crate::stored::StoredEvent for $name {
            const STREAM_TYPE: $crate::stream::StreamType = $stream;

            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant(_) => stringify!($variant), )+ }
            }
            fn version(&self) -> i32 {
                match self { $( Self::$variant(_) => $version, )+ }
            }
            fn payload(&self) -> Vec<u8> {
                match self {
                    $( Self::$variant(body) => serde_json::to_vec(body)
                        .expect("a stored shape has string keys and no fallible Serialize, so JSON cannot fail"), )+
                }
            }
            fn decode(event_type: &str, version: i32, payload: &[u8]) -> Result<Self, $crate::stored::DecodeError> {
                match event_type {
                    $( stringify!($variant) => $crate::stored::decode_body(
                        event_type, version, $version, &[$($($upcaster),*)?], payload,
                    ).map(Self::$variant), )+
                    _ => Err($crate::stored::DecodeError::UnknownType {
                        stream_type: $stream, event_type: event_type.to_owned(),
                    }),
                }
            }
            fn claims(&self, stream: uuid::Uuid) -> Vec<$crate::claim::ClaimChange> {
                claims_of(self, stream)
            }
            fn timers(
                &self, stream: uuid::Uuid, recorded_at: chrono::DateTime<chrono::Utc>,
            ) -> Vec<$crate::timer::Timer> {
                timers_of(self, stream, recorded_at)
            }
            fn catalogue() -> Vec<(&'static str, i32, schemars::Schema)> {
                vec![ $( (stringify!($variant), $version, schemars::schema_for!($variant)), )+ ]
            }
        }
    };
}

/// Reads one document, lifting it from `version` to `newest`.
///
/// # Errors
/// When the version is outside `1..=newest` or the document is not of its shape.
#[doc(hidden)]
pub fn decode_body<T: serde::de::DeserializeOwned>(
    event_type: &str,
    version: i32,
    newest: i32,
    upcasters: &[Upcaster],
    payload: &[u8],
) -> Result<T, DecodeError> {
    let document = |error: serde_json::Error| DecodeError::Document {
        event_type: event_type.to_owned(),
        version,
        fault: match error.classify() {
            Category::Io | Category::Eof => "it ends too early",
            Category::Syntax => "it is not JSON",
            Category::Data => "a field is missing, unknown or of another type",
        },
        line: error.line(),
        column: error.column(),
    };
    if version == newest {
        return serde_json::from_slice(payload).map_err(document);
    }
    let first = usize::try_from(version).ok().and_then(|v| v.checked_sub(1));
    let Some(steps) = first.and_then(|first| upcasters.get(first..)).filter(|_| version < newest) else {
        return Err(DecodeError::UnknownVersion { event_type: event_type.to_owned(), version, newest });
    };
    let old: Value = serde_json::from_slice(payload).map_err(document)?;
    serde_json::from_value(steps.iter().fold(old, |value, lift| lift(value))).map_err(document)
}

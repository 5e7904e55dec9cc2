//! Streams: the history of one aggregate.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kinds of stream. The text is stored, and goes to Kafka and to auditors: a name is never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StreamType {
    /// What is sold.
    Event,
    /// One purchase.
    Booking,
    /// A person whose data key can be deleted.
    Person,
}

impl StreamType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Event, Self::Booking, Self::Person];

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "Event",
            Self::Booking => "Booking",
            Self::Person => "Person",
        }
    }
}

impl fmt::Display for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stream type that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown stream type {0:?}; known are Event, Booking and Person")]
pub struct UnknownStreamType(pub String);

impl FromStr for StreamType {
    type Err = UnknownStreamType;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|t| t.as_str() == text).ok_or_else(|| UnknownStreamType(text.to_owned()))
    }
}

/// One aggregate's history: its kind and its id. Ordered, so that locks and lists have a canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId {
    /// The kind.
    pub stream_type: StreamType,
    /// The aggregate's id; as text, the GraphQL id.
    pub id: Uuid,
}

impl StreamId {
    /// The stream of that kind and id.
    #[must_use]
    pub const fn new(stream_type: StreamType, id: Uuid) -> Self {
        Self { stream_type, id }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream_type, self.id.as_hyphenated())
    }
}

//! Why a request was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The documented codes: `extensions.code` of a GraphQL error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// A seat is held, sold or blocked.
    SeatTaken,
    /// Nothing, or not enough, is left.
    SoldOut,
    /// The hold ran out.
    HoldExpired,
    /// Over a limit: per booking, per person, or a technical one.
    LimitExceeded,
    /// It is not there, or not the caller's.
    NotFound,
    /// The input is wrong at `extensions.path`.
    InvalidInput,
    /// A bearer token is needed and missing, or unknown.
    Unauthenticated,
    /// The caller's role may not do this.
    Forbidden,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The state does not allow it.
    Conflict,
    /// Too much at once; `extensions.retryAfterMs` says when to come back.
    Overloaded,
    /// A fault of ours; the program's log has it under the trace id.
    Internal,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SeatTaken,
        Self::SoldOut,
        Self::HoldExpired,
        Self::LimitExceeded,
        Self::NotFound,
        Self::InvalidInput,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::IdempotencyKeyReused,
        Self::Conflict,
        Self::Overloaded,
        Self::Internal,
    ];

    /// The documented name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SeatTaken => "SEAT_TAKEN",
            Self::SoldOut => "SOLD_OUT",
            Self::HoldExpired => "HOLD_EXPIRED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::InvalidInput => "INVALID_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::Conflict => "CONFLICT",
            Self::Overloaded => "OVERLOADED",
            Self::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step of the way to a wrong value: `["input","ticketTypes",0,"price","amount"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// A place in a list.
    Index(usize),
    /// A field's name.
    Key(String),
}

impl From<&str> for PathSegment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathSegment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// One reason. The message is for the caller: it says what is wrong and what is allowed, and nothing about the inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The documented code.
    pub code: ErrorCode,
    /// What is wrong and what is allowed.
    pub message: String,
    /// The way to the wrong value, from the argument's name on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<PathSegment>>,
    /// When to come back, in milliseconds; with `Overloaded`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The seats that it is about; with `SeatTaken`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seat_ids: Vec<String>,
}

impl Refusal {
    /// A reason without a path.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), path: None, retry_after_ms: None, seat_ids: Vec::new() }
    }

    /// A wrong value at that path.
    #[must_use]
    pub fn invalid(path: Vec<PathSegment>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidInput, message).at(path)
    }

    /// It is not there, or not the caller's: the two read alike.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no such {what}, or it is not yours to see"))
    }

    /// Too much at once.
    #[must_use]
    pub fn overloaded(retry_after_ms: u64) -> Self {
        let mut refusal = Self::new(ErrorCode::Overloaded, "too many requests at once; try again shortly");
        refusal.retry_after_ms = Some(retry_after_ms);
        refusal
    }

    /// A fault of ours. The inside goes to the program's log, not here.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal, "something went wrong on our side; it has been logged")
    }

    /// The same at that path.
    #[must_use]
    pub fn at(mut self, path: Vec<PathSegment>) -> Self {
        self.path = Some(path);
        self
    }
}

/// At least one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
#[serde(transparent)]
pub struct Refusals(pub Vec<Refusal>);

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

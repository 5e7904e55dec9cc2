//! The scalars. What they may contain is judged by the validation layer behind; here counts only that they are strings.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime as Instant, SecondsFormat, Utc};

macro_rules! string_scalar {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub String);

        $(#[doc = $doc])+
        #[Scalar]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    other => Err(InputValueError::expected_type(other)),
                }
            }
            fn is_valid(value: &Value) -> bool {
                matches!(value, Value::String(_))
            }
            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }
    };
}

string_scalar! {
    /// RFC 3339 instant, in UTC.
    DateTime
}
string_scalar! {
    /// Local date and time without an offset, such as 2027-05-01T19:30:00.
    LocalDateTime
}
string_scalar! {
    /// Decimal number as a string, with exactly the digits ISO 4217 gives the currency: "450000" VND, "50.00" USD.
    Decimal
}
string_scalar! {
    /// Place in the event log, as a string that clients only hand back; today a decimal number.
    Position
}

impl From<Instant<Utc>> for DateTime {
    fn from(instant: Instant<Utc>) -> Self {
        Self(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<i64> for Position {
    fn from(position: i64) -> Self {
        Self(position.to_string())
    }
}

/// JSON on its way in or out.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// A value of an argument, put aside under this number; see [`crate::guard::JsonStore`].
    Stored(usize),
    /// A value of an answer.
    Value(Value),
}

/// Any JSON value.
#[Scalar(name = "JSON")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()).map(Self::Stored),
            _ => None,
        }
        .ok_or_else(|| InputValueError::expected_type(value))
    }
    fn to_value(&self) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Stored(_) => Value::Null,
        }
    }
}

/// A count as GraphQL has it: 32 bits. None of ours comes near.
pub fn int(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(if count < 0 { i32::MIN } else { i32::MAX })
}

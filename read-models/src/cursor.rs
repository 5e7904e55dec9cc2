//! Cursors: a place in a sorted list, as opaque text.
//!
//! A cursor says after which sort key and id a page goes on, not after how many rows. So a page is right while rows come, go and
//! move: what is behind the key is shown, what is before it is not shown again. The text is base64url of one byte for the
//! form, one for the order, the key, and the id. It is not signed: who makes one up gets another place in a public list.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use tickiz_domain::ids::EventId;
use uuid::Uuid;

use crate::events::{list::EventOrder, price::PriceKey};

/// The form of the bytes. A new one gets a new number; a cursor of an old form is refused like any other that is not ours.
const FORM: u8 = 1;
/// The longest text of a cursor; the price key is the longest key.
pub const MAX_CURSOR_CHARS: usize = 64;

/// Why a cursor was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// The text is not one of our cursors.
    #[error("not a cursor: use the endCursor or an edge's cursor of the page before, unchanged")]
    Malformed,
    /// It belongs to a list in another order.
    #[error("the cursor belongs to a list in the order {found:?}, this one is in {wanted:?}")]
    OtherOrder {
        /// The cursor's.
        found: EventOrder,
        /// The list's.
        wanted: EventOrder,
    },
}

/// The sort key of a row, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// `STARTS_AT`: the instant, ascending.
    StartsAt(DateTime<Utc>),
    /// `POPULARITY`: places taken, descending.
    Popularity(i64),
    /// `PRICE`: currency and lowest price that can be had, ascending.
    Price(PriceKey),
    /// `NEWEST`: the position of its publication, descending.
    Newest(i64),
    /// `RELEVANCE`: the score, descending, then the instant it starts, ascending.
    Relevance(i64, DateTime<Utc>),
}

/// A place in the list of shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) key: Key,
    pub(crate) id: EventId,
}

impl Cursor {
    /// Reads a cursor of a list in that order.
    ///
    /// # Errors
    /// [`CursorError::Malformed`], [`CursorError::OtherOrder`].
    pub fn parse(text: &str, order: EventOrder) -> Result<Self, CursorError> {
        let cursor = Self::decode(text)?;
        let found = cursor.order();
        if found == order { Ok(cursor) } else { Err(CursorError::OtherOrder { found, wanted: order }) }
    }

    /// Reads a cursor of any list.
    pub(crate) fn decode(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_CURSOR_CHARS {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Malformed)?;
        Self::from_bytes(&bytes).ok_or(CursorError::Malformed)
    }

    /// The order of the list that it is a place of.
    #[must_use]
    pub const fn order(&self) -> EventOrder {
        match self.key {
            Key::StartsAt(_) => EventOrder::StartsAt,
            Key::Popularity(_) => EventOrder::Popularity,
            Key::Price(_) => EventOrder::Price,
            Key::Newest(_) => EventOrder::Newest,
            Key::Relevance(..) => EventOrder::Relevance,
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[FORM, order], rest) = bytes.split_first_chunk::<2>()? else { return None };
        let (key, id) = rest.split_last_chunk::<16>()?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_be_bytes);
        let instant = |bytes: &[u8]| number(bytes).and_then(DateTime::from_timestamp_micros);
        let key = match order {
            b'S' => Key::StartsAt(instant(key)?),
            b'P' => Key::Popularity(number(key)?),
            b'$' => Key::Price(std::str::from_utf8(key).ok()?.parse().ok()?),
            b'N' => Key::Newest(number(key)?),
            b'R' => {
                let (score, starts_at) = key.split_first_chunk::<8>()?;
                Key::Relevance(i64::from_be_bytes(*score), instant(starts_at)?)
            }
            _ => return None,
        };
        Some(Self { key, id: EventId(Uuid::from_bytes(*id)) })
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        let instant = |at: DateTime<Utc>| at.timestamp_micros().to_be_bytes();
        match self.key {
            Key::StartsAt(at) => {
                bytes.push(b'S');
                bytes.extend(instant(at));
            }
            Key::Popularity(taken) => {
                bytes.push(b'P');
                bytes.extend(taken.to_be_bytes());
            }
            Key::Price(price) => {
                bytes.push(b'$');
                bytes.extend(price.to_string().as_bytes());
            }
            Key::Newest(position) => {
                bytes.push(b'N');
                bytes.extend(position.to_be_bytes());
            }
            Key::Relevance(score, at) => {
                bytes.push(b'R');
                bytes.extend(score.to_be_bytes());
                bytes.extend(instant(at));
            }
        }
        bytes.extend(self.id.0.as_bytes());
        bytes
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors() -> Vec<Cursor> {
        let id = EventId(Uuid::from_u128(7));
        let at = DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap();
        let price = PriceKey::of(Some(tickiz_domain::money::Money::parse("450000", "VND").unwrap()));
        [
            Key::StartsAt(at),
            Key::Popularity(12),
            Key::Price(price),
            Key::Price(PriceKey::of(None)),
            Key::Newest(9),
            Key::Relevance(40, at),
        ]
        .map(|key| Cursor { key, id })
        .to_vec()
    }

    #[test]
    fn a_cursor_reads_back_in_its_own_order_only() {
        for cursor in cursors() {
            let text = cursor.to_string();
            assert!(text.len() <= MAX_CURSOR_CHARS);
            assert_eq!(Cursor::parse(&text, cursor.order()), Ok(cursor));
            for wanted in EventOrder::ALL.into_iter().filter(|order| *order != cursor.order()) {
                let found = cursor.order();
                assert_eq!(Cursor::parse(&text, wanted), Err(CursorError::OtherOrder { found, wanted }));
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for cursor in cursors() {
            let text = cursor.to_string();
            for broken in [
                &text[1..],
                &text[..text.len() - 1],
                &text[..text.len() - 4],
                &format!("{text}AAAA"),
                &format!("{text}="),
                &format!(" {text}"),
            ] {
                assert_eq!(Cursor::parse(broken, cursor.order()), Err(CursorError::Malformed), "{broken}");
            }
        }
        for text in ["", "abc", "!!!!", "MTIz", "0", "null", &"A".repeat(10_000)] {
            assert_eq!(Cursor::parse(text, EventOrder::StartsAt), Err(CursorError::Malformed));
        }
    }
}

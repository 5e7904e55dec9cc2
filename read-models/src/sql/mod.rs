//! One way to run SQL on SQLite, MySQL and MariaDB.
//!
//! The text of a statement is the same for all three, with `?` for what is bound; where it cannot be (upserts, lists of pairs),
//! both texts stand beside each other as constants. What is bound and read goes through [`Value`] and [`Row`], because the
//! drivers' own types would make every function generic over some ten bounds. Instants are the one value that is stored
//! differently: `DATETIME(6)` on MySQL, where people look at them, microseconds as INTEGER on SQLite, which has no such type.
//!
//! Tables carry their projection's version in their names, since a rebuild writes version n+1 beside n. Statements are written
//! for version 1, as they stand in the migrations, and [`versioned`] names the tables of another.

mod row;
mod session;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub(crate) use row::Row;
pub(crate) use session::{Pools, Session};

/// The most rows of one INSERT. Above that one statement takes long enough to be felt by others who wait for the lock, and
/// gains nothing.
const MAX_ROWS_PER_INSERT: usize = 256;
/// The most bytes of one INSERT's values, so that it stays far below the 16 MiB packet of a MariaDB as it comes.
const MAX_BYTES_PER_INSERT: usize = 4 << 20;
/// The most entries of one list of keys.
pub(crate) const MAX_KEYS_PER_LIST: usize = 512;

/// What is bound to a `?`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    OptInt(Option<i64>),
    OptFloat(Option<f64>),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    Time(DateTime<Utc>),
}

impl Value {
    /// About how many bytes it takes on the wire.
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 16,
        }
    }
}

macro_rules! values_from {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

values_from! { i64 => Int, String => Text, &str => Text, Uuid => Uuid, DateTime<Utc> => Time }

/// An INSERT of many rows that replaces what is there.
pub(crate) struct Upsert {
    /// Up to and including `VALUES`.
    pub insert: &'static str,
    /// How many columns it names.
    pub columns: usize,
    /// What SQLite does where the key is there already.
    pub sqlite: &'static str,
    /// What MySQL and MariaDB do. `VALUES(c)` is the form that both know: MariaDB lacks the row alias.
    pub mysql: &'static str,
}

/// A statement whose `{keys}` is a list of single keys or of pairs.
pub(crate) enum Keys {
    /// `column IN ({keys})`.
    Single,
    /// `(column, column) IN {keys}`: SQLite wants a table of values there, MySQL a list.
    Pair,
}

/// The statement for the tables of another version than the first.
pub(crate) fn versioned(sql: impl Into<Cow<'static, str>>, version: i32) -> Cow<'static, str> {
    let sql = sql.into();
    if version == 1 { sql } else { Cow::Owned(sql.replace("_v1", &format!("_v{version}"))) }
}

/// How many places a list for `count` keys gets: the next power of two, so that few texts are prepared. The rest is filled
/// with the last key again.
const fn padded(count: usize) -> usize {
    count.next_power_of_two()
}

/// `?, ?, ?`.
fn places(count: usize) -> String {
    let mut text = "?, ".repeat(count);
    text.truncate(text.len().saturating_sub(2));
    text
}

/// `(?, ?), (?, ?)`.
fn row_places(rows: usize, columns: usize) -> String {
    let mut text = format!("({}), ", places(columns)).repeat(rows);
    text.truncate(text.len().saturating_sub(2));
    text
}

/// Up to here each count of rows has a text of its own, so that a batch of an ordinary busy moment is one statement a table.
const MAX_EXACT_ROWS: usize = 32;

/// How many of the next rows go into one INSERT: as many as the limits allow; a power of two where they are many, so that few texts
/// are prepared.
fn insert_length(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fit = sizes
        .take(MAX_ROWS_PER_INSERT)
        .take_while(|size| {
            bytes += size;
            bytes <= MAX_BYTES_PER_INSERT
        })
        .count();
    // One row that is too big goes alone, and the server says so if it is.
    let fit = fit.max(1);
    if fit <= MAX_EXACT_ROWS { fit } else { 1 << fit.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_come_in_few_texts() {
        assert_eq!(places(3), "?, ?, ?");
        assert_eq!(row_places(2, 2), "(?, ?), (?, ?)");
        assert_eq!([1, 2, 3, 5, 500].map(padded), [1, 2, 4, 8, 512]);
        assert_eq!(insert_length([1; 7].into_iter()), 7);
        assert_eq!(insert_length([1; 50].into_iter()), 32);
        assert_eq!(insert_length([1; 1000].into_iter()), MAX_ROWS_PER_INSERT);
        assert_eq!(insert_length([MAX_BYTES_PER_INSERT / 3; 9].into_iter()), 3);
        assert_eq!(insert_length([MAX_BYTES_PER_INSERT * 2; 9].into_iter()), 1);
    }

    #[test]
    fn another_version_has_tables_of_its_own() {
        assert_eq!(versioned("SELECT a FROM rm_x_v1 x JOIN rm_y_v1 y", 1), "SELECT a FROM rm_x_v1 x JOIN rm_y_v1 y");
        assert_eq!(versioned("SELECT a FROM rm_x_v1 x JOIN rm_y_v1 y", 12), "SELECT a FROM rm_x_v12 x JOIN rm_y_v12 y");
    }
}

//! Reading a row by column number, whatever the server.

use chrono::{DateTime, Utc};
use sqlx::{ColumnIndex, Decode, MySql, Row as _, Sqlite, Type, mysql::MySqlRow, sqlite::SqliteRow};
use uuid::Uuid;

use super::Value;

/// A row of a result.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
}

impl Row {
    fn get<T>(&self, column: usize) -> Result<T, sqlx::Error>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, MySql> + Type<MySql>,
        usize: ColumnIndex<SqliteRow> + ColumnIndex<MySqlRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::MySql(row) => row.try_get(column),
        }
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.get(column)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.get(column)
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.get(column)
    }

    pub(crate) fn uuid(&self, column: usize) -> Result<Uuid, sqlx::Error> {
        self.get(column)
    }

    pub(crate) fn time(&self, column: usize) -> Result<DateTime<Utc>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => {
                let micros: i64 = row.try_get(column)?;
                DateTime::from_timestamp_micros(micros)
                    .ok_or_else(|| sqlx::Error::Decode(format!("{micros} microseconds are no instant").into()))
            }
            Self::MySql(row) => row.try_get(column),
        }
    }

    /// Whether the columns from that one on hold these values.
    pub(crate) fn holds(&self, first: usize, values: &[Value]) -> Result<bool, sqlx::Error> {
        for (column, value) in (first..).zip(values) {
            let same = match value {
                Value::Int(wanted) => self.int(column)? == *wanted,
                Value::OptInt(wanted) => self.get::<Option<i64>>(column)? == *wanted,
                Value::Float(wanted) => self.get::<f64>(column)?.to_bits() == wanted.to_bits(),
                Value::OptFloat(wanted) => {
                    self.get::<Option<f64>>(column)?.map(f64::to_bits) == wanted.map(f64::to_bits)
                }
                // Some text is in binary columns.
                Value::Text(wanted) => self.raw(column)? == wanted.as_bytes(),
                Value::Bytes(wanted) => self.raw(column)? == *wanted,
                Value::Uuid(wanted) => self.uuid(column)? == *wanted,
                Value::Time(wanted) => self.time(column)? == *wanted,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn raw(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get_unchecked(column),
            Self::MySql(row) => row.try_get_unchecked(column),
        }
    }
}

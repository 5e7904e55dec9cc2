//! Reading a row by column number, whatever the server.

use chrono::{DateTime, Utc};
use sqlx::{ColumnIndex, Decode, MySql, Row as _, Sqlite, Type, mysql::MySqlRow, sqlite::SqliteRow};
use uuid::Uuid;

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
}

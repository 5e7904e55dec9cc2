//! A table on its way into files: its columns, its rows, and the files that it becomes.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

#[cfg(feature = "parquet")]
use super::parquet::ParquetFile;

/// What a column holds. No column is ever empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// A whole number.
    Int,
    /// Yes or no.
    Bool,
    /// An instant, to the microsecond.
    Instant,
}

/// A value of a row.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Of [`Kind::Text`].
    Text(String),
    /// Of [`Kind::Int`].
    Int(i64),
    /// Of [`Kind::Bool`].
    Bool(bool),
    /// Of [`Kind::Instant`].
    Instant(DateTime<Utc>),
}

impl Cell {
    /// As CSV has it.
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bool(yes) => yes.to_string(),
            Self::Instant(at) => at.to_rfc3339_opts(SecondsFormat::Micros, true),
        }
    }
}

/// A table's name and columns.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The files' name without its ending.
    pub name: &'static str,
    /// Names and kinds, in order.
    pub columns: &'static [(&'static str, Kind)],
}

/// Writes a table row by row. Its files appear under their names whole, by [`Writer::finish`], or not at all.
pub struct Writer {
    out: PathBuf,
    shape: Shape,
    rows: u64,
    csv: csv::Writer<File>,
    #[cfg(feature = "parquet")]
    parquet: Option<ParquetFile>,
}

fn hidden(out: &Path, file: &str) -> PathBuf {
    out.join(format!(".{file}.tmp"))
}

impl Writer {
    /// Begins the CSV, and with `parquet` the Parquet beside it.
    ///
    /// # Errors
    /// When a file cannot be made, or the program was built without Parquet.
    pub fn begin(out: &Path, shape: Shape, parquet: bool) -> anyhow::Result<Self> {
        let path = hidden(out, &format!("{}.csv", shape.name));
        let mut csv = csv::Writer::from_path(&path).with_context(|| format!("{}", path.display()))?;
        csv.write_record(shape.columns.iter().map(|(name, _)| name))?;
        #[cfg(feature = "parquet")]
        let parquet = match parquet {
            true => Some(ParquetFile::begin(&hidden(out, &format!("{}.parquet", shape.name)), shape)?),
            false => None,
        };
        #[cfg(not(feature = "parquet"))]
        anyhow::ensure!(!parquet, super::NO_PARQUET);
        Ok(Self {
            out: out.to_owned(),
            shape,
            rows: 0,
            csv,
            #[cfg(feature = "parquet")]
            parquet,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// When it has not the shape's columns.
    pub fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        assert_eq!(cells.len(), self.shape.columns.len(), "a row of {} has its columns", self.shape.name);
        self.csv.write_record(cells.iter().map(Cell::text))?;
        #[cfg(feature = "parquet")]
        if let Some(parquet) = &mut self.parquet {
            parquet.row(cells)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Gives the files their names; what the manifest says of each.
    ///
    /// # Errors
    /// When a file cannot be finished.
    pub fn finish(mut self) -> anyhow::Result<Vec<Value>> {
        self.csv.flush()?;
        #[cfg_attr(not(feature = "parquet"), expect(unused_mut, reason = "only Parquet adds a file"))]
        let mut files = vec![format!("{}.csv", self.shape.name)];
        #[cfg(feature = "parquet")]
        if let Some(parquet) = self.parquet {
            parquet.finish()?;
            files.push(format!("{}.parquet", self.shape.name));
        }
        for file in &files {
            publish(&self.out, file)?;
        }
        Ok(files.into_iter().map(|name| json!({"name": name, "rows": self.rows})).collect())
    }
}

/// Gives a file that was written beside it its name.
fn publish(out: &Path, file: &str) -> anyhow::Result<()> {
    std::fs::rename(hidden(out, file), out.join(file)).with_context(|| format!("{}", out.join(file).display()))
}

/// Writes a small file, under its name whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn put(out: &Path, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = hidden(out, file);
    std::fs::write(&path, bytes).with_context(|| format!("{}", path.display()))?;
    publish(out, file)
}

//! A table as Parquet: snappy, columns written one by one, a row group at a time.

use std::{fs::File, path::Path, sync::Arc};

use anyhow::Context;
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::table::{Cell, Kind, Shape};

/// Rows of a row group: they are held in memory until it is full, some megabytes.
const GROUP_ROWS: usize = 50_000;

/// The values of a column that wait for their row group.
enum Column {
    Texts(Vec<ByteArray>),
    Numbers(Vec<i64>),
    Bools(Vec<bool>),
}

/// A file that is being written.
pub struct ParquetFile {
    writer: SerializedFileWriter<File>,
    columns: Vec<Column>,
    waiting: usize,
}

impl ParquetFile {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(path: &Path, shape: Shape) -> anyhow::Result<Self> {
        let fields: String = shape
            .columns
            .iter()
            .map(|(name, kind)| match kind {
                Kind::Text => format!("required binary {name} (STRING); "),
                Kind::Int => format!("required int64 {name}; "),
                Kind::Bool => format!("required boolean {name}; "),
                Kind::Instant => format!("required int64 {name} (TIMESTAMP(MICROS,true)); "),
            })
            .collect();
        let schema = parse_message_type(&format!("message {} {{ {fields}}}", shape.name))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let columns = shape
            .columns
            .iter()
            .map(|(_, kind)| match kind {
                Kind::Text => Column::Texts(Vec::new()),
                Kind::Int | Kind::Instant => Column::Numbers(Vec::new()),
                Kind::Bool => Column::Bools(Vec::new()),
            })
            .collect();
        Ok(Self { writer, columns, waiting: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When a row group cannot be written.
    ///
    /// # Panics
    /// When a cell is not of its column's kind.
    pub fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Texts(values), Cell::Text(text)) => values.push(text.as_str().into()),
                (Column::Numbers(values), Cell::Int(number)) => values.push(*number),
                (Column::Numbers(values), Cell::Instant(at)) => values.push(at.timestamp_micros()),
                (Column::Bools(values), Cell::Bool(yes)) => values.push(*yes),
                (_, cell) => panic!("{cell:?} is not of its column's kind"),
            }
        }
        self.waiting += 1;
        if self.waiting == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let mut writer = group.next_column()?.context("a column for every column of the shape")?;
            match (writer.untyped(), column) {
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Texts(values)) => {
                    writer.write_batch(values, None, None)?;
                    values.clear();
                }
                (ColumnWriter::Int64ColumnWriter(writer), Column::Numbers(values)) => {
                    writer.write_batch(values, None, None)?;
                    values.clear();
                }
                (ColumnWriter::BoolColumnWriter(writer), Column::Bools(values)) => {
                    writer.write_batch(values, None, None)?;
                    values.clear();
                }
                _ => anyhow::bail!("the file's schema is not the table's"),
            }
            writer.close()?;
        }
        group.close()?;
        self.waiting = 0;
        Ok(())
    }

    /// Writes what waits, and the file's end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        if self.waiting > 0 {
            self.write_group()?;
        }
        self.writer.close()?;
        Ok(())
    }
}

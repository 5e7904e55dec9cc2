//! The packed form: the bytes that are hashed, kept as an attachment of the log, and served under the hash for ever.
//!
//! The same plan must always give the same bytes, on every machine and in every version: fields are written in the order in
//! which they stand here, a number without a fraction as an integer, others as the shortest text that reads back as the same
//! 64-bit float (what `serde_json` does). A field is only ever added, and left out where it has nothing to say, so that the
//! hashes of old plans stay.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq};
use sha2::{Digest, Sha256};

use super::{Drawing, MAX_SEATS, Row, SeatingPlan, Seats, Section, sorted_by_id};

/// The content hash of a plan: SHA-256 of its packed form. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash([u8; 32]);

impl PlanHash {
    /// The hash of packed bytes.
    #[must_use]
    pub fn of(packed: &[u8]) -> Self {
        Self(Sha256::digest(packed).into())
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PlanHash {
    type Err = PackedError;
    fn from_str(text: &str) -> Result<Self, PackedError> {
        let mut bytes = [0; 32];
        // One text for one hash: what is cached for ever has one address.
        if text.bytes().any(|b| b.is_ascii_uppercase()) || hex::decode_to_slice(text, &mut bytes).is_err() {
            return Err(PackedError::Hash);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for PlanHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlanHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PlanHash {
    fn schema_name() -> Cow<'static, str> {
        "PlanHash".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "SHA-256 of a packed seating plan, hexadecimal.",
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
        })
    }
}

/// Why packed bytes or a hash could not be read. Packed bytes are our own, so this is a damaged store, not a person's mistake.
#[derive(Debug, thiserror::Error)]
pub enum PackedError {
    /// Not 64 lower-case hexadecimal digits.
    #[error("a plan's hash is 64 lower-case hexadecimal digits")]
    Hash,
    /// Not JSON of the packed shape.
    #[error("the packed seating plan cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The columns do not fit together.
    #[error("the packed seating plan contradicts itself: {0}")]
    Inconsistent(&'static str),
}

#[derive(Serialize)]
struct Packed<'a> {
    sections: &'a [Section],
    rows: &'a [Row],
    categories: &'a [String],
    seats: PackedSeats<'a>,
    #[serde(flatten)]
    drawing: &'a Drawing,
}

#[derive(Serialize)]
struct PackedSeats<'a> {
    id: &'a [String],
    row: &'a [u32],
    number: &'a [String],
    category: &'a [u32],
    #[serde(serialize_with = "numbers")]
    x: &'a [f64],
    #[serde(serialize_with = "numbers")]
    y: &'a [f64],
}

#[derive(Deserialize)]
struct Unpacked {
    sections: Vec<Section>,
    rows: Vec<Row>,
    categories: Vec<String>,
    seats: UnpackedSeats,
    #[serde(flatten)]
    drawing: Drawing,
}

#[derive(Deserialize)]
struct UnpackedSeats {
    id: Vec<String>,
    row: Vec<u32>,
    number: Vec<String>,
    category: Vec<u32>,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl SeatingPlan {
    /// The packed form: `{"sections", "rows", "categories", "seats": {"id", "row", "number", "category", "x", "y"}}`, one entry
    /// per seat in plan order, then the drawing hints. Equal plans give equal bytes.
    #[must_use]
    pub fn to_packed_json(&self) -> Vec<u8> {
        let seats = &self.seats;
        let packed = Packed {
            sections: &self.sections,
            rows: &self.rows,
            categories: &self.categories,
            seats: PackedSeats {
                id: &seats.id,
                row: &seats.row,
                number: &seats.number,
                category: &seats.category,
                x: &seats.x,
                y: &seats.y,
            },
            drawing: &self.drawing,
        };
        serde_json::to_vec(&packed).expect("a plan has string keys and finite numbers, so JSON cannot fail")
    }

    /// The hash of [`to_packed_json`](Self::to_packed_json).
    #[must_use]
    pub fn content_hash(&self) -> PlanHash {
        PlanHash::of(&self.to_packed_json())
    }

    /// Reads the packed form.
    ///
    /// # Errors
    /// [`PackedError`] when the bytes are not a plan that we packed.
    pub fn from_packed_json(packed: &[u8]) -> Result<Self, PackedError> {
        let Unpacked { sections, rows, categories, seats, drawing } = serde_json::from_slice(packed)?;
        let UnpackedSeats { id, row, number, category, x, y } = seats;
        let count = id.len();
        let check = |holds: bool, what| if holds { Ok(()) } else { Err(PackedError::Inconsistent(what)) };
        check(count <= MAX_SEATS, "it has too many seats")?;
        let lengths = [row.len(), number.len(), category.len(), x.len(), y.len()];
        check(lengths.iter().all(|length| *length == count), "its columns are not equally long")?;
        check(rows.is_sorted_by_key(|row| row.section), "its rows are not in the order of its sections")?;
        check(rows.last().is_none_or(|row| (row.section as usize) < sections.len()), "a row is in no section")?;
        check(row.is_sorted(), "its seats are not in the order of its rows")?;
        check(row.last().is_none_or(|row| (*row as usize) < rows.len()), "a seat is in no row")?;
        check(category.iter().all(|category| (*category as usize) < categories.len()), "a seat has no category")?;
        let pairs = [&drawing.row_numbers, &drawing.seat_labels, &drawing.row_number_positions];
        check(pairs.iter().all(|pairs| pairs.is_sorted_by_key(|pair| pair.0)), "its rows' hints are not in order")?;
        let by_id = sorted_by_id(&id).map_err(|_| PackedError::Inconsistent("two seats have the same id"))?;
        let seats = Seats { id, row, number, category, x, y };
        Ok(Self::assemble(sections, rows, categories, seats, drawing, by_id))
    }
}

/// A number as an integer where it is one: a plan's coordinates mostly are, and `120` is shorter than `120.0`.
#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Up to here every integer is exactly a 64-bit float.
        const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() <= MAX_EXACT {
            return serializer.serialize_i64(self.0 as i64);
        }
        serializer.serialize_f64(self.0)
    }
}

pub(super) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

fn numbers<S: Serializer>(values: &&[f64], serializer: S) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(values.len()))?;
    for value in *values {
        sequence.serialize_element(&Number(*value))?;
    }
    sequence.end()
}

pub(super) fn point<S: Serializer>(value: &Option<(f64, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|(x, y)| (Number(x), Number(y))).serialize(serializer)
}

pub(super) fn points<S: Serializer>(values: &[(f64, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|(x, y)| (Number(*x), Number(*y))))
}

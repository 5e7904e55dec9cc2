//! The room: sections, rows and seats, in columns.
//!
//! A plan comes in through pretix's open JSON format ([`SeatingPlan::import`]), which many houses have already, and goes out
//! as packed columns under its content hash ([`SeatingPlan::to_packed_json`]). In between it is this: one entry per seat in
//! **plan order**, which is zones, rows and seats as the file lists them. A seat's place in that order is its index; the status
//! string of a seat map has one character per index. So a row's seats are one range of indexes, a section's rows one range of
//! rows, and nothing is ever sorted.
//!
//! # Layout
//!
//! * [`import`](SeatingPlan::import): the file as a person made it, and where it is wrong ([`PlanFault`]).
//! * [`to_packed_json`](SeatingPlan::to_packed_json): the bytes that are hashed, stored and served.
//! * `geometry`: which seats of a row have an aisle between them.

mod fault;
mod geometry;
mod import;
mod packed;

use std::ops::Range;

pub use fault::{MAX_FAULTS, PathSegment, PlanFault};
pub use packed::{PackedError, PlanHash};

/// The most seats of a plan: the largest stadium has some 115,000 places, but nobody sells those in one plan, and the status
/// string of such a house is 100 KB.
pub const MAX_SEATS: usize = 100_000;
/// The most zones of a plan: a stadium has some 200 blocks.
pub const MAX_ZONES: usize = 1_000;
/// The most rows of a plan: as many as there could be with five seats in each.
pub const MAX_ROWS: usize = 20_000;
/// The most categories of a plan: each is at least one price, and nobody reads more prices than this.
pub const MAX_CATEGORIES: usize = 200;
/// The most areas of a plan; they are drawn only.
pub const MAX_AREAS: usize = 2_000;
/// The most corners of all the polygons of a plan together; they are drawn only.
pub const MAX_POINTS: usize = 50_000;
/// The longest name, label or number in a plan, in characters; the longest that pretix stores has 190.
pub const MAX_LABEL_CHARS: usize = 200;
/// The longest colour in a plan, in bytes.
pub const MAX_COLOR_BYTES: usize = 64;
/// The longest `seat_guid` in bytes: what a claim's resource `seat/<event>/<seat>` leaves of its key.
pub const MAX_SEAT_ID_BYTES: usize = crate::claim::MAX_RESOURCE_BYTES - "seat/".len() - UUID_CHARS - "/".len();
/// The largest coordinate or length, in the plan's pixels: thousands of screens, and far from where a float loses pixels.
pub const MAX_COORDINATE: f64 = 10_000_000.0;

/// A UUID in its hyphenated form (RFC 9562 section 4).
const UUID_CHARS: usize = 36;

/// A zone of the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Section {
    /// Its `zone_id`, else its index among the zones. A file may give two zones the same.
    pub id: String,
    /// Its name, else its id.
    pub name: String,
}

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The index of its section.
    pub section: u32,
    /// Its `row_label`, else its `row_number`.
    pub label: String,
}

/// A seat, borrowed from the columns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seat<'a> {
    /// Its `seat_guid`, byte for byte.
    pub id: &'a str,
    /// The index of its row.
    pub row: usize,
    /// Its number as the plan has it.
    pub number: &'a str,
    /// The index of its category.
    pub category: usize,
    /// Right of the plan's left edge, in the plan's pixels.
    pub x: f64,
    /// Below the plan's upper edge, in the plan's pixels.
    pub y: f64,
}

/// One entry per seat, in plan order.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seats {
    id: Vec<String>,
    row: Vec<u32>,
    number: Vec<String>,
    category: Vec<u32>,
    x: Vec<f64>,
    y: Vec<f64>,
}

/// What the plan says about how it is drawn and read out, and what nothing else depends on.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Drawing {
    /// The plan's own name.
    pub name: String,
    /// Width and height of the whole, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The colour of each category; empty where none has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub colors: Vec<Option<String>>,
    /// What is drawn beside the seats: stage, bar, standing room.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<Area>,
    /// Row by index, and its `row_number`, where that is not the label.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub row_numbers: Vec<(u32, String)>,
    /// Row by index, and its `seat_label`, in which `%s` stands for a seat's number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seat_labels: Vec<(u32, String)>,
    /// Row by index, and at which end its number is drawn: `start`, `end` or `both`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub row_number_positions: Vec<(u32, String)>,
    /// Seat by index, and its radius in pixels, where the file gives one. Others have 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub radii: Vec<(u32, i64)>,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Size {
    pub width: i64,
    pub height: i64,
}

/// Something that is drawn and not sold: how many may stand in it is a matter of ticket types.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Area {
    /// The index of its section.
    pub section: u32,
    /// `polygon`, `rectangle`, `ellipse`, `circle` or `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    /// From the plan's left edge.
    #[serde(serialize_with = "packed::number")]
    pub x: f64,
    /// From the plan's upper edge.
    #[serde(serialize_with = "packed::number")]
    pub y: f64,
    /// Degrees clockwise round that point.
    #[serde(serialize_with = "packed::number")]
    pub rotation: f64,
    /// Fill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Outline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border_color: Option<String>,
    /// A polygon's corners, from the area's own point.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "packed::points")]
    pub points: Vec<(f64, f64)>,
    /// A rectangle's sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// An ellipse's half axes; twice the same for a circle.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "packed::point")]
    pub radius: Option<(f64, f64)>,
    /// What is written in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<AreaText>,
}

/// What is written in an area.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct AreaText {
    /// The text.
    pub text: String,
    /// Its colour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Its size in pixels; 16 where the file gives none.
    pub size: i64,
    /// From the area's own point.
    #[serde(serialize_with = "packed::number")]
    pub x: f64,
    /// From the area's own point.
    #[serde(serialize_with = "packed::number")]
    pub y: f64,
}

/// A seating plan. Immutable; two equal plans have equal bytes and so the same [`PlanHash`].
#[derive(Clone, Debug, PartialEq)]
pub struct SeatingPlan {
    sections: Vec<Section>,
    rows: Vec<Row>,
    categories: Vec<String>,
    seats: Seats,
    drawing: Drawing,
    /// The seats of each row.
    row_ranges: Vec<Range<usize>>,
    /// The rows of each section.
    section_ranges: Vec<Range<usize>>,
    /// The seats in the order of their ids' bytes, so that a seat is found without a second copy of its id.
    by_id: Vec<u32>,
    /// Whether an aisle, or the row's beginning, is before a seat.
    opens_block: Vec<bool>,
}

impl SeatingPlan {
    /// The sections, in plan order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The rows, in plan order.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The categories, as declared.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// How it is drawn and read out.
    #[must_use]
    pub const fn drawing(&self) -> &Drawing {
        &self.drawing
    }

    /// How many seats there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seats.id.len()
    }

    /// Whether there is no seat.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.id.is_empty()
    }

    /// The seat of an index.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    #[must_use]
    pub fn seat(&self, index: usize) -> Seat<'_> {
        Seat {
            id: &self.seats.id[index],
            row: self.seats.row[index] as usize,
            number: &self.seats.number[index],
            category: self.seats.category[index] as usize,
            x: self.seats.x[index],
            y: self.seats.y[index],
        }
    }

    /// All the seats, in plan order.
    pub fn seats(&self) -> impl ExactSizeIterator<Item = Seat<'_>> {
        (0..self.len()).map(|index| self.seat(index))
    }

    /// All the seats' ids, in plan order.
    #[must_use]
    pub fn seat_ids(&self) -> &[String] {
        &self.seats.id
    }

    /// The indexes of a row's seats.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row_seats(&self, row: usize) -> Range<usize> {
        self.row_ranges[row].clone()
    }

    /// The indexes of a section's rows.
    ///
    /// # Panics
    /// When there is no such section.
    #[must_use]
    pub fn section_rows(&self, section: usize) -> Range<usize> {
        self.section_ranges[section].clone()
    }

    /// The index of the seat of that id, which compares byte for byte.
    #[must_use]
    pub fn seat_index(&self, id: &str) -> Option<usize> {
        let ids = &self.seats.id;
        self.by_id
            .binary_search_by(|index| ids[*index as usize].as_str().cmp(id))
            .ok()
            .map(|at| self.by_id[at] as usize)
    }

    /// The category of a seat, by name.
    ///
    /// # Panics
    /// When there is no such seat.
    #[must_use]
    pub fn category_of(&self, index: usize) -> &str {
        &self.categories[self.seats.category[index] as usize]
    }

    /// The index of the category of that name.
    #[must_use]
    pub fn category_index(&self, name: &str) -> Option<usize> {
        self.categories.iter().position(|category| category == name)
    }

    /// The indexes of the seats of a category, in plan order.
    pub fn seats_in_category(&self, category: usize) -> impl Iterator<Item = usize> {
        self.seats.category.iter().enumerate().filter(move |(_, of)| **of as usize == category).map(|(index, _)| index)
    }

    /// How many seats each category has, in the order of [`categories`](Self::categories).
    #[must_use]
    pub fn category_sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0; self.categories.len()];
        for category in &self.seats.category {
            sizes[*category as usize] += 1;
        }
        sizes
    }

    /// Section, row and number as a person reads them: `Balcony, A, 12`. Where the plan has words for row and seat
    /// (`Row %s`), they are used.
    ///
    /// # Panics
    /// When there is no such seat.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        let seat = self.seat(index);
        let row = &self.rows[seat.row];
        let of_row = |pairs: &'_ [(u32, String)]| {
            pairs.binary_search_by_key(&seat.row, |(row, _)| *row as usize).ok().map(|at| pairs[at].1.clone())
        };
        let row_text = match of_row(&self.drawing.row_numbers) {
            Some(number) => row.label.replace("%s", &number),
            None => row.label.clone(),
        };
        let seat_text = match of_row(&self.drawing.seat_labels) {
            Some(pattern) => pattern.replace("%s", seat.number),
            None => seat.number.to_owned(),
        };
        let parts = [self.sections[row.section as usize].name.clone(), row_text, seat_text];
        parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the row's beginning or an aisle is before this seat, so that whoever sits here does not sit beside the seat
    /// before it in plan order.
    ///
    /// # Panics
    /// When there is no such seat.
    #[must_use]
    pub fn opens_block(&self, index: usize) -> bool {
        self.opens_block[index]
    }

    /// Puts the columns together. Both ways in have checked that every index points at something, that `rows` are in the order
    /// of their sections and seats in the order of their rows, and that no id comes twice.
    fn assemble(
        sections: Vec<Section>,
        rows: Vec<Row>,
        categories: Vec<String>,
        seats: Seats,
        drawing: Drawing,
        by_id: Vec<u32>,
    ) -> Self {
        let section_ranges = ranges(sections.len(), rows.iter().map(|row| row.section));
        let row_ranges = ranges(rows.len(), seats.row.iter().copied());
        let opens_block = geometry::block_openings(&row_ranges, &seats.x, &seats.y);
        Self { sections, rows, categories, seats, drawing, row_ranges, section_ranges, by_id, opens_block }
    }
}

/// The range of children of each of `parents` parents, where `parent_of` gives each child's parent in rising order.
fn ranges(parents: usize, parent_of: impl Iterator<Item = u32>) -> Vec<Range<usize>> {
    let mut ranges = vec![0..0; parents];
    for (child, parent) in parent_of.enumerate() {
        let range = &mut ranges[parent as usize];
        if range.start == range.end {
            *range = child..child;
        }
        assert_eq!(range.end, child, "children stand in the order of their parents");
        range.end = child + 1;
    }
    ranges
}

/// The seats in the order of their ids; the index of a seat whose id another has already, if there is one.
fn sorted_by_id(ids: &[String]) -> Result<Vec<u32>, usize> {
    let mut by_id: Vec<u32> = (0..u32::try_from(ids.len()).expect("a plan has at most MAX_SEATS seats")).collect();
    by_id.sort_unstable_by(|a, b| ids[*a as usize].cmp(&ids[*b as usize]));
    match by_id.windows(2).find(|pair| ids[pair[0] as usize] == ids[pair[1] as usize]) {
        Some(pair) => Err(pair[0].max(pair[1]) as usize),
        None => Ok(by_id),
    }
}

#[cfg(test)]
pub(crate) mod tests;

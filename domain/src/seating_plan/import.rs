//! Reading pretix's open JSON format for seating plans.
//!
//! The rules are those of the JSON Schema that pretix publishes with its source (`seating-plan.schema.json`, version 0.0.1), with
//! three differences. Members that it does not know are tolerated, since the files of real houses carry notes of the programs
//! that made them. `size`, which older versions did not have, may be missing. And what the schema cannot say is checked too:
//! that a seat's category is declared, that no `seat_guid` comes twice, and the limits of this module.
//!
//! The reader goes on after a fault and reports all of them, up to [`MAX_FAULTS`](super::MAX_FAULTS), each with its place.

use std::collections::{HashMap, hash_map::Entry};

use serde_json::{Map, Value};

use super::{
    Area, AreaText, Drawing, MAX_AREAS, MAX_CATEGORIES, MAX_COLOR_BYTES, MAX_COORDINATE, MAX_LABEL_CHARS, MAX_POINTS,
    MAX_ROWS, MAX_SEAT_ID_BYTES, MAX_SEATS, MAX_ZONES, PlanFault, Row, SeatingPlan, Seats, Section, Size,
    fault::{Faults, Step},
    sorted_by_id,
};
use crate::text::is_unfit;

type Object = Map<String, Value>;

impl SeatingPlan {
    /// Reads a plan in pretix's JSON format.
    ///
    /// A zone becomes a section; its id is `zone_id`, else the zone's index. A row's label is `row_label`, else `row_number`. A
    /// seat's point is the sum of the zone's, the row's and its own `position`. An area is drawn only.
    ///
    /// # Errors
    /// Every fault with its place, in the order of the file, at most [`MAX_FAULTS`](super::MAX_FAULTS).
    pub fn import(plan: &Value) -> Result<Self, Vec<PlanFault>> {
        let mut import = Import::default();
        import.plan(plan);
        import.faults.into_result()?;
        // That no id comes twice was checked seat by seat, to report where.
        let by_id = sorted_by_id(&import.seats.id).expect("the reader refuses a seat_guid that came before");
        Ok(Self::assemble(import.sections, import.rows, import.categories, import.seats, import.drawing, by_id))
    }
}

/// A point relative to what it stands in.
#[derive(Clone, Copy, Default)]
struct Point {
    x: f64,
    y: f64,
}

impl Point {
    fn plus(self, other: Self) -> Self {
        Self { x: on_grid(self.x + other.x), y: on_grid(self.y + other.y) }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Import<'v> {
    faults: Faults,
    sections: Vec<Section>,
    rows: Vec<Row>,
    categories: Vec<String>,
    seats: Seats,
    drawing: Drawing,
    category_index: HashMap<&'v str, u32>,
    /// False where `categories` itself is faulty, so that not every seat is reported for it.
    categories_known: bool,
    /// The place of each seat's id in the file: zone, row of that zone, seat of that row.
    places: HashMap<&'v str, [usize; 3]>,
    points: usize,
}

impl<'v> Import<'v> {
    fn plan(&mut self, plan: &'v Value) {
        let Some(plan) = object(&mut self.faults, plan) else { return };
        self.drawing.name = text(&mut self.faults, plan, "name", Need::Must).unwrap_or_default().to_owned();
        let faults_before = self.faults.count();
        self.each(plan, "categories", Need::Must, MAX_CATEGORIES, Self::category);
        self.categories_known = self.faults.count() == faults_before;
        self.each(plan, "zones", Need::Must, MAX_ZONES, Self::zone);
        if let Some(size) = member_object(&mut self.faults, plan, "size", Need::May) {
            self.drawing.size = self.at(Step::Key("size"), |import| import.size(size));
        }
        if self.drawing.colors.iter().all(Option::is_none) {
            self.drawing.colors.clear();
        }
    }

    fn category(&mut self, category: &'v Value, _: usize) {
        let Some(category) = object(&mut self.faults, category) else { return };
        let name = text(&mut self.faults, category, "name", Need::Must);
        let color = color(&mut self.faults, category, "color");
        let Some(name) = name else { return };
        if name.trim().is_empty() {
            self.at(Step::Key("name"), |import| import.faults.report("must not be blank"));
            return;
        }
        // A category that is declared twice is one category; its first colour counts.
        if !self.category_index.contains_key(name) {
            self.category_index.insert(name, index(self.categories.len()));
            self.categories.push(name.to_owned());
            self.drawing.colors.push(color.map(str::to_owned));
        }
    }

    fn zone(&mut self, zone: &'v Value, at: usize) -> Go {
        let Some(zone) = object(&mut self.faults, zone) else { return Go::On };
        let id = text(&mut self.faults, zone, "zone_id", Need::May).filter(|id| !id.is_empty());
        let id = id.map_or_else(|| at.to_string(), str::to_owned);
        let name = text(&mut self.faults, zone, "name", Need::May).filter(|name| !name.is_empty());
        let name = name.map_or_else(|| id.clone(), str::to_owned);
        text(&mut self.faults, zone, "uuid", Need::May);
        let origin = position(&mut self.faults, zone, Need::Must);
        let section = index(self.sections.len());
        self.sections.push(Section { id, name });
        let rows = self.each(zone, "rows", Need::Must, MAX_ROWS, |import, row, row_at| {
            if import.rows.len() == MAX_ROWS {
                import.faults.report(format!("the plan has more than {MAX_ROWS} rows"));
                return Go::Stop;
            }
            import.row(row, [at, row_at], section, origin)
        });
        if matches!(rows, Go::Stop) {
            return Go::Stop;
        }
        self.each(zone, "areas", Need::May, MAX_AREAS, |import, area, _| import.area(area, section, origin))
    }

    fn row(&mut self, row: &'v Value, [zone_at, row_at]: [usize; 2], section: u32, origin: Point) -> Go {
        let Some(row) = object(&mut self.faults, row) else { return Go::On };
        let number = text(&mut self.faults, row, "row_number", Need::Must);
        let label = text(&mut self.faults, row, "row_label", Need::MayBeNull).filter(|label| !label.is_empty());
        let seat_label = text(&mut self.faults, row, "seat_label", Need::MayBeNull).filter(|label| !label.is_empty());
        let number_position =
            one_of(&mut self.faults, row, "row_number_position", Need::MayBeNull, &["start", "end", "both"]);
        text(&mut self.faults, row, "uuid", Need::May);
        let origin = origin.plus(position(&mut self.faults, row, Need::May));
        let row_index = index(self.rows.len());
        let number = number.unwrap_or_default();
        self.rows.push(Row { section, label: label.unwrap_or(number).to_owned() });
        let hint = |text: &str| (row_index, text.to_owned());
        self.drawing.row_numbers.extend(label.filter(|label| *label != number).map(|_| hint(number)));
        self.drawing.seat_labels.extend(seat_label.map(hint));
        self.drawing.row_number_positions.extend(number_position.map(hint));
        self.each(row, "seats", Need::Must, MAX_SEATS, |import, seat, seat_at| {
            if import.seats.id.len() == MAX_SEATS {
                import.faults.report(format!("the plan has more than {MAX_SEATS} seats"));
                return Go::Stop;
            }
            import.seat(seat, [zone_at, row_at, seat_at], row_index, origin);
            Go::On
        })
    }

    fn seat(&mut self, seat: &'v Value, place: [usize; 3], row: u32, origin: Point) {
        let faults_before = self.faults.count();
        let Some(seat) = object(&mut self.faults, seat) else { return };
        let id = self.seat_id(seat, place);
        let number = text(&mut self.faults, seat, "seat_number", Need::Must);
        let point = origin.plus(position(&mut self.faults, seat, Need::Must));
        let category = self.seat_category(seat);
        let radius = integer(&mut self.faults, seat, "radius", Need::May, 0);
        text(&mut self.faults, seat, "uuid", Need::May);
        text(&mut self.faults, seat, "start_direction", Need::MayBeNull);
        if self.faults.count() > faults_before {
            return;
        }
        let (Some(id), Some(number), Some(category)) = (id, number, category) else { return };
        self.drawing.radii.extend(radius.map(|radius| (index(self.seats.id.len()), radius)));
        self.seats.id.push(id.to_owned());
        self.seats.row.push(row);
        self.seats.number.push(number.to_owned());
        self.seats.category.push(category);
        self.seats.x.push(point.x);
        self.seats.y.push(point.y);
    }

    fn seat_id(&mut self, seat: &'v Object, place: [usize; 3]) -> Option<&'v str> {
        let id = string(&mut self.faults, seat, "seat_guid", Need::Must)?;
        let fault = if id.is_empty() {
            "must not be empty".to_owned()
        } else if id.len() > MAX_SEAT_ID_BYTES {
            format!("has {} bytes; the most is {MAX_SEAT_ID_BYTES}", id.len())
        } else if id.chars().any(char::is_control) {
            "must not have control characters".to_owned()
        } else {
            match self.places.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                    return Some(id);
                }
                Entry::Occupied(first) => {
                    let [zone, row, seat] = first.get();
                    format!("must be unique, but zones[{zone}].rows[{row}].seats[{seat}] has {id:?} too")
                }
            }
        };
        self.at(Step::Key("seat_guid"), |import| import.faults.report(fault));
        None
    }

    fn seat_category(&mut self, seat: &'v Object) -> Option<u32> {
        let name = string(&mut self.faults, seat, "category", Need::Must)?;
        let category = self.category_index.get(name).copied();
        if category.is_none() && self.categories_known {
            let shown: String = name.chars().take(MAX_LABEL_CHARS).collect();
            let message = format!("{shown:?} is not the name of one of the plan's categories");
            self.at(Step::Key("category"), |import| import.faults.report(message));
        }
        category
    }

    fn size(&mut self, size: &'v Object) -> Option<Size> {
        let width = integer(&mut self.faults, size, "width", Need::Must, 0);
        let height = integer(&mut self.faults, size, "height", Need::Must, 0);
        Some(Size { width: width?, height: height? })
    }

    fn area(&mut self, area: &'v Value, section: u32, origin: Point) -> Go {
        if self.drawing.areas.len() == MAX_AREAS {
            self.faults.report(format!("the plan has more than {MAX_AREAS} areas"));
            return Go::Stop;
        }
        let Some(area) = object(&mut self.faults, area) else { return Go::On };
        let shapes = ["polygon", "rectangle", "ellipse", "circle", "text"];
        let shape = one_of(&mut self.faults, area, "shape", Need::May, &shapes);
        let point = origin.plus(position(&mut self.faults, area, Need::May));
        text(&mut self.faults, area, "uuid", Need::May);
        let read = Area {
            section,
            shape: shape.map(str::to_owned),
            x: point.x,
            y: point.y,
            rotation: number(&mut self.faults, area, "rotation", Need::May).unwrap_or_default(),
            color: color(&mut self.faults, area, "color").map(str::to_owned),
            border_color: color(&mut self.faults, area, "border_color").map(str::to_owned),
            points: self.within(area, "polygon", Self::corners).unwrap_or_default(),
            size: self.within(area, "rectangle", Self::size).flatten(),
            radius: self.radius(area),
            text: self.within(area, "text", Self::area_text),
        };
        self.drawing.areas.push(read);
        Go::On
    }

    fn corners(&mut self, polygon: &'v Object) -> Vec<(f64, f64)> {
        let mut corners = Vec::new();
        self.each(polygon, "points", Need::Must, MAX_POINTS, |import, point, _| {
            import.points += 1;
            if import.points > MAX_POINTS {
                import.faults.report(format!("the plan's polygons have more than {MAX_POINTS} points"));
                return Go::Stop;
            }
            let point = object(&mut import.faults, point).map(|point| read_point(&mut import.faults, point));
            corners.extend(point.map(|Point { x, y }| (x, y)));
            Go::On
        });
        corners
    }

    fn radius(&mut self, area: &'v Object) -> Option<(f64, f64)> {
        let ellipse = self.within(area, "ellipse", |import, ellipse| {
            let radius = member_object(&mut import.faults, ellipse, "radius", Need::Must)?;
            let Point { x, y } = import.at(Step::Key("radius"), |import| read_point(&mut import.faults, radius));
            Some((x, y))
        });
        let circle = self.within(area, "circle", |import, circle| {
            let radius = integer(&mut import.faults, circle, "radius", Need::Must, 0)? as f64;
            Some((radius, radius))
        });
        ellipse.flatten().or(circle.flatten())
    }

    fn area_text(&mut self, of: &'v Object) -> AreaText {
        /// What the format says of a text without a size.
        const DEFAULT_SIZE: i64 = 16;
        let text = text(&mut self.faults, of, "text", Need::Must).unwrap_or_default().to_owned();
        let color = color(&mut self.faults, of, "color").map(str::to_owned);
        let size = integer(&mut self.faults, of, "size", Need::May, 0).unwrap_or(DEFAULT_SIZE);
        let Point { x, y } = position(&mut self.faults, of, Need::Must);
        AreaText { text, color, size, x, y }
    }

    fn at<T>(&mut self, step: Step, look: impl FnOnce(&mut Self) -> T) -> T {
        self.faults.enter(step);
        let result = look(self);
        self.faults.leave();
        result
    }

    /// Looks into an object that may be missing.
    fn within<T>(
        &mut self,
        object: &'v Object,
        key: &'static str,
        look: impl FnOnce(&mut Self, &'v Object) -> T,
    ) -> Option<T> {
        let inner = member_object(&mut self.faults, object, key, Need::May)?;
        Some(self.at(Step::Key(key), |import| look(import, inner)))
    }

    /// Looks at each element of an array, until there are faults enough.
    fn each<R: Into<Go>>(
        &mut self,
        object: &'v Object,
        key: &'static str,
        need: Need,
        max: usize,
        mut look: impl FnMut(&mut Self, &'v Value, usize) -> R,
    ) -> Go {
        let Some(elements) = member(&mut self.faults, object, key, need) else { return Go::On };
        self.at(Step::Key(key), |import| {
            let Value::Array(elements) = elements else {
                import.faults.report(format!("must be an array, not {}", kind(elements)));
                return Go::On;
            };
            if elements.len() > max {
                import.faults.report(format!("has {} elements; the most is {max}", elements.len()));
                return Go::Stop;
            }
            for (at, element) in elements.iter().enumerate() {
                let go = import.at(Step::Index(at), |import| look(import, element, at).into());
                if matches!(go, Go::Stop) || import.faults.is_full() {
                    return Go::Stop;
                }
            }
            Go::On
        })
    }
}

/// Whether the reader goes on after an element: it stops at a limit of the whole plan.
#[derive(Clone, Copy)]
enum Go {
    On,
    Stop,
}

impl From<()> for Go {
    fn from((): ()) -> Self {
        Self::On
    }
}

/// Whether a member may be missing.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Must,
    May,
    MayBeNull,
}

fn index(count: usize) -> u32 {
    u32::try_from(count).expect("every count of a plan has a limit far below 2^32")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn object<'v>(faults: &mut Faults, value: &'v Value) -> Option<&'v Object> {
    let object = value.as_object();
    if object.is_none() {
        faults.report(format!("must be an object, not {}", kind(value)));
    }
    object
}

fn member<'v>(faults: &mut Faults, object: &'v Object, key: &'static str, need: Need) -> Option<&'v Value> {
    match object.get(key) {
        Some(Value::Null) if need == Need::MayBeNull => None,
        Some(value) => Some(value),
        None => {
            if need == Need::Must {
                faults.at(Step::Key(key), |faults| faults.report("is missing"));
            }
            None
        }
    }
}

fn member_object<'v>(faults: &mut Faults, of: &'v Object, key: &'static str, need: Need) -> Option<&'v Object> {
    let value = member(faults, of, key, need)?;
    faults.at(Step::Key(key), |faults| object(faults, value))
}

fn string<'v>(faults: &mut Faults, object: &'v Object, key: &'static str, need: Need) -> Option<&'v str> {
    let value = member(faults, object, key, need)?;
    let string = value.as_str();
    if string.is_none() {
        faults.at(Step::Key(key), |faults| faults.report(format!("must be a string, not {}", kind(value))));
    }
    string
}

/// A string that a person reads: bounded, without control characters.
fn text<'v>(faults: &mut Faults, object: &'v Object, key: &'static str, need: Need) -> Option<&'v str> {
    let text = string(faults, object, key, need)?;
    // Bytes first: a string that is short enough in bytes needs no counting.
    let fault = if text.len() > MAX_LABEL_CHARS && text.chars().count() > MAX_LABEL_CHARS {
        format!("has {} characters; the most is {MAX_LABEL_CHARS}", text.chars().count())
    } else if let Some(unfit) = text.chars().find(|c| is_unfit(*c) && *c != '\n') {
        format!("must not have the character U+{:04X}", u32::from(unfit))
    } else {
        return Some(text);
    };
    faults.at(Step::Key(key), |faults| faults.report(fault));
    None
}

/// A colour, which clients put into a drawing: what CSS colours are written with and nothing that ends an attribute.
fn color<'v>(faults: &mut Faults, object: &'v Object, key: &'static str) -> Option<&'v str> {
    let color = string(faults, object, key, Need::May)?;
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"#(),.%/+- ".contains(&b);
    if color.len() <= MAX_COLOR_BYTES && color.bytes().all(is_fit) {
        return Some(color).filter(|color| !color.is_empty());
    }
    let message = format!("must be a CSS colour such as \"#7f4a91\", of at most {MAX_COLOR_BYTES} bytes");
    faults.at(Step::Key(key), |faults| faults.report(message));
    None
}

fn one_of<'v>(
    faults: &mut Faults,
    object: &'v Object,
    key: &'static str,
    need: Need,
    allowed: &[&str],
) -> Option<&'v str> {
    let value = string(faults, object, key, need)?;
    if allowed.contains(&value) {
        return Some(value);
    }
    faults.at(Step::Key(key), |faults| faults.report(format!("must be one of {}", allowed.join(", "))));
    None
}

fn number(faults: &mut Faults, object: &Object, key: &'static str, need: Need) -> Option<f64> {
    let value = member(faults, object, key, need)?;
    let number = value.as_f64();
    let fault = match number {
        Some(number) if number.abs() <= MAX_COORDINATE => return Some(on_grid(number)),
        Some(_) => format!("must be between -{MAX_COORDINATE} and {MAX_COORDINATE}"),
        None => format!("must be a number, not {}", kind(value)),
    };
    faults.at(Step::Key(key), |faults| faults.report(fault));
    None
}

/// An integer of at least `min`; `10.0` is one, as in JSON Schema.
fn integer(faults: &mut Faults, object: &Object, key: &'static str, need: Need, min: i64) -> Option<i64> {
    let number = number(faults, object, key, need)?;
    let integer = number as i64;
    let fault = if number.fract() != 0.0 {
        "must be an integer".to_owned()
    } else if integer < min {
        format!("must be at least {min}")
    } else {
        return Some(integer);
    };
    faults.at(Step::Key(key), |faults| faults.report(fault));
    None
}

/// The nearest hundred-millionth. So fine that no drawing shows it, and so coarse that a number's decimal digits, read by any JSON
/// parser, give the same 64-bit float again: three times [`MAX_COORDINATE`] in these units is below 2^53, up to which division
/// by a power of ten is exact to the last bit. Otherwise a plan that was packed and unpacked might have another hash.
fn on_grid(number: f64) -> f64 {
    const UNITS: f64 = 1e8;
    // Adding 0 turns a negative zero, which would be written otherwise, into zero.
    (number * UNITS).round() / UNITS + 0.0
}

fn position(faults: &mut Faults, of: &Object, need: Need) -> Point {
    let Some(position) = member_object(faults, of, "position", need) else { return Point::default() };
    faults.at(Step::Key("position"), |faults| read_point(faults, position))
}

fn read_point(faults: &mut Faults, point: &Object) -> Point {
    let x = number(faults, point, "x", Need::Must).unwrap_or_default();
    let y = number(faults, point, "y", Need::Must).unwrap_or_default();
    Point { x, y }
}

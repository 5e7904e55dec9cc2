//! The demo's houses, as pretix seating plans: a hall of 2,160 numbered seats in three sections with curved rows, and an arena of
//! 20,000.

use serde_json::{Value, json};

struct Section {
    name: &'static str,
    rows: u32,
    seats_a_row: u32,
    /// Where it begins, in plan units from the stage.
    y: f64,
}

/// A house with numbered seats.
pub struct House {
    name: &'static str,
    sections: &'static [Section],
}

/// Saigon Hall.
pub const HALL: House = House {
    name: "Saigon Hall",
    sections: &[
        Section { name: "Stalls", rows: 24, seats_a_row: 45, y: 0.0 },
        Section { name: "Circle", rows: 16, seats_a_row: 45, y: 700.0 },
        Section { name: "Gallery", rows: 8, seats_a_row: 45, y: 1180.0 },
    ],
};

/// The largest one of the demo.
pub const ARENA: House = House {
    name: "Arena",
    sections: &[
        Section { name: "Floor", rows: 40, seats_a_row: 100, y: 0.0 },
        Section { name: "Lower tier", rows: 60, seats_a_row: 100, y: 1100.0 },
        Section { name: "Upper tier", rows: 100, seats_a_row: 100, y: 2700.0 },
    ],
};

/// How much room is left around the seats, in plan units.
const MARGIN: f64 = 120.0;
const SEAT_PITCH: f64 = 20.0;
const ROW_PITCH: f64 = 25.0;
/// How far the last seat of a row is set back against its middle, in plan units: the curve towards the stage.
const SAGITTA: f64 = 18.0;

/// The row with places for wheelchairs at both ends.
const WHEELCHAIR_ROW: u32 = 11;

fn category(section: usize, row: u32, seat: u32, seats: u32) -> &'static str {
    match section {
        0 if row == WHEELCHAIR_ROW && (seat < 2 || seat >= seats - 2) => "Wheelchair",
        0 if row < 4 => "VIP",
        2 => "Gallery",
        _ => "Regular",
    }
}

/// The plan, in pretix's open JSON format.
#[must_use]
pub fn plan(house: &House) -> Value {
    let width = house.sections.iter().map(|section| f64::from(section.seats_a_row) * SEAT_PITCH).fold(0.0, f64::max);
    let height =
        house.sections.iter().map(|section| section.y + f64::from(section.rows) * ROW_PITCH).fold(0.0, f64::max);
    let zones: Vec<Value> = house
        .sections
        .iter()
        .enumerate()
        .map(|(index, section)| {
            let rows: Vec<Value> = (0..section.rows)
                .map(|row| {
                    let middle = f64::from(section.seats_a_row - 1) / 2.0;
                    let seats: Vec<Value> = (0..section.seats_a_row)
                        .map(|seat| {
                            let from_middle = (f64::from(seat) - middle) / middle;
                            json!({
                                "seat_guid": format!("{}-{}-{}", section.name, row + 1, seat + 1),
                                "seat_number": (seat + 1).to_string(),
                                "position": { "x": f64::from(seat) * SEAT_PITCH, "y": -SAGITTA * from_middle * from_middle },
                                "category": category(index, row, seat, section.seats_a_row),
                            })
                        })
                        .collect();
                    json!({
                        "row_number": (row + 1).to_string(),
                        "row_number_position": "both",
                        "position": { "x": 0.0, "y": f64::from(row) * ROW_PITCH },
                        "seats": seats,
                    })
                })
                .collect();
            json!({
                "name": section.name,
                "zone_id": section.name.to_lowercase(),
                "position": { "x": 60.0, "y": 120.0 + section.y },
                "rows": rows,
                "areas": [],
            })
        })
        .collect();
    json!({
        "name": house.name,
        "categories": [
            { "name": "VIP", "color": "#c0392b" },
            { "name": "Regular", "color": "#2980b9" },
            { "name": "Gallery", "color": "#27ae60" },
            { "name": "Wheelchair", "color": "#8e44ad" },
        ],
        "zones": zones,
        "size": { "width": width + MARGIN, "height": height + 2.0 * MARGIN },
    })
}

#[cfg(test)]
mod tests {
    use tickiz_domain::seating_plan::SeatingPlan;

    use super::*;

    #[test]
    fn the_hall_has_two_thousand_seats_and_the_arena_twenty_thousand() {
        for (house, wanted) in [(&HALL, 2_160), (&ARENA, 20_000)] {
            let plan = SeatingPlan::import(&plan(house)).expect("a plan by the format");
            assert_eq!(plan.len(), wanted, "{}", house.name);
        }
    }
}

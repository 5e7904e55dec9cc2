//! The demo's hall: 500 numbered seats in three sections with slightly curved rows, as a pretix seating plan.

use serde_json::{Value, json};

struct Section {
    name: &'static str,
    rows: u32,
    seats_a_row: u32,
    /// Where it begins, in plan units from the stage.
    y: f64,
}

const SECTIONS: [Section; 3] = [
    Section { name: "Stalls", rows: 12, seats_a_row: 25, y: 0.0 },
    Section { name: "Circle", rows: 6, seats_a_row: 25, y: 340.0 },
    Section { name: "Gallery", rows: 2, seats_a_row: 25, y: 520.0 },
];
const SEAT_PITCH: f64 = 20.0;
const ROW_PITCH: f64 = 25.0;
/// How far the last seat of a row is set back against its middle, in plan units: the curve towards the stage.
const SAGITTA: f64 = 18.0;

fn category(section: usize, row: u32, seat: u32, seats: u32) -> &'static str {
    match section {
        0 if row == 11 && (seat < 2 || seat >= seats - 2) => "Wheelchair",
        0 if row < 4 => "VIP",
        2 => "Gallery",
        _ => "Regular",
    }
}

/// The plan, in pretix's open JSON format.
#[must_use]
pub fn plan() -> Value {
    let zones: Vec<Value> = SECTIONS
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
        "name": "Saigon Hall",
        "categories": [
            { "name": "VIP", "color": "#c0392b" },
            { "name": "Regular", "color": "#2980b9" },
            { "name": "Gallery", "color": "#27ae60" },
            { "name": "Wheelchair", "color": "#8e44ad" },
        ],
        "zones": zones,
        "size": { "width": 620.0, "height": 740.0 },
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_hall_has_five_hundred_seats() {
        let plan = super::plan();
        let seats: usize = plan["zones"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|zone| zone["rows"].as_array().into_iter().flatten())
            .map(|row| row["seats"].as_array().map_or(0, Vec::len))
            .sum();
        assert_eq!(seats, 500);
    }
}

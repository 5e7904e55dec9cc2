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
    use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

    use tickiz_domain::seating_plan::SeatingPlan;

    use super::*;

    /// A plan's seats as dots in the colours of their categories. A category is one path of lines without length, whose round
    /// ends are the dots: a tenth of what as many circles would take.
    fn picture(plan: &Value) -> String {
        let number = |value: &Value| value.as_f64().expect("a number");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let mut dots: BTreeMap<String, String> = BTreeMap::new();
        let mut names = String::new();
        for zone in list(&plan["zones"]) {
            let (x, y) = (number(&zone["position"]["x"]), number(&zone["position"]["y"]));
            let name = zone["name"].as_str().expect("a name");
            writeln!(names, "<text x=\"{x}\" y=\"{}\">{name}</text>", y - 38.0).expect("a String takes everything");
            for row in list(&zone["rows"]) {
                let (x, y) = (x + number(&row["position"]["x"]), y + number(&row["position"]["y"]));
                for seat in list(&row["seats"]) {
                    let (x, y) = (x + number(&seat["position"]["x"]), y + number(&seat["position"]["y"]));
                    let path = dots.entry(seat["category"].as_str().expect("a category").to_owned()).or_default();
                    write!(path, "M{x:.0} {y:.0}h0").expect("a String takes everything");
                }
            }
        }
        let (width, height) = (number(&plan["size"]["width"]), number(&plan["size"]["height"]));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" width=\"440\" role=\"img\">\n\
             <title>{}</title>\n<style>text{{font:22px system-ui,sans-serif;fill:#1c2733}}.ground{{fill:#fff}}\
             path{{fill:none;stroke-width:15;stroke-linecap:round}}.stage{{fill:#5b7690}}\
             @media(prefers-color-scheme:dark){{text{{fill:#e4ebf2}}.ground{{fill:#11181f}}}}</style>\n\
             <rect class=\"ground\" width=\"100%\" height=\"100%\" rx=\"12\"/>\n\
             <rect class=\"stage\" x=\"{}\" y=\"18\" width=\"{}\" height=\"14\" rx=\"6\"/>\n",
            height + 60.0,
            plan["name"].as_str().expect("a name"),
            width * 0.3,
            width * 0.4,
        );
        let mut legend = 60.0;
        for category in list(&plan["categories"]) {
            let (name, colour) =
                (category["name"].as_str().expect("a name"), category["color"].as_str().expect("a colour"));
            writeln!(svg, "<path stroke=\"{colour}\" d=\"{}\"/>", dots[name]).expect("a String takes everything");
            let y = height + 20.0;
            writeln!(
                names,
                "<path stroke=\"{colour}\" d=\"M{legend} {}h0\"/><text x=\"{}\" y=\"{y}\">{name}</text>",
                y - 7.0,
                legend + 18.0
            )
            .expect("a String takes everything");
            legend += 180.0;
        }
        svg + &names + "</svg>\n"
    }

    #[test]
    fn the_picture_of_the_hall_is_its_plan() {
        let picture = picture(&plan(&HALL));
        assert_eq!(picture.matches("h0").count(), 2_160 + 4, "every seat, and the categories");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/demo-hall.svg");
        if std::env::var("TICKIZ_BLESS").is_ok_and(|value| value == "1") {
            fs::write(&file, &picture).expect("the file can be written");
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(committed == picture, "docs/pictures/demo-hall.svg is not the plan: run `cargo xtask schema`");
    }

    #[test]
    fn the_hall_has_two_thousand_seats_and_the_arena_twenty_thousand() {
        for (house, wanted) in [(&HALL, 2_160), (&ARENA, 20_000)] {
            let plan = SeatingPlan::import(&plan(house)).expect("a plan by the format");
            assert_eq!(plan.len(), wanted, "{}", house.name);
        }
    }
}

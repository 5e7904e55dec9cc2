use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A hall of straight rows, the front one first, 30 pixels from row to row and 20 from seat to seat. Each element of `rows` is a
/// row: a letter per seat, which is its category; a space is an aisle of the width of two seats.
pub(crate) fn hall(rows: &[&str]) -> SeatingPlan {
    SeatingPlan::import(&hall_json(rows)).unwrap()
}

fn hall_json(rows: &[&str]) -> Value {
    let mut categories: Vec<char> = rows.iter().flat_map(|row| row.chars()).filter(|c| *c != ' ').collect();
    categories.sort_unstable();
    categories.dedup();
    let row = |(at, row): (usize, &&str)| {
        let mut x = 0;
        let mut seats = Vec::new();
        for c in row.chars() {
            x += 20;
            if c == ' ' {
                x += 20;
                continue;
            }
            let number = (seats.len() + 1).to_string();
            seats.push(json!({
                "seat_guid": format!("{}-{number}", at + 1), "seat_number": number,
                "position": {"x": x, "y": 0}, "category": c.to_string(),
            }));
        }
        json!({"row_number": (at + 1).to_string(), "position": {"x": 0, "y": 30 * at}, "seats": seats})
    };
    json!({
        "name": "Hall", "size": {"width": 1000, "height": 1000},
        "categories": categories.iter().map(|c| json!({"name": c.to_string()})).collect::<Vec<_>>(),
        "zones": [{"name": "Hall", "position": {"x": 0, "y": 0}, "rows": rows.iter().enumerate().map(row).collect::<Vec<_>>()}],
    })
}

/// A plan that uses what the format has.
fn opera() -> Value {
    json!({
        "name": "Nhà hát Lớn",
        "size": {"width": 800, "height": 600.0},
        "categories": [
            {"name": "VIP", "color": "#7f4a91"}, {"name": "Regular", "color": "rgba(0, 0, 0, 0.5)"}, {"name": "Wheelchair"},
        ],
        "zones": [
            {
                "name": "Parquet", "zone_id": "parquet", "uuid": "0c4b1f6a-8f6e-4f9f-9f0a-0d4d7b6f2a11",
                "position": {"x": 100, "y": 50.5},
                "rows": [
                    {
                        "row_number": "A", "row_label": "Row %s", "seat_label": "Seat %s", "row_number_position": "both",
                        "position": {"x": 10, "y": 20},
                        "seats": [
                            {"seat_guid": "p-A-1", "seat_number": "1", "category": "VIP", "position": {"x": 1, "y": 0.25},
                             "radius": 12, "start_direction": null, "uuid": "1"},
                            {"seat_guid": "p-A-2", "seat_number": "2", "category": "VIP", "position": {"x": 21, "y": 0}},
                        ],
                    },
                    {
                        "row_number": "B", "row_label": null, "seat_label": null, "row_number_position": null,
                        "seats": [
                            {"seat_guid": "P-a-1", "seat_number": "1", "category": "Wheelchair", "position": {"x": 1, "y": 50}},
                        ],
                    },
                ],
                "areas": [
                    {"shape": "rectangle", "color": "#eee", "border_color": "black", "rotation": 12.5,
                     "position": {"x": -100, "y": -50.5}, "rectangle": {"width": 800, "height": 40},
                     "text": {"text": "Stage", "color": "red", "position": {"x": 400, "y": 20}}},
                    {"shape": "polygon", "position": {"x": 0, "y": 0}, "polygon": {"points": [{"x": 0, "y": 0}, {"x": 5.5, "y": 9}]}},
                    {"shape": "ellipse", "ellipse": {"radius": {"x": 3, "y": 4}}},
                    {"shape": "circle", "circle": {"radius": 5}},
                    {"x-note": "drawn by hand"},
                ],
                "x-editor": {"zoom": 3},
            },
            {
                "position": {"x": 0, "y": 300},
                "rows": [
                    {"row_number": "1", "position": {"x": 0, "y": 0}, "seats": [
                        {"seat_guid": "ghế số 9", "seat_number": "9", "category": "Regular", "position": {"x": 0, "y": 0}},
                    ]},
                    {"row_number": "2", "seats": []},
                ],
            },
        ],
    })
}

fn faults(plan: &Value) -> Vec<String> {
    SeatingPlan::import(plan).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The plan with the value at a JSON pointer replaced, or removed where there is no new one.
fn with(mut plan: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = plan.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(members), Some(value)) => drop(members.insert(key.to_owned(), value)),
        (Value::Object(members), None) => drop(members.remove(key)),
        (Value::Array(elements), Some(value)) => elements[key.parse::<usize>().unwrap()] = value,
        _ => panic!("{pointer} is not in a container"),
    }
    plan
}

#[test]
fn a_plan_is_read_in_its_own_order_and_positions_are_summed() {
    let plan = SeatingPlan::import(&opera()).unwrap();
    let names: Vec<_> = plan.sections().iter().map(|s| (s.id.as_str(), s.name.as_str())).collect();
    assert_eq!(names, [("parquet", "Parquet"), ("1", "1")]);
    let rows: Vec<_> = plan.rows().iter().map(|r| (r.section, r.label.as_str())).collect();
    assert_eq!(rows, [(0, "Row %s"), (0, "B"), (1, "1"), (1, "2")]);
    assert_eq!(plan.categories(), ["VIP", "Regular", "Wheelchair"]);
    assert_eq!(plan.seat_ids(), ["p-A-1", "p-A-2", "P-a-1", "ghế số 9"]);
    let points: Vec<_> = plan.seats().map(|seat| (seat.x, seat.y)).collect();
    assert_eq!(points, [(111.0, 70.75), (131.0, 70.5), (101.0, 100.5), (0.0, 300.0)]);
    assert_eq!((plan.section_rows(0), plan.section_rows(1)), (0..2, 2..4));
    assert_eq!((plan.row_seats(0), plan.row_seats(2), plan.row_seats(3).len()), (0..2, 3..4, 0));
    assert_eq!(plan.category_sizes(), [2, 1, 1]);
    assert_eq!(plan.seats_in_category(0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(plan.category_of(2), "Wheelchair");
    assert_eq!(plan.drawing().areas.len(), 5);
    assert_eq!((plan.drawing().areas[0].x, plan.drawing().areas[0].y), (0.0, 0.0));
}

#[test]
fn a_seat_id_compares_byte_for_byte() {
    let plan = SeatingPlan::import(&opera()).unwrap();
    for (index, id) in plan.seat_ids().iter().enumerate() {
        assert_eq!(plan.seat_index(id), Some(index));
    }
    use unicode_normalization::UnicodeNormalization as _;
    let decomposed: String = "ghế số 9".nfd().collect();
    for other in ["P-A-1", "p-a-1", "p-A-1 ", "", decomposed.as_str()] {
        assert_eq!(plan.seat_index(other), None, "{other:?}");
    }
    // Both are seats of one plan where only the case, a space or the normal form differs.
    let alike = with(opera(), "/zones/0/rows/0/seats/1/seat_guid", Some(json!("p-A-1 ")));
    let alike = with(alike, "/zones/0/rows/1/seats/0/seat_guid", Some(json!(decomposed)));
    assert_eq!(SeatingPlan::import(&alike).unwrap().seat_index(&decomposed), Some(2));
}

#[test]
fn a_label_is_what_a_person_reads() {
    let plan = SeatingPlan::import(&opera()).unwrap();
    let labels: Vec<_> = (0..plan.len()).map(|index| plan.label(index)).collect();
    assert_eq!(labels, ["Parquet, Row A, Seat 1", "Parquet, Row A, Seat 2", "Parquet, B, 1", "1, 1, 9"]);
}

#[test]
fn the_packed_form_has_its_published_shape() {
    let plan = hall(&["VV", "R"]);
    let packed = String::from_utf8(plan.to_packed_json()).unwrap();
    assert_eq!(
        packed,
        concat!(
            r#"{"sections":[{"id":"0","name":"Hall"}],"rows":[{"section":0,"label":"1"},{"section":0,"label":"2"}],"#,
            r#""categories":["R","V"],"seats":{"id":["1-1","1-2","2-1"],"row":[0,0,1],"number":["1","2","1"],"#,
            r#""category":[1,1,0],"x":[20,40,20],"y":[0,0,30]},"name":"Hall","size":{"width":1000,"height":1000}}"#,
        )
    );
}

#[test]
fn the_hash_of_an_old_plan_stays() {
    // What was hashed once is an address for ever: if this changes, a stored plan is no longer found.
    let plan = SeatingPlan::import(&opera()).unwrap();
    assert_eq!(plan.content_hash().to_string(), "3b96c5f8af0e2791de4a180aa8c6c0cf41e0ea550e6d310ec69e62ba3471255f");
    assert_eq!(plan.content_hash(), plan.content_hash().to_string().parse().unwrap());
}

#[test]
fn what_is_packed_is_unpacked() {
    for plan in [SeatingPlan::import(&opera()).unwrap(), hall(&["AA AA", "", "BBBB"]), hall(&[])] {
        let packed = plan.to_packed_json();
        let unpacked = SeatingPlan::from_packed_json(&packed).unwrap();
        assert_eq!(unpacked, plan);
        assert_eq!(unpacked.to_packed_json(), packed);
        assert_eq!(PlanHash::of(&packed), plan.content_hash());
    }
}

#[test]
fn damaged_packed_bytes_are_an_error() {
    let packed: Value = serde_json::from_slice(&hall(&["VV", "R"]).to_packed_json()).unwrap();
    for (pointer, value) in [
        ("/seats/row/2", json!(2)),
        ("/seats/row/0", json!(1)),
        ("/seats/category/0", json!(2)),
        ("/seats/x", json!([1])),
        ("/seats/id/1", json!("1-1")),
        ("/rows/1/section", json!(1)),
        ("/rows", json!([])),
        ("/seats", json!({})),
    ] {
        let damaged = with(packed.clone(), pointer, Some(value)).to_string();
        assert!(SeatingPlan::from_packed_json(damaged.as_bytes()).is_err(), "{pointer}");
    }
    for text in ["", "ABCD", &"A".repeat(64), &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
        assert!(text.parse::<PlanHash>().is_err(), "{text}");
    }
}

#[test]
fn each_fault_is_reported_with_its_place() {
    let first = "/zones/0/rows/0/seats/0";
    for (pointer, value, fault) in [
        ("/name", None, "name: is missing"),
        ("/zones", None, "zones: is missing"),
        ("/categories", None, "categories: is missing"),
        ("/zones", Some(json!({})), "zones: must be an array, not an object"),
        ("/zones/1", Some(json!("x")), "zones[1]: must be an object, not a string"),
        ("/zones/1/position", None, "zones[1].position: is missing"),
        ("/zones/1/position/x", Some(json!("3")), "zones[1].position.x: must be a number, not a string"),
        ("/zones/1/position/y", Some(json!(1e300)), "zones[1].position.y: must be between -10000000 and 10000000"),
        ("/zones/1/rows", None, "zones[1].rows: is missing"),
        ("/zones/0/zone_id", Some(json!(7)), "zones[0].zone_id: must be a string, not a number"),
        ("/zones/0/rows/1/row_number", None, "zones[0].rows[1].row_number: is missing"),
        ("/zones/0/rows/1/row_number", Some(json!(2)), "zones[0].rows[1].row_number: must be a string, not a number"),
        (
            "/zones/0/rows/0/row_number_position",
            Some(json!("middle")),
            "zones[0].rows[0].row_number_position: must be one of start, end, both",
        ),
        ("/zones/0/rows/0/position", Some(json!([1, 2])), "zones[0].rows[0].position: must be an object, not an array"),
        ("/zones/0/rows/0/seats", Some(Value::Null), "zones[0].rows[0].seats: must be an array, not null"),
        (
            "/zones/0/rows/0/row_label",
            Some(json!("a\u{0}")),
            "zones[0].rows[0].row_label: must not have the character U+0000",
        ),
        ("/zones/0/rows/0/seats/0/seat_guid", None, "zones[0].rows[0].seats[0].seat_guid: is missing"),
        (
            "/zones/0/rows/0/seats/0/seat_guid",
            Some(json!("")),
            "zones[0].rows[0].seats[0].seat_guid: must not be empty",
        ),
        (
            "/zones/1/rows/0/seats/0/seat_guid",
            Some(json!("p-A-2")),
            "zones[1].rows[0].seats[0].seat_guid: must be unique, but zones[0].rows[0].seats[1] has \"p-A-2\" too",
        ),
        (
            "/zones/0/rows/0/seats/0/category",
            Some(json!("vip")),
            "zones[0].rows[0].seats[0].category: \"vip\" is not the name of one of the plan's categories",
        ),
        ("/zones/0/rows/0/seats/0/radius", Some(json!(1.5)), "zones[0].rows[0].seats[0].radius: must be an integer"),
        (
            "/zones/0/rows/0/seats/0/seat_number",
            Some(json!("9".repeat(201))),
            "zones[0].rows[0].seats[0].seat_number: has 201 characters; the most is 200",
        ),
        ("/categories/1/name", Some(json!(" ")), "categories[1].name: must not be blank"),
        (
            "/categories/0/color",
            Some(json!("\"/><script>")),
            "categories[0].color: must be a CSS colour such as \"#7f4a91\", of at most 64 bytes",
        ),
        ("/size/width", Some(json!(-1)), "size.width: must be at least 0"),
        ("/size/height", None, "size.height: is missing"),
        (
            "/zones/0/areas/0/shape",
            Some(json!("star")),
            "zones[0].areas[0].shape: must be one of polygon, rectangle, ellipse, circle, text",
        ),
        ("/zones/0/areas/1/polygon", Some(json!({})), "zones[0].areas[1].polygon.points: is missing"),
        (
            "/zones/0/areas/2/ellipse/radius",
            Some(json!(3)),
            "zones[0].areas[2].ellipse.radius: must be an object, not a number",
        ),
        ("/zones/0/areas/0/text", Some(json!("Stage")), "zones[0].areas[0].text: must be an object, not a string"),
    ] {
        assert_eq!(faults(&with(opera(), pointer, value)), [fault], "{pointer}");
    }
    let two =
        with(with(opera(), &format!("{first}/category"), None), &format!("{first}/position/x"), Some(json!(true)));
    assert_eq!(
        faults(&two),
        [
            "zones[0].rows[0].seats[0].position.x: must be a number, not a boolean",
            "zones[0].rows[0].seats[0].category: is missing",
        ]
    );
    assert_eq!(faults(&json!([])), ["the plan: must be an object, not an array"]);
    assert_eq!(faults(&json!({})), ["name: is missing", "categories: is missing", "zones: is missing"]);
}

#[test]
fn a_third_seat_of_one_id_is_told_about_the_first() {
    let plan = with(opera(), "/zones/0/rows/1/seats/0/seat_guid", Some(json!("p-A-1")));
    let plan = with(plan, "/zones/1/rows/0/seats/0/seat_guid", Some(json!("p-A-1")));
    assert!(faults(&plan).iter().all(|fault| fault.ends_with("zones[0].rows[0].seats[0] has \"p-A-1\" too")));
}

#[test]
fn what_older_files_lack_and_editors_add_is_tolerated() {
    for (pointer, value) in [
        ("/size", None),
        ("/zones/0/name", None),
        ("/zones/0/zone_id", None),
        ("/zones/0/areas", None),
        ("/zones/0/rows/0/position", None),
        ("/zones/0/rows/0/row_label", None),
        ("/comment", Some(json!({"by": ["someone"]}))),
        ("/zones/0/rows/0/seats/0/price", Some(json!(5))),
        ("/zones", Some(json!([]))),
        ("/name", Some(json!(""))),
    ] {
        assert!(SeatingPlan::import(&with(opera(), pointer, value)).is_ok(), "{pointer}");
    }
    // A category that is declared twice is one.
    let twice = with(opera(), "/categories/2/name", Some(json!("VIP")));
    let twice = with(twice, "/zones/0/rows/1/seats/0/category", Some(json!("VIP")));
    assert_eq!(SeatingPlan::import(&twice).unwrap().category_sizes(), [3, 1]);
}

#[test]
fn a_faulty_file_is_not_reported_without_end() {
    let rows: Vec<String> = vec!["V".repeat(100); 100];
    let mut plan = hall_json(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    plan["categories"] = json!([{"name": "other"}]);
    let found = SeatingPlan::import(&plan).unwrap_err();
    assert_eq!(found.len(), MAX_FAULTS);
    // A fault of the categories themselves is not repeated at each seat.
    plan["categories"] = json!("V");
    assert_eq!(faults(&plan), ["categories: must be an array, not a string"]);
}

#[test]
fn every_limit_of_a_plan_is_kept() {
    let rows: Vec<String> = vec!["V".repeat(MAX_SEATS / 100); 100];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    assert_eq!(hall(&rows).len(), MAX_SEATS);
    let one_more: Vec<&str> = rows.iter().copied().chain(["V"]).collect();
    assert_eq!(faults(&hall_json(&one_more)), ["zones[0].rows[100].seats[0]: the plan has more than 100000 seats"]);
    let many_rows = vec![""; MAX_ROWS + 1];
    assert_eq!(faults(&hall_json(&many_rows)), ["zones[0].rows: has 20001 elements; the most is 20000"]);
    let zone = json!({"position": {"x": 0, "y": 0}, "rows": vec![json!({"row_number": "1", "seats": []}); 15_000]});
    let plan = json!({"name": "", "categories": [], "zones": [zone.clone(), zone.clone(), zone]});
    assert_eq!(faults(&plan), ["zones[1].rows[5000]: the plan has more than 20000 rows"]);
    let zone = json!({"position": {"x": 0, "y": 0}, "rows": []});
    let plan = json!({"name": "", "categories": [], "zones": vec![zone; MAX_ZONES + 1]});
    assert_eq!(faults(&plan), ["zones: has 1001 elements; the most is 1000"]);
    let plan = json!({"name": "", "categories": vec![json!({"name": "x"}); MAX_CATEGORIES + 1], "zones": []});
    assert_eq!(faults(&plan), ["categories: has 201 elements; the most is 200"]);
    let longest = "x".repeat(MAX_SEAT_ID_BYTES);
    let guid = "/zones/0/rows/0/seats/0/seat_guid";
    assert!(SeatingPlan::import(&with(opera(), guid, Some(json!(longest)))).is_ok());
    let resource =
        crate::claim::Resource::Seat(crate::ids::EventId(uuid::Uuid::max()), crate::ids::SeatId(longest.clone()));
    assert_eq!(resource.to_string().len(), crate::claim::MAX_RESOURCE_BYTES);
    assert_eq!(
        faults(&with(opera(), guid, Some(json!(longest + "x")))),
        ["zones[0].rows[0].seats[0].seat_guid: has 214 bytes; the most is 213"]
    );
}

#[test]
fn an_aisle_opens_a_block_and_a_bend_does_not() {
    let opens = |plan: &SeatingPlan| (0..plan.len()).filter(|index| plan.opens_block(*index)).collect::<Vec<_>>();
    assert_eq!(opens(&hall(&["AAAA AAA AA", "AA A"])), [0, 4, 7, 9, 11]);
    // A quarter of a circle, seats at even angles.
    let seats: Vec<Value> = (0..20_u32)
        .map(|at| {
            let angle = f64::from(at) * 0.08;
            json!({"seat_guid": at.to_string(), "seat_number": "1", "category": "A",
                   "position": {"x": 300.0 * angle.cos(), "y": 300.0 * angle.sin()}})
        })
        .collect();
    let mut plan = hall_json(&["A"]);
    plan["zones"][0]["rows"][0]["seats"] = json!(seats);
    assert_eq!(opens(&SeatingPlan::import(&plan).unwrap()), [0]);
    // Nobody drew it: all at one point.
    for seat in plan["zones"][0]["rows"][0]["seats"].as_array_mut().unwrap() {
        seat["position"] = json!({"x": 0, "y": 0});
    }
    assert_eq!(opens(&SeatingPlan::import(&plan).unwrap()), [0]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("name|zones|rows|seats|position|x", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every place in a document, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut visit = |key: String, value: &Value| {
        let at = format!("{at}/{key}");
        pointers(value, &at, found);
        found.push(at);
    };
    match value {
        Value::Array(elements) => elements.iter().enumerate().for_each(|(at, value)| visit(at.to_string(), value)),
        Value::Object(members) => members.iter().for_each(|(key, value)| visit(key.clone(), value)),
        _ => (),
    }
}

proptest! {
    #[test]
    fn a_plan_with_anything_anywhere_is_read_or_refused_with_a_place_in_it(
        place in any::<prop::sample::Index>(), value in any_json(),
    ) {
        let mut all = Vec::new();
        pointers(&opera(), "", &mut all);
        let plan = with(opera(), &all[place.index(all.len())], Some(value));
        match SeatingPlan::import(&plan) {
            Ok(read) => prop_assert_eq!(SeatingPlan::from_packed_json(&read.to_packed_json()).unwrap(), read),
            Err(faults) => {
                prop_assert!(!faults.is_empty() && faults.len() <= MAX_FAULTS);
                for fault in faults {
                    // Where the fault is that something is missing, the place is in what should have it.
                    let mut place = Some(&plan);
                    let steps = &fault.path[..fault.path.len() - usize::from(fault.message == "is missing")];
                    for step in steps {
                        place = place.and_then(|place| match step {
                            PathSegment::Key(key) => place.get(key),
                            PathSegment::Index(index) => place.get(index),
                        });
                    }
                    prop_assert!(place.is_some(), "{}", fault);
                }
            }
        }
    }

    #[test]
    fn coordinates_survive_packing_to_the_last_bit(
        points in prop::collection::vec((-MAX_COORDINATE..=MAX_COORDINATE, -1.0..1.0_f64), 3), angle in -360.0..360.0_f64,
    ) {
        let point = |at: usize| Some(json!({"x": points[at].0, "y": points[at].1}));
        let plan = with(opera(), "/zones/0/position", point(0));
        let plan = with(plan, "/zones/0/rows/0/position", point(1));
        let plan = with(plan, "/zones/0/rows/0/seats/0/position", point(2));
        let plan = with(plan, "/zones/0/areas/1/polygon/points/0", point(2));
        let plan = SeatingPlan::import(&with(plan, "/zones/0/areas/0/rotation", Some(json!(angle)))).unwrap();
        let (x, y) = (points.iter().map(|p| p.0).sum::<f64>(), points.iter().map(|p| p.1).sum::<f64>());
        prop_assert!((plan.seat(0).x - x).abs() < 1e-7 && (plan.seat(0).y - y).abs() < 1e-7);
        let packed = plan.to_packed_json();
        let unpacked = SeatingPlan::from_packed_json(&packed).unwrap();
        prop_assert_eq!(unpacked.to_packed_json(), packed);
        prop_assert_eq!(unpacked, plan);
    }
}

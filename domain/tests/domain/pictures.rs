//! Pictures of what the aggregates go through, drawn from the very cells that the tables' tests try, into `docs/pictures`. With
//! `TICKIZ_BLESS=1` they are written, else compared.
//!
//! The states stand in a column; what moves on is an arc at the right, what moves back one at the left. The further apart two
//! states are, the wider the arc, so that no two arcs lie on each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::PathBuf,
};

/// A domain event that led from one state to another, or left it there.
#[derive(Debug)]
pub struct Move {
    pub from: String,
    pub to: String,
    pub name: &'static str,
}

const BOX_WIDTH: i32 = 120;
const BOX_HEIGHT: i32 = 36;
/// From a state to the next.
const PITCH: i32 = 96;
/// How much wider an arc is for every state that it passes.
const SPREAD: i32 = 180;
const LETTER_WIDTH: i32 = 7;
const MARGIN: i32 = 16;

const STYLE: &str = "text{font:13px ui-monospace,monospace;fill:#1c2733}.box{fill:#eef3f8;stroke:#5b7690}\
    .arc{fill:none;stroke:#5b7690;stroke-width:1.4}.tip{fill:#5b7690}.label{paint-order:stroke;stroke:#fff;stroke-width:4px}\
    .ground{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#e4ebf2}.box{fill:#22303d;stroke:#9db4c9}\
    .arc{stroke:#9db4c9}.tip{fill:#9db4c9}.label{stroke:#11181f}.ground{fill:#11181f}}";

/// Where an arc's label stands, and what it says.
type Labels = BTreeMap<(usize, usize), BTreeSet<&'static str>>;

/// The picture. States that are listed and never met are a mistake of the list.
fn picture(title: &str, states: &[&str], moves: &[Move]) -> String {
    let place = |name: &str| {
        states.iter().position(|state| *state == name).unwrap_or_else(|| panic!("{name} is not in the picture's list"))
    };
    let mut arcs = Labels::new();
    for Move { from, to, name } in moves.iter().filter(|step| step.from != step.to) {
        arcs.entry((place(from), place(to))).or_default().insert(name);
    }
    for state in states {
        assert!(
            arcs.keys().any(|(from, to)| [*from, *to].contains(&place(state))),
            "nothing leads to {state} or from it"
        );
    }
    let reach = |(from, to): &(usize, usize)| i32::try_from(from.abs_diff(*to)).unwrap() * SPREAD / 2;
    let width_of = |names: &BTreeSet<&str>| {
        i32::try_from(names.iter().map(|name| name.len()).max().unwrap()).unwrap() * LETTER_WIDTH
    };
    let side = |back: bool| {
        let widths = arcs.iter().filter(|((from, to), _)| (from > to) == back);
        widths.map(|(arc, names)| reach(arc) * 3 / 4 + width_of(names) + 24).max().unwrap_or(0) + MARGIN
    };
    let left = side(true);
    let (width, height) = (left + BOX_WIDTH + side(false), i32::try_from(states.len()).unwrap() * PITCH);
    let middle = |state: usize| i32::try_from(state).unwrap() * PITCH + PITCH / 2;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    let mut labels = String::new();
    for (arc, names) in &arcs {
        let (back, reach) = (arc.0 > arc.1, reach(arc));
        // Arcs leave at one side of a box's middle and come in at the other, so that none ends where another begins.
        let shift = if back { -8 } else { 8 };
        let (begin, end) = (middle(arc.0) + shift, middle(arc.1) - shift);
        let (edge, out, anchor) = if back { (left, -1, "end") } else { (left + BOX_WIDTH, 1, "start") };
        let bend = edge + out * reach;
        writeln!(
            svg,
            "<path class=\"arc\" d=\"M{edge} {begin}C{bend} {begin} {bend} {end} {} {end}\"/>",
            edge + out * 6
        )
        .unwrap();
        writeln!(svg, "<path class=\"tip\" d=\"M{edge} {end}l{} -4v8z\"/>", out * 9).unwrap();
        let lines = i32::try_from(names.len()).unwrap();
        for (line, name) in (0..).zip(names) {
            let (x, y) = (edge + out * (reach * 3 / 4 + 6), i32::midpoint(begin, end) + 4 + (2 * line - lines + 1) * 8);
            writeln!(labels, "<text class=\"label\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{name}</text>")
                .unwrap();
        }
    }
    for (state, name) in states.iter().enumerate() {
        let (y, x) = (middle(state), left + BOX_WIDTH / 2);
        let dashes = if *name == "none" { " stroke-dasharray=\"4 3\"" } else { "" };
        writeln!(svg, "<rect class=\"box\" x=\"{left}\" y=\"{}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\"{dashes}/>", y - BOX_HEIGHT / 2).unwrap();
        writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", y + 4).unwrap();
    }
    svg + &labels + "</svg>\n"
}

/// Compares with what is committed; `TICKIZ_BLESS=1` writes it.
fn blessed(name: &str, picture: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures").join(name);
    if std::env::var("TICKIZ_BLESS").is_ok_and(|value| value == "1") {
        fs::write(&file, picture).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == picture, "{name} is not what the table says: run `cargo xtask schema`, and look at it");
}

#[test]
fn the_picture_of_an_event_is_its_table() {
    let states = ["none", "Draft", "Published", "Postponed", "Cancelled", "Completed"];
    blessed("event-states.svg", &picture("What an Event goes through", &states, &crate::event_table::moves()));
}

#[test]
fn the_picture_of_a_booking_is_its_table() {
    let states = ["none", "Held", "Confirmed", "Expired", "Cancelled", "Refunded"];
    blessed("booking-states.svg", &picture("What a Booking goes through", &states, &crate::booking_table::moves()));
}

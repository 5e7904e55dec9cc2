//! One direction: a crate may use only what stands to the left of it. A dependency that points the wrong way fails here, by
//! what `cargo metadata` says of the workspace, before it becomes a habit. The picture in `docs/pictures` is drawn from the same.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

/// Who may use whom. Everything that is not listed is refused; `tickiz` puts the roles together and may use all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tickiz-domain", &[]),
    ("tickiz-together", &[]),
    ("tickiz-tickets", &[]),
    ("tickiz-audit", &[]),
    ("tickiz-documents", &["tickiz-domain", "tickiz-tickets"]),
    ("tickiz-telemetry", &[]),
    ("tickiz-sim", &[]),
    ("tickiz-contract", &["tickiz-domain"]),
    ("tickiz-event-log", &["tickiz-domain", "tickiz-together"]),
    (
        "tickiz-command-api",
        &[
            "tickiz-contract",
            "tickiz-documents",
            "tickiz-domain",
            "tickiz-event-log",
            "tickiz-telemetry",
            "tickiz-tickets",
            "tickiz-together",
        ],
    ),
    ("tickiz-read-models", &["tickiz-domain", "tickiz-together"]),
    ("tickiz-projections", &["tickiz-domain", "tickiz-event-log", "tickiz-read-models", "tickiz-telemetry"]),
    ("tickiz-kafka", &["tickiz-domain", "tickiz-event-log", "tickiz-projections", "tickiz-telemetry"]),
    ("tickiz-redis", &["tickiz-command-api", "tickiz-domain", "tickiz-projections", "tickiz-read-models"]),
    (
        "tickiz-query-api",
        &[
            "tickiz-contract",
            "tickiz-documents",
            "tickiz-domain",
            "tickiz-event-log",
            "tickiz-projections",
            "tickiz-read-models",
            "tickiz-telemetry",
            "tickiz-tickets",
        ],
    ),
];

/// Who uses whom of the workspace's crates, by what cargo says.
fn seen() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let mut seen = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("metadata has packages") {
        let name = package["name"].as_str().expect("a package has a name");
        let ours: Vec<&str> = package["dependencies"]
            .as_array()
            .expect("a package lists its dependencies")
            .iter()
            // Tests may look across.
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| name.starts_with("tickiz-"))
            .collect();
        seen.insert(name.to_owned(), ours.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    }
    seen
}

#[test]
fn dependencies_point_one_way() {
    let seen = seen();
    for (name, allowed) in ALLOWED {
        let used = seen.get(*name).unwrap_or_else(|| panic!("{name} is not in the workspace"));
        for dependency in used {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

/// A picture's measures.
const BOX: (i32, i32) = (132, 34);
const GAP: (i32, i32) = (26, 62);
const STYLE: &str = "text{font:13px ui-monospace,monospace;fill:#1c2733;text-anchor:middle}.box{fill:#eef3f8;stroke:#5b7690}\
    .uses{fill:none;stroke:#5b7690;stroke-opacity:.55;stroke-width:1.3}.ground{fill:#fff}\
    @media(prefers-color-scheme:dark){text{fill:#e4ebf2}.box{fill:#22303d;stroke:#9db4c9}.uses{stroke:#9db4c9}.ground{fill:#11181f}}";

/// How many crates of ours the longest way down from this one has.
fn depth(name: &str, uses: &BTreeMap<String, Vec<String>>) -> usize {
    uses[name].iter().map(|used| depth(used, uses) + 1).max().unwrap_or(0)
}

/// Whether the one leads to the other over a third: then its line is left out, since two others say it.
fn is_implied(from: &str, to: &str, uses: &BTreeMap<String, Vec<String>>) -> bool {
    fn leads(from: &str, to: &str, uses: &BTreeMap<String, Vec<String>>) -> bool {
        from == to || uses[from].iter().any(|used| leads(used, to, uses))
    }
    uses[from].iter().any(|used| used != to && leads(used, to, uses))
}

/// The crates in rows, each above everything that it uses.
fn picture(uses: &BTreeMap<String, Vec<String>>) -> String {
    let mut rows: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for name in uses.keys() {
        rows.entry(depth(name, uses)).or_default().push(name);
    }
    let most = rows.values().map(Vec::len).max().unwrap_or(0);
    let side = |count: usize, (size, gap): (i32, i32)| i32::try_from(count).expect("a few") * (size + gap) + gap;
    let (width, height) = (side(most, (BOX.0, GAP.0)), side(rows.len(), (BOX.1, GAP.1)));
    let mut places = BTreeMap::new();
    for (row, names) in rows.values().rev().enumerate() {
        let left = (width - side(names.len(), (BOX.0, GAP.0))) / 2 + GAP.0;
        let y = side(row, (BOX.1, GAP.1));
        for (column, name) in names.iter().enumerate() {
            places.insert(*name, (left + i32::try_from(column).expect("a few") * (BOX.0 + GAP.0), y));
        }
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>The crates, each above what it uses</title>\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n"
    );
    for (name, used) in uses {
        for used in used.iter().filter(|used| !is_implied(name, used, uses)) {
            let ((x, y), (to_x, to_y)) = (places[name.as_str()], places[used.as_str()]);
            let (x, y, to_x) = (x + BOX.0 / 2, y + BOX.1, to_x + BOX.0 / 2);
            let bend = i32::midpoint(y, to_y);
            writeln!(svg, "<path class=\"uses\" d=\"M{x} {y}C{x} {bend} {to_x} {bend} {to_x} {to_y}\"/>")
                .expect("a String takes everything");
        }
    }
    for (name, (x, y)) in &places {
        let (middle, line) = (x + BOX.0 / 2, y + BOX.1 / 2 + 4);
        let short = name.trim_start_matches("tickiz-");
        writeln!(svg, "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\"/><text x=\"{middle}\" y=\"{line}\">{short}</text>", BOX.0, BOX.1)
            .expect("a String takes everything");
    }
    svg + "</svg>\n"
}

#[test]
fn the_picture_of_the_crates_is_current() {
    let of_the_program: BTreeMap<String, Vec<String>> =
        seen().into_iter().filter(|(name, _)| name.starts_with("tickiz") && name != "tickiz-bench").collect();
    let picture = picture(&of_the_program);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/crates.svg");
    if std::env::var("TICKIZ_BLESS").is_ok_and(|value| value == "1") {
        fs::write(&file, &picture).expect("the file can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == picture, "docs/pictures/crates.svg is not what cargo says: run `cargo xtask schema`");
}

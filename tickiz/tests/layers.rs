//! One direction: a crate may use only what stands to the left of it. A dependency that points the wrong way fails here, by
//! what `cargo metadata` says of the workspace, before it becomes a habit.

use std::{collections::BTreeMap, process::Command};

/// Who may use whom. Everything that is not listed is refused; `tickiz` puts the roles together and may use all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tickiz-domain", &[]),
    ("tickiz-tickets", &[]),
    ("tickiz-audit", &[]),
    ("tickiz-documents", &["tickiz-domain", "tickiz-tickets"]),
    ("tickiz-telemetry", &[]),
    ("tickiz-contract", &["tickiz-domain"]),
    ("tickiz-event-log", &["tickiz-domain"]),
    (
        "tickiz-command-api",
        &[
            "tickiz-contract",
            "tickiz-documents",
            "tickiz-domain",
            "tickiz-event-log",
            "tickiz-telemetry",
            "tickiz-tickets",
        ],
    ),
    ("tickiz-read-models", &["tickiz-domain"]),
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

#[test]
fn dependencies_point_one_way() {
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
    for (name, allowed) in ALLOWED {
        let used = seen.get(*name).unwrap_or_else(|| panic!("{name} is not in the workspace"));
        for dependency in used {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

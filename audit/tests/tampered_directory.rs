//! Whatever is changed in a directory is found, and named by position or tile.

mod common;

use std::fs;
use std::path::Path;

use common::{ORIGIN, entry, grow, key, vkey};
use tickiz_audit::checkpoint::{Checkpoint, SignerKey};
use tickiz_audit::merkle::{Hash, leaf_hash};
use tickiz_audit::tiles::{Directory, entries};
use tickiz_audit::verify::{Finding, Report, RootOf, verify_directory};

const SIZE: u64 = 600;
const FIRST_BUNDLE: &str = "tile/entries/000";
const LAST_BUNDLE: &str = "tile/entries/002.p/88";

fn log() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), SIZE);
    place
}

fn check(place: &tempfile::TempDir) -> Report {
    verify_directory(&Directory::new(place.path()), &vkey()).unwrap()
}

/// The findings without those that only say that a root differs.
fn named(report: &Report) -> Vec<Finding> {
    report.findings.iter().filter(|finding| !matches!(finding, Finding::Root { .. })).cloned().collect()
}

fn rewrite(place: &Path, path: &str, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let path = place.join(path);
    let bytes = fs::read(&path).unwrap();
    let mut list: Vec<Vec<u8>> = entries(&bytes).map(|entry| entry.unwrap().to_vec()).collect();
    change(&mut list);
    let encode = |entry: &Vec<u8>| [&(entry.len() as u16).to_be_bytes()[..], entry].concat();
    fs::write(path, list.iter().flat_map(encode).collect::<Vec<u8>>()).unwrap();
}

fn flip(place: &Path, path: &str, at: usize) {
    let path = place.join(path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_untouched_directory_is_clean_and_its_roots_are_the_signed_one() {
    let report = check(&log());
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.checked, report.size, report.first_wrong), (SIZE, Some(SIZE), None));
    assert_eq!((report.entries_root, report.tiles_root), (report.signed_root, report.signed_root));
    assert!(report.to_string().ends_with("600 entries looked at: everything is as it was signed"), "{report}");
}

#[test]
fn changed_entries_are_named_wherever_they_are() {
    for (path, from) in [(FIRST_BUNDLE, 1), (LAST_BUNDLE, 513)] {
        for slot in [0, 1, 44, 87] {
            let place = log();
            rewrite(place.path(), path, |list| list[slot as usize] = b"forged".to_vec());
            let report = check(&place);
            let position = from + slot;
            assert_eq!(named(&report), [Finding::Changed { first: position, last: position }]);
            assert_eq!(report.first_wrong, Some(position));
            assert_eq!((report.tiles_root, report.entries_root != report.signed_root), (report.signed_root, true));
        }
    }
}

#[test]
fn every_changed_position_is_named_and_neighbours_are_one_finding() {
    let place = log();
    rewrite(place.path(), FIRST_BUNDLE, |list| {
        for slot in [4, 5, 6, 200] {
            list[slot].push(b'!');
        }
    });
    let changed = |first, last| Finding::Changed { first, last };
    assert_eq!(named(&check(&place)), [changed(5, 7), changed(201, 201)]);
}

#[test]
fn a_removed_inserted_or_reordered_entry_is_one_finding_though_it_shifts_all_after_it() {
    let place = log();
    rewrite(place.path(), FIRST_BUNDLE, |list| drop(list.remove(99)));
    assert_eq!(named(&check(&place)), [Finding::Removed { first: 100, last: 100 }]);
    let place = log();
    rewrite(place.path(), FIRST_BUNDLE, |list| list.insert(99, b"forged".to_vec()));
    assert_eq!(named(&check(&place)), [Finding::Inserted { first: 100, last: 100, before: 100 }]);
    let place = log();
    rewrite(place.path(), FIRST_BUNDLE, |list| list.swap(9, 19));
    assert_eq!(named(&check(&place)), [Finding::Swapped { position: 10, with: 20 }]);
    let place = log();
    rewrite(place.path(), LAST_BUNDLE, |list| list.extend([b"more".to_vec(), b"again".to_vec()]));
    assert_eq!(named(&check(&place)), [Finding::Inserted { first: 601, last: 602, before: 601 }]);
    let place = log();
    rewrite(place.path(), LAST_BUNDLE, |list| list.truncate(80));
    assert_eq!(named(&check(&place)), [Finding::Removed { first: 593, last: 600 }]);
}

#[test]
fn a_missing_bundle_is_named_by_its_positions() {
    let place = log();
    fs::remove_file(place.path().join("tile/entries/001")).unwrap();
    let report = check(&place);
    assert_eq!(named(&report), [Finding::Missing { first: 257, last: 512 }]);
    assert_eq!((report.entries_root, report.tiles_root), (None, report.signed_root));
    fs::write(place.path().join("tile/entries/001"), b"").unwrap();
    assert_eq!(named(&check(&place)), [Finding::Missing { first: 257, last: 512 }]);
}

#[test]
fn bytes_after_the_last_entry_are_not_passed_over() {
    let place = log();
    let path = place.path().join(FIRST_BUNDLE);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0, 9, 1]);
    fs::write(path, bytes).unwrap();
    assert_eq!(named(&check(&place)), [Finding::BundleTorn { number: 0 }]);
}

#[test]
fn a_wrong_leaf_tile_is_told_from_wrong_entries() {
    for (path, number, position, slot) in [("tile/0/001", 1, 260, 3), ("tile/0/002.p/88", 2, 516, 3)] {
        let place = log();
        flip(place.path(), path, 3 * 32 + 7);
        let report = check(&place);
        let wrong = Finding::TileWrong { level: 0, number, slot, first: position, last: position };
        assert_eq!(named(&report), [wrong]);
        assert_eq!(report.entries_root, report.signed_root, "the entries are what was signed");
        assert_eq!(report.first_wrong, None);
    }
}

#[test]
fn a_wrong_inner_tile_is_named_by_level_and_number() {
    let place = log();
    flip(place.path(), "tile/1/000.p/2", 32);
    let report = check(&place);
    assert_eq!(named(&report), [Finding::TileWrong { level: 1, number: 0, slot: 1, first: 257, last: 512 }]);
    assert_eq!(report.entries_root, report.signed_root);
    assert_ne!(report.tiles_root, report.signed_root);
}

/// Whoever changes an entry, and the leaf tile with it, is caught by the tile above; the 256 positions are all that can be said.
#[test]
fn an_entry_changed_along_with_its_leaf_tile_is_caught_above() {
    let place = log();
    rewrite(place.path(), "tile/entries/001", |list| list[0] = b"forged".to_vec());
    let path = place.path().join("tile/0/001");
    let mut tile = fs::read(&path).unwrap();
    tile[..32].copy_from_slice(leaf_hash(b"forged").as_bytes());
    fs::write(path, tile).unwrap();
    let report = check(&place);
    assert_eq!(named(&report), [Finding::TileWrong { level: 1, number: 0, slot: 1, first: 257, last: 512 }]);
    assert!(report.findings.iter().any(|finding| matches!(finding, Finding::Root { of: RootOf::Entries, .. })));
}

#[test]
fn entries_that_make_the_signed_root_are_cleared_though_two_levels_of_tiles_speak_against_them() {
    let place = log();
    flip(place.path(), "tile/0/001", 3 * 32);
    flip(place.path(), "tile/1/000.p/2", 32);
    let report = check(&place);
    assert!(!report.is_clean() && report.entries_make_the_signed_root());
    assert!(report.to_string().contains("what differs is in the tiles"), "{report}");
    assert!(!report.to_string().contains("the first wrong position"), "{report}");
}

#[test]
fn missing_or_torn_tiles_are_named() {
    let place = log();
    fs::remove_file(place.path().join("tile/0/001")).unwrap();
    fs::write(place.path().join("tile/1/000.p/2"), [0; 63]).unwrap();
    let found = named(&check(&place));
    assert!(matches!(found[0], Finding::TileUnreadable { level: 0, number: 1, .. }), "{found:?}");
    assert!(matches!(found[1], Finding::TileUnreadable { level: 1, number: 0, .. }), "{found:?}");
    assert_eq!(found.len(), 2);
    let place = log();
    fs::write(place.path().join("tile/0/000"), [0; 8_193]).unwrap();
    assert!(matches!(named(&check(&place))[..], [Finding::TileUnreadable { level: 0, number: 0, .. }]));
}

/// Everything made anew, down to the root: only the signature is left to say no.
#[test]
fn a_log_made_anew_is_not_signed() {
    let place = tempfile::tempdir().unwrap();
    let other = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let store = tickiz_audit::tiles::WritableDirectory::open(place.path()).unwrap();
    let mut writer = tickiz_audit::tiles::LogWriter::open(store, other).unwrap();
    writer.append(1, b"forged").unwrap();
    writer.publish().unwrap();
    assert!(matches!(check(&place).findings[..], [Finding::Checkpoint { .. }]));
}

#[test]
fn a_checkpoint_that_is_missing_unsigned_or_foreign_is_named() {
    let place = log();
    let path = place.path().join("checkpoint");
    let signed = fs::read_to_string(&path).unwrap();
    fs::write(&path, signed.replace("\n600\n", "\n599\n")).unwrap();
    assert!(matches!(check(&place).findings[0], Finding::Checkpoint { .. }));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(check(&place).findings[..], [Finding::Checkpoint { .. }]));
    fs::write(&path, vec![b'x'; 1_000_001]).unwrap();
    assert!(matches!(check(&place).findings[..], [Finding::Checkpoint { .. }]));
    fs::remove_file(&path).unwrap();
    assert_eq!(check(&place).findings, [Finding::CheckpointMissing]);
    let wrong_root = Checkpoint::try_new(ORIGIN, SIZE, Hash::from([1; 32])).unwrap().sign(&key()).unwrap();
    fs::write(&path, wrong_root).unwrap();
    let report = check(&place);
    assert_eq!(report.findings.len(), 2);
    assert!(report.findings.iter().all(|finding| matches!(finding, Finding::Root { .. })), "{report}");
}

/// A checkpoint may claim any size; the check must end, and say what is missing.
#[test]
fn a_checkpoint_of_an_absurd_size_ends_the_check_early() {
    let place = log();
    let absurd = Checkpoint::try_new(ORIGIN, 1 << 62, Hash::from([1; 32])).unwrap().sign(&key()).unwrap();
    fs::write(place.path().join("checkpoint"), absurd).unwrap();
    let report = check(&place);
    assert!(report.findings.iter().any(|finding| matches!(finding, Finding::Missing { last, .. } if *last == 1 << 62)));
}

/// Every file, every few bytes: nothing that is served can be changed without a finding.
#[test]
fn no_flipped_byte_anywhere_goes_unnoticed() {
    let place = log();
    for path in [
        "checkpoint",
        FIRST_BUNDLE,
        "tile/entries/001",
        LAST_BUNDLE,
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ] {
        let length = fs::metadata(place.path().join(path)).unwrap().len() as usize;
        for at in (0..length).step_by(length / 16 + 1) {
            flip(place.path(), path, at);
            assert!(!check(&place).is_clean(), "{path} at {at}");
            flip(place.path(), path, at);
        }
    }
    assert!(check(&place).is_clean());
}

#[test]
fn a_report_says_it_to_programs_too() {
    let place = log();
    rewrite(place.path(), FIRST_BUNDLE, |list| list[6] = entry(1_000));
    let report = check(&place);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["first_wrong"], 7);
    assert_eq!(json["findings"][0], serde_json::json!({"kind": "changed", "first": 7, "last": 7}));
    assert_eq!(json["findings"][1]["of"], "entries");
    let text = report.to_string();
    assert!(text.contains("WRONG  changed: position 7\n"), "{text}");
    assert!(text.contains("the first wrong position is 7\n"), "{text}");
}

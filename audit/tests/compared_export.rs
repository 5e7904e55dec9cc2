//! A log or an export that differs from the tree is told by position, and never passed over.

mod common;

use common::{ORIGIN, entry, grow, key, vkey};
use proptest::prelude::*;
use tickiz_audit::checkpoint::Checkpoint;
use tickiz_audit::merkle::Hash;
use tickiz_audit::tiles::Directory;
use tickiz_audit::verify::{CompareError, Comparison, Finding, Report, RootOf, compare};

const SIZE: u64 = 700;

type Export = Vec<(u64, Vec<u8>)>;

fn log() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), SIZE);
    place
}

fn export(size: u64) -> Export {
    (1..=size).map(|position| (position, entry(position))).collect()
}

fn check(place: &tempfile::TempDir, export: &Export) -> Report {
    compare(Directory::new(place.path()), &vkey(), export.iter().cloned().map(Ok::<_, CompareError>)).unwrap()
}

/// What is found where the export keeps its positions, and where it numbers its lines anew.
fn found(change: impl FnOnce(&mut Export)) -> [Vec<Finding>; 2] {
    let place = log();
    let mut kept = export(SIZE);
    change(&mut kept);
    let renumbered = (1..).zip(&kept).map(|(line, (_, entry))| (line, entry.clone())).collect();
    [&kept, &renumbered].map(|export| check(&place, export).findings)
}

fn changed(first: u64, last: u64) -> Finding {
    Finding::Changed { first, last }
}

fn removed(first: u64, last: u64) -> Finding {
    Finding::Removed { first, last }
}

#[test]
fn an_export_that_is_the_log_is_clean() {
    let place = log();
    let report = check(&place, &export(SIZE));
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.checked, report.tiles_root), (SIZE, report.signed_root));
}

#[test]
fn a_changed_entry_is_named_alone() {
    for position in [1, 2, 256, 257, SIZE] {
        let both = found(|export| export[position as usize - 1].1.push(b'!'));
        assert_eq!(both, [vec![changed(position, position)], vec![changed(position, position)]]);
    }
    let both = found(|export| export[9..=29].iter_mut().for_each(|entry| entry.1 = b"forged".to_vec()));
    assert_eq!(both, [vec![changed(10, 30)], vec![changed(10, 30)]]);
}

#[test]
fn a_removed_entry_is_named_alone_though_all_others_follow_up() {
    for position in [1, 2, 300, SIZE] {
        let both = found(|export| drop(export.remove(position as usize - 1)));
        assert_eq!(both, [vec![removed(position, position)], vec![removed(position, position)]]);
    }
    let both = found(|export| drop(export.drain(99..400)));
    assert_eq!(both, [vec![removed(100, 400)], vec![removed(100, 400)]]);
    assert_eq!(found(Vec::clear), [vec![removed(1, SIZE)], vec![removed(1, SIZE)]]);
}

#[test]
fn an_inserted_entry_is_named_alone_though_all_others_are_shifted() {
    for position in [1, 2, 300] {
        let both = found(|export| export.insert(position as usize - 1, (position, b"forged".to_vec())));
        let inserted = Finding::Inserted { first: position, last: position, before: position };
        assert_eq!(both, [vec![inserted.clone()], vec![inserted]]);
    }
    let [kept, _] = found(|export| export.push((SIZE, b"forged".to_vec())));
    assert_eq!(kept, [Finding::Inserted { first: SIZE, last: SIZE, before: SIZE + 1 }]);
}

#[test]
fn a_doubled_entry_is_an_inserted_one() {
    let [kept, renumbered] = found(|export| export.insert(50, export[50].clone()));
    assert_eq!(kept, [Finding::Inserted { first: 51, last: 51, before: 52 }]);
    assert_eq!(renumbered, [Finding::Inserted { first: 52, last: 52, before: 52 }]);
}

#[test]
fn reordered_entries_are_named_by_both_places() {
    let swapped = Finding::Swapped { position: 10, with: 500 };
    let [kept, renumbered] = found(|export| export.swap(9, 499));
    assert_eq!([&kept[..], &renumbered[..]], [&[swapped.clone()][..], &[swapped][..]]);
    let neighbours = Finding::Swapped { position: 10, with: 11 };
    assert_eq!(found(|export| export.swap(9, 10))[0], [neighbours]);
    let [_, later] = found(|export| export[9..500].rotate_left(1));
    assert_eq!(later, [Finding::Moved { position: 10, found_at: 500 }]);
    let [_, earlier] = found(|export| export[9..500].rotate_right(1));
    assert_eq!(earlier, [Finding::Moved { position: 500, found_at: 10 }]);
}

#[test]
fn several_faults_are_each_named() {
    let [kept, renumbered] = found(|export| {
        export[599].1 = b"forged".to_vec();
        export.swap(399, 449);
        export.remove(99);
    });
    let expected = [removed(100, 100), Finding::Swapped { position: 400, with: 450 }, changed(600, 600)];
    assert_eq!(kept, expected);
    assert_eq!(renumbered, expected);
}

#[test]
fn entries_after_the_checkpoint_are_new_and_no_fault() {
    let place = log();
    let report = check(&place, &export(SIZE + 25));
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.newer, report.checked), (25, SIZE + 25));
    let mut without_last = export(SIZE + 25);
    without_last.remove(SIZE as usize - 1);
    let report = check(&place, &without_last);
    assert_eq!((report.findings, report.newer), (vec![removed(SIZE, SIZE)], 25));
}

/// The window only decides how well a difference is described.
#[test]
fn a_gap_longer_than_the_window_is_named_by_the_positions() {
    let place = log();
    let signed = Checkpoint::try_new(ORIGIN, SIZE, grow(place.path(), SIZE).root()).unwrap();
    let mut comparison = Comparison::with_checkpoint(Directory::new(place.path()), &signed, 8);
    for (position, entry) in export(SIZE).into_iter().filter(|(position, _)| !(100..400).contains(position)) {
        comparison.observe(position, &entry).unwrap();
    }
    assert_eq!(comparison.finish().unwrap().findings, [removed(100, 399)]);
}

#[test]
fn tiles_that_are_not_the_signed_ones_are_no_measure() {
    let place = log();
    let other = Checkpoint::try_new(ORIGIN, SIZE, Hash::from([1; 32])).unwrap();
    let mut comparison = Comparison::with_checkpoint(Directory::new(place.path()), &other, 8);
    export(SIZE).iter().for_each(|(position, entry)| comparison.observe(*position, entry).unwrap());
    let report = comparison.finish().unwrap();
    assert!(matches!(report.findings[..], [Finding::Root { of: RootOf::Tiles, .. }]), "{report}");
    std::fs::write(place.path().join("checkpoint"), "text\n").unwrap();
    assert!(matches!(Comparison::begin(Directory::new(place.path()), &vkey()), Err(CompareError::Checkpoint(_))));
    std::fs::write(place.path().join("checkpoint"), other.sign(&key()).unwrap()).unwrap();
    std::fs::remove_file(place.path().join("tile/0/000")).unwrap();
    let mut comparison = Comparison::begin(Directory::new(place.path()), &vkey()).unwrap();
    assert!(matches!(comparison.observe(1, b""), Err(CompareError::Read(_))));
}

/// One thing that somebody does to an export.
fn apply(export: &mut Export, what: u8, at: usize, to: usize) {
    if export.is_empty() {
        return;
    }
    let (at, to) = (at % export.len(), to % export.len());
    match what % 5 {
        0 => export[at].1.push(b'!'),
        1 => drop(export.remove(at)),
        2 => export.insert(at, (to as u64, format!("forged {at} {to}").into_bytes())),
        3 => export.swap(at, to),
        _ => {
            let moved = export.remove(at);
            export.insert(to.min(export.len()), moved);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_difference_goes_unnoticed_and_no_equality_is_blamed(
        changes in prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 0..12),
        renumbered: bool,
        window in 1_usize..80,
    ) {
        let place = tempfile::tempdir().unwrap();
        let size = 60;
        let checkpoint = grow(place.path(), size);
        let mut changed = export(size);
        for (what, at, to) in changes {
            apply(&mut changed, what, at, to);
        }
        if renumbered {
            (1..).zip(&mut changed).for_each(|(line, entry)| entry.0 = line);
        }
        let equal = changed.iter().map(|(_, entry)| entry).eq(export(size).iter().map(|(_, entry)| entry));
        let mut comparison = Comparison::with_checkpoint(Directory::new(place.path()), &checkpoint, window);
        changed.iter().for_each(|(position, entry)| comparison.observe(*position, entry).unwrap());
        let report = comparison.finish().unwrap();
        // An entry appended at the end, with a number that is beyond the checkpoint, is a new one.
        prop_assert_eq!(report.is_clean() && report.newer == 0, equal, "{}", report);
    }
}

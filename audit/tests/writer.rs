//! What a writer accepts, and what it refuses to sign.

mod common;

use std::fs;
use std::io::ErrorKind;

use common::{Leaves, ORIGIN, entry, grow, key, vkey};
use tickiz_audit::checkpoint::{Checkpoint, SignerKey};
use tickiz_audit::merkle::{Hash, empty_root, leaf_hash, tree_root, verify_inclusion};
use tickiz_audit::tiles::{Directory, LogWriter, TileReader, WritableDirectory, WriteError};
use tickiz_audit::verify::verify_directory;

fn open(place: &tempfile::TempDir) -> Result<LogWriter<WritableDirectory>, WriteError> {
    LogWriter::open(WritableDirectory::open(place.path()).unwrap(), key())
}

fn append_up_to(writer: &mut LogWriter<WritableDirectory>, size: u64) {
    for position in writer.size() + 1..=size {
        writer.append(position, &entry(position)).unwrap();
    }
}

#[test]
fn a_log_that_grew_in_steps_is_the_log_that_grew_at_once() {
    let (steps, once) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for size in [0, 1, 2, 100, 255, 256, 257, 511, 512, 513, 1_025] {
        assert_eq!(grow(steps.path(), size).root(), Leaves::new(size).root(size), "size {size}");
    }
    assert_eq!(grow(once.path(), 1_025), grow(steps.path(), 1_025));
    let report = verify_directory(&Directory::new(steps.path()), &vkey()).unwrap();
    assert!(report.is_clean(), "{report}");
    assert!(!steps.path().join("tile/0/000.p").exists(), "a full tile's partial forms stay for ever");
    assert!(steps.path().join("tile/0/004.p/1").exists());
}

/// The partial tiles that an older checkpoint was published with are gone once their tile is full, and it stands in for them.
#[test]
fn every_older_tree_is_still_read_from_the_tiles_of_a_newer_one() {
    let place = tempfile::tempdir().unwrap();
    let older: Vec<_> = [1, 100, 200, 256, 300, 513].map(|size| grow(place.path(), size)).into();
    grow(place.path(), 1_300);
    for old in older {
        let mut reader = TileReader::new(Directory::new(place.path()), old.size());
        assert_eq!(tree_root(&mut reader, old.size()).unwrap(), old.root(), "size {}", old.size());
        fs::write(place.path().join("checkpoint"), old.sign(&key()).unwrap()).unwrap();
        let report = verify_directory(&Directory::new(place.path()), &vkey()).unwrap();
        assert!(report.is_clean(), "size {}: {report}", old.size());
    }
}

/// Beyond 65,536 leaves there is a full tile of level 1, and a level 2.
#[test]
fn three_levels_of_tiles_are_right_and_give_proofs() {
    let place = tempfile::tempdir().unwrap();
    let size = 66_000;
    let checkpoint = grow(place.path(), size);
    let leaves = Leaves::new(size);
    assert_eq!(checkpoint.root(), leaves.root(size));
    let length = |path: &str| fs::metadata(place.path().join(path)).unwrap().len();
    assert_eq!((length("tile/1/000"), length("tile/1/001.p/1"), length("tile/2/000.p/1")), (8_192, 32, 32));
    assert_eq!(length("tile/0/257.p/208"), 208 * 32);
    let mut reader = TileReader::new(Directory::new(place.path()), size);
    for index in [0, 255, 256, 65_535, 65_536, 65_999] {
        let path = reader.inclusion_proof(index).unwrap();
        verify_inclusion(&leaves.0[index as usize], index, size, &path, &checkpoint.root()).unwrap();
    }
    assert!(verify_directory(&Directory::new(place.path()), &vkey()).unwrap().is_clean());
    assert_eq!(grow(place.path(), size + 1).root(), Leaves::new(size + 1).root(size + 1));
}

#[test]
fn positions_come_without_a_gap_and_a_refused_one_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut writer = open(&place).unwrap();
    for wrong in [0, 2, u64::MAX] {
        let error = writer.append(wrong, b"x").unwrap_err();
        assert!(matches!(error, WriteError::Position { expected: 1, found } if found == wrong), "{error}");
    }
    let error = writer.append(1, &[0; 65_536]).unwrap_err();
    assert_eq!(error.to_string(), "the entry at position 1 has 65536 bytes; a bundle holds entries of up to 65535");
    writer.append(1, &[0; 65_535]).unwrap();
    writer.append(2, b"").unwrap();
    assert_eq!(writer.publish().unwrap().size(), 2);
    assert!(verify_directory(&Directory::new(place.path()), &vkey()).unwrap().is_clean());
}

#[test]
fn an_empty_log_has_a_checkpoint_too() {
    let place = tempfile::tempdir().unwrap();
    let checkpoint = open(&place).unwrap().publish().unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (0, empty_root()));
    assert!(verify_directory(&Directory::new(place.path()), &vkey()).unwrap().is_clean());
}

#[test]
fn one_writer_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let first = WritableDirectory::open(place.path()).unwrap();
    assert_eq!(WritableDirectory::open(place.path()).unwrap_err().kind(), ErrorKind::ResourceBusy);
    drop(first);
    WritableDirectory::open(place.path()).unwrap();
}

/// Somebody has put another signed checkpoint there while a writer was at work.
#[test]
fn a_checkpoint_that_does_not_go_on_from_the_published_one_is_never_signed() {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), 300);
    for (size, root) in
        [(300, Hash::from([1; 32])), (299, Hash::from([2; 32])), (500, Hash::from([3; 32])), (305, Hash::from([4; 32]))]
    {
        let mut writer = open(&place).unwrap();
        let ours = fs::read(place.path().join("checkpoint")).unwrap();
        append_up_to(&mut writer, 305);
        let theirs = Checkpoint::try_new(ORIGIN, size, root).unwrap().sign(&key()).unwrap();
        fs::write(place.path().join("checkpoint"), &theirs).unwrap();
        let error = writer.publish().unwrap_err();
        let WriteError::Inconsistent { published_size, published_root, size: 305, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((published_size, published_root), (size, root));
        let text = error.to_string();
        assert!(text.contains(&size.to_string()) && text.contains(&root.to_string()) && text.contains("305"), "{text}");
        assert_eq!(fs::read_to_string(place.path().join("checkpoint")).unwrap(), theirs, "it was replaced");
        assert!(matches!(writer.publish(), Err(WriteError::Broken)));
        fs::write(place.path().join("checkpoint"), ours).unwrap();
    }
}

#[test]
fn a_checkpoint_that_was_taken_away_still_binds_the_writer_that_knew_it() {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), 10);
    let mut writer = open(&place).unwrap();
    fs::remove_file(place.path().join("checkpoint")).unwrap();
    writer.append(11, &entry(11)).unwrap();
    assert_eq!(writer.publish().unwrap().size(), 11);
}

#[test]
fn a_log_is_not_gone_on_with_by_another_key_or_from_damaged_files() {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), 300);
    let store = || WritableDirectory::open(place.path()).unwrap();
    for (name, seed) in [(ORIGIN, [8; 32]), ("other.example", [7; 32])] {
        let other = SignerKey::from_seed(name, &seed).unwrap();
        assert!(matches!(LogWriter::open(store(), other), Err(WriteError::Checkpoint(_))));
    }
    let spoil = |path: &str, at: usize| {
        let path = place.path().join(path);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    for (path, at) in [("tile/0/001.p/44", 5), ("tile/1/000.p/1", 31)] {
        spoil(path, at);
        assert!(matches!(open(&place), Err(WriteError::Damaged { size: 300, .. })), "{path}");
        spoil(path, at);
    }
    let third = 2 + entry(257).len() + 2 + entry(258).len() + 2;
    spoil("tile/entries/001.p/44", third);
    assert!(matches!(open(&place), Err(WriteError::DamagedEntry(259))));
    spoil("tile/entries/001.p/44", third);
    fs::remove_file(place.path().join("tile/0/001.p/44")).unwrap();
    assert!(matches!(open(&place), Err(WriteError::Read(_))));
}

/// A full leaf tile that a checkpoint vouches for is not looked at again, so this is what the published proof is there for.
#[test]
fn a_damaged_tile_that_a_proof_needs_is_found_before_signing() {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), 200);
    let mut writer = open(&place).unwrap();
    append_up_to(&mut writer, 300);
    let path = place.path().join("tile/0/000");
    let mut bytes = fs::read(&path).unwrap();
    bytes[0] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(writer.publish(), Err(WriteError::Inconsistent { published_size: 200, size: 300, .. })));
}

#[test]
fn an_append_answers_the_leaf_hash() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(open(&place).unwrap().append(1, b"entry").unwrap(), leaf_hash(b"entry"));
}

//! Paths and bundles of C2SP tlog-tiles.

use proptest::prelude::*;
use tickiz_audit::tiles::{MAX_ENTRY_BYTES, TILE_WIDTH, TileId, TileKind, TornBundle, entries};

#[test]
fn paths_are_those_of_the_specification() {
    let path = |kind, number, width| TileId { kind, number, width }.to_string();
    assert_eq!(path(TileKind::Hashes(0), 1_234_067, TILE_WIDTH), "tile/0/x001/x234/067");
    assert_eq!(path(TileKind::Hashes(3), 0, 17), "tile/3/000.p/17");
    assert_eq!(path(TileKind::Entries, 999, 255), "tile/entries/999.p/255");
    assert_eq!(path(TileKind::Entries, 1_000, TILE_WIDTH), "tile/entries/x001/000");
}

/// The specification's own examples.
#[test]
fn a_tree_has_the_tiles_of_the_specification() {
    let width = |level, number, size| TileId::in_tree(TileKind::Hashes(level), number, size).map(|tile| tile.width);
    assert_eq!((width(0, 272, 70_000), width(0, 273, 70_000)), (Some(256), Some(112)));
    assert_eq!((width(0, 274, 70_000), width(1, 0, 70_000)), (None, Some(256)));
    assert_eq!((width(1, 1, 70_000), width(2, 0, 70_000)), (Some(17), Some(1)));
    assert_eq!((width(3, 0, 70_000), width(63, 0, 70_000)), (None, None));
    assert_eq!((width(0, 0, 256), width(0, 1, 256), width(1, 0, 256)), (Some(256), None, Some(1)));
}

#[test]
fn only_the_one_path_of_a_tile_is_read() {
    for path in [
        "tile/0/1",
        "tile/0/0001",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/00/001",
        "tile/64/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001/002",
        "tile/-1/001",
        "tile/entries",
        "tile/x/001",
        "checkpoint",
        "",
        "/tile/0/001",
        "tile/0/x99999/001",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<TileId>().is_err(), "{path}");
    }
}

#[test]
fn a_torn_bundle_gives_its_whole_entries_and_one_error() {
    let whole = [0, 2, b'a', b'b', 0, 0, 0, 1, b'c'];
    assert_eq!(entries(&whole).collect::<Vec<_>>(), [Ok(&b"ab"[..]), Ok(b""), Ok(b"c")]);
    assert_eq!(entries(&whole[..8]).collect::<Vec<_>>(), [Ok(&b"ab"[..]), Ok(b""), Err(TornBundle)]);
    assert_eq!(entries(&whole[..5]).collect::<Vec<_>>(), [Ok(&b"ab"[..]), Err(TornBundle)]);
    assert_eq!(entries(&[255; MAX_ENTRY_BYTES]).collect::<Vec<_>>(), [Err(TornBundle)]);
}

proptest! {
    #[test]
    fn every_path_is_read_as_what_was_written(level in 0_u8..64, bundle: bool, number: u64, width in 1..=TILE_WIDTH) {
        let kind = if bundle { TileKind::Entries } else { TileKind::Hashes(level) };
        let tile = TileId { kind, number, width };
        prop_assert_eq!(tile.to_string().parse::<TileId>(), Ok(tile));
    }

    #[test]
    fn no_path_makes_the_reader_panic(path in "tile/(entries|[0-9]{1,3})/[x0-9/.p]{0,40}") {
        let _ = path.parse::<TileId>();
    }
}

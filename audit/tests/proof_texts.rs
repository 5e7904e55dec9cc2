//! Proofs as texts hold for what they prove, without the log, and for nothing else.

mod common;

use common::{ORIGIN, entry, grow, vkey};
use tickiz_audit::checkpoint::{Checkpoint, SignerKey};
use tickiz_audit::merkle::leaf_hash;
use tickiz_audit::proof::{ConsistencyProof, InclusionProof, MakeError, ProofTextError};
use tickiz_audit::tiles::{Directory, TileReader};

fn proofs() -> (InclusionProof, ConsistencyProof, Checkpoint) {
    let place = tempfile::tempdir().unwrap();
    let old = grow(place.path(), 300);
    grow(place.path(), 1_000);
    let checkpoint = std::fs::read_to_string(place.path().join("checkpoint")).unwrap();
    let mut reader = TileReader::new(Directory::new(place.path()), 1_000);
    let path = reader.inclusion_proof(41).unwrap();
    let inclusion = InclusionProof { extra: None, index: 41, path, checkpoint: checkpoint.clone() };
    let path = reader.consistency_proof(300).unwrap();
    (inclusion, ConsistencyProof { old_size: 300, path, checkpoint }, old)
}

#[test]
fn a_proof_text_is_read_as_it_was_written_and_holds() {
    let (inclusion, consistency, old) = proofs();
    let text = inclusion.to_string();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 41\n"), "{text}");
    assert!(text.contains(&format!("\n\n{ORIGIN}\n1000\n")), "{text}");
    let read: InclusionProof = text.parse().unwrap();
    assert_eq!(read, inclusion);
    assert_eq!(read.verify(&leaf_hash(&entry(42)), &vkey()).unwrap().size(), 1_000);
    let with_extra = InclusionProof { extra: Some(b"anything".to_vec()), ..inclusion };
    assert_eq!(with_extra.to_string().parse(), Ok(with_extra));
    let text = consistency.to_string();
    assert!(text.starts_with("old 300\n"), "{text}");
    let read: ConsistencyProof = text.parse().unwrap();
    assert_eq!(read, consistency);
    assert_eq!(read.verify(&old, &vkey()).unwrap().size(), 1_000);
}

#[test]
fn a_proof_of_a_log_with_one_entry_has_no_hashes() {
    let place = tempfile::tempdir().unwrap();
    grow(place.path(), 1);
    let checkpoint = std::fs::read_to_string(place.path().join("checkpoint")).unwrap();
    let proof = InclusionProof { extra: None, index: 0, path: Vec::new(), checkpoint };
    let read: InclusionProof = proof.to_string().parse().unwrap();
    read.verify(&leaf_hash(&entry(1)), &vkey()).unwrap();
}

#[test]
fn a_proof_does_not_hold_for_another_entry_index_key_or_checkpoint() {
    let (inclusion, consistency, old) = proofs();
    assert!(matches!(inclusion.verify(&leaf_hash(&entry(43)), &vkey()), Err(ProofTextError::Proof(_))));
    let moved = InclusionProof { index: 42, ..inclusion.clone() };
    assert!(matches!(moved.verify(&leaf_hash(&entry(42)), &vkey()), Err(ProofTextError::Proof(_))));
    let other = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let foreign = inclusion.verify(&leaf_hash(&entry(42)), other.verifier());
    assert!(matches!(foreign, Err(ProofTextError::Checkpoint(_))));
    let other_old = Checkpoint::try_new(ORIGIN, 300, leaf_hash(b"")).unwrap();
    assert!(matches!(consistency.verify(&other_old, &vkey()), Err(ProofTextError::Proof(_))));
    let other_size = Checkpoint::try_new(ORIGIN, 301, old.root()).unwrap();
    assert!(matches!(consistency.verify(&other_size, &vkey()), Err(ProofTextError::Form(_))));
}

#[test]
fn no_changed_byte_of_a_proof_text_is_accepted() {
    let (inclusion, consistency, old) = proofs();
    let leaf = leaf_hash(&entry(42));
    for (text, inclusion) in [(inclusion.to_string(), true), (consistency.to_string(), false)] {
        for at in 0..text.len() {
            for mask in [1, 4, 0x20] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= mask;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let accepted = if inclusion {
                    changed.parse::<InclusionProof>().is_ok_and(|proof| proof.verify(&leaf, &vkey()).is_ok())
                } else {
                    changed.parse::<ConsistencyProof>().is_ok_and(|proof| proof.verify(&old, &vkey()).is_ok())
                };
                assert!(!accepted, "byte {at}: {changed}");
            }
        }
    }
}

#[test]
fn malformed_proof_texts_are_refused() {
    let (inclusion, ..) = proofs();
    let text = inclusion.to_string();
    for wrong in [
        String::new(),
        text.replace("@v1", "@v2"),
        text.replace("index 41", "index 041"),
        text.replace("index 41", "index -1"),
        text.replace("index 41\n", ""),
        text.replace("index 41\n", "extra *\nindex 41\n"),
        text.replace("index 41\n", "index 41\nextra AA==\n"),
        text.replace('\n', "\r\n"),
        text.replace("index 41\n", &format!("index 41\n{}", format!("{}\n", leaf_hash(b"")).repeat(65))),
        text.replace("\n\n", "\n"),
        "c2sp.org/tlog-proof@v1\nindex 41\nAAAA\n\n".to_owned(),
    ] {
        assert!(matches!(wrong.parse::<InclusionProof>(), Err(ProofTextError::Form(_))), "{wrong}");
    }
}

#[test]
fn a_proof_is_made_for_every_position_and_only_from_tiles_that_fit() {
    let place = tempfile::tempdir().unwrap();
    let log = Directory::new(place.path());
    assert!(matches!(InclusionProof::make(&log, &vkey(), 1), Err(MakeError::NoCheckpoint)));
    let old = grow(place.path(), 256);
    grow(place.path(), 300);
    for position in 1..=300 {
        let proof = InclusionProof::make(&log, &vkey(), position).unwrap();
        proof.verify(&leaf_hash(&entry(position)), &vkey()).unwrap();
    }
    for position in [0, 301, u64::MAX] {
        assert!(matches!(InclusionProof::make(&log, &vkey(), position), Err(MakeError::Read(_))));
    }
    assert_eq!(ConsistencyProof::make(&log, &vkey(), &old).unwrap().verify(&old, &vkey()).unwrap().size(), 300);
    let rewritten = Checkpoint::try_new(ORIGIN, 256, leaf_hash(b"")).unwrap();
    assert!(matches!(ConsistencyProof::make(&log, &vkey(), &rewritten), Err(MakeError::Tiles(_))));
    let longer = Checkpoint::try_new(ORIGIN, 301, leaf_hash(b"")).unwrap();
    assert!(matches!(ConsistencyProof::make(&log, &vkey(), &longer), Err(MakeError::Read(_))));
    let tile = place.path().join("tile/0/000");
    let mut bytes = std::fs::read(&tile).unwrap();
    bytes[0] ^= 1;
    std::fs::write(tile, bytes).unwrap();
    assert!(matches!(InclusionProof::make(&log, &vkey(), 1), Err(MakeError::Tiles(_))));
}

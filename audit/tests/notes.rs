//! Keys, notes and checkpoints are those of the public formats: vectors of their specifications, and what must be refused.

mod common;

use common::{ORIGIN, key, vkey};
use proptest::prelude::*;
use tickiz_audit::checkpoint::{Checkpoint, CheckpointError, KeyError, Note, NoteError, SignerKey, VerifierKey};
use tickiz_audit::merkle::{Hash, empty_root};

/// Of the documentation of golang.org/x/mod/sumdb/note.
const GO_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// Of C2SP signed-note.
const C2SP_PUBLIC: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const C2SP_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// Of C2SP tlog-checkpoint; its key is not published.
const C2SP_CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

#[test]
fn keys_and_signatures_are_those_of_the_go_documentation() {
    let signer: SignerKey = GO_PRIVATE.parse().unwrap();
    assert_eq!(signer.to_private_text(), GO_PRIVATE);
    assert_eq!(signer.verifier().to_string(), GO_PUBLIC);
    assert_eq!(*signer.verifier(), GO_PUBLIC.parse().unwrap());
    let note = Note::sign(GO_TEXT, &signer).unwrap();
    assert_eq!(note.to_string(), format!("{GO_TEXT}\n{GO_SIGNATURE}"));
    assert!(!format!("{signer:?}").contains("AYEK"), "a private key prints itself");
}

#[test]
fn the_note_of_the_specification_is_believed_and_written_as_it_was() {
    let note = Note::parse(C2SP_NOTE).unwrap();
    note.verify(&C2SP_PUBLIC.parse().unwrap()).unwrap();
    assert_eq!(note.to_string(), C2SP_NOTE);
    let other: VerifierKey = GO_PUBLIC.parse().unwrap();
    assert_eq!(note.verify(&other), Err(NoteError::Unsigned("PeterNeumann".to_owned())));
}

#[test]
fn the_checkpoint_of_the_specification_is_read_and_written_as_it_was() {
    let note = Note::parse(C2SP_CHECKPOINT).unwrap();
    let checkpoint = Checkpoint::parse_body(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), "example.com/behind-the-sofa");
    assert_eq!(checkpoint.size(), 20_852_163);
    assert_eq!(checkpoint.body(), note.text());
}

#[test]
fn a_new_key_signs_what_its_public_half_believes() {
    let signer = SignerKey::generate(ORIGIN).unwrap();
    let read_back: SignerKey = signer.to_private_text().parse().unwrap();
    let note = Checkpoint::try_new(ORIGIN, 0, empty_root()).unwrap().sign(&read_back).unwrap();
    let verifier: VerifierKey = signer.verifier().to_string().parse().unwrap();
    assert_eq!(Checkpoint::open(&note, ORIGIN, &verifier).unwrap().size(), 0);
}

#[test]
fn malformed_keys_are_refused() {
    let refused = |text: &str| text.parse::<VerifierKey>().unwrap_err();
    assert_eq!(refused(""), KeyError::Form);
    assert_eq!(refused("name+00000000"), KeyError::Form);
    assert_eq!(refused(&C2SP_PUBLIC.replace("530d", "530e")), KeyError::Id);
    assert_eq!(refused(&C2SP_PUBLIC.replace("/foo", "/bar")), KeyError::Id);
    assert_eq!(refused(&C2SP_PUBLIC.replace("+Ae", "+Be")), KeyError::Key);
    assert_eq!(refused(&C2SP_PUBLIC.replace("U2k", "U2")), KeyError::Form);
    assert_eq!(refused(&C2SP_PUBLIC.replace("example.com/foo", "")), KeyError::Name);
    assert_eq!(refused(&C2SP_PUBLIC.replace('/', " ")), KeyError::Name);
    assert_eq!(GO_PUBLIC.parse::<SignerKey>().unwrap_err(), KeyError::Form);
    assert_eq!(SignerKey::generate("a b").unwrap_err(), KeyError::Name);
    // The neutral element: anybody can make signatures that hold under it.
    let weak = "weak+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(refused(weak), KeyError::Key);
}

#[test]
fn malformed_notes_are_refused() {
    let refused = |text: &str| assert!(matches!(Note::parse(text), Err(NoteError::Form(_))), "{text:?}");
    refused("");
    refused("text\n");
    refused("text\n\n");
    refused(C2SP_NOTE.trim_end());
    refused(&C2SP_NOTE.replace('\u{2014}', "-"));
    refused(&C2SP_NOTE.replace("message.", "message.\t"));
    refused(&C2SP_NOTE.replace("aQM=", "aQM"));
    refused(&format!("{C2SP_NOTE}\n"));
    refused("text\n\n\u{2014} name AAAAAA==\n");
    assert_eq!(Note::parse(&"x".repeat(1_000_001)), Err(NoteError::TooLarge));
    assert_eq!(Note::parse(&format!("text\n\n{}", GO_SIGNATURE.repeat(101))), Err(NoteError::TooLarge));
}

#[test]
fn strange_signatures_are_passed_over_and_wrong_ones_of_our_key_condemn() {
    let note = Checkpoint::try_new(ORIGIN, 1, empty_root()).unwrap().sign(&key()).unwrap();
    let with_strange = format!("{note}{GO_SIGNATURE}");
    assert_eq!(Checkpoint::open(&with_strange, ORIGIN, &vkey()).unwrap().size(), 1);
    let other_text = Checkpoint::try_new(ORIGIN, 2, empty_root()).unwrap().sign(&key()).unwrap();
    let wrong_line = other_text.split_once("\n\n").unwrap().1;
    let both = format!("{note}{wrong_line}");
    let error = Checkpoint::open(&both, ORIGIN, &vkey()).unwrap_err();
    assert_eq!(error, CheckpointError::Note(NoteError::Signature(ORIGIN.to_owned())));
    let of_another = SignerKey::from_seed("other.example", &[1; 32]).unwrap();
    let checkpoint = Checkpoint::try_new(ORIGIN, 1, empty_root()).unwrap();
    assert!(matches!(checkpoint.sign(&of_another), Err(CheckpointError::Origin { .. })));
    assert!(matches!(Checkpoint::open(&note, "other", &vkey()), Err(CheckpointError::Origin { .. })));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = empty_root();
    for body in [
        String::new(),
        "origin\n".to_owned(),
        format!("\n1\n{root}\n"),
        format!("origin\n01\n{root}\n"),
        format!("origin\n+1\n{root}\n"),
        format!("origin\n-1\n{root}\n"),
        format!("origin\n\n{root}\n"),
        format!("origin\n9223372036854775808\n{root}\n"),
        format!("origin\n99999999999999999999\n{root}\n"),
        "origin\n1\nAAAA\n".to_owned(),
        format!("origin\n1\n{root}"),
        format!("origin\n1\n{root}\n\n"),
    ] {
        assert!(matches!(Checkpoint::parse_body(&body), Err(CheckpointError::Form(_))), "{body:?}");
    }
    let extended = format!("origin\n1\n{root}\nfurther\nlines\n");
    let checkpoint = Checkpoint::parse_body(&extended).unwrap();
    assert_eq!((checkpoint.extensions().len(), checkpoint.body()), (2, extended));
}

proptest! {
    #[test]
    fn a_signed_checkpoint_with_any_byte_changed_is_refused(size in 0..=i64::MAX as u64, root: [u8; 32], mask in 1_u8..) {
        let checkpoint = Checkpoint::try_new(ORIGIN, size, Hash::from(root)).unwrap();
        let note = checkpoint.sign(&key()).unwrap();
        prop_assert_eq!(&Checkpoint::open(&note, ORIGIN, &vkey()).unwrap(), &checkpoint);
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= mask;
            if let Ok(text) = String::from_utf8(bytes) {
                prop_assert!(Checkpoint::open(&text, ORIGIN, &vkey()).is_err(), "byte {}", at);
            }
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,40}(\n\\PC{0,40}){0,6}") {
        let _ = Note::parse(&text);
        let _ = Checkpoint::parse_body(&text);
        let _ = text.parse::<VerifierKey>();
        let _ = text.parse::<SignerKey>();
    }
}

//! The published and computed vectors of `vectors.json`: what must be accepted and what must be refused.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};
use tickiz_tickets::{
    CodeError, Flags, Gate, KeyRing, Refusal, RotationKey, SignedTicket, TicketPayload, TicketSigner, TicketVerifier,
    base32,
    code::{CODE_CHARS, PREFIX, ROTATING_CHARS},
    gate::{CLOCK_LEEWAY_SECONDS, ROTATION_TOLERANCE_SECONDS},
    keys::KeyError,
    rotation::totp,
};

/// A time at which the vectors' tickets are valid.
const NOW: u64 = 1_767_260_000;

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    ["published", "computed"].iter().flat_map(|part| file[part].as_array().unwrap().clone()).collect()
}

fn vector(id: &str) -> Value {
    vectors().into_iter().find(|vector| vector["id"] == id).unwrap()
}

fn text<'v>(vector: &'v Value, field: &str) -> &'v str {
    vector[field].as_str().unwrap()
}

fn message(vector: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text(vector, "message_b64")).unwrap()
}

fn seed(vector: &Value) -> [u8; 32] {
    hex::decode(text(vector, "secret")).unwrap().try_into().unwrap()
}

/// The two keys of the vectors, from their public halves.
fn verifier() -> TicketVerifier {
    let mut verifier = TicketVerifier::default();
    for (kid, id) in [(1, "ticket-basic"), (2, "ticket-kid2")] {
        let public_key: [u8; 32] = hex::decode(text(&vector(id), "public_key")).unwrap().try_into().unwrap();
        verifier.add(kid, &public_key).unwrap();
    }
    verifier
}

fn signer() -> TicketSigner {
    TicketSigner::from_seed(1, &seed(&vector("ticket-basic")))
}

fn payload() -> TicketPayload {
    SignedTicket::decode(text(&vector("ticket-basic"), "token")).unwrap().payload
}

/// A gate of the vectors' show, with nothing revoked.
fn with_gate<T>(look: impl FnOnce(Gate<'_>) -> T) -> T {
    let rotation_key = seed(&vector("ticket-rotating-at-1767260000"));
    look(Gate {
        verifier: &verifier(),
        event: 1001,
        categories: None,
        min_rev: &BTreeMap::new(),
        revoked: &BTreeSet::new(),
        event_rotation_key: Some(&rotation_key),
        rotation_tolerance_seconds: ROTATION_TOLERANCE_SECONDS,
    })
}

fn check(text: &str, now: u64) -> Result<TicketPayload, Refusal> {
    with_gate(|gate| gate.check(text, now))
}

#[test]
fn every_vector_has_a_test() {
    let mut schemes: BTreeMap<String, usize> = BTreeMap::new();
    for vector in vectors() {
        *schemes.entry(text(&vector, "scheme").to_owned()).or_default() += 1;
    }
    let expected = [("base32-nopad", 4), ("tickiz-ticket", 8), ("tickiz-ticket-rotating", 2), ("totp-sha1-8", 3)];
    assert_eq!(schemes, expected.map(|(scheme, count)| (scheme.to_owned(), count)).into());
}

#[test]
fn base32_vectors() {
    for vector in vectors().iter().filter(|vector| vector["scheme"] == "base32-nopad") {
        assert_eq!(base32::encode(&message(vector)), text(vector, "expected"));
        assert_eq!(base32::decode(text(vector, "expected")), Some(message(vector)));
    }
}

#[test]
fn totp_vectors_of_rfc_6238() {
    for vector in vectors().iter().filter(|vector| vector["scheme"] == "totp-sha1-8") {
        let time: u64 = String::from_utf8(message(vector)).unwrap().parse().unwrap();
        assert_eq!(totp(text(vector, "secret").as_bytes(), time, 30), text(vector, "expected").as_bytes());
    }
}

#[test]
fn accepted_tickets_are_written_and_read_byte_for_byte() {
    let verifier = verifier();
    let accepted: Vec<Value> = vectors()
        .into_iter()
        .filter(|vector| vector["scheme"] == "tickiz-ticket" && vector["accept"] == json!(true))
        .collect();
    assert_eq!(accepted.len(), 4);
    for vector in accepted {
        let (id, token) = (text(&vector, "id"), text(&vector, "token"));
        let ticket = verifier.verify(token).unwrap();
        assert_eq!(hex::encode(ticket.payload.to_bytes()), text(&vector, "payload_hex"), "{id}");
        assert_eq!(hex::encode(ticket.signature), text(&vector, "expected"), "{id}");
        let signer = TicketSigner::from_seed(ticket.payload.kid, &seed(&vector));
        assert_eq!(hex::encode(signer.public_key()), text(&vector, "public_key"), "{id}");
        assert_eq!(signer.sign(&ticket.payload).as_deref(), Ok(token), "{id}");
        assert_eq!((token.len(), ticket.encode().as_str(), ticket.suffix), (CODE_CHARS, token, None), "{id}");
        let signed = [tickiz_tickets::code::SIGNATURE_DOMAIN, &ticket.payload.to_bytes()].concat();
        assert_eq!(signed, message(&vector), "{id}");
        if !ticket.payload.flags.has(Flags::ROTATING) {
            assert_eq!(check(token, NOW), Ok(ticket.payload), "{id}");
        }
    }
    let seat = SignedTicket::decode(text(&vector("ticket-seat-rev2"), "token")).unwrap().payload;
    assert_eq!((seat.event, seat.ticket, seat.category, seat.rev, seat.flags), (1001, 42, 7, 2, Flags::NONE));
}

#[test]
fn refused_tickets_are_refused_for_what_is_wrong_with_them() {
    for (id, refusal) in [
        ("ticket-reject-flipped-bit", Refusal::Code(CodeError::Signature)),
        ("ticket-reject-lower-case", Refusal::Code(CodeError::Prefix)),
        ("ticket-reject-wrong-kid", Refusal::Code(CodeError::UnknownKey(9))),
        ("ticket-reject-expired", Refusal::Expired),
    ] {
        let vector = vector(id);
        assert_eq!(check(text(&vector, "token"), vector["now"].as_u64().unwrap_or(NOW)), Err(refusal), "{id}");
    }
}

#[test]
fn rotating_vectors() {
    let rotating = vector("ticket-rotating");
    let (code, ticket) = (text(&rotating, "token"), SignedTicket::decode(text(&rotating, "token")).unwrap());
    for id in ["ticket-rotating-at-1767260000", "ticket-rotating-at-1767260015"] {
        let vector = vector(id);
        let shown = String::from_utf8(message(&vector)).unwrap();
        let at = vector["unix_time"].as_u64().unwrap();
        let key = RotationKey::derive(&seed(&vector), &ticket.payload);
        assert_eq!(hex::encode(key.expose()), text(&vector, "totp_key_hex"));
        assert_eq!((key.text_at(code, at), shown.len()), (shown.clone(), ROTATING_CHARS));
        let suffix = SignedTicket::decode(&shown).unwrap().suffix.unwrap();
        assert_eq!((suffix.stated_at, suffix.totp.as_slice()), (at, text(&vector, "expected").as_bytes()));
        for now in [at, at - 30, at + 30] {
            assert_eq!(check(&shown, now), Ok(ticket.payload));
        }
        for now in [at - 31, at + 31] {
            assert_eq!(check(&shown, now), Err(Refusal::SuffixStale));
        }
        assert_eq!(check(&shown.replace(text(&vector, "expected"), "00000000"), at), Err(Refusal::SuffixWrong));
        // The right digits of another time.
        assert_eq!(check(&shown.replace(&at.to_string(), &(at + 15).to_string()), at), Err(Refusal::SuffixWrong));
        let without_key = with_gate(|gate| Gate { event_rotation_key: None, ..gate }.check(&shown, at));
        assert_eq!(without_key, Err(Refusal::SuffixWrong));
    }
    assert_eq!(check(code, NOW), Err(Refusal::SuffixMissing));
    let other_revision = TicketPayload { rev: 1, ..ticket.payload };
    let key = seed(&vector("ticket-rotating-at-1767260000"));
    assert_ne!(
        RotationKey::derive(&key, &other_revision).expose(),
        RotationKey::derive(&key, &ticket.payload).expose()
    );
}

#[test]
fn a_suffix_that_does_not_belong_is_refused() {
    let code = signer().sign(&payload()).unwrap();
    assert_eq!(check(&format!("{code}-{NOW}-12345678"), NOW), Err(Refusal::SuffixUnexpected));
    for suffix in [
        "-1767260000-1234567a",
        "-176726000-123456789",
        "_1767260000-12345678",
        "-+767260000-12345678",
        "A1767260000-12345678",
    ] {
        assert_eq!(check(&format!("{code}{suffix}"), NOW), Err(CodeError::Suffix.into()), "{suffix}");
    }
}

#[test]
fn every_other_form_of_a_code_is_refused() {
    let good = signer().sign(&payload()).unwrap();
    let body = good.strip_prefix(PREFIX).unwrap();
    for (text, error) in [
        (String::new(), CodeError::Prefix),
        (body.to_owned(), CodeError::Prefix),
        (format!("TKZ2:{body}"), CodeError::Prefix),
        (format!(" {good}"), CodeError::Prefix),
        (format!("{PREFIX}{}", body.to_lowercase()), CodeError::Base32),
        (format!("{good} "), CodeError::Length(150)),
        (format!("{good}\n"), CodeError::Length(150)),
        (format!("{good}="), CodeError::Length(150)),
        (good[..148].to_owned(), CodeError::Length(148)),
        (PREFIX.to_owned(), CodeError::Length(5)),
        (format!("{PREFIX}{}", body.replace(&body[10..11], "1")), CodeError::Base32),
        (format!("{PREFIX}{}0", &body[1..]), CodeError::Base32),
        (format!("{PREFIX}{}Ä", &body[1..]), CodeError::Base32),
        (format!("{PREFIX}{}", "Ä".repeat(144)), CodeError::Base32),
        (format!("{PREFIX}{}", "Ä".repeat(164)), CodeError::Base32),
    ] {
        assert_eq!(verifier().verify(&text), Err(error), "{text}");
    }
    let sealed = |change: fn(&mut [u8])| {
        let mut bytes = base32::decode(body).unwrap();
        change(&mut bytes);
        format!("{PREFIX}{}", base32::encode(&bytes))
    };
    assert_eq!(verifier().verify(&sealed(|bytes| bytes[0] = 2)), Err(CodeError::Version(2)));
    assert_eq!(verifier().verify(&sealed(|bytes| bytes[17] = 8)), Err(CodeError::Flags(8)));
    assert_eq!(verifier().verify(&sealed(|bytes| bytes[1] = 2)), Err(CodeError::Signature));
    assert_eq!(verifier().verify(&sealed(|bytes| bytes[26..].fill(0))), Err(CodeError::Signature));
}

#[test]
fn a_signature_with_a_multiple_of_the_order_added_is_refused() {
    // L, little-endian (RFC 8032 section 5.1): S + L satisfies the equation, but is another text of the same ticket.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut ticket = verifier().verify(&signer().sign(&payload()).unwrap()).unwrap();
    let mut carry = 0;
    for (byte, add) in ticket.signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(verifier().verify(&ticket.encode()), Err(CodeError::Signature));
}

#[test]
fn a_key_of_small_order_or_a_taken_number_is_no_key() {
    let mut verifier = verifier();
    let neutral: [u8; 32] = std::array::from_fn(|at| u8::from(at == 0));
    for key in [[0; 32], neutral, [0xFF; 32]] {
        assert_eq!(verifier.add(3, &key), Err(KeyError::Unusable));
    }
    assert_eq!(verifier.add(1, &signer().public_key()), Err(KeyError::NumberTaken(1)));
}

#[test]
fn a_gate_refuses_what_is_not_for_it() {
    let sign = |payload: TicketPayload| signer().sign(&payload).unwrap();
    let payload = payload();
    assert_eq!(check(&sign(TicketPayload { event: 1002, ..payload }), NOW), Err(Refusal::OtherEvent));
    let (begins, ends) = (u64::from(payload.not_before), u64::from(payload.expires));
    assert_eq!(check(&sign(payload), begins - CLOCK_LEEWAY_SECONDS), Ok(payload));
    assert_eq!(check(&sign(payload), begins - CLOCK_LEEWAY_SECONDS - 1), Err(Refusal::TooEarly));
    assert_eq!(check(&sign(payload), ends + CLOCK_LEEWAY_SECONDS), Ok(payload));
    assert_eq!(check(&sign(payload), ends + CLOCK_LEEWAY_SECONDS + 1), Err(Refusal::Expired));
    let other_classes = BTreeSet::from([payload.category + 1]);
    let refused = with_gate(|gate| Gate { categories: Some(&other_classes), ..gate }.check(&sign(payload), NOW));
    assert_eq!(refused, Err(Refusal::OtherCategory));
    let revoked = BTreeSet::from([payload.ticket]);
    assert_eq!(with_gate(|gate| Gate { revoked: &revoked, ..gate }.check(&sign(payload), NOW)), Err(Refusal::Revoked));
    let min_rev = BTreeMap::from([(payload.ticket, 1)]);
    let newer = TicketPayload { rev: 1, ..payload };
    with_gate(|gate| {
        let gate = Gate { min_rev: &min_rev, ..gate };
        assert_eq!(gate.check(&sign(payload), NOW), Err(Refusal::Superseded));
        assert_eq!(gate.check(&sign(newer), NOW), Ok(newer));
    });
}

#[test]
fn public_keys_are_published_as_json_web_keys() {
    let mut ring = KeyRing::default();
    ring.add(signer()).unwrap();
    ring.add(TicketSigner::from_seed(2, &seed(&vector("ticket-kid2")))).unwrap();
    assert_eq!(ring.add(signer()), Err(KeyError::NumberTaken(1)));
    assert_eq!(
        serde_json::to_value(ring.jwks()).unwrap(),
        json!([
            {"kty": "OKP", "crv": "Ed25519", "kid": "tkz1-1", "use": "sig", "alg": "EdDSA",
             "x": "fDR4frDAglvLIEIWSYWtI0nzknyTZwBK-X06mU7etio"},
            {"kty": "OKP", "crv": "Ed25519", "kid": "tkz1-2", "use": "sig", "alg": "EdDSA",
             "x": "ux-pPW22S237bXWfYKSlwpzfdc4oNWrDYAKQVkgZ2ek"},
        ])
    );
    assert_eq!(ring.newest_kid(), Some(2));
    let second = TicketPayload { kid: 2, ..payload() };
    assert_eq!(ring.verifier().verify(&ring.sign(&second).unwrap()).unwrap().payload, second);
    assert_eq!(ring.sign(&TicketPayload { kid: 3, ..second }), Err(CodeError::UnknownKey(3)));
    assert_eq!(signer().sign(&second), Err(CodeError::UnknownKey(2)));
}

#[test]
fn secrets_do_not_print_themselves() {
    let key = RotationKey::derive(b"key", &payload());
    assert_eq!(format!("{:?} {key:?}", signer()), "TicketSigner(tkz1-1) RotationKey(…)");
}

prop_compose! {
    fn payloads()(
        event in any::<u32>(), ticket in any::<u64>(), category in any::<u16>(), rev in any::<u8>(), flags in 0_u8..8,
        not_before in any::<u32>(), expires in any::<u32>(),
    ) -> TicketPayload {
        TicketPayload { kid: 1, event, ticket, category, rev, flags: Flags::from_bits(flags).unwrap(), not_before, expires }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn what_is_signed_is_read(payload in payloads()) {
        let code = signer().sign(&payload).unwrap();
        prop_assert_eq!(code.len(), CODE_CHARS);
        prop_assert_eq!(verifier().verify(&code).unwrap().payload, payload);
    }

    #[test]
    fn no_changed_bit_passes(payload in payloads(), bit in 0_usize..720) {
        let code = signer().sign(&payload).unwrap();
        let mut bytes = base32::decode(code.strip_prefix(PREFIX).unwrap()).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let changed = format!("{PREFIX}{}", base32::encode(&bytes));
        prop_assert!(verifier().verify(&changed).is_err());
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,200}", rest in "[A-Z2-7]{144}", suffix in ".{0,20}") {
        let _ = verifier().verify(&text);
        let _ = verifier().verify(&format!("{PREFIX}{rest}{suffix}"));
    }
}

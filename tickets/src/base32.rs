//! Base32 of RFC 4648 section 6, upper case, without padding, strict: one sequence of bytes has one text.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Bits of one character.
const BITS: u32 = 5;

/// Writes bytes, five bits a character, the last one filled with zeros.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(BITS as usize));
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= BITS {
            bits -= BITS;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (BITS - bits) & 31) as usize]));
    }
    text
}

/// Reads what [`encode`] wrote. `None` for anything else: lower case, padding, white space, other characters, a length that no
/// bytes have, or bits left over that are not zero.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * BITS as usize / 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        buffer = (buffer << BITS) | u32::from(value);
        bits += BITS;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(buffer >> bits).expect("the buffer holds fewer than eight bits beside these"));
            buffer &= (1 << bits) - 1;
        }
    }
    // A whole character too many, or bits that the bytes do not have.
    (bits < BITS && buffer == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn another_text_of_the_same_bytes_is_refused() {
        for text in
            ["my", "MY======", "MY ", " MY", "MZ", "MZXW6YR", "M", "MZX", "MZXW6Y", "M1", "M0", "M8", "MÄ", "M\u{0}"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn what_is_read_is_written(text in "[A-Z2-7]{0,40}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}

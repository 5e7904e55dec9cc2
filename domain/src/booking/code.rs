//! A booking's code for people: read out on the telephone, typed at a box office.

use std::{fmt, str::FromStr};

/// What a code is made of: no two that look or sound alike where it matters. `0` and `O`, `1`, `I` and `L` are missing, and `U`,
/// which is taken for `V`.
pub const CODE_ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

/// How many characters a code has, without its hyphen: 30^8 are 6.5 × 10^11, so that even of a million bookings hardly two
/// draw the same, and then the claim on the code decides.
pub const CODE_CHARS: usize = 8;

/// A booking's code, such as `K7QF-2MXD`. It names a booking and proves nothing: who knows it may not read it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookingCode([u8; CODE_CHARS]);

/// The text is not a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a booking's code has eight letters and digits, such as K7QF-2MXD, and none of 0, 1, I, L, O and U")]
pub struct NotABookingCode;

impl BookingCode {
    /// The code of a random number. There are so many more numbers than codes that all codes are as good as equally likely.
    #[must_use]
    pub fn from_random(random: u64) -> Self {
        let base = CODE_ALPHABET.len() as u64;
        let mut rest = random;
        Self(std::array::from_fn(|_| {
            let digit = usize::try_from(rest % base).expect("a remainder of 30 is below 30");
            rest /= base;
            CODE_ALPHABET[digit]
        }))
    }

    /// Reads a code as a person writes it: in either case, with hyphens and spaces or without.
    ///
    /// # Errors
    /// [`NotABookingCode`] where that are not eight characters of [`CODE_ALPHABET`].
    pub fn parse(text: &str) -> Result<Self, NotABookingCode> {
        let mut chars = text.chars().filter(|c| !matches!(c, '-' | ' '));
        let mut code = [0; CODE_CHARS];
        for place in &mut code {
            let char = chars.next().and_then(|c| u8::try_from(c.to_ascii_uppercase()).ok()).ok_or(NotABookingCode)?;
            *place = *CODE_ALPHABET.iter().find(|of| **of == char).ok_or(NotABookingCode)?;
        }
        if chars.next().is_none() { Ok(Self(code)) } else { Err(NotABookingCode) }
    }
}

impl FromStr for BookingCode {
    type Err = NotABookingCode;
    fn from_str(text: &str) -> Result<Self, NotABookingCode> {
        Self::parse(text)
    }
}

impl fmt::Display for BookingCode {
    /// Writes `K7QF-2MXD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, char) in self.0.iter().enumerate() {
            if i == CODE_CHARS / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*char))?;
        }
        Ok(())
    }
}

impl fmt::Debug for BookingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_code_is_read_as_it_is_written_however_a_person_writes_it(random: u64) {
            let code = BookingCode::from_random(random);
            let shown = code.to_string();
            prop_assert_eq!(shown.len(), CODE_CHARS + 1);
            prop_assert_eq!(BookingCode::parse(&shown), Ok(code));
            prop_assert_eq!(BookingCode::parse(&shown.to_lowercase()), Ok(code));
            prop_assert_eq!(BookingCode::parse(&shown.replace('-', "")), Ok(code));
            prop_assert_eq!(BookingCode::parse(&format!(" {} ", shown.replace('-', " - "))), Ok(code));
        }
    }

    #[test]
    fn what_looks_alike_is_not_a_code() {
        for text in
            ["", "K7QF-2MX", "K7QF-2MXDD", "K7QF-2MX0", "K7QF-2MXO", "K7QF-2MX1", "K7QF-2MXI", "K7QF_2MXD", "Kÿ7F-2MXD"]
        {
            assert_eq!(BookingCode::parse(text), Err(NotABookingCode), "{text}");
        }
        assert_eq!(BookingCode::parse("k7qf-2mxd").map(|code| code.to_string()), Ok("K7QF-2MXD".to_owned()));
    }

    #[test]
    fn codes_spread_over_the_whole_alphabet() {
        let codes: std::collections::BTreeSet<String> = (0..10_000)
            .map(|n: u64| BookingCode::from_random(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_string())
            .collect();
        assert_eq!(codes.len(), 10_000);
        let used: std::collections::BTreeSet<char> = codes.iter().flat_map(|code| code.chars()).collect();
        assert_eq!(used.len(), CODE_ALPHABET.len() + 1, "all 30 and the hyphen");
    }
}

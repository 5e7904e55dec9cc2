//! What a ticket's code says: 26 bytes, big-endian, without anything personal.
//!
//! ```text
//!  0  u8   version = 1
//!  1  u8   kid           2  u32  event        6  u64  ticket      14  u16  category
//! 16  u8   rev          17  u8   flags       18  u32  not_before  22  u32  expires
//! ```

use crate::code::CodeError;

/// The length of a payload in bytes.
pub const PAYLOAD_BYTES: usize = 26;
/// The version of the format.
pub const VERSION: u8 = 1;

/// What a gate has to do beside reading the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The code counts only with a fresh rotating suffix.
    pub const ROTATING: Self = Self(1);
    /// The visitor's identity is checked.
    pub const IDENTITY_CHECK: Self = Self(1 << 1);
    /// Whoever went out may come in again.
    pub const RE_ENTRY: Self = Self(1 << 2);

    const KNOWN: u8 = Self::ROTATING.0 | Self::IDENTITY_CHECK.0 | Self::RE_ENTRY.0;

    /// The flags of a byte; `None` where a bit is set that has no meaning.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::KNOWN == 0 { Some(Self(bits)) } else { None }
    }

    /// The byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a ticket's code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TicketPayload {
    /// The number of the key that signs it.
    pub kid: u8,
    /// The show's number.
    pub event: u32,
    /// The ticket's number: random, so that nobody learns from it how many were sold.
    pub ticket: u64,
    /// The admission class, which gates have rules for.
    pub category: u16,
    /// Raised at every transfer, re-issue or change of seat; a lower one is no longer valid.
    pub rev: u8,
    /// What a gate has to do.
    pub flags: Flags,
    /// Not valid before, in unix seconds.
    pub not_before: u32,
    /// Not valid after, in unix seconds. 32 bits last to 2106.
    pub expires: u32,
}

impl TicketPayload {
    /// The bytes that are signed.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PAYLOAD_BYTES] {
        let mut bytes = [0; PAYLOAD_BYTES];
        bytes[0] = VERSION;
        bytes[1] = self.kid;
        bytes[2..6].copy_from_slice(&self.event.to_be_bytes());
        bytes[6..14].copy_from_slice(&self.ticket.to_be_bytes());
        bytes[14..16].copy_from_slice(&self.category.to_be_bytes());
        bytes[16] = self.rev;
        bytes[17] = self.flags.0;
        bytes[18..22].copy_from_slice(&self.not_before.to_be_bytes());
        bytes[22..26].copy_from_slice(&self.expires.to_be_bytes());
        bytes
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`CodeError::Version`] or [`CodeError::Flags`]; every other byte has a meaning whatever it is.
    pub fn from_bytes(bytes: &[u8; PAYLOAD_BYTES]) -> Result<Self, CodeError> {
        if bytes[0] != VERSION {
            return Err(CodeError::Version(bytes[0]));
        }
        let flags = Flags::from_bits(bytes[17]).ok_or(CodeError::Flags(bytes[17]))?;
        Ok(Self {
            kid: bytes[1],
            event: u32::from_be_bytes(field(bytes, 2)),
            ticket: u64::from_be_bytes(field(bytes, 6)),
            category: u16::from_be_bytes(field(bytes, 14)),
            rev: bytes[16],
            flags,
            not_before: u32::from_be_bytes(field(bytes, 18)),
            expires: u32::from_be_bytes(field(bytes, 22)),
        })
    }
}

fn field<const N: usize>(bytes: &[u8; PAYLOAD_BYTES], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("every field of the layout lies within the payload")
}

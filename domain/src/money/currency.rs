//! Currencies.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::{MoneyError, excerpt};

/// A currency in which something can be priced: every currency of ISO 4217 with a minor unit, funds, metals and the codes for
/// testing and for "no currency" excepted. Its text, and its stored form, is the upper-case code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    pub(super) exponent: u8,
}

impl Currency {
    /// Dong: no minor unit in use.
    pub const VND: Self = Self { iso: iso_currency::Currency::VND, exponent: 0 };
    /// US dollar: cents.
    pub const USD: Self = Self { iso: iso_currency::Currency::USD, exponent: 2 };
    /// Euro: cents.
    pub const EUR: Self = Self { iso: iso_currency::Currency::EUR, exponent: 2 };

    /// Reads a code of ISO 4217, upper case. A code that the standard has since withdrawn is still read, since an old show
    /// may be priced in it.
    ///
    /// # Errors
    /// When it is no such code, or the code of something that nothing is priced in.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        let refused = |reason| MoneyError::Currency { found: excerpt(code), reason };
        if code.len() == 3 && code.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(refused("the code is written in upper case"));
        }
        let iso = iso_currency::Currency::from_code(code).ok_or_else(|| refused("it is not a code of ISO 4217"))?;
        if iso.is_fund() || iso.is_special() {
            return Err(refused("nothing is priced in a fund, a metal or a code for tests"));
        }
        let exponent = iso.exponent().and_then(|digits| u8::try_from(digits).ok());
        let exponent = exponent.ok_or_else(|| refused("it has no minor unit"))?;
        Ok(Self { iso, exponent })
    }

    /// The upper-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many digits follow the decimal point: 0 for VND, 2 for USD, 3 for KWD.
    #[must_use]
    pub const fn exponent(self) -> u32 {
        self.exponent as u32
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::parse(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&code).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Code of ISO 4217, upper case.",
            "type": "string",
            "pattern": "^[A-Z]{3}$",
        })
    }
}

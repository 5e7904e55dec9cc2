//! Money: an integer in minor units with its ISO 4217 code.
//!
//! Nothing here is ever a floating-point number. An amount is never negative: what goes back is a refund with an amount of its
//! own, not a negative payment. An amount is bounded ([`MAX_MINOR`]), so that no sum of the lines of a booking can overflow,
//! and every sum is checked all the same. There is one rounding, [`Money::ratio`].

mod currency;
mod error;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::{currency::Currency, error::MoneyError};
use error::excerpt;

/// The highest amount, in minor units: 10^15. Two billion US dollars a ticket is more than anybody asks; ten trillion US
/// dollars or a quadrillion dong in one sum is more than any house turns over; and 9,000 amounts of this size still add up
/// within an `i64`.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An amount of one currency, from 0 to [`MAX_MINOR`] minor units. Stored as `{"amount": "450000", "currency": "VND"}`, the
/// amount with exactly the digits that ISO 4217 gives the currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of minor units.
    ///
    /// # Errors
    /// [`MoneyError::Negative`] below zero, [`MoneyError::TooHigh`] above [`MAX_MINOR`].
    pub const fn try_new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        match minor {
            ..0 => Err(MoneyError::Negative),
            0..=MAX_MINOR => Ok(Self { minor, currency }),
            _ => Err(MoneyError::TooHigh { currency }),
        }
    }

    /// Nothing.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// Reads an amount and a currency's code: ASCII digits without a sign, leading zeros or separators, and exactly the
    /// digits after the point that ISO 4217 gives the currency.
    ///
    /// # Errors
    /// [`MoneyError::field`] says which of the two is wrong. A wrong currency comes first, since the amount depends on it.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        Self::parse_in(amount, Currency::parse(currency)?)
    }

    /// Reads an amount of a known currency, as [`Money::parse`] does.
    ///
    /// # Errors
    /// [`MoneyError::Amount`] or [`MoneyError::TooHigh`].
    pub fn parse_in(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        let refused =
            |reason| MoneyError::Amount { found: excerpt(amount), currency, reason, example: example(currency) };
        let (whole, fraction) = match amount.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (amount, None),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !fraction.is_none_or(digits) {
            return Err(refused("only the digits 0 to 9 and one decimal point are allowed, and no sign"));
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(refused("it begins with a needless zero"));
        }
        if fraction.map_or(0, str::len) != usize::from(currency.exponent) {
            return Err(refused("it has not exactly the decimals of the currency"));
        }
        let minor = whole.bytes().chain(fraction.unwrap_or_default().bytes()).try_fold(0_i64, |minor, digit| {
            minor.checked_mul(10)?.checked_add(i64::from(digit - b'0')).filter(|minor| *minor <= MAX_MINOR)
        });
        minor.map(|minor| Self { minor, currency }).ok_or(MoneyError::TooHigh { currency })
    }

    /// The amount in minor units.
    #[must_use]
    pub const fn minor(&self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether there is nothing to pay.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.minor == 0
    }

    /// The amount with exactly the currency's digits: `450000` for VND, `50.00` for USD.
    #[must_use]
    pub fn to_decimal_string(&self) -> String {
        decimal(self.minor, self.currency)
    }

    /// The sum of two.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::TooHigh`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        // Neither is above MAX_MINOR, so this sum cannot overflow.
        Self::try_new(self.minor + self.same_currency(other)?, self.currency)
    }

    /// What is left.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`]; [`MoneyError::Negative`] where `other` is more.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        Self::try_new(self.minor - self.same_currency(other)?, self.currency)
    }

    /// So many times.
    ///
    /// # Errors
    /// [`MoneyError::TooHigh`].
    pub fn checked_mul(self, quantity: u32) -> Result<Self, MoneyError> {
        let minor =
            self.minor.checked_mul(i64::from(quantity)).ok_or(MoneyError::TooHigh { currency: self.currency })?;
        Self::try_new(minor, self.currency)
    }

    /// The sum of any number, all of one currency.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`], [`MoneyError::TooHigh`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// The share `numerator / denominator` of it, such as a tax or a discount: **the one rounding of Tickiz**. Half a minor
    /// unit is rounded up, as tax offices do and as a person checks it on paper.
    ///
    /// # Errors
    /// [`MoneyError::DividedByZero`], [`MoneyError::TooHigh`].
    pub fn ratio(self, numerator: u64, denominator: u64) -> Result<Self, MoneyError> {
        if denominator == 0 {
            return Err(MoneyError::DividedByZero);
        }
        // 10^15 * 2^64 * 2 is below 2^127.
        let (value, by) = (i128::from(self.minor) * i128::from(numerator), i128::from(denominator));
        let rounded = (2 * value + by) / (2 * by);
        let minor = i64::try_from(rounded).map_err(|_| MoneyError::TooHigh { currency: self.currency })?;
        Self::try_new(minor, self.currency)
    }

    /// Divides it among `weights` so that the parts sum to it exactly: each gets the floor of its share, and what is left
    /// goes, one minor unit each, to the largest remainders; among equal ones to the first.
    ///
    /// # Errors
    /// [`MoneyError::DividedByZero`] where there is no weight above zero.
    pub fn allocate(self, weights: &[u32]) -> Result<Vec<Self>, MoneyError> {
        let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
        if total == 0 {
            return Err(MoneyError::DividedByZero);
        }
        let exact = |weight: &u32| i128::from(self.minor) * i128::from(*weight);
        let mut parts = Vec::with_capacity(weights.len());
        for weight in weights {
            let floor =
                i64::try_from(exact(weight) / total).expect("a part is never more than the whole, which is an i64");
            parts.push(Self { minor: floor, currency: self.currency });
        }
        let left = self.minor - parts.iter().map(|part| part.minor).sum::<i64>();
        let mut order: Vec<usize> = (0..weights.len()).collect();
        // A stable sort: among equal remainders the first stays first.
        order.sort_by_key(|i| std::cmp::Reverse(exact(&weights[*i]) % total));
        for i in order.into_iter().take(usize::try_from(left).expect("floors never sum to more than the whole")) {
            parts[i].minor += 1;
        }
        Ok(parts)
    }

    fn same_currency(self, other: Self) -> Result<i64, MoneyError> {
        if self.currency == other.currency {
            Ok(other.minor)
        } else {
            Err(MoneyError::Mixed { left: self.currency, right: other.currency })
        }
    }
}

impl fmt::Display for Money {
    /// Writes `450000 VND`: unambiguous, for messages and logs. How a person reads it is the matter of a locale.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal_string(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The stored form of [`Money`].
#[derive(Serialize, Deserialize)]
struct StoredMoney<'a> {
    #[serde(borrow)]
    amount: Cow<'a, str>,
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StoredMoney { amount: self.to_decimal_string().into(), currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredMoney::deserialize(deserializer)?;
        Self::parse_in(&stored.amount, stored.currency).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount of one currency.",
            "type": "object",
            "properties": {
                "amount": {
                    "description": "Decimal number with exactly the digits that ISO 4217 gives the currency.",
                    "type": "string",
                    "pattern": "^(0|[1-9][0-9]*)(\\.[0-9]+)?$",
                },
                "currency": generator.subschema_for::<Currency>(),
            },
            "required": ["amount", "currency"],
        })
    }
}

fn decimal(minor: i64, currency: Currency) -> String {
    if currency.exponent == 0 {
        return minor.to_string();
    }
    let unit = 10_i64.pow(currency.exponent());
    format!("{}.{:0width$}", minor / unit, minor % unit, width = usize::from(currency.exponent))
}

const fn example(currency: Currency) -> &'static str {
    match currency.exponent {
        0 => "50",
        1 => "50.0",
        2 => "50.00",
        3 => "50.000",
        _ => "50.0000",
    }
}

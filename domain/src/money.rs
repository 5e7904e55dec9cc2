//! Money: an integer in minor units with its ISO 4217 code.
//!
//! Nothing here is ever a floating-point number. An amount is never negative: what goes back is a refund with an amount of its
//! own, not a negative payment. An amount is bounded ([`MAX_MINOR`]), so that no sum of the lines of a booking can overflow,
//! and every sum is checked all the same. There is one rounding, [`Money::ratio`].

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The highest amount, in minor units: 10^15. Two billion US dollars a ticket is more than anybody asks; ten trillion US
/// dollars or a quadrillion dong in one sum is more than any house turns over; and 9,000 amounts of this size still add up
/// within an `i64`.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// A currency in which something can be priced: every currency of ISO 4217 with a minor unit, funds, metals and the codes for
/// testing and for "no currency" excepted. Its text, and its stored form, is the upper-case code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    exponent: u8,
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

/// Why an amount or a currency was refused, or a calculation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The code is not one that something can be priced in. Belongs to the field `currency`.
    #[error("{found:?} is not a currency that can be used: {reason}; codes are those of ISO 4217, such as VND or USD")]
    Currency {
        /// What came.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The amount is not a decimal number with exactly the currency's digits. Belongs to the field `amount`.
    #[error("{found:?} is not an amount of {currency}: {reason}; write it like {example:?}")]
    Amount {
        /// What came.
        found: String,
        /// The currency it was to be an amount of.
        currency: Currency,
        /// What is wrong with it.
        reason: &'static str,
        /// An amount as it should be written.
        example: &'static str,
    },
    /// The amount is above [`MAX_MINOR`]. Belongs to the field `amount`.
    #[error("the amount is too high; the highest is {} {currency}", decimal(MAX_MINOR, *currency))]
    TooHigh {
        /// Its currency.
        currency: Currency,
    },
    /// The result of a calculation would be below zero.
    #[error("the amount would be below zero")]
    Negative,
    /// Two currencies met.
    #[error("{left} and {right} cannot be put together")]
    Mixed {
        /// One of them.
        left: Currency,
        /// The other.
        right: Currency,
    },
    /// A share of nothing: a denominator of zero, or no parts.
    #[error("an amount cannot be divided by nothing")]
    DividedByZero,
}

impl MoneyError {
    /// The field of a money input that is at fault.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Currency { .. } | Self::Mixed { .. } => "currency",
            Self::Amount { .. } | Self::TooHigh { .. } | Self::Negative | Self::DividedByZero => "amount",
        }
    }
}

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

/// What a message shows of a wrong value: enough to recognise it, never a page of it.
fn excerpt(text: &str) -> String {
    /// Longer than any amount or code that is nearly right.
    const MAX_CHARS: usize = 24;
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_CHARS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(minor: i64) -> Money {
        Money::try_new(minor, Currency::USD).unwrap()
    }

    #[test]
    fn every_priceable_currency_has_the_digits_of_iso_4217() {
        let none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
        let three = "BHD IQD JOD KWD LYD OMR TND";
        for code in none.split(' ') {
            assert_eq!(Currency::parse(code).unwrap().exponent(), 0, "{code}");
        }
        for code in three.split(' ') {
            assert_eq!(Currency::parse(code).unwrap().exponent(), 3, "{code}");
        }
        for code in ["USD", "EUR", "GBP", "HUF", "MGA", "TWD", "IDR", "CNY", "ZWG", "XCG"] {
            assert_eq!(Currency::parse(code).unwrap().exponent(), 2, "{code}");
        }
        for known in [Currency::VND, Currency::USD, Currency::EUR] {
            assert_eq!(Currency::parse(known.code()).unwrap(), known);
        }
    }

    #[test]
    fn funds_metals_tests_and_other_case_are_no_currency() {
        for code in ["XTS", "XXX", "XAU", "XAG", "XDR", "XAD", "CLF", "UYI", "UYW", "BOV", "CHE", "USN", "MXV", "COU"] {
            assert!(Currency::parse(code).is_err(), "{code}");
        }
        for code in ["", "usd", "Usd", "US", "USDX", "US$", " USD", "USD ", "ＵＳＤ", "DEM", "BTC", "840", "₫"] {
            assert_eq!(Currency::parse(code).unwrap_err().field(), "currency", "{code}");
        }
    }

    #[test]
    fn an_amount_has_exactly_the_digits_of_its_currency() {
        for (amount, currency, minor) in [
            ("450000", "VND", 450_000),
            ("0", "VND", 0),
            ("50.00", "USD", 5_000),
            ("0.05", "USD", 5),
            ("0.00", "EUR", 0),
            ("1.234", "KWD", 1_234),
            ("10000000000000.00", "USD", MAX_MINOR),
        ] {
            let money = Money::parse(amount, currency).unwrap();
            assert_eq!((money.minor(), money.to_decimal_string().as_str()), (minor, amount));
        }
        for (amount, currency) in [
            ("10", "USD"),
            ("10.0", "USD"),
            ("10.000", "USD"),
            ("10.", "USD"),
            (".10", "USD"),
            ("450000.00", "VND"),
            ("1.23", "KWD"),
            ("-1.00", "USD"),
            ("+1.00", "USD"),
            ("01.00", "USD"),
            ("00", "VND"),
            ("1,00", "USD"),
            ("1.000,00", "EUR"),
            ("1e2", "VND"),
            ("NaN", "VND"),
            ("", "VND"),
            (" 1", "VND"),
            ("1 ", "VND"),
            ("٤٥", "VND"),
            ("１２", "VND"),
            ("1_000", "VND"),
            ("0x10", "VND"),
            ("10000000000000.01", "USD"),
            ("1000000000000001", "VND"),
            ("99999999999999999999999999999999999", "VND"),
        ] {
            assert_eq!(Money::parse(amount, currency).unwrap_err().field(), "amount", "{amount} {currency}");
        }
        assert_eq!(Money::parse("x", "xyz").unwrap_err().field(), "currency");
    }

    #[test]
    fn the_stored_form_is_a_decimal_string_and_a_code() {
        let money = Money::parse("450000", "VND").unwrap();
        let json = serde_json::to_string(&money).unwrap();
        assert_eq!(json, r#"{"amount":"450000","currency":"VND"}"#);
        assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        assert_eq!(serde_json::from_value::<Money>(serde_json::to_value(money).unwrap()).unwrap(), money);
        for wrong in [
            r#"{"amount":450000,"currency":"VND"}"#,
            r#"{"amount":"10","currency":"USD"}"#,
            r#"{"amount":"10.00","currency":"usd"}"#,
            r#"{"amount":"10.00"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn currencies_never_mix() {
        let (dong, dollars) = (Money::parse("1", "VND").unwrap(), usd(1));
        assert!(matches!(dong.checked_add(dollars), Err(MoneyError::Mixed { .. })));
        assert!(matches!(dong.checked_sub(dollars), Err(MoneyError::Mixed { .. })));
        assert!(matches!(Money::sum(Currency::VND, [dong, dollars]), Err(MoneyError::Mixed { .. })));
        assert_eq!(Money::sum(Currency::USD, []), Ok(usd(0)));
    }

    #[test]
    fn half_a_minor_unit_is_rounded_up() {
        for (minor, numerator, denominator, rounded) in [
            (5, 1, 2, 3),
            (15, 1, 10, 2),
            (14, 1, 10, 1),
            (1, 1, 3, 0),
            (2, 1, 3, 1),
            (0, 7, 9, 0),
            (1999, 8, 100, 160),
        ] {
            assert_eq!(usd(minor).ratio(numerator, denominator), Ok(usd(rounded)));
        }
        assert_eq!(usd(1).ratio(1, 0), Err(MoneyError::DividedByZero));
        assert!(matches!(usd(MAX_MINOR).ratio(u64::MAX, 1), Err(MoneyError::TooHigh { .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(minor in 0..=MAX_MINOR, code in prop::sample::select(vec!["VND", "USD", "KWD"])) {
            let money = Money::try_new(minor, Currency::parse(code).unwrap()).unwrap();
            prop_assert_eq!(Money::parse(&money.to_decimal_string(), code), Ok(money));
        }

        #[test]
        fn parts_sum_to_the_whole_and_none_is_off_by_more_than_one(
            minor in 0..=MAX_MINOR, weights in prop::collection::vec(any::<u32>(), 1..40),
        ) {
            let total: i128 = weights.iter().map(|w| i128::from(*w)).sum();
            prop_assume!(total > 0);
            let parts = usd(minor).allocate(&weights).unwrap();
            prop_assert_eq!(Money::sum(Currency::USD, parts.iter().copied()), Ok(usd(minor)));
            for (part, weight) in parts.iter().zip(&weights) {
                let floor = i128::from(minor) * i128::from(*weight) / total;
                prop_assert!((floor..=floor + 1).contains(&i128::from(part.minor())));
            }
        }

        #[test]
        fn a_sum_is_the_sum_or_an_error(minors in prop::collection::vec(0..=MAX_MINOR, 0..20)) {
            let exact: i128 = minors.iter().map(|m| i128::from(*m)).sum();
            match Money::sum(Currency::USD, minors.into_iter().map(usd)) {
                Ok(sum) => prop_assert_eq!(i128::from(sum.minor()), exact),
                Err(_) => prop_assert!(exact > i128::from(MAX_MINOR)),
            }
        }

        #[test]
        fn no_text_makes_parsing_panic(amount in ".{0,40}", code in ".{0,5}") {
            let _ = Money::parse(&amount, &code);
        }
    }
}

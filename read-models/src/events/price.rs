//! The sort key of the order `PRICE`.
//!
//! Prices of two currencies cannot be compared without a rate, and we have none. So shows of one currency stand together, the
//! currencies in the order of their codes, within one currency the lowest price that can be had comes first, and shows of which
//! nothing can be had come last. As one text this is a single column that sorts byte for byte in every store.

use std::{fmt, str::FromStr};

use tickiz_domain::money::{Currency, Money};

/// Digits that hold every amount up to [`tickiz_domain::money::MAX_MINOR`].
const DIGITS: usize = 16;
/// What a show has of which nothing can be had: behind every currency's code.
const NOTHING: &str = "~";

/// Currency and lowest price that can be had, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PriceKey(Option<Money>);

impl PriceKey {
    /// The key of a show's lowest price that can be had.
    pub(crate) const fn of(price_from: Option<Money>) -> Self {
        Self(price_from)
    }
}

impl fmt::Display for PriceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(price) => write!(f, "{}{:0DIGITS$}", price.currency(), price.minor()),
            None => f.write_str(NOTHING),
        }
    }
}

/// Not the text of a price key.
#[derive(Debug)]
pub(crate) struct NotAPriceKey;

impl FromStr for PriceKey {
    type Err = NotAPriceKey;
    fn from_str(text: &str) -> Result<Self, NotAPriceKey> {
        if text == NOTHING {
            return Ok(Self(None));
        }
        let (code, digits) = text.split_at_checked(3).ok_or(NotAPriceKey)?;
        if digits.len() != DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAPriceKey);
        }
        let currency = Currency::parse(code).map_err(|_| NotAPriceKey)?;
        let minor = digits.parse().map_err(|_| NotAPriceKey)?;
        Money::try_new(minor, currency).map(|price| Self(Some(price))).map_err(|_| NotAPriceKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(price: &str, currency: &str) -> String {
        PriceKey::of(Some(Money::parse(price, currency).unwrap())).to_string()
    }

    #[test]
    fn the_text_sorts_as_the_order_says() {
        let sorted = [
            key("0.00", "EUR"),
            key("9.99", "EUR"),
            key("10.00", "EUR"),
            key("5.00", "USD"),
            key("1", "VND"),
            key("450000", "VND"),
            PriceKey::of(None).to_string(),
        ];
        assert!(sorted.is_sorted());
        for text in sorted {
            assert_eq!(text.parse::<PriceKey>().unwrap().to_string(), text);
        }
        for text in ["", "~~", "VN", "VND", "VND1", "XXX0000000000000001", "VND00000000000000-1", "đđ0000000000000001"]
        {
            assert!(text.parse::<PriceKey>().is_err(), "{text}");
        }
    }
}

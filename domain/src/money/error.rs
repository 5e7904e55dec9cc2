//! Why money is refused.

use super::{MAX_MINOR, currency::Currency, decimal};

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

/// What a message shows of a wrong value: enough to recognise it, never a page of it.
pub(super) fn excerpt(text: &str) -> String {
    /// Longer than any amount or code that is nearly right.
    const MAX_CHARS: usize = 24;
    if text.chars().count() <= MAX_CHARS {
        return text.to_owned();
    }
    text.chars().take(MAX_CHARS).chain(['…']).collect()
}

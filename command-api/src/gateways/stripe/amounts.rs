//! What Stripe takes, and how it counts it (<https://docs.stripe.com/currencies>).

use tickiz_domain::money::{Currency, Money};

use crate::gateways::{Unsuitable, wire};

/// Without decimals there, whatever ISO 4217 says.
const WHOLE: [&str; 15] =
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
/// With three decimals, of which the last has to be 0.
const THOUSANDTHS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];
/// Without decimals in use, and counted there in hundredths that have to be 00.
const WHOLE_IN_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// The others, in hundredths.
const HUNDREDTHS: &[&str] = &[
    "AED", "AFN", "ALL", "AMD", "ANG", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BGN", "BMD", "BND",
    "BOB", "BRL", "BSD", "BWP", "BYN", "BZD", "CAD", "CDF", "CHF", "CNY", "COP", "CRC", "CVE", "CZK", "DKK", "DOP",
    "DZD", "EGP", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GIP", "GMD", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF",
    "IDR", "ILS", "INR", "JMD", "KES", "KGS", "KHR", "KYD", "KZT", "LAK", "LBP", "LKR", "LRD", "LSL", "MAD", "MDL",
    "MKD", "MMK", "MNT", "MOP", "MUR", "MVR", "MWK", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD",
    "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "SAR", "SBD", "SCR", "SEK", "SGD", "SHP", "SLE",
    "SOS", "SRD", "STD", "SZL", "THB", "TJS", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "USD", "UYU", "UZS", "WST",
    "XCD", "YER", "ZAR", "ZMW",
];
/// The least of a currency, as Stripe counts it. Of others it wants some half a US dollar, which moves; it says so itself then.
const LEAST: [(&str, i64); 24] = [
    ("USD", 50),
    ("AED", 200),
    ("AUD", 50),
    ("BGN", 100),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("CZK", 1_500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17_500),
    ("INR", 50),
    ("JPY", 50),
    ("MXN", 1_000),
    ("MYR", 200),
    ("NOK", 300),
    ("NZD", 50),
    ("PLN", 200),
    ("RON", 200),
    ("SEK", 300),
    ("SGD", 50),
    ("THB", 1_000),
];
/// The highest amount: eight digits.
const HIGHEST: i64 = 99_999_999;

/// How many decimals Stripe counts that currency in.
pub(super) fn decimals(currency: Currency) -> u32 {
    let code = currency.code();
    if WHOLE.contains(&code) {
        0
    } else if THOUSANDTHS.contains(&code) {
        3
    } else {
        2
    }
}

/// The amount as Stripe counts it; `None` where it has none.
pub(super) fn scaled(amount: &Money) -> Option<i64> {
    wire::scaled(amount, decimals(amount.currency()))
}

/// The amount as Stripe counts it, if it takes it.
///
/// # Errors
/// [`Unsuitable`], with what it does take.
pub(super) fn wire(amount: &Money) -> Result<i64, Unsuitable> {
    let currency = amount.currency();
    let code = currency.code();
    let lists: [&[&str]; 4] = [&WHOLE, &THOUSANDTHS, &WHOLE_IN_HUNDREDTHS, HUNDREDTHS];
    if !lists.iter().any(|list| list.contains(&code)) {
        return Err(Unsuitable { why: format!("Stripe takes no {code}, but USD, EUR, VND, JPY and some 130 others") });
    }
    // The least step in which it takes the currency.
    let step = if THOUSANDTHS.contains(&code) {
        10
    } else if WHOLE_IN_HUNDREDTHS.contains(&code) {
        100
    } else {
        1
    };
    let least = LEAST.iter().find(|(of, _)| *of == code).map_or(step, |(_, least)| *least);
    let shown = |value: i64| {
        let text = wire::unscaled(value, decimals(currency), currency).map(|money| money.to_decimal_string());
        text.unwrap_or_else(|_| value.to_string())
    };
    let value = scaled(amount).filter(|value| (least..=HIGHEST).contains(value) && value % step == 0);
    value.ok_or_else(|| Unsuitable {
        why: format!(
            "Stripe takes {} to {} {code}, in steps of {}",
            shown(least),
            shown(HIGHEST - HIGHEST % step),
            shown(step)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_is_counted_as_stripe_counts_it() {
        for (amount, currency, value) in [
            ("450000", "VND", 450_000),
            ("1200", "JPY", 1_200),
            ("15000", "KRW", 15_000),
            ("20.00", "USD", 2_000),
            ("0.50", "USD", 50),
            ("19.99", "EUR", 1_999),
            ("5.120", "KWD", 5_120),
            ("1.000", "BHD", 1_000),
            ("500", "ISK", 50_000),
            ("3700", "UGX", 370_000),
            ("4500.00", "HUF", 450_000),
            ("600.00", "TWD", 60_000),
        ] {
            assert_eq!(wire(&Money::parse(amount, currency).expect("an amount")), Ok(value), "{amount} {currency}");
        }
    }

    #[test]
    fn what_it_does_not_take_is_said_with_what_it_does() {
        for (amount, currency, says) in [
            ("0.49", "USD", "0.50 to 999999.99 USD"),
            ("1000000.00", "USD", "0.50 to 999999.99 USD"),
            ("100000000", "VND", "1 to 99999999 VND"),
            ("5.121", "KWD", "in steps of 0.010"),
            ("0", "VND", "1 to"),
            ("10.00", "KPW", "Stripe takes no KPW"),
        ] {
            let why = wire(&Money::parse(amount, currency).expect("an amount")).expect_err("it is refused").why;
            assert!(why.contains(says), "{why}");
        }
    }
}

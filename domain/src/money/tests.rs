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
    for (minor, numerator, denominator, rounded) in
        [(5, 1, 2, 3), (15, 1, 10, 2), (14, 1, 10, 1), (1, 1, 3, 0), (2, 1, 3, 1), (0, 7, 9, 0), (1999, 8, 100, 160)]
    {
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

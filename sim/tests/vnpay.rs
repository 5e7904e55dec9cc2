//! VNPay, over real sockets.

mod common;

use common::{Merchant, Program};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value, json};
use sha2::Sha512;

const SECRET: &str = "TICKIZVNPAYTESTHASHSECRET0000001";
const CONFIRMED: &str = r#"{"RspCode":"00","Message":"Confirm Success"}"#;

fn hash(text: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(text.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

type Values = Vec<(&'static str, String)>;

/// A payment of this reference, made at the tests' beginning, which is 07:00 in Vietnam.
fn payment(reference: &str, vnd: i64) -> Values {
    vec![
        ("vnp_Amount", (vnd * 100).to_string()),
        ("vnp_Command", "pay".into()),
        ("vnp_CreateDate", "20260101070000".into()),
        ("vnp_CurrCode", "VND".into()),
        ("vnp_ExpireDate", "20260101071500".into()),
        ("vnp_IpAddr", "127.0.0.1".into()),
        ("vnp_Locale", "vn".into()),
        ("vnp_OrderInfo", "Thanh toan ve".into()),
        ("vnp_OrderType", "190000".into()),
        ("vnp_ReturnUrl", "https://shop.test/return".into()),
        ("vnp_TmnCode", "TICKIZ01".into()),
        ("vnp_TxnRef", reference.into()),
        ("vnp_Version", "2.1.0".into()),
    ]
}

fn with(mut values: Values, name: &'static str, value: &str) -> Values {
    values.retain(|(other, _)| *other != name);
    values.push((name, value.into()));
    values.sort_unstable();
    values
}

struct Vnpay {
    program: Program,
    merchant: Merchant,
}

impl Vnpay {
    async fn new() -> Self {
        let merchant = Merchant::new(200, CONFIRMED).await;
        let secrets = json!({ "vnpay_hash_secret": SECRET }).to_string();
        let program = Program::with_secrets(&[("vnpay", &merchant.url)], &secrets).await;
        Self { program, merchant }
    }

    /// Opens the page; gives the error's code, or nothing.
    async fn open(&self, values: &Values) -> Option<String> {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(values);
        let text = text.finish();
        self.visit(&format!("{text}&vnp_SecureHash={}", hash(&text))).await
    }

    async fn visit(&self, query: &str) -> Option<String> {
        let url = format!("{}/vnpay/paymentv2/vpcpay.html?{query}", self.program.base);
        let response = self.program.http.get(url).send().await.expect("an answer");
        let code = response.headers().get("x-sim-error").map(|code| code.to_str().expect("text").to_owned());
        assert_eq!(response.status(), if code.is_some() { 200 } else { 303 });
        code
    }

    async fn act(&self, reference: &str, action: &str) {
        self.program.control(&format!("vnpay/payments/{reference}/{action}"), json!({})).await;
    }

    /// The IPNs since the last time, each with a right hash.
    fn ipns(&self) -> Vec<Map<String, Value>> {
        let read = |query: String| {
            let (text, given) = query.split_once("&vnp_SecureHash=").expect("the hash at the end");
            assert_eq!(given, hash(text));
            url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| (name.into(), json!(value))).collect()
        };
        self.merchant.take().into_iter().map(|got| read(got.query)).collect()
    }

    /// Asks the API, signing these values in this order; gives the answer, whose hash is checked.
    async fn ask(&self, values: &[(&str, &str)]) -> Value {
        let signed: Vec<&str> = values.iter().filter(|(name, _)| *name != "extra").map(|(_, value)| *value).collect();
        let mut body: Map<String, Value> =
            values.iter().map(|(name, value)| (format!("vnp_{name}"), json!(value))).collect();
        body.insert("vnp_SecureHash".into(), json!(hash(&signed.join("|"))));
        let url = format!("{}/vnpay/merchant_webapi/api/transaction", self.program.base);
        let response = self.program.http.post(url).json(&body).send().await.expect("an answer");
        let answer: Value = response.json().await.expect("JSON");
        let mut names = vec![
            "ResponseId",
            "Command",
            "ResponseCode",
            "Message",
            "TmnCode",
            "TxnRef",
            "Amount",
            "BankCode",
            "PayDate",
            "TransactionNo",
            "TransactionType",
            "TransactionStatus",
            "OrderInfo",
        ];
        if answer["vnp_Command"] == "querydr" {
            names.extend(["PromotionCode", "PromotionAmount"]);
        }
        let texts: Vec<&str> =
            names.iter().map(|name| answer[format!("vnp_{name}")].as_str().unwrap_or_default()).collect();
        assert_eq!(answer["vnp_SecureHash"], hash(&texts.join("|")));
        answer
    }

    async fn query(&self, id: &str, reference: &str) -> Value {
        let values = [
            ("RequestId", id),
            ("Version", "2.1.0"),
            ("Command", "querydr"),
            ("TmnCode", "TICKIZ01"),
            ("TxnRef", reference),
            ("TransactionDate", "20260101070000"),
            ("CreateDate", "20260101070100"),
            ("IpAddr", "127.0.0.1"),
            ("OrderInfo", "Query"),
        ];
        self.ask(&values).await
    }

    async fn refund(&self, id: &str, kind: &str, reference: &str, vnd: i64) -> Value {
        let amount = (vnd * 100).to_string();
        let values = [
            ("RequestId", id),
            ("Version", "2.1.0"),
            ("Command", "refund"),
            ("TmnCode", "TICKIZ01"),
            ("TransactionType", kind),
            ("TxnRef", reference),
            ("Amount", &amount),
            ("TransactionNo", "0"),
            ("TransactionDate", "20260101070000"),
            ("CreateBy", "staff"),
            ("CreateDate", "20260101070100"),
            ("IpAddr", "127.0.0.1"),
            ("OrderInfo", "Refund"),
        ];
        self.ask(&values).await
    }
}

#[tokio::test]
async fn a_payment_is_called_in_until_the_merchant_confirms_it_and_ten_times_at_most() {
    let vnpay = Vnpay::new().await;
    assert_eq!(vnpay.open(&payment("P1", 450_000)).await, None);
    for code in ["01", "04", "97", "99"] {
        vnpay.merchant.answers(200, &json!({ "RspCode": code }).to_string());
    }
    vnpay.merchant.answers(500, CONFIRMED);
    vnpay.act("P1", "approve").await;
    let first = vnpay.ipns();
    assert_eq!(first.len(), 1);
    assert_eq!((&first[0]["vnp_ResponseCode"], &first[0]["vnp_TransactionStatus"]), (&json!("00"), &json!("00")));
    assert_eq!(first[0]["vnp_Amount"], "45000000");
    vnpay.program.advance(299_999).await;
    assert!(vnpay.ipns().is_empty());
    vnpay.program.advance(1).await;
    assert_eq!(vnpay.ipns(), first);
    vnpay.program.advance(86_400_000).await;
    assert_eq!(vnpay.ipns().len(), 4, "the sixth call in all was confirmed");

    vnpay.program.control("reset", json!({})).await;
    vnpay.program.control("clock", json!({ "set": common::START_MS, "freeze": true })).await;
    assert_eq!(vnpay.open(&payment("P2", 450_000)).await, None);
    for _ in 0..20 {
        vnpay.merchant.answers(200, r#"{"RspCode":"99"}"#);
    }
    vnpay.act("P2", "cancel").await;
    vnpay.program.advance(86_400_000).await;
    let calls = vnpay.ipns();
    assert_eq!(calls.len(), 10);
    assert_eq!((&calls[9]["vnp_ResponseCode"], &calls[9]["vnp_TransactionNo"]), (&json!("24"), &json!("0")));
    assert!(!calls[9].contains_key("vnp_PayDate"));
}

#[tokio::test]
async fn the_page_refuses_what_vnpay_refuses() {
    let vnpay = Vnpay::new().await;
    let good = payment("W1", 450_000);
    let cases = [
        (with(good.clone(), "vnp_SecureHashType", "SHA512"), "70"),
        (with(good.clone(), "vnp_Version", "2.0.0"), "03"),
        (with(good.clone(), "vnp_TmnCode", "OTHER001"), "03"),
        (with(good.clone(), "vnp_Amount", "450000.00"), "03"),
        (with(good.clone(), "vnp_OrderInfo", "Vé"), "03"),
        (with(good.clone(), "vnp_CreateDate", "2026-01-01"), "03"),
        (with(good.clone(), "vnp_IpAddr", "::1"), "03"),
        (with(good.clone(), "vnp_Unknown", "1"), "03"),
        // Made by a clock in UTC, and so seven hours old.
        (with(with(good.clone(), "vnp_CreateDate", "20260101000000"), "vnp_ExpireDate", "20260101001500"), "15"),
    ];
    for (values, code) in cases {
        assert_eq!(vnpay.open(&values).await.as_deref(), Some(code), "{values:?}");
    }
    assert_eq!(vnpay.visit("vnp_Amount=1&vnp_SecureHash=00").await.as_deref(), Some("70"));
    assert_eq!(vnpay.open(&good).await, None);
    assert_eq!(vnpay.open(&good).await.as_deref(), Some("01"), "a reference is good once a day");
    let next_day = with(with(good, "vnp_CreateDate", "20260101070001"), "vnp_ExpireDate", "20260101071501");
    assert_eq!(vnpay.open(&next_day).await.as_deref(), Some("01"), "whatever the hour");
}

#[tokio::test]
async fn the_vectors_open_the_page_or_fail_by_their_text_alone() {
    let vnpay = Vnpay::new().await;
    let vectors: Vec<Value> = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let mut codes = vec![];
    for vector in vectors.iter().filter(|vector| vector["url"].is_string()) {
        let (_, query) = vector["url"].as_str().expect("a URL").split_once('?').expect("a query");
        codes.push(vnpay.visit(query).await);
        vnpay.program.control("reset", json!({})).await;
        vnpay.program.control("clock", json!({ "set": common::START_MS, "freeze": true })).await;
    }
    // The last two hold reserved characters and diacritics.
    assert_eq!(codes, [None, None, Some("03".to_owned()), Some("03".to_owned())]);
}

#[tokio::test]
async fn querydr_and_refund_answer_by_their_tables() {
    let vnpay = Vnpay::new().await;
    assert_eq!(vnpay.query("q1", "Q1").await["vnp_ResponseCode"], "91", "nothing is there until the page is opened");
    vnpay.open(&payment("Q1", 450_000)).await;
    let open = vnpay.query("q2", "Q1").await;
    assert_eq!((&open["vnp_ResponseCode"], &open["vnp_TransactionStatus"]), (&json!("00"), &json!("01")));
    assert_eq!(vnpay.query("q2", "Q1").await["vnp_ResponseCode"], "94");
    assert_eq!(vnpay.refund("r1", "02", "Q1", 450_000).await["vnp_ResponseCode"], "95");
    vnpay.act("Q1", "approve").await;
    assert_eq!(vnpay.query("q3", "Q1").await["vnp_TransactionStatus"], "00");
    assert_eq!(vnpay.refund("r2", "03", "Q1", 450_001).await["vnp_ResponseCode"], "03");
    let part = vnpay.refund("r3", "03", "Q1", 150_000).await;
    assert_eq!((&part["vnp_ResponseCode"], &part["vnp_TransactionStatus"]), (&json!("00"), &json!("05")));
    assert_eq!(vnpay.refund("r4", "03", "Q1", 1).await["vnp_ResponseCode"], "94", "one is under way");
    vnpay.program.advance(60_000).await;
    assert_eq!(vnpay.query("q4", "Q1").await["vnp_TransactionStatus"], "06");
    assert_eq!(vnpay.refund("r5", "02", "Q1", 450_000).await["vnp_ResponseCode"], "03", "no longer the whole");
    assert_eq!(vnpay.refund("r6", "03", "Q1", 300_000).await["vnp_ResponseCode"], "00");

    let wrong = [("RequestId", "x"), ("Command", "querydr")];
    assert_eq!(vnpay.ask(&wrong).await["vnp_ResponseCode"], "97");
}

#[tokio::test]
async fn money_may_come_late_or_wrong_or_after_a_while() {
    let vnpay = Vnpay::new().await;
    vnpay.open(&payment("L1", 450_000)).await;
    vnpay.open(&payment("L7", 450_007)).await;
    vnpay.open(&payment("L9", 450_009)).await;
    vnpay.act("L7", "approve").await;
    assert_eq!(vnpay.ipns()[0]["vnp_Amount"], "45000600");
    vnpay.act("L9", "approve").await;
    assert!(vnpay.ipns().is_empty());
    vnpay.program.advance(60_000).await;
    assert_eq!(vnpay.ipns()[0]["vnp_ResponseCode"], "09");
    vnpay.program.advance(15 * 60_000).await;
    let (status, _) = vnpay.program.try_control("vnpay/payments/L1/approve", "").await;
    assert_eq!(status, 409);
    vnpay.act("L1", "pay_late").await;
    assert_eq!(vnpay.ipns()[0]["vnp_ResponseCode"], "00");
}

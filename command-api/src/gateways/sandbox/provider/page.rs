//! What a buyer sees at the sandbox gateway: one page with four buttons, and afterwards what became of it.
//!
//! GET changes nothing, so nobody pays by prefetching a link. Each button is a form that POSTs `outcome` to the page's own address;
//! the answer is 303 to where the merchant wants the buyer, or a page that says what happened. Pressing the same button again is
//! answered as the first time; pressing another one changes nothing and says so.
//!
//! Everything that came from outside is escaped, and the page may load nothing and be framed by nobody.

use axum::{
    body::Bytes,
    extract::{Path, State as Extract},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};

use super::{
    Provider,
    account::{BooksError, Payment},
    machine::{Act, Button, Decision, LATE_BY_SECONDS, State},
};

/// Nothing is loaded but the page's own style; `form-action` is left out, since browsers apply it to the redirect as well.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem;color:#222}\
                     .amount{font-size:2rem;font-weight:600;margin:.5rem 0}button{font:inherit;width:100%;padding:.7rem;\
                     margin:.3rem 0;border:1px solid #888;border-radius:.4rem;background:#fff;cursor:pointer}\
                     button.pay{background:#146c43;border-color:#146c43;color:#fff}.note{color:#666;font-size:.9rem}";

/// The page's texts in one language.
struct Texts {
    language: &'static str,
    test: &'static str,
    buttons: [&'static str; 4],
    late: &'static str,
    paid: &'static str,
    declined: &'static str,
    cancelled: &'static str,
    expired: &'static str,
    processing: &'static str,
    decided: &'static str,
    back: &'static str,
    unknown: &'static str,
    wrong: &'static str,
}

const ENGLISH: Texts = Texts {
    language: "en",
    test: "This is a test payment. No money moves.",
    buttons: ["Pay", "Decline", "Cancel", "Pay late"],
    late: "Pay late goes through five seconds after the seats are no longer held.",
    paid: "The payment was made.",
    declined: "The payment was declined.",
    cancelled: "The payment was cancelled.",
    expired: "The time to pay is over.",
    processing: "The payment is being made and will go through late.",
    decided: "This payment is decided already; nothing was changed.",
    back: "Back to the shop",
    unknown: "There is no such payment.",
    wrong: "Choose one of the page's buttons: outcome is pay, decline, cancel or pay-late.",
};

const VIETNAMESE: Texts = Texts {
    language: "vi",
    test: "Đây là thanh toán thử. Không có tiền nào được chuyển.",
    buttons: ["Thanh toán", "Từ chối", "Huỷ", "Thanh toán trễ"],
    late: "Thanh toán trễ được thực hiện năm giây sau khi hết thời gian giữ chỗ.",
    paid: "Đã thanh toán.",
    declined: "Thanh toán bị từ chối.",
    cancelled: "Thanh toán đã bị huỷ.",
    expired: "Đã hết thời gian thanh toán.",
    processing: "Thanh toán đang được xử lý và sẽ hoàn tất trễ.",
    decided: "Thanh toán này đã được quyết định; không có gì thay đổi.",
    back: "Quay lại cửa hàng",
    unknown: "Không có thanh toán này.",
    wrong: "Hãy chọn một nút trên trang: outcome là pay, decline, cancel hoặc pay-late.",
};

fn texts(locale: Option<&str>) -> &'static Texts {
    let language = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
    if language.eq_ignore_ascii_case("vi") { &VIETNAMESE } else { &ENGLISH }
}

impl Texts {
    const fn of(&self, state: State) -> &'static str {
        match state {
            State::Open => self.test,
            State::Processing => self.processing,
            State::Paid => self.paid,
            State::Declined => self.declined,
            State::Cancelled => self.cancelled,
            State::Expired => self.expired,
        }
    }
}

/// Text as HTML, in elements and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

fn document(texts: &Texts, status: StatusCode, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" content=\"noindex\"><title>Tickiz Sandbox</title>\
         <style>{STYLE}</style></head><body><main>{body}</main></body></html>",
        texts.language
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, html).into_response()
}

/// What is paid for, and until when.
fn heading(payment: &Payment) -> String {
    format!(
        "<h1>{}</h1><p class=\"amount\">{}</p>",
        escape(&payment.asked.title),
        escape(&payment.asked.amount.to_string())
    )
}

fn forms(payment: &Payment, texts: &Texts) -> String {
    let mut html = heading(payment);
    html.push_str(&format!("<p>{}</p>", escape(texts.test)));
    for (button, label) in Button::ALL.into_iter().zip(texts.buttons) {
        html.push_str(&format!(
            "<form method=\"post\"><button class=\"{0}\" name=\"outcome\" value=\"{0}\">{1}</button></form>",
            button.as_str(),
            escape(label)
        ));
    }
    html.push_str(&format!("<p class=\"note\">{}</p>", escape(texts.late)));
    html
}

fn outcome(payment: &Payment, texts: &Texts, decided_before: bool) -> String {
    let mut html = heading(payment);
    html.push_str(&format!("<p>{}</p>", escape(texts.of(payment.state))));
    if let (State::Processing, Some(due_at)) = (payment.state, payment.due_at) {
        html.push_str(&format!(
            "<p class=\"note\">{} (+{LATE_BY_SECONDS} s)</p>",
            due_at.format("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    if decided_before {
        html.push_str(&format!("<p class=\"note\">{}</p>", escape(texts.decided)));
    }
    if let Some(url) = return_url(payment) {
        html.push_str(&format!("<p><a href=\"{}\" rel=\"noreferrer\">{}</a></p>", escape(&url), escape(texts.back)));
    }
    html
}

/// Where the buyer goes back to: only ever an address of the web.
fn return_url(payment: &Payment) -> Option<String> {
    let url = url::Url::parse(payment.asked.return_url.as_deref()?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}

fn failure(error: &BooksError) -> Response {
    match error {
        BooksError::NotFound => document(&ENGLISH, StatusCode::NOT_FOUND, &format!("<p>{}</p>", ENGLISH.unknown)),
        error => {
            tracing::error!(%error, "the sandbox gateway's books fail");
            document(&ENGLISH, StatusCode::SERVICE_UNAVAILABLE, "<p>The gateway cannot reach its books. Try again.</p>")
        }
    }
}

fn is_over(payment: &Payment, now: DateTime<Utc>) -> bool {
    payment.state == State::Open && payment.due_at.is_some_and(|at| at <= now)
}

/// `GET /sandbox/pay/{id}`.
pub async fn show(Extract(provider): Extract<Provider>, Path(id): Path<String>) -> Response {
    let mut payment = match provider.books.find(&id).await {
        Ok(Some(payment)) => payment,
        Ok(None) => return failure(&BooksError::NotFound),
        Err(error) => return failure(&error),
    };
    let texts = texts(payment.asked.locale.as_deref());
    if is_over(&payment, provider.books.now()) {
        payment.state = State::Expired;
    }
    let body = if payment.state == State::Open { forms(&payment, texts) } else { outcome(&payment, texts, false) };
    document(texts, StatusCode::OK, &body)
}

/// The one `outcome` of a form, if it is one of the buttons.
fn pressed(headers: &HeaderMap, body: &Bytes) -> Result<Button, StatusCode> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let mut outcomes = url::form_urlencoded::parse(body).filter(|(name, _)| name == "outcome");
    let outcome = outcomes.next().and_then(|(_, value)| value.parse().ok()).ok_or(StatusCode::BAD_REQUEST)?;
    if outcomes.next().is_some() { Err(StatusCode::BAD_REQUEST) } else { Ok(outcome) }
}

/// `POST /sandbox/pay/{id}`.
pub async fn press(
    Extract(provider): Extract<Provider>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let button = match pressed(&headers, &body) {
        Ok(button) => button,
        Err(status) => return document(&ENGLISH, status, &format!("<p>{}</p>", ENGLISH.wrong)),
    };
    let (payment, decision) = match provider.books.act(&id, Act::Press(button)).await {
        Ok(done) => done,
        Err(error) => return failure(&error),
    };
    provider.wake.notify_one();
    let texts = texts(payment.asked.locale.as_deref());
    // An open payment whose time was over has moved, but not to where the button leads.
    let lost = decision == Decision::Stays || payment.state == State::Expired;
    if lost {
        return document(texts, StatusCode::CONFLICT, &outcome(&payment, texts, true));
    }
    match return_url(&payment).and_then(|url| HeaderValue::try_from(url).ok()) {
        Some(url) => (
            StatusCode::SEE_OTHER,
            [(header::LOCATION, url), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        )
            .into_response(),
        None => document(texts, StatusCode::OK, &outcome(&payment, texts, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(escape(r#"<b a="x" b='y'>&amp;"#), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
        assert_eq!(escape("Đêm nhạc"), "Đêm nhạc");
    }

    #[test]
    fn the_page_speaks_the_buyers_language() {
        assert_eq!(texts(Some("vi-VN")).language, "vi");
        assert_eq!(texts(Some("VI")).language, "vi");
        for other in [None, Some("en"), Some("fr-FR"), Some("vie")] {
            assert_eq!(texts(other).language, "en");
        }
    }

    #[test]
    fn only_one_known_outcome_of_a_form_is_a_button() {
        let mut form = HeaderMap::new();
        form.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
        let press = |body: &'static str| pressed(&form, &Bytes::from_static(body.as_bytes()));
        assert_eq!(press("outcome=pay-late&other=1"), Ok(Button::PayLate));
        for wrong in ["", "outcome=", "outcome=PAY", "outcome=pay&outcome=pay", "Outcome=pay", "outcome=refund"] {
            assert_eq!(press(wrong), Err(StatusCode::BAD_REQUEST), "{wrong}");
        }
        let plain = HeaderMap::new();
        let refused = pressed(&plain, &Bytes::from_static(b"outcome=pay"));
        assert_eq!(refused, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
}

//! What a merchant calls: JSON over HTTP, `Authorization: Bearer <api key>`, and `Idempotency-Key` on what makes something.
//!
//! | call | answer |
//! |---|---|
//! | `POST /sandbox/api/payments` | 201, or 200 when the key was there; 409 `idempotency_key_reused` |
//! | `GET /sandbox/api/payments?key=…`, `GET /sandbox/api/payments/{id}` | 200, 404 |
//! | `POST /sandbox/api/payments/{id}/cancel` | 200; 409 `too_late` when the buyer has decided |
//! | `POST /sandbox/api/refunds` | 201, or 200 when the key was there; 409; 422 `nothing_to_refund` |
//! | `GET /sandbox/api/refunds?key=…` | 200, 404 |
//!
//! An error's body is `{"error":{"code","message"}}`.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State as Extract},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tickiz_domain::money::{Currency, Money};

use super::{
    Provider,
    account::{BooksError, NewPayment, NewRefund, Once, Payment, Refund},
    machine::{Act, Decision, State},
};

/// The most bytes of a request: a title, an address and some numbers.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// The most characters of a key or reference: what the books have room for.
const MAX_KEY_CHARS: usize = 200;
/// The most characters of a title or reason.
const MAX_TEXT_CHARS: usize = 1_000;
/// The most characters of a URL.
const MAX_URL_CHARS: usize = 4_096;
/// The most characters of a language tag.
const MAX_LOCALE_CHARS: usize = 64;

/// `POST /sandbox/api/payments`.
#[derive(Deserialize)]
pub struct CreatePayment {
    reference: String,
    amount_minor: i64,
    currency: String,
    title: String,
    return_url: Option<String>,
    locale: Option<String>,
    pay_until: DateTime<Utc>,
    hold_ends_at: DateTime<Utc>,
}

/// `POST /sandbox/api/refunds`.
#[derive(Deserialize)]
pub struct CreateRefund {
    payment: String,
    amount_minor: i64,
    reason: String,
}

/// `?key=…`.
#[derive(Deserialize)]
pub struct ByKey {
    key: String,
}

#[derive(Serialize)]
struct PaymentBody<'a> {
    id: &'a str,
    key: &'a str,
    reference: &'a str,
    state: &'static str,
    amount_minor: i64,
    currency: &'static str,
    refunded_minor: i64,
    url: String,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct RefundBody<'a> {
    id: &'a str,
    payment: &'a str,
    state: &'static str,
    amount_minor: i64,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorText<'a>,
}

#[derive(Serialize)]
struct ErrorText<'a> {
    code: &'a str,
    message: &'a str,
}

/// Why a call is refused.
pub struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "invalid_request", message: message.into() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { error: ErrorText { code: self.code, message: &self.message } })).into_response()
    }
}

impl From<BooksError> for Refused {
    fn from(error: BooksError) -> Self {
        let (status, code) = match &error {
            BooksError::KeyReused => (StatusCode::CONFLICT, "idempotency_key_reused"),
            BooksError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            BooksError::NothingToRefund => (StatusCode::UNPROCESSABLE_ENTITY, "nothing_to_refund"),
            BooksError::Store(inside) => {
                tracing::error!(error = %inside, "the sandbox gateway's books fail");
                return Self {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    code: "internal",
                    message: "the gateway cannot reach its books; ask again what became of it".to_owned(),
                };
            }
        };
        Self { status, code, message: error.to_string() }
    }
}

fn authorize(provider: &Provider, headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if given.is_some_and(|given| given.ct_eq(provider.api_key.as_bytes()).into()) {
        return Ok(());
    }
    let message = "the API key is missing or wrong".to_owned();
    Err(Refused { status: StatusCode::UNAUTHORIZED, code: "unauthorized", message })
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Refused> {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key.chars().count() > MAX_KEY_CHARS {
        return Err(Refused::invalid(format!("Idempotency-Key has 1 to {MAX_KEY_CHARS} visible ASCII characters")));
    }
    Ok(key.to_owned())
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::invalid(format!("the body is not as documented: {error}")))
}

fn bounded(name: &str, text: &str, most: usize) -> Result<(), Refused> {
    let chars = text.chars().count();
    if (1..=most).contains(&chars) {
        Ok(())
    } else {
        Err(Refused::invalid(format!("{name} has 1 to {most} characters")))
    }
}

fn request_hash(body: &Bytes) -> String {
    hex::encode(Sha256::digest(body))
}

fn payment_answer(provider: &Provider, status: StatusCode, payment: &Payment) -> Response {
    let body = PaymentBody {
        id: &payment.id,
        key: &payment.asked.idempotency_key,
        reference: &payment.asked.reference,
        state: payment.state.as_str(),
        amount_minor: payment.asked.amount.minor(),
        currency: payment.asked.amount.currency().code(),
        refunded_minor: payment.refunded_minor,
        url: provider.page_url(&payment.id),
        created_at: payment.created_at,
        changed_at: payment.changed_at,
    };
    (status, Json(body)).into_response()
}

fn refund_answer(status: StatusCode, refund: &Refund) -> Response {
    let body =
        RefundBody { id: &refund.id, payment: &refund.payment_id, state: "DONE", amount_minor: refund.amount_minor };
    (status, Json(body)).into_response()
}

const fn status_of(once: Once) -> StatusCode {
    match once {
        Once::First => StatusCode::CREATED,
        Once::Again => StatusCode::OK,
    }
}

fn not_found(what: &str) -> Refused {
    Refused { status: StatusCode::NOT_FOUND, code: "not_found", message: format!("there is no such {what}") }
}

impl CreatePayment {
    fn check(self, idempotency_key: String, request_hash: String) -> Result<NewPayment, Refused> {
        bounded("reference", &self.reference, MAX_KEY_CHARS)?;
        bounded("title", &self.title, MAX_TEXT_CHARS)?;
        let currency = Currency::parse(&self.currency).map_err(|error| Refused::invalid(error.to_string()))?;
        let amount =
            Money::try_new(self.amount_minor, currency).map_err(|error| Refused::invalid(error.to_string()))?;
        if amount.minor() == 0 {
            return Err(Refused::invalid("there is nothing to pay"));
        }
        if !self.reference.is_ascii() {
            return Err(Refused::invalid("reference is ASCII"));
        }
        if let Some(locale) = &self.locale {
            bounded("locale", locale, MAX_LOCALE_CHARS)?;
        }
        if let Some(url) = &self.return_url {
            bounded("return_url", url, MAX_URL_CHARS)?;
            let parsed = url::Url::parse(url).map_err(|error| Refused::invalid(format!("return_url: {error}")))?;
            if !matches!(parsed.scheme(), "http" | "https") {
                return Err(Refused::invalid("return_url is an http or https URL"));
            }
        }
        Ok(NewPayment {
            idempotency_key,
            request_hash,
            reference: self.reference,
            amount,
            title: self.title,
            locale: self.locale.filter(|locale| locale.is_ascii()),
            return_url: self.return_url,
            pay_until: self.pay_until,
            hold_ends_at: self.hold_ends_at,
        })
    }
}

/// `POST /sandbox/api/payments`.
///
/// # Errors
/// As the module's table says.
pub async fn create_payment(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let new = parse::<CreatePayment>(&body)?.check(idempotency_key(&headers)?, request_hash(&body))?;
    let (payment, once) = provider.books.create(&new).await?;
    Ok(payment_answer(&provider, status_of(once), &payment))
}

/// `GET /sandbox/api/payments?key=…`.
///
/// # Errors
/// As the module's table says.
pub async fn find_payment(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    Query(by): Query<ByKey>,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let payment = provider.books.find_by_key(&by.key).await?.ok_or_else(|| not_found("payment"))?;
    Ok(payment_answer(&provider, StatusCode::OK, &payment))
}

/// `GET /sandbox/api/payments/{id}`.
///
/// # Errors
/// As the module's table says.
pub async fn read_payment(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let payment = provider.books.find(&id).await?.ok_or_else(|| not_found("payment"))?;
    Ok(payment_answer(&provider, StatusCode::OK, &payment))
}

/// `POST /sandbox/api/payments/{id}/cancel`.
///
/// # Errors
/// As the module's table says.
pub async fn cancel_payment(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let (payment, decision) = provider.books.act(&id, Act::MerchantCancel).await?;
    let ended = matches!(payment.state, State::Cancelled | State::Expired);
    if ended && decision != Decision::Stays {
        return Ok(payment_answer(&provider, StatusCode::OK, &payment));
    }
    let message = format!("the payment is {}", payment.state.as_str());
    Err(Refused { status: StatusCode::CONFLICT, code: "too_late", message })
}

/// `POST /sandbox/api/refunds`.
///
/// # Errors
/// As the module's table says.
pub async fn create_refund(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let asked: CreateRefund = parse(&body)?;
    bounded("reason", &asked.reason, MAX_TEXT_CHARS)?;
    if asked.amount_minor <= 0 {
        return Err(Refused::invalid("amount_minor is above 0"));
    }
    let new = NewRefund {
        idempotency_key: idempotency_key(&headers)?,
        request_hash: request_hash(&body),
        payment_id: asked.payment,
        amount_minor: asked.amount_minor,
        reason: asked.reason,
    };
    if provider.books.find(&new.payment_id).await?.is_none() {
        return Err(not_found("payment"));
    }
    let (refund, once) = provider.books.refund(&new).await?;
    Ok(refund_answer(status_of(once), &refund))
}

/// `GET /sandbox/api/refunds?key=…`.
///
/// # Errors
/// As the module's table says.
pub async fn find_refund(
    Extract(provider): Extract<Provider>,
    headers: HeaderMap,
    Query(by): Query<ByKey>,
) -> Result<Response, Refused> {
    authorize(&provider, &headers)?;
    let refund = provider.books.find_refund(&by.key, None).await?.ok_or_else(|| not_found("refund"))?;
    Ok(refund_answer(StatusCode::OK, &refund))
}

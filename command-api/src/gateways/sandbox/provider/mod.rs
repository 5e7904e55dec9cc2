//! The sandbox gateway's own house: where a merchant's buyers are sent, and whose ledger says what was paid.
//!
//! It is a gateway like those in the world, and shares nothing with Tickiz but the HTTP calls between them: it has its own books
//! ([`books`]), its own rules ([`machine`]), its own clock and its own errands ([`courier`]). So whatever can go wrong between a
//! merchant and a gateway can go wrong here too: an answer that is lost, a webhook that comes first, twice, late or never.
//!
//! # Layout
//!
//! * [`api`]: what a merchant calls: payments, cancellation, refunds. Idempotent by the merchant's keys.
//! * [`page`]: what a buyer sees: the amount, the title, and the buttons Pay, Decline, Cancel, Pay late.
//! * [`machine`]: what can become of a payment.
//! * [`account`], [`books`]: the ledger, in SQL; `rounds`: what many ask of it at once.
//! * [`courier`]: signed webhooks with retries, and what is due without anybody pressing a button.

pub mod account;
pub mod api;
pub mod books;
pub mod courier;
pub mod machine;
pub mod page;
mod rounds;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use tickiz_event_log::runtime::{Clock, SystemClock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{account::LedgerPayment, books::Books, courier::Courier};
use crate::{ids::Entropy, stores::Database};

/// What the gateway needs.
pub struct Options {
    /// Its books' database; the tables are there.
    pub database: Database,
    /// How browsers reach it, without a slash at the end.
    pub public_url: String,
    /// Where it sends its webhooks.
    pub notify_url: String,
    /// What the merchant's calls carry as a bearer token.
    pub api_key: String,
    /// What webhooks are signed with.
    pub webhook_secret: Vec<u8>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Where its ids come from.
    pub entropy: Arc<dyn Entropy>,
}

/// The gateway. A cheap handle.
#[derive(Clone)]
pub struct Provider {
    books: Books,
    public_url: Arc<str>,
    api_key: Arc<str>,
    courier: Courier,
    wake: Arc<Notify>,
}

impl Provider {
    /// A gateway over its books. Nothing runs yet.
    ///
    /// # Errors
    /// When no HTTP client can be made, for want of a TLS provider.
    pub fn try_new(options: Options) -> Result<Self, reqwest::Error> {
        let books = Books::new(options.database, options.clock, options.entropy);
        let wake = Arc::new(Notify::new());
        // A webhook goes where the merchant said and nowhere else: no proxy, no redirect.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let courier = Courier {
            books: books.clone(),
            notify_url: options.notify_url.into(),
            secret: options.webhook_secret.into(),
            http,
            wake: Arc::clone(&wake),
            is_full: Arc::default(),
        };
        Ok(Self { books, public_url: options.public_url.into(), api_key: options.api_key.into(), courier, wake })
    }

    /// `/sandbox/pay/{id}` and `/sandbox/api/…`.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/sandbox/pay/{id}", get(page::show).post(page::press))
            .route("/sandbox/api/payments", get(api::find_payment).post(api::create_payment))
            .route("/sandbox/api/payments/{id}", get(api::read_payment))
            .route("/sandbox/api/payments/{id}/cancel", post(api::cancel_payment))
            .route("/sandbox/api/refunds", get(api::find_refund).post(api::create_refund))
            .layer(axum::extract::DefaultBodyLimit::max(api::MAX_BODY_BYTES))
            .with_state(self.clone())
    }

    /// Does what is due and sends webhooks, until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        self.courier.clone().run(stop).await;
    }

    fn page_url(&self, id: &str) -> String {
        format!("{}/sandbox/pay/{id}", self.public_url)
    }
}

/// Every payment of the gateway's books, for `tickiz verify`.
///
/// # Errors
/// When the books cannot be read.
pub async fn ledger(database: Database) -> Result<Vec<LedgerPayment>, account::BooksError> {
    let books = Books::new(database, Arc::new(SystemClock), Arc::new(crate::ids::SystemEntropy));
    let mut all: Vec<LedgerPayment> = Vec::new();
    loop {
        let page = books.ledger(all.last().map_or("", |payment| &payment.id)).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

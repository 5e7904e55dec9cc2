//! The running program, and a merchant that takes its webhooks.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

/// What a merchant was sent.
#[derive(Clone, Debug)]
pub struct Got {
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON body")
    }
}

#[derive(Default)]
struct Inbox {
    got: Vec<Got>,
    answers: VecDeque<(u16, String)>,
}

/// A merchant: answers webhooks as it was told to, and well when it was told nothing.
pub struct Merchant {
    pub url: String,
    inbox: Arc<Mutex<Inbox>>,
}

/// What the merchant's server knows: its inbox, and its usual answer.
type Known = (Arc<Mutex<Inbox>>, (u16, String));

impl Merchant {
    pub async fn new(status: u16, body: &str) -> Self {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let state: Known = (Arc::clone(&inbox), (status, body.to_owned()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let app = axum::Router::new().fallback(take).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inbox }
    }

    /// The next webhook is answered so.
    pub fn answers(&self, status: u16, body: &str) {
        self.inbox.lock().expect("whole").answers.push_back((status, body.to_owned()));
    }

    pub fn got(&self) -> Vec<Got> {
        self.inbox.lock().expect("whole").got.clone()
    }

    /// What was sent since the last time that this was asked.
    pub fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.inbox.lock().expect("whole").got)
    }
}

async fn take(State((inbox, usual)): State<Known>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let mut inbox = inbox.lock().expect("whole");
    inbox.got.push(Got { query: parts.uri.query().unwrap_or_default().to_owned(), headers: parts.headers, body });
    let (status, text) = inbox.answers.pop_front().unwrap_or(usual);
    Response::builder().status(status).header("content-type", "application/json").body(text.into()).expect("an answer")
}

/// The program. It ends with the test.
pub struct Program {
    child: Child,
    pub base: String,
    pub http: reqwest::Client,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the clock stands at a test's beginning: 2026-01-01T00:00:00Z.
pub const START_MS: i64 = 1_767_225_600_000;

impl Program {
    /// Starts it, with the clock frozen at [`START_MS`].
    pub async fn new(webhooks: &[(&str, &str)]) -> Self {
        Self::with_secrets(webhooks, "{}").await
    }

    /// The same with other keys, as JSON.
    pub async fn with_secrets(webhooks: &[(&str, &str)], secrets: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickiz-sim"));
        command.env("TICKIZ_SIM_SECRETS", secrets);
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped());
        for (gateway, url) in webhooks {
            command.args(["--webhooks-to", &format!("{gateway}={url}")]);
        }
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let base = said["control"].as_str().expect("a base").trim_end_matches("/__sim").to_owned();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let program = Self { child, base, http };
        program.control("clock", json!({ "set": START_MS, "freeze": true })).await;
        program
    }

    /// A control call that must go well.
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_control(path, &body.to_string()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn try_control(&self, path: &str, body: &str) -> (u16, Value) {
        let request = self.http.post(format!("{}/__sim/{path}", self.base)).body(body.to_owned());
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    pub async fn advance(&self, ms: i64) {
        self.control("clock", json!({ "advance_ms": ms })).await;
    }

    pub async fn journal(&self) -> Vec<Value> {
        let response = self.http.get(format!("{}/__sim/webhooks", self.base)).send().await.expect("an answer");
        response.json().await.expect("JSON")
    }
}

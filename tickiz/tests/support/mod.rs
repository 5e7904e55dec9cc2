//! A running `tickiz`, as a stranger uses it: the real program, its HTTP port, nothing else.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod document;
#[cfg(feature = "distributed")]
pub mod house;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

pub const ORGANIZER_TOKEN: &str = "organizer-token-for-tests";
pub const AUDITOR_TOKEN: &str = "auditor-token-for-tests-too";

/// How long a program may take to become ready, or a change to become visible, before a test gives up. Far above what
/// either takes; a test never measures speed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Tickiz {
    pub child: Child,
    pub url: String,
    pub http: reqwest::Client,
    pub data_dir: PathBuf,
}

/// What differs from test to test.
#[derive(Default, Clone)]
pub struct Start<'a> {
    pub data_dir: Option<&'a Path>,
    pub mysql_url: Option<&'a str>,
    pub arguments: Vec<&'a str>,
    pub environment: Vec<(&'a str, &'a str)>,
    /// Where its log goes; `None`: to the test's own.
    pub log: Option<&'a Path>,
}

/// The program with nothing inherited that would configure it.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickiz"));
    for (name, _) in std::env::vars() {
        if name.starts_with("TICKIZ_") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    command
}

impl Tickiz {
    /// Starts it with the sandbox gateway on and waits until it is ready.
    pub async fn start(start: Start<'_>) -> Self {
        install_tls();
        let data_dir = start.data_dir.expect("a test names its own data folder").to_owned();
        let mut command = command();
        if start.arguments.is_empty() {
            command.arg("serve");
        }
        command
            .args(&start.arguments)
            .env("TICKIZ_LISTEN", "127.0.0.1:0")
            .env("TICKIZ_DATA_DIR", &data_dir)
            .env("TICKIZ_ORGANIZER_TOKEN", ORGANIZER_TOKEN)
            .env("TICKIZ_AUDITOR_TOKEN", AUDITOR_TOKEN)
            .env("TICKIZ_SANDBOX_PAYMENTS", "true")
            .env("TICKIZ_LOG", "warn")
            .envs(start.environment.iter().copied())
            .stdout(Stdio::piped());
        if let Some(path) = start.log {
            let file = std::fs::File::options().create(true).append(true).open(path).expect("a file for the log");
            command.stderr(file);
        }
        if let Some(url) = start.mysql_url {
            command.env("TICKIZ_MYSQL_URL", url);
        }
        let mut child = command.spawn().expect("the program starts");
        let stdout = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let url = tokio::time::timeout(PATIENCE, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.trim().strip_prefix("listening on ") {
                    return url.trim_end_matches('/').to_owned();
                }
            }
            let said = start.log.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
            panic!("the program ended before it listened: {said}");
        })
        .await
        .expect("the program listens in time");
        // Its output is read on, or a full pipe would stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().build().expect("the client has no odd settings");
        let tickiz = Self { child, url, http, data_dir };
        tickiz.wait_until_ready().await;
        tickiz
    }

    async fn wait_until_ready(&self) {
        let begun = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the program is not ready in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL, as on the worst day.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the program can be killed");
    }

    /// SIGTERM, and waits for it to drain.
    pub async fn stop(mut self) -> std::process::ExitStatus {
        let pid = self.child.id().expect("it still runs").to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it drains in time")
            .expect("it can be waited for")
    }

    /// One GraphQL request; the whole answer.
    pub async fn send(&self, token: Option<&str>, query: &str, variables: Value) -> Value {
        let mut request =
            self.http.post(format!("{}/graphql", self.url)).json(&json!({"query": query, "variables": variables}));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.expect("the server answers").json().await.expect("the answer is JSON")
    }

    /// `data` of an anonymous request that has no errors.
    pub async fn ask(&self, query: &str, variables: Value) -> Value {
        data(self.send(None, query, variables).await)
    }

    /// `data` of an organiser's request that has no errors.
    pub async fn organize(&self, query: &str, variables: Value) -> Value {
        data(self.send(Some(ORGANIZER_TOKEN), query, variables).await)
    }

    /// Creates and publishes a show; its id and ticket types.
    pub async fn publish(&self, input: Value) -> Value {
        let created = self
            .organize(
                "mutation($input: CreateEventInput!) { createEvent(input: $input) { id } }",
                json!({"input": input}),
            )
            .await;
        let published = self
            .organize(
                "mutation($id: ID!) { publishEvent(id: $id) { id status position ticketTypes { id name capacity } } }",
                json!({"id": created["createEvent"]["id"]}),
            )
            .await;
        assert_eq!(published["publishEvent"]["status"], "PUBLISHED");
        published["publishEvent"].clone()
    }

    pub async fn place(&self, input: Value) -> Value {
        self.send(None, PLACE, json!({"input": input})).await
    }

    pub async fn booking(&self, booking: &Value) -> Value {
        let answer = self
            .ask(
                "query($id: ID!, $token: String, $position: Position) { booking(id: $id, accessToken: $token, minPosition: $position) {
                    id code status holdExpiresAt total { amount currency } position
                    tickets { id seatId seatLabel code qr price { amount currency } }
                    payments { id status method redirectUrl } event { id title } } }",
                // A buyer sees his own booking at once, however far the read models are.
                json!({"id": booking["id"], "token": booking["accessToken"], "position": booking["position"]}),
            )
            .await;
        answer["booking"].clone()
    }

    /// Pays by the sandbox: opens its page and presses the button.
    pub async fn pay(&self, booking: &Value, key: &str, outcome: &str) -> Value {
        let payment = self.open_payment(booking, key).await;
        self.press(&payment, outcome).await;
        payment
    }

    pub async fn open_payment(&self, booking: &Value, key: &str) -> Value {
        let answer = self
            .ask(
                "mutation($input: PayBookingInput!) { payBooking(input: $input) { id status method redirectUrl position amount { amount currency } } }",
                json!({"input": {"bookingId": booking["id"], "method": "SANDBOX", "accessToken": booking["accessToken"], "idempotencyKey": key}}),
            )
            .await;
        answer["payBooking"].clone()
    }

    pub async fn press(&self, payment: &Value, outcome: &str) {
        let page = payment["redirectUrl"].as_str().expect("a payment that waits has a page");
        let answer = self.http.post(page).form(&[("outcome", outcome)]).send().await.expect("the page answers");
        assert!(answer.status().is_success() || answer.status().is_redirection(), "{outcome}: {}", answer.status());
    }

    /// Waits until the booking has that status.
    pub async fn wait_for_status(&self, booking: &Value, status: &str) -> Value {
        let begun = Instant::now();
        loop {
            let now = self.booking(booking).await;
            if now["status"] == status {
                return now;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {status}, it is {}", now["status"]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The whole log, as the auditor reads it.
    pub async fn log(&self) -> Vec<Value> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let after = entries.last().map(|entry| entry["position"].clone());
            let answer = data(
                self.send(
                    Some(AUDITOR_TOKEN),
                    "query($after: Position) { log(after: $after, first: 1000) { position streamType streamId sequence type version data } }",
                    json!({"after": after}),
                )
                .await,
            );
            let page = answer["log"].as_array().expect("log is a list").clone();
            if page.is_empty() {
                return entries;
            }
            entries.extend(page);
        }
    }

    /// `tickiz verify` over the same stores; its exit code and report.
    pub async fn verify(data_dir: &Path, mysql_url: Option<&str>) -> (i32, Value) {
        let mut command = command();
        command.args(["verify", "--json"]).env("TICKIZ_DATA_DIR", data_dir);
        if let Some(url) = mysql_url {
            command.env("TICKIZ_MYSQL_URL", url);
        }
        let output = command.output().await.expect("verify runs");
        let report = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("verify prints JSON, not {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().expect("verify ends by itself"), report)
    }
}

pub const PLACE: &str = "mutation($input: PlaceBookingInput!) { placeBooking(input: $input) {
    id code status accessToken holdExpiresAt position total { amount currency }
    tickets { id seatId seatLabel code price { amount currency } } payments { id } event { id title } } }";

/// `data`, where there are no errors.
pub fn data(answer: Value) -> Value {
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].clone()
}

/// The code of the first error.
pub fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no error code in {answer:#}"))
}

/// A show of general admission, ten days from now.
pub fn general_admission(title: &str, price: &str, currency: &str, capacity: i64) -> Value {
    json!({
        "title": title, "category": "CONCERT", "startsAt": in_days(10), "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Hall", "city": "Huế", "country": "VN"},
        "ticketTypes": [{"name": "Regular", "price": {"amount": price, "currency": currency}, "capacity": capacity}],
    })
}

/// A show with one section of rows of seats, all of one category.
pub fn seated(title: &str, rows: u32, seats: u32) -> Value {
    let mut input = general_admission(title, "100000", "VND", 1);
    let rows: Vec<Value> = (1..=rows)
        .map(|row| {
            let seats: Vec<Value> = (1..=seats)
                .map(|seat| {
                    json!({"seat_guid": format!("{row}-{seat}"), "seat_number": seat.to_string(), "category": "Regular",
                           "position": {"x": f64::from(seat) * 20.0, "y": 0.0}})
                })
                .collect();
            json!({"row_number": row.to_string(), "row_number_position": "both", "position": {"x": 0.0, "y": f64::from(row) * 25.0}, "seats": seats})
        })
        .collect();
    input["seatingPlan"] = json!({
        "name": title, "categories": [{"name": "Regular", "color": "#336699"}],
        "zones": [{"name": "Stalls", "position": {"x": 0.0, "y": 0.0}, "rows": rows, "areas": []}],
        "size": {"width": 1000.0, "height": 1000.0},
    });
    input["ticketTypes"] =
        json!([{"name": "Regular", "price": {"amount": "100000", "currency": "VND"}, "seatCategories": ["Regular"]}]);
    input
}

pub fn in_days(days: i64) -> String {
    let day = chrono::Utc::now().date_naive() + chrono::Duration::days(days);
    format!("{day}T19:30:00")
}

pub fn buyer(name: &str) -> Value {
    json!({"name": name, "email": format!("{name}@example.com")})
}

fn install_tls() {
    // The second call in one process finds it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A MySQL or MariaDB database of its own, dropped at the end.
pub struct Database {
    pub url: String,
    server: String,
    name: String,
}

impl Database {
    /// On the server that this variable names. `None`, with a line that says so, where it names none; a test run that was
    /// promised servers (`TICKIZ_TEST_REQUIRE_SERVERS=1`) fails instead.
    pub async fn create(variable: &str) -> Option<Self> {
        let Ok(server) = std::env::var(variable) else {
            assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "{variable} is not set");
            println!("skipped: {variable} is not set; `cargo xtask test` sets it");
            return None;
        };
        Some(Self::create_at(&server).await)
    }

    /// On the server of that address.
    pub async fn create_at(server: &str) -> Self {
        install_tls();
        let name = format!("tickiz_test_{}", uuid::Uuid::new_v4().simple());
        execute(server, format!("CREATE DATABASE {name}")).await;
        Self { url: format!("{}/{name}", server.trim_end_matches('/')), server: server.to_owned(), name }
    }

    /// Drops it. Not in `Drop`, since that cannot wait.
    pub async fn drop_it(self) {
        execute(&self.server, format!("DROP DATABASE {}", self.name)).await;
    }
}

async fn execute(server: &str, statement: String) {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::MySqlConnection::connect(server).await.expect("the test server answers");
    connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("the statement is legal");
}

/// Below those that Linux gives to outgoing connections, of which the first processes make many before the last one listens.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Ports of this machine that nobody listens on.
pub fn free_ports(count: usize) -> Vec<u16> {
    let mut held = Vec::new();
    while held.len() < count {
        let [high, low, ..] = uuid::Uuid::new_v4().into_bytes();
        let port = PORTS.start + u16::from_be_bytes([high, low]) % (PORTS.end - PORTS.start);
        held.extend(std::net::TcpListener::bind(("127.0.0.1", port)).ok());
    }
    held.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}

//! A running Tickiz over MySQL and Redis, and a client of it.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// What a start may take.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The organiser's token.
const TOKEN: &str = "organizer-token-of-the-bench";

/// A process that serves HTTP; killed when it is dropped.
pub struct Process {
    child: Child,
    /// Where it is.
    pub url: String,
}

impl Process {
    /// How long it has worked, all its threads and the system for it; steadier than a rate where others use the machine, too.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(&self.child.id().context("the process is gone")?.to_string())
    }
}

/// The same of this program.
pub fn own_cpu() -> Result<Duration> {
    cpu_of("self")
}

/// proc_pid_stat(5): the fields `utime` and `stime`, in hundredths of a second.
fn cpu_of(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before may have spaces; the 14th and 15th field are the 12th and 13th behind it.
    let (_, fields) = stat.rsplit_once(')').context("a name in parentheses")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Starts a program that prints its address, and waits for that.
pub async fn start(mut command: Command) -> Result<Process> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let stdout = child.stdout.take().context("the program has no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let found = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                return Ok(url.trim_end_matches('/').to_owned());
            }
        }
        bail!("the program ended before it listened")
    };
    let url = tokio::time::timeout(START_LIMIT, found).await.context("no address is printed")??;
    // Read on, or a full pipe would stop it.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Process { child, url })
}

/// Every role in one process, over that database, and Redis where there is one.
pub async fn tickiz(binary: &Path, mysql: &str, redis: Option<&str>, data: &Path) -> Result<Process> {
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .env("TICKIZ_LISTEN", "127.0.0.1:0")
        .env("TICKIZ_DATA_DIR", data)
        .env("TICKIZ_MYSQL_URL", mysql)
        .env("TICKIZ_ORGANIZER_TOKEN", TOKEN)
        .env("TICKIZ_SANDBOX_PAYMENTS", "true")
        .env("TICKIZ_LOG", "error");
    if let Some(redis) = redis {
        command.env("TICKIZ_REDIS_URL", redis);
    }
    let process = start(command).await?;
    let client = reqwest::Client::new();
    let began = std::time::Instant::now();
    while !client.get(format!("{}/readyz", process.url)).send().await.is_ok_and(|a| a.status().is_success()) {
        anyhow::ensure!(began.elapsed() < START_LIMIT, "it is not ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(process)
}

/// What is measured against, started out of this very program.
pub async fn plain() -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("plain");
    start(command).await
}

/// A body of GraphQL.
pub fn body(query: &str, variables: &Value) -> Vec<u8> {
    json!({"query": query, "variables": variables}).to_string().into_bytes()
}

/// Sends a body; the answer's text.
pub async fn post(client: &reqwest::Client, url: &str, body: Vec<u8>, organizer: bool) -> Result<String> {
    let mut request = client.post(format!("{url}/graphql")).header("content-type", "application/json").body(body);
    if organizer {
        request = request.bearer_auth(TOKEN);
    }
    Ok(request.send().await?.text().await?)
}

/// `data` of an organiser's request.
pub async fn organize(client: &reqwest::Client, url: &str, query: &str, variables: &Value) -> Result<Value> {
    let answer: Value = serde_json::from_str(&post(client, url, body(query, variables), true).await?)?;
    anyhow::ensure!(answer.get("errors").is_none(), "{answer}");
    Ok(answer["data"].clone())
}

/// Publishes a show of rows of seats, or of general admission without rows; its id, and its ticket type's.
pub async fn publish(client: &reqwest::Client, url: &str, rows: usize, seats: usize) -> Result<(String, String)> {
    let starts = (chrono::Utc::now() + chrono::TimeDelta::days(30)).format("%Y-%m-%dT19:30:00").to_string();
    let mut input = json!({
        "title": "Measured", "category": "CONCERT", "startsAt": starts, "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Arena", "city": "Huế", "country": "VN"},
        "ticketTypes": [{"name": "Regular", "price": {"amount": "100000", "currency": "VND"}, "capacity": 1_000_000}],
    });
    if rows > 0 {
        let row = |row: usize| {
            let seat = |seat: usize| {
                json!({"seat_guid": format!("{row}-{seat}"), "seat_number": seat.to_string(), "category": "Regular",
                       "position": {"x": seat as f64 * 20.0, "y": 0.0}})
            };
            json!({"row_number": row.to_string(), "row_number_position": "both",
                   "position": {"x": 0.0, "y": row as f64 * 25.0}, "seats": (0..seats).map(seat).collect::<Vec<_>>()})
        };
        input["seatingPlan"] = json!({
            "name": "Arena", "categories": [{"name": "Regular", "color": "#336699"}],
            "zones": [{"name": "Stalls", "position": {"x": 0.0, "y": 0.0}, "areas": [],
                       "rows": (0..rows).map(row).collect::<Vec<_>>()}],
            "size": {"width": 10000.0, "height": 10000.0},
        });
        input["ticketTypes"] = json!([{"name": "Regular", "price": {"amount": "100000", "currency": "VND"},
                                       "seatCategories": ["Regular"]}]);
    }
    let create = "mutation($input: CreateEventInput!) { createEvent(input: $input) { id } }";
    let created = organize(client, url, create, &json!({"input": input})).await?;
    let id = created["createEvent"]["id"].as_str().context("an id")?.to_owned();
    let publish = "mutation($id: ID!) { publishEvent(id: $id) { position ticketTypes { id } } }";
    let published = organize(client, url, publish, &json!({"id": id})).await?;
    let ticket_type = published["publishEvent"]["ticketTypes"][0]["id"].as_str().context("a ticket type")?.to_owned();
    let look = "query($id: ID!, $position: Position) { event(id: $id, minPosition: $position) { id } }";
    let seen = json!({"id": id, "position": published["publishEvent"]["position"]});
    let _ = organize(client, url, look, &seen).await?;
    Ok((id, ticket_type))
}

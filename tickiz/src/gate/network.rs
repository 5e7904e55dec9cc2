//! What a gate asks of the API. Every question has a limit of time: at the door somebody waits for it.

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tickiz_tickets::SignedBundle;
use uuid::Uuid;

use super::journal::Line;

/// How long an answer may take that somebody at the door waits for; then the gate decides by itself.
const AT_THE_DOOR: Duration = Duration::from_secs(2);
/// How long one may take that nobody waits for at the door.
const BEHIND: Duration = Duration::from_secs(20);
/// Scans that are handed in at a time: as many as the API takes.
const SCANS_AT_A_TIME: usize = 200;

const CHECK_IN: &str =
    "mutation($input: CheckInInput!) { checkIn(input: $input) { scanId outcome admission { at gate } } }";
const MERGE: &str =
    "mutation($input: MergeScansInput!) { mergeScans(input: $input) { scanId outcome admission { at gate } } }";

/// The API, as a gate asks it.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What the API says of a code.
pub struct Told {
    /// Such as ADMITTED.
    pub outcome: String,
    /// When and where somebody was let in with it.
    pub what: String,
}

impl Api {
    /// The API at that address, asked with a gate's or an organiser's token.
    pub fn new(url: &str, token: &str) -> Self {
        Self { http: reqwest::Client::new(), url: url.trim_end_matches('/').to_owned(), token: token.to_owned() }
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let url = format!("{}/gate/v1/events/{path}", self.url);
        let answer = self.http.get(&url).bearer_auth(&self.token).timeout(BEHIND).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        anyhow::ensure!(status.is_success(), "{url} answers {status}: {}", text.trim());
        Ok(text)
    }

    /// A show's bundle, as it is to be kept.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn bundle(&self, event: &str) -> anyhow::Result<String> {
        self.get(&format!("{event}/bundle")).await
    }

    /// What changed since a position.
    ///
    /// # Errors
    /// When the API does not answer, or refuses.
    pub async fn revocations(&self, event: &str, since: i64) -> anyhow::Result<SignedBundle> {
        let text = self.get(&format!("{event}/revocations?since={since}")).await?;
        serde_json::from_str(&text).context("what came is no list of what changed")
    }

    async fn mutate(&self, query: &str, input: &Value, limit: Duration) -> anyhow::Result<Value> {
        let body = json!({"query": query, "variables": {"input": input}});
        let request = self.http.post(format!("{}/graphql", self.url)).bearer_auth(&self.token).json(&body);
        let answer: Value = request.timeout(limit).send().await?.json().await.context("the API")?;
        anyhow::ensure!(answer["errors"].is_null(), "the API refused: {}", answer["errors"][0]["message"]);
        Ok(answer["data"].clone())
    }

    /// Whether somebody may come in with a code.
    ///
    /// # Errors
    /// When the API does not answer in time, or with no outcome.
    pub async fn check_in(&self, event: &str, code: &str, gate: &str, scan_id: Uuid) -> anyhow::Result<Told> {
        let input = json!({"eventId": event, "code": code, "gate": gate, "scanId": scan_id});
        let told = self.mutate(CHECK_IN, &input, AT_THE_DOOR).await?["checkIn"].take();
        let outcome = told["outcome"].as_str().context("the API gives no outcome")?.to_owned();
        let first = &told["admission"];
        let what = match (first["at"].as_str(), first["gate"].as_str()) {
            (Some(at), Some(gate)) => format!("let in at {at}, {gate}"),
            _ => "by the API".to_owned(),
        };
        Ok(Told { outcome, what })
    }

    /// Hands scans in, a page after the other; what became of each.
    ///
    /// # Errors
    /// When the API does not answer, or refuses. What was handed in before may be so again.
    pub async fn hand_in(&self, event: &str, admitted: &[Line]) -> anyhow::Result<Vec<Value>> {
        let mut outcomes = Vec::with_capacity(admitted.len());
        for page in admitted.chunks(SCANS_AT_A_TIME) {
            let mut by_gate: std::collections::BTreeMap<&str, Vec<Value>> = std::collections::BTreeMap::new();
            for line in page {
                if let Line::Admitted { scan_id, code, gate, scanned_at, .. } = line {
                    let scan = json!({"scanId": scan_id, "code": code, "scannedAt": scanned_at});
                    by_gate.entry(gate).or_default().push(scan);
                }
            }
            for (gate, scans) in by_gate {
                let input = json!({"eventId": event, "gate": gate, "scans": scans});
                let merged = self.mutate(MERGE, &input, BEHIND).await?["mergeScans"].take();
                outcomes.extend(merged.as_array().context("the API gives no outcomes")?.iter().cloned());
            }
        }
        Ok(outcomes)
    }
}

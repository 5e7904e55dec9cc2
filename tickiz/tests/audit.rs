//! `tickiz audit` by the program itself: what an auditor gets, and what he finds where somebody altered the log.

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use support::{Start, Tickiz, buyer, command, data, general_admission};

struct Auditor {
    data_dir: PathBuf,
    tree: PathBuf,
}

impl Auditor {
    /// Runs `tickiz audit` with these words; its exit code and standard output.
    async fn audit(&self, words: &[&str]) -> (i32, String) {
        let mut audit = command();
        audit.arg("audit").args(words).arg("--dir").arg(&self.tree).env("TICKIZ_DATA_DIR", &self.data_dir);
        let output = audit.output().await.expect("the program runs");
        let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or_else(|| panic!("it ends by itself: {errors}")), text)
    }

    async fn ok(&self, words: &[&str]) -> String {
        let (code, text) = self.audit(words).await;
        assert_eq!(code, 0, "{words:?}: {text}");
        text
    }

    /// What is wrong, as the report has it.
    async fn findings(&self, words: &[&str]) -> Vec<Value> {
        let (code, text) = self.audit(&[words, &["--json"]].concat()).await;
        let reports: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|_| panic!("JSON, not {text}"));
        let found: Vec<Value> =
            reports.iter().flat_map(|report| report["findings"].as_array().expect("findings").clone()).collect();
        assert_eq!(code, i32::from(!found.is_empty()), "{text}");
        found
    }
}

async fn buy(tickiz: &Tickiz, show: &Value, number: usize) {
    let input = json!({"eventId": show["id"], "tickets": [{"ticketTypeId": show["ticketTypes"][0]["id"], "quantity": 1}],
                       "buyer": buyer(&format!("buyer{number}")), "idempotencyKey": format!("k{number}")});
    data(tickiz.place(input).await);
}

async fn change(data_dir: &Path, statements: &[&str]) {
    let path = data_dir.join("log.db");
    let mut log = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.expect("the log's file");
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe((*statement).to_owned())).execute(&mut log).await.expect("it is done");
    }
    log.close().await.expect("it closes");
}

#[tokio::test]
async fn an_auditor_checks_without_trusting_us_and_finds_what_was_altered_by_its_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let auditor = Auditor { data_dir: data_dir.clone(), tree: folder.path().join("tree") };
    let tickiz = Tickiz::start(Start { data_dir: Some(&data_dir), ..Start::default() }).await;
    let show = tickiz.publish(general_admission("Audited", "10.00", "EUR", 500)).await;
    for number in 0..20 {
        buy(&tickiz, &show, number).await;
    }
    // While it sells.
    let older = auditor.ok(&["publish"]).await;
    let key = auditor.ok(&["key"]).await.trim().to_owned();
    let older_file = folder.path().join("older");
    std::fs::write(&older_file, &older).expect("kept by the auditor");
    for number in 20..300 {
        buy(&tickiz, &show, number).await;
    }
    assert_ne!(auditor.ok(&[]).await, older, "without a command it publishes");
    tickiz.stop().await;
    let export = folder.path().join("export.jsonl");
    let export_name = export.to_str().expect("a path");
    auditor.ok(&["export", "--out", export_name]).await;
    assert!(auditor.findings(&["verify", "--key", &key, "--export", export_name]).await.is_empty());
    assert!(auditor.findings(&["verify", "--key", &key, "--log"]).await.is_empty());

    // Proofs, checked by the key alone.
    let proof = folder.path().join("proof");
    let proof_name = proof.to_str().expect("a path");
    std::fs::write(&proof, auditor.ok(&["prove", "--key", &key, "--position", "7"]).await).expect("a file");
    let path = data_dir.join("log.db");
    let mut log = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.expect("the log's file");
    let leaves: Vec<String> =
        sqlx::query_scalar("SELECT hex(leaf_hash) FROM events WHERE position IN (7, 8) ORDER BY position")
            .fetch_all(&mut log)
            .await
            .expect("the stored hashes");
    log.close().await.expect("it closes");
    auditor.ok(&["verify-proof", "--key", &key, "--proof", proof_name, "--leaf", &leaves[0]]).await;
    let (code, _) = auditor.audit(&["verify-proof", "--key", &key, "--proof", proof_name, "--leaf", &leaves[1]]).await;
    assert_eq!(code, 1, "another domain event is not at that position");
    let older_name = older_file.to_str().expect("a path");
    std::fs::write(&proof, auditor.ok(&["grown", "--key", &key, "--older", older_name]).await).expect("a file");
    auditor.ok(&["verify-proof", "--key", &key, "--proof", proof_name, "--older", older_name]).await;

    // An export that somebody altered: one left out, one overwritten, two swapped.
    let lines: Vec<String> = std::fs::read_to_string(&export).expect("the export").lines().map(str::to_owned).collect();
    let altered = async |alter: &dyn Fn(&mut Vec<String>), position: i64| {
        let mut lines = lines.clone();
        alter(&mut lines);
        let renumbered = lines.iter().enumerate().map(|(at, line)| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            line["position"] = json!(at + 1);
            format!("{line}\n")
        });
        std::fs::write(&export, renumbered.collect::<String>()).expect("a file");
        let found = auditor.findings(&["verify", "--key", &key, "--export", export_name]).await;
        assert!(found.iter().any(|found| found.to_string().contains(&position.to_string())), "{position}: {found:?}");
        assert!(found.len() <= 2, "what comes after is not wrong too: {found:?}");
    };
    altered(&|lines| drop(lines.remove(41)), 42).await;
    altered(&|lines| lines[99] = lines[98].clone(), 100).await;
    altered(&|lines| lines.swap(150, 151), 151).await;

    // The log itself: its own hash is changed along with it, so nothing of ours disagrees.
    change(
        &data_dir,
        &[
            "DROP TRIGGER events_are_never_updated",
            "UPDATE events SET payload = CAST(payload || ' ' AS BLOB) WHERE position = 66",
        ],
    )
    .await;
    let found = auditor.findings(&["verify", "--key", &key, "--log"]).await;
    assert!(found.len() == 1 && found[0].to_string().contains("66"), "{found:?}");
    // A tree that somebody altered, and a key that is not ours.
    let tile = auditor.tree.join("tile/0/000");
    let mut bytes = std::fs::read(&tile).expect("a full tile");
    bytes[32 * 9] ^= 1;
    std::fs::write(&tile, bytes).expect("it is written");
    let found = auditor.findings(&["verify", "--key", &key]).await;
    assert!(
        found.iter().any(|found| found.to_string().contains("10") || found.to_string().contains("tile")),
        "{found:?}"
    );
}

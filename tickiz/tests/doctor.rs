//! `tickiz doctor` by the program itself.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{Start, Tickiz, command};

async fn doctor(data_dir: &Path, environment: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let mut doctor = command();
    doctor.args(["doctor", "--json"]).env("TICKIZ_DATA_DIR", data_dir).envs(environment.iter().copied());
    let output = doctor.output().await.expect("the program runs");
    let findings = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("JSON, not {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().expect("it ends by itself"), findings)
}

fn state<'a>(findings: &'a [Value], what: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding["what"] == what);
    found.and_then(|finding| finding["state"].as_str()).unwrap_or_else(|| panic!("no {what} in {findings:#?}"))
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_to_do_about_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing there yet.
    let (code, findings) = doctor(folder.path(), &[]).await;
    assert_eq!((code, state(&findings, "stores")), (1, "wrong"));
    let cure = findings.iter().find(|finding| finding["what"] == "stores").expect("it is there")["cure"].to_string();
    assert!(cure.contains("tickiz migrate") && cure.contains("TICKIZ_DATA_DIR"), "{cure}");
    // All well, beside a program that runs.
    let tickiz = Tickiz::start(Start { data_dir: Some(folder.path()), ..Start::default() }).await;
    let (code, findings) = doctor(folder.path(), &[("TICKIZ_ORGANIZER_TOKEN", "some-token-of-the-test")]).await;
    assert_eq!(code, 0, "{findings:#?}");
    for what in ["data folder", "stores", "event log", "read models", "clock", "mail", "templates"] {
        assert_eq!(state(&findings, what), "ok", "{what}: {findings:#?}");
    }
    // A limit that the program raises itself, and one that it may not.
    for (limit, state_then) in [("-Sn", "ok"), ("-n", "warning")] {
        let mut limited = tokio::process::Command::new("sh");
        let script = format!("ulimit {limit} 300; exec \"$0\" doctor --json");
        limited.args(["-c", &script, env!("CARGO_BIN_EXE_tickiz")]).env_clear().env("TICKIZ_DATA_DIR", folder.path());
        let findings: Vec<Value> =
            serde_json::from_slice(&limited.output().await.expect("sh runs").stdout).expect("JSON");
        assert_eq!(state(&findings, "open files"), state_then, "{limit}: {findings:#?}");
    }
    // A mail server that is not there, and a template that is none.
    let templates = folder.path().join("templates/en");
    std::fs::create_dir_all(&templates).expect("a folder");
    std::fs::write(templates.join("confirmed.txt"), "{{ nobody.knows }}").expect("a file");
    let templates = templates.parent().expect("a folder").to_str().expect("a path").to_owned();
    let (code, findings) =
        doctor(folder.path(), &[("TICKIZ_SMTP_URL", "smtp://127.0.0.1:1"), ("TICKIZ_TEMPLATES_DIR", &templates)]).await;
    assert_eq!((code, state(&findings, "mail"), state(&findings, "templates")), (1, "warning", "wrong"));
    assert!(findings.iter().any(|finding| finding["found"].to_string().contains("confirmed.txt")), "{findings:#?}");
    tickiz.stop().await;
}

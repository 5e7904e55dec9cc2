//! Tickets in the wallets of phones, through the program: with keys of the test's own in place of Apple's and Google's.

mod support;

use std::{fs, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use support::{Start, Tickiz, command};

/// A folder as an operator has it: certificates, keys, a picture.
fn keys(folder: &Path) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
    let certificate = CertificateParams::default().self_signed(&key).expect("a certificate");
    fs::write(folder.join("pass.pem"), certificate.pem()).expect("a file");
    fs::write(folder.join("wwdr.pem"), certificate.pem()).expect("a file");
    fs::write(folder.join("pass.key"), key.serialize_pem()).expect("a file");
    fs::write(folder.join("icon.png"), b"\x89PNG").expect("a file");
    let account =
        json!({"type": "service_account", "client_email": "tickets@example.iam", "private_key": key.serialize_pem()});
    fs::write(folder.join("google.json"), account.to_string()).expect("a file");
}

fn show() -> Value {
    json!({
        "title": "Đêm nhạc Trịnh", "category": "CONCERT", "startsAt": "2030-05-01T19:30:00", "timeZone": "Asia/Ho_Chi_Minh",
        "venue": {"name": "Nhà hát Lớn", "city": "Hà Nội", "country": "VN"},
        "ticketTypes": [{"name": "Standing", "price": {"amount": "450000", "currency": "VND"}, "capacity": 100}],
    })
}

#[tokio::test]
async fn a_confirmed_ticket_goes_into_both_wallets_and_nobody_elses_does() {
    let folder = tempfile::tempdir().expect("a folder");
    keys(folder.path());
    let data = tempfile::tempdir().expect("a folder");
    let (dir, google) = (folder.path().to_str().expect("a path"), folder.path().join("google.json"));
    let environment = vec![
        ("TICKIZ_APPLE_WALLET_DIR", dir),
        ("TICKIZ_APPLE_PASS_TYPE", "pass.com.example.tickets"),
        ("TICKIZ_APPLE_TEAM", "ABCDE12345"),
        ("TICKIZ_GOOGLE_WALLET_KEY", google.to_str().expect("a path")),
        ("TICKIZ_GOOGLE_WALLET_ISSUER", "3388000000012345678"),
    ];
    let tickiz = Tickiz::start(Start { data_dir: Some(data.path()), environment, ..Start::default() }).await;
    let event = tickiz.publish(show()).await;
    let placed = tickiz
        .place(json!({
            "eventId": event["id"], "tickets": [{"ticketTypeId": event["ticketTypes"][0]["id"], "quantity": 2}],
            "buyer": {"name": "Lan", "email": "lan@example.com"}, "idempotencyKey": "wallets",
        }))
        .await;
    let booking = &placed["data"]["placeBooking"];
    let (id, token) = (booking["id"].as_str().expect("an id"), booking["accessToken"].as_str().expect("a token"));
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client");
    let get = async |path: &str, token: &str| {
        http.get(format!("{}/tickets/{id}{path}?token={token}", tickiz.url)).send().await.expect("it answers")
    };
    assert_eq!(get("/1/pass.pkpass", token).await.status(), StatusCode::NOT_FOUND, "it is not paid");
    tickiz.pay(booking, "p", "pay").await;
    let confirmed = tickiz.wait_for_status(booking, "CONFIRMED").await;

    let page = get("", token).await.text().await.expect("a page").replace("&#x2f;", "/");
    for link in ["/1/pass.pkpass?token=", "/2/google-wallet?token="] {
        assert!(page.contains(link), "no {link} on the page");
    }
    let pass = get("/2/pass.pkpass", token).await;
    assert_eq!(pass.headers()[header::CONTENT_TYPE], "application/vnd.apple.pkpass");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(pass.bytes().await.expect("a file"))).expect("a ZIP");
    let mut text = String::new();
    archive.by_name("pass.json").expect("it has one").read_to_string(&mut text).expect("UTF-8");
    let pass: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(pass["barcodes"][0]["message"], confirmed["tickets"][1]["code"]);
    assert_eq!(pass["passTypeIdentifier"], "pass.com.example.tickets");
    for name in ["manifest.json", "signature", "icon.png"] {
        archive.by_name(name).unwrap_or_else(|_| panic!("no {name}"));
    }

    let save = get("/1/google-wallet", token).await;
    assert_eq!(save.status(), StatusCode::SEE_OTHER);
    let link = save.headers()[header::LOCATION].to_str().expect("a link").to_owned();
    let jwt = link.strip_prefix("https://pay.google.com/gp/v/save/").expect("Google's page");
    let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).expect("claims")).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let (objects, classes) = (&claims["payload"]["eventTicketObjects"], &claims["payload"]["eventTicketClasses"]);
    assert_eq!(objects[0]["barcode"]["value"], confirmed["tickets"][0]["code"]);
    // All tickets of a show are of one class.
    assert_eq!(classes[0]["id"], format!("3388000000012345678.{}", event["id"].as_str().expect("an id")));

    for path in ["/1/pass.pkpass", "/1/google-wallet"] {
        assert_eq!(get(path, "another").await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/3/pass.pkpass", "/0/google-wallet"] {
        assert_eq!(get(path, token).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    tickiz.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_keys_of_a_wallet_ends_the_start_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = async |environment: &[(&str, &str)]| {
        let mut serve = command();
        serve.args(["serve"]).env("TICKIZ_LISTEN", "127.0.0.1:0").env("TICKIZ_DATA_DIR", folder.path());
        let output = serve.envs(environment.iter().copied()).output().await.expect("the program runs");
        (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let dir = folder.path().to_str().expect("a path");
    // One setting alone.
    let (code, error) = start(&[("TICKIZ_APPLE_WALLET_DIR", dir)]).await;
    assert!(code == 78 && error.contains("TICKIZ_APPLE_PASS_TYPE is not set"), "{code}: {error}");
    // A folder without the files.
    let all = [("TICKIZ_APPLE_WALLET_DIR", dir), ("TICKIZ_APPLE_PASS_TYPE", "pass.a"), ("TICKIZ_APPLE_TEAM", "T")];
    let (code, error) = start(&all).await;
    assert!(code == 1 && error.contains("TICKIZ_APPLE_WALLET_DIR") && error.contains("pass.pem"), "{code}: {error}");
}

//! The pages for people: each names only what is there, and nothing of another host.

mod house;

use house::{House, Open, http::send};
use serde_json::Value;

/// The addresses that a page names as links, scripts, sheets and pictures; none that stand in the page itself.
fn named(page: &str) -> Vec<String> {
    let after = |mark: &'static str| page.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
    let all = after("href=\"").chain(after("src=\"")).map(|link| link.split('#').next().unwrap_or_default().to_owned());
    all.filter(|link| !link.is_empty() && !link.starts_with("data:")).collect()
}

async fn page(house: &Open, path: &str) -> String {
    let answer = house.get(path).await;
    assert_eq!(answer.status, 200, "{path}");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{path}: {}", answer.head);
    let policy = answer.header("content-security-policy").unwrap_or_else(|| panic!("{path} has no policy"));
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{path}: {policy}");
    String::from_utf8(answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_landing_page_says_what_runs_and_every_link_of_it_leads_somewhere() {
    let house = House::default().open().await;
    let landing = page(&house, "/").await;
    let shows = house.ask(None, "{ events(first: 5) { totalCount edges { node { id } } } }", Value::Null).await;
    let shows = &shows["data"]["events"];
    assert!(landing.contains(&format!("Published and to come: {}.", shows["totalCount"])), "{landing}");
    for edge in shows["edges"].as_array().unwrap() {
        assert!(landing.contains(edge["node"]["id"].as_str().unwrap()), "{edge}");
    }
    assert!(landing.contains(&format!("{} domain events in the log", house.stage.head())), "{landing}");
    assert!(landing.contains(env!("CARGO_PKG_VERSION")));
    let links = named(&landing);
    assert!(links.iter().any(|link| link == "/graphiql") && links.iter().any(|link| link == "/metrics"));
    for link in links {
        assert_eq!(house.get(&link).await.status, 200, "{link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graphiql_comes_whole_from_this_origin() {
    let house = House::default().open().await;
    let html = page(&house, "/graphiql").await;
    let files = named(&html);
    assert_eq!(files.iter().filter(|file| file.contains(".js?v=") || file.contains(".css?v=")).count(), 2, "{files:?}");
    for file in files.iter().map(String::as_str).chain(["/graphiql/licenses.txt"]) {
        assert!(file.starts_with('/') && !file.starts_with("//"), "{file} is of another host");
        let answer = house.get(file).await;
        assert_eq!(answer.status, 200, "{file}");
        if file == "/" {
            continue;
        }
        let kind = answer.header("content-type").unwrap();
        assert_eq!(kind.starts_with("text/javascript"), file.contains(".js"), "{file}: {kind}");
        assert_eq!(kind.starts_with("text/css"), file.contains(".css"), "{file}: {kind}");
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(answer.body[..2], [0x1f, 0x8b], "{file} is gzip as it says");
        let tag = answer.header("etag").unwrap().to_owned();
        assert_eq!(send(house.addr, "GET", file, &[("if-none-match", &tag)], b"").await.status, 304);
    }
    assert_eq!(house.get("/graphiql/README.md").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn production_has_no_graphiql_and_does_not_link_it() {
    let house = House { production: true, ..House::default() }.open().await;
    for path in ["/graphiql", "/graphiql/graphiql.js"] {
        assert_eq!(house.get(path).await.status, 404, "{path}");
    }
    assert!(!page(&house, "/").await.contains("graphiql"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_a_page_and_its_links_within_lead_somewhere() {
    let house = House::default().open().await;
    let landing = page(&house, "/").await;
    let documents: Vec<String> = named(&landing).into_iter().filter(|link| link.ends_with(".md")).collect();
    assert!(documents.len() > 5, "{documents:?}");
    for document in documents {
        let html = page(&house, &document).await;
        assert!(html.contains("<h1>") && !html.contains("<script"), "{document}");
        for link in named(&html).iter().filter(|link| !link.starts_with("http")) {
            assert!([200, 303].contains(&house.get(link).await.status), "{document} names {link}");
        }
    }
    assert!(String::from_utf8(house.get("/docs/schemas/schema.graphql").await.body).unwrap().contains("type Mutation"));
    for path in ["/docs/nothing.md", "/docs/..%2fCargo.toml", "/docs/../Cargo.toml"] {
        assert_eq!(house.get(path).await.status, 404, "{path}");
    }
}

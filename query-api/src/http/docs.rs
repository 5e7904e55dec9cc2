//! `/docs/…`: the documents of the repository as pages, so that who runs the program has them at hand, without a network too.
//!
//! They are part of the program and ours, so nothing in them is a stranger's; what is HTML in them is shown as text all the same.

use std::{collections::HashMap, fmt::Write, sync::LazyLock};

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::landing::escaped;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Documents change with the program only.
const KEPT_FOR: &str = "public, max-age=300";
/// The one to begin with.
const FIRST: &str = "/docs/README.md";

/// A document: where it is in the repository, what a link to it says, and itself.
struct Document {
    path: &'static str,
    title: &'static str,
    text: &'static str,
}

macro_rules! documents {
    ($($path:literal: $title:literal,)*) => {
        [$(Document { path: $path, title: $title, text: include_str!(concat!("../../../", $path)) }),*]
    };
}

/// Those that are shown; a test compares them with the repository's.
const DOCUMENTS: &[Document] = &documents! {
    "README.md": "What it is, and the first commands",
    "docs/api.md": "The API by example",
    "docs/graphql.md": "The GraphQL endpoint: HTTP, WebSockets, who sees what",
    "docs/errors.md": "Errors and exit codes: causes and cures",
    "docs/limits.md": "Limits",
    "ARCHITECTURE.md": "Architecture, with the argument for each promise",
    "docs/how-to.md": "How to add an aggregate, a projection, a gateway",
    "docs/gate.md": "At the gate",
    "docs/operations.md": "Operations: what is counted and traced",
    "docs/payments.md": "Payments",
    "docs/auditors.md": "For auditors",
    "docs/analysts.md": "For analysts",
    "docs/benchmarks.md": "Benchmarks",
};

/// What documents show or link beside each other, by path, with its media type.
const FILES: &[(&str, &str, &str)] = &[
    ("schemas/schema.graphql", "text/plain; charset=utf-8", include_str!("../../../schemas/schema.graphql")),
    ("docs/pictures/booking-states.svg", "image/svg+xml", include_str!("../../../docs/pictures/booking-states.svg")),
    ("docs/pictures/crates.svg", "image/svg+xml", include_str!("../../../docs/pictures/crates.svg")),
    ("docs/pictures/demo-hall.svg", "image/svg+xml", include_str!("../../../docs/pictures/demo-hall.svg")),
    ("docs/pictures/event-states.svg", "image/svg+xml", include_str!("../../../docs/pictures/event-states.svg")),
];

/// Each document's page, made when the first of them is asked for.
static PAGES: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| DOCUMENTS.iter().map(|document| (address(document.path), page(document))).collect());

/// Where something of the repository is served: the folder `docs` is `/docs` itself.
fn address(path: &str) -> String {
    format!("/docs/{}", path.strip_prefix("docs/").unwrap_or(path))
}

/// The documents as a list of links.
pub fn list() -> String {
    let mut html = "<ul>\n".to_owned();
    for Document { path, title, .. } in DOCUMENTS {
        let _ = writeln!(html, "  <li><a href=\"{}\">{}</a></li>", address(path), escaped(title));
    }
    html + "</ul>"
}

/// `GET /docs`.
pub async fn first() -> Redirect {
    Redirect::to(FIRST)
}

/// `GET /docs/{path}`.
pub async fn document(Path(path): Path<String>) -> Response {
    let asked = format!("/docs/{path}");
    if let Some(page) = PAGES.get(&asked) {
        let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, KEPT_FOR)];
        return (headers, Html(page.as_str())).into_response();
    }
    match FILES.iter().find(|(path, ..)| address(path) == asked) {
        Some((_, media_type, text)) => {
            // A picture has its colours in a style of its own.
            let policy = "default-src 'none'; style-src 'unsafe-inline'";
            let headers = [
                (header::CONTENT_TYPE, *media_type),
                (header::CONTENT_SECURITY_POLICY, policy),
                (header::CACHE_CONTROL, KEPT_FOR),
            ];
            (headers, *text).into_response()
        }
        None => {
            (StatusCode::NOT_FOUND, "there is no such document here; /docs/README.md is the first\n").into_response()
        }
    }
}

/// A document's page.
fn page(document: &Document) -> String {
    let mut body = String::new();
    html::push_html(&mut body, events(document).into_iter());
    let title = escaped(document.title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Tickiz: {title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <nav><a href=\"/\">Tickiz</a> · <a href=\"{FIRST}\">README</a></nav>\n{body}</body>\n</html>\n"
    )
}

const STYLE: &str = "\
    :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; } \
    body { max-width: 52rem; margin: 1rem auto 4rem; padding: 0 1rem; overflow-wrap: anywhere; } \
    pre { overflow-x: auto; padding: .8rem; border: 1px solid #8886; border-radius: .4rem; overflow-wrap: normal; } \
    code { font-family: ui-monospace, monospace; font-size: .9em; } \
    table { border-collapse: collapse; display: block; overflow-x: auto; overflow-wrap: normal; } \
    th, td { border: 1px solid #8886; padding: .25rem .6rem; text-align: left; vertical-align: top; } \
    img { max-width: 100%; height: auto; }";

/// What a document consists of, with its links leading to where things are here.
fn events(document: &Document) -> Vec<Event<'static>> {
    let mut kept = Vec::new();
    // For each link that is open: whether it leads anywhere here.
    let mut open = Vec::new();
    for event in Parser::new_ext(document.text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let target = served(document.path, &dest_url);
                open.push(target.is_some());
                if let Some(target) = target {
                    kept.push(
                        Event::Start(Tag::Link { link_type, dest_url: CowStr::from(target), title, id }).into_static(),
                    );
                }
            }
            // What is not served here is named all the same, without a link.
            Event::End(TagEnd::Link) => {
                if open.pop() == Some(true) {
                    kept.push(Event::End(TagEnd::Link));
                }
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let target = served(document.path, &dest_url).unwrap_or_default();
                kept.push(
                    Event::Start(Tag::Image { link_type, dest_url: CowStr::from(target), title, id }).into_static(),
                );
            }
            Event::Html(text) | Event::InlineHtml(text) if text.trim_start().starts_with("<!--") => {}
            Event::Html(text) | Event::InlineHtml(text) => kept.push(Event::Text(text).into_static()),
            event => kept.push(event.into_static()),
        }
    }
    kept
}

/// Where a link of a document leads; `None` where what it names is not served.
fn served(from: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return Some(link.to_owned());
    }
    let path = link.split_once('#').map_or(link, |(path, _)| path);
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let is_served =
        DOCUMENTS.iter().any(|document| document.path == path) || FILES.iter().any(|(file, ..)| *file == path);
    is_served.then(|| address(&path))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use super::*;

    #[test]
    fn every_document_of_the_repository_is_served() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut there: BTreeSet<String> =
            entries.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
        there.extend(["README.md".to_owned(), "ARCHITECTURE.md".to_owned()]);
        let here = DOCUMENTS.iter().map(|document| document.path.to_owned()).collect();
        assert_eq!(there, here, "a document is missing in DOCUMENTS of {}", file!());
    }

    #[test]
    fn links_lead_to_what_is_served_and_to_nothing_else() {
        assert_eq!(served("docs/graphql.md", "errors.md#codes").as_deref(), Some("/docs/errors.md"));
        assert_eq!(
            served("docs/graphql.md", "../schemas/schema.graphql").as_deref(),
            Some("/docs/schemas/schema.graphql")
        );
        assert_eq!(served("README.md", "docs/limits.md").as_deref(), Some("/docs/limits.md"));
        assert_eq!(served("README.md", "documents/templates/README.md"), None);
        assert_eq!(served("README.md", "../../etc/passwd"), None);
    }
}

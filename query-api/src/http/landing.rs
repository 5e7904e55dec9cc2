//! `GET /`: what runs here, and where to go from here. One page without scripts or files, which also who has no network can read.

use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
};
use chrono::Utc;
use tickiz_read_models::{EventFilter, EventOrder, EventQuery, EventView};
use tokio::time::timeout;

use super::{Web, docs};

/// How many of the next shows are named.
const SHOWS: u32 = 5;
/// How long the page waits for what it says; it is for a person, and better short than late.
const PATIENCE: Duration = Duration::from_secs(1);
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /`.
pub async fn landing(State(web): State<Web>, headers: HeaderMap) -> Response {
    let explorer = if web.explorer {
        "<li><a href=\"/graphiql\"><b>GraphiQL</b></a>: try the API in the browser, with queries to begin with</li>"
    } else {
        ""
    };
    // The host comes last: whatever a visitor calls us is not looked through for placeholders.
    let page = include_str!("landing.html")
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{explorer}", explorer)
        .replace("{standing}", &standing(&web).await)
        .replace("{documents}", &docs::list())
        .replace("{shows}", &shows(&web).await)
        .replace("{host}", host(&headers));
    ([(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

/// Where log and read models stand, in a sentence.
async fn standing(web: &Web) -> String {
    let app = &web.engine.app;
    let both = async { (app.reads.checkpoint().await, app.log.head().await) };
    match timeout(PATIENCE, both).await {
        Ok((Ok(shown), Ok(head))) => {
            let ready =
                if web.ready.load(Ordering::Acquire) || shown >= web.head_at_start { "Ready" } else { "Starting" };
            format!("{ready}: {head} domain events in the log, {} of them shown.", shown.min(head))
        }
        Ok((shown, head)) => {
            if let Some(error) =
                shown.err().map(|error| error.to_string()).or(head.err().map(|error| error.to_string()))
            {
                tracing::warn!(%error, "the landing page cannot say where log and read models stand");
            }
            "A store does not answer.".to_owned()
        }
        Err(_) => "A store does not answer in time.".to_owned(),
    }
}

/// How many shows there are, and the next of them.
async fn shows(web: &Web) -> String {
    let query = EventQuery {
        filter: EventFilter::default(),
        order: EventOrder::StartsAt,
        first: SHOWS,
        after: None,
        now: Utc::now(),
    };
    let page = match timeout(PATIENCE, web.engine.app.front.list_events(&query, 0)).await {
        Ok(Ok(page)) => page,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the landing page cannot list the shows");
            return "<p>The list of shows does not answer now.</p>".to_owned();
        }
        Err(_) => return "<p>The list of shows does not answer in time.</p>".to_owned(),
    };
    if page.rows.is_empty() {
        return "<p>No show is published yet: <code>tickiz serve --demo</code> brings some, and an organiser's \
                <code>createEvent</code> and <code>publishEvent</code> make one.</p>"
            .to_owned();
    }
    let mut html = format!("<p>Published and to come: {}. The next:</p>\n<ul>\n", page.total_count);
    for (_, view) in &page.rows {
        html.push_str(&line(view));
    }
    html + "</ul>"
}

/// A show in a line of the list. What organisers wrote is text, whatever they wrote.
fn line(view: &EventView) -> String {
    let show = &view.show;
    let mut html = format!("<li><b>{}</b>, {}", escaped(&show.title), escaped(&show.venue.city));
    if !show.postponed {
        let _ = write!(html, ", {}", show.starts_at.local.format("%Y-%m-%d %H:%M"));
    }
    let _ = writeln!(html, " <code>{}</code></li>", view.id);
    html
}

/// Text as text of a page.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // No placeholder of the page's own.
            '{' => html.push_str("&#123;"),
            _ => html.push(letter),
        }
    }
    html
}

/// The address as the visitor wrote it, where it is nothing but one; it goes into a page.
fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.filter(|host| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b)))
        .unwrap_or("localhost:8080")
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_organisers_write_is_never_markup() {
        assert_eq!(escaped("<b a='x'>&\"{host}"), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;&#123;host}");
    }
}

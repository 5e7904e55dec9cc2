//! `/graphiql`: GraphiQL from files of our own (`query-api/graphiql` says how they are made), without a request to any other host.
//!
//! Off in production, as introspection is, which it lives on.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use sha2::{Digest, Sha256};

use super::Web;

/// Scripts and requests of this origin only. The editor sets styles as it measures lines, so those may stand inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The page names its files with their version, so that a file under a name never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The page itself is asked for anew each time: it names the files.
const ASK_AGAIN: &str = "no-cache";

/// A file of the page, compressed.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    gzip: &'static [u8],
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "graphiql.js",
        media_type: "text/javascript; charset=utf-8",
        gzip: include_bytes!("../../graphiql/graphiql.js.gz"),
    },
    Asset {
        name: "graphiql.css",
        media_type: "text/css; charset=utf-8",
        gzip: include_bytes!("../../graphiql/graphiql.css.gz"),
    },
    Asset {
        name: "licenses.txt",
        media_type: "text/plain; charset=utf-8",
        gzip: include_bytes!("../../graphiql/licenses.txt.gz"),
    },
];

/// What all files together are called by: the beginning of their hash.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.gzip);
    }
    let mut version = hex::encode(hash.finalize());
    version.truncate(16);
    version
});

/// The routes; none in production.
pub fn routes(is_open: bool) -> Router<Web> {
    if !is_open {
        return Router::new();
    }
    Router::new().route("/graphiql", get(page)).route("/graphiql/{file}", get(file))
}

/// `GET /graphiql`.
async fn page() -> Response {
    let page = include_str!("../../graphiql/index.html").replace("{version}", &VERSION);
    ([(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, ASK_AGAIN)], Html(page)).into_response()
}

/// `GET /graphiql/{file}`: as stored. Nobody who runs a browser's script fails to read gzip, so nothing else is offered.
async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "GraphiQL has no such file\n").into_response();
    };
    let tag = format!("\"{}\"", *VERSION);
    let is_known = headers.get_all(header::IF_NONE_MATCH).into_iter().any(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let headers = [(header::CONTENT_TYPE, asset.media_type), (header::CONTENT_ENCODING, "gzip")];
        (headers, asset.gzip).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

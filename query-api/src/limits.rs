//! Every limit of the API's door, by name, with its reason; and the table of them for the documentation.
//!
//! What is over a limit gets a clear error, never a growing buffer. Limits of content (a title's length, a plan's seats) are
//! beside the values that they bound, in the domain and in the command side's validation.

use std::{fmt::Write, time::Duration};

macro_rules! limits {
    ($( $(#[doc = $doc:literal])+ $name:ident: $ty:ty = $value:expr, $shown:expr, $group:literal; )+) => {
        $( $(#[doc = $doc])+ pub const $name: $ty = $value; )+

        /// Name, value, group and reason of each.
        const TABLE: &[(&str, &str, &str, &str)] = &[
            $( (stringify!($name), $shown, $group, concat!($($doc),+)), )+
        ];
    };
}

limits! {
    /// Connections at once; one more is answered 503 and closed. An idle one costs some 20 kB.
    MAX_CONNECTIONS: usize = 12_000, "12,000", "HTTP";
    /// How long a connection may be silent, and how long the head of a request may take. Cuts who sends a byte now and then.
    HEAD_TIMEOUT: Duration = Duration::from_secs(8), "8 s", "HTTP";
    /// How long a body may take beyond what its size explains at `MIN_BODY_RATE`.
    BODY_GRACE: Duration = Duration::from_secs(8), "8 s", "HTTP";
    /// Slowest upload, in bytes a second: a seating plan over a weak telephone line passes, a dripping body does not.
    MIN_BODY_RATE: usize = 32 * 1024, "32 KiB/s", "HTTP";
    /// How long a client may take nothing of what we write.
    WRITE_TIMEOUT: Duration = Duration::from_secs(9), "9 s", "HTTP";
    /// How long requests under way may take after the program was told to stop.
    DRAIN_TIMEOUT: Duration = Duration::from_secs(10), "10 s", "HTTP";
    /// The head of a request; above it 431.
    MAX_HEAD_BYTES: usize = 32 * 1024, "32 KiB", "HTTP";
    /// Headers of a request; above it 431.
    MAX_HEADERS: usize = 64, "64", "HTTP";
    /// The body of an organiser's GraphQL request; above it 413. A seating plan of 100,000 seats fits.
    MAX_BODY_BYTES: usize = 24 * 1024 * 1024, "24 MiB", "HTTP";
    /// The body of anybody else's; above it 413. Read into values it takes ten times as much, so who is unknown gets less.
    MAX_SMALL_BODY_BYTES: usize = 1024 * 1024, "1 MiB", "HTTP";
    /// From here on a body is read on a thread of its own, so that no other request waits behind it.
    LARGE_BODY_BYTES: usize = 128 * 1024, "128 KiB", "HTTP";
    /// Bodies of all requests together, each counted from 64 KiB on; above it 503. Bounds memory whatever is sent.
    BODY_BUDGET_BYTES: usize = 96 * 1024 * 1024, "96 MiB", "HTTP";
    /// Operations under way at once, over HTTP and WebSocket; one more is OVERLOADED.
    MAX_OPERATIONS: usize = 2_048, "2,048", "HTTP";
    /// How long a query may take. A mutation is never cut off: it ends by itself, within the limits of the write side.
    QUERY_TIMEOUT: Duration = Duration::from_secs(15), "15 s", "HTTP";
    /// When to come back after OVERLOADED, in milliseconds, where nothing better is known.
    RETRY_AFTER_MS: u64 = 1_000, "1,000 ms", "HTTP";

    /// A document. Generated clients' longest are some 20 kB; values belong into variables.
    MAX_DOCUMENT_BYTES: usize = 256 * 1024, "256 KiB", "GraphQL document";
    /// Words of a document: names, values, brackets.
    MAX_DOCUMENT_TOKENS: usize = 15_000, "15,000", "GraphQL document";
    /// Brackets within brackets, before the tree is looked at; bounds the stack.
    MAX_DOCUMENT_NESTING: usize = 48, "48", "GraphQL document";
    /// Objects and lists within each other in a body's JSON. A seating plan has 8.
    MAX_JSON_NESTING: usize = 48, "48", "GraphQL document";
    /// Operations in a document.
    MAX_OPERATIONS_IN_DOCUMENT: usize = 20, "20", "GraphQL document";
    /// Fragments in a document.
    MAX_FRAGMENTS: usize = 100, "100", "GraphQL document";
    /// Variables of an operation.
    MAX_VARIABLES: usize = 100, "100", "GraphQL document";
    /// Fields within fields, fragments followed. The deepest of this schema has 6, a tool's introspection 15.
    MAX_DEPTH: usize = 16, "16", "GraphQL document";
    /// Lists within lists of introspection, which alone can go round in circles.
    MAX_INTROSPECTION_LISTS: usize = 2, "2", "GraphQL document";
    /// Fields of an operation, fragments followed, each time they are used.
    MAX_FIELDS: u64 = 1_000, "1,000", "GraphQL document";
    /// Fields under another name, fragments followed.
    MAX_ALIASES: u64 = 30, "30", "GraphQL document";
    /// Fields at the root of an operation.
    MAX_ROOT_FIELDS: u64 = 20, "20", "GraphQL document";
    /// Directives of an operation, fragments followed.
    MAX_DIRECTIVES: u64 = 50, "50", "GraphQL document";
    /// Values that an operation may ask for: a field counts 1, a list's content as often as `first` says or a usual size.
    MAX_COMPLEXITY: u64 = 25_000, "25,000", "GraphQL document";
    /// Faults of one request that are told; further ones are counted only.
    MAX_FAULTS: usize = 50, "50", "GraphQL document";

    /// `events(first:)`.
    MAX_EVENTS: i32 = 100, "100", "Reading";
    /// How long the answer to a question for a list is kept as it was encoded, for whoever asks the same without a bearer.
    LIST_ANSWER_KEPT_FOR: Duration = Duration::from_millis(100), "100 ms", "Reading";
    /// How long after that it is still shown while one of those who ask has it put together anew.
    LIST_ANSWER_SHOWN_FOR: Duration = Duration::from_millis(150), "150 ms", "Reading";
    /// What such answers take together with their requests.
    MAX_LIST_ANSWERS_BYTES: u64 = 32 * 1024 * 1024, "32 MiB", "Reading";
    /// The longest request whose answer is kept so. Those of a page are some hundred bytes.
    MAX_LIST_REQUEST_BYTES: usize = 8 * 1024, "8 KiB", "Reading";
    /// `log(first:)`.
    MAX_LOG_ENTRIES: i32 = 1_000, "1,000", "Reading";
    /// Conflicts of a `gateReport`; further ones are counted only.
    MAX_GATE_CONFLICTS: usize = 1_000, "1,000", "Reading";
    /// Rows of `salesReport`.
    MAX_REPORT_ROWS: usize = 5_000, "5,000", "Reading";
    /// Sums that a `salesReport` is put together of: by show and ticket type, and by quarter of an hour where days are asked for.
    MAX_REPORT_GROUPS: usize = 100_000, "100,000", "Reading";
    /// How long `minPosition` waits for the read models.
    MIN_POSITION_WAIT: Duration = Duration::from_secs(2), "2 s", "Reading";
    /// How long a process remembers what its callers did, so that they see it at once; the read models are far ahead by then.
    NOTED_FOR: Duration = Duration::from_secs(30), "30 s", "Reading";
    /// How many shows and bookings it remembers so.
    MAX_NOTED: u64 = 100_000, "100,000", "Reading";
    /// `EventFilter.text` and `EventFilter.city`, in characters.
    MAX_FILTER_CHARS: usize = 200, "200", "Reading";
    /// `near.radiusKm`: half way round the Earth.
    MAX_RADIUS_KM: f64 = 20_038.0, "20,038", "Reading";
    /// A cursor, as a text that clients only hand back.
    MAX_CURSOR_BYTES: usize = 1_024, "1,024", "Reading";

    /// How long a WebSocket may be without `connection_init`, less what its closing takes; then 4408.
    INIT_TIMEOUT: Duration = Duration::from_millis(2_500), "2.5 s", "WebSocket";
    /// A WebSocket message from a client; above it the socket is closed. Documents fit; seating plans go over HTTP.
    MAX_FRAME_BYTES: usize = 320 * 1024, "320 KiB", "WebSocket";
    /// Operations of one WebSocket at once; above it LIMIT_EXCEEDED.
    MAX_SUBSCRIPTIONS: usize = 256, "256", "WebSocket";
    /// The id of an operation on a WebSocket, in bytes; above it 4400.
    MAX_OPERATION_ID_BYTES: usize = 256, "256", "WebSocket";
    /// Messages that wait for one client, frames of seats not among them. A client that stays behind has its subscriptions wait.
    MAX_QUEUED_MESSAGES: usize = 32, "32", "WebSocket";
    /// After how much silence a WebSocket is asked whether it is still there.
    PING_AFTER: Duration = Duration::from_secs(20), "20 s", "WebSocket";
    /// After how much silence a WebSocket is given up.
    DEAD_AFTER: Duration = Duration::from_secs(60), "60 s", "WebSocket";
    /// Operations over the limit that are refused one by one; then the client has not listened, and 4429 closes its socket.
    MAX_REFUSED_OPERATIONS: usize = 256, "256", "WebSocket";
    /// The document of a subscription, which is kept as long as it lasts.
    MAX_SUBSCRIPTION_BYTES: usize = 16 * 1024, "16 KiB", "WebSocket";
    /// Encoded frames that a group keeps, for its members who are a little behind; who is further behind gets a snapshot.
    MAX_GROUP_FRAMES: usize = 16, "16", "WebSocket";
    /// Members of a group that one task writes to, so that a large group is written to by all cores.
    MAX_SHARD_MEMBERS: usize = 1_024, "1,024", "WebSocket";
    /// Frames of seats that are written to one client at once go on no further from here; what he does not take at once is kept.
    MAX_FRAME_WRITE_BYTES: usize = 64 * 1024, "64 KiB", "WebSocket";
}

/// The table of all limits of the door, in Markdown, by group.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    let mut group = "";
    for (name, value, of, reason) in TABLE {
        if *of != group {
            group = of;
            let _ = write!(text, "\n### {group}\n\n| limit | value | what and why |\n|---|---|---|\n");
        }
        let _ = writeln!(text, "| `{name}` | {value} | {} |", reason.trim());
    }
    text
}

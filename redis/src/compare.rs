//! What stands in Redis, to be compared with the log. Nothing is changed by looking.

use std::{collections::HashMap, sync::LazyLock};

use redis::Script;
use tickiz_domain::ids::{BookingId, EventId};
use tickiz_read_models::{Position, cache::ShowCopy};

use crate::{
    Redis, RedisError,
    cache::show_copy,
    mirror::{chain, copy_prefix},
};

static COPIES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("compare/copies.lua")));
static HOLDS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("compare/holds.lua")));

/// A show's copy as readers would believe it.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCopy {
    /// The end of its key, which is the show's id.
    pub name: String,
    /// Up to where it is said to be complete.
    pub position: Position,
    /// Itself; `None` where it cannot be read.
    pub copy: Option<ShowCopy>,
}

/// The chain of copies, and the copies of its epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundCopies {
    /// The chain's position; `None` where there is no chain, and no copy is believed.
    pub chain: Option<Position>,
    /// The copies, by position.
    pub copies: Vec<FoundCopy>,
}

/// A seat's hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHold {
    /// The end of its key: show and seat, with a colon between.
    pub name: String,
    /// Whose it is by its value; `None` where that is none of ours.
    pub holder: Option<BookingId>,
    /// Whether its append was acknowledged.
    pub is_held: bool,
}

/// All copies of shows of that version.
///
/// # Errors
/// When Redis does not answer.
pub async fn copies(redis: &Redis, version: i32) -> Result<FoundCopies, RedisError> {
    let prefix = copy_prefix(redis, version);
    let mut found = FoundCopies::default();
    let mut cursor = "0".to_owned();
    loop {
        let mut script = COPIES.prepare_invoke();
        script.key(chain(redis, version)).arg(&cursor).arg(format!("{prefix}*"));
        type Rows = Vec<(String, Position, HashMap<String, String>)>;
        let (next, position, rows): (String, Position, Rows) = redis.run(&script).await?;
        found.chain = Some(position).filter(|position| *position >= 0);
        for (key, position, fields) in rows {
            let name = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
            let copy = name.parse::<EventId>().ok().and_then(|id| show_copy(id, position, &fields));
            found.copies.push(FoundCopy { name, position, copy });
        }
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    found.copies.sort_by_key(|copy| copy.position);
    Ok(found)
}

/// All holds.
///
/// # Errors
/// When Redis does not answer.
pub async fn holds(redis: &Redis) -> Result<Vec<FoundHold>, RedisError> {
    let prefix = redis.key("hold:");
    let mut found = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let mut script = HOLDS.prepare_invoke();
        script.arg(&cursor).arg(format!("{prefix}*"));
        let (next, rows): (String, Vec<(String, String)>) = redis.run(&script).await?;
        for (key, value) in rows {
            let (standing, holder) = value.split_at_checked(1).unwrap_or_default();
            let holder = matches!(standing, "h" | "r").then(|| holder.parse().ok()).flatten();
            let name = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
            found.push(FoundHold { name, holder, is_held: standing != "r" });
        }
        cursor = next;
        if cursor == "0" {
            return Ok(found);
        }
    }
}

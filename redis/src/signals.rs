//! Signals: that the read models have come further. Who has one need not ask; who misses one asks, as if there were none.

use std::time::Duration;

use futures::StreamExt;
use tickiz_read_models::{Position, Projection, ReadStore};
use tokio_util::sync::CancellationToken;

use crate::Redis;

/// Where they are said.
pub(crate) const CHANNEL: &str = "reached";
/// How long it is waited before a lost connection is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

pub(crate) fn text(projection: Projection, version: i32, position: Position) -> String {
    format!("{projection} {version} {position}")
}

fn parse(text: &str) -> Option<(Projection, i32, Position)> {
    let mut words = text.split(' ');
    let name = words.next()?;
    let projection = Projection::ALL.into_iter().find(|projection| projection.name() == name)?;
    Some((projection, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Notes in the store what is said, until it is told to stop.
pub async fn listen(redis: Redis, store: ReadStore, stop: CancellationToken) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = hear(&redis, &store) => {}
        }
        let _ = tokio::time::timeout(AGAIN_AFTER, stop.cancelled()).await;
    }
}

/// Hears until the connection is lost.
async fn hear(redis: &Redis, store: &ReadStore) {
    let Ok(mut connection) = redis.listen().await else { return };
    if connection.subscribe(redis.key(CHANNEL)).await.is_err() {
        return;
    }
    let mut messages = connection.on_message();
    while let Some(message) = messages.next().await {
        let said: String = message.get_payload().unwrap_or_default();
        if let Some((projection, version, position)) = parse(&said) {
            store.heard(projection, version, position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        for projection in Projection::ALL {
            assert_eq!(parse(&text(projection, 2, 7_000_000_000)), Some((projection, 2, 7_000_000_000)));
        }
        for noise in ["", "events", "events 1", "events x 1", "nothing 1 1", "events 1 -"] {
            assert_eq!(parse(noise), None, "{noise}");
        }
    }
}

//! A projection up to one position, in a store of its own: how it stood then, whatever came after.
//!
//! The checkpoint moves in the transaction that writes the rows, as everywhere, so whoever is killed goes on from the last page that
//! was committed, and comes to the same rows as one who was not.

use std::sync::Arc;

use tickiz_event_log::record::{Position, StoreError};
use tickiz_read_models::{Projection, ReadStore};

use crate::{
    project::{Outcome, ProjectError, project},
    rebuild::projector,
    stream::LogSource,
};

/// Projects what is missing between the checkpoint and `to`, at most `page` domain events a transaction. `tell` hears the checkpoint
/// at the beginning and after every page.
///
/// # Errors
/// When the store or the log fails, or the log ends before `to`. What was projected is kept.
///
/// # Panics
/// When `page` is 0.
pub async fn project_up_to(
    store: &ReadStore,
    log: &Arc<dyn LogSource>,
    projection: Projection,
    to: Position,
    page: usize,
    mut tell: impl FnMut(Position) + Send,
) -> Result<(), ProjectError> {
    assert!(page > 0, "a page has a domain event");
    let mut projector = projector(projection, log);
    let version = store.version(projection);
    let mut position = store.checkpoint_of(projection, version).await?;
    tell(position);
    while position < to {
        let wanted = usize::try_from(to - position).map_or(page, |left| left.min(page));
        let batch = log.read(position, wanted).await?;
        let Some(last) = batch.last().map(|last| last.position) else {
            return Err(StoreError(format!("the log ends at {position}, before {to}").into()).into());
        };
        position = match project(&mut projector, store, version, position, &batch).await? {
            Outcome::Projected => last,
            // Another process does the same: it goes on from where that one is.
            Outcome::Overtaken => store.checkpoint_of(projection, version).await?,
        };
        tell(position);
    }
    Ok(())
}

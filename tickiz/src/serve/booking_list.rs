//! The list of a show's bookings, for whoever ends those of a cancelled show: over the read models.

use std::time::Duration;

use tickiz_command_api::workers::cancellation::{BookingList, ListError};
use tickiz_domain::{
    booking::BookingStatus,
    ids::{BookingId, EventId},
};
use tickiz_event_log::Position;
use tickiz_read_models::{ReadError, ReadStore};

/// How long the list is waited for before it counts as not there yet. The caller comes back.
const WAIT: Duration = Duration::from_millis(500);

/// The bookings as the read models have them.
pub struct ReadModelList(pub ReadStore);

fn failed(error: ReadError) -> ListError {
    ListError(error.to_string())
}

#[async_trait::async_trait]
impl BookingList for ReadModelList {
    async fn bookings_of(
        &self,
        event: EventId,
        at_least: Position,
        mut after: Option<BookingId>,
        limit: usize,
    ) -> Result<Option<Vec<BookingId>>, ListError> {
        if !self.0.wait_for(at_least, WAIT).await.map_err(failed)? {
            return Ok(None);
        }
        let page_size = u32::try_from(limit).unwrap_or(u32::MAX);
        loop {
            let page = self.0.bookings_of_event(event, after, page_size).await.map_err(failed)?;
            let open: Vec<BookingId> = page
                .iter()
                .filter(|(_, status)| matches!(status, BookingStatus::Held | BookingStatus::Confirmed))
                .map(|(id, _)| *id)
                .collect();
            // A page of bookings that have all ended is not the end of the list.
            if !open.is_empty() || page.len() < limit {
                return Ok(Some(open));
            }
            after = page.last().map(|(id, _)| *id);
        }
    }
}

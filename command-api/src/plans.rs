//! Seating plans, out of the log's attachments, remembered by their content hash. A hash names the same bytes for ever, so what is
//! remembered is never stale.

use std::sync::Arc;

use tickiz_contract::Refusal;
use tickiz_domain::{
    event::Show,
    seating_plan::{PlanHash, SeatingPlan},
};
use tickiz_event_log::EventLog;

use crate::refusals::internal;

/// How many seats of all remembered plans together: twenty of the largest, some hundred megabytes at most, far less in use.
const MAX_REMEMBERED_SEATS: u64 = 2_000_000;

/// The plans that were lately used.
pub struct Plans {
    log: EventLog,
    plans: moka::future::Cache<String, Arc<SeatingPlan>>,
}

impl Plans {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(log: EventLog) -> Self {
        let weigh =
            |_: &String, plan: &Arc<SeatingPlan>| u32::try_from(plan.len()).unwrap_or(u32::MAX).saturating_add(1);
        Self { log, plans: moka::future::Cache::builder().max_capacity(MAX_REMEMBERED_SEATS).weigher(weigh).build() }
    }

    /// The plan of a show; `None` where it has none. Many who ask at once cause one reading.
    ///
    /// # Errors
    /// `INTERNAL` where the store fails or has not what the show's history names.
    pub async fn of(&self, show: &Show) -> Result<Option<Arc<SeatingPlan>>, Refusal> {
        let Some(summary) = &show.plan else { return Ok(None) };
        let read = async {
            let hash = decode_hash(&summary.hash)?;
            let bytes = self.log.attachment(&hash).await.map_err(|error| error.to_string())?;
            let bytes = bytes.ok_or("the log has no attachment of that hash")?;
            if PlanHash::of(&bytes).to_string() != summary.hash {
                return Err("the attachment is not what its hash says".to_owned());
            }
            SeatingPlan::from_packed_json(&bytes).map(Arc::new).map_err(|error| error.to_string())
        };
        let plan = self.plans.try_get_with_by_ref(&summary.hash, read).await;
        plan.map(Some).map_err(|error| internal(&format!("seating plan {}: {error}", summary.hash)))
    }
}

fn decode_hash(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|error| error.to_string())?;
    Ok(hash)
}

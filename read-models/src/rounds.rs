//! What many ask about single bookings and shows at once, read together: on the worst day each buyer follows his own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tickiz_domain::ids::BookingId;
use tickiz_together::{Round, RoundError};
use uuid::Uuid;

use crate::{
    BookingView, ReadError,
    bookings::tables::{LOAD_BOOKINGS, view_of},
    projection::Projection,
    sql::{Keys, Pools, versioned},
};

const READ_IS_SET_ASIDE: &str = "\
    SELECT a.subject FROM projection_set_aside a JOIN projections p ON p.name = a.name AND p.active_version = a.version \
    WHERE a.name = ? AND a.subject IN ({keys})";

impl RoundError for ReadError {
    fn shared(error: &Arc<Self>) -> Self {
        Self::Shared(Arc::clone(error))
    }

    fn closed() -> Self {
        Self::Store(sqlx::Error::PoolClosed)
    }
}

/// Reads bookings of a version of their projection. A row that is damaged is only its own reader's error.
pub(crate) struct ReadBookings(pub Pools);

#[async_trait::async_trait]
impl Round for ReadBookings {
    type Ask = (i32, BookingId);
    type Answer = Result<Option<BookingView>, ReadError>;
    type Error = ReadError;

    async fn run(&self, asked: &[(i32, BookingId)]) -> Result<Vec<Self::Answer>, ReadError> {
        let mut session = self.0.reader().await?;
        let mut rows = HashMap::with_capacity(asked.len());
        let mut wanted: BTreeMap<i32, BTreeSet<Uuid>> = BTreeMap::new();
        for (version, id) in asked {
            wanted.entry(*version).or_default().insert(id.0);
        }
        for (version, ids) in wanted {
            let keys = ids.into_iter().map(Into::into).collect();
            let sql = versioned(LOAD_BOOKINGS, version);
            for row in session.rows_by_keys(&sql, &Keys::Single, &[], keys).await? {
                rows.insert((version, BookingId(row.uuid(0)?)), row);
            }
        }
        Ok(asked.iter().map(|asked| rows.get(asked).map(view_of).transpose()).collect())
    }
}

/// Looks whether the active version of a projection stopped for a show or booking.
pub(crate) struct AreSetAside(pub Pools);

#[async_trait::async_trait]
impl Round for AreSetAside {
    type Ask = (Projection, Uuid);
    type Answer = bool;
    type Error = ReadError;

    async fn run(&self, asked: &[(Projection, Uuid)]) -> Result<Vec<bool>, ReadError> {
        let mut session = self.0.reader().await?;
        let mut aside = BTreeSet::new();
        for projection in Projection::ALL {
            let of_it = asked.iter().filter(|(of, _)| *of == projection);
            let subjects: BTreeSet<Uuid> = of_it.map(|(_, subject)| *subject).collect();
            if subjects.is_empty() {
                continue;
            }
            let keys = subjects.into_iter().map(Into::into).collect();
            let before = [projection.name().into()];
            for row in session.rows_by_keys(READ_IS_SET_ASIDE, &Keys::Single, &before, keys).await? {
                aside.insert((projection.name(), row.uuid(0)?));
            }
        }
        Ok(asked.iter().map(|(projection, subject)| aside.contains(&(projection.name(), *subject))).collect())
    }
}

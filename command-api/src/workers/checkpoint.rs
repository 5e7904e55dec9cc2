//! How far somebody who acts on the log has come, and which process acts now.
//!
//! One process at a time holds a consumer's lease. The checkpoint moves only under it, and moving it renews it; who has lost it
//! learns so there, and stops. Between an act and its checkpoint a process may die: then the act is seen twice, and must bear
//! that.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tickiz_event_log::{Position, SHARD, runtime::Clock};
use uuid::Uuid;

use crate::stores::{Database, StoreError, on_database};

const INSERT: &str = "INSERT INTO consumers (name, shard, position) VALUES (?, ?, 0)";
const TAKE: &str = "UPDATE consumers SET lease_holder = ?, lease_until = ? \
                    WHERE name = ? AND shard = ? AND (lease_holder = ? OR lease_holder IS NULL OR lease_until <= ?)";
const READ: &str = "SELECT position FROM consumers WHERE name = ? AND shard = ? AND lease_holder = ?";
const MOVE: &str = "UPDATE consumers SET position = ?, lease_until = ? \
                    WHERE name = ? AND shard = ? AND lease_holder = ? AND position <= ?";
const GIVE_BACK: &str =
    "UPDATE consumers SET lease_holder = NULL, lease_until = NULL WHERE name = ? AND shard = ? AND lease_holder = ?";

/// A consumer's checkpoint. A cheap handle.
#[derive(Clone)]
pub struct Checkpoint {
    database: Database,
    clock: Arc<dyn Clock>,
    name: &'static str,
    holder: Uuid,
    lease: Duration,
}

impl Checkpoint {
    /// The checkpoint of that consumer in that database, whose tables are there ([`crate::stores::INBOX`]). `holder` is this
    /// process.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, name: &'static str, holder: Uuid, lease: Duration) -> Self {
        Self { database, clock, name, holder, lease }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }

    fn until(&self) -> DateTime<Utc> {
        self.now() + TimeDelta::from_std(self.lease).unwrap_or(TimeDelta::MAX)
    }

    /// Takes or renews the lease; where the consumer stands, or `None` when another process has it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take(&self) -> Result<Option<Position>, StoreError> {
        let (now, until) = (self.now(), self.until());
        on_database!(&self.database, pool => {
            let made = sqlx::query(INSERT).bind(self.name).bind(SHARD).execute(pool).await;
            match made {
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            sqlx::query(TAKE)
                .bind(self.holder)
                .bind(until)
                .bind(self.name)
                .bind(SHARD)
                .bind(self.holder)
                .bind(now)
                .execute(pool)
                .await?;
            Ok(sqlx::query_scalar(READ).bind(self.name).bind(SHARD).bind(self.holder).fetch_optional(pool).await?)
        })
    }

    /// Moves the checkpoint on; false when the lease was lost.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn move_to(&self, position: Position) -> Result<bool, StoreError> {
        let until = self.until();
        let moved = on_database!(&self.database, pool => {
            sqlx::query(MOVE)
                .bind(position)
                .bind(until)
                .bind(self.name)
                .bind(SHARD)
                .bind(self.holder)
                .bind(position)
                .execute(pool)
                .await?
                .rows_affected()
        });
        Ok(moved == 1)
    }

    /// Gives the lease back, so that another process need not wait for its end.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn give_back(&self) -> Result<(), StoreError> {
        on_database!(&self.database, pool => {
            sqlx::query(GIVE_BACK).bind(self.name).bind(SHARD).bind(self.holder).execute(pool).await?;
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tickiz_event_log::runtime::ManualClock;

    use super::*;
    use crate::stores::{INBOX, StoreAt};

    #[tokio::test]
    async fn one_process_at_a_time_moves_a_checkpoint_and_another_takes_over_when_its_lease_runs_out() {
        let database = Database::open(&StoreAt::Memory).await.unwrap();
        database.migrate(&INBOX).await.unwrap();
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap()));
        let process = |number| {
            let holder = Uuid::from_u128(number);
            Checkpoint::new(database.clone(), clock.clone(), "mails", holder, Duration::from_secs(30))
        };
        let (one, two) = (process(1), process(2));
        assert_eq!(one.take().await.unwrap(), Some(0));
        assert_eq!(two.take().await.unwrap(), None);
        assert!(one.move_to(7).await.unwrap());
        assert!(!two.move_to(9).await.unwrap());
        clock.advance(TimeDelta::seconds(31));
        assert_eq!(two.take().await.unwrap(), Some(7));
        assert!(!one.move_to(8).await.unwrap(), "it has lost its lease");
        two.give_back().await.unwrap();
        assert_eq!(one.take().await.unwrap(), Some(7));
    }
}

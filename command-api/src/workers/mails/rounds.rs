//! How far an announcement to many has come: the last booking that was told, in the order of their ids.

use tickiz_domain::ids::BookingId;
use tickiz_event_log::{Position, SHARD};
use uuid::Uuid;

use crate::stores::{Database, StoreError, on_database};

const TOLD: &str = "SELECT told FROM announcements WHERE shard = ? AND position = ?";
const INSERT: &str = "INSERT INTO announcements (shard, position, told) VALUES (?, ?, ?)";
const MOVE: &str = "UPDATE announcements SET told = ? WHERE shard = ? AND position = ?";
const END: &str = "DELETE FROM announcements WHERE shard = ? AND position = ?";

/// The announcements that are under way. A cheap handle. Who uses it has the lease of the announcements' checkpoint, and nobody else
/// writes meanwhile; one whose lease was lost in between writes at most a booking that he told.
#[derive(Clone)]
pub struct Rounds(Database);

impl Rounds {
    /// Those of that database, whose tables are there ([`crate::stores::INBOX`]).
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self(database)
    }

    /// The last booking that was told of the domain event at that position; `None` where nobody was.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn told(&self, position: Position) -> Result<Option<BookingId>, StoreError> {
        let told: Option<Uuid> = on_database!(&self.0, pool => {
            sqlx::query_scalar(TOLD).bind(SHARD).bind(position).fetch_optional(pool).await?
        });
        Ok(told.map(BookingId))
    }

    /// Notes that this booking was told, and all before it.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn note(&self, position: Position, booking: BookingId) -> Result<(), StoreError> {
        on_database!(&self.0, pool => {
            let moved = sqlx::query(MOVE).bind(booking.0).bind(SHARD).bind(position).execute(pool).await?;
            if moved.rows_affected() == 0 {
                sqlx::query(INSERT).bind(SHARD).bind(position).bind(booking.0).execute(pool).await?;
            }
        });
        Ok(())
    }

    /// Forgets an announcement that everybody has.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn end(&self, position: Position) -> Result<(), StoreError> {
        on_database!(&self.0, pool => {
            sqlx::query(END).bind(SHARD).bind(position).execute(pool).await?;
        });
        Ok(())
    }
}

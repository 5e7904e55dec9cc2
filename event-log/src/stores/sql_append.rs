//! The append's transaction on the SQL backends: what it loads under the head's lock, what it writes, and how it commits. Written
//! once and made for each driver by a macro, as [`super::sql`] is.

use super::row::{broken, hash, stream_of, text};
use crate::{
    record::{Receipt, StoreError},
    store::{ClaimRow, Loaded, ReceiptKey},
};

macro_rules! sql_transaction {
    (transaction: $transaction:ident, database: $database:ty, connection: $connection:ty) => {
        /// The append's transaction. Dropped without an end, it drops its connection, and the server rolls back.
        struct $transaction {
            connection: OwnedMutexGuard<Option<$connection>>,
            head: Head,
            /// Position and time in microseconds of the last domain event that was written.
            moved_to: Option<(Position, i64)>,
            ended: bool,
        }

        impl Drop for $transaction {
            fn drop(&mut self) {
                if !self.ended {
                    *self.connection = None;
                }
            }
        }

        impl $transaction {
            fn connection(&mut self) -> Result<&mut $connection, StoreError> {
                self.connection.as_mut().ok_or_else(|| StoreError("the writer's connection is gone".into()))
            }

            async fn insert_events(&mut self, events: &[Arc<Recorded>]) -> Result<(), StoreError> {
                for piece in pieces(events) {
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO events (shard, position, recorded_at, organizer_id, stream_type, stream_id, sequence, \
                         event_type, event_version, payload, metadata, leaf_hash, show_id) VALUES ",
                    );
                    for (index, event) in piece.iter().enumerate() {
                        query.push(if index == 0 { "(" } else { ", (" });
                        query.push_bind(event.shard).push(", ").push_bind(event.position).push(", ");
                        query.push(TIME_IN.0).push_bind(event.recorded_at.timestamp_micros()).push(TIME_IN.1).push(", ");
                        query.push_bind(event.organizer_id.map(|id| id.to_string())).push(", ");
                        query.push_bind(event.stream.stream_type.as_str()).push(", ");
                        query.push_bind(event.stream.id.as_hyphenated().to_string()).push(", ");
                        query.push_bind(event.sequence).push(", ");
                        query.push_bind(event.event_type.clone()).push(", ");
                        query.push_bind(event.event_version).push(", ");
                        query.push_bind(event.payload.to_vec()).push(", ");
                        query.push_bind(metadata_json(&event.metadata).into_bytes()).push(", ");
                        query.push_bind(event.leaf_hash.to_vec()).push(", ");
                        query.push_bind(event.metadata.show_id.map(|id| id.to_string())).push(")");
                    }
                    self.execute(query, piece.len(), "events").await?;
                }
                Ok(())
            }

            async fn execute(&mut self, mut query: QueryBuilder<$database>, rows: usize, what: &str) -> Result<(), StoreError> {
                let done = query.build().execute(self.connection()?).await?;
                assert_rows(done.rows_affected(), rows, what)
            }

            /// Only the net change, and only onto the row that was read under the lock.
            async fn write_claims(&mut self, writes: &[ClaimWrite]) -> Result<(), StoreError> {
                let mut inserts = Vec::new();
                let mut updates = Vec::new();
                let mut deletes = Vec::new();
                for write in writes {
                    match (&write.before, &write.after) {
                        (None, Some(after)) => inserts.push(after),
                        (Some(before), Some(after)) => updates.push((before, after)),
                        (Some(before), None) => deletes.push(before),
                        (None, None) => {}
                    }
                }
                for piece in pieces(&deletes) {
                    let mut query = QueryBuilder::<$database>::new("DELETE FROM claims WHERE ");
                    for (index, row) in piece.iter().enumerate() {
                        query.push(if index == 0 { "(resource = " } else { " OR (resource = " });
                        query.push_bind(key(&row.resource)).push(" AND holder = ").push_bind(row.holder.clone()).push(")");
                    }
                    self.execute(query, piece.len(), "claims deleted").await?;
                }
                for piece in pieces(&inserts) {
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO claims (shard, resource, holder, used, max_used, fence) VALUES ",
                    );
                    for (index, row) in piece.iter().enumerate() {
                        query.push(if index == 0 { "(" } else { ", (" });
                        query.push_bind(SHARD).push(", ").push_bind(key(&row.resource)).push(", ");
                        query.push_bind(row.holder.clone()).push(", ").push_bind(row.used).push(", ");
                        query.push_bind(row.limit).push(", ").push_bind(row.fence).push(")");
                    }
                    self.execute(query, piece.len(), "claims inserted").await?;
                }
                for piece in pieces(&updates) {
                    self.update_claims(piece).await?;
                }
                Ok(())
            }

            async fn update_claims(&mut self, rows: &[(&ClaimRow, &ClaimRow)]) -> Result<(), StoreError> {
                let mut query = QueryBuilder::<$database>::new("UPDATE claims SET holder = CASE resource");
                for (_, after) in rows {
                    query.push(" WHEN ").push_bind(key(&after.resource)).push(" THEN ").push_bind(after.holder.clone());
                }
                query.push(" END, used = CASE resource");
                for (_, after) in rows {
                    query.push(" WHEN ").push_bind(key(&after.resource)).push(" THEN ").push_bind(after.used);
                }
                query.push(" END, max_used = CASE resource");
                for (_, after) in rows {
                    query.push(" WHEN ").push_bind(key(&after.resource)).push(" THEN ").push_bind(after.limit);
                }
                query.push(" END, fence = CASE resource");
                for (_, after) in rows {
                    query.push(" WHEN ").push_bind(key(&after.resource)).push(" THEN ").push_bind(after.fence);
                }
                query.push(" END WHERE ");
                for (index, (before, _)) in rows.iter().enumerate() {
                    query.push(if index == 0 { "(resource = " } else { " OR (resource = " });
                    query.push_bind(key(&before.resource)).push(" AND used = ").push_bind(before.used);
                    query.push(" AND fence = ").push_bind(before.fence).push(")");
                }
                self.execute(query, rows.len(), "claims updated").await
            }

            async fn insert_timers(&mut self, timers: &[Timer]) -> Result<(), StoreError> {
                for piece in pieces(timers) {
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO timers (timer_id, kind, stream_type, stream_id, subject, due_at, attempts) VALUES ",
                    );
                    for (index, timer) in piece.iter().enumerate() {
                        query.push(if index == 0 { "(" } else { ", (" });
                        query.push_bind(timer_id(timer)).push(", ").push_bind(timer.kind.as_str()).push(", ");
                        query.push_bind(timer.stream.stream_type.as_str()).push(", ");
                        query.push_bind(timer.stream.id.as_hyphenated().to_string()).push(", ");
                        query.push_bind(timer.subject).push(", ");
                        query.push(TIME_IN.0).push_bind(timer.due_at.timestamp_micros()).push(TIME_IN.1).push(", 0)");
                    }
                    // The same timer again (an Event moved back to a date it had) is there already.
                    query.push(keep_first("timer_id"));
                    query.build().execute(self.connection()?).await?;
                }
                Ok(())
            }

            async fn insert_receipts(&mut self, receipts: &[(ReceiptKey, Receipt)]) -> Result<(), StoreError> {
                for piece in pieces(receipts) {
                    let mut query = QueryBuilder::<$database>::new(
                        "INSERT INTO receipts (scope, operation, idempotency_key, request_hash, first_position, \
                         last_position, result) VALUES ",
                    );
                    for (index, (name, receipt)) in piece.iter().enumerate() {
                        query.push(if index == 0 { "(" } else { ", (" });
                        query.push_bind(key(&name.scope)).push(", ").push_bind(name.operation.clone()).push(", ");
                        query.push_bind(key(&name.key)).push(", ").push_bind(receipt.request_hash.to_vec()).push(", ");
                        query.push_bind(receipt.first_position).push(", ").push_bind(receipt.last_position).push(", ");
                        query.push_bind(receipt.result.clone()).push(")");
                    }
                    self.execute(query, piece.len(), "receipts").await?;
                }
                Ok(())
            }

            async fn insert_people(&mut self, people: &[WantedKey]) -> Result<(), StoreError> {
                for piece in pieces(people) {
                    let mut query =
                        QueryBuilder::<$database>::new("INSERT INTO person_keys (lookup, person_id, wrapped) ");
                    query.push_values(piece, |mut row, (lookup, fresh)| {
                        row.push_bind(lookup.to_vec()).push_bind(fresh.person_id.0).push_bind(fresh.wrapped.clone());
                    });
                    self.execute(query, piece.len(), "data keys").await?;
                }
                Ok(())
            }

            /// Moves the head to the last written position and commits, in one round trip: what is not in it goes off a buyer's
            /// wait. Only numbers stand in the text.
            fn commit_text(&self) -> String {
                let Some((position, micros)) = self.moved_to else { return "COMMIT".to_owned() };
                let (before, (time, end)) = (self.head.position, TIME_IN);
                format!(
                    "UPDATE log_head SET position = {position}, recorded_at = {time}{micros}{end} \
                     WHERE shard = {SHARD} AND position = {before}; COMMIT"
                )
            }
        }

        #[async_trait]
        impl AppendTransaction for $transaction {
            fn head(&self) -> Head {
                self.head
            }

            async fn load(&mut self, needs: &Needs) -> Result<Loaded, StoreError> {
                let mut loaded = Loaded::default();
                let resources: Vec<&String> = needs.resources.iter().collect();
                let mut pieces = resources.chunks(MAX_RESOURCES_READ);
                let mut rows: Vec<LoadedRow> = Vec::new();
                if let Some(mut query) = load_query(needs, pieces.next().unwrap_or_default()) {
                    rows = query.build_query_as().fetch_all(self.connection()?).await?;
                }
                for piece in pieces {
                    if let Some(mut query) = load_query(&Needs::default(), piece) {
                        let more: Vec<LoadedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
                        rows.extend(more);
                    }
                }
                for row in rows {
                    take_row(&mut loaded, row)?;
                }
                Ok(loaded)
            }

            async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
                for attachment in &writes.attachments {
                    let mut query = QueryBuilder::<$database>::new("INSERT INTO attachments (hash, bytes) VALUES (");
                    query.push_bind(attachment.hash.to_vec()).push(", ").push_bind(attachment.bytes.to_vec());
                    query.push(")").push(keep_first("hash"));
                    query.build().persistent(false).execute(self.connection()?).await?;
                }
                self.insert_events(&writes.events).await?;
                self.write_claims(&writes.claims).await?;
                self.insert_timers(&writes.timers).await?;
                self.insert_receipts(&writes.receipts).await?;
                self.insert_people(&writes.people).await?;
                for person in &writes.erased {
                    let query = sqlx::query("DELETE FROM person_keys WHERE person_id = ?").bind(person.0);
                    query.execute(self.connection()?).await?;
                }
                self.moved_to = writes.events.last().map(|last| (last.position, last.recorded_at.timestamp_micros()));
                Ok(())
            }

            async fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
                let text = self.commit_text();
                let moved = u64::from(self.moved_to.is_some());
                let connection = self.connection().map_err(CommitError::RolledBack)?;
                match sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut *connection).await {
                    Ok(done) => {
                        // The row is locked by us since it was read, so nothing can have moved it.
                        // SQLite counts the row again for COMMIT.
                        assert!(done.rows_affected() >= moved, "the head is where it was when it was locked");
                        self.ended = true;
                        Ok(())
                    }
                    // Even where the store itself says so: a COMMIT whose flush failed may be on the disk.
                    Err(error) => Err(CommitError::Unknown(error.into())),
                }
            }

            async fn rollback(mut self: Box<Self>) {
                let Ok(connection) = self.connection() else { return };
                if sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_ok() {
                    self.ended = true;
                }
            }
        }

        /// Heads, claims, receipts and people in one statement: a round trip is what an append under a lock has least of.
        fn load_query(needs: &Needs, resources: &[&String]) -> Option<QueryBuilder<$database>> {
            let Needs { streams, receipts, people, .. } = needs;
            let mut query = QueryBuilder::<$database>::new("");
            let mut parts = 0;
            let mut union = |query: &mut QueryBuilder<$database>| {
                if parts > 0 {
                    query.push(" UNION ALL ");
                }
                parts += 1;
            };
            for kind in StreamType::ALL {
                let ids: Vec<String> = streams
                    .iter()
                    .filter(|stream| stream.stream_type == kind)
                    .map(|stream| stream.id.as_hyphenated().to_string())
                    .collect();
                if ids.is_empty() {
                    continue;
                }
                union(&mut query);
                query.push(
                    "SELECT 1, stream_type, stream_id, NULL, MAX(sequence), 0, 0, NULL, NULL FROM events",
                );
                query.push(BY_STREAM).push(" WHERE stream_type = ").push_bind(kind.as_str()).push(" AND stream_id IN (");
                let mut list = query.separated(", ");
                for id in padded(&ids) {
                    list.push_bind(id);
                }
                query.push(") GROUP BY stream_type, stream_id");
            }
            if !resources.is_empty() {
                union(&mut query);
                query.push("SELECT 2, resource, holder, NULL, used, max_used, fence, NULL, NULL FROM claims");
                query.push(BY_PRIMARY).push(" WHERE resource IN (");
                let mut list = query.separated(", ");
                for resource in padded(resources) {
                    list.push_bind(key(resource));
                }
                query.push(")");
            }
            if !receipts.is_empty() {
                union(&mut query);
                query.push(
                    "SELECT 3, scope, operation, idempotency_key, first_position, last_position, 0, request_hash, result \
                     FROM receipts",
                );
                query.push(BY_PRIMARY).push(" WHERE ");
                let receipts: Vec<_> = receipts.iter().collect();
                for (index, name) in padded(&receipts).into_iter().enumerate() {
                    query.push(if index == 0 { "(scope = " } else { " OR (scope = " });
                    query.push_bind(key(&name.scope)).push(" AND operation = ").push_bind(name.operation.clone());
                    query.push(" AND idempotency_key = ").push_bind(key(&name.key)).push(")");
                }
            }
            if !people.is_empty() {
                union(&mut query);
                query.push("SELECT 4, lookup, NULL, NULL, 0, 0, 0, NULL, NULL FROM person_keys");
                query.push(BY_PRIMARY).push(" WHERE lookup IN (");
                let people: Vec<_> = people.iter().collect();
                let mut list = query.separated(", ");
                for lookup in padded(&people) {
                    list.push_bind(lookup.to_vec());
                }
                query.push(")");
            }
            (parts > 0).then_some(query)
        }
    };
}
pub(super) use sql_transaction;

/// Puts a row of the statement that loads what a batch needs where it belongs.
pub(super) fn take_row(loaded: &mut Loaded, row: LoadedRow) -> Result<(), StoreError> {
    let (kind, name, second, third, one, two, three, hash_bytes, result) = row;
    match kind {
        KIND_STREAM => {
            let id = second.unwrap_or_default();
            loaded.sequences.insert(stream_of(&text(name)?, &id)?, one);
        }
        KIND_PERSON => {
            loaded.people.insert(hash(name)?);
        }
        KIND_CLAIM => {
            let resource = text(name)?;
            let row = ClaimRow { resource: resource.clone(), holder: second, used: one, limit: two, fence: three };
            loaded.claims.insert(resource, row);
        }
        _ => {
            let scope = text(name)?;
            let key = text(third.unwrap_or_default())?;
            let name = ReceiptKey { scope, operation: second.unwrap_or_default(), key };
            let receipt = Receipt {
                request_hash: hash(hash_bytes.unwrap_or_default())?,
                first_position: one,
                last_position: two,
                result: result.unwrap_or_default(),
            };
            loaded.receipts.insert(name, receipt);
        }
    }
    Ok(())
}

/// Resources asked for in one statement: below the placeholders that SQLite (32,766) and MySQL (65,535) take.
pub(super) const MAX_RESOURCES_READ: usize = 4096;

/// A row of the statement that loads what a batch needs: its kind, and columns that mean what that kind says.
pub(super) type LoadedRow =
    (i32, Vec<u8>, Option<String>, Option<Vec<u8>>, i64, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// `kind` of a loaded row: a stream's head.
const KIND_STREAM: i32 = 1;
/// `kind` of a loaded row: a claim. What is none of these is a receipt.
const KIND_CLAIM: i32 = 2;
/// `kind` of a loaded row: a person's data key, of which only the lookup is there.
const KIND_PERSON: i32 = 4;

/// A count that differs means that the world is not as it was read under the lock: the transaction is lost.
pub(super) fn assert_rows(found: u64, expected: usize, what: &str) -> Result<(), StoreError> {
    if found == expected as u64 {
        return Ok(());
    }
    Err(broken(what, format!("{expected} rows were to be written, {found} were")))
}

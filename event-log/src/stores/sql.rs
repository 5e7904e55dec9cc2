//! The SQL backends' common text. MySQL and SQLite take the same statements but for a few words, which each backend's module
//! gives as constants; the drivers' types differ, so the code is written once here and made for each by a macro.
//!
//! Times are DATETIME(6) on MySQL, which outsiders read, and microseconds since 1970 in SQLite, which has no time type; both are
//! bound and read as microseconds, through `TIME_IN` and `TIME_OUT`.

/// The columns of `events`, as `EventRow` reads them.
macro_rules! event_columns {
    ($time_out:literal) => {
        concat!(
            "shard, position, ",
            $time_out,
            " AS recorded_micros, organizer_id, stream_type, stream_id, sequence, event_type, \
             event_version, payload, metadata, leaf_hash"
        )
    };
}
pub(super) use event_columns;

macro_rules! sql_store {
    (store: $store:ident, transaction: $transaction:ident, database: $database:ty, connection: $connection:ty) => {
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
                if let Some(mut query) = load_query(&needs.streams, pieces.next().unwrap_or_default(), &needs.receipts) {
                    rows = query.build_query_as().fetch_all(self.connection()?).await?;
                }
                for piece in pieces {
                    if let Some(mut query) = load_query(&BTreeSet::new(), piece, &BTreeSet::new()) {
                        let more: Vec<LoadedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
                        rows.extend(more);
                    }
                }
                for (kind, name, second, third, one, two, three, hash_bytes, result) in rows {
                    match kind {
                        KIND_STREAM => {
                            let id = second.unwrap_or_default();
                            loaded.sequences.insert(stream_of(&text(name)?, &id)?, one);
                        }
                        KIND_CLAIM => {
                            let resource = text(name)?;
                            let row = ClaimRow { resource: resource.clone(), holder: second, used: one, limit: two, fence: three };
                            loaded.claims.insert(resource, row);
                        }
                        _ => {
                            let scope = text(name)?;
                            let name = ReceiptKey { scope, operation: second.unwrap_or_default(), key: text(third.unwrap_or_default())? };
                            let receipt = Receipt {
                                request_hash: hash(hash_bytes.unwrap_or_default())?,
                                first_position: one,
                                last_position: two,
                                result: result.unwrap_or_default(),
                            };
                            loaded.receipts.insert(name, receipt);
                        }
                    }
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

        /// Heads, claims and receipts in one statement: a round trip is what an append under a lock has least of.
        fn load_query(
            streams: &BTreeSet<StreamId>,
            resources: &[&String],
            receipts: &BTreeSet<ReceiptKey>,
        ) -> Option<QueryBuilder<$database>> {
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
            (parts > 0).then_some(query)
        }

        impl $store {
            async fn events(&self, mut query: QueryBuilder<$database>) -> Result<Vec<Recorded>, StoreError> {
                let rows: Vec<EventRow> = query.build_query_as().fetch_all(&self.pool).await?;
                rows.into_iter().map(recorded).collect()
            }

            /// Compare-and-set: what another poller leased in between keeps his token.
            async fn lease(&self, timers: &[Uuid], token: Uuid, lease_ms: i64) -> Result<Vec<LeasedTimer>, StoreError> {
                if timers.is_empty() {
                    return Ok(Vec::new());
                }
                let mut query = QueryBuilder::<$database>::new("UPDATE timers SET attempts = attempts + 1, lease_token = ");
                query.push_bind(token).push(", lease_until = ").push(NOW_PLUS.0);
                query.push_bind(lease_ms.saturating_mul(1000)).push(NOW_PLUS.1);
                query.push(" WHERE (lease_until IS NULL OR lease_until <= ").push(NOW).push(") AND timer_id IN (");
                let mut list = query.separated(", ");
                for id in padded(timers) {
                    list.push_bind(id);
                }
                query.push(")");
                query.build().execute(&self.pool).await?;
                self.leased(token).await
            }

            async fn leased(&self, token: Uuid) -> Result<Vec<LeasedTimer>, StoreError> {
                let rows: Vec<(Uuid, String, String, String, Uuid, i64, i64)> = sqlx::query_as(SELECT_LEASED)
                    .bind(token)
                    .fetch_all(&self.pool)
                    .await?;
                rows.into_iter()
                    .map(|(timer_id, kind, stream_type, stream_id, subject, due, attempts)| {
                        let timer = Timer {
                            kind: timer_kind(&kind)?,
                            stream: stream_of(&stream_type, &stream_id)?,
                            subject,
                            due_at: from_micros(due),
                        };
                        Ok(LeasedTimer { timer_id, timer, attempts, lease_token: token })
                    })
                    .collect()
            }
        }

        #[async_trait]
        impl LogStore for $store {
            async fn begin(&self) -> Result<Box<dyn AppendTransaction>, StoreError> {
                let mut connection = self.writer.clone().lock_owned().await;
                let mut opened = match connection.take() {
                    Some(open) => open,
                    None => self.connect().await?,
                };
                // Until the transaction is built the connection is ours alone: an error or a cancelled wait drops it.
                let head = Self::lock_head(&mut opened).await?;
                *connection = Some(opened);
                Ok(Box::new($transaction { connection, head, moved_to: None, ended: false }))
            }

            async fn ping(&self) -> Result<(), StoreError> {
                let mut connection = self.writer.clone().lock_owned().await;
                let Some(mut open) = connection.take() else { return Ok(()) };
                open.ping().await?;
                *connection = Some(open);
                Ok(())
            }

            async fn head(&self) -> Result<Head, StoreError> {
                let (position, recorded, now): (i64, i64, i64) = sqlx::query_as(SELECT_HEAD).bind(SHARD).fetch_one(&self.pool).await?;
                Ok(Head { position, recorded_at: from_micros(recorded), now: Self::now(now) })
            }

            async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, StoreError> {
                let mut query = QueryBuilder::<$database>::new(SELECT_EVENTS);
                query.push(" WHERE shard = ").push_bind(SHARD).push(" AND position > ").push_bind(after);
                query.push(" ORDER BY position LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                self.events(query).await
            }

            async fn query(&self, filter: &LogFilter, up_to: Position, limit: usize) -> Result<Vec<Recorded>, StoreError> {
                let mut query = QueryBuilder::<$database>::new(SELECT_EVENTS);
                query.push(" WHERE shard = ").push_bind(SHARD).push(" AND position > ").push_bind(filter.after);
                query.push(" AND position <= ").push_bind(up_to);
                match (filter.stream_type, filter.stream_id) {
                    (Some(kind), _) => {
                        query.push(" AND stream_type = ").push_bind(kind.as_str());
                    }
                    // All kinds by name, so that the index over kind and id serves an id alone.
                    (None, Some(_)) => {
                        query.push(" AND stream_type IN (");
                        let mut list = query.separated(", ");
                        for kind in StreamType::ALL {
                            list.push_bind(kind.as_str());
                        }
                        query.push(")");
                    }
                    (None, None) => {}
                }
                if let Some(id) = filter.stream_id {
                    query.push(" AND stream_id = ").push_bind(id.as_hyphenated().to_string());
                }
                if !filter.event_types.is_empty() {
                    query.push(" AND event_type IN (");
                    let mut list = query.separated(", ");
                    for name in &filter.event_types {
                        list.push_bind(name.clone());
                    }
                    query.push(")");
                }
                if let Some(since) = filter.since {
                    query.push(" AND recorded_at >= ").push(TIME_IN.0).push_bind(since.timestamp_micros()).push(TIME_IN.1);
                }
                if let Some(until) = filter.until {
                    query.push(" AND recorded_at < ").push(TIME_IN.0).push_bind(until.timestamp_micros()).push(TIME_IN.1);
                }
                query.push(" ORDER BY position LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                self.events(query).await
            }

            async fn read_stream(&self, stream: StreamId, after: Sequence, limit: usize) -> Result<Vec<Recorded>, StoreError> {
                let mut query = QueryBuilder::<$database>::new(SELECT_EVENTS);
                query.push(" WHERE stream_type = ").push_bind(stream.stream_type.as_str());
                query.push(" AND stream_id = ").push_bind(stream.id.as_hyphenated().to_string());
                query.push(" AND sequence > ").push_bind(after);
                query.push(" ORDER BY sequence LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                self.events(query).await
            }

            async fn receipt(&self, name: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
                let row: Option<(Vec<u8>, i64, i64, Vec<u8>)> = sqlx::query_as(
                    "SELECT request_hash, first_position, last_position, result FROM receipts \
                     WHERE scope = ? AND operation = ? AND idempotency_key = ?",
                )
                .bind(key(&name.scope))
                .bind(name.operation.clone())
                .bind(key(&name.key))
                .fetch_optional(&self.pool)
                .await?;
                row.map(|(request_hash, first_position, last_position, result)| {
                    Ok(Receipt { request_hash: hash(request_hash)?, first_position, last_position, result })
                })
                .transpose()
            }

            async fn receipts(&self) -> Result<Vec<(ReceiptKey, Receipt)>, StoreError> {
                let rows: Vec<(Vec<u8>, String, Vec<u8>, Vec<u8>, i64, i64, Vec<u8>)> = sqlx::query_as(
                    "SELECT scope, operation, idempotency_key, request_hash, first_position, last_position, result FROM receipts",
                )
                .fetch_all(&self.pool)
                .await?;
                rows.into_iter()
                    .map(|(scope, operation, name, request_hash, first_position, last_position, result)| {
                        let name = ReceiptKey { scope: text(scope)?, operation, key: text(name)? };
                        Ok((name, Receipt { request_hash: hash(request_hash)?, first_position, last_position, result }))
                    })
                    .collect()
            }

            async fn claims(&self, prefix: &str) -> Result<Vec<ClaimRow>, StoreError> {
                let mut query = QueryBuilder::<$database>::new(
                    "SELECT resource, holder, used, max_used, fence FROM claims WHERE resource >= ",
                );
                query.push_bind(key(prefix));
                if let Some(end) = after_prefix(prefix) {
                    query.push(" AND resource < ").push_bind(key(&text(end)?));
                }
                query.push(" ORDER BY resource");
                let rows: Vec<(Vec<u8>, Option<String>, i64, i64, i64)> = query.build_query_as().fetch_all(&self.pool).await?;
                rows.into_iter()
                    .map(|(resource, holder, used, limit, fence)| {
                        Ok(ClaimRow { resource: text(resource)?, holder, used, limit, fence })
                    })
                    .collect()
            }

            async fn attachment(&self, hash: &LeafHash) -> Result<Option<Vec<u8>>, StoreError> {
                let query = sqlx::query_scalar("SELECT bytes FROM attachments WHERE hash = ?").bind(hash.to_vec());
                Ok(query.fetch_optional(&self.pool).await?)
            }

            async fn lease_timers(&self, kinds: &[TimerKind], token: Uuid, lease_ms: i64, limit: usize) -> Result<Vec<LeasedTimer>, StoreError> {
                if kinds.is_empty() {
                    return Ok(Vec::new());
                }
                let mut query = QueryBuilder::<$database>::new("SELECT timer_id FROM timers WHERE kind IN (");
                let mut list = query.separated(", ");
                for kind in kinds {
                    list.push_bind(kind.as_str());
                }
                query.push(") AND due_at <= ").push(NOW).push(" AND (lease_until IS NULL OR lease_until <= ").push(NOW);
                query.push(") ORDER BY due_at LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                let due: Vec<Uuid> = query.build_query_scalar().fetch_all(&self.pool).await?;
                self.lease(&due, token, lease_ms).await
            }

            async fn lease_timer(&self, kind: TimerKind, subject: Uuid, token: Uuid, lease_ms: i64) -> Result<Option<LeasedTimer>, StoreError> {
                // One, though the subject may have several: the others stay free for whoever they are due for.
                let mut query = QueryBuilder::<$database>::new("SELECT timer_id FROM timers WHERE subject = ");
                query.push_bind(subject).push(" AND kind = ").push_bind(kind.as_str());
                query.push(" AND (lease_until IS NULL OR lease_until <= ").push(NOW);
                query.push(") ORDER BY due_at, timer_id LIMIT 1");
                let free: Vec<Uuid> = query.build_query_scalar().fetch_all(&self.pool).await?;
                Ok(self.lease(&free, token, lease_ms).await?.pop())
            }

            async fn finish_timer(&self, timer: &LeasedTimer) -> Result<bool, StoreError> {
                let done = sqlx::query("DELETE FROM timers WHERE timer_id = ? AND lease_token = ?")
                    .bind(timer.timer_id)
                    .bind(timer.lease_token)
                    .execute(&self.pool)
                    .await?;
                Ok(done.rows_affected() == 1)
            }

            async fn finish_timers(&self, timers: &[LeasedTimer]) -> Result<usize, StoreError> {
                let mut ours: Vec<(Uuid, Uuid)> = timers.iter().map(|timer| (timer.timer_id, timer.lease_token)).collect();
                // One order for everybody who locks several.
                ours.sort_unstable();
                let mut finished = 0;
                for piece in pieces(&ours) {
                    let mut query = QueryBuilder::<$database>::new("DELETE FROM timers WHERE ");
                    for (index, (timer_id, lease_token)) in padded(piece).into_iter().enumerate() {
                        query.push(if index == 0 { "(timer_id = " } else { " OR (timer_id = " }).push_bind(timer_id);
                        query.push(" AND lease_token = ").push_bind(lease_token).push(")");
                    }
                    let done = query.build().execute(&self.pool).await?;
                    finished += usize::try_from(done.rows_affected()).unwrap_or(usize::MAX);
                }
                Ok(finished)
            }

            async fn reschedule_timer(&self, timer: &LeasedTimer, due_at: DateTime<Utc>) -> Result<bool, StoreError> {
                let mut query = QueryBuilder::<$database>::new("UPDATE timers SET lease_token = NULL, lease_until = NULL, due_at = ");
                query.push(TIME_IN.0).push_bind(due_at.timestamp_micros()).push(TIME_IN.1);
                query.push(" WHERE timer_id = ").push_bind(timer.timer_id).push(" AND lease_token = ").push_bind(timer.lease_token);
                Ok(query.build().execute(&self.pool).await?.rows_affected() == 1)
            }

            async fn person_key_or(&self, lookup: &[u8; 32], fresh: &PersonKey) -> Result<PersonKey, StoreError> {
                const FIND: &str = "SELECT person_id, wrapped FROM person_keys WHERE lookup = ?";
                let known: Option<(Uuid, Vec<u8>)> =
                    sqlx::query_as(FIND).bind(lookup.to_vec()).fetch_optional(&self.pool).await?;
                if let Some((person_id, wrapped)) = known {
                    return Ok(PersonKey { person_id: PersonId(person_id), wrapped });
                }
                let mut query =
                    QueryBuilder::<$database>::new("INSERT INTO person_keys (lookup, person_id, wrapped) VALUES (");
                query.push_bind(lookup.to_vec()).push(", ").push_bind(fresh.person_id.0).push(", ");
                query.push_bind(fresh.wrapped.clone()).push(")").push(keep_first("lookup"));
                query.build().execute(&self.pool).await?;
                // Of two processes that make one at once, the first one's stays.
                let (person_id, wrapped): (Uuid, Vec<u8>) =
                    sqlx::query_as(FIND).bind(lookup.to_vec()).fetch_one(&self.pool).await?;
                Ok(PersonKey { person_id: PersonId(person_id), wrapped })
            }

            async fn person_by(&self, lookup: &[u8; 32]) -> Result<Option<PersonId>, StoreError> {
                let query = sqlx::query_scalar("SELECT person_id FROM person_keys WHERE lookup = ?").bind(lookup.to_vec());
                Ok(query.fetch_optional(&self.pool).await?.map(PersonId))
            }

            async fn person_key(&self, person: PersonId) -> Result<Option<PersonKey>, StoreError> {
                let query = sqlx::query_scalar("SELECT wrapped FROM person_keys WHERE person_id = ?").bind(person.0);
                Ok(query.fetch_optional(&self.pool).await?.map(|wrapped| PersonKey { person_id: person, wrapped }))
            }

            async fn master_key_or(&self, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError> {
                let mut query = QueryBuilder::<$database>::new("INSERT INTO keyring (name, secret) VALUES ('master', ");
                query.push_bind(fresh.to_vec()).push(")").push(keep_first("name"));
                query.build().execute(&self.pool).await?;
                let kept: Vec<u8> =
                    sqlx::query_scalar("SELECT secret FROM keyring WHERE name = 'master'").fetch_one(&self.pool).await?;
                hash(kept)
            }

            async fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
                let row: Option<(i64, i64, i32, Vec<u8>)> = sqlx::query_as(
                    "SELECT sequence, position, format, state FROM snapshots WHERE stream_type = ? AND stream_id = ?",
                )
                .bind(stream.stream_type.as_str())
                .bind(stream.id.as_hyphenated().to_string())
                .fetch_optional(&self.pool)
                .await?;
                Ok(row.map(|(sequence, position, format, state)| Snapshot { sequence, position, format, state }))
            }

            async fn save_snapshot(&self, stream: StreamId, snapshot: &Snapshot) -> Result<(), StoreError> {
                sqlx::query(UPSERT_SNAPSHOT)
                    .bind(stream.stream_type.as_str())
                    .bind(stream.id.as_hyphenated().to_string())
                    .bind(snapshot.sequence)
                    .bind(snapshot.position)
                    .bind(snapshot.format)
                    .bind(snapshot.state.clone())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn server_version(&self) -> Result<String, StoreError> {
                Ok(sqlx::query_scalar(SELECT_VERSION).fetch_one(&self.pool).await?)
            }
        }
    };
}
pub(super) use sql_store;

/// Resources asked for in one statement: below the placeholders that SQLite (32,766) and MySQL (65,535) take.
pub(super) const MAX_RESOURCES_READ: usize = 4096;

/// A row of the statement that loads what a batch needs: its kind, and columns that mean what that kind says.
pub(super) type LoadedRow =
    (i32, Vec<u8>, Option<String>, Option<Vec<u8>>, i64, i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// `kind` of a loaded row: a stream's head.
pub(super) const KIND_STREAM: i32 = 1;
/// `kind` of a loaded row: a claim. What is neither is a receipt.
pub(super) const KIND_CLAIM: i32 = 2;

/// A count that differs means that the world is not as it was read under the lock: the transaction is lost.
pub(super) fn assert_rows(found: u64, expected: usize, what: &str) -> Result<(), crate::record::StoreError> {
    if found == expected as u64 {
        return Ok(());
    }
    Err(super::row::broken(what, format!("{expected} rows were to be written, {found} were")))
}

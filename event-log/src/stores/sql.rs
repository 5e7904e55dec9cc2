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
    (store: $store:ident, transaction: $transaction:ident, database: $database:ty) => {
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
                query.push_bind(token).push(", lease_until = ");
                self.push_now_plus(&mut query, lease_ms.saturating_mul(1000));
                query.push(" WHERE (lease_until IS NULL OR lease_until <= ");
                self.push_now(&mut query);
                query.push(") AND timer_id IN (");
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

        async fn keys_in(
            pool: &sqlx::Pool<$database>,
            wanted: &[&WantedKey],
        ) -> Result<std::collections::BTreeMap<Vec<u8>, PersonKey>, StoreError> {
            let mut query =
                QueryBuilder::<$database>::new("SELECT lookup, person_id, wrapped FROM person_keys WHERE lookup IN (");
            let mut list = query.separated(", ");
            for (lookup, _) in padded(wanted) {
                list.push_bind(lookup.to_vec());
            }
            query.push(")");
            let rows: Vec<(Vec<u8>, Uuid, Vec<u8>)> = query.build_query_as().fetch_all(pool).await?;
            let key = |(lookup, person_id, wrapped)| (lookup, PersonKey { person_id: PersonId(person_id), wrapped });
            Ok(rows.into_iter().map(key).collect())
        }

        async fn claims_in<'e>(
            executor: impl sqlx::Executor<'e, Database = $database>,
            prefix: &str,
        ) -> Result<Vec<ClaimRow>, StoreError> {
            let mut query = QueryBuilder::<$database>::new(
                "SELECT resource, holder, used, max_used, fence FROM claims WHERE resource >= ",
            );
            query.push_bind(key(prefix));
            if let Some(end) = after_prefix(prefix) {
                query.push(" AND resource < ").push_bind(key(&text(end)?));
            }
            query.push(" ORDER BY resource");
            let rows: Vec<(Vec<u8>, Option<String>, i64, i64, i64)> = query.build_query_as().fetch_all(executor).await?;
            rows.into_iter()
                .map(|(resource, holder, used, limit, fence)| {
                    Ok(ClaimRow { resource: text(resource)?, holder, used, limit, fence })
                })
                .collect()
        }

        #[async_trait]
        impl LogStore for $store {
            fn connections(&self) -> Option<(u32, usize)> {
                Some((self.pool.size(), self.pool.num_idle()))
            }

            async fn begin(&self) -> Result<Box<dyn AppendTransaction>, StoreError> {
                let mut connection = self.writer.clone().lock_owned().await;
                let mut opened = match connection.take() {
                    Some(open) => open,
                    None => self.connect().await?,
                };
                // Until the transaction is built the connection is ours alone: an error or a cancelled wait drops it.
                let head = self.lock_head(&mut opened).await?;
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
                Ok(Head { position, recorded_at: from_micros(recorded), now: self.now(now) })
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

            async fn read_streams(&self, after: &[(StreamId, Sequence)], limit: usize) -> Result<Vec<Recorded>, StoreError> {
                if after.is_empty() {
                    return Ok(Vec::new());
                }
                let mut query = QueryBuilder::<$database>::new(SELECT_EVENTS);
                query.push(BY_STREAM);
                for (index, (stream, after)) in padded(after).into_iter().enumerate() {
                    query.push(if index == 0 { " WHERE (stream_type = " } else { " OR (stream_type = " });
                    query.push_bind(stream.stream_type.as_str());
                    query.push(" AND stream_id = ").push_bind(stream.id.as_hyphenated().to_string());
                    query.push(" AND sequence > ").push_bind(after).push(")");
                }
                query.push(" LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                self.events(query).await
            }

            async fn receipts(&self, names: &BTreeSet<ReceiptKey>) -> Result<BTreeMap<ReceiptKey, Receipt>, StoreError> {
                let Some(mut query) = load_query(&Needs { receipts: names.clone(), ..Needs::default() }, &[]) else { return Ok(BTreeMap::new()) };
                let mut loaded = Loaded::default();
                let rows: Vec<LoadedRow> = query.build_query_as().fetch_all(&self.pool).await?;
                for row in rows {
                    take_row(&mut loaded, row)?;
                }
                Ok(loaded.receipts)
            }

            async fn claims(&self, prefix: &str) -> Result<Vec<ClaimRow>, StoreError> {
                claims_in(&self.pool, prefix).await
            }

            async fn evidence(&self) -> Result<Evidence, StoreError> {
                let mut connection = self.pool.acquire().await?;
                // From the first statement on, all of them see the same.
                sqlx::raw_sql(BEFORE_SNAPSHOT).execute(&mut *connection).await?;
                let mut snapshot = connection.begin().await?;
                let (head, _, _): (i64, i64, i64) =
                    sqlx::query_as(SELECT_HEAD).bind(SHARD).fetch_one(&mut *snapshot).await?;
                let claims = claims_in(&mut *snapshot, "").await?;
                let rows: Vec<(Vec<u8>, String, Vec<u8>, Vec<u8>, i64, i64, Vec<u8>)> = sqlx::query_as(
                    "SELECT scope, operation, idempotency_key, request_hash, first_position, last_position, result FROM receipts",
                )
                .fetch_all(&mut *snapshot)
                .await?;
                let receipts = rows.into_iter().map(
                    |(scope, operation, name, request_hash, first_position, last_position, result)| {
                        let name = ReceiptKey { scope: text(scope)?, operation, key: text(name)? };
                        Ok((name, Receipt { request_hash: hash(request_hash)?, first_position, last_position, result }))
                    },
                );
                let receipts = receipts.collect::<Result<_, StoreError>>()?;
                let rows: Vec<(String, String, String, Uuid, i64)> =
                    sqlx::query_as(SELECT_TIMERS).fetch_all(&mut *snapshot).await?;
                let timers = rows.into_iter().map(|(kind, stream_type, stream_id, subject, due)| {
                    let (kind, stream) = (timer_kind(&kind)?, stream_of(&stream_type, &stream_id)?);
                    Ok(Timer { kind, stream, subject, due_at: from_micros(due) })
                });
                let timers = timers.collect::<Result<_, StoreError>>()?;
                snapshot.rollback().await?;
                Ok(Evidence { head, claims, receipts, timers })
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
                query.push(") AND due_at <= ");
                self.push_now(&mut query);
                query.push(" AND (lease_until IS NULL OR lease_until <= ");
                self.push_now(&mut query);
                query.push(") ORDER BY due_at LIMIT ").push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
                let due: Vec<Uuid> = query.build_query_scalar().fetch_all(&self.pool).await?;
                self.lease(&due, token, lease_ms).await
            }

            async fn lease_timers_of(&self, wanted: &[(TimerKind, Uuid)], token: Uuid, lease_ms: i64) -> Result<Vec<LeasedTimer>, StoreError> {
                if wanted.is_empty() {
                    return Ok(Vec::new());
                }
                let mut query = QueryBuilder::<$database>::new("SELECT kind, subject, timer_id FROM timers WHERE (");
                for (index, (kind, subject)) in padded(wanted).into_iter().enumerate() {
                    query.push(if index == 0 { "(subject = " } else { " OR (subject = " });
                    query.push_bind(subject).push(" AND kind = ").push_bind(kind.as_str()).push(")");
                }
                query.push(") AND (lease_until IS NULL OR lease_until <= ");
                self.push_now(&mut query);
                query.push(") ORDER BY due_at, timer_id");
                let free: Vec<(String, Uuid, Uuid)> = query.build_query_as().fetch_all(&self.pool).await?;
                // One of each, though a subject may have several: the others stay free for whoever they are due for.
                let mut seen = BTreeSet::new();
                let first = |(kind, subject, timer_id)| seen.insert((kind, subject)).then_some(timer_id);
                let free: Vec<Uuid> = free.into_iter().filter_map(first).collect();
                self.lease(&free, token, lease_ms).await
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

            async fn person_keys_or(&self, wanted: &[WantedKey]) -> Result<Vec<PersonKey>, StoreError> {
                let all: Vec<&WantedKey> = wanted.iter().collect();
                let mut found = keys_in(&self.pool, &all).await?;
                let missing: Vec<&WantedKey> =
                    wanted.iter().filter(|(lookup, _)| !found.contains_key(lookup.as_slice())).collect();
                if !missing.is_empty() {
                    let mut query =
                        QueryBuilder::<$database>::new("INSERT INTO person_keys (lookup, person_id, wrapped) ");
                    query.push_values(&missing, |mut row, (lookup, fresh)| {
                        row.push_bind(lookup.to_vec()).push_bind(fresh.person_id.0).push_bind(fresh.wrapped.clone());
                    });
                    query.push(keep_first("lookup"));
                    query.build().execute(&self.pool).await?;
                    // Of two processes that make one at once, the first one's stays.
                    found.extend(keys_in(&self.pool, &missing).await?);
                }
                let lost = || StoreError("a person's key that was written is not there".into());
                wanted.iter().map(|(lookup, _)| found.get(lookup.as_slice()).cloned().ok_or_else(lost)).collect()
            }

            async fn person_by(&self, lookup: &[u8; 32]) -> Result<Option<PersonId>, StoreError> {
                let query = sqlx::query_scalar("SELECT person_id FROM person_keys WHERE lookup = ?").bind(lookup.to_vec());
                Ok(query.fetch_optional(&self.pool).await?.map(PersonId))
            }

            async fn person_key(&self, person: PersonId) -> Result<Option<PersonKey>, StoreError> {
                let query = sqlx::query_scalar("SELECT wrapped FROM person_keys WHERE person_id = ?").bind(person.0);
                Ok(query.fetch_optional(&self.pool).await?.map(|wrapped| PersonKey { person_id: person, wrapped }))
            }

            async fn kept_or(&self, name: &'static str, fresh: &[u8; 32]) -> Result<[u8; 32], StoreError> {
                let read = || sqlx::query_scalar::<_, Vec<u8>>("SELECT secret FROM keyring WHERE name = ?").bind(name);
                // As a rule it is there, and who only reads the log writes nothing.
                if let Some(kept) = read().fetch_optional(&self.pool).await? {
                    return hash(kept);
                }
                let mut query = QueryBuilder::<$database>::new("INSERT INTO keyring (name, secret) VALUES (");
                query.push_bind(name).push(", ").push_bind(fresh.to_vec()).push(")").push(keep_first("name"));
                query.build().execute(&self.pool).await?;
                hash(read().fetch_one(&self.pool).await?)
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

//! Frames of `seatAvailability`, encoded once for everybody who asked the same.
//!
//! What a frame reads like depends on the operation and its variables, and on nothing about the subscriber: whether he may see the
//! show was judged when he came. So subscribers with the same request form a group, and the first of them to get a frame
//! encodes it for all; the others wait for that and send the same text. Only the envelope's id differs, and that is the
//! WebSocket's.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
};

use async_graphql::parser::types::ExecutableDocument;
use futures::StreamExt;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tickiz_contract::CallContext;
use tickiz_projections::live::SeatFrame;
use tokio::sync::OnceCell;

use crate::{
    answer::Reply,
    app::Session,
    engine::{Admitted, Engine},
    guard::{JsonStore, RawRequest},
    limits::MAX_GROUP_FRAMES,
    schema::{self, subscription::OneFrame},
};

/// What makes two requests the same: their document, operation and variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey([u8; 32]);

impl GroupKey {
    /// The key of a request.
    pub fn of(request: &RawRequest) -> Self {
        let mut hash = Sha256::new();
        let variables = serde_json::to_vec(&request.variables).unwrap_or_default();
        for part in [request.query.as_bytes(), request.operation_name.as_deref().unwrap_or("").as_bytes(), &variables] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// The groups that have members.
#[derive(Clone)]
pub struct FrameGroups {
    engine: Engine,
    groups: Arc<Mutex<HashMap<GroupKey, Weak<Group>>>>,
}

impl FrameGroups {
    /// No groups yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, groups: Arc::default() }
    }

    /// The group of that key, for as long as the answer is held.
    pub fn join(&self, key: GroupKey, admitted: Admitted) -> Arc<Group> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(&key).and_then(Weak::upgrade) {
            return group;
        }
        let group = Arc::new(Group {
            engine: self.engine.clone(),
            document: admitted.baked.document,
            context: admitted.context,
            frames: Mutex::default(),
            groups: Arc::downgrade(&self.groups),
            key,
        });
        groups.insert(key, Arc::downgrade(&group));
        group
    }
}

/// What tells one frame of a show from another: from which version it leads to which, and whether it is a snapshot.
type FrameKey = (i64, i64, bool);
type Encoded = Arc<OnceCell<Arc<str>>>;

/// Subscribers who asked the same.
pub struct Group {
    engine: Engine,
    document: ExecutableDocument,
    /// Of the first member; no field of a frame looks at it.
    context: CallContext,
    /// The newest frames, so that members a little behind find theirs.
    frames: Mutex<VecDeque<(FrameKey, Encoded)>>,
    groups: Weak<Mutex<HashMap<GroupKey, Weak<Group>>>>,
    key: GroupKey,
}

impl Group {
    /// A frame as a GraphQL response in JSON.
    pub async fn encode(&self, frame: &Arc<SeatFrame>) -> Arc<str> {
        self.engine.app.metrics.frames_sent.fetch_add(1, Ordering::Relaxed);
        let cell = self.cell((frame.from_version, frame.version, frame.snapshot));
        Arc::clone(cell.get_or_init(|| self.execute(frame)).await)
    }

    fn cell(&self, key: FrameKey) -> Encoded {
        let mut frames = self.frames.lock();
        if let Some((_, cell)) = frames.iter().rev().find(|(known, _)| *known == key) {
            return Arc::clone(cell);
        }
        if frames.len() == MAX_GROUP_FRAMES {
            frames.pop_front();
        }
        let cell = Encoded::default();
        frames.push_back((key, Arc::clone(&cell)));
        cell
    }

    async fn execute(&self, frame: &Arc<SeatFrame>) -> Arc<str> {
        self.engine.app.metrics.frames_encoded.fetch_add(1, Ordering::Relaxed);
        let mut request = async_graphql::Request::new(String::new());
        request.set_parsed_query(self.document.clone());
        let request = request
            .data(Session::new(self.context.clone(), JsonStore::default()))
            .data(schema::loader(&self.engine.app))
            .data(OneFrame(Arc::clone(frame)));
        let mut stream = self.engine.schema.execute_stream(request);
        let response = async { stream.next().await.unwrap_or_default() };
        let Reply { body, .. } = self.engine.guarded(response, self.context.correlation_id).await;
        String::from_utf8(body).expect("serde_json writes UTF-8 only").into()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(groups) = self.groups.upgrade() else { return };
        let mut groups = groups.lock();
        // A new group may have the key already.
        if groups.get(&self.key).is_some_and(|group| group.strong_count() == 0) {
            groups.remove(&self.key);
        }
    }
}

//! Frames of `seatAvailability`, encoded once for everybody who asked the same.
//!
//! What a frame reads like depends on the operation and its variables, and on nothing about the subscriber: whether he may see the
//! show was judged when he came. So subscribers with the same request form a group, and a frame is encoded once for all of it. Only
//! the envelope's id differs, which is put before the payload in the write itself. A group's members are divided into
//! [shards](shard), each of them a task that writes to its members' connections.

mod shard;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak, atomic::Ordering},
};

use async_graphql::parser::types::ExecutableDocument;
use futures::StreamExt;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tickiz_contract::CallContext;
use tickiz_projections::live::{SeatFrame, SeatWatch};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

pub use self::shard::Membership;
use self::shard::{Door, Shard};
use crate::{
    answer::Reply,
    app::Session,
    engine::{Admitted, Engine},
    guard::{JsonStore, RawRequest},
    limits::MAX_GROUP_FRAMES,
    schema::{self, subscription::OneFrame},
    server::Wire,
    ws::Fate,
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
    /// Waited for at the program's end.
    tasks: TaskTracker,
}

impl FrameGroups {
    /// No groups yet.
    pub fn new(engine: Engine, tasks: TaskTracker) -> Self {
        Self { engine, groups: Arc::default(), tasks }
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
            doors: Mutex::default(),
            tasks: self.tasks.clone(),
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
    /// Of its shards.
    doors: Mutex<Vec<Arc<Door>>>,
    tasks: TaskTracker,
    groups: Weak<Mutex<HashMap<GroupKey, Weak<Group>>>>,
    key: GroupKey,
}

impl Group {
    /// From now on frames go to that connection, a snapshot first, each in a message that begins with `head`, as long as the answer
    /// is held.
    pub fn follow(
        self: &Arc<Self>,
        watch: SeatWatch,
        wire: &Arc<Wire>,
        fate: &Arc<Fate>,
        head: &Arc<str>,
    ) -> Membership {
        let mut doors = self.doors.lock();
        doors.retain(|door| !door.is_closed());
        if let Some(membership) = doors.iter().find_map(|door| door.enter(wire, fate, head)) {
            return membership;
        }
        let door = Arc::new(Door::default());
        let membership = door.enter(wire, fate, head).expect("there is room behind a new door");
        doors.push(Arc::clone(&door));
        self.tasks.spawn(Shard::new(Arc::clone(self), door, watch).run());
        membership
    }

    /// A frame as a GraphQL response in JSON.
    async fn encode(&self, frame: &Arc<SeatFrame>) -> Arc<str> {
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

//! Some of a group's members, and the task that writes to them.
//!
//! For each frame the shard goes through its members and [offers](Wire::offer) each the ready message; nobody's own task is woken.
//! Who takes nothing at the moment is asked again a little later. Why nobody misses a change, or gets one twice:
//!
//! 1. The shard knows which version each member has. A message is put together for that version: of the frames behind it, the
//!    first one based on it, or of a snapshot, where the member has nothing yet or the frames behind his version are not kept.
//! 2. The version moves when the message was taken, and a message is taken whole or not at all.
//!
//! Where frames come faster than all members can be written to, those that came in the meantime go out together, a write for each
//! member.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use parking_lot::Mutex;
use tickiz_projections::live::{SeatFrame, SeatWatch};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep,
};

use super::Group;
use crate::{
    limits::{MAX_FRAME_WRITE_BYTES, MAX_GROUP_FRAMES, MAX_SHARD_MEMBERS},
    server::{Offered, Wire},
    ws::{Fate, NextMessage},
};

/// How many members are written to before other tasks have a turn: some 0.2 ms.
const MEMBERS_A_TURN: usize = 32;
/// After how long it is tried again to write to who took nothing.
const RETRY: Duration = Duration::from_millis(20);

/// One who gets the frames.
pub struct Member {
    wire: Weak<Wire>,
    fate: Arc<Fate>,
    head: Arc<str>,
    /// What he has.
    version: Option<i64>,
    /// Whether something waits until he takes it.
    waits: bool,
    over: bool,
    /// Told by being dropped.
    ended: oneshot::Sender<()>,
}

impl Member {
    /// Whether he has everything up to the newest frame.
    fn has(&self, newest: Option<i64>) -> bool {
        self.version.is_some() && self.version >= newest
    }

    fn is_over(&self) -> bool {
        self.over || self.ended.is_closed()
    }
}

/// A member's place in his shard. Given up by being dropped.
pub struct Membership {
    ended: oneshot::Receiver<()>,
    door: Arc<Door>,
}

impl Membership {
    /// Waits until there are no frames any more: the program ends, or the connection takes nothing.
    pub async fn over(mut self) {
        // Nothing is ever sent; the other end goes.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.ended.close();
        self.door.changed.notify_one();
    }
}

/// Where a shard's members come in.
#[derive(Default)]
pub struct Door {
    inside: Mutex<Inside>,
    /// Somebody has come or gone.
    changed: Notify,
}

#[derive(Default)]
struct Inside {
    waiting: Vec<Member>,
    /// All members, those who wait too.
    count: usize,
    closed: bool,
}

impl Door {
    /// Lets one in whose messages begin with `head`; gives it back where there is no room.
    pub fn enter(self: &Arc<Self>, wire: &Arc<Wire>, fate: &Arc<Fate>, head: &Arc<str>) -> Option<Membership> {
        let mut inside = self.inside.lock();
        if inside.closed || inside.count == MAX_SHARD_MEMBERS {
            return None;
        }
        let (ended, over) = oneshot::channel();
        inside.count += 1;
        inside.waiting.push(Member {
            wire: Arc::downgrade(wire),
            fate: Arc::clone(fate),
            head: Arc::clone(head),
            version: None,
            waits: false,
            over: false,
            ended,
        });
        drop(inside);
        self.changed.notify_one();
        Some(Membership { ended: over, door: Arc::clone(self) })
    }

    /// Whether nobody will come in any more.
    pub fn is_closed(&self) -> bool {
        self.inside.lock().closed
    }

    fn close(&self) {
        let mut inside = self.inside.lock();
        inside.closed = true;
        inside.waiting.clear();
    }
}

/// A frame as it goes out.
struct Ready {
    frame: Arc<SeatFrame>,
    payload: Arc<str>,
}

/// Messages that bring a member from one version to another.
#[derive(Default)]
struct Prepared {
    /// For whom: what he has, and how his messages begin.
    of: Option<(Option<i64>, Arc<str>)>,
    bytes: Vec<u8>,
    frames: u64,
    version: Option<i64>,
}

impl Prepared {
    fn is_for(&self, member: &Member) -> bool {
        self.of.as_ref().is_some_and(|(version, head)| *version == member.version && *head == member.head)
    }

    fn push(&mut self, head: &str, frame: &SeatFrame, payload: &str) {
        NextMessage { head, payload }.write(&mut self.bytes);
        self.frames += 1;
        self.version = Some(frame.version);
    }
}

/// A shard.
pub struct Shard {
    group: Arc<Group>,
    door: Arc<Door>,
    watch: SeatWatch,
    members: Vec<Member>,
    /// The newest frames; their versions rise.
    frames: VecDeque<Ready>,
    prepared: Prepared,
}

impl Shard {
    pub fn new(group: Arc<Group>, door: Arc<Door>, watch: SeatWatch) -> Self {
        Self { group, door, watch, members: Vec::new(), frames: VecDeque::new(), prepared: Prepared::default() }
    }

    /// Writes until the last member has gone, or there are no frames any more.
    pub async fn run(mut self) {
        loop {
            let waits = self.members.iter().any(|member| member.waits);
            let more = tokio::select! {
                frame = self.watch.next() => match frame {
                    Some(frame) => self.take(frame).await,
                    None => false,
                },
                () = self.door.changed.notified() => true,
                () = sleep(RETRY), if waits => true,
            };
            if !more || !self.let_in() {
                break;
            }
            self.write().await;
        }
        self.door.close();
    }

    /// Takes a frame and those that are there behind it; false where there will be no more.
    async fn take(&mut self, frame: Arc<SeatFrame>) -> bool {
        // Who is up to date needs none of these, so only who takes nothing is left behind.
        let spare = self.frames.len().saturating_sub(MAX_GROUP_FRAMES);
        self.frames.drain(..spare);
        let mut next = Some(frame);
        let mut taken = 0;
        while let Some(frame) = next.take() {
            let payload = self.group.encode(&frame).await;
            self.frames.push_back(Ready { frame, payload });
            taken += 1;
            if taken < MAX_GROUP_FRAMES {
                match self.watch.next().now_or_never() {
                    Some(Some(frame)) => next = Some(frame),
                    Some(None) => return false,
                    None => {}
                }
            }
        }
        true
    }

    /// Lets in who waits and out who is over; false where nobody is left.
    fn let_in(&mut self) -> bool {
        let mut inside = self.door.inside.lock();
        self.members.append(&mut inside.waiting);
        self.members.retain(|member| !member.is_over());
        inside.count = self.members.len();
        inside.closed = self.members.is_empty();
        !inside.closed
    }

    async fn write(&mut self) {
        let newest = self.frames.back().map(|ready| ready.frame.version);
        let (mut sent, mut turn) = (0, 0);
        for at in 0..self.members.len() {
            let member = &self.members[at];
            if member.has(newest) && !member.waits {
                continue;
            }
            sent += self.serve(at, newest).await;
            turn += 1;
            if turn == MEMBERS_A_TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        // What was put together may be large, and of a version that nobody has any more.
        self.prepared = Prepared::default();
        self.group.engine.app.metrics.frames_sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Brings one member up to date as far as he takes it; how many frames he took.
    async fn serve(&mut self, at: usize, newest: Option<i64>) -> u64 {
        let mut sent = 0;
        let Some(wire) = self.members[at].wire.upgrade() else {
            self.members[at].over = true;
            return sent;
        };
        loop {
            let member = &self.members[at];
            let offered = if member.has(newest) {
                wire.push_rest()
            } else {
                if !self.prepared.is_for(member) {
                    let (version, head) = (member.version, Arc::clone(&member.head));
                    self.prepare(version, head).await;
                }
                let member = &mut self.members[at];
                let offered = wire.offer(&self.prepared.bytes, || member.fate.wanted());
                if matches!(offered, Offered::Taken | Offered::Begun) {
                    sent += self.prepared.frames;
                    member.version = self.prepared.version;
                }
                offered
            };
            let member = &mut self.members[at];
            member.waits = matches!(offered, Offered::Begun | Offered::Busy);
            member.over = offered == Offered::Over;
            if offered != Offered::Taken || member.has(newest) {
                return sent;
            }
        }
    }

    /// Puts together what brings one who has `version` further.
    async fn prepare(&mut self, version: Option<i64>, head: Arc<str>) {
        let mut prepared = std::mem::take(&mut self.prepared);
        prepared.bytes.clear();
        prepared.frames = 0;
        let from = version.map(|version| self.frames.partition_point(|ready| ready.frame.version <= version));
        let first = from.and_then(|from| self.frames.get(from));
        match first.zip(version) {
            Some((ready, version)) if ready.frame.snapshot || ready.frame.from_version <= version => {
                let frame = Arc::clone(&ready.frame);
                if frame.snapshot || frame.from_version == version {
                    prepared.push(&head, &frame, &ready.payload);
                } else {
                    // He came within this frame.
                    let frame = Arc::new(frame.from(version));
                    prepared.push(&head, &frame, &self.group.encode(&frame).await);
                }
                for ready in self.frames.iter().skip(from.map_or(0, |from| from + 1)) {
                    if prepared.bytes.len() >= MAX_FRAME_WRITE_BYTES {
                        break;
                    }
                    prepared.push(&head, &ready.frame, &ready.payload);
                }
            }
            _ => {
                let snapshot = self.watch.snapshot();
                prepared.push(&head, &snapshot, &self.group.encode(&snapshot).await);
            }
        }
        prepared.of = Some((version, head));
        self.prepared = prepared;
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        // Also where the task is given up: nobody must wait before a door that nobody opens.
        self.door.close();
    }
}

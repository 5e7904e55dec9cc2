//! A request's body that must come at a pace.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub struct TooSlow;

/// Fails when a body has taken longer than its grace and what its size explains at the slowest pace: a drop now and then does
/// not keep it alive. Time counts from the first read on.
#[derive(Debug)]
pub struct TimedBody {
    body: Incoming,
    grace: Duration,
    rate: usize,
    started: Option<Instant>,
    received: usize,
    deadline: Pin<Box<Sleep>>,
}

impl TimedBody {
    /// That body, at `rate` bytes a second or more.
    pub fn new(body: Incoming, grace: Duration, rate: usize) -> Self {
        let deadline = Box::pin(sleep_until(Instant::now() + grace));
        Self { body, grace, rate: rate.max(1), started: None, received: 0, deadline }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.started.is_none() {
            let now = Instant::now();
            self.started = Some(now);
            let grace = self.grace;
            self.deadline.as_mut().reset(now + grace);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let (Some(Ok(frame)), Some(started)) = (&frame, self.started) {
                self.received += frame.data_ref().map_or(0, Buf::remaining);
                let explained = Duration::from_millis((self.received as u64).saturating_mul(1_000) / self.rate as u64);
                let deadline = started + self.grace + explained;
                self.deadline.as_mut().reset(deadline);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(TooSlow.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Reading a request's body into memory: so much at most, and so much of all requests together.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{body::Body, http::HeaderMap};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{limits::BODY_BUDGET_BYTES, server::TooSlow};

/// What is counted against the budget at once. The first of each body is free: as many as there are connections fit anyway.
const UNIT_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is still read, so that the client, who is still sending, can read why.
const DISCARDED_BYTES: usize = 64 * 1024 * 1024;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(4);

/// Memory for bodies.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Semaphore>);

/// A body in memory, and its share of the budget.
#[derive(Debug)]
pub struct HeldBody {
    /// The bytes.
    pub bytes: Bytes,
    _held: Vec<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// Over the limit that was given.
    TooLarge,
    /// The client was too slow.
    TooSlow,
    /// No memory for it now.
    NoRoom,
    /// The connection broke.
    Broken,
}

impl BodyBudget {
    /// The whole budget.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(BODY_BUDGET_BYTES / UNIT_BYTES)))
    }

    /// Reads a body of at most that many bytes.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body, most: usize) -> Result<HeldBody, BodyFault> {
        let announced = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > most as u64) {
            // Who asked first has sent nothing yet.
            if !headers.contains_key("expect") {
                discard(body).await;
            }
            return Err(BodyFault::TooLarge);
        }
        let (mut bytes, mut held) = (BytesMut::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| if is_too_slow(&error) { BodyFault::TooSlow } else { BodyFault::Broken })?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > most {
                drop((bytes, held));
                discard(body).await;
                return Err(BodyFault::TooLarge);
            }
            while bytes.len() + data.len() > (held.len() + 1) * UNIT_BYTES {
                held.push(Arc::clone(&self.0).try_acquire_owned().map_err(|_| BodyFault::NoRoom)?);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(HeldBody { bytes: bytes.freeze(), _held: held })
    }
}

async fn discard(mut body: Body) {
    let rest = async {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let len = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(len) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whether it ended or was too long, the answer is the same.
    let _ = timeout(DISCARD_TIMEOUT, rest).await;
}

fn is_too_slow(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

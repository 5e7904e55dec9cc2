//! Answers to questions for a list, as they were encoded. On the worst day everybody opens the same page, and putting one together
//! again for each costs the process four times what sending it does.
//!
//! * *Nobody gets what is another's.* Kept is only what somebody without a bearer was answered, without errors, where `events` was all he
//!   asked for: that depends on the request and on what is public. It is found by the whole request, byte by byte.
//! * *Nobody misses what he did.* An answer says up to where shows had been changed through this process when it was begun; a
//!   later change passes it over. A `minPosition` is part of the request, and an answer to it stays as new as it asks for.
//! * *Old* it is by [`crate::limits::LIST_ANSWER_KEPT_FOR`], and by [`crate::limits::LIST_ANSWER_SHOWN_FOR`] more while one of those who ask
//!   puts it together anew, so that the others do not all wait for him; beyond what the page was that it shows
//!   (`tickiz_read_models::front`): together under a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::future::Cache;

use crate::{
    answer::Reply,
    limits::{MAX_LIST_ANSWERS_BYTES, MAX_LIST_REQUEST_BYTES},
};

/// The one root field of an operation whose answer is kept.
pub const LIST: &str = "events";

/// An answer.
#[derive(Clone, Debug)]
struct Kept {
    body: Bytes,
    /// Up to where shows had been changed through this process.
    changed: i64,
    /// When it was put together.
    at: Instant,
    /// Whether somebody puts it together anew.
    is_renewed: Arc<AtomicBool>,
}

/// The answers by their requests.
#[derive(Clone, Debug)]
pub struct KeptAnswers {
    answers: Cache<Bytes, Kept>,
    kept_for: Duration,
}

/// A request whose answer may be kept.
pub struct Question {
    request: Bytes,
    changed: i64,
}

impl KeptAnswers {
    /// Answers that are kept so long, and after that shown so long while they are put together anew.
    pub fn new(kept_for: Duration, shown_for: Duration) -> Self {
        let bytes = |request: &Bytes, kept: &Kept| u32::try_from(request.len() + kept.body.len()).unwrap_or(u32::MAX);
        let answers = Cache::builder().weigher(bytes).max_capacity(MAX_LIST_ANSWERS_BYTES);
        Self { answers: answers.time_to_live(kept_for + shown_for).build(), kept_for }
    }

    /// What was answered to that request a moment ago, if shows were last changed through this process at `changed`. The first who asks
    /// after it was kept for its time finds nothing: he is the one who puts it together anew.
    pub async fn find(&self, request: &Bytes, changed: i64) -> Option<Bytes> {
        if request.len() > MAX_LIST_REQUEST_BYTES {
            return None;
        }
        let kept = self.answers.get(request).await.filter(|kept| kept.changed >= changed)?;
        let is_his = kept.at.elapsed() >= self.kept_for && !kept.is_renewed.swap(true, Ordering::Relaxed);
        (!is_his).then_some(kept.body)
    }

    /// Keeps what was answered, if it is a list's.
    pub async fn keep(&self, question: Question, roots: &[String], reply: &Reply) {
        let is_list = matches!(roots, [root] if root == LIST);
        if is_list && reply.executed && reply.errors.is_empty() {
            // Copies, since the request is a part of a larger buffer.
            let request = Bytes::copy_from_slice(&question.request);
            let body = Bytes::copy_from_slice(&reply.body);
            let kept = Kept { body, changed: question.changed, at: Instant::now(), is_renewed: Arc::default() };
            self.answers.insert(request, kept).await;
        }
    }
}

impl Question {
    /// A request, begun when shows had last been changed at `changed`; none where it is larger than what is kept.
    pub fn of(request: &Bytes, changed: i64) -> Option<Self> {
        (request.len() <= MAX_LIST_REQUEST_BYTES).then(|| Self { request: request.clone(), changed })
    }
}

#[cfg(test)]
mod tests {
    use tickiz_contract::Refusal;
    use uuid::Uuid;

    use super::*;

    fn reply(text: &str) -> Reply {
        Reply { body: text.as_bytes().to_vec(), executed: true, errors: Vec::new() }
    }

    #[tokio::test]
    async fn only_a_list_without_errors_is_kept_and_only_until_a_show_is_changed() {
        let answers = KeptAnswers::new(Duration::from_secs(3_600), Duration::ZERO);
        let (request, list) = (Bytes::from_static(b"{events}"), ["events".to_owned()]);
        let question = || Question::of(&request, 7).expect("it is short");
        assert!(answers.find(&request, 7).await.is_none());
        for roots in [&["event".to_owned()][..], &["events".to_owned(), "log".to_owned()], &[]] {
            answers.keep(question(), roots, &reply("x")).await;
        }
        answers.keep(question(), &list, &Reply::turned_away(Refusal::overloaded(1), Uuid::nil())).await;
        answers.keep(question(), &list, &Reply { executed: false, ..reply("x") }).await;
        assert!(answers.find(&request, 7).await.is_none());

        answers.keep(question(), &list, &reply("page")).await;
        assert_eq!(answers.find(&request, 7).await.as_deref(), Some(&b"page"[..]));
        assert!(answers.find(&Bytes::from_static(b"{events }"), 7).await.is_none(), "byte by byte");
        assert!(answers.find(&request, 8).await.is_none(), "a show was changed since");
        assert!(Question::of(&Bytes::from(vec![b' '; MAX_LIST_REQUEST_BYTES + 1]), 7).is_none());
    }

    #[tokio::test]
    async fn while_one_puts_an_answer_together_anew_the_others_are_shown_the_old_one() {
        let answers = KeptAnswers::new(Duration::ZERO, Duration::from_secs(3_600));
        let (request, list) = (Bytes::from_static(b"{events}"), ["events".to_owned()]);
        for page in ["first", "second"] {
            answers.keep(Question::of(&request, 7).expect("it is short"), &list, &reply(page)).await;
            assert!(answers.find(&request, 7).await.is_none(), "he has it put together");
            for _ in 0..3 {
                assert_eq!(answers.find(&request, 7).await.as_deref(), Some(page.as_bytes()));
            }
            assert!(answers.find(&request, 8).await.is_none(), "a show was changed since");
        }

        let answers = KeptAnswers::new(Duration::ZERO, Duration::from_millis(1));
        answers.keep(Question::of(&request, 7).expect("it is short"), &list, &reply("old")).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        for _ in 0..3 {
            assert!(answers.find(&request, 7).await.is_none(), "it is too old for everybody");
        }
    }
}

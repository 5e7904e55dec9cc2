//! Many small asks of a store as one: a round trip costs the same whatever is in it, and so does a flush of the disk.
//!
//! Whoever asks while a round is under way goes with the next one, so nobody waits for a round to fill, and the busier it is the
//! more share a statement. What is asked must not depend on what else is asked in the same round. A round that fails may have failed
//! for one of them only: then each is tried by itself, and the others do not suffer for it, unless the store itself is away.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

/// The most that one round takes, and the most who wait for the next one: as many as one transaction holds well.
const MAX_TOGETHER: usize = 128;
/// After so many failures in a row of those who are tried alone, the store is taken to be away: the others hear so, too, and do not
/// wait for it one after the other.
const MAX_FAILURES_ALONE: usize = 2;
/// How long a round waits for others where the one before had several, and has only just ended: so many ask then that a statement less
/// gives all of them more than the wait takes. Where few ask nobody waits. It is what `commit_delay` and `commit_siblings` are to
/// PostgreSQL.
const LINGER: Duration = Duration::from_millis(3);

/// What a round does.
#[async_trait::async_trait]
pub trait Round: Send + Sync + 'static {
    /// What is asked.
    type Ask: Send + Sync + 'static;
    /// What is answered to each.
    type Answer: Send + 'static;
    /// Why a round fails.
    type Error: RoundError;

    /// Does all of it, in one transaction where it writes, and answers in the same order.
    async fn run(&self, asked: &[Self::Ask]) -> Result<Vec<Self::Answer>, Self::Error>;
}

/// An error that several may have to be told.
pub trait RoundError: Send + Sync + Sized + 'static {
    /// The same for one more who asked.
    fn shared(error: &Arc<Self>) -> Self;
    /// Nobody works on what is asked any more: the process is ending.
    fn closed() -> Self;
}

type Waiting<R> = (<R as Round>::Ask, oneshot::Sender<Done<R>>);
type Done<R> = Result<<R as Round>::Answer, <R as Round>::Error>;

/// Asks for what is done together. A cheap handle.
pub struct Together<R: Round>(mpsc::Sender<Waiting<R>>);

impl<R: Round> Clone for Together<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Round> std::fmt::Debug for Together<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Together")
    }
}

impl<R: Round> Together<R> {
    /// Works in a task of its own, which ends with the last handle.
    ///
    /// # Panics
    /// Outside a runtime.
    #[must_use]
    pub fn start(round: R) -> Self {
        let (ask, mut asked) = mpsc::channel::<Waiting<R>>(MAX_TOGETHER);
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            let mut several_ended_at: Option<Instant> = None;
            while asked.recv_many(&mut waiting, MAX_TOGETHER).await > 0 {
                if several_ended_at.is_some_and(|ended| ended.elapsed() < LINGER) && waiting.len() < MAX_TOGETHER {
                    tokio::time::sleep(LINGER).await;
                    while waiting.len() < MAX_TOGETHER
                        && let Ok(more) = asked.try_recv()
                    {
                        waiting.push(more);
                    }
                }
                // Who went away wants no answer any more.
                let wanted = waiting.drain(..).filter(|(_, answer)| !answer.is_closed());
                let (asks, answers): (Vec<R::Ask>, Vec<_>) = wanted.unzip();
                if asks.is_empty() {
                    continue;
                }
                let done = match round.run(&asks).await {
                    Ok(done) => {
                        assert_eq!(done.len(), asks.len(), "each who asks is answered");
                        done.into_iter().map(Ok).collect()
                    }
                    Err(error) if asks.len() == 1 => vec![Err(error)],
                    Err(_) => each(&round, asks).await,
                };
                several_ended_at = (answers.len() > 1).then(Instant::now);
                for (answer, done) in answers.into_iter().zip(done) {
                    let _ = answer.send(done);
                }
            }
        });
        Self(ask)
    }

    /// Waits until it is done. Who stops waiting after it began does not stop it.
    ///
    /// # Errors
    /// What the round failed with.
    pub async fn ask(&self, ask: R::Ask) -> Result<R::Answer, R::Error> {
        let (answer, answered) = oneshot::channel();
        self.0.send((ask, answer)).await.map_err(|_| R::Error::closed())?;
        answered.await.map_err(|_| R::Error::closed())?
    }
}

async fn each<R: Round>(round: &R, asks: Vec<R::Ask>) -> Vec<Done<R>> {
    let mut done = Vec::with_capacity(asks.len());
    let mut failures = 0;
    let mut asks = asks.into_iter();
    for ask in asks.by_ref() {
        match round.run(std::slice::from_ref(&ask)).await {
            Ok(mut answers) => {
                failures = 0;
                done.push(Ok(answers.pop().expect("each who asks is answered")));
            }
            Err(error) => {
                failures += 1;
                if failures < MAX_FAILURES_ALONE {
                    done.push(Err(error));
                    continue;
                }
                let error = Arc::new(error);
                done.push(Err(R::Error::shared(&error)));
                done.extend(asks.map(|_| Err(R::Error::shared(&error))));
                break;
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Unlucky(u64);

    impl RoundError for Unlucky {
        fn shared(error: &Arc<Self>) -> Self {
            (**error).clone()
        }

        fn closed() -> Self {
            Self(0)
        }
    }

    /// Fails whenever an unlucky number is among what is asked.
    #[derive(Default)]
    struct Squares {
        rounds: Arc<Mutex<Vec<usize>>>,
        unlucky: Vec<u64>,
    }

    #[async_trait::async_trait]
    impl Round for Squares {
        type Ask = u64;
        type Answer = u64;
        type Error = Unlucky;

        async fn run(&self, asked: &[u64]) -> Result<Vec<u64>, Unlucky> {
            tokio::task::yield_now().await;
            self.rounds.lock().unwrap().push(asked.len());
            match asked.iter().find(|number| self.unlucky.contains(number)) {
                Some(number) => Err(Unlucky(*number)),
                None => Ok(asked.iter().map(|number| number * number).collect()),
            }
        }
    }

    async fn squares(unlucky: Vec<u64>) -> (Vec<Result<u64, Unlucky>>, Vec<usize>) {
        let squares = Squares { unlucky, ..Squares::default() };
        let rounds = squares.rounds.clone();
        let together = Together::start(squares);
        let asked = futures::future::join_all((0..50).map(|number| together.ask(number))).await;
        (
            asked,
            Arc::try_unwrap(rounds)
                .map_or_else(|shared| shared.lock().unwrap().clone(), |own| own.into_inner().unwrap()),
        )
    }

    #[tokio::test]
    async fn each_gets_his_own_answer_and_a_failure_is_only_his_whose_it_is() {
        let (asked, rounds) = squares(vec![7, 30]).await;
        for (number, answer) in (0..50_u64).zip(asked) {
            let expected = if [7, 30].contains(&number) { Err(Unlucky(number)) } else { Ok(number * number) };
            assert_eq!(answer, expected);
        }
        assert!(rounds.iter().any(|length| *length > 1), "they went together");
    }

    #[tokio::test]
    async fn where_the_store_is_away_nobody_waits_for_it_one_after_the_other() {
        let (asked, rounds) = squares((0..50).collect()).await;
        assert!(asked.iter().all(Result::is_err));
        assert!(rounds.len() < 10, "{rounds:?}");
    }
}

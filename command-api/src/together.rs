//! Many small durable writes as one: a flush of the disk costs the same whatever is in it.
//!
//! Whoever asks while a round is under way goes with the next one, so nobody waits for a round to fill, and the busier it is the
//! more share a flush. What is asked must not depend on what else is asked in the same round. A round that fails may have failed
//! for one of them only: then each is tried by itself, and the others do not suffer for it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::stores::StoreError;

/// The most that one round takes, and the most who wait for the next one: as many as one transaction holds well.
const MAX_TOGETHER: usize = 128;

/// What a round does.
#[async_trait::async_trait]
pub(crate) trait Round: Send + Sync + 'static {
    /// What is asked.
    type Ask: Send + Sync + 'static;
    /// What is answered to each.
    type Answer: Send + 'static;

    /// Does all of it in one transaction, and answers in the same order.
    async fn run(&self, asked: &[Self::Ask]) -> Result<Vec<Self::Answer>, StoreError>;
}

type Waiting<R> = (<R as Round>::Ask, oneshot::Sender<Result<<R as Round>::Answer, StoreError>>);

/// Asks for what is done together. A cheap handle.
pub(crate) struct Together<R: Round>(mpsc::Sender<Waiting<R>>);

impl<R: Round> Clone for Together<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Round> Together<R> {
    /// Works in a task of its own, which ends with the last handle.
    pub(crate) fn start(round: R) -> Self {
        let (ask, mut asked) = mpsc::channel::<Waiting<R>>(MAX_TOGETHER);
        let round = Arc::new(round);
        tokio::spawn(async move {
            let mut waiting = Vec::new();
            while asked.recv_many(&mut waiting, MAX_TOGETHER).await > 0 {
                let (asks, answers): (Vec<R::Ask>, Vec<_>) = waiting.drain(..).unzip();
                let done: Vec<Result<R::Answer, StoreError>> = match round.run(&asks).await {
                    Ok(done) => {
                        assert_eq!(done.len(), asks.len(), "each who asks is answered");
                        done.into_iter().map(Ok).collect()
                    }
                    Err(error) if asks.len() == 1 => vec![Err(error)],
                    Err(_) => each(&*round, asks).await,
                };
                for (answer, done) in answers.into_iter().zip(done) {
                    // Who went away wants no answer any more.
                    let _ = answer.send(done);
                }
            }
        });
        Self(ask)
    }

    /// Waits until it is done. Who stops waiting does not stop it.
    pub(crate) async fn ask(&self, ask: R::Ask) -> Result<R::Answer, StoreError> {
        let closed = || StoreError::Sql(sqlx::Error::PoolClosed);
        let (answer, answered) = oneshot::channel();
        self.0.send((ask, answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn each<R: Round>(round: &R, asks: Vec<R::Ask>) -> Vec<Result<R::Answer, StoreError>> {
    let mut done = Vec::with_capacity(asks.len());
    for ask in asks {
        let alone = round.run(std::slice::from_ref(&ask)).await;
        done.push(alone.map(|mut answers| answers.pop().expect("each who asks is answered")));
    }
    done
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Fails whenever the number 7 is among what is asked.
    #[derive(Default)]
    struct Squares(Arc<Mutex<Vec<usize>>>);

    #[async_trait::async_trait]
    impl Round for Squares {
        type Ask = u64;
        type Answer = u64;

        async fn run(&self, asked: &[u64]) -> Result<Vec<u64>, StoreError> {
            tokio::task::yield_now().await;
            self.0.lock().unwrap().push(asked.len());
            if asked.contains(&7) {
                return Err(StoreError::Damaged("seven".to_owned()));
            }
            Ok(asked.iter().map(|number| number * number).collect())
        }
    }

    #[tokio::test]
    async fn each_gets_his_own_answer_and_a_failure_is_only_his_whose_it_is() {
        let squares = Squares::default();
        let rounds = squares.0.clone();
        let together = Together::start(squares);
        let asked = futures::future::join_all((0..50).map(|number| together.ask(number))).await;
        for (number, answer) in (0..50_u64).zip(asked) {
            match answer {
                Ok(square) => assert_eq!(square, number * number),
                Err(error) => assert_eq!((number, error.to_string().contains("seven")), (7, true)),
            }
        }
        assert!(rounds.lock().unwrap().iter().any(|length| *length > 1), "they went together");
    }
}

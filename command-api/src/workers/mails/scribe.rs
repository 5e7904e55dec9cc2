//! The thread that makes documents. A mail's PDF and pictures take some milliseconds of a core, which on the day of an on-sale are the
//! buyers' who are choosing seats at that moment: so it is one thread, and where the system has threads with priorities of
//! their own, one that stands behind all others. Nobody waits for a mail as he waits for a page.

use std::sync::{LazyLock, mpsc};

use tokio::sync::oneshot;

/// How far behind the others it stands, as `nice` counts: where every core is wanted it gets about a tenth of one, so that mails go on.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// Documents that wait for it. Each mail waits for its own before the next is begun, so there are only as many as there are followers.
const MAX_WAITING: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

static SCRIBE: LazyLock<mpsc::SyncSender<Work>> = LazyLock::new(|| {
    let (send, receive) = mpsc::sync_channel::<Work>(MAX_WAITING);
    std::thread::Builder::new()
        .name("documents".to_owned())
        .spawn(move || {
            // On Linux a thread's own (sched(7), "The nice value"); elsewhere it would be the whole process's.
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::nice(NICENESS) {
                tracing::debug!(%error, "documents are made at the priority of everything else");
            }
            for work in receive {
                work();
            }
        })
        .expect("a thread can be started");
    send
});

/// Runs `work` on that thread; `None` if it panicked.
pub(super) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let job: Work = Box::new(move || {
        // Whoever panics spoils his own document and no other's.
        if let Ok(made) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            let _ = done.send(made);
        }
    });
    let mut job = Some(job);
    while let Some(waiting) = job.take() {
        match SCRIBE.try_send(waiting) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(waiting)) => {
                job = Some(waiting);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            Err(mpsc::TrySendError::Disconnected(_)) => return None,
        }
    }
    result.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_makes_one_after_the_other_and_a_panic_spoils_only_its_own() {
        let made = futures::future::join_all((0..100).map(|number| {
            run(move || {
                assert!(number != 7, "seven");
                number
            })
        }));
        for (number, made) in made.await.into_iter().enumerate() {
            assert_eq!(made, (number != 7).then_some(number));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_stands_behind_all_other_threads() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let (ours, its) = (priority(), run(priority).await.unwrap());
        assert!(its > ours, "{its} is not behind {ours}");
    }
}

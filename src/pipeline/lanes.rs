//! Several cases at once, their results in order, and never more than a few in memory.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, Scope},
};

/// The most cases that are read at the same time: reading takes a volume's memory, not only a thread.
const READERS: usize = 4;

/// Calls `work` with 0, 1, ... `count - 1` on a few threads, and `take` with the results in that order on this one. A thread
/// that is ahead waits for its result to be taken before it goes on.
pub(super) fn in_order<T: Send>(
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(usize, T),
) {
    let threads = rayon::current_num_threads().clamp(1, READERS);
    let work = &work;
    thread::scope(|scope| {
        let lanes: Vec<Receiver<T>> = (0..threads.min(count))
            .map(|lane| {
                let (sender, receiver) = sync_channel(0);
                scope.spawn(move || {
                    // `take` panicked if nobody listens.
                    (lane..count)
                        .step_by(threads)
                        .try_for_each(|index| sender.send(work(index)))
                });
                receiver
            })
            .collect();
        for index in 0..count {
            // A thread that panicked sends nothing; the scope passes its panic on.
            let Ok(result) = lanes[index % threads].recv() else {
                return;
            };
            take(index, result);
        }
    });
}

/// Threads that finish jobs while the caller prepares the next; results come back in the order of the jobs.
///
/// Dropping it lets every thread finish the job in its hands.
pub(super) struct Behind<J, R> {
    lanes: Vec<(SyncSender<J>, Receiver<R>)>,
    sent: usize,
    returned: usize,
}

impl<J: Send, R: Send> Behind<J, R> {
    /// `count` threads, each with at most one job.
    pub(super) fn spawn<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: usize,
        work: &'scope (impl Fn(J) -> R + Sync),
    ) -> Self
    where
        J: 'scope,
        R: 'scope,
    {
        let lane = |_| {
            let (jobs, inbox) = sync_channel::<J>(0);
            // A result waits here until it is asked for, so that no thread holds a job it has done.
            let (outbox, results) = sync_channel(1);
            scope.spawn(move || inbox.into_iter().try_for_each(|job| outbox.send(work(job))));
            (jobs, results)
        };
        Self {
            lanes: (0..count).map(lane).collect(),
            sent: 0,
            returned: 0,
        }
    }

    /// Hands a job over. Where all threads are busy, that waits for the oldest job, and returns its result.
    pub(super) fn send(&mut self, job: J) -> Option<R> {
        let oldest = if self.sent - self.returned == self.lanes.len() {
            self.next()
        } else {
            None
        };
        // A thread that panicked takes no job; the scope passes its panic on.
        let _ = self.lanes[self.sent % self.lanes.len()].0.send(job);
        self.sent += 1;
        oldest
    }

    /// The result of the oldest job that has not been returned; `None` when there is none.
    pub(super) fn next(&mut self) -> Option<R> {
        if self.returned == self.sent {
            return None;
        }
        let result = self.lanes[self.returned % self.lanes.len()].1.recv();
        self.returned += 1;
        result.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    /// Slow at first, so that later items are ready earlier.
    fn slow_start(index: usize) -> usize {
        thread::sleep(Duration::from_millis(if index < 2 { 20 } else { 0 }));
        index * index
    }

    #[test]
    fn results_come_in_order_and_few_are_held() {
        for count in [0, 1, 3, 40] {
            let (begun, mut found) = (AtomicUsize::new(0), Vec::new());
            in_order(
                count,
                |index| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    slow_start(index)
                },
                |index, square| {
                    assert_eq!(square, index * index);
                    found.push(index);
                    assert!(begun.load(Ordering::SeqCst) <= index + 1 + READERS);
                },
            );
            assert_eq!(found, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn jobs_return_in_order_and_at_most_one_a_thread_is_open() {
        let work = |index| slow_start(index);
        let found = thread::scope(|scope| {
            let (mut behind, mut found) = (Behind::spawn(scope, 2, &work), Vec::new());
            for index in 0..9 {
                found.extend(behind.send(index));
                assert!(index + 1 - found.len() <= 2);
            }
            found.extend(std::iter::from_fn(|| behind.next()));
            found
        });
        assert_eq!(found, (0..9).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn dropping_it_with_open_jobs_ends_the_threads() {
        let done = AtomicUsize::new(0);
        let work = |()| done.fetch_add(1, Ordering::SeqCst);
        thread::scope(|scope| {
            let mut behind = Behind::spawn(scope, 2, &work);
            behind.send(());
            behind.send(());
        });
        assert_eq!(done.into_inner(), 2);
    }
}

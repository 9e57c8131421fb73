use std::{
    panic::resume_unwind,
    sync::mpsc::{IntoIter, sync_channel},
    thread,
};

/// Makes `items` on a thread of their own while `consume` works on those before: one item waits, and
/// the next is being made.
///
/// The order is that of `items`, and so is every draw inside of it. When `consume` returns early, the
/// thread stops at its next item. A panic of `items` ends the items, and goes on in the caller
/// once `consume` has returned.
///
/// # Examples
///
/// ```
/// use voxshield_perturb::ahead;
/// let squares = ahead((1..=4).map(|n| n * n), |squares| squares.collect::<Vec<_>>());
/// assert_eq!(squares, [1, 4, 9, 16]);
/// ```
pub fn ahead<T: Send, R>(
    items: impl Iterator<Item = T> + Send,
    consume: impl FnOnce(IntoIter<T>) -> R,
) -> R {
    thread::scope(|scope| {
        // Without a buffer: what is ready is handed over, not stored.
        let (sender, receiver) = sync_channel(0);
        let worker = scope.spawn(move || {
            for item in items {
                if sender.send(item).is_err() {
                    return;
                }
            }
        });
        let result = consume(receiver.into_iter());
        if let Err(panic) = worker.join() {
            resume_unwind(panic);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::{panic, thread, time::Duration};

    use super::*;

    #[test]
    fn at_most_one_item_is_ready_before_it_is_asked_for() {
        let made = AtomicUsize::new(0);
        let items = (0..50).inspect(|_| {
            made.fetch_add(1, Ordering::SeqCst);
        });
        ahead(items, |items| {
            for (taken, item) in items.enumerate() {
                assert_eq!(item, taken);
                if taken == 3 {
                    thread::sleep(Duration::from_millis(50));
                }
                assert!(made.load(Ordering::SeqCst) <= taken + 2);
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 50);
    }

    #[test]
    fn an_early_return_stops_the_thread() {
        let endless = std::iter::repeat(7);
        assert_eq!(ahead(endless, |mut items| items.next()), Some(7));
        assert_eq!(ahead(std::iter::repeat(7), |_| 3), 3);
    }

    #[test]
    fn a_panic_of_the_items_reaches_the_caller() {
        let items = (0..3).map(|n| if n == 2 { panic!("item {n}") } else { n });
        let outcome = panic::catch_unwind(|| ahead(items, Iterator::count));
        let message = outcome.expect_err("a panic");
        assert_eq!(
            message.downcast_ref::<String>().map(String::as_str),
            Some("item 2")
        );
    }
}

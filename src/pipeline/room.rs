use std::sync::{Condvar, Mutex, PoisonError};

use crate::data::{Case, Dataset, StoredVolume};

/// The most voxels of cases that the process works on at the same time, unless one case has more: then it is worked on alone.
const CAPACITY: u64 = 1 << 28;

static TAKEN: Mutex<u64> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// Memory that a case may take, given back when this is dropped. A thread that holds one must not wait for another.
#[derive(Debug)]
pub(super) struct Room(u64);

impl Room {
    /// Waits until there is room for the case.
    pub(super) fn of_case(dataset: &Dataset, case: &Case) -> Self {
        let images = case.images.iter();
        // What cannot be read takes no room; the reason is found by whoever reads it.
        let voxels = images
            .map(|image| StoredVolume::voxel_count_of(&dataset.root.join(image)).unwrap_or(0));
        Self::of(voxels.fold(0, u64::saturating_add))
    }

    /// Waits until there is room for so many voxels.
    pub(super) fn of(voxels: u64) -> Self {
        let voxels = voxels.min(CAPACITY);
        // The number is right whatever the thread that panicked was doing.
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = LEFT
            .wait_while(taken, |taken| *taken + voxels > CAPACITY)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += voxels;
        Self(voxels)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        LEFT.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_large_case_is_alone_and_small_ones_share() {
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for voxels in [CAPACITY / 3, u64::MAX, CAPACITY / 2, CAPACITY / 2, 1] {
                let (held, most) = (&held, &most);
                scope.spawn(move || {
                    let room = Room::of(voxels);
                    let now = held.fetch_add(room.0, Ordering::SeqCst) + room.0;
                    most.fetch_max(now, Ordering::SeqCst);
                    thread::yield_now();
                    held.fetch_sub(room.0, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), CAPACITY);
    }
}

use std::sync::{Mutex, PoisonError};

/// A value that a layer changes during `forward`, which takes `&self`.
///
/// A clone is independent of the original, as with parameters.
#[derive(Debug)]
pub(super) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs `change` with exclusive access to the value.
    pub(super) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere cannot leave a value half written: it is replaced as a whole.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Clone> Guarded<T> {
    pub(super) fn get(&self) -> T {
        self.with(|value| value.clone())
    }
}

impl<T: Clone> Clone for Guarded<T> {
    fn clone(&self) -> Self {
        Self::new(self.get())
    }
}

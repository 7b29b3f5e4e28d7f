//! What one picture may cost, and all of them together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{DecodeLimits, Undecodable};

/// The limits, and the memory that is left of them. Shared by the threads that
/// decode: a picture that needs most of it is decoded alone, and small ones side
/// by side.
pub(super) struct Budget {
    pub(super) limits: DecodeLimits,
    free: Mutex<u64>,
    given_back: Condvar,
    /// Held by who waits for memory. The next ones wait behind, and not for what
    /// is left: or a large picture would wait for as long as small ones come.
    turn: Mutex<()>,
}

/// Memory for the pixel buffers of one picture, given back when it is dropped.
#[must_use]
pub(super) struct Memory<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: DecodeLimits) -> Self {
        let free = Mutex::new(limits.max_memory_bytes);
        Self { limits, free, given_back: Condvar::new(), turn: Mutex::default() }
    }

    /// Refuses a picture by the size that its header claims.
    pub(super) fn check_pixels(&self, width: u32, height: u32) -> Result<(), Undecodable> {
        let limit = self.limits.max_pixels;
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(Undecodable::corrupt("no pixels"));
        }
        if pixels > limit {
            return Err(Undecodable::TooManyPixels { width, height, limit });
        }
        Ok(())
    }

    /// Waits until there are `bytes`. Who asks must not hold any yet, or two could
    /// wait for each other.
    ///
    /// # Errors
    ///
    /// If there never are so many.
    pub(super) fn take(&self, bytes: u64) -> Result<Memory<'_>, Undecodable> {
        let limit = self.limits.max_memory_bytes;
        if bytes > limit {
            return Err(Undecodable::TooMuchMemory { limit });
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.given_back.wait_while(self.free(), |free| *free < bytes);
        *enough.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Ok(Memory { budget: self, bytes })
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Memory<'_> {
    fn drop(&mut self) {
        *self.budget.free() += self.bytes;
        self.budget.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    fn budget(max_memory_bytes: u64) -> Budget {
        Budget::new(DecodeLimits { max_pixels: 100, max_memory_bytes })
    }

    #[test]
    fn more_than_there_ever_is_is_refused() {
        assert!(budget(10).take(10).is_ok());
        assert_eq!(budget(10).take(11).err().unwrap().reason(), "too_much_memory");
    }

    #[test]
    fn many_threads_together_never_take_more_than_there_is() {
        let (budget, taken) = (budget(100), AtomicU64::new(0));
        thread::scope(|scope| {
            for thread in 0..8 {
                let (budget, taken) = (&budget, &taken);
                scope.spawn(move || {
                    for step in 0..500 {
                        let bytes = 1 + (thread * 37 + step * 13) % 100;
                        let _memory = budget.take(bytes).unwrap();
                        assert!(taken.fetch_add(bytes, Ordering::SeqCst) + bytes <= 100);
                        thread::yield_now();
                        taken.fetch_sub(bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.free(), 100);
    }

    /// A panic in a decoder unwinds through what it has taken.
    #[test]
    fn a_panic_gives_back_what_it_had_taken() {
        let budget = budget(10);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _memory = budget.take(10).unwrap();
            panic!("a bug in a decoder");
        }));
        assert!(panicked.is_err() && budget.take(10).is_ok());
    }
}

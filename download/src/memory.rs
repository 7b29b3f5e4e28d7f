//! The memory that downloaded pictures take together.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// What a picture is given before anything of it is known, in KiB: most fit.
const FIRST: u32 = 256;

/// What a larger one is given at a time, in KiB.
const STEP: u32 = 1024;

/// Memory for the bytes of pictures, counted in KiB. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    kib: Arc<Semaphore>,
    /// Held by the one picture that may exceed the budget.
    overdraft: Arc<Mutex<()>>,
}

/// What one picture takes of the budget until it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Room {
    memory: Memory,
    held: OwnedSemaphorePermit,
    overdraft: Option<OwnedMutexGuard<()>>,
}

impl Memory {
    /// A budget of so many bytes, but for one small picture at least.
    pub fn new(bytes: usize) -> Self {
        let kib = (bytes / 1024).clamp(FIRST as usize, Semaphore::MAX_PERMITS);
        Self { kib: Arc::new(Semaphore::new(kib)), overdraft: Arc::default() }
    }

    /// Waits for room for a small picture (256 KiB); [`Room::fit`] makes it larger.
    pub async fn room(&self) -> Room {
        let held = self.kib.clone().acquire_many_owned(FIRST).await.expect("a budget is never closed");
        Room { memory: self.clone(), held, overdraft: None }
    }
}

impl Room {
    /// Waits until `bytes` fit in.
    ///
    /// Where nothing of the budget is left, one picture at a time may exceed it:
    /// if all waited for each other's memory, none would ever give it back. So
    /// the budget is exceeded by the largest picture at most. The others wait
    /// for that one, or for what any other gives back.
    pub async fn fit(&mut self, bytes: usize) {
        while self.overdraft.is_none() && bytes > 1024 * self.held.num_permits() {
            let Memory { kib, overdraft } = self.memory.clone();
            tokio::select! {
                biased;
                more = kib.acquire_many_owned(STEP) => self.held.merge(more.expect("a budget is never closed")),
                overdraft = overdraft.lock_owned() => self.overdraft = Some(overdraft),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn small_pictures_wait_where_the_budget_is_spent() {
        let memory = Memory::new(MIB);
        let rooms: Vec<_> = (0..4).map(|_| memory.room().now_or_never().unwrap()).collect();

        assert!(memory.room().now_or_never().is_none());
        drop(rooms);
        assert!(memory.room().now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_large_picture_at_a_time_may_exceed_the_budget() {
        let memory = Memory::new(3 * MIB);
        let mut first = memory.room().await;
        let mut second = memory.room().await;
        first.fit(2 * MIB).await;
        assert_eq!(first.held.num_permits(), 256 + 2 * 1024);

        first.fit(100 * MIB).await;
        assert!(
            second.fit(2 * MIB).now_or_never().is_none(),
            "nothing is left, and the first one exceeds it"
        );
        drop(first);
        second.fit(2 * MIB).await;
        assert!(second.overdraft.is_none());
    }

    #[tokio::test]
    async fn who_waits_takes_what_any_other_gives_back() {
        let memory = Memory::new(3 * MIB);
        let (mut first, mut second, mut third) =
            (memory.room().await, memory.room().await, memory.room().await);
        second.fit(MIB).await;
        first.fit(100 * MIB).await;
        assert!(first.overdraft.is_some());
        let mut waiting = Box::pin(third.fit(MIB));
        assert!((&mut waiting).now_or_never().is_none());

        drop(second);

        assert!(waiting.now_or_never().is_some(), "the first one still exceeds the budget");
    }
}

//! The most memory that a process and those that it starts have had at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::usage;

/// Between two looks. A decoder has a large picture in memory for longer.
const EVERY: Duration = Duration::from_millis(50);

/// Looks again and again, until it is dropped. Peaks of single processes would not do: they are not at the same
/// time, and count what all share, such as the program, for each.
pub struct MemoryWatch {
    most: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl MemoryWatch {
    /// Begins to look at this process.
    pub fn begin(pid: u32) -> Self {
        let most = Arc::<AtomicU64>::default();
        let (seen, pid) = (most.clone(), pid.to_string());
        let looking = tokio::spawn(async move {
            while let Ok(bytes) = usage::proportional_bytes(&pid) {
                seen.fetch_max(bytes, Ordering::Relaxed);
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { most, looking }
    }

    /// The most that was seen so far, in MB (10^6 bytes).
    pub fn most(&self) -> f64 {
        self.most.load(Ordering::Relaxed) as f64 / 1e6
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

//! What happened in a race, and what should not have.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Violations that are told in full.
const TOLD: usize = 20;

/// Counts what everybody did.
#[derive(Default)]
pub struct Counts {
    fixes: AtomicU64,
    withdrawals: AtomicU64,
    scrapes: AtomicU64,
    write_backs: AtomicU64,
    evictions: AtomicU64,
    looks: AtomicU64,
    violations: AtomicU64,
    told: Mutex<Vec<String>>,
}

impl Counts {
    /// Somebody has fixed something.
    pub fn fixes(&self) {
        self.fixes.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody has withdrawn a fix.
    pub fn withdrawals(&self) {
        self.withdrawals.fetch_add(1, Ordering::Relaxed);
    }

    /// An advertiser has listed its images.
    pub fn scrapes(&self) {
        self.scrapes.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker has written an outcome.
    pub fn write_backs(&self) {
        self.write_backs.fetch_add(1, Ordering::Relaxed);
    }

    /// The cache has lost an image.
    pub fn evictions(&self) {
        self.evictions.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody has looked at a value; what is wrong, if it is.
    pub fn looked_at(&self, right: bool, wrong: impl FnOnce() -> String) {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if !right {
            self.violations.fetch_add(1, Ordering::Relaxed);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < TOLD {
                told.push(wrong());
            }
        }
    }

    /// All that was done; looks are none of it.
    pub fn operations(&self) -> u64 {
        let all = [&self.fixes, &self.withdrawals, &self.scrapes, &self.write_backs, &self.evictions];
        all.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Values that should not have been there.
    pub fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    /// The first of them.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Prints everything.
    pub(super) fn print(&self, seed: u64, took: Duration) -> std::io::Result<()> {
        let mut out = std::io::stdout();
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        writeln!(
            out,
            "seed {seed}: {} operations in {:.0} s ({} fixes, {} withdrawals, {} scrapes, {} outcomes written back, \
             {} evictions), {} values looked at, {} violations",
            self.operations(),
            took.as_secs_f64(),
            count(&self.fixes),
            count(&self.withdrawals),
            count(&self.scrapes),
            count(&self.write_backs),
            count(&self.evictions),
            count(&self.looks),
            self.violations()
        )?;
        self.told().iter().try_for_each(|violation| writeln!(out, "  {violation}"))
    }
}

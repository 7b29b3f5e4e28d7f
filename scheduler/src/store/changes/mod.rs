//! Pictures that change one at a time: from `image_changes` into micro-scrapes, and out again.

mod gather;
mod note;
mod removed;
mod tell;

pub use gather::{Gathered, gather, mark_published, unpublished};
pub use note::note;
pub(super) use removed::{fixes_of_removed, mark_removed_since};
pub use tell::{TOLD_AT_ONCE, Tagged, Told, mark_told, untold};

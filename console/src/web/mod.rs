//! What all answers have in common: problems, cursors, headers, the reading of requests.

pub mod cursor;
pub mod extract;
pub mod headers;
pub mod problem;

pub use cursor::{Cursor, Listing};
pub use extract::{Body, Params, Path, bytes, wants_page};
pub use problem::{Kind, Problem};

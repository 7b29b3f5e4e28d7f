//! The questions to the database, one file for each.

pub mod audit;
pub mod cards;
pub mod conflicts;
pub mod fixes;
pub mod history;
pub mod images;
pub mod inventory;
pub mod model_sets;
pub mod outbox;
pub mod pictures;
pub mod scrapes;
pub mod sessions;
pub mod story;
pub mod tokens;
pub mod version;

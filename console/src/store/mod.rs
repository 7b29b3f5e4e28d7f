//! The questions to the database, one file for each.

pub mod scrapes;

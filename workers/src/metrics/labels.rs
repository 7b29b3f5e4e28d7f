//! The words that label series, and what keeps them few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// A stage of the pipeline; the label `stage`.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Asking the second cache tier for images.
    Lookup,
    /// Bringing the bytes.
    Download,
    /// Asking the second cache tier for bytes.
    Match,
    /// From bytes to pixels, on a decode thread.
    Decode,
    /// Running the models, on a model thread.
    Infer,
    /// Writing outcomes to the database.
    Record,
}

impl Stage {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Download => "download",
            Self::Match => "match",
            Self::Decode => "decode",
            Self::Infer => "infer",
            Self::Record => "record",
        }
    }
}

/// Where an image's tags were found; the label `tier`.
#[derive(Clone, Copy, Debug)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Postgres.
    Database,
    /// Not at all: the image has to be downloaded.
    Nowhere,
}

impl Tier {
    pub(super) const ALL: [Self; 3] = [Self::Memory, Self::Database, Self::Nowhere];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Database => "database",
            Self::Nowhere => "nowhere",
        }
    }
}

/// What came of looking at a known image again; the label `result`.
#[derive(Clone, Copy, Debug)]
pub enum Look {
    /// Its server said that nothing has changed.
    Unchanged,
    /// It was sent again, with the same bytes.
    SameBytes,
    /// It is another picture now.
    Changed,
    /// It could not be had or read: what is known of it stays.
    Failed,
}

impl Look {
    pub(super) const ALL: [Self; 4] = [Self::Unchanged, Self::SameBytes, Self::Changed, Self::Failed];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::SameBytes => "same_bytes",
            Self::Changed => "changed",
            Self::Failed => "failed",
        }
    }
}

/// Values of one attribute that have a series of their own; all others share one.
const VALUES: usize = 30;

/// The values of tags as labels. A set may know thousands of categories: of `a/b/c` only `a` is told, and of
/// those no more than [`VALUES`] for each attribute.
#[derive(Debug, Default)]
pub(super) struct TagValues {
    seen: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl TagValues {
    /// The label of `value`.
    pub(super) fn label<'a>(&self, attribute: &str, value: Option<&'a str>) -> &'a str {
        let Some(value) = value else { return "null" };
        let top = value.split('/').next().unwrap_or(value);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(attribute) {
            seen.insert(attribute.to_owned(), BTreeSet::new());
        }
        let Some(values) = seen.get_mut(attribute) else { return "other" };
        if values.contains(top) {
            return top;
        }
        if values.len() == VALUES {
            return "other";
        }
        values.insert(top.to_owned());
        top
    }

    /// Another set may have others.
    pub(super) fn forget(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_with_thousands_of_categories_has_no_more_than_a_few_series() {
        let values = TagValues::default();
        let labels: BTreeSet<String> = (0..5000)
            .map(|n| values.label("category", Some(&format!("Goods-{}/Phones-{n}", n % 100))).to_owned())
            .collect();
        assert_eq!(labels.len(), VALUES + 1);
        assert!(labels.contains("Goods-0") && labels.contains("other"));
    }

    #[test]
    fn null_is_a_value_and_attributes_do_not_share_theirs() {
        let values = TagValues::default();
        assert_eq!(values.label("color", None), "null");
        for n in 0..100 {
            values.label("category", Some(&format!("c{n}")));
        }
        assert_eq!(values.label("color", Some("blue")), "blue");
        assert_eq!(values.label("category", Some("c99")), "other");
        values.forget();
        assert_eq!(values.label("category", Some("c99")), "c99");
    }
}

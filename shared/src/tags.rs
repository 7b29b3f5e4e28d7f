//! Tags: what is said of an image, attribute by attribute.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An attribute and its value, for every attribute that somebody spoke about.
///
/// `None` is a value too (`color = null`: looked at, no answer), unlike an
/// attribute that is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Tags(pub BTreeMap<String, Option<String>>);

impl Tags {
    /// The value of `attribute`; `None` where it is null or absent.
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.0.get(attribute)?.as_deref()
    }

    /// With `stronger` where that speaks about an attribute.
    #[must_use]
    pub fn under(mut self, stronger: &Self) -> Self {
        self.0.extend(stronger.0.clone());
        self
    }

    /// Reads the legacy value `N/A` as null.
    pub fn normalised(mut self) -> Self {
        for value in self.0.values_mut() {
            if value.as_deref() == Some("N/A") {
                *value = None;
            }
        }
        self
    }
}

impl<A: Into<String>, V: Into<String>> FromIterator<(A, Option<V>)> for Tags {
    fn from_iter<I: IntoIterator<Item = (A, Option<V>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(a, v)| (a.into(), v.map(Into::into))).collect())
    }
}

/// How sure the model was of its likeliest class, 0 to 1, by attribute.
///
/// An attribute whose value is null for lack of certainty has its score here
/// all the same; one that no stage looked at is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores(pub BTreeMap<String, f32>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legacy_value_reads_as_null() {
        let tags: Tags = [("color", Some("N/A")), ("image_type", Some("Dealer"))].into_iter().collect();
        assert_eq!(
            serde_json::to_string(&tags.normalised()).unwrap(),
            r#"{"color":null,"image_type":"Dealer"}"#
        );
    }
}

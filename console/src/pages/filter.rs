//! The filter of the grid.

use serde::Deserialize;
use tagfleet_shared::model_sets::AttributeValues;

use crate::api::images;
use crate::store::images::Filter;
use crate::web::{Cursor, Kind, Problem};

/// Pictures of the first piece, which somebody waits for.
const FIRST: u32 = 120;
/// Pictures of each that is loaded later, long before it is seen.
const MORE: u32 = 400;

/// Which pictures: the fields of the filter as a browser sends them, empty where nothing is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    pub(super) advertiser: String,
    pub(super) scrape: String,
    pub(super) attribute: String,
    pub(super) value: String,
    pub(super) score_below: String,
    pub(super) outcome: String,
    pub(super) fixed: String,
    pub(super) text: String,
    pub(super) cursor: String,
}

impl Wanted {
    /// The same as a query, going on at `cursor`.
    pub fn query(&self, cursor: &str) -> String {
        let fields = [
            ("advertiser", &*self.advertiser),
            ("scrape", &self.scrape),
            ("attribute", &self.attribute),
            ("value", &self.value),
            ("score_below", &self.score_below),
            ("outcome", &self.outcome),
            ("fixed", &self.fixed),
            ("text", &self.text),
            ("cursor", cursor),
        ];
        let said = fields.into_iter().filter(|(_, text)| !text.is_empty());
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish()
    }

    /// Says which attribute the value is of, where the person did not and only one of `attributes` has it.
    pub fn complete(&mut self, attributes: &[AttributeValues]) {
        if self.attribute.is_empty() && !self.value.is_empty() {
            let mut having = attributes.iter().filter(|attribute| attribute.allows(Some(self.value.trim())));
            if let (Some(only), None) = (having.next(), having.next()) {
                self.attribute.clone_from(&only.name);
            }
        }
    }

    /// What is asked for.
    ///
    /// # Errors
    ///
    /// If a field cannot be read, or does not go with the others.
    pub fn read(self) -> Result<(Filter, Cursor), Problem> {
        let wrong = |field: &str| Problem::new(Kind::BadRequest, format!("{field} cannot be read"));
        let score_below = match &*self.score_below {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("score below"))?),
        };
        let fixed = match &*self.fixed {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("fixed"))?),
        };
        images::Wanted {
            scrape: Some(self.scrape),
            advertiser: Some(self.advertiser),
            attribute: Some(self.attribute),
            value: Some(self.value),
            score_below,
            outcome: Some(self.outcome),
            fixed,
            text: Some(self.text),
            limit: Some(if self.cursor.is_empty() { FIRST } else { MORE }),
            cursor: Some(self.cursor),
        }
        .read()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_was_said_and_no_more() {
        let wanted =
            Wanted { text: "a b&c".into(), fixed: "true".into(), cursor: "old".into(), ..Wanted::default() };
        assert_eq!(wanted.query("new"), "fixed=true&text=a+b%26c&cursor=new");
        assert_eq!(Wanted::default().query(""), "");
    }

    #[test]
    fn an_empty_field_says_nothing() {
        let (filter, _) = Wanted::default().read().unwrap();
        assert_eq!(format!("{filter:?}"), format!("{:?}", Filter::default()));
        let wanted = Wanted { score_below: "much".into(), ..Wanted::default() };
        assert_eq!(wanted.read().unwrap_err().kind(), Kind::BadRequest);
    }

    #[test]
    fn a_value_that_only_one_attribute_has_says_which() {
        let attribute = |name: &str, classes: &[&str]| AttributeValues {
            name: name.into(),
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            default: None,
        };
        let attributes = [attribute("color", &["red", "other"]), attribute("kind", &["Stock", "other"])];
        let completed = |value: &str| {
            let mut wanted = Wanted { value: value.into(), ..Wanted::default() };
            wanted.complete(&attributes);
            wanted.attribute
        };
        assert_eq!(["red", "Stock", "other", "blue", ""].map(completed), ["color", "kind", "", "", ""]);
    }
}

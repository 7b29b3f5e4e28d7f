//! What the workers tell of their model sets, for those who correct them.

use serde::{Deserialize, Serialize};

/// One attribute of a model set, and the values that it can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeValues {
    /// The key in [`Tags`](crate::tags::Tags).
    pub name: String,
    /// The values, in the order of the manifest; `a/b` is a kind of `a`.
    pub classes: Vec<String>,
    /// The value of an image of which the models could say nothing.
    pub default: Option<String>,
}

impl AttributeValues {
    /// Whether a person may say this: a class, or one that classes lie within; null where the
    /// machine could say it too.
    pub fn allows(&self, value: Option<&str>) -> bool {
        match value {
            None => self.default.is_none(),
            Some(value) => self.classes.iter().any(|class| {
                class.strip_prefix(value).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }),
        }
    }

    /// The values to choose from, the likeliest to be wanted first: what the machine said, if a person
    /// may say it too, else the default, else the first class; then the others in the order of the
    /// manifest, and null where it is allowed.
    pub fn menu(&self, machine: Option<&str>) -> Vec<Option<String>> {
        let machine = machine.filter(|value| self.allows(Some(value)));
        let first = machine.or(self.default.as_deref()).or(self.classes.first().map(String::as_str));
        let others = self.classes.iter().map(String::as_str).filter(|class| Some(*class) != first);
        let values = first.into_iter().chain(others).map(|value| Some(value.to_owned()));
        values.chain(self.default.is_none().then_some(None)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, classes: &[&str], default: Option<&str>) -> AttributeValues {
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        AttributeValues { name: name.into(), classes, default: default.map(str::to_owned) }
    }

    fn menu(attribute: &AttributeValues, machine: Option<&str>) -> Vec<String> {
        attribute.menu(machine).into_iter().map(|value| value.unwrap_or("null".into())).collect()
    }

    #[test]
    fn the_menu_of_colour_offers_black_first_where_the_machine_said_null() {
        let color = attribute("color", &["black", "white", "red"], None);
        assert_eq!(menu(&color, None), ["black", "white", "red", "null"]);
        assert_eq!(menu(&color, Some("red")), ["red", "black", "white", "null"]);
    }

    #[test]
    fn the_menu_of_the_image_type_starts_at_what_the_machine_said_or_placeholder() {
        let kind = attribute("image_type", &["Dealer", "Stock", "Placeholder"], Some("Placeholder"));
        assert_eq!(menu(&kind, None), ["Placeholder", "Dealer", "Stock"]);
        assert_eq!(menu(&kind, Some("Stock")), ["Stock", "Dealer", "Placeholder"]);
    }

    /// A value that only an older set could say cannot be chosen.
    #[test]
    fn a_menu_has_nothing_that_a_person_may_not_say() {
        let kind = attribute("image_type", &["Dealer", "Stock"], Some("Stock"));
        assert_eq!(menu(&kind, Some("Sketch")), ["Stock", "Dealer"]);
    }

    #[test]
    fn a_person_may_say_what_the_models_could_say() {
        let room = attribute("room", &["indoor/kitchen", "indoor/bath", "outdoor"], None);
        for value in ["indoor/kitchen", "indoor", "outdoor"] {
            assert!(room.allows(Some(value)), "{value}");
        }
        for value in ["in", "indoor/", "kitchen", "", "Outdoor"] {
            assert!(!room.allows(Some(value)), "{value}");
        }
        assert!(room.allows(None));
        assert!(!attribute("t", &["a"], Some("a")).allows(None));
    }
}

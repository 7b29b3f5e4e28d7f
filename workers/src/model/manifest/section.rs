//! Reads a section of a manifest and remembers what was wrong with it.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// A section that is being read. What is taken out of it is known; what is left
/// in the end was misspelt.
pub(super) struct Section {
    /// Its place, for messages: `stage "vehicle"`.
    pub(super) place: String,
    table: Table,
    problems: Vec<String>,
}

impl Section {
    pub(super) fn new(place: impl Into<String>, table: Table) -> Self {
        Self { place: place.into(), table, problems: Vec::new() }
    }

    /// A sub-section of a list is called by its name, or else by its number.
    fn called(&self, kind: &str, number: usize, table: &Table) -> String {
        let parent = if self.place.is_empty() { String::new() } else { format!("{}, ", self.place) };
        match table.get("name").and_then(Value::as_str) {
            Some(name) => format!("{parent}{kind} {name:?}"),
            None => format!("{parent}{kind} {number}"),
        }
    }

    /// Takes a key that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.problem(format_args!("{key} is missing"));
        }
        self.optional(key)
    }

    /// Takes a key that may be there.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        match self.table.remove(key)?.try_into() {
            Ok(value) => Some(value),
            Err(error) => {
                // Without the line that shows the place in a text that we no longer have.
                self.problem(format_args!("{key}: {}", error.message()));
                None
            }
        }
    }

    /// Takes the sub-sections `[[key]]`, of which there must be one at least.
    pub(super) fn list(&mut self, key: &str, kind: &str) -> Vec<Section> {
        match self.table.get(key) {
            None => self.problem(format_args!("{key} is missing")),
            Some(Value::Array(tables)) if tables.is_empty() => self.problem(format_args!("{key} is empty")),
            Some(_) => {}
        }
        self.optional_list(key, kind)
    }

    /// Takes the sub-sections `[[key]]`, if any.
    pub(super) fn optional_list(&mut self, key: &str, kind: &str) -> Vec<Section> {
        let tables: Option<Vec<Table>> = self.optional(key);
        let numbered = tables.unwrap_or_default().into_iter().enumerate();
        numbered.map(|(i, table)| Section::new(self.called(kind, i + 1, &table), table)).collect()
    }

    /// Takes the sub-section `[key]`.
    pub(super) fn section(&mut self, key: &str) -> Option<Section> {
        let table = self.required(key)?;
        let place = if self.place.is_empty() { key.into() } else { format!("{}, {key}", self.place) };
        Some(Section::new(place, table))
    }

    /// Notes what is wrong, with the place.
    pub(super) fn problem(&mut self, what: impl std::fmt::Display) {
        let place = &self.place;
        self.problems.push(if place.is_empty() { what.to_string() } else { format!("{place}: {what}") });
    }

    /// Hands over the problems, the keys that nobody knew among them.
    pub(super) fn finish(mut self, problems: &mut Vec<String>) {
        for key in std::mem::take(&mut self.table).keys() {
            self.problem(format_args!("unknown key {key:?}"));
        }
        problems.append(&mut self.problems);
    }
}

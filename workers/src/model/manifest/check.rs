//! What a manifest says in one place about another.

use std::collections::{BTreeMap, BTreeSet};

use super::section::Section;
use super::{Condition, Stage};
use crate::model::hierarchy::{has_gap, is_within};

/// Checks the classes of one attribute, and its default.
pub(super) fn classes(classes: &[String], default: Option<&str>, section: &mut Section) {
    if classes.is_empty() {
        section.problem("classes is empty");
    }
    let mut seen = BTreeSet::new();
    for class in classes {
        if !seen.insert(class) {
            section.problem(format_args!("class {class:?} is there twice"));
        }
        if has_gap(class) {
            section.problem(format_args!("class {class:?} has a part without a name"));
        }
    }
    if let Some(default) = default
        && !classes.iter().any(|class| is_within(class, default))
    {
        section.problem(format_args!("default {default:?} is not one of the classes"));
    }
}

/// Checks the scores that are for one value alone.
pub(super) fn min_scores(min_scores: &BTreeMap<String, f32>, classes: &[String], section: &mut Section) {
    for (value, score) in min_scores {
        if !classes.iter().any(|class| is_within(class, value)) {
            section.problem(format_args!("min_scores: {value:?} is not one of the classes"));
        }
        if !(0.0..=1.0).contains(score) {
            section.problem(format_args!("min_scores: that of {value:?} must be from 0 to 1"));
        }
    }
}

/// Checks names, conditions against what was decided before them, and what the
/// manifest says elsewhere of the finished tags (`about_tags`, each with its place).
///
/// Where not all stages could be read (`complete`), an attribute that nobody
/// knows may be one of theirs.
pub(super) fn references<'a>(
    stages: impl Iterator<Item = &'a Stage> + Clone,
    complete: bool,
    about_tags: &[(String, Condition)],
    problems: &mut Vec<String>,
) {
    let all = stages.clone().flat_map(|stage| &stage.attributes).map(|attribute| attribute.name.as_str());
    let mut decided = Decided { so_far: BTreeMap::new(), all: all.collect(), complete, problems };
    let mut stage_names = BTreeSet::new();
    let mut with_embedding: Option<&str> = None;
    for stage in stages {
        let place = format!("stage {:?}", stage.name);
        if !stage_names.insert(&stage.name) {
            decided.problems.push(format!("{place}: another stage has the same name"));
        }
        if stage.embedding.is_some() {
            match with_embedding {
                Some(first) => decided.problems.push(format!(
                    "{place}: embedding: stage {first:?} has one already, and a set has one at most"
                )),
                None => with_embedding = Some(&stage.name),
            }
        }
        decided.check(stage.runs_when.as_ref(), &format!("{place}: runs_when"));
        for attribute in &stage.attributes {
            let place = format!("{place}, attribute {:?}", attribute.name);
            decided.check(attribute.applies_when.as_ref(), &format!("{place}: applies_when"));
            if decided.so_far.insert(&attribute.name, &attribute.classes).is_some() {
                decided.problems.push(format!("{place}: another attribute has the same name"));
            }
        }
    }
    for (place, condition) in about_tags {
        decided.check(Some(condition), place);
    }
}

/// The attributes that a condition can ask for.
struct Decided<'a> {
    /// With their classes.
    so_far: BTreeMap<&'a str, &'a [String]>,
    /// Those of later stages as well.
    all: BTreeSet<&'a str>,
    complete: bool,
    problems: &'a mut Vec<String>,
}

impl Decided<'_> {
    fn check(&mut self, condition: Option<&Condition>, place: &str) {
        let Some(Condition(wanted)) = condition else { return };
        if wanted.is_empty() {
            self.problems.push(format!("{place} names no attribute"));
        }
        for (attribute, values) in wanted {
            if let Some(classes) = self.so_far.get(attribute.as_str()) {
                if values.is_empty() {
                    self.problems.push(format!("{place} names no class of {attribute:?}"));
                }
                for value in
                    values.iter().filter(|value| !classes.iter().any(|class| is_within(class, value)))
                {
                    self.problems
                        .push(format!("{place} names {value:?}, which is not a class of {attribute:?}"));
                }
            } else if self.all.contains(attribute.as_str()) {
                self.problems.push(format!("{place} names {attribute:?}, which is decided later"));
            } else if self.complete {
                self.problems.push(format!("{place} names {attribute:?}, which no stage decides"));
            }
        }
    }
}

//! From the text of a manifest, and the files beside it, to a model set.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::section::Section;
use super::{Attribute, Condition, Example, FeedExclude, Input, ModelSet, Stage, check};
use crate::decode::InputSize;

/// The name of the file in a model set's folder.
const MANIFEST: &str = "manifest.toml";
/// The name of the file that says what the set can and cannot do.
const CARD: &str = "card.md";
/// More of it than this is not for people.
const MAX_CARD_BYTES: usize = 64 << 10;

/// Reads as much of the set in `dir` as makes sense, and what does not.
///
/// The set holds the stages that could be read in full and whose file is there,
/// so that their graphs can be checked as well.
pub(in crate::model) fn read(dir: &Path) -> (ModelSet, Vec<String>) {
    match fs::read_to_string(dir.join(MANIFEST)) {
        Ok(text) => read_text(&text, dir),
        Err(error) => (ModelSet::default(), vec![format!("{MANIFEST}: {error}")]),
    }
}

/// The same of a manifest that was read already.
pub(in crate::model) fn read_text(text: &str, dir: &Path) -> (ModelSet, Vec<String>) {
    let mut manifest = match text.parse() {
        Ok(table) => Section::new("", table),
        Err(error) => return (ModelSet::default(), vec![format!("{MANIFEST}: {error}")]),
    };
    let mut problems = Vec::new();
    let name: Option<String> = manifest.required("name");
    if name.as_deref() == Some("") {
        manifest.problem("name is empty");
    }
    let description = manifest.optional("description");
    let sections = manifest.list("stages", "stage");
    let examples = manifest.optional_list("selftest", "selftest");
    let feed_exclude: Option<FeedExclude> = manifest.optional("feed_exclude");
    manifest.finish(&mut problems);

    let listed = sections.len();
    let mut stages = Vec::new();
    for section in sections {
        stages.extend(read_stage(section, dir, &mut problems));
    }
    let examples: Vec<_> =
        examples.into_iter().filter_map(|section| read_example(section, dir, &mut problems)).collect();
    let about_tags = examples.iter().map(|example| {
        let values = example.tags.iter().map(|(name, value)| (name.clone(), vec![value.clone()]));
        (format!("selftest {:?}: tags", example.file), Condition(values.collect()))
    });
    let feed_rule = feed_exclude.clone().map(|rule| ("feed_exclude".to_owned(), Condition(rule)));
    let about_tags: Vec<_> = feed_rule.into_iter().chain(about_tags).collect();
    let complete = stages.len() == listed;
    check::references(stages.iter().map(|(stage, _)| stage), complete, &about_tags, &mut problems);

    let mut digest = Sha256::new_with_prefix(text);
    let with_file = stages.into_iter().filter_map(|(stage, file)| {
        digest.update(file?);
        Some(stage)
    });
    let stages = with_file.collect();
    for example in &examples {
        digest.update(Sha256::digest(&example.picture));
    }
    let digest = hex(&digest.finalize())[..32].to_owned();
    let (name, feed_exclude) = (name.unwrap_or_default(), feed_exclude.unwrap_or_default());
    let card = read_card(dir);
    (ModelSet { name, description, card, digest, stages, examples, feed_exclude }, problems)
}

/// The card, where there is one: a set works without, and no answer depends on it.
fn read_card(dir: &Path) -> Option<String> {
    let mut card = fs::read_to_string(dir.join(CARD)).ok()?.replace('\0', "");
    card.truncate(card.floor_char_boundary(MAX_CARD_BYTES));
    Some(card)
}

/// A stage, and the SHA-256 of its file where that is what it should be.
fn read_stage(
    mut section: Section,
    dir: &Path,
    problems: &mut Vec<String>,
) -> Option<(Stage, Option<Vec<u8>>)> {
    let name = section.required("name");
    let file: Option<String> = section.required("file");
    let sha256: Option<String> = section.required("sha256");
    let input = section.section("input");
    let runs_when = section.optional("runs_when").map(Condition);
    let attributes = section.list("attributes", "attribute");
    let embedding = section.optional("embedding");
    let file = file.map(|file| dir.join(file));
    let found = match (&file, sha256) {
        (Some(file), Some(sha256)) => {
            read_file(file, &sha256).map_err(|problem| section.problem(problem)).ok()
        }
        _ => None,
    };
    section.finish(problems);
    let input = input.and_then(|input| read_input(input, problems));
    // All of them, though one may have failed: every problem is wanted.
    let attributes: Vec<_> =
        attributes.into_iter().map(|attribute| read_attribute(attribute, problems)).collect();

    let attributes = attributes.into_iter().collect::<Option<_>>()?;
    Some((Stage { name: name?, file: file?, input: input?, runs_when, attributes, embedding }, found))
}

/// The SHA-256 of `file`, which shall be `sha256`.
fn read_file(file: &Path, sha256: &str) -> Result<Vec<u8>, String> {
    let bytes = fs::read(file).map_err(|error| format!("file {}: {error}", file.display()))?;
    let found = Sha256::digest(bytes);
    if hex(&found) == sha256.to_lowercase() {
        Ok(found.to_vec())
    } else {
        Err(format!("sha256 of {} is {}, not {sha256}", file.display(), hex(&found)))
    }
}

/// A picture of the set's test, where its file is there.
fn read_example(mut section: Section, dir: &Path, problems: &mut Vec<String>) -> Option<Example> {
    let file: Option<String> = section.required("file");
    let tags = section.required("tags");
    let picture = file.as_ref().and_then(|file| {
        let unreadable = |error| section.problem(format_args!("file {}: {error}", dir.join(file).display()));
        fs::read(dir.join(file)).map(Bytes::from).map_err(unreadable).ok()
    });
    section.finish(problems);
    Some(Example { file: file?, picture: picture?, tags: tags? })
}

fn read_input(mut section: Section, problems: &mut Vec<String>) -> Option<Input> {
    let name = section.required("name");
    let height: Option<u16> = section.required("height");
    let width: Option<u16> = section.required("width");
    if height == Some(0) || width == Some(0) {
        section.problem("height and width must be at least 1");
    }
    section.finish(problems);
    Some(Input { name: name?, size: InputSize { height: height?.into(), width: width?.into() } })
}

fn read_attribute(mut section: Section, problems: &mut Vec<String>) -> Option<Attribute> {
    let name = section.required("name");
    let output = section.required("output");
    let classes: Option<Vec<String>> = section.required("classes");
    let default: Option<String> = section.optional("default");
    let min_score: Option<f32> = section.optional("min_score");
    let min_scores: BTreeMap<String, f32> = section.optional("min_scores").unwrap_or_default();
    let applies_when = section.optional("applies_when").map(Condition);
    if let Some(classes) = &classes {
        check::classes(classes, default.as_deref(), &mut section);
        check::min_scores(&min_scores, classes, &mut section);
    }
    if min_score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
        section.problem("min_score must be from 0 to 1");
    }
    section.finish(problems);
    Some(Attribute {
        name: name?,
        output: output?,
        classes: classes?,
        default,
        min_score,
        min_scores,
        applies_when,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

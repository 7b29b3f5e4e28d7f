//! Manifests, right and wrong.

use std::fs;
use std::path::Path;

use super::sets::{Folder, MANIFEST};
use crate::decode::InputSize;
use crate::model::ModelSet;

#[test]
fn a_model_set_is_what_its_manifest_says() {
    let folder = Folder::new(MANIFEST);

    let set = folder.set();

    assert_eq!((set.name(), set.description()), ("colours", Some("says what is plain to see")));
    let attributes: Vec<_> = set.attributes().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(attributes, ["channel", "lightness", "shade", "broken"]);
    let size = |pixels| InputSize { height: pixels, width: pixels };
    assert_eq!(set.input_sizes(), [size(4), size(8)]);
    assert_eq!(
        serde_json::to_string(&set.defaults()).unwrap(),
        r#"{"broken":"two","channel":"green","lightness":null,"shade":null}"#
    );
}

/// Cached answers belong to a digest: another set must have another one.
#[test]
fn the_digest_tells_one_set_from_another() {
    let digest = |manifest: &str| Folder::new(manifest).set().digest().to_owned();

    assert_eq!(digest(MANIFEST), digest(MANIFEST));
    assert_ne!(digest(MANIFEST), digest(&MANIFEST.replace("min_score = 0.6", "min_score = 0.7")));
    let hex = digest(MANIFEST);
    assert!(hex.len() == 32 && hex.chars().all(|digit| digit.is_ascii_hexdigit()), "{hex}");
}

#[test]
fn every_problem_is_in_one_message() {
    let manifest = MANIFEST
        .replace(r#"name = "colours""#, r#"nam = "colours""#)
        .replace("SHA256(first.onnx)", "00ff")
        .replace("height = 8, width = 8", "height = 0, width = 8, depth = 3")
        .replace(r#"default = "green""#, r#"default = "grün""#)
        .replace("min_score = 0.6", "min_score = 1.6\nmin_scores = { \"grün\" = 0.5, blue = -1 }")
        .replace(r#"["dark", "light"]"#, r#"["dark", "dark"]"#)
        .replace("second.onnx", "third.onnx")
        .replace("runs_when", "run_when")
        .replace(r#"["deep", "pale"]"#, r#""deep""#)
        .replace(r#"["one", "two"]"#, "[]");
    let problems = Folder::new(&manifest).problems();
    assert_eq!(
        problems,
        [
            r#"name is missing"#,
            r#"unknown key "nam""#,
            r#"stage "first": sha256 of first.onnx is FIRST, not 00ff"#,
            r#"stage "first", input: height and width must be at least 1"#,
            r#"stage "first", input: unknown key "depth""#,
            r#"stage "first", attribute "channel": default "grün" is not one of the classes"#,
            r#"stage "first", attribute "channel": min_scores: that of "blue" must be from 0 to 1"#,
            r#"stage "first", attribute "channel": min_scores: "grün" is not one of the classes"#,
            r#"stage "first", attribute "channel": min_score must be from 0 to 1"#,
            r#"stage "first", attribute "lightness": class "dark" is there twice"#,
            r#"stage "second": file third.onnx: No such file or directory (os error 2)"#,
            r#"stage "second": unknown key "run_when""#,
            r#"stage "second", attribute "shade": classes: invalid type: string "deep", expected a sequence"#,
            r#"stage "second", attribute "broken": classes is empty"#,
            r#"stage "second", attribute "broken": default "two" is not one of the classes"#,
        ]
        .map(|line| line.replace("FIRST", "01983002ac6d7076d94da99e7cf3e14513d4eae1ed24647cfc017a2b1debb6ea"))
    );
}

#[test]
fn a_condition_may_name_what_is_decided_before_it() {
    let manifest = MANIFEST
        .replace(r#"channel = ["red", "blue"]"#, r#"shade = ["deep"], lightness = ["dark"]"#)
        .replace(
            r#"runs_when = { channel = ["red"] }"#,
            r#"runs_when = { channel = ["pink"], hue = ["red"] }"#,
        );
    assert_eq!(
        Folder::new(&manifest).problems(),
        [
            r#"stage "first", attribute "lightness": applies_when names "lightness", which is decided later"#,
            r#"stage "first", attribute "lightness": applies_when names "shade", which is decided later"#,
            r#"stage "second": runs_when names "pink", which is not a class of "channel""#,
            r#"stage "second": runs_when names "hue", which no stage decides"#,
        ]
    );
    let manifest = MANIFEST.replace(r#"{ channel = ["red"] }"#, "{ channel = [] }");
    assert_eq!(
        Folder::new(&manifest).problems(),
        [r#"stage "second": runs_when names no class of "channel""#]
    );
}

/// A value stands for all that lies within it.
#[test]
fn conditions_defaults_and_the_feed_rule_may_name_what_is_above_a_class() {
    let above = MANIFEST
        .replace(r#"["red", "green", "blue"]"#, r#"["warm/red", "cold/green", "cold/blue"]"#)
        .replace(r#"default = "green""#, r#"default = "cold""#)
        .replace(r#"["red", "blue"]"#, r#"["warm", "cold/blue"]"#)
        .replace(r#"channel = ["red"]"#, r#"channel = ["warm"]"#);
    let set =
        Folder::new(&format!("feed_exclude = {{ channel = [\"cold\"], shade = [\"pale\"] }}\n{above}")).set();
    assert_eq!(
        serde_json::to_string(set.feed_exclude()).unwrap(),
        r#"{"channel":["cold"],"shade":["pale"]}"#
    );

    let wrong = above.replace(r#"["warm"] }"#, r#"["war"] }"#).replace("cold/green", "cold//green");
    assert_eq!(
        Folder::new(&format!("feed_exclude = {{ channel = [\"hot\"], room = [\"bathroom\"] }}\n{wrong}"))
            .problems(),
        [
            r#"stage "first", attribute "channel": class "cold//green" has a part without a name"#,
            r#"stage "second": runs_when names "war", which is not a class of "channel""#,
            r#"feed_exclude names "hot", which is not a class of "channel""#,
            r#"feed_exclude names "room", which no stage decides"#,
        ]
    );
}

#[test]
fn names_are_unique() {
    let manifest = MANIFEST
        .replace(r#"name = "second""#, r#"name = "first""#)
        .replace(r#"name = "shade""#, r#"name = "channel""#);
    assert_eq!(
        Folder::new(&manifest).problems(),
        [
            r#"stage "first": another stage has the same name"#,
            r#"stage "first", attribute "channel": another attribute has the same name"#,
        ]
    );
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_with_its_place() {
    let folder = Folder::new("name = ");
    assert!(folder.problems()[0].starts_with("manifest.toml: TOML parse error at line 1, column 8"));
    assert_eq!(Folder::new("name = ''\nstages = []").problems(), ["name is empty", "stages is empty"]);

    fs::remove_file(folder.path().join("manifest.toml")).unwrap();
    assert_eq!(folder.problems(), ["manifest.toml: No such file or directory (os error 2)"]);
    let error = ModelSet::load(Path::new("/nowhere")).unwrap_err().to_string();
    assert!(error.starts_with("the model set in /nowhere has 1 problem:\n  manifest.toml: "), "{error}");
}

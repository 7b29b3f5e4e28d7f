//! Loading: a set is tested with its own pictures before it answers.

use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::sets::{Folder, MANIFEST, loader};
use super::{BLUE, RED, problems};
use crate::model::Loader;

/// The set of [`MANIFEST`] with these entries, a red, a blue and a broken picture.
fn tested_with(examples: &str) -> Folder {
    let folder = Folder::new(&format!("{MANIFEST}\n{examples}"));
    for (name, rgb) in [("red.png", RED), ("blue.png", BLUE)] {
        image::RgbImage::from_pixel(8, 8, image::Rgb(rgb)).save(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("broken.png"), "no picture").unwrap();
    folder
}

#[test]
fn a_set_that_passes_its_test_has_a_model_for_each_session() {
    let folder = tested_with(
        r#"
        [[selftest]]
        file = "red.png"
        tags = { channel = "red", shade = "deep" }
        [[selftest]]
        file = "blue.png"
        tags = { channel = "blue" }"#,
    );
    let loaded = loader().load(folder.path()).unwrap();
    assert_eq!((loaded.set.name(), loaded.models.len()), ("colours", 2));
    let tested: Vec<_> = loaded.set.examples().iter().map(|example| example.file.as_str()).collect();
    assert_eq!(tested, ["red.png", "blue.png"]);
}

#[test]
fn a_set_that_fails_its_test_is_refused_with_picture_attribute_expected_and_found() {
    let folder = tested_with(
        r#"
        [[selftest]]
        file = "red.png"
        tags = { channel = "blue", lightness = "dark", shade = "pale" }
        [[selftest]]
        file = "broken.png"
        tags = { channel = "red" }
        [[selftest]]
        file = "blue.png"
        tags = { shade = "deep" }"#,
    );
    assert_eq!(
        problems(&folder),
        [
            r#"selftest "red.png": channel is red (0.9999), not blue"#,
            r#"selftest "red.png": shade is deep (0.9656), not pale"#,
            r#"selftest "broken.png": not an image"#,
            r#"selftest "blue.png": shade is null, not deep"#,
        ]
    );
}

#[test]
fn a_test_that_cannot_be_passed_is_a_problem_of_the_manifest() {
    let folder = tested_with(
        r#"
        [[selftest]]
        file = "red.png"
        tags = { channel = "pink", hue = "red" }
        [[selftest]]
        file = "green.png"
        tags = { channel = "green" }
        [[selftest]]
        file = "red.png"
        expected = { channel = "red" }"#,
    );
    assert_eq!(
        folder.problems(),
        [
            r#"selftest 2: file green.png: No such file or directory (os error 2)"#,
            r#"selftest 3: tags is missing"#,
            r#"selftest 3: unknown key "expected""#,
            r#"selftest "red.png": tags names "pink", which is not a class of "channel""#,
            r#"selftest "red.png": tags names "hue", which no stage decides"#,
        ]
    );
}

/// A set whose pictures changed was tested otherwise: it is another set.
#[test]
fn the_pictures_are_part_of_the_digest() {
    let folder = tested_with("[[selftest]]\nfile = \"red.png\"\ntags = { channel = \"red\" }");
    let before = folder.set().digest().to_owned();
    fs::copy(folder.path().join("blue.png"), folder.path().join("red.png")).unwrap();
    assert_ne!(folder.set().digest(), before);
}

#[test]
fn the_problems_of_manifest_and_graphs_are_told_together() {
    let manifest = MANIFEST
        .replace("default = \"green\"", "defualt = \"green\"")
        .replace(r#"["deep", "pale"]"#, r#"["deep"]"#);
    assert_eq!(
        problems(&Folder::new(&manifest)),
        [
            r#"stage "first", attribute "channel": unknown key "defualt""#,
            r#"stage "second": output "shade" is Tensor<f32>(N, 2), not Tensor<f32>(N, 1)"#,
        ]
    );
}

/// A first run is slow, and what cannot run shall not start: the set's own pictures
/// are asked about one by one, and here there are none.
#[test]
fn a_session_is_warmed_up_with_one_picture_and_with_a_full_batch() {
    const ALONE: &[u8] = include_bytes!("../testdata/alone.onnx");
    let hex: String = Sha256::digest(ALONE).iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = Folder::new(&MANIFEST.replace("SHA256(first.onnx)", &hex));
    fs::write(folder.path().join("first.onnx"), ALONE).unwrap();

    let found = problems(&folder);
    assert!(found.len() == 1 && found[0].starts_with("stage first: "), "{found:?}");
    let one_at_a_time = Loader { max_batch: 1, ..loader() };
    assert!(one_at_a_time.load(folder.path()).is_ok());
}

/// Whatever its condition: the stage that seldom runs shall not fail then.
#[test]
fn a_stage_with_a_condition_is_warmed_up_too() {
    let always = MANIFEST.replace("\napplies_when = { lightness = [\"light\"] }", "");
    assert_eq!(problems(&Folder::new(&always)), ["stage second: a logit in broken is not finite"]);
}

/// The set that is shipped, as a worker loads it.
#[test]
fn the_default_set_passes_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/default");
    let loaded = loader().load(&folder).unwrap();
    let expected: Vec<_> = loaded.set.examples().iter().map(|example| &example.tags["image_type"]).collect();
    for image_type in ["Dealer", "Stock", "Placeholder"] {
        assert!(expected.iter().any(|tag| *tag == image_type), "no {image_type} among {expected:?}");
    }
}

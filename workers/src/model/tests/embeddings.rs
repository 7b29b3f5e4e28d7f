//! Embeddings: asked for, or left out.

use super::sets::{Folder, MANIFEST, loader, open};
use super::{BLUE, GRAY, RED, picture, problems};
use crate::model::{Device, Embedding, Loader, Model, OnnxModel};

/// One stage on the mean colour of a picture, with an embedding.
const LIKENESS: &str = r#"
name = "likeness"

[[stages]]
name = "likeness"
file = "embedding.onnx"
sha256 = "SHA256(embedding.onnx)"
input = { name = "images", height = 8, width = 8 }
embedding = "vector"

[[stages.attributes]]
name = "likeliest"
output = "channel"
classes = ["red", "green", "blue"]
"#;

/// [`LIKENESS`] with another output as its embedding.
fn likeness(output: &str) -> Folder {
    Folder::new(&LIKENESS.replace("\"vector\"", &format!("{output:?}")))
}

fn embeddings(folder: &Folder, colours: &[[u8; 3]]) -> Vec<Option<Embedding>> {
    let set = folder.set();
    let mut model = OnnxModel::load_with_embedding(&set, &open(Device::Cpu).unwrap(), 8).unwrap();
    let pictures: Vec<_> = colours.iter().map(|rgb| picture(*rgb)).collect();
    let answers = model.run(&pictures.iter().collect::<Vec<_>>()).unwrap();
    answers.into_iter().map(|answer| answer.embedding).collect()
}

/// What `vector` says of a colour, worked out by hand.
fn vector(rgb: [u8; 3]) -> [f32; 4] {
    let [r, g, b] = rgb.map(|channel| f32::from(channel) / 255.0);
    [r, 200.0 * (r - g) + 0.1, -3.0 * b, 1e-6 * g + 1e-7]
}

/// Equal within half precision: half a unit in the last of 11 bits, or of what is subnormal.
fn assert_close(found: Option<&Embedding>, expected: &[f32]) {
    let found: Vec<f32> = found.unwrap().numbers().collect();
    let close = |(found, expected): (&f32, &f32)| {
        (found - expected).abs() <= 1.01 * (expected.abs() * 2_f32.powi(-11)).max(2_f32.powi(-25))
    };
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?} {expected:?}");
}

#[test]
fn every_picture_of_a_batch_has_its_own_embedding() {
    let colours = [RED, BLUE, GRAY, [3, 200, 41], RED];
    let found = embeddings(&likeness("vector"), &colours);
    assert_eq!(found.len(), colours.len());
    for (found, rgb) in found.iter().zip(colours) {
        assert_close(found.as_ref(), &vector(rgb));
    }
}

#[test]
fn an_output_in_float16_is_taken_as_it_is() {
    let found = embeddings(&likeness("short"), &[RED, BLUE]);
    assert_eq!(found, [Embedding::of_f32(&[1.0, 1.0]), Embedding::of_f32(&[1.0, -1.0])]);
}

#[test]
fn nothing_but_the_embedding_depends_on_whether_it_is_asked_for() {
    let folder = likeness("vector");
    let set = folder.set();
    let runtime = open(Device::Cpu).unwrap();
    let answer = |mut model: OnnxModel| model.run(&[&picture(RED)]).unwrap().remove(0);
    let without = answer(OnnxModel::load(&set, &runtime, 8).unwrap());
    let mut with = answer(OnnxModel::load_with_embedding(&set, &runtime, 8).unwrap());

    assert_eq!(without.embedding, None);
    assert!(with.embedding.take().is_some());
    assert_eq!(with, without);
    assert_eq!(
        serde_json::to_string(&without).unwrap(),
        r#"{"tags":{"likeliest":"red"},"scores":{"likeliest":0.9999}}"#
    );
}

/// A picture that the stage does not run for has none, whatever its batch mates have.
#[test]
fn a_stage_gives_embeddings_of_the_pictures_that_it_runs_for() {
    let stages = LIKENESS.split_once("\n[[stages]]").unwrap().1;
    let folder =
        Folder::new(&format!("{MANIFEST}\n[[stages]]{stages}").replace(
            "embedding = \"vector\"",
            "embedding = \"vector\"\nruns_when = { channel = [\"blue\"] }",
        ));
    let found = embeddings(&folder, &[RED, BLUE, GRAY, BLUE]);
    assert_eq!([&found[0], &found[2]], [&None, &None]);
    assert_close(found[1].as_ref(), &vector(BLUE));
    assert_close(found[3].as_ref(), &vector(BLUE));
}

/// 70001, which float16 cannot hold. Its batch mates have theirs.
#[test]
fn an_embedding_that_float16_cannot_hold_is_left_out() {
    assert_eq!(embeddings(&likeness("loud"), &[RED, BLUE]), [None, Embedding::of_f32(&[1.0])]);
}

/// Asked for or not: what is wrong with a set is told when it comes.
#[test]
fn an_embedding_that_the_graph_does_not_have_is_a_problem_with_stage_and_output() {
    assert_eq!(
        problems(&likeness("vectors")),
        [concat!(
            r#"stage "likeness": no output "vectors", "#,
            r#"but "channel", "vector", "short", "loud", "pooled""#
        )]
    );
    let wrong = likeness("pooled");
    assert_eq!(
        problems(&wrong),
        [concat!(
            r#"stage "likeness": output "pooled" is Tensor<f32>(N, 3, 1, 1), "#,
            r#"not Tensor<f32>(N, D) or Tensor<f16>(N, D)"#
        )]
    );
    assert_eq!(asking().load(wrong.path()).err().unwrap().problems, problems(&wrong));
}

#[test]
fn the_problems_of_embeddings_are_told_with_all_others() {
    let second = LIKENESS.split_once("\n[[stages]]").unwrap().1.replace("likeness", "second");
    let third = second.replace("second", "third").replace("\"vector\"", "[\"vector\"]");
    let manifest = format!("{LIKENESS}\n[[stages]]{second}\n[[stages]]{third}");
    assert_eq!(
        Folder::new(&manifest.replace("\"likeliest\"", "\"channel\"").replace("name = \"likeness\"\n\n", ""))
            .problems(),
        [
            r#"name is missing"#,
            r#"stage "third": embedding: invalid type: sequence, expected a string"#,
            r#"stage "second": embedding: stage "likeness" has one already, and a set has one at most"#,
            r#"stage "second", attribute "channel": another attribute has the same name"#,
            r#"stage "third", attribute "channel": another attribute has the same name"#,
        ]
    );
}

fn asking() -> Loader {
    Loader { embeddings: true, ..loader() }
}

#[test]
fn a_set_without_an_embedding_is_refused_where_embeddings_are_asked_for() {
    let error = asking().load(Folder::new(MANIFEST).path()).err().unwrap();
    assert_eq!(error.problems, ["embeddings are asked for, and no stage names one"]);
    assert!(asking().load(likeness("vector").path()).is_ok());
    assert!(loader().load(likeness("vector").path()).is_ok());
}

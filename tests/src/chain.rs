//! Changes to a model set that tests of several stages want.

use sha2::{Digest, Sha256};
use tagfleet_worker::decode::InputSize;

use crate::{ModelFolder, repository};

/// The input of the second stage: larger than that of the default set.
pub const CHAIN_SIZE: InputSize = InputSize { height: 448, width: 448 };

/// Adds a stage `tint` that says which of the primary colours a picture has most
/// of, and runs for images of type `Dealer` only.
pub fn with_second_stage(folder: &ModelFolder) {
    let InputSize { height, width } = CHAIN_SIZE;
    let stage = format!(
        r#"
[[stages]]
name = "tint"
file = "any_size.onnx"
sha256 = "SHA256(any_size.onnx)"
input = {{ name = "images", height = {height}, width = {width} }}
runs_when = {{ image_type = ["Dealer"] }}

[[stages.attributes]]
name = "tint"
output = "channel"
classes = ["red", "green", "blue"]
"#
    );
    folder.change(|manifest| with_models(folder, manifest + &stage));
}

/// Another set in place of the default one, on the mean colour of a picture: the
/// second stage says of red pictures what is not a number.
pub fn colours(folder: &ModelFolder) {
    replace(
        folder,
        r#"
name = "colours"

[[stages]]
name = "channel"
file = "any_size.onnx"
sha256 = "SHA256(any_size.onnx)"
input = { name = "images", height = 8, width = 8 }

[[stages.attributes]]
name = "channel"
output = "channel"
classes = ["red", "green", "blue"]
default = "green"
min_score = 0.6

[[stages]]
name = "broken"
file = "second.onnx"
sha256 = "SHA256(second.onnx)"
input = { name = "images", height = 4, width = 4 }

[[stages.attributes]]
name = "broken"
output = "broken"
classes = ["one", "two"]
applies_when = { channel = ["red"] }
"#,
    );
}

/// Another set in place of the default one, of a model that takes one picture at a
/// time although its graph says otherwise.
pub fn single_picture_model(folder: &ModelFolder) {
    replace(
        folder,
        r#"
name = "alone"

[[stages]]
name = "alone"
file = "alone.onnx"
sha256 = "SHA256(alone.onnx)"
input = { name = "images", height = 8, width = 8 }

[[stages.attributes]]
name = "channel"
output = "channel"
classes = ["red", "green", "blue"]
"#,
    );
}

/// Leaves out the pictures that the set is tested with.
pub fn without_selftest(folder: &ModelFolder) {
    folder.change(|manifest| manifest.split("[[selftest]]").next().unwrap_or_default().to_owned());
}

/// Every attribute says its likeliest class, however unlikely.
pub fn without_thresholds(folder: &ModelFolder) {
    folder.change(|manifest| {
        let kept = manifest.lines().filter(|line| !line.starts_with("min_score"));
        kept.flat_map(|line| [line, "\n"]).collect()
    });
}

fn replace(folder: &ModelFolder, manifest: &str) {
    folder.change(|_| with_models(folder, manifest.to_owned()));
}

/// Puts those of the models of the worker's own tests into the folder that the
/// manifest names, and their hashes in place of `SHA256(file)`.
fn with_models(folder: &ModelFolder, mut manifest: String) -> String {
    let models = repository().join("workers/src/model/testdata");
    for file in ["any_size.onnx", "second.onnx", "alone.onnx"] {
        let stand_in = format!("SHA256({file})");
        if manifest.contains(&stand_in) {
            let model = std::fs::read(models.join(file)).unwrap();
            let hex: String = Sha256::digest(&model).iter().map(|byte| format!("{byte:02x}")).collect();
            std::fs::write(folder.path().join(file), model).unwrap();
            manifest = manifest.replace(&stand_in, &hex);
        }
    }
    manifest
}

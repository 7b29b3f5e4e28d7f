//! Model sets in folders of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use tagfleet_shared::config::foreign_variable;

use crate::decode::DecodeLimits;
use crate::model::{Device, Loader, ModelSet, OnnxModel, Runtime, RuntimeConfig, RuntimeError};

const FILES: [(&str, &[u8]); 3] = [
    ("first.onnx", include_bytes!("../testdata/first.onnx")),
    ("second.onnx", include_bytes!("../testdata/second.onnx")),
    ("embedding.onnx", include_bytes!("../testdata/embedding.onnx")),
];

/// Two stages on the mean colour of a picture; the second looks at red ones only,
/// and what it says of the light ones among them is not a number.
/// `SHA256(file)` stands for the hash of a file.
pub(super) const MANIFEST: &str = r#"
name = "colours"
description = "says what is plain to see"

[[stages]]
name = "first"
file = "first.onnx"
sha256 = "SHA256(first.onnx)"
input = { name = "images", height = 8, width = 8 }

[[stages.attributes]]
name = "channel"
output = "channel"
classes = ["red", "green", "blue"]
default = "green"
min_score = 0.6

[[stages.attributes]]
name = "lightness"
output = "lightness"
classes = ["dark", "light"]
applies_when = { channel = ["red", "blue"] }

[[stages]]
name = "second"
file = "second.onnx"
sha256 = "SHA256(second.onnx)"
input = { name = "images", height = 4, width = 4 }
runs_when = { channel = ["red"] }

[[stages.attributes]]
name = "shade"
output = "shade"
classes = ["deep", "pale"]

[[stages.attributes]]
name = "broken"
output = "broken"
classes = ["one", "two"]
default = "two"
applies_when = { lightness = ["light"] }
"#;

/// A model set's folder; gone with the value.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// With this manifest and all files.
    pub(super) fn new(manifest: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tagfleet-models-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut manifest = manifest.to_owned();
        for (name, bytes) in FILES {
            fs::write(folder.join(name), bytes).unwrap();
            let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            manifest = manifest.replace(&format!("SHA256({name})"), &hex);
        }
        fs::write(folder.join("manifest.toml"), manifest).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn set(&self) -> ModelSet {
        ModelSet::load(self.path()).unwrap()
    }

    /// The problems of its manifest, without this folder's name.
    pub(super) fn problems(&self) -> Vec<String> {
        let problems = ModelSet::load(self.path()).map_or_else(|error| error.problems, |_| Vec::new());
        let path = format!("{}/", self.0.display());
        problems.into_iter().map(|problem| problem.replace(&path, "")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The set of [`MANIFEST`], on the CPU.
pub(super) fn model() -> OnnxModel {
    OnnxModel::load(&Folder::new(MANIFEST).set(), &open(Device::Cpu).unwrap(), 8).unwrap()
}

/// Two sessions on the CPU.
pub(super) fn loader() -> Loader {
    let limits = DecodeLimits { max_pixels: 100_000_000, max_memory_bytes: 512 << 20 };
    Loader { runtime: open(Device::Cpu).unwrap(), sessions: 2, max_batch: 8, embeddings: false, limits }
}

/// The library that the environment names, else the one of this checkout.
pub(super) fn open(device: Device) -> Result<Runtime, RuntimeError> {
    const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tagfleet/onnxruntime/libonnxruntime.so");
    let library = PathBuf::from(foreign_variable("ORT_DYLIB_PATH").unwrap_or_else(|| LIBRARY.to_owned()));
    assert!(
        fs::metadata(&library).is_ok(),
        "there is no ONNX Runtime at {}: run scripts/setup.sh or set ORT_DYLIB_PATH",
        library.display(),
    );
    Runtime::open(&RuntimeConfig { library, device, threads: 1 })
}

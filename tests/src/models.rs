//! Model sets that a test may change.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::repository;

/// On the mean colour of a picture, of which its embeddings can be worked out by hand.
const COLOURS: &str = r#"
name = "colours"

[[stages]]
name = "colours"
file = "embedding.onnx"
sha256 = "SHA256"
input = { name = "images", height = 8, width = 8 }
embedding = "vector"

[[stages.attributes]]
name = "channel"
output = "channel"
classes = ["red", "green", "blue"]
"#;

/// A folder with a model set; gone with the value.
pub struct ModelFolder(PathBuf);

impl ModelFolder {
    /// A folder whose name has `name` in it, with a copy of the default set.
    pub fn new(name: &str) -> Self {
        let folder = folder(name);
        copy(&repository().join("models/default"), &folder);
        Self(folder)
    }

    /// The same with a small set that has an embedding.
    pub fn colours(name: &str) -> Self {
        let folder = folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let model = repository().join("workers/src/model/testdata/embedding.onnx");
        let hash = Sha256::digest(std::fs::read(&model).unwrap());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::copy(model, folder.join("embedding.onnx")).unwrap();
        std::fs::write(folder.join("manifest.toml"), COLOURS.replace("SHA256", &hex)).unwrap();
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// For the processes that are to use it.
    pub fn setting(&self) -> (&'static str, String) {
        ("TAGFLEET__MODELS__DIR", self.0.display().to_string())
    }

    /// Puts another manifest in place. Whoever reads it meanwhile reads all of the
    /// old one or all of the new.
    pub fn change(&self, change: impl FnOnce(String) -> String) {
        let (manifest, next) = (self.0.join("manifest.toml"), self.0.join("manifest.next"));
        std::fs::write(&next, change(std::fs::read_to_string(&manifest).unwrap())).unwrap();
        std::fs::rename(next, manifest).unwrap();
    }
}

impl Drop for ModelFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tagfleet-{name}-{}", std::process::id()))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

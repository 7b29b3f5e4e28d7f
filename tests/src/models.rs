//! Model sets that a test may change.

use std::path::{Path, PathBuf};

use crate::repository;

/// A folder with a copy of the default model set; gone with the value.
pub struct ModelFolder(PathBuf);

impl ModelFolder {
    /// A folder whose name has `name` in it.
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tagfleet-{name}-{}", std::process::id()));
        copy(&repository().join("models/default"), &folder);
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

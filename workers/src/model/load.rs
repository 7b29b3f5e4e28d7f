//! From a folder to models that are ready to answer.

use std::path::Path;

use tracing::{info, warn};

use super::{ManifestError, ModelSet, OnnxModel, Runtime, manifest, selftest};
use crate::decode::DecodeLimits;

/// Loads model sets; what it gives has been warmed up and has passed its test, if
/// it has one.
pub struct Loader {
    /// Where the models run.
    pub runtime: Runtime,
    /// Copies of the models.
    pub sessions: usize,
    /// Pictures in one run at most.
    pub max_batch: usize,
    /// Whether embeddings are asked for. A set without one is refused then.
    pub embeddings: bool,
    /// What the pictures of a set's test may cost, like all others.
    pub limits: DecodeLimits,
}

/// A model set that is ready to answer.
pub struct Loaded {
    /// Its manifest, and the files that it names.
    pub set: ModelSet,
    /// Its models, one copy for each session.
    pub models: Vec<OnnxModel>,
}

impl Loader {
    /// Loads the set in the folder `dir`. Blocks for as long as that takes.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the manifest, with the graphs and with the
    /// answers to the pictures that the set is tested with, at once.
    pub fn load(&self, dir: &Path) -> Result<Loaded, ManifestError> {
        let (set, mut problems) = manifest::read(dir);
        // A stage that could not be read may have one.
        if self.embeddings && problems.is_empty() && !set.has_embedding() {
            problems.push("embeddings are asked for, and no stage names one".into());
        }
        let mut models = Vec::with_capacity(self.sessions);
        match self.session(&set) {
            Ok(mut model) if problems.is_empty() => {
                problems = selftest::problems(&set, &mut model, &self.limits);
                models.push(model);
            }
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        while problems.is_empty() && models.len() < self.sessions {
            match self.session(&set) {
                Ok(model) => models.push(model),
                Err(found) => problems = found,
            }
        }
        // Somebody may be copying another set into the folder.
        if problems.is_empty() && manifest::read(dir).0.digest != set.digest {
            problems.push("the files were changed while they were loaded".into());
        }
        if !problems.is_empty() {
            return Err(ManifestError { dir: dir.into(), problems });
        }
        info!(
            model.set = set.name(),
            model.digest = set.digest(),
            provider = self.runtime.provider(),
            sessions = models.len(),
            "loaded the model set {} onto {}",
            set.name(),
            self.runtime.provider()
        );
        if set.examples().is_empty() {
            warn!(
                model.set = set.name(),
                "the model set {} has no [[selftest]] pictures: nobody knows whether it answers as it should",
                set.name()
            );
        }
        Ok(Loaded { set, models })
    }

    fn session(&self, set: &ModelSet) -> Result<OnnxModel, Vec<String>> {
        let load = if self.embeddings { OnnxModel::load_with_embedding } else { OnnxModel::load };
        load(set, &self.runtime, self.max_batch).map_err(|error| error.problems)
    }
}

//! Which scrapes are traced, and how many images of each.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tagfleet_shared::ids::ScrapeId;
use tagfleet_shared::traces::{self, ScrapeTrace};

/// Traces of scrapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector; empty where there is none.
    pub endpoint: SecretString,
    /// Share of the scrapes that are traced, 0 to 1.
    pub sample: f64,
    /// Images of a scrape that are traced.
    pub images_per_scrape: u32,
}

impl TracesConfig {
    /// See [`tagfleet_shared::config::Check`].
    pub fn check(&self, problems: &mut Vec<String>) {
        traces::check(&self.endpoint, problems);
        if !(0.0..=1.0).contains(&self.sample) {
            problems.push("traces.sample must be a share, from 0 to 1".into());
        }
    }
}

/// Which scrapes are traced: none, where there is no collector.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    share: f64,
    images: i32,
}

/// The trace of a scrape for its jobs: of the first images only.
#[derive(Clone, Debug)]
pub struct JobTraces {
    header: String,
    images: i32,
}

impl Sampling {
    /// Follows these settings.
    pub fn of(config: &TracesConfig) -> Self {
        let share = if config.endpoint.expose_secret().is_empty() { 0.0 } else { config.sample };
        Self { share, images: i32::try_from(config.images_per_scrape).unwrap_or(i32::MAX) }
    }

    /// The trace of this scrape, if it has one: the same in every scheduler with these settings.
    pub fn trace(&self, scrape: &ScrapeId) -> Option<ScrapeTrace> {
        (self.share > 0.0).then(|| ScrapeTrace::of(scrape)).filter(|trace| trace.draw() < self.share)
    }

    /// The trace of this scrape for its jobs, if it has one.
    pub fn jobs(&self, scrape: &ScrapeId) -> Option<JobTraces> {
        let images = self.images;
        self.trace(scrape).map(|trace| JobTraces { header: trace.header(), images })
    }
}

impl JobTraces {
    /// The header of the job of the image at `seq`: those that come first in the inventory are traced, so that a
    /// job that is published again is what it was before.
    pub fn header(&self, seq: i32) -> Option<&str> {
        (seq < self.images).then_some(&*self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(endpoint: &str, sample: f64) -> TracesConfig {
        TracesConfig { endpoint: endpoint.into(), sample, images_per_scrape: 2 }
    }

    fn sampling(endpoint: &str, sample: f64) -> Sampling {
        Sampling::of(&config(endpoint, sample))
    }

    #[test]
    fn a_share_of_the_scrapes_is_from_none_to_all_of_them() {
        for (sample, problems) in [(0.0, 0), (0.1, 0), (1.0, 0), (-0.1, 1), (10.0, 1), (f64::NAN, 1)] {
            let mut found = Vec::new();
            config("", sample).check(&mut found);
            assert_eq!(found.len(), problems, "{sample}: {found:?}");
        }
    }

    #[test]
    fn nothing_is_traced_without_a_collector() {
        let scrape = ScrapeId("s-1".into());
        assert!(sampling("", 1.0).trace(&scrape).is_none());
        assert!(sampling("http://collector:4318", 0.0).trace(&scrape).is_none());
        assert!(sampling("http://collector:4318", 1.0).trace(&scrape).is_some());
    }

    /// A back-fill of a million images would be a trace that nothing can show.
    #[test]
    fn the_first_images_of_a_scrape_are_traced() {
        let jobs = sampling("http://collector:4318", 1.0).jobs(&ScrapeId("s-1".into())).unwrap();
        assert_eq!([0, 1, 2].map(|seq| jobs.header(seq).is_some()), [true, true, false]);
    }
}

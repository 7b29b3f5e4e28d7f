//! The body of a job, and the URL in it.

use tagfleet_download::AddressPolicy;
use tagfleet_shared::jobs::Job;
use tagfleet_worker::pipeline::source_of;
use tagfleet_worker::source::Source;

/// Reads it.
pub fn check(body: &[u8]) {
    let Ok(job) = serde_json::from_slice::<Job>(body) else { return };
    let written = serde_json::to_vec(&job).expect("a job can be written");
    assert_eq!(serde_json::from_slice::<Job>(&written).expect("and read again"), job);
    let Job::TagImageV1(image) = job;
    match source_of(&image.url) {
        Source::Url(url) => drop(AddressPolicy::default().check_url(&url)),
        Source::Unreadable => {}
        Source::File(path) => panic!("a job must never name a file of the worker: {}", path.display()),
    }
}

//! How often a decoder has to go through a JPEG.

use tagfleet_download::jpeg;

use super::{DecodeLimits, Undecodable};

/// Refuses a progressive JPEG that would take long.
pub(super) fn check(bytes: &[u8], size: (u32, u32), limits: &DecodeLimits) -> Result<(), Undecodable> {
    match jpeg::too_many_scans(bytes, size, limits.max_pixels) {
        Some(scans) => Err(Undecodable::TooManyScans { scans }),
        None => Ok(()),
    }
}

//! From the bytes of a picture to the pixels that the models take.
//!
//! The bytes come from strangers: the format is told by content and never by
//! name, sizes are checked from the header before anything is allocated, and a
//! decoder that panics is one bad picture, not a dead worker.
//!
//! JPEG goes through libjpeg-turbo at the smallest scale that is enough for the
//! largest input (`jpeg.rs`); everything else, and the JPEGs that
//! libjpeg-turbo will not take, through the `image` crate (`lenient.rs`). The
//! picture is then stretched to every input size of the model set.

mod budget;
mod error;
mod format;
mod jpeg;
mod lenient;
mod orientation;
mod pixels;
mod png;
mod resize;
mod scans;
#[cfg(test)]
mod tests;
pub mod wire;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use image::metadata::Orientation;
use serde::Deserialize;

use self::budget::{Budget, Memory};
pub use self::error::Undecodable;
use self::format::Format;
use self::jpeg::Refused;
use self::orientation::is_transposed;
pub use self::pixels::{InputSize, Pixels};
use self::resize::Stretcher;

/// What pictures may cost. Checked from their headers, before any decoding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeLimits {
    /// Width times height of the largest picture that is decoded, in pixels.
    pub max_pixels: u64,
    /// Bytes that the pixel buffers of all pictures together may take while they
    /// are decoded. One that would take more by itself is refused; others wait.
    pub max_memory_bytes: u64,
}

/// The format of a picture by its first bytes, in one word; none where no decoder takes it.
pub fn format_name(bytes: &[u8]) -> Option<&'static str> {
    Format::of(bytes).ok().map(Format::name)
}

/// Decodes pictures for one model set.
///
/// Share it between threads: the memory is one budget for all of them. Each
/// decode borrows a set of working buffers and gives it back, so there are as
/// many sets as there were decodes at a time.
pub struct Decoder {
    sizes: Vec<InputSize>,
    budget: Budget,
    /// Whether a JPEG may be scaled down while it is decoded.
    scaled: bool,
    scratch: Mutex<Vec<Scratch>>,
}

/// What a decode needs and the next one can use again.
#[derive(Default)]
struct Scratch {
    turbo: jpeg::Turbo,
    stretcher: Stretcher,
}

impl Scratch {
    /// What grew beyond this for one large picture is not kept: a photograph that
    /// was scaled down takes less than one MiB.
    const KEPT_BYTES: usize = 16 << 20;

    fn trim(&mut self) {
        self.turbo.trim(Self::KEPT_BYTES);
        self.stretcher.trim(Self::KEPT_BYTES);
    }
}

/// A decoded picture, not yet stretched nor turned upright.
struct Picture<'a> {
    width: u32,
    height: u32,
    /// Width and height in the file; the picture may have been scaled down.
    original: (u32, u32),
    /// `3 * width * height` bytes.
    rgb: Cow<'a, [u8]>,
    /// What its decoding takes, until it is stretched.
    _memory: Memory<'a>,
}

impl Decoder {
    /// Makes a decoder whose pixels have a plane of each of `sizes`. The largest
    /// decides how finely a picture is decoded for all of them.
    pub fn new(mut sizes: Vec<InputSize>, limits: DecodeLimits) -> Self {
        sizes.sort_unstable();
        sizes.dedup();
        Self { sizes, budget: Budget::new(limits), scaled: true, scratch: Mutex::default() }
    }

    /// The same, but every picture is decoded at its full size: what the fast way
    /// is held against.
    pub fn in_full(sizes: Vec<InputSize>, limits: DecodeLimits) -> Self {
        Self { scaled: false, ..Self::new(sizes, limits) }
    }

    /// Decodes one picture: 1 to 10 ms of blocking CPU work for a usual one, up
    /// to seconds for the largest allowed, so call it on a thread that may block.
    ///
    /// # Errors
    ///
    /// An [`Undecodable`] is final: the same bytes give the same error.
    pub fn decode(&self, bytes: &[u8]) -> Result<Pixels, Undecodable> {
        let mut scratch = self.pool().pop().unwrap_or_default();
        let result = caught(|| self.decode_in(&mut scratch, bytes));
        // What has seen a panic is not used again.
        if !matches!(result, Err(Undecodable::Panicked)) {
            scratch.trim();
            self.pool().push(scratch);
        }
        result
    }

    fn decode_in(&self, scratch: &mut Scratch, bytes: &[u8]) -> Result<Pixels, Undecodable> {
        let format = Format::of(bytes)?;
        let orientation = orientation::read(format, bytes);
        let picture = match format {
            Format::Jpeg => match scratch.turbo.decode(bytes, self.least(orientation), &self.budget) {
                Ok(picture) => picture,
                Err(Refused::Final(error)) => return Err(error),
                Err(Refused::Forgivable) => lenient::decode(format, bytes, &self.budget)?,
            },
            _ => lenient::decode(format, bytes, &self.budget)?,
        };

        let mut planes = Vec::with_capacity(self.sizes.len());
        for size in &self.sizes {
            planes.push((*size, scratch.stretcher.stretch(&picture, *size, orientation)?));
        }
        let (mut width, mut height) = picture.original;
        if is_transposed(orientation) {
            (width, height) = (height, width);
        }
        Ok(Pixels { planes, width, height, format: format.name() })
    }

    /// The size that a picture must have, as it lies in the file, to be shrunk and
    /// not blown up in the making of every plane.
    fn least(&self, orientation: Orientation) -> InputSize {
        if !self.scaled {
            return InputSize { height: u32::MAX, width: u32::MAX };
        }
        let height = self.sizes.iter().map(|size| size.height).max().unwrap_or(1);
        let width = self.sizes.iter().map(|size| size.width).max().unwrap_or(1);
        if is_transposed(orientation) {
            InputSize { height: width, width: height }
        } else {
            InputSize { height, width }
        }
    }

    fn pool(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A decoder that panics has met one bad picture: nothing else shall suffer from it.
fn caught<T>(decode: impl FnOnce() -> Result<T, Undecodable>) -> Result<T, Undecodable> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or(Err(Undecodable::Panicked))
}

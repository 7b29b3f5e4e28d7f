//! JPEG through libjpeg-turbo, scaled down while it is decoded.

use std::borrow::Cow;

use tagfleet_download::jpeg::MOST_SCANS;
use turbojpeg::{Colorspace, DecompressHeader, Decompressor, Image, PixelFormat, ScalingFactor};

use super::{Budget, InputSize, Picture, Undecodable, scans};

/// What libjpeg-turbo did not decode.
pub(super) enum Refused {
    /// No other decoder shall try.
    Final(Undecodable),
    /// Damaged, cut off or unusual: a more forgiving decoder may still show it.
    Forgivable,
}

impl From<Undecodable> for Refused {
    fn from(error: Undecodable) -> Self {
        Self::Final(error)
    }
}

impl From<turbojpeg::Error> for Refused {
    fn from(_: turbojpeg::Error) -> Self {
        Self::Forgivable
    }
}

/// libjpeg-turbo, and the buffer it decodes into.
///
/// Each picture has a decompressor of its own, which takes less than a microsecond to make. One that is used again
/// remembers: behind a header that is cut off, the next picture is decoded with the size of the one before (so of
/// libjpeg-turbo 3.1, whose `tj3DecompressHeader` does not abort where it fails), and one without tables with its tables.
#[derive(Default)]
pub(super) struct Turbo {
    pixels: Vec<u8>,
}

impl Turbo {
    /// Decodes a JPEG at the smallest scale that is enough for `least` in both
    /// directions, or at full size where the picture itself is smaller.
    pub(super) fn decode<'a>(
        &'a mut self,
        bytes: &[u8],
        least: InputSize,
        budget: &'a Budget,
    ) -> Result<Picture<'a>, Refused> {
        let mut decompressor = new_decompressor()?;
        let header = decompressor.read_header(bytes)?;
        let original = (dimension(header.width)?, dimension(header.height)?);
        budget.check_pixels(original.0, original.1)?;
        scans::check(bytes, original, &budget.limits)?;

        let scale = smallest_scale(&header, least);
        let scaled = header.scaled(scale);
        let format = match header.colorspace {
            Colorspace::CMYK | Colorspace::YCCK => PixelFormat::CMYK,
            Colorspace::RGB | Colorspace::YCbCr | Colorspace::Gray => PixelFormat::RGB,
        };
        let pitch = scaled.width * format.size();
        let memory = budget.take((pitch * scaled.height) as u64 + coefficient_bytes(&header))?;

        self.pixels.resize(pitch * scaled.height, 0);
        let pixels = self.pixels.as_mut_slice();
        decompressor.set_scaling_factor(scale)?;
        decompressor
            .decompress(bytes, Image { pixels, width: scaled.width, pitch, height: scaled.height, format })?;
        if format == PixelFormat::CMYK {
            cmyk_to_rgb(&mut self.pixels);
        }
        Ok(Picture {
            width: dimension(scaled.width)?,
            height: dimension(scaled.height)?,
            original,
            rgb: Cow::Borrowed(&self.pixels),
            _memory: memory,
        })
    }

    /// Gives the buffer back if it has grown beyond `bytes`.
    pub(super) fn trim(&mut self, bytes: usize) {
        if self.pixels.capacity() > bytes {
            self.pixels = Vec::new();
        }
    }
}

fn new_decompressor() -> Result<Decompressor, turbojpeg::Error> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_scan_limit(MOST_SCANS)?;
    Ok(decompressor)
}

/// The format has 16 bits for a dimension.
fn dimension(pixels: usize) -> Result<u32, Undecodable> {
    u32::try_from(pixels).map_err(Undecodable::corrupt)
}

/// The smallest of 1/8 to 8/8 that leaves the picture half as large again as
/// `least`: what is not decoded costs nothing. With no more than `least` a decode
/// costs a fifth less, but of 1708 real photos only 99.0 % had the top-1 of a full
/// decode, by the model set of the time; with half as much again 99.6 %, with twice
/// as much 99.7 %. `loadtest bench decode_agreement` compares anew.
fn smallest_scale(header: &DecompressHeader, least: InputSize) -> ScalingFactor {
    if header.is_lossless {
        return ScalingFactor::ONE;
    }
    let enough = |pixels: u32| (pixels as usize).saturating_mul(3) / 2;
    let (width, height) = (enough(least.width), enough(least.height));
    (1..8)
        .map(|eighths| ScalingFactor::new(eighths, 8))
        .find(|scale| scale.scale(header.width) >= width && scale.scale(header.height) >= height)
        .unwrap_or(ScalingFactor::ONE)
}

/// What libjpeg keeps of a progressive picture until its last scan: two bytes
/// for each sample, at any scale.
fn coefficient_bytes(header: &DecompressHeader) -> u64 {
    let components = match header.colorspace {
        Colorspace::Gray => 1,
        Colorspace::RGB | Colorspace::YCbCr => 3,
        Colorspace::CMYK | Colorspace::YCCK => 4,
    };
    if header.is_progressive { 2 * components * (header.width * header.height) as u64 } else { 0 }
}

/// Turns CMYK into RGB in place. Inks are stored inverted (255 is none), as
/// Adobe does and everybody after them.
fn cmyk_to_rgb(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for i in 0..count {
        let [c, m, y, k] = [0, 1, 2, 3].map(|ink| u32::from(pixels[4 * i + ink]));
        for (channel, ink) in [c, m, y].into_iter().enumerate() {
            pixels[3 * i + channel] = (ink * k / 255) as u8;
        }
    }
    pixels.truncate(3 * count);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: usize, height: usize) -> DecompressHeader {
        let black = vec![0; width * height];
        let image = Image { pixels: &black[..], width, pitch: width, height, format: PixelFormat::GRAY };
        let jpeg = turbojpeg::compress(image, 50, turbojpeg::Subsamp::Gray).unwrap();
        turbojpeg::read_header(&jpeg).unwrap()
    }

    #[test]
    fn the_scale_is_the_smallest_that_is_large_enough() {
        let least = InputSize { height: 224, width: 224 };
        for (width, height, scale) in [
            (1024, 768, "1/2"),
            (640, 480, "3/4"),
            (2688, 2688, "1/8"),
            (2680, 2680, "1/4"),
            (300, 100, "1/1"),
        ] {
            let chosen = smallest_scale(&header(width, height), least);
            assert_eq!(chosen.to_string(), scale, "{width}x{height}");
        }
    }

    #[test]
    fn cmyk_becomes_rgb_in_place() {
        let mut pixels = vec![255, 255, 255, 255, 255, 0, 128, 255, 255, 255, 255, 0];
        cmyk_to_rgb(&mut pixels);
        assert_eq!(pixels, [255, 255, 255, 255, 0, 128, 0, 0, 0]);
    }
}

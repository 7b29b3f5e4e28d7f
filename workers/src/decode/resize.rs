//! Stretches a picture to an input size.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::orientation::is_transposed;
use super::{InputSize, Picture, Undecodable};

/// A resizer and its buffers.
#[derive(Default)]
pub(super) struct Stretcher(Resizer);

impl Stretcher {
    /// Stretches `picture` to `size`, bilinear with antialiasing and without
    /// regard to its proportions, and then turns it upright.
    ///
    /// The small result is turned, not the photograph: a picture that lies on its
    /// side is stretched to `size` lying on its side.
    pub(super) fn stretch(
        &mut self,
        picture: &Picture<'_>,
        size: InputSize,
        orientation: Orientation,
    ) -> Result<Box<[u8]>, Undecodable> {
        let (width, height) =
            if is_transposed(orientation) { (size.height, size.width) } else { (size.width, size.height) };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let source = ImageRef::new(picture.width, picture.height, &picture.rgb, PixelType::U8x3)
            .map_err(Undecodable::corrupt)?;
        let mut target = Image::new(width, height, PixelType::U8x3);
        self.0.resize(&source, &mut target, &options).map_err(Undecodable::corrupt)?;
        Ok(turned(width, height, target.into_vec(), orientation).into_boxed_slice())
    }

    /// Gives the buffers back if they have grown beyond `bytes`.
    pub(super) fn trim(&mut self, bytes: usize) {
        if self.0.size_of_internal_buffers() > bytes {
            self.0.reset_internal_buffers();
        }
    }
}

fn turned(width: u32, height: u32, rgb: Vec<u8>, orientation: Orientation) -> Vec<u8> {
    if orientation == Orientation::NoTransforms {
        return rgb;
    }
    let image = RgbImage::from_raw(width, height, rgb).expect("a plane has three bytes for every pixel");
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_bytes()
}

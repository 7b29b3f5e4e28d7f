//! Draws the inventory of a car dealer: pictures whose tags are known, the same for the same seed.
//!
//! Nothing here is a photograph and nothing has to be licensed, so drawn pictures may be shipped,
//! served and counted. A vehicle is a small mesh, lit and mirrored by its surroundings
//! (`vehicle`); what stands around it is drawn flat (`scene`).

mod body;
mod canvas;
mod coachwork;
mod colour;
pub mod command;
mod dealer;
mod encode;
mod hall;
mod inventory;
mod lettering;
mod light;
mod mesh;
mod placeholder;
mod profile;
mod raster;
mod scene;
mod shadow;
mod sign;
mod space;
mod stock;
mod vehicle;

use std::fmt;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};

pub use colour::Colour;
pub use dealer::vehicle_in_scene;
pub use inventory::{Entry, EntryKind, Inventory, Options};
pub use placeholder::card;
pub use stock::vehicle_in_studio;

/// The source of chance: named, so that a seed means the same pictures after an update of `rand`.
pub type Rng = rand::rngs::Xoshiro256PlusPlus;

/// What a picture shows, as the tag `image_type` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageType {
    /// A photo of the real vehicle.
    Dealer,
    /// A picture of some vehicle of the same make.
    Stock,
    /// No vehicle at all.
    Placeholder,
}

impl ImageType {
    /// The word used in tags and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dealer => "Dealer",
            Self::Stock => "Stock",
            Self::Placeholder => "Placeholder",
        }
    }
}

impl fmt::Display for ImageType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The tags that a picture deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Truth {
    /// What it shows.
    pub image_type: ImageType,
    /// The colour of the vehicle, if there is one.
    pub color: Option<Colour>,
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// The sizes that marketplaces ask for, and that are drawn unless told otherwise.
    pub const COMMON: [Self; 4] =
        [Self::new(640, 480), Self::new(800, 600), Self::new(960, 640), Self::new(1024, 768)];

    /// A size of `width` times `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    fn as_f32(self) -> (f32, f32) {
        (self.width as f32, self.height as f32)
    }
}

/// A drawn picture: a file, and what is on it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// A file name stem that says what is drawn, such as `dealer-red-suv`.
    pub name: String,
    /// The file.
    pub bytes: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// What a perfect model would say.
    pub truth: Truth,
}

impl Picture {
    /// The usual extension of its file name.
    pub fn extension(&self) -> &'static str {
        if self.content_type == encode::PNG { "png" } else { "jpg" }
    }
}

/// The JPEG quality of most photos in listings.
const PHOTO_QUALITY: u8 = 85;

/// Draws picture number `index` of `seed`: of any kind, in the mix that marketplaces see.
pub fn any_picture(seed: u64, index: u64, size: Option<Size>) -> Picture {
    any_picture_of_quality(seed, index, size, PHOTO_QUALITY)
}

/// As [`any_picture`], with photos of another JPEG quality.
fn any_picture_of_quality(seed: u64, index: u64, size: Option<Size>, quality: u8) -> Picture {
    let mut rng = chance(seed, index);
    let common = Size::COMMON[rng.random_range(0..Size::COMMON.len())];
    let size = size.unwrap_or(common);
    match rng.random_range(0..100) {
        0..60 => vehicle_in_scene(&mut rng, size, quality),
        60..82 => vehicle_in_studio(&mut rng, size),
        _ => card(&mut rng, size),
    }
}

/// The chance that belongs to `index`, whichever thread draws it and whatever was drawn before.
fn chance(seed: u64, index: u64) -> Rng {
    Rng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(index))
}

#[cfg(test)]
mod tests {
    use tiny_skia::Pixmap;

    use super::*;

    const SMALL: Size = Size::new(120, 90);

    #[test]
    fn the_same_seed_and_index_draw_the_same_bytes() {
        for index in 0..12 {
            let (one, other) = (any_picture(7, index, Some(SMALL)), any_picture(7, index, Some(SMALL)));
            assert_eq!((one.name, one.bytes), (other.name, other.bytes));
        }
    }

    #[test]
    fn another_seed_or_index_draws_another_picture() {
        let picture = any_picture(7, 0, Some(SMALL));

        assert_ne!(picture.bytes, any_picture(8, 0, Some(SMALL)).bytes);
        assert_ne!(picture.bytes, any_picture(7, 1, Some(SMALL)).bytes);
    }

    /// Vehicles have a colour and cards have none; the name, the type and the bytes agree.
    #[test]
    fn the_truth_fits_the_kind() {
        let mut rng = chance(1, 0);
        for _ in 0..4 {
            let pictures = [
                vehicle_in_scene(&mut rng, SMALL, PHOTO_QUALITY),
                vehicle_in_studio(&mut rng, SMALL),
                card(&mut rng, SMALL),
            ];
            let types = [ImageType::Dealer, ImageType::Stock, ImageType::Placeholder];
            for (picture, image_type) in pictures.iter().zip(types) {
                assert_eq!(picture.truth.image_type, image_type);
                assert_eq!(picture.truth.color.is_some(), image_type != ImageType::Placeholder);
                assert!(picture.name.starts_with(&image_type.as_str().to_lowercase()));
                if let Some(color) = picture.truth.color {
                    assert!(picture.name.contains(color.as_str()));
                }
                let magic: &[u8] = if picture.extension() == "png" { b"\x89PNG" } else { b"\xFF\xD8\xFF" };
                assert!(picture.bytes.starts_with(magic));
            }
        }
    }

    /// A studio is white in its corners, and the vehicle in its middle is of the colour that is claimed.
    #[test]
    fn a_stock_picture_shows_its_colour_on_white() {
        let mut rng = chance(2, 0);
        let mut reds = 0;
        while reds < 2 {
            let picture = vehicle_in_studio(&mut rng, SMALL);
            if picture.content_type != encode::PNG {
                continue;
            }
            let pixels = Pixmap::decode_png(&picture.bytes).unwrap();
            for corner in [(0, 0), (SMALL.width - 1, 0)] {
                let pixel = pixels.pixel(corner.0, corner.1).unwrap();
                assert!(pixel.red() > 200 && pixel.green() > 200 && pixel.blue() > 200);
            }
            if picture.truth.color == Some(Colour::Red) {
                let red = pixels
                    .pixels()
                    .iter()
                    .filter(|pixel| u16::from(pixel.red()) > 2 * u16::from(pixel.green()));
                assert!(red.count() > 200, "{}", picture.name);
                reds += 1;
            }
        }
    }
}

//! Pixels in the shape that models take.

/// The height and width of a model's input, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// One decoded picture, stretched to every input size of the model set.
///
/// Each plane is `uint8 [H, W, 3]`: RGB, top row first, without padding. This is
/// what the models were trained on; normalisation is inside their graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    pub(super) planes: Vec<(InputSize, Box<[u8]>)>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: &'static str,
}

impl Pixels {
    /// A picture of one colour: for warming up a model, and for tests.
    pub fn filled(sizes: &[InputSize], rgb: [u8; 3]) -> Self {
        let plane = |size: &InputSize| rgb.repeat((size.height * size.width) as usize).into_boxed_slice();
        Self {
            planes: sizes.iter().map(|size| (*size, plane(size))).collect(),
            width: 1,
            height: 1,
            format: "none",
        }
    }

    /// A picture of which only the planes are known: for asking a model about
    /// pixels that were written down. `None` where one has not the bytes that its
    /// size asks for.
    pub fn of(planes: Vec<(InputSize, Box<[u8]>)>) -> Option<Self> {
        let whole = |(size, plane): &(InputSize, Box<[u8]>)| {
            plane.len() as u64 == 3 * u64::from(size.height) * u64::from(size.width)
        };
        planes.iter().all(whole).then_some(Self { planes, width: 1, height: 1, format: "none" })
    }

    /// The plane of `size`: `3 * height * width` bytes. `None` where the decoder
    /// was not asked for that size.
    pub fn plane(&self, size: InputSize) -> Option<&[u8]> {
        self.planes.iter().find(|(of, _)| *of == size).map(|(_, plane)| &**plane)
    }

    /// Width of the original picture in pixels, as a viewer shows it (after EXIF orientation).
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height of the original picture in pixels, as a viewer shows it (after EXIF orientation).
    pub fn height(&self) -> u32 {
        self.height
    }

    /// What the picture was decoded from: `jpeg`, `png`, `gif`, `webp`, `bmp` or `tiff`.
    pub fn format(&self) -> &'static str {
        self.format
    }
}

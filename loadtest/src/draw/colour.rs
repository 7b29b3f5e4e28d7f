//! Body colours: the classes that the colour model knows, and how each may look.

use std::fmt;

use rand::RngExt;

use super::{Rng, space::Vec3, space::v3};

/// The colour of a vehicle, as a buyer would say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Colour {
    Black,
    White,
    Gray,
    Silver,
    Blue,
    Red,
    Green,
    Yellow,
    Orange,
    Brown,
    Beige,
    Purple,
}

impl Colour {
    /// Every colour, in the order of the model's classes.
    pub const ALL: [Self; 12] = [
        Self::Black,
        Self::White,
        Self::Gray,
        Self::Silver,
        Self::Blue,
        Self::Red,
        Self::Green,
        Self::Yellow,
        Self::Orange,
        Self::Brown,
        Self::Beige,
        Self::Purple,
    ];

    /// The word used in tags and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Black => "black",
            Self::White => "white",
            Self::Gray => "gray",
            Self::Silver => "silver",
            Self::Blue => "blue",
            Self::Red => "red",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Brown => "brown",
            Self::Beige => "beige",
            Self::Purple => "purple",
        }
    }

    /// Any colour; the rare ones as often as the common ones, so that a model learns them all.
    pub(super) fn any(rng: &mut Rng) -> Self {
        Self::ALL[rng.random_range(0..Self::ALL.len())]
    }

    /// One of the lacquers that go by this name: hue in degrees, saturation, lightness, and the share of metal flakes.
    pub(super) fn lacquer(self, rng: &mut Rng) -> Lacquer {
        let mut between = |from: f32, to: f32| from + (to - from) * rng.random::<f32>();
        let (hue, saturation, lightness, metal) = match self {
            Self::Black => (220.0, between(0.0, 0.15), between(0.02, 0.06), 0.2),
            Self::White => (between(40.0, 220.0), between(0.0, 0.08), between(0.90, 0.97), 0.0),
            Self::Gray => (215.0, between(0.0, 0.10), between(0.22, 0.38), 0.4),
            Self::Silver => (210.0, between(0.0, 0.06), between(0.62, 0.74), 0.8),
            Self::Blue => (between(205.0, 228.0), between(0.55, 0.9), between(0.20, 0.48), 0.4),
            Self::Red => (between(-8.0, 6.0), between(0.75, 0.95), between(0.28, 0.44), 0.2),
            Self::Green => (between(95.0, 160.0), between(0.35, 0.8), between(0.17, 0.40), 0.3),
            Self::Yellow => (between(46.0, 55.0), between(0.85, 1.0), between(0.45, 0.55), 0.0),
            Self::Orange => (between(17.0, 29.0), between(0.85, 1.0), between(0.44, 0.54), 0.2),
            Self::Brown => (between(14.0, 30.0), between(0.30, 0.55), between(0.14, 0.25), 0.5),
            Self::Beige => (between(33.0, 44.0), between(0.22, 0.42), between(0.62, 0.74), 0.4),
            Self::Purple => (between(268.0, 298.0), between(0.40, 0.75), between(0.20, 0.38), 0.4),
        };
        Lacquer { base: from_hsl(hue, saturation, lightness), metal }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How a vehicle is painted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lacquer {
    /// Red, green and blue in linear light.
    pub base: Vec3,
    /// 0 for a plain colour, 1 for one full of metal flakes.
    pub metal: f32,
}

/// A colour in linear light from hue (degrees), saturation and lightness (0 to 1).
pub(super) fn from_hsl(hue: f32, saturation: f32, lightness: f32) -> Vec3 {
    let chroma = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f32| {
        let k = (offset + hue.rem_euclid(360.0) / 30.0) % 12.0;
        let value = lightness - chroma * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        value * value
    };
    v3(channel(0.0), channel(8.0), channel(4.0))
}

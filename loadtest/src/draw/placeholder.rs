//! Placeholders: what a shop shows while it has no photo. Flat cards with a sign, a few words or a logo.

use rand::RngExt;
use tiny_skia::Pixmap;

use super::{
    ImageType, Picture, Rng, Size, Truth,
    canvas::{self, Ink},
    colour::from_hsl,
    encode, lettering, sign,
};

/// What such cards say in the countries where cars are sold.
const WORDS: [&str; 22] = [
    "IMAGE COMING SOON",
    "PHOTO COMING SOON",
    "NO PHOTO",
    "NO IMAGE AVAILABLE",
    "PHOTOS COMING SOON",
    "AWAITING IMAGE",
    "BILD FOLGT",
    "KEIN BILD",
    "KEIN FOTO VERFÜGBAR",
    "BILDER IN KÜRZE",
    "PHOTO À VENIR",
    "PAS DE PHOTO",
    "SIN FOTO",
    "FOTO NON DISPONIBILE",
    "IMMAGINE IN ARRIVO",
    "FOTO EM BREVE",
    "GEEN FOTO",
    "FOTO VOLGT",
    "BRAK ZDJĘCIA",
    "EI KUVAA",
    "BILD KOMMER SNART",
    "BILLEDE PÅ VEJ",
];

/// Draws a card without any vehicle on it.
pub fn card(rng: &mut Rng, size: Size) -> Picture {
    let colours = Colours::any(rng);
    let mut picture = ground(rng, size, colours);
    let name = match rng.random_range(0..10) {
        0..3 => {
            sign::draw(&mut picture, rng, colours, 0.42, sign::camera);
            words(&mut picture, rng, colours, 0.74);
            "camera"
        }
        3..5 => {
            sign::draw(&mut picture, rng, colours, 0.42, sign::no_car);
            words(&mut picture, rng, colours, 0.76);
            "no-car"
        }
        5 => {
            sign::draw(&mut picture, rng, colours, 0.5, sign::no_car);
            "sign"
        }
        6 => {
            words(&mut picture, rng, colours, 0.5);
            "words"
        }
        7 => {
            sign::draw(&mut picture, rng, colours, 0.45, sign::mountains);
            words(&mut picture, rng, colours, 0.76);
            "picture"
        }
        _ => {
            sign::draw(&mut picture, rng, colours, 0.45, sign::logo);
            if rng.random_bool(0.5) {
                words(&mut picture, rng, colours, 0.78);
            }
            "logo"
        }
    };
    let as_png = rng.random_bool(0.35);
    Picture {
        name: format!("placeholder-{name}"),
        bytes: if as_png { encode::png(&picture) } else { encode::jpeg(&picture, 85) }.into(),
        content_type: if as_png { encode::PNG } else { encode::JPEG },
        truth: Truth { image_type: ImageType::Placeholder, color: None },
    }
}

/// The two or three colours of a card.
#[derive(Clone, Copy)]
pub(super) struct Colours {
    pub ground: Ink,
    pub front: Ink,
    pub accent: Ink,
}

impl Colours {
    fn any(rng: &mut Rng) -> Self {
        let hue = rng.random_range(0.0..360.0);
        let ink = |saturation: f32, lightness: f32| {
            let colour = from_hsl(hue, saturation, lightness);
            let stored = |light: f32| (light.sqrt() * 255.0) as u8;
            (stored(colour.x), stored(colour.y), stored(colour.z), 255)
        };
        let accent = ink(0.8, 0.45);
        match rng.random_range(0..10) {
            0..5 => Self {
                ground: ink(0.0, rng.random_range(0.82..0.97)),
                front: ink(0.0, rng.random_range(0.35..0.75)),
                accent,
            },
            5..7 => {
                Self { ground: (255, 255, 255, 255), front: ink(0.6, rng.random_range(0.2..0.5)), accent }
            }
            7 => Self {
                ground: ink(0.0, rng.random_range(0.06..0.3)),
                front: ink(0.0, rng.random_range(0.6..1.0)),
                accent,
            },
            _ => Self {
                ground: ink(rng.random_range(0.3..0.8), rng.random_range(0.2..0.45)),
                front: (255, 255, 255, 255),
                accent: (255, 255, 255, 200),
            },
        }
    }
}

fn ground(rng: &mut Rng, size: Size, colours: Colours) -> Pixmap {
    let (wide, high) = size.as_f32();
    let mut picture = canvas::blank(size, colours.ground);
    if rng.random_bool(0.3) {
        let (red, green, blue, _) = colours.ground;
        let darker = (red / 10 * 9, green / 10 * 9, blue / 10 * 9, 255);
        canvas::shaded(
            &mut picture,
            &canvas::rectangle(0.0, 0.0, wide, high),
            (0.0, colours.ground),
            (high, darker),
        );
    }
    if rng.random_bool(0.25) {
        let inset = high * 0.04;
        let frame = canvas::rectangle(inset, inset, wide - 2.0 * inset, high - 2.0 * inset);
        if let Some(path) = canvas::path(&frame, true) {
            canvas::stroke(&mut picture, &path, high * 0.008, colours.front);
        }
    }
    if rng.random_bool(0.2) {
        let band = high * rng.random_range(0.06..0.14);
        let top = if rng.random_bool(0.5) { 0.0 } else { high - band };
        canvas::polygon(&mut picture, &canvas::rectangle(0.0, top, wide, band), colours.accent);
    }
    picture
}

fn words(picture: &mut Pixmap, rng: &mut Rng, colours: Colours, down: f32) {
    let (wide, high) = (picture.width() as f32, picture.height() as f32);
    let text = WORDS[rng.random_range(0..WORDS.len())];
    let fits = wide * 0.84 / lettering::width(text, 1.0);
    let size = (high * rng.random_range(0.05..0.10)).min(fits);
    let left = (wide - lettering::width(text, size)) / 2.0;
    let top = high * down - size / 2.0;
    let weight = rng.random_range(0.10..0.20);
    if let Some(letters) = lettering::text(text, size, |x, y| (left + x, top + y)) {
        canvas::stroke(picture, &letters, size * weight, colours.front);
    }
}

//! The signs and badges on placeholders.

use std::f32::consts::TAU;

use rand::RngExt;
use tiny_skia::Pixmap;

use super::{
    Rng,
    canvas::{self, Ink},
    placeholder::Colours,
};

/// Where a sign goes: its centre and its size.
pub(super) struct Place {
    x: f32,
    y: f32,
    size: f32,
}

impl Place {
    /// A point in units of the sign's size.
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.size, self.y + y * self.size)
    }

    fn points(&self, points: &[(f32, f32)]) -> Vec<(f32, f32)> {
        points.iter().map(|&(x, y)| self.at(x, y)).collect()
    }

    fn disc(&self, picture: &mut Pixmap, (x, y): (f32, f32), radius: f32, ink: Ink) {
        let radius = radius * self.size;
        canvas::ellipse(picture, self.at(x, y), (radius, radius), ink);
    }
}

/// Draws one sign at its place.
pub(super) type Sign = fn(&mut Pixmap, &mut Rng, Colours, &Place);

/// Draws a sign in the middle, so far down.
pub(super) fn draw(picture: &mut Pixmap, rng: &mut Rng, colours: Colours, down: f32, sign: Sign) {
    let (wide, high) = (picture.width() as f32, picture.height() as f32);
    let place = Place { x: wide / 2.0, y: high * down, size: high * rng.random_range(0.30..0.52) };
    sign(picture, rng, colours, &place);
}

/// A camera, from the front.
pub(super) fn camera(picture: &mut Pixmap, _: &mut Rng, colours: Colours, place: &Place) {
    let body = [
        (-0.5, -0.22),
        (-0.2, -0.22),
        (-0.12, -0.36),
        (0.12, -0.36),
        (0.2, -0.22),
        (0.5, -0.22),
        (0.5, 0.34),
        (-0.5, 0.34),
    ];
    let outline = place.points(&body);
    canvas::polygon(picture, &outline, colours.front);
    if let Some(path) = canvas::path(&outline, true) {
        canvas::stroke(picture, &path, place.size * 0.08, colours.front);
    }
    place.disc(picture, (0.0, 0.05), 0.24, colours.ground);
    place.disc(picture, (0.0, 0.05), 0.16, colours.front);
    place.disc(picture, (0.4, -0.13), 0.04, colours.ground);
}

/// A car from the side, mostly crossed out.
pub(super) fn no_car(picture: &mut Pixmap, rng: &mut Rng, colours: Colours, place: &Place) {
    const SIDE: [(f32, f32); 16] = [
        (-0.72, 0.16),
        (-0.72, 0.00),
        (-0.66, -0.06),
        (-0.48, -0.09),
        (-0.30, -0.26),
        (-0.18, -0.30),
        (0.12, -0.30),
        (0.22, -0.27),
        (0.40, -0.09),
        (0.60, -0.05),
        (0.70, 0.02),
        (0.73, 0.10),
        (0.72, 0.16),
        (0.40, 0.17),
        (0.0, 0.17),
        (-0.4, 0.17),
    ];
    const GLASS: [(f32, f32); 4] = [(-0.34, -0.09), (-0.20, -0.23), (0.13, -0.23), (0.28, -0.09)];
    canvas::polygon(picture, &place.points(&SIDE), colours.front);
    canvas::polygon(picture, &place.points(&GLASS), colours.ground);
    canvas::polygon(
        picture,
        &place.points(&[(-0.05, -0.25), (0.0, -0.25), (0.0, -0.08), (-0.05, -0.08)]),
        colours.front,
    );
    for wheel in [-0.42, 0.43] {
        place.disc(picture, (wheel, 0.17), 0.155, colours.ground);
        place.disc(picture, (wheel, 0.17), 0.125, colours.front);
        place.disc(picture, (wheel, 0.17), 0.05, colours.ground);
    }
    if rng.random_bool(0.75) {
        let line = [place.at(-0.6, 0.42), place.at(0.6, -0.46)];
        if let Some(path) = canvas::path(&line, false) {
            canvas::stroke(picture, &path, place.size * 0.11, colours.ground);
            canvas::stroke(picture, &path, place.size * 0.05, colours.accent);
        }
    }
}

/// A framed picture of mountains, as software shows one that is missing.
pub(super) fn mountains(picture: &mut Pixmap, _: &mut Rng, colours: Colours, place: &Place) {
    let frame = place.points(&[(-0.55, -0.4), (0.55, -0.4), (0.55, 0.4), (-0.55, 0.4)]);
    if let Some(path) = canvas::path(&frame, true) {
        canvas::stroke(picture, &path, place.size * 0.06, colours.front);
    }
    let ridge = [(-0.45, 0.3), (-0.18, -0.08), (0.0, 0.12), (0.2, -0.15), (0.45, 0.3)];
    canvas::polygon(picture, &place.points(&ridge), colours.front);
    place.disc(picture, (-0.28, -0.2), 0.08, colours.front);
}

/// The badge of some dealer: rings, rays, letters.
pub(super) fn logo(picture: &mut Pixmap, rng: &mut Rng, colours: Colours, place: &Place) {
    match rng.random_range(0..4) {
        0 => {
            place.disc(picture, (0.0, 0.0), 0.5, colours.front);
            place.disc(picture, (0.0, 0.0), 0.43, colours.ground);
            let rays = rng.random_range(3..7_u8);
            for ray in 0..rays {
                let turn = TAU * (f32::from(ray) / f32::from(rays)) - TAU / 4.0;
                let point = |by: f32, out: f32| (out * (turn + by).cos(), out * (turn + by).sin());
                canvas::polygon(
                    picture,
                    &place.points(&[point(0.0, 0.44), point(0.5, 0.09), point(-0.5, 0.09)]),
                    colours.front,
                );
            }
        }
        1 => {
            let rings = rng.random_range(2..5_u8);
            for ring in 0..rings {
                let x = (f32::from(ring) - f32::from(rings - 1) / 2.0) * 0.34;
                let round: Vec<(f32, f32)> = (0..48_u8)
                    .map(|step| {
                        let turn = TAU * f32::from(step) / 48.0;
                        place.at(x + 0.23 * turn.cos(), 0.23 * turn.sin())
                    })
                    .collect();
                if let Some(path) = canvas::path(&round, true) {
                    canvas::stroke(picture, &path, place.size * 0.045, colours.front);
                }
            }
        }
        2 => {
            let shield = [(-0.36, -0.45), (0.36, -0.45), (0.36, 0.1), (0.0, 0.5), (-0.36, 0.1)];
            canvas::polygon(picture, &place.points(&shield), colours.front);
            let band = [(-0.36, -0.2), (0.36, -0.35), (0.36, -0.1), (-0.36, 0.05)];
            canvas::polygon(picture, &place.points(&band), colours.accent);
        }
        _ => {
            for (index, lean) in [-0.3_f32, 0.0, 0.3].into_iter().enumerate() {
                let ink = if index == 1 { colours.accent } else { colours.front };
                let slash =
                    [(lean - 0.2, 0.35), (lean - 0.02, 0.35), (lean + 0.2, -0.35), (lean + 0.02, -0.35)];
                canvas::polygon(picture, &place.points(&slash), ink);
            }
        }
    }
}

//! A show room: tiles, walls, windows and lamps.

use rand::RngExt;
use tiny_skia::Pixmap;

use super::{
    Rng, canvas,
    colour::{Colour, from_hsl},
    lettering,
    light::Light,
    scene::{ink, seen},
    shadow,
    space::{Camera, Vec3, v3},
    vehicle::Vehicle,
};

/// Paints the hall over the whole picture; returns the light in it.
pub(super) fn surroundings(picture: &mut Pixmap, camera: &Camera, rng: &mut Rng) -> Light {
    let light = Light::indoors(rng);
    let to_middle = v3(camera.eye.x, camera.eye.y, 0.0);
    let away = to_middle.dot(to_middle.unit()) + rng.random_range(3.5..8.0);
    let tall = rng.random_range(3.2..5.5);
    ceiling(picture, camera, (away, tall), rng);
    wall(picture, camera, (away, tall), rng);
    floor(picture, camera, away, rng);
    if rng.random_bool(0.6) {
        let other = Vehicle::any(Colour::any(rng), rng);
        let at = camera.ground(rng.random_range(-6.0..6.0), away - 2.0, 0.0);
        let yaw = rng.random_range(0.0..6.0);
        shadow::cast(picture, camera, &other.body, (at, yaw), &light);
        other.draw_behind(picture, camera, &light, at, yaw);
    }
    canvas::blur(picture, (picture.width() / 640) as usize);
    light
}

/// Far to the left and to the right, where a hall ends for a camera in it.
const WIDE: f32 = 30.0;

fn flat(camera: &Camera, (left, right): (f32, f32), (near, far): (f32, f32), up: f32) -> Vec<(f32, f32)> {
    camera.outline(&[
        camera.ground(left, near, up),
        camera.ground(right, near, up),
        camera.ground(right, far, up),
        camera.ground(left, far, up),
    ])
}

fn ceiling(picture: &mut Pixmap, camera: &Camera, (away, tall): (f32, f32), rng: &mut Rng) {
    let tone = from_hsl(40.0, 0.03, rng.random_range(0.35..0.85));
    canvas::polygon(picture, &flat(camera, (-WIDE, WIDE), (0.4, away), tall), ink(tone));
    let spacing = rng.random_range(1.6..2.8);
    let (wide, long) = (rng.random_range(0.06..0.3), rng.random_range(0.4..1.2));
    for row in 0..8_u8 {
        for column in -6..=6_i8 {
            let (across, ahead) = (f32::from(column) * spacing, 1.0 + f32::from(row) * spacing);
            if ahead + long < away {
                let lamp = flat(camera, (across - wide, across + wide), (ahead, ahead + long), tall - 0.01);
                canvas::polygon(picture, &lamp, (255, 253, 246, 255));
            }
        }
    }
}

fn wall(picture: &mut Pixmap, camera: &Camera, (away, tall): (f32, f32), rng: &mut Rng) {
    let quad = |from: f32, to: f32, low: f32, top: f32| -> [Vec3; 4] {
        [
            camera.ground(from, away, low),
            camera.ground(to, away, low),
            camera.ground(to, away, top),
            camera.ground(from, away, top),
        ]
    };
    let tone =
        from_hsl(rng.random_range(0.0..360.0), rng.random_range(0.0..0.12), rng.random_range(0.3..0.9));
    canvas::polygon(picture, &camera.outline(&quad(-WIDE, WIDE, 0.0, tall)), ink(tone));
    let windows = rng.random_bool(0.5);
    let step = rng.random_range(1.5..3.5);
    for bay in -6..=6_i8 {
        let from = f32::from(bay) * step;
        if windows {
            let corners = camera.outline(&quad(from + 0.08, from + step - 0.08, 0.15, tall * 0.85));
            let bounds = corners.iter().fold((f32::MAX, f32::MIN), |(a, b), p| (a.min(p.1), b.max(p.1)));
            canvas::shaded(
                picture,
                &corners,
                (bounds.0, (236, 242, 248, 255)),
                (bounds.1, (150, 160, 150, 255)),
            );
        } else {
            let seam = camera.outline(&quad(from, from + 0.03, 0.0, tall));
            canvas::polygon(picture, &seam, (0, 0, 0, 40));
        }
    }
    let skirting = camera.outline(&quad(-WIDE, WIDE, 0.0, 0.12));
    canvas::polygon(picture, &skirting, ink(tone * 0.4));
    if rng.random_bool(0.5) {
        let (left, size) = (rng.random_range(-5.0..1.0), rng.random_range(0.35..0.8_f32));
        let place = |x: f32, y: f32| seen(camera, camera.ground(left + x, away - 0.02, tall * 0.93 - y));
        let (top, foot) = (place(0.0, 0.0).1, place(0.0, size).1);
        let brand = from_hsl(rng.random_range(0.0..360.0), 0.7, rng.random_range(0.2..0.5));
        if let Some(letters) = lettering::text("AUTO GALERIE", size, place) {
            canvas::stroke(picture, &letters, (foot - top).abs() * 0.16, ink(brand));
        }
    }
}

fn floor(picture: &mut Pixmap, camera: &Camera, away: f32, rng: &mut Rng) {
    let tone =
        from_hsl(rng.random_range(20.0..220.0), rng.random_range(0.0..0.08), rng.random_range(0.28..0.85));
    let outline = flat(camera, (-WIDE, WIDE), (0.4, away), 0.0);
    let bounds = outline.iter().fold((f32::MAX, f32::MIN), |(a, b), p| (a.min(p.1), b.max(p.1)));
    canvas::shaded(picture, &outline, (bounds.0, ink(tone * 1.25)), (bounds.1, ink(tone * 0.8)));
    let tile = rng.random_range(0.5..1.2);
    let joint = (30, 30, 30, rng.random_range(20..70));
    for line in -30..=30_i8 {
        let at = f32::from(line) * tile;
        canvas::polygon(picture, &flat(camera, (at, at + 0.012), (0.4, away), 0.0), joint);
        if at > 0.4 && at < away {
            canvas::polygon(picture, &flat(camera, (-WIDE, WIDE), (at, at + 0.012), 0.0), joint);
        }
    }
}

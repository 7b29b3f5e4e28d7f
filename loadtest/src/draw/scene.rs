//! What stands around a vehicle: sky, houses, trees, other cars, the ground and its markings.

use std::f32::consts::TAU;

use rand::RngExt;
use tiny_skia::Pixmap;

use super::{
    Rng,
    canvas::{self, Ink},
    colour::{Colour, from_hsl},
    lettering,
    light::Light,
    shadow,
    space::{Camera, Vec3, v3},
    vehicle::Vehicle,
};

/// Paints the surroundings over the whole picture; returns the light that they give.
pub(super) fn surroundings(picture: &mut Pixmap, camera: &Camera, rng: &mut Rng) -> Light {
    let light = Light::outdoors(rng);
    sky(picture, camera, &light, rng);
    horizon(picture, camera, rng);
    if rng.random_bool(0.75) {
        building(picture, camera, &light, rng);
    }
    ground(picture, camera, &light, rng);
    trees(picture, camera, rng);
    others(picture, camera, &light, rng);
    canvas::blur(picture, (picture.width() / 640) as usize);
    light
}

/// A colour in linear light as it is painted.
pub(super) fn ink(colour: Vec3) -> Ink {
    let stored = |light: f32| (light.clamp(0.0, 1.0).sqrt() * 255.0) as u8;
    (stored(colour.x), stored(colour.y), stored(colour.z), 255)
}

/// The place of a point in the picture.
pub(super) fn seen(camera: &Camera, point: Vec3) -> (f32, f32) {
    let seen = camera.see(point);
    (seen.x, seen.y)
}

fn sky(picture: &mut Pixmap, camera: &Camera, light: &Light, rng: &mut Rng) {
    let (wide, high) = (picture.width() as f32, picture.height() as f32);
    let horizon = camera.horizon().clamp(1.0, high);
    let whole = canvas::rectangle(0.0, 0.0, wide, high);
    let bright = 1.0 + 0.25 * light.sunshine;
    canvas::shaded(
        picture,
        &whole,
        (-high * 0.4, ink(light.zenith * bright)),
        (horizon, ink(light.horizon * bright)),
    );
    for _ in 0..rng.random_range(0..7) {
        let (x, y) = (rng.random_range(0.0..wide), rng.random_range(-0.1..0.8) * horizon);
        for _ in 0..14 {
            let at = (x + rng.random_range(-0.16..0.16) * wide, y + rng.random_range(-0.02..0.02) * high);
            let puff = rng.random_range(0.02..0.07) * wide;
            canvas::ellipse(picture, at, (puff * 1.8, puff * 0.45), (255, 255, 255, rng.random_range(8..30)));
        }
    }
    canvas::blur(picture, (wide / 90.0) as usize);
}

/// Far woods, hills or roofs.
fn horizon(picture: &mut Pixmap, camera: &Camera, rng: &mut Rng) {
    let (wide, high) = (picture.width() as f32, picture.height() as f32);
    let level = camera.horizon();
    let rough: f32 = rng.random_range(0.002..0.014);
    let mut edge = rng.random_range(0.03..0.10) * high;
    let mut line = vec![(0.0, level + high * 0.02)];
    for step in 0..=90_u8 {
        edge = (edge + rng.random_range(-rough..rough) * high).clamp(0.015 * high, 0.16 * high);
        line.push((wide * f32::from(step) / 90.0, level - edge));
    }
    line.push((wide, level + high * 0.02));
    let far =
        from_hsl(rng.random_range(90.0..190.0), rng.random_range(0.08..0.25), rng.random_range(0.25..0.45));
    canvas::polygon(picture, &line, ink(far));
}

/// A show room, a hall or a house, its front roughly facing the camera.
fn building(picture: &mut Pixmap, camera: &Camera, light: &Light, rng: &mut Rng) {
    let away = rng.random_range(11.0..26.0);
    let slant = rng.random_range(-0.35..0.35) * away;
    let (width, tall) = (rng.random_range(14.0..42.0), rng.random_range(3.6..7.5_f32));
    let middle = rng.random_range(-0.5..0.5) * away;
    let on_front =
        |along: f32, up: f32| camera.ground(middle + (along - 0.5) * width, away + slant * (along - 0.5), up);
    let quad = |from: f32, to: f32, low: f32, top: f32| {
        [on_front(from, low), on_front(to, low), on_front(to, top), on_front(from, top)]
    };
    let wall =
        from_hsl(rng.random_range(20.0..60.0), rng.random_range(0.0..0.25), rng.random_range(0.35..0.9));
    let lit = 0.75 + 0.3 * light.sunshine.min(1.0);
    canvas::polygon(picture, &camera.outline(&quad(0.0, 1.0, 0.0, tall)), ink(wall * lit));

    let bays = rng.random_range(4..11_u8);
    let (foot, head) = (rng.random_range(0.1..0.9), tall * rng.random_range(0.55..0.72));
    let glass = from_hsl(210.0, 0.15, rng.random_range(0.18..0.5));
    let gap = rng.random_range(0.06..0.3) / f32::from(bays);
    for bay in 0..bays {
        let from = f32::from(bay) / f32::from(bays) + gap / 2.0;
        let to = f32::from(bay + 1) / f32::from(bays) - gap / 2.0;
        let shade = rng.random_range(0.6..1.4);
        let corners = camera.outline(&quad(from, to, foot, head));
        let (top, bottom) = corners.iter().fold((f32::MAX, f32::MIN), |(a, b), p| (a.min(p.1), b.max(p.1)));
        canvas::shaded(
            picture,
            &corners,
            (top, ink(light.horizon * (0.55 * shade))),
            (bottom, ink(glass * shade)),
        );
    }
    if rng.random_bool(0.7) {
        let brand =
            from_hsl(rng.random_range(0.0..360.0), rng.random_range(0.0..0.9), rng.random_range(0.12..0.5));
        let (low, top) = (tall * 0.80, tall * 0.98);
        canvas::polygon(picture, &camera.outline(&quad(0.0, 1.0, low, top)), ink(brand));
        let names = ["AUTOHAUS", "MOTORS", "CAR CENTER", "AUTO PARK", "USED CARS", "GARAGE", "SERVICE"];
        let name = names[rng.random_range(0..names.len())];
        let size = (top - low) * 0.6;
        let start = rng.random_range(0.1..0.6);
        let middle_row = (top + low + size) / 2.0;
        let letters =
            lettering::text(name, size, |x, y| seen(camera, on_front(start + x / width, middle_row - y)));
        if let Some(letters) = letters {
            let scale = (seen(camera, on_front(0.5, 0.0)).1 - seen(camera, on_front(0.5, size)).1).abs();
            canvas::stroke(picture, &letters, scale * 0.16, (245, 245, 240, 255));
        }
    }
    let roof = ink(wall * 0.35);
    canvas::polygon(picture, &camera.outline(&quad(0.0, 1.0, tall * 0.98, tall * 1.02)), roof);
}

fn ground(picture: &mut Pixmap, camera: &Camera, light: &Light, rng: &mut Rng) {
    let (wide, high) = (picture.width() as f32, picture.height() as f32);
    let plot = |left: f32, right: f32, near: f32, far: f32| {
        camera.outline(&[
            camera.ground(left, near, 0.0),
            camera.ground(right, near, 0.0),
            camera.ground(right, far, 0.0),
            camera.ground(left, far, 0.0),
        ])
    };
    let kind = rng.random_range(0..10);
    let tone = match kind {
        0..6 => from_hsl(215.0, 0.04, rng.random_range(0.33..0.52)),
        6..9 => from_hsl(36.0, 0.08, rng.random_range(0.48..0.66)),
        _ => from_hsl(90.0, 0.30, rng.random_range(0.25..0.34)),
    };
    let tone = tone * (0.85 + 0.35 * light.sunshine.min(1.0));
    let level = camera.horizon();
    let far = tone * 1.15;
    canvas::shaded(picture, &plot(-300.0, 300.0, 0.4, 400.0), (level, ink(far)), (high, ink(tone * 0.9)));
    if rng.random_bool(0.5) {
        let edge = rng.random_range(9.0..14.0);
        let green = from_hsl(rng.random_range(75.0..110.0), 0.35, rng.random_range(0.24..0.36));
        canvas::polygon(picture, &plot(-200.0, 200.0, edge, edge + 3.0), ink(green));
        canvas::polygon(picture, &plot(-200.0, 200.0, edge - 0.2, edge), ink(tone * 1.5));
    }
    for _ in 0..rng.random_range(300..700) {
        let (across, away) = (rng.random_range(-9.0..9.0), rng.random_range(1.5..14.0_f32));
        let at = camera.see(camera.ground(across, away, 0.0));
        let size = rng.random_range(0.02..0.5) * wide / at.depth.max(1.0) * 0.25;
        let dark = rng.random_bool(0.55);
        let level = if dark { 0 } else { 255 };
        canvas::ellipse(
            picture,
            (at.x, at.y),
            (size * 2.0, size * 0.4),
            (level, level, level, rng.random_range(3..14)),
        );
    }
    canvas::grain(picture, level.max(0.0) as usize, rng);
    if kind < 9 && rng.random_bool(0.7) {
        let (spacing, turn) = (rng.random_range(2.4..3.2), rng.random_range(-0.5..0.5_f32));
        let paint = if rng.random_bool(0.85) { (225, 225, 220, 200) } else { (230, 190, 60, 210) };
        let along = v3(turn.sin(), turn.cos(), 0.0);
        let offset = rng.random_range(0.0..spacing);
        for line in -5..=5_i8 {
            let middle = f32::from(line) * spacing + offset;
            let from = rng.random_range(-0.1..0.1) + 4.5;
            let corner =
                |side: f32, away: f32| camera.ground(middle + along.x * away + side * 0.06, from + away, 0.0);
            let stripe = [corner(-1.0, 0.0), corner(1.0, 0.0), corner(1.0, 5.0), corner(-1.0, 5.0)];
            canvas::polygon(picture, &camera.outline(&stripe), paint);
        }
    }
}

fn trees(picture: &mut Pixmap, camera: &Camera, rng: &mut Rng) {
    for _ in 0..rng.random_range(0..5) {
        let away = rng.random_range(10.0..24.0_f32);
        let across = rng.random_range(-0.75..0.75) * away;
        let foot = camera.see(camera.ground(across, away, 0.0));
        let metre = foot.y - camera.see(camera.ground(across, away, 1.0)).y;
        let tall = rng.random_range(2.5..7.0) * metre;
        let trunk = canvas::rectangle(foot.x - 0.09 * metre, foot.y - tall * 0.6, 0.18 * metre, tall * 0.6);
        canvas::polygon(picture, &trunk, (70, 58, 48, 255));
        let hue = rng.random_range(70.0..125.0);
        for leaf in 0..=255_u8 {
            let (turn, out) = (rng.random_range(0.0..TAU), rng.random::<f32>().sqrt());
            let at = (
                foot.x + turn.cos() * out * tall * 0.34,
                foot.y - tall * 0.70 + turn.sin() * out * tall * 0.33,
            );
            let lit =
                0.12 + 0.20 * rng.random::<f32>() * (0.4 + f32::from(leaf) / 255.0) - 0.05 * turn.sin() * out;
            let size = tall * rng.random_range(0.015..0.055);
            canvas::ellipse(picture, at, (size, size * 0.8), ink(from_hsl(hue, 0.35, lit.clamp(0.05, 0.6))));
        }
    }
}

/// Other vehicles, in a row behind the one that the picture is of.
fn others(picture: &mut Pixmap, camera: &Camera, light: &Light, rng: &mut Rng) {
    if rng.random_bool(0.3) {
        return;
    }
    let away = 5.0 + camera.eye.dot(v3(camera.eye.x, camera.eye.y, 0.0).unit()) + rng.random_range(0.0..4.0);
    let yaw = rng.random_range(0.0..TAU);
    let first = rng.random_range(-9.0..-3.0);
    let common = [Colour::White, Colour::Gray, Colour::Silver, Colour::Black, Colour::Blue, Colour::Red];
    for place in 0..rng.random_range(1..5_u8) {
        let other = Vehicle::any(common[rng.random_range(0..common.len())], rng);
        let at = camera.ground(first + f32::from(place) * rng.random_range(3.2..5.2), away, 0.0);
        shadow::cast(picture, camera, &other.body, (at, yaw), light);
        other.draw_behind(picture, camera, light, at, yaw);
    }
}

//! Photos of a real vehicle, as a dealer takes them on the forecourt.

use rand::RngExt;
use std::f32::consts::{FRAC_PI_2, PI};

use super::{
    ImageType, Picture, Rng, Size, Truth, canvas,
    canvas::Sensor,
    colour::Colour,
    encode, hall, scene, shadow,
    space::{Camera, v3},
    vehicle::Vehicle,
};

/// Draws a vehicle where a dealer would photograph it, with all that a telephone does to a photo,
/// as a JPEG of this quality.
pub fn vehicle_in_scene(rng: &mut Rng, size: Size, quality: u8) -> Picture {
    let colour = Colour::any(rng);
    let vehicle = Vehicle::any(colour, rng);
    let camera = viewpoint(&vehicle, rng, size);

    let mut picture = canvas::blank(size, (128, 128, 128, 255));
    let here = v3(0.0, 0.0, 0.0);
    let light = if rng.random_bool(0.15) {
        let light = hall::surroundings(&mut picture, &camera, rng);
        vehicle.draw_reflection(&mut picture, &camera, &light, rng.random_range(0.15..0.5));
        light
    } else {
        scene::surroundings(&mut picture, &camera, rng)
    };
    shadow::cast(&mut picture, &camera, &vehicle.body, (here, 0.0), &light);
    vehicle.draw(&mut picture, &camera, &light);
    if rng.random_bool(0.35) {
        canvas::blur(&mut picture, 1);
    }
    Sensor::any(rng).apply(&mut picture, rng);

    Picture {
        name: format!("dealer-{colour}-{}", vehicle.body.style),
        bytes: encode::jpeg(&picture, quality).into(),
        content_type: encode::JPEG,
        truth: Truth { image_type: ImageType::Dealer, color: Some(colour) },
    }
}

/// Somewhere around the vehicle, at the height of a person's eyes or a little lower, never quite level.
fn viewpoint(vehicle: &Vehicle, rng: &mut Rng, size: Size) -> Camera {
    let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let around = side
        * match rng.random_range(0..20) {
            0..9 => rng.random_range(0.45..0.95),
            9..13 => FRAC_PI_2 + rng.random_range(-0.15..0.15),
            13..18 => PI - rng.random_range(0.45..0.95),
            18 => rng.random_range(0.0..0.15),
            _ => PI - rng.random_range(0.0..0.15),
        };
    let field: f32 = rng.random_range(0.85..1.15);
    let seen_length =
        vehicle.body.length * around.sin().abs() + 2.0 * vehicle.body.half_width * around.cos().abs();
    let fills = rng.random_range(0.66..1.02);
    let distance = seen_length / fills / (2.0 * (field / 2.0).tan()) + 1.8 * around.cos().abs() + 0.8;
    let eye = v3(around.cos() * distance, around.sin() * distance, rng.random_range(1.15..1.85));
    let target =
        v3(rng.random_range(-0.25..0.25), rng.random_range(-0.25..0.25), rng.random_range(0.55..0.95));
    Camera::new(eye, target, field, rng.random_range(-0.025..0.025), size.as_f32())
}

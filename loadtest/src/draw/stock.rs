//! Stock pictures: a vehicle of the same make, rendered clean on white.

use rand::RngExt;
use std::f32::consts::{FRAC_PI_2, PI};

use super::{
    ImageType, Picture, Rng, Size, Truth, canvas,
    colour::Colour,
    encode,
    light::Light,
    shadow,
    space::{Camera, v3},
    vehicle::Vehicle,
};

/// Draws a vehicle in a white studio, centred, without noise.
pub fn vehicle_in_studio(rng: &mut Rng, size: Size) -> Picture {
    let colour = Colour::any(rng);
    let vehicle = Vehicle::any(colour, rng);
    let camera = viewpoint(&vehicle, rng, size);
    let light = Light::studio(rng);
    let here = v3(0.0, 0.0, 0.0);

    let mut picture = backdrop(rng, size, &camera);
    if rng.random_bool(0.45) {
        vehicle.draw_reflection(&mut picture, &camera, &light, rng.random_range(0.12..0.35));
    }
    shadow::cast(&mut picture, &camera, &vehicle.body, (here, 0.0), &light);
    vehicle.draw(&mut picture, &camera, &light);

    let as_png = rng.random_bool(0.2);
    Picture {
        name: format!("stock-{colour}-{}", vehicle.body.style),
        bytes: if as_png { encode::png(&picture) } else { encode::jpeg(&picture, 85) }.into(),
        content_type: if as_png { encode::PNG } else { encode::JPEG },
        truth: Truth { image_type: ImageType::Stock, color: Some(colour) },
    }
}

/// White, or nearly: a plain ground, a soft gradient, or a floor that meets a wall.
fn backdrop(rng: &mut Rng, size: Size, camera: &Camera) -> tiny_skia::Pixmap {
    let (wide, high) = size.as_f32();
    let mut picture = canvas::blank(size, (255, 255, 255, 255));
    let light = |level: u8| (level, level, level.saturating_add(1), 255);
    match rng.random_range(0..10) {
        0..5 => {}
        5..8 => {
            let (top, bottom) = (light(rng.random_range(225..=254)), light(rng.random_range(236..=254)));
            canvas::shaded(
                &mut picture,
                &canvas::rectangle(0.0, 0.0, wide, high),
                (0.0, top),
                (high, bottom),
            );
        }
        _ => {
            let meet = camera.horizon() + high * 0.06;
            let (wall, floor) = (light(rng.random_range(226..=246)), light(rng.random_range(206..=234)));
            canvas::shaded(
                &mut picture,
                &canvas::rectangle(0.0, 0.0, wide, high),
                (0.0, light(252)),
                (meet, wall),
            );
            let ground = canvas::rectangle(0.0, meet, wide, high - meet);
            canvas::shaded(&mut picture, &ground, (meet, floor), (high, light(250)));
            canvas::blur(&mut picture, 6);
        }
    }
    picture
}

/// The views of a brochure: from the front corner, the side or the rear corner, level, from far.
fn viewpoint(vehicle: &Vehicle, rng: &mut Rng, size: Size) -> Camera {
    let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let around: f32 = side
        * match rng.random_range(0..10) {
            0..5 => rng.random_range(0.5..0.85),
            5..8 => FRAC_PI_2,
            _ => PI - rng.random_range(0.5..0.85),
        };
    let field: f32 = rng.random_range(0.45..0.7);
    let seen_length =
        vehicle.body.length * around.sin().abs() + 2.0 * vehicle.body.half_width * around.cos().abs();
    let distance = seen_length / rng.random_range(0.72..0.92) / (2.0 * (field / 2.0).tan()) + 0.8;
    let eye = v3(around.cos() * distance, around.sin() * distance, rng.random_range(1.0..1.8));
    Camera::new(eye, v3(0.0, 0.0, 0.68), field, 0.0, size.as_f32())
}

//! Shadows on the ground.

use std::f32::consts::FRAC_PI_2;

use tiny_skia::Pixmap;

use super::{
    body::Body,
    canvas,
    light::Light,
    space::{Camera, Vec3, mix, v3},
};

/// The shadow of a vehicle: dark below it, and a sharper one where the sun casts it.
pub(super) fn cast(
    picture: &mut Pixmap,
    camera: &Camera,
    body: &Body,
    (place, yaw): (Vec3, f32),
    light: &Light,
) {
    let (half, side) = (body.length / 2.0, body.half_width);
    let on_ground = |x: f32, y: f32| place + v3(x, y, 0.0).turned(yaw);
    let footprint = |grow: f32| -> Vec<Vec3> {
        let round = 0.35 + grow.max(0.0);
        let corners = [(1.0, 1.0, 0.0), (-1.0, 1.0, 1.0), (-1.0, -1.0, 2.0), (1.0, -1.0, 3.0)];
        let mut outline = Vec::new();
        for (sx, sy, quarter) in corners {
            for step in 0..=4_u8 {
                let turn = (quarter + f32::from(step) / 4.0) * FRAC_PI_2;
                outline.push(on_ground(
                    sx * (half + grow - round) + round * turn.cos(),
                    sy * (side + grow - round) + round * turn.sin(),
                ));
            }
        }
        outline
    };
    if light.sunshine > 0.3 {
        let throw = v3(-light.sun.x, -light.sun.y, 0.0) * (body.deck(0.0) * 1.1 / light.sun.z.max(0.3));
        let mut cast: Vec<Vec3> = footprint(-0.05);
        cast.extend(footprint(-0.25).iter().map(|point| *point + throw));
        let outline = camera.outline(&hull(cast));
        canvas::polygon(picture, &outline, (8, 10, 18, (mix(60.0, 150.0, light.sunshine.min(1.0))) as u8));
    }
    for step in 0..30_u8 {
        let grow = 0.30 - 0.024 * f32::from(step);
        canvas::polygon(picture, &camera.outline(&footprint(grow)), (6, 6, 9, 4 + step / 2));
    }
}

/// The corners of the smallest convex outline around points on the ground.
fn hull(mut points: Vec<Vec3>) -> Vec<Vec3> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let mut outline: Vec<Vec3> = Vec::new();
    for pass in 0..2 {
        let start = outline.len();
        for &point in &points {
            while outline.len() >= start + 2 {
                let (a, b) = (outline[outline.len() - 2], outline[outline.len() - 1]);
                if (b - a).cross(point - b).z > 0.0 {
                    break;
                }
                outline.pop();
            }
            outline.push(point);
        }
        outline.pop();
        if pass == 0 {
            points.reverse();
        }
    }
    outline
}

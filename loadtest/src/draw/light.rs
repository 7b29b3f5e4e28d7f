//! Light: what surrounds a vehicle, is mirrored in its lacquer and falls on it.

use std::f32::consts::{FRAC_PI_2, TAU};

use rand::RngExt;

use super::{
    Rng,
    colour::Lacquer,
    space::{Vec3, mix, smoothstep, v3},
};

/// The surroundings, as far as a reflection can tell.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub zenith: Vec3,
    pub horizon: Vec3,
    pub ground: Vec3,
    /// Where the sun is, and how strong: 0 under clouds.
    pub sun: Vec3,
    pub sunshine: f32,
    /// Height and darkness of the houses and trees along the horizon.
    skyline: f32,
    phase: f32,
    /// Strip lights overhead, as in a studio or a hall.
    strips: bool,
}

impl Light {
    /// Daylight, sunny to overcast.
    pub fn outdoors(rng: &mut Rng) -> Self {
        let cloud = rng.random::<f32>();
        let sunshine = if cloud < 0.55 { rng.random_range(0.7..1.5) } else { rng.random_range(0.0..0.15) };
        let (azimuth, height) = (rng.random_range(0.0..TAU), rng.random_range(0.5..1.2_f32));
        Self {
            zenith: lerp(v3(0.10, 0.26, 0.62), v3(0.52, 0.56, 0.62), smoothstep(0.3, 0.8, cloud)),
            horizon: lerp(v3(0.60, 0.72, 0.84), v3(0.78, 0.80, 0.82), smoothstep(0.3, 0.8, cloud)),
            ground: v3(0.17, 0.17, 0.17) * rng.random_range(0.7..1.4),
            sun: v3(azimuth.cos() * height.cos(), azimuth.sin() * height.cos(), height.sin()),
            sunshine,
            skyline: rng.random_range(0.06..0.22),
            phase: rng.random_range(0.0..TAU),
            strips: false,
        }
    }

    /// A hall with lamps under its ceiling.
    pub fn indoors(rng: &mut Rng) -> Self {
        Self {
            zenith: v3(0.30, 0.30, 0.30),
            horizon: v3(0.55, 0.54, 0.51),
            ground: v3(0.30, 0.29, 0.27),
            sun: v3(0.2, 0.3, 0.93),
            sunshine: 0.25,
            skyline: 0.1,
            phase: rng.random_range(0.0..TAU),
            strips: true,
        }
    }

    /// A white studio.
    pub fn studio(rng: &mut Rng) -> Self {
        Self {
            zenith: v3(0.95, 0.95, 0.96),
            horizon: v3(0.80, 0.80, 0.81),
            ground: v3(0.52, 0.52, 0.53),
            sun: v3(0.3, rng.random_range(-0.4..0.4), 0.86).unit(),
            sunshine: 0.15,
            skyline: 0.0,
            phase: rng.random_range(0.0..TAU),
            strips: true,
        }
    }

    /// The same light in the coordinates of a thing turned by `yaw`.
    pub fn within(&self, yaw: f32) -> Self {
        Self { sun: self.sun.turned(-yaw), ..self.clone() }
    }

    /// What is seen in the direction `to`.
    pub fn seen(&self, to: Vec3) -> Vec3 {
        if to.z < 0.0 {
            return lerp(self.horizon * 0.45, self.ground, smoothstep(0.0, 0.35, -to.z));
        }
        let mut sky = lerp(self.horizon, self.zenith, smoothstep(0.0, 0.75, to.z));
        if self.strips {
            let strip = smoothstep(0.55, 0.62, to.z) * smoothstep(0.30, 0.16, (to.y.abs() - 0.35).abs());
            sky = sky + v3(1.0, 1.0, 1.0) * (0.9 * strip);
        }
        if self.skyline > 0.0 && to.z < 1.1 * self.skyline + 0.03 {
            let azimuth = fast_angle(to.x, to.y) + self.phase;
            let bumps = 0.6 + 0.25 * (azimuth * 5.0).sin() + 0.25 * (azimuth * 13.0).sin();
            let edge = self.skyline * bumps;
            sky = lerp(self.horizon * 0.22, sky, smoothstep(edge, edge + 0.03, to.z));
        }
        sky
    }

    /// How much light falls on a surface, from everywhere.
    pub fn falling(&self, normal: Vec3) -> Vec3 {
        let up = normal.z * 0.5 + 0.5;
        let sky = lerp(self.horizon, self.zenith, 0.5);
        let around = lerp(self.ground * 0.9, sky, up);
        around + v3(1.0, 0.95, 0.86) * (self.sunshine * normal.dot(self.sun).max(0.0))
    }

    /// Lacquer: a coloured ground, flakes, and a clear coat that mirrors the surroundings.
    pub fn lacquer(&self, lacquer: Lacquer, normal: Vec3, to_eye: Vec3) -> Vec3 {
        let facing = normal.dot(to_eye).clamp(0.0, 1.0);
        let mirror = to_eye.mirrored(normal);
        let coat = mix(0.06, 1.0, (1.0 - facing).powi(4)) * 0.85;
        let seen = self.seen(mirror);
        let sheen = self.falling(mirror) * (0.35 + 0.65 * facing);
        let ground = lerp(self.falling(normal), sheen, 0.55 * lacquer.metal);
        let glint = self.glint(mirror, 90) * 2.0 + self.glint(mirror, 12) * 0.25 * lacquer.metal;
        times(lacquer.base, ground) + seen * coat + v3(1.0, 0.97, 0.9) * glint
    }

    /// Dark glass: mostly what it mirrors.
    pub fn glass(&self, behind: Vec3, normal: Vec3, to_eye: Vec3) -> Vec3 {
        let facing = normal.dot(to_eye).clamp(0.0, 1.0);
        let coat = mix(0.09, 1.0, (1.0 - facing).powi(4));
        let mirror = to_eye.mirrored(normal);
        lerp(behind, self.seen(mirror), coat) + v3(1.0, 1.0, 0.95) * (self.glint(mirror, 200) * 2.0)
    }

    /// A surface without gloss.
    pub fn dull(&self, base: Vec3, normal: Vec3) -> Vec3 {
        times(base, self.falling(normal))
    }

    fn glint(&self, mirror: Vec3, power: i32) -> f32 {
        self.sunshine * mirror.dot(self.sun).max(0.0).powi(power)
    }
}

/// Between two colours.
pub(super) fn lerp(from: Vec3, to: Vec3, share: f32) -> Vec3 {
    from + (to - from) * share
}

fn times(a: Vec3, b: Vec3) -> Vec3 {
    v3(a.x * b.x, a.y * b.y, a.z * b.z)
}

/// Nearly the angle of (x, y): continuous, 0 to 2 pi, without a call to the maths library.
fn fast_angle(x: f32, y: f32) -> f32 {
    let share = y / (x.abs() + y.abs() + 1e-6);
    let quarter = if x >= 0.0 { share } else { 2.0 - share };
    (quarter + 1.0) * FRAC_PI_2
}

//! Vectors and the camera: metres in the world, pixels in the picture.

use std::ops::{Add, Mul, Neg, Sub};

/// A point or a direction. For a vehicle, x points to its front, y to its left, z up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// Short for the constructor that this module's users write most.
pub(super) const fn v3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub fn cross(self, other: Self) -> Self {
        v3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub fn unit(self) -> Self {
        self * (1.0 / self.dot(self).sqrt().max(1e-9))
    }

    /// Turns counter-clockwise about the vertical axis.
    pub fn turned(self, yaw: f32) -> Self {
        let (sin, cos) = yaw.sin_cos();
        v3(self.x * cos - self.y * sin, self.x * sin + self.y * cos, self.z)
    }

    /// The direction into which light from `self` leaves a mirror with this `normal`.
    pub fn mirrored(self, normal: Self) -> Self {
        normal * (2.0 * self.dot(normal)) - self
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        v3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        v3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, by: f32) -> Self {
        v3(self.x * by, self.y * by, self.z * by)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// A point in the picture and how far from the camera it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub x: f32,
    pub y: f32,
    pub depth: f32,
}

/// Nearer than this nothing is drawn.
pub(super) const NEAR: f32 = 0.3;

/// A pinhole camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    pub eye: Vec3,
    right: Vec3,
    up: Vec3,
    forward: Vec3,
    focal: f32,
    centre: (f32, f32),
}

impl Camera {
    /// Looks from `eye` at `target`; `field` is the horizontal field of view and `roll` the tilt, in radians.
    pub fn new(eye: Vec3, target: Vec3, field: f32, roll: f32, (width, height): (f32, f32)) -> Self {
        let forward = (target - eye).unit();
        let level = forward.cross(v3(0.0, 0.0, 1.0)).unit();
        let upright = level.cross(forward);
        let (sin, cos) = roll.sin_cos();
        Self {
            eye,
            right: level * cos + upright * sin,
            up: upright * cos - level * sin,
            forward,
            focal: width / 2.0 / (field / 2.0).tan(),
            centre: (width / 2.0, height / 2.0),
        }
    }

    /// The same view in the coordinates of a thing that stands at `place`, turned by `yaw`.
    pub fn within(&self, place: Vec3, yaw: f32) -> Self {
        Self {
            eye: (self.eye - place).turned(-yaw),
            right: self.right.turned(-yaw),
            up: self.up.turned(-yaw),
            forward: self.forward.turned(-yaw),
            ..*self
        }
    }

    /// Where `point` is seen; its depth may be negative, behind the camera.
    pub fn see(&self, point: Vec3) -> Seen {
        let to = point - self.eye;
        let depth = to.dot(self.forward);
        let scale = self.focal / depth.max(1e-3);
        Seen {
            x: self.centre.0 + to.dot(self.right) * scale,
            y: self.centre.1 - to.dot(self.up) * scale,
            depth,
        }
    }

    /// The outline of a flat polygon in the picture, cut off where it passes behind the camera.
    pub fn outline(&self, corners: &[Vec3]) -> Vec<(f32, f32)> {
        let distance = |point: Vec3| (point - self.eye).dot(self.forward) - NEAR;
        let mut outline = Vec::with_capacity(corners.len() + 2);
        for (index, &corner) in corners.iter().enumerate() {
            let next = corners[(index + 1) % corners.len()];
            let (here, there) = (distance(corner), distance(next));
            if here >= 0.0 {
                outline.push(corner);
            }
            if (here >= 0.0) != (there >= 0.0) {
                outline.push(corner + (next - corner) * (here / (here - there)));
            }
        }
        outline
            .into_iter()
            .map(|point| {
                let seen = self.see(point);
                (seen.x, seen.y)
            })
            .collect()
    }

    /// The row of the horizon in the middle of the picture.
    pub fn horizon(&self) -> f32 {
        let level = v3(self.forward.x, self.forward.y, 0.0).unit();
        self.see(self.eye + level * 1000.0).y
    }

    /// Points on the ground as the camera sees them: `across` metres to the right of it, `away` metres ahead.
    pub fn ground(&self, across: f32, away: f32, up: f32) -> Vec3 {
        let ahead = v3(self.forward.x, self.forward.y, 0.0).unit();
        let right = ahead.cross(v3(0.0, 0.0, 1.0));
        let on_ground = v3(self.eye.x, self.eye.y, up);
        on_ground + ahead * away + right * across
    }
}

/// 0 below `from`, 1 above `to`, smooth between.
pub(super) fn smoothstep(from: f32, to: f32, value: f32) -> f32 {
    let t = ((value - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Between `from` and `to`, at `share`.
pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

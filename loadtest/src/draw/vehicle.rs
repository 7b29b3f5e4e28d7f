//! A vehicle: its body, its lacquer and its details, drawn from any side.

use rand::RngExt;
use tiny_skia::Pixmap;

use super::{
    Rng,
    body::{Body, Style},
    colour::{Colour, Lacquer},
    light::Light,
    mesh::{self, Mesh, Part},
    raster::{Layer, Quality, Shade, Spot},
    space::{Camera, Vec3, smoothstep, v3},
};

/// A vehicle, ready to be drawn from any side.
pub(super) struct Vehicle {
    pub body: Body,
    meshes: Vec<Mesh>,
    pub lacquer: Lacquer,
    pub details: Details,
}

/// What differs between two vehicles of the same shape.
pub(super) struct Details {
    pub spokes: f32,
    pub rim: Vec3,
    /// 0 for clear side windows, 1 for black ones.
    pub tint: f32,
    /// Shiny grille and window frames.
    pub chrome: bool,
    /// Unpainted plastic around the wheels and along the sills.
    pub cladding: bool,
    /// From one bar of the grille to the next, in metres.
    pub grille_bars: f32,
    pub yellow_plate: bool,
    pub plate_letters: u32,
    /// The height of the edge along the side, as a share of the side.
    pub crease: f32,
    /// Top of the bonnet at its front end.
    pub nose: f32,
    /// Top of the boot at its rear end.
    pub tail: f32,
}

pub(super) const BLACK: Vec3 = v3(0.012, 0.012, 0.013);
pub(super) const PLASTIC: Vec3 = v3(0.03, 0.03, 0.032);
pub(super) const CHROME: Lacquer = Lacquer { base: v3(0.55, 0.56, 0.58), metal: 1.0 };

impl Vehicle {
    /// Any vehicle of this colour.
    pub fn any(colour: Colour, rng: &mut Rng) -> Self {
        let body = Body::any(rng);
        let half = body.length / 2.0;
        let rim = if rng.random_bool(0.25) { 0.03 } else { rng.random_range(0.35..0.65) };
        Self {
            meshes: mesh::vehicle(&body),
            lacquer: colour.lacquer(rng),
            details: Details {
                spokes: f32::from(rng.random_range(5..=10_u8)),
                rim: v3(rim, rim, rim * 1.02),
                tint: rng.random_range(0.0..1.0),
                chrome: rng.random_bool(0.4),
                cladding: body.style == Style::Suv && rng.random_bool(0.7),
                grille_bars: rng.random_range(0.025..0.06),
                yellow_plate: rng.random_bool(0.15),
                plate_letters: rng.random(),
                crease: rng.random_range(0.60..0.80),
                nose: body.deck(half - 0.12),
                tail: body.deck(-half + 0.12),
            },
            body,
        }
    }

    /// Draws the vehicle that a picture is of. It stands at the origin.
    pub fn draw(&self, picture: &mut Pixmap, camera: &Camera, light: &Light) {
        self.draw_layer(picture, camera, light, Quality::Fine);
    }

    /// Draws the vehicle in the background: at `place`, turned by `yaw`.
    pub fn draw_behind(&self, picture: &mut Pixmap, camera: &Camera, light: &Light, place: Vec3, yaw: f32) {
        self.draw_layer(picture, &camera.within(place, yaw), &light.within(yaw), Quality::Coarse);
    }

    fn draw_layer(&self, picture: &mut Pixmap, camera: &Camera, light: &Light, quality: Quality) {
        let size = (picture.width(), picture.height());
        let mut layer = Layer::around(camera, &self.meshes, size, quality);
        for mesh in &self.meshes {
            layer.draw(camera, mesh, false, |spot| self.shade(mesh.part, spot, camera, light));
        }
        layer.lay_over(picture);
    }

    /// Draws the mirror image that a shiny floor shows of the vehicle at the origin.
    pub fn draw_reflection(&self, picture: &mut Pixmap, camera: &Camera, light: &Light, strength: f32) {
        let mut below = self.meshes.clone();
        for vertex in below.iter_mut().flat_map(|mesh| &mut mesh.vertices) {
            vertex.at.z = -vertex.at.z;
        }
        let size = (picture.width(), picture.height());
        let mut layer = Layer::around(camera, &below, size, Quality::Coarse);
        for mesh in &below {
            layer.draw(camera, mesh, true, |spot| {
                let above = Spot { at: v3(spot.at.x, spot.at.y, -spot.at.z), ..*spot };
                let fading = strength * (1.0 - smoothstep(0.0, 0.9, above.at.z));
                if fading <= 0.0 {
                    return None;
                }
                let (colour, _) = self.shade(mesh.part, &above, camera, light)?;
                Some((colour, fading))
            });
        }
        layer.lay_over(picture);
    }

    fn shade(&self, part: Part, spot: &Spot, camera: &Camera, light: &Light) -> Shade {
        let to_eye = (camera.eye - spot.at).unit();
        let colour = match part {
            Part::Shell => self.shell(spot, to_eye, light)?,
            Part::Mirror if spot.normal.x < -0.75 => light.glass(BLACK, spot.normal, to_eye),
            Part::Mirror => light.lacquer(self.lacquer, spot.normal, to_eye),
            Part::Well if spot.at.z < self.body.sill + 0.04 => return None,
            Part::Well => BLACK * 0.6,
            Part::Wheel(axle) => self.wheel(axle, spot, to_eye, light),
        };
        let hidden = smoothstep(0.1, -0.9, spot.normal.z) * smoothstep(0.75, 0.2, spot.at.z);
        Some((colour * (1.0 - 0.7 * hidden), 1.0))
    }

    fn wheel(&self, axle: f32, spot: &Spot, to_eye: Vec3, light: &Light) -> Vec3 {
        let (x, z) = (spot.at.x - axle, spot.at.z - self.body.wheel_radius);
        let out = x.hypot(z) / self.body.wheel_radius;
        if out > 0.71 {
            let ring = if (0.80..0.815).contains(&out) { 1.6 } else { 1.0 };
            return light.dull(PLASTIC * (0.8 * ring), spot.normal);
        }
        let turn = z.atan2(x) * self.details.spokes;
        let spoke = turn.cos() > 0.15 + 0.5 * (out - 0.3);
        let metal = Lacquer { base: self.details.rim, metal: 0.8 };
        if spoke || !(0.13..0.63).contains(&out) {
            let side = v3(-x, 0.0, -z) * (0.9 * turn.sin());
            return light.lacquer(metal, (spot.normal + side).unit(), to_eye);
        }
        let brake = if (0.2..0.48).contains(&out) { 0.10 } else { 0.02 };
        light.dull(v3(brake, brake, brake), spot.normal)
    }
}

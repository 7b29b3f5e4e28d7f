//! What is found where on a vehicle's shell: glass, lamps, grille, plates, gaps.

use super::{
    body::Style,
    light::{Light, lerp},
    raster::Spot,
    space::{Vec3, smoothstep, v3},
    vehicle::{BLACK, CHROME, PLASTIC, Vehicle},
};

impl Vehicle {
    /// The colour of a spot of the shell; `None` where a wheel arch is cut out.
    pub(super) fn shell(&self, spot: &Spot, to_eye: Vec3, light: &Light) -> Option<Vec3> {
        let Spot { at, zone, .. } = *spot;
        let (body, details) = (&self.body, &self.details);
        let outside = at.y.abs() > 0.6 * body.half_width;
        if outside && zone < 1.0 {
            let from_axle = body
                .axles()
                .iter()
                .map(|axle| (at.x - axle).powi(2) + (at.z - body.wheel_radius).powi(2))
                .fold(f32::MAX, f32::min)
                .sqrt();
            if from_axle < body.arch() {
                return None;
            }
            let lip = if details.cladding { 0.075 } else { 0.012 };
            if from_axle < body.arch() + lip {
                let base = if details.cladding { PLASTIC } else { self.lacquer.base * 0.4 };
                return Some(light.dull(base, spot.normal));
            }
        }
        let skirt = if details.cladding { 0.15 } else { 0.07 };
        if zone < 1.0 && at.z < body.sill + skirt {
            return Some(light.dull(PLASTIC, spot.normal));
        }
        let glass_or_lamp = self
            .glass(spot, to_eye, light)
            .or_else(|| self.front(spot, to_eye, light))
            .or_else(|| self.rear(spot, to_eye, light));
        if glass_or_lamp.is_some() {
            return glass_or_lamp;
        }
        let normal = self.creased(spot);
        let painted = light.lacquer(self.lacquer, normal, to_eye);
        Some(painted * (1.0 - 0.75 * self.gaps(spot)))
    }

    /// Side windows with their pillars, windscreen and rear window.
    fn glass(&self, spot: &Spot, to_eye: Vec3, light: &Light) -> Option<Vec3> {
        let Spot { at, normal, zone } = *spot;
        let (body, details) = (&self.body, &self.details);
        let (deck, roof) = (body.deck(at.x), body.roof(at.x));
        if zone < 1.0 || roof - deck < 0.05 {
            return None;
        }
        let side = zone < 1.96 && normal.y.abs() > 0.6;
        if side {
            let [rear_axle, _] = body.axles();
            let end = match body.style {
                Style::Sedan => rear_axle - 0.12,
                Style::Hatchback => rear_axle - 0.25,
                Style::Suv | Style::Van => body.cabin_rear() + 0.42,
            };
            let (above, below) = (at.z - deck - 0.03, roof - 0.055 - at.z);
            let slanted = end - 0.35 * (roof - at.z - 0.2);
            if above < 0.0 || below < 0.0 || at.x < slanted || roof - deck < 0.13 {
                return (details.chrome && above > -0.018 && above < 0.0 && at.x > slanted)
                    .then(|| light.lacquer(CHROME, normal, to_eye));
            }
            let middle = self.middle_pillar();
            let behind_axle = (at.x - rear_axle - 0.12).abs() < 0.035;
            if (at.x - middle).abs() < 0.045 || behind_axle {
                return Some(light.dull(BLACK, normal));
            }
            return Some(light.glass(self.cabin(at, middle, light), normal, to_eye));
        }
        let rim = body.half_width * 0.93 - body.tumblehome * (at.z - deck) - 0.075;
        let framed = at.y.abs() < rim;
        let windscreen = at.x > body.screen_top() - 0.02 && at.z > body.deck(body.cowl()) + 0.015;
        if windscreen && normal.x > 0.3 && framed {
            let seats = smoothstep(0.16, 0.10, (at.y.abs() - 0.36).abs()) * smoothstep(0.0, 0.1, at.z - deck);
            return Some(light.glass(BLACK * (3.0 - 2.0 * seats), normal, to_eye));
        }
        let top = body.roof(body.cabin_rear() + 0.9) - 0.09;
        let rear_window =
            at.x < 0.0 && normal.x < -0.3 && at.z > deck.max(self.details.tail) + 0.05 && at.z < top;
        if rear_window && framed {
            return Some(light.glass(BLACK * (1.0 + details.tint), normal, to_eye));
        }
        None
    }

    /// What is seen through a side window: seats against the windows of the other side.
    fn cabin(&self, at: Vec3, middle: f32, light: &Light) -> Vec3 {
        let low = at.z - self.body.deck(at.x);
        let seat = [middle + 0.02, middle - 0.85]
            .iter()
            .map(|x| {
                let back = smoothstep(0.17, 0.12, (at.x - x).abs()) * smoothstep(0.20, 0.15, low);
                let head = smoothstep(0.12, 0.09, (at.x - x + 0.05).abs()) * smoothstep(0.32, 0.28, low);
                back.max(head)
            })
            .fold(0.0, f32::max);
        let through = light.horizon * (0.16 * (1.0 - self.details.tint));
        lerp(BLACK + through, BLACK, seat.max(smoothstep(0.12, 0.02, low)))
    }

    fn front(&self, spot: &Spot, to_eye: Vec3, light: &Light) -> Option<Vec3> {
        let Spot { at, normal, .. } = *spot;
        let half = self.body.length / 2.0;
        let nose = self.details.nose;
        let (across, below) = (at.y.abs() / self.body.half_width, nose - at.z);
        if at.x > half - 0.52 && (0.58..0.985).contains(&across) {
            let lower = 0.15 - 0.10 * smoothstep(0.30, 0.52, half - at.x);
            if below > 0.015 && below < lower {
                let lens = (at.y.abs() - 0.72 * self.body.half_width).hypot(below - 0.08) < 0.05;
                let inside = if lens { v3(0.75, 0.78, 0.8) } else { v3(0.16, 0.17, 0.18) };
                return Some(light.glass(inside, normal, to_eye));
            }
        }
        if at.x < half - 0.30 || normal.x < 0.35 {
            return None;
        }
        if at.y.abs() < 0.26 && (0.235..0.345).contains(&below) {
            return Some(self.plate(at.y + 0.26, (below - 0.235) / 0.11, normal, light));
        }
        if at.y.hypot(below - 0.11) < 0.05 {
            return Some(light.lacquer(CHROME, normal, to_eye));
        }
        if across < 0.56 && (0.05..0.20).contains(&below) {
            let bar = (at.z / self.details.grille_bars).fract() < 0.35;
            let frame = !(0.065..0.185).contains(&below) || across > 0.545;
            if self.details.chrome && (bar || frame) {
                return Some(light.lacquer(CHROME, normal, to_eye) * 0.7);
            }
            return Some(light.dull(if bar { PLASTIC } else { BLACK * 0.5 }, normal));
        }
        let intake = self.body.sill + 0.10..self.body.sill + 0.23;
        (across < 0.72 && intake.contains(&at.z)).then(|| light.dull(BLACK, normal))
    }

    fn rear(&self, spot: &Spot, to_eye: Vec3, light: &Light) -> Option<Vec3> {
        let Spot { at, normal, .. } = *spot;
        let half = self.body.length / 2.0;
        let (across, below) = (at.y.abs() / self.body.half_width, self.details.tail - at.z);
        let (inner, low) = match self.body.style {
            Style::Sedan | Style::Hatchback => (0.58, 0.19),
            Style::Suv => (0.66, 0.24),
            Style::Van => (0.82, 0.42),
        };
        if at.x < -half + 0.30 && across > inner && (0.02..low).contains(&below) {
            let white = (0.4 * low..0.55 * low).contains(&below);
            let inside = if white { v3(0.5, 0.42, 0.4) } else { v3(0.38, 0.008, 0.012) };
            return Some(light.glass(inside, normal, to_eye));
        }
        if at.x > -half + 0.30 || normal.x > -0.35 {
            return None;
        }
        if at.y.abs() < 0.26 && (0.24..0.35).contains(&below) {
            return Some(self.plate(at.y + 0.26, (below - 0.24) / 0.11, normal, light));
        }
        (at.z < self.body.sill + 0.16 && across < 0.85).then(|| light.dull(PLASTIC, normal))
    }

    fn plate(&self, along: f32, down: f32, normal: Vec3, light: &Light) -> Vec3 {
        let ground = if self.details.yellow_plate { v3(0.75, 0.52, 0.05) } else { v3(0.78, 0.78, 0.78) };
        let (column, row) = ((along / 0.0144) as u32, ((down - 0.18) / 0.128) as u32);
        let dots = self.details.plate_letters.rotate_left(column * 5 + row * 3 + (column / 4) * 7);
        let letter =
            column % 4 != 3 && dots & 3 != 0 && (0.18..0.82).contains(&down) && (3..33).contains(&column);
        light.dull(if letter { BLACK } else { ground }, normal)
    }

    /// The pillar between the doors.
    fn middle_pillar(&self) -> f32 {
        let [rear, front] = self.body.axles();
        (rear + front) / 2.0 - 0.08
    }

    /// Pressed edges along the side catch the light.
    fn creased(&self, spot: &Spot) -> Vec3 {
        let tall = self.body.deck(spot.at.x) - self.body.sill;
        let height = (spot.at.z - self.body.sill) / tall;
        if spot.normal.y.abs() < 0.5 {
            return spot.normal;
        }
        let edge = |at: f32, by: f32| {
            let off = (height - at) / 0.03;
            by * (1.0 - off.abs()).max(0.0)
        };
        let tilt =
            edge(self.details.crease, 0.45) - edge(self.details.crease - 0.045, 0.3) - edge(0.24, 0.35);
        (spot.normal + v3(0.0, 0.0, tilt)).unit()
    }

    /// The gaps around doors, bonnet and boot, and what stands out as dark as they do.
    fn gaps(&self, spot: &Spot) -> f32 {
        const WIDE: f32 = 0.009;
        let Spot { at, normal, zone } = *spot;
        let line = |off: f32| smoothstep(WIDE, 0.3 * WIDE, off.abs());
        let [rear, front] = self.body.axles();
        let arch = self.body.arch();
        let deck = self.body.deck(at.x);
        if normal.y.abs() > 0.5 && zone < 1.02 {
            let doors = [front - arch - 0.06, self.middle_pillar(), rear + arch * 0.55];
            let tall = at.z > self.body.sill + 0.09;
            let mut dark = doors.iter().map(|x| line(at.x - x)).fold(0.0, f32::max);
            if !tall {
                dark = 0.0;
            }
            let handles = [self.middle_pillar() + 0.17, rear + arch * 0.55 + 0.17];
            for handle in handles {
                let inside = (at.x - handle).abs() < 0.10 && (at.z - deck + 0.145).abs() < 0.018;
                dark = dark.max(if inside { 0.55 } else { 0.0 });
            }
            return dark;
        }
        let half = self.body.length / 2.0;
        let bonnet = at.x > self.body.cowl() - 0.1 && at.x < half - 0.05;
        if bonnet && normal.z > 0.5 {
            let edge = line(at.y.abs() - self.body.half_width * 0.83);
            return edge.max(smoothstep(0.03, 0.0, (at.x - self.body.cowl() - 0.03).abs()));
        }
        if at.x < -half + 0.3 && normal.x < -0.5 {
            return line(at.z - self.details.tail + 0.4)
                .max(line(at.y.abs() - self.body.half_width * 0.8) * 0.5);
        }
        0.0
    }
}

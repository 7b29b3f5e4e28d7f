//! The shapes of vehicles: a side view and a cross-section become a mesh.

use rand::RngExt;

use super::{
    Rng,
    profile::Profile,
    space::{Vec3, smoothstep, v3},
};

/// The kinds of body that are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Sedan,
    Hatchback,
    Suv,
    Van,
}

/// The measures of one vehicle, in metres.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub style: Style,
    pub length: f32,
    pub half_width: f32,
    pub wheelbase: f32,
    pub wheel_radius: f32,
    pub sill: f32,
    /// How far the cabin leans inwards per metre of its height.
    pub tumblehome: f32,
    /// Top of bonnet, doors and boot along the length, rear to front.
    deck: Profile,
    /// Top of windscreen, roof and rear window along the length.
    roof: Profile,
}

impl Body {
    /// Any body, each a little different from the last.
    pub fn any(rng: &mut Rng) -> Self {
        let style = match rng.random_range(0..10) {
            0..3 => Style::Sedan,
            3..6 => Style::Hatchback,
            6..9 => Style::Suv,
            _ => Style::Van,
        };
        Self::of(style, rng)
    }

    fn of(style: Style, rng: &mut Rng) -> Self {
        let mut vary = |mean: f32, by: f32| mean + by * (2.0 * rng.random::<f32>() - 1.0);
        let (length, width, height, belt, nose, sill, wheel_radius) = match style {
            Style::Sedan => (vary(4.65, 0.25), 1.83, vary(1.44, 0.04), 0.93, 0.70, 0.20, 0.335),
            Style::Hatchback => (vary(4.1, 0.2), 1.77, vary(1.47, 0.05), 0.94, 0.73, 0.20, 0.32),
            Style::Suv => (vary(4.5, 0.25), 1.87, vary(1.67, 0.07), 1.06, 0.86, 0.27, 0.37),
            Style::Van => (vary(4.75, 0.3), 1.90, vary(1.90, 0.1), 1.10, 0.86, 0.22, 0.34),
        };
        let (belt, nose) = (vary(belt, 0.03), vary(nose, 0.04));
        let half = length / 2.0;
        let cowl = half - length * if style == Style::Van { vary(0.19, 0.02) } else { vary(0.285, 0.02) };
        let rake = match style {
            Style::Van => 0.75,
            Style::Suv => 0.68,
            _ => 0.85,
        };
        let screen_top = cowl - vary(rake, 0.07);
        let mut deck = vec![
            (-half, belt - 0.12),
            (-half + 0.12, belt + 0.01),
            (-half * 0.6, belt + 0.035),
            (0.0, belt),
            (cowl, belt - 0.01),
            (half - 0.55, nose + 0.09),
            (half - 0.12, nose),
            (half, nose - 0.14),
        ];
        let roof = match style {
            Style::Sedan => {
                let boot = length * vary(0.115, 0.02);
                deck[1].1 += 0.06;
                deck[2].1 += 0.03;
                vec![
                    (-half + boot, belt),
                    (-half + boot + 0.72, height - 0.09),
                    (-half + boot + 1.25, height - 0.01),
                    (screen_top - 0.35, height),
                    (screen_top, height - 0.05),
                    (cowl + 0.06, belt - 0.02),
                ]
            }
            Style::Hatchback | Style::Suv => {
                let slant = if style == Style::Suv { vary(0.42, 0.12) } else { vary(0.55, 0.15) };
                vec![
                    (-half + 0.06, belt),
                    (-half + 0.06 + slant, height - 0.13),
                    (-half + 0.75 + slant, height - 0.02),
                    (screen_top - 0.3, height),
                    (screen_top, height - 0.06),
                    (cowl + 0.06, belt - 0.02),
                ]
            }
            Style::Van => vec![
                (-half, height - 0.25),
                (-half + 0.13, height - 0.04),
                (-half + 0.6, height),
                (screen_top - 0.25, height),
                (screen_top, height - 0.07),
                (cowl + 0.06, belt - 0.02),
            ],
        };
        Self {
            style,
            length,
            half_width: width / 2.0,
            wheelbase: length * 0.585,
            wheel_radius: wheel_radius * vary(1.0, 0.04),
            sill,
            tumblehome: if style == Style::Van { 0.16 } else { 0.36 },
            deck: Profile::through(deck),
            roof: Profile::through(roof),
        }
    }

    /// The top of bonnet, doors and boot at `x`.
    pub fn deck(&self, x: f32) -> f32 {
        self.deck.at(x)
    }

    /// The top of the cabin at `x`; on the deck where there is no cabin.
    pub fn roof(&self, x: f32) -> f32 {
        let deck = self.deck.at(x);
        if x < self.cabin_rear() || x > self.cowl() { deck } else { self.roof.at(x).max(deck) }
    }

    /// The x of the foot of the windscreen.
    pub fn cowl(&self) -> f32 {
        self.roof.points[self.roof.points.len() - 1].0
    }

    /// The x of the top of the windscreen.
    pub fn screen_top(&self) -> f32 {
        self.roof.points[self.roof.points.len() - 2].0
    }

    /// The x of the rear end of the cabin.
    pub fn cabin_rear(&self) -> f32 {
        self.roof.points[0].0
    }

    /// The x of both axles, rear and front.
    pub fn axles(&self) -> [f32; 2] {
        let shift = self.length * 0.012;
        [-self.wheelbase / 2.0 + shift, self.wheelbase / 2.0 + shift]
    }

    /// The radius of the cut-out around a wheel.
    pub fn arch(&self) -> f32 {
        self.wheel_radius + if self.style == Style::Suv { 0.075 } else { 0.05 }
    }

    /// One half of the cross-section at `x`, from the sill to the middle of the roof, as (y, z, zone).
    ///
    /// A zone below 1 is the lower body, 1 to 2 the cabin's side, 2 to 3 what faces up.
    pub fn section(&self, x: f32) -> Vec<(f32, f32, f32)> {
        let taper = 1.0 - 0.07 * (2.0 * x / self.length).abs().powi(4);
        let wide = self.half_width * taper;
        let (sill, deck, roof) = (self.sill, self.deck(x), self.roof(x));
        let tall = deck - sill;
        let cabin = (roof - deck).max(0.0);
        let shoulder = 0.955 * wide;
        let foot = shoulder - 0.035 * smoothstep(0.0, 0.2, cabin);
        let head = foot - self.tumblehome * cabin;
        let round = 0.35 * cabin.min(0.22);
        let crown = 0.035;
        let mut section = vec![
            (0.88 * wide, sill - 0.03, 0.0),
            (0.955 * wide, sill + 0.02, 0.1),
            (0.985 * wide, sill + 0.18 * tall, 0.25),
            (1.0 * wide, sill + 0.45 * tall, 0.5),
            (0.995 * wide, sill + 0.68 * tall, 0.7),
            (0.985 * wide, sill + 0.86 * tall, 0.85),
            (0.97 * wide, deck - 0.02, 0.95),
            (shoulder, deck, 1.0),
            (foot, deck + 0.012, 1.03),
        ];
        for step in 1..=4_u8 {
            let share = f32::from(step) / 4.0;
            section.push((
                foot + (head - foot) * share.powf(1.25),
                deck + 0.012 + (cabin - round).max(0.0) * share,
                1.03 + 0.87 * share,
            ));
        }
        section.push((head - 0.35 * round, roof - 0.3 * round + 0.012, 2.0));
        section.push((head - 1.1 * round, roof + 0.012, 2.1));
        for step in 1..=4_u8 {
            let share = f32::from(step) / 4.0;
            section.push((
                (head - 1.1 * round) * (1.0 - share),
                roof + 0.012 + crown * (1.0 - (1.0 - share).powi(2)),
                2.1 + 0.9 * share,
            ));
        }
        section
    }

    /// How far a point near one end leans back from the vertical: bumpers bulge, lamps recede.
    pub fn lean(&self, x: f32, z: f32) -> f32 {
        let half = self.length / 2.0;
        let near_end = smoothstep(half - 0.5, half, x.abs());
        let off = (z - self.sill - 0.25) / 0.5;
        let cabin = (z - self.deck(x)).max(0.0);
        let strength = if x > 0.0 { 0.11 } else { 0.07 };
        -x.signum() * near_end * (strength * off * off.abs().min(1.6) * off.signum() + 0.16 * cabin)
    }
}

/// The corners of the mesh that the rest of a vehicle hangs on.
pub(super) fn stations(body: &Body) -> Vec<(f32, f32)> {
    /// Shares of the half width at which an end of the vehicle is cut.
    const CAPS: [f32; 8] = [0.0, 0.3, 0.55, 0.74, 0.86, 0.94, 0.98, 1.0];
    const BETWEEN: u8 = 62;
    let (half, round) = (body.length / 2.0, 0.30);
    let cap = |share: f32| half - round + round * (1.0 - share.powf(3.2)).powf(1.0 / 2.4);
    let mut stations: Vec<(f32, f32)> = CAPS.iter().map(|&share| (-cap(share), share)).collect();
    for step in 1..BETWEEN {
        let share = f32::from(step) / f32::from(BETWEEN);
        stations.push((-(half - round) + 2.0 * (half - round) * share, 1.0));
    }
    stations.extend(CAPS.iter().rev().map(|&share| (cap(share), share)));
    stations
}

/// A point of the body's surface: where the section at a station is, closed towards the ends.
pub(super) fn surface(body: &Body, (x, share): (f32, f32), (y, z, _): (f32, f32, f32), side: f32) -> Vec3 {
    v3(x + body.lean(x, z), y * share * side, z)
}

impl std::fmt::Display for Style {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Sedan => "sedan",
            Self::Hatchback => "hatchback",
            Self::Suv => "suv",
            Self::Van => "van",
        })
    }
}

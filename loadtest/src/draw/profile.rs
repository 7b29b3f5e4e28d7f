//! Lines in the side view of a vehicle.

/// A line in the side view: asked for at every spot that is drawn, so it is sampled beforehand.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    pub points: Vec<(f32, f32)>,
    samples: Vec<f32>,
}

impl Profile {
    const SAMPLES: u16 = 512;

    /// The smooth line through `points`, rear to front.
    pub fn through(points: Vec<(f32, f32)>) -> Self {
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        let step = (last - first) / f32::from(Self::SAMPLES);
        let samples =
            (0..=Self::SAMPLES).map(|index| along(&points, first + step * f32::from(index))).collect();
        Self { points, samples }
    }

    /// The height at `x`; beyond the ends that of the end.
    pub fn at(&self, x: f32) -> f32 {
        let (first, last) = (self.points[0].0, self.points[self.points.len() - 1].0);
        let place = ((x - first) / (last - first)).clamp(0.0, 1.0) * f32::from(Self::SAMPLES);
        let index = (place as usize).min(usize::from(Self::SAMPLES) - 1);
        let share = place - index as f32;
        self.samples[index] + (self.samples[index + 1] - self.samples[index]) * share
    }
}

/// A smooth line through `points` that never swings beyond them.
fn along(points: &[(f32, f32)], x: f32) -> f32 {
    let last = points.len() - 1;
    if x <= points[0].0 {
        return points[0].1;
    }
    if x >= points[last].0 {
        return points[last].1;
    }
    let slope = |i: usize| (points[i + 1].1 - points[i].1) / (points[i + 1].0 - points[i].0);
    let tangent = |i: usize| {
        if i == 0 {
            return slope(0);
        }
        if i == last {
            return slope(last - 1);
        }
        let (before, after) = (slope(i - 1), slope(i));
        if before * after <= 0.0 { 0.0 } else { 2.0 * before * after / (before + after) }
    };
    let i = points.windows(2).position(|pair| x < pair[1].0).unwrap_or(last - 1);
    let span = points[i + 1].0 - points[i].0;
    let t = (x - points[i].0) / span;
    let (t2, t3) = (t * t, t * t * t);
    (2.0 * t3 - 3.0 * t2 + 1.0) * points[i].1
        + (t3 - 2.0 * t2 + t) * span * tangent(i)
        + (3.0 * t2 - 2.0 * t3) * points[i + 1].1
        + (t3 - t2) * span * tangent(i + 1)
}

//! The few strokes that every picture is made of.

use rand::RngExt;
use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder, Pixmap,
    Point, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::{Rng, Size};

/// A colour as it is stored: red, green, blue, opacity.
pub(super) type Ink = (u8, u8, u8, u8);

/// An empty picture filled with one colour.
pub(super) fn blank(size: Size, ink: Ink) -> Pixmap {
    let mut picture =
        Pixmap::new(size.width.max(1), size.height.max(1)).expect("the size is not zero and not huge");
    picture.fill(colour(ink));
    picture
}

fn colour((red, green, blue, opacity): Ink) -> Color {
    Color::from_rgba8(red, green, blue, opacity)
}

fn plain(ink: Ink) -> Paint<'static> {
    Paint { shader: Shader::SolidColor(colour(ink)), ..Paint::default() }
}

/// A path through `points`; `None` where they enclose nothing.
pub(super) fn path(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    for point in rest {
        path.line_to(point.0, point.1);
    }
    if closed {
        path.close();
    }
    path.finish()
}

/// Fills a polygon.
pub(super) fn polygon(picture: &mut Pixmap, points: &[(f32, f32)], ink: Ink) {
    if let Some(path) = path(points, true) {
        fill(picture, &path, ink);
    }
}

/// Fills a path.
pub(super) fn fill(picture: &mut Pixmap, path: &Path, ink: Ink) {
    picture.fill_path(path, &plain(ink), FillRule::Winding, Transform::identity(), None);
}

/// Fills a polygon with a gradient from the row `top` to the row `bottom`.
pub(super) fn shaded(
    picture: &mut Pixmap,
    points: &[(f32, f32)],
    (top, from): (f32, Ink),
    (bottom, to): (f32, Ink),
) {
    let stops = vec![GradientStop::new(0.0, colour(from)), GradientStop::new(1.0, colour(to))];
    let (start, end) = (Point::from_xy(0.0, top), Point::from_xy(0.0, bottom.max(top + 1.0)));
    let gradient = LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity());
    if let (Some(shader), Some(path)) = (gradient, path(points, true)) {
        let paint = Paint { shader, ..Paint::default() };
        picture.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }
}

/// Strokes a path with round ends.
pub(super) fn stroke(picture: &mut Pixmap, path: &Path, width: f32, ink: Ink) {
    let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    picture.stroke_path(path, &plain(ink), &stroke, Transform::identity(), None);
}

/// Fills an ellipse around (x, y).
pub(super) fn ellipse(picture: &mut Pixmap, (x, y): (f32, f32), (wide, high): (f32, f32), ink: Ink) {
    let bounds = Rect::from_xywh(x - wide, y - high, 2.0 * wide, 2.0 * high);
    if let Some(path) = bounds.and_then(PathBuilder::from_oval) {
        fill(picture, &path, ink);
    }
}

/// The corners of an upright rectangle.
pub(super) fn rectangle(left: f32, top: f32, width: f32, height: f32) -> [(f32, f32); 4] {
    [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
}

/// Blurs a whole opaque picture with a box of `radius` pixels, twice if it is large: nearly a Gauss.
pub(super) fn blur(picture: &mut Pixmap, radius: usize) {
    let width = picture.width() as usize * 4;
    let rounds = match radius {
        0 => 0,
        1 | 2 => 1,
        _ => 2,
    };
    for _ in 0..rounds {
        blur_columns(picture.data_mut(), width, radius);
        for row in picture.data_mut().chunks_exact_mut(width) {
            // A row of pixels is a column of four bytes.
            blur_columns(row, 4, radius);
        }
    }
}

/// Averages every byte with those `radius` rows above and below it; a row is `width` bytes.
fn blur_columns(data: &mut [u8], width: usize, radius: usize) {
    let last = data.len() / width - 1;
    let source = data.to_vec();
    let row = |index: usize| &source[index.min(last) * width..][..width];
    // Fixed point: a division per byte is what a blur would spend its time on.
    let part = (1_u32 << 16).div_ceil(2 * radius as u32 + 1);
    let mut sums = vec![0_u32; width];
    for offset in 0..=2 * radius {
        for (sum, byte) in sums.iter_mut().zip(row(offset.saturating_sub(radius))) {
            *sum += u32::from(*byte);
        }
    }
    for (index, line) in data.chunks_exact_mut(width).enumerate() {
        let (leaving, entering) = (row(index.saturating_sub(radius)), row(index + radius + 1));
        for (place, byte) in line.iter_mut().enumerate() {
            *byte = ((sums[place] * part) >> 16).min(255) as u8;
            sums[place] = sums[place] + u32::from(entering[place]) - u32::from(leaving[place]);
        }
    }
}

/// Roughens everything below the row `from`, the more the nearer it is to the bottom: asphalt, gravel, grass.
pub(super) fn grain(picture: &mut Pixmap, from: usize, rng: &mut Rng) {
    let (wide, high) = (picture.width() as usize, picture.height() as usize);
    let mut state = rng.random::<u64>() | 1;
    let strength = rng.random_range(6.0..22.0_f32);
    let mut speck = 0.0;
    for (row, line) in picture.data_mut().chunks_exact_mut(wide * 4).enumerate().skip(from) {
        let rough = strength * (0.25 + 0.75 * (row - from) as f32 / (high - from) as f32);
        for pixel in line.chunks_exact_mut(4) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let level = (state >> 40) as f32 / (1_u32 << 24) as f32 - 0.5;
            speck = speck * 0.45 + level;
            for channel in &mut pixel[..3] {
                *channel = (f32::from(*channel) + speck * rough) as u8;
            }
        }
    }
}

/// What a lens and a sensor do to a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sensor {
    /// How far a pixel is off at most, of 255.
    pub noise: f32,
    /// Factors for red, green and blue: exposure and white balance.
    pub gain: [f32; 3],
    /// How much darker the corners are.
    pub vignette: f32,
}

impl Sensor {
    /// Any telephone or compact camera.
    pub fn any(rng: &mut Rng) -> Self {
        let exposure = rng.random_range(0.86..1.12);
        let warmth = rng.random_range(-0.05..0.05);
        Self {
            noise: rng.random_range(2.0..11.0),
            gain: [exposure * (1.0 + warmth), exposure, exposure * (1.0 - warmth)],
            vignette: rng.random_range(0.0..0.22),
        }
    }

    /// Spoils an opaque picture the way a camera does.
    pub fn apply(self, picture: &mut Pixmap, rng: &mut Rng) {
        let (wide, high) = (picture.width() as usize, picture.height() as usize);
        let mut state = rng.random::<u64>() | 1;
        for (row, line) in picture.data_mut().chunks_exact_mut(wide * 4).enumerate() {
            let down = (row as f32 / high as f32 - 0.5) * 2.0;
            for (column, pixel) in line.chunks_exact_mut(4).enumerate() {
                let across = (column as f32 / wide as f32 - 0.5) * 2.0;
                let fall = 1.0 - self.vignette * 0.5 * (across * across + down * down);
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let bytes = state.to_le_bytes();
                let grey = f32::from(bytes[3]) + f32::from(bytes[4]) - 255.0;
                for channel in 0..3 {
                    let own = f32::from(bytes[channel]) + f32::from(bytes[channel + 5]) - 255.0;
                    let noise = (grey * 0.7 + own * 0.4) / 255.0 * self.noise;
                    let value = f32::from(pixel[channel]) * self.gain[channel] * fall + noise;
                    pixel[channel] = value as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_what_is_even_and_spreads_what_is_not() {
        let mut picture = blank(Size::new(30, 20), (90, 120, 200, 255));
        polygon(&mut picture, &rectangle(14.0, 0.0, 2.0, 20.0), (250, 250, 250, 255));

        blur(&mut picture, 3);

        let red = |x: u32| picture.pixel(x, 10).map(|pixel| pixel.red());
        assert_eq!((red(1), red(28)), (Some(90), Some(90)));
        assert!(red(15) < Some(200) && red(12) > Some(100));
        assert!(picture.pixels().iter().all(|pixel| pixel.alpha() == 255));
    }
}

//! Turns meshes into pixels: a depth buffer, finer than the picture where that shows, then averaged.

use tiny_skia::Pixmap;

use super::{
    mesh::Mesh,
    space::{Camera, NEAR, Seen, Vec3},
};

/// A visible spot of a surface, to be given a colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub at: Vec3,
    pub normal: Vec3,
    pub zone: f32,
}

/// Red, green, blue (linear light) and opacity of a spot; `None` where there is a hole.
pub(super) type Shade = Option<(Vec3, f32)>;

/// Samples per pixel and direction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quality {
    /// One: for what is blurred or dim.
    Coarse = 1,
    /// Two: for what a picture is of.
    Fine = 2,
}

/// A part of the picture, drawn apart and then laid over the rest.
pub(super) struct Layer {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    fine: usize,
    depth: Vec<f32>,
    colour: Vec<[u8; 4]>,
}

impl Layer {
    /// A layer that covers what the camera sees of `meshes`, within a picture of this size.
    pub fn around(camera: &Camera, meshes: &[Mesh], (wide, high): (u32, u32), quality: Quality) -> Self {
        let (mut left, mut top, mut right, mut bottom) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
        for vertex in meshes.iter().flat_map(|mesh| &mesh.vertices) {
            let seen = camera.see(vertex.at);
            if seen.depth > NEAR {
                (left, right) = (left.min(seen.x), right.max(seen.x));
                (top, bottom) = (top.min(seen.y), bottom.max(seen.y));
            }
        }
        let within = |value: f32, most: u32| value.clamp(0.0, most as f32) as usize;
        let (left, top) = (within(left - 1.0, wide), within(top - 1.0, high));
        let (right, bottom) = (within(right + 2.0, wide), within(bottom + 2.0, high));
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        let fine = quality as usize;
        let samples = width * height * fine * fine;
        Self { left, top, width, height, fine, depth: vec![0.0; samples], colour: vec![[0; 4]; samples] }
    }

    /// Draws `mesh`, each visible spot coloured by `shade`; `flipped` for a mirror image, whose triangles turn the other way.
    pub fn draw(&mut self, camera: &Camera, mesh: &Mesh, flipped: bool, shade: impl Fn(&Spot) -> Shade) {
        let fine = self.fine as f32;
        let seen: Vec<Seen> = mesh
            .vertices
            .iter()
            .map(|vertex| {
                let seen = camera.see(vertex.at);
                Seen {
                    x: (seen.x - self.left as f32) * fine,
                    y: (seen.y - self.top as f32) * fine,
                    depth: seen.depth,
                }
            })
            .collect();
        for &[a, b, c] in &mesh.triangles {
            let (pa, pb, pc) = (seen[a], seen[b], seen[c]);
            if pa.depth < NEAR || pb.depth < NEAR || pc.depth < NEAR {
                continue;
            }
            let area = (pb.x - pa.x) * (pc.y - pa.y) - (pc.x - pa.x) * (pb.y - pa.y);
            // Rows run downwards, so what faces the camera turns clockwise here.
            if (area > 0.0) != flipped || area.abs() < 1e-6 {
                continue;
            }
            let corners = [a, b, c].map(|index| &mesh.vertices[index]);
            self.fill([pa, pb, pc], area, |wa, wb, wc| {
                shade(&Spot {
                    at: corners[0].at * wa + corners[1].at * wb + corners[2].at * wc,
                    normal: (corners[0].normal * wa + corners[1].normal * wb + corners[2].normal * wc).unit(),
                    zone: corners[0].zone * wa + corners[1].zone * wb + corners[2].zone * wc,
                })
            });
        }
    }

    fn fill(&mut self, [a, b, c]: [Seen; 3], area: f32, shade: impl Fn(f32, f32, f32) -> Shade) {
        let (wide, high) = (self.width * self.fine, self.height * self.fine);
        let share = 1.0 / area;
        let near = [1.0 / a.depth, 1.0 / b.depth, 1.0 / c.depth];
        let from = |low: f32| low.ceil().max(0.0) as usize;
        let until = |top: f32, most: usize| (top.floor() + 1.0).clamp(0.0, most as f32) as usize;
        let rows = from(a.y.min(b.y).min(c.y) - 0.5)..until(a.y.max(b.y).max(c.y) - 0.5, high);
        let columns = from(a.x.min(b.x).min(c.x) - 0.5)..until(a.x.max(b.x).max(c.x) - 0.5, wide);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let wa = ((b.x - x) * (c.y - y) - (c.x - x) * (b.y - y)) * share;
                let wb = ((c.x - x) * (a.y - y) - (a.x - x) * (c.y - y)) * share;
                let wc = 1.0 - wa - wb;
                if wa < -1e-4 || wb < -1e-4 || wc < -1e-4 {
                    continue;
                }
                let closeness = wa * near[0] + wb * near[1] + wc * near[2];
                let index = row * wide + column;
                if closeness <= self.depth[index] {
                    continue;
                }
                if let Some((colour, opacity)) = shade(wa, wb, wc) {
                    self.depth[index] = closeness;
                    self.colour[index] = premultiplied(colour, opacity);
                }
            }
        }
    }

    /// Lays the layer over the picture.
    pub fn lay_over(&self, picture: &mut Pixmap) {
        let wide = picture.width() as usize;
        let data = picture.data_mut();
        let (fine, samples) = (self.fine, (self.fine * self.fine) as u32);
        for row in 0..self.height {
            for column in 0..self.width {
                let mut sum = [0_u32; 4];
                for down in 0..fine {
                    let first = (row * fine + down) * self.width * fine + column * fine;
                    for sample in &self.colour[first..first + fine] {
                        for (total, channel) in sum.iter_mut().zip(sample) {
                            *total += u32::from(*channel);
                        }
                    }
                }
                if sum[3] == 0 {
                    continue;
                }
                let rest = 255 - sum[3] / samples;
                let start = ((self.top + row) * wide + self.left + column) * 4;
                for (under, over) in data[start..start + 4].iter_mut().zip(sum) {
                    let mixed = over / samples + u32::from(*under) * rest / 255;
                    *under = mixed.min(255) as u8;
                }
            }
        }
    }
}

/// A colour in linear light as it is stored, brightness beyond white rolled off.
fn premultiplied(colour: Vec3, opacity: f32) -> [u8; 4] {
    let opacity = opacity.clamp(0.0, 1.0);
    let stored = |light: f32| {
        let level = if light > 0.7 { 1.0 - 0.3 * (-(light - 0.7) / 0.3).exp() } else { light.max(0.0) };
        (level.sqrt() * opacity * 255.0 + 0.5) as u8
    };
    [stored(colour.x), stored(colour.y), stored(colour.z), (opacity * 255.0 + 0.5) as u8]
}

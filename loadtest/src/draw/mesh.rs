//! Meshes: the surface of a vehicle as triangles, part by part.

use std::f32::consts::{PI, TAU};

use super::{
    body::{self, Body},
    space::{Vec3, v3},
};

/// What a piece of surface belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Shell,
    Mirror,
    /// The dark hollow around a wheel.
    Well,
    /// A wheel around its axle's x.
    Wheel(f32),
}

/// A corner of a triangle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vertex {
    pub at: Vec3,
    pub normal: Vec3,
    /// On the shell: which height of the section, see [`Body::section`].
    pub zone: f32,
}

/// The triangles of one part.
#[derive(Clone, Debug)]
pub(super) struct Mesh {
    pub part: Part,
    pub vertices: Vec<Vertex>,
    pub triangles: Vec<[usize; 3]>,
}

impl Mesh {
    /// Joins a grid of points, `columns` to a row; normals point to the side from which rows run
    /// counter-clockwise to columns.
    fn grid(part: Part, points: Vec<(Vec3, f32)>, columns: usize) -> Self {
        let rows = points.len() / columns;
        let at = |row: usize, column: usize| points[row * columns + column].0;
        let mut vertices = Vec::with_capacity(points.len());
        let mut triangles = Vec::with_capacity(points.len() * 2);
        for row in 0..rows {
            for column in 0..columns {
                let (up, down) = (row.saturating_sub(1), (row + 1).min(rows - 1));
                let (left, right) = (column.saturating_sub(1), (column + 1).min(columns - 1));
                let along = at(down, column) - at(up, column);
                let across = at(row, right) - at(row, left);
                let (at, zone) = points[row * columns + column];
                vertices.push(Vertex { at, normal: along.cross(across).unit(), zone });
                if row + 1 < rows && column + 1 < columns {
                    let corner = row * columns + column;
                    triangles.push([corner, corner + columns, corner + 1]);
                    triangles.push([corner + 1, corner + columns, corner + columns + 1]);
                }
            }
        }
        Self { part, vertices, triangles }
    }
}

/// Every part of a vehicle.
pub(super) fn vehicle(body: &Body) -> Vec<Mesh> {
    let mut parts = vec![shell(body)];
    for side in [-1.0, 1.0] {
        parts.push(mirror(body, side));
        for axle in body.axles() {
            parts.push(well(body, axle, side));
            parts.push(wheel(body, axle, side));
        }
    }
    parts
}

fn shell(body: &Body) -> Mesh {
    let mut points = Vec::new();
    let mut columns = 0;
    for station in body::stations(body) {
        let section = body.section(station.0);
        columns = section.len() * 2 - 1;
        let right = section.iter();
        let left = section.iter().rev().skip(1);
        points.extend(right.map(|&corner| (body::surface(body, station, corner, -1.0), corner.2)));
        points.extend(left.map(|&corner| (body::surface(body, station, corner, 1.0), corner.2)));
    }
    Mesh::grid(Part::Shell, points, columns)
}

fn mirror(body: &Body, side: f32) -> Mesh {
    let x = body.cowl() - 0.42;
    let centre = v3(x, side * (body.half_width + 0.06), body.deck(x) + 0.10);
    let (rows, columns) = (9, 13);
    let mut points = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let polar = PI * f32::from(row) / f32::from(rows - 1_u8);
            let round = TAU * f32::from(column) / f32::from(columns - 1_u8);
            let on_ball =
                v3(polar.sin() * round.cos() * 0.085, polar.sin() * round.sin() * 0.11, polar.cos() * 0.075);
            points.push((centre + on_ball, 0.0));
        }
    }
    Mesh::grid(Part::Mirror, points, usize::from(columns))
}

/// Rings around an axle: (distance from the axle, y), inner to outer; they face away from the middle of the vehicle.
fn rings(part: Part, centre: Vec3, side: f32, rings: &[(f32, f32)]) -> Mesh {
    const AROUND: u8 = 40;
    let mut points = Vec::new();
    for &(radius, out) in rings {
        for step in 0..=AROUND {
            let (sin, cos) = (-side * TAU * f32::from(step) / f32::from(AROUND)).sin_cos();
            points.push((centre + v3(radius * cos, side * out, radius * sin), 0.0));
        }
    }
    Mesh::grid(part, points, usize::from(AROUND) + 1)
}

fn well(body: &Body, axle: f32, side: f32) -> Mesh {
    let centre = v3(axle, 0.0, body.wheel_radius);
    let inside = body.half_width - 0.26;
    let reach = body.arch() + 0.004;
    rings(Part::Well, centre, side, &[(0.01, inside), (reach, inside), (reach, body.half_width * 0.975)])
}

fn wheel(body: &Body, axle: f32, side: f32) -> Mesh {
    let radius = body.wheel_radius;
    let out = body.half_width - 0.045;
    rings(
        Part::Wheel(axle),
        v3(axle, 0.0, radius),
        side,
        &[
            (0.004, out - 0.035),
            (radius * 0.2, out - 0.035),
            (radius * 0.60, out - 0.02),
            (radius * 0.70, out - 0.012),
            (radius * 0.74, out),
            (radius * 0.90, out),
            (radius * 0.985, out - 0.03),
            (radius, out - 0.07),
            (radius, out - 0.22),
            (0.01, out - 0.22),
        ],
    )
}

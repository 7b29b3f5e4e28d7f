//! A dashboard as one picture, from the file that Grafana reads and the answers that it would get.

mod format;
mod panels;

use std::fmt::Write as _;

use super::boards::Board;
use super::prometheus::Series;

/// Of the whole sheet, in pixels.
const WIDTH: f64 = 1680.0;
/// Of Grafana's grid.
const COLUMN: f64 = WIDTH / 24.0;
const ROW: f64 = 30.0;
/// Above the first panel.
const TOP: f64 = 56.0;

/// A place on the sheet.
#[derive(Clone, Copy)]
struct Area {
    x: f64,
    y: f64,
    w: f64,
    h: f64,
}

/// Draws a dashboard with what its panels were told between two times.
pub fn draw(board: &Board, answers: &[Vec<(String, Series)>], from: f64, to: f64) -> String {
    let bottom = board.panels.iter().map(|panel| panel.place[1] + panel.place[3]).fold(0.0, f64::max);
    let height = TOP + bottom * ROW + 12.0;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" fill="#24292e">
<rect width="100%" height="100%" fill="#f4f5f5"/>
<text x="16" y="34" font-size="20" font-weight="bold">{}</text>"##,
        escaped(&board.title)
    );
    for (panel, answers) in board.panels.iter().zip(answers) {
        let [x, y, w, h] = panel.place;
        let area =
            Area { x: x * COLUMN + 4.0, y: TOP + y * ROW + 4.0, w: w * COLUMN - 8.0, h: h * ROW - 8.0 };
        panels::draw(&mut svg, panel, answers, area, (from, to));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

//! A stroke font: capitals and digits as polylines on a grid four wide and six high.

use tiny_skia::{Path, PathBuilder};

/// Width of a letter with the gap behind it, in grid units.
const ADVANCE: f32 = 5.6;
const HEIGHT: f32 = 6.0;

/// The strokes of a letter: polylines apart by `;`, points apart by a blank, x before y, y downwards.
fn strokes(letter: char) -> &'static str {
    match letter {
        'A' => "06 20 46;14 34",
        'B' => "06 00 30 41 42 33 03;33 44 45 36 06",
        'C' => "41 30 10 01 05 16 36 45",
        'D' => "00 06 26 44 42 20 00",
        'E' => "40 00 06 46;03 33",
        'F' => "40 00 06;03 33",
        'G' => "41 30 10 01 05 16 36 45 43 23",
        'H' => "00 06;40 46;03 43",
        'I' => "20 26",
        'J' => "30 35 26 16 05",
        'K' => "00 06;40 03 46",
        'L' => "00 06 46",
        'M' => "06 00 23 40 46",
        'N' => "06 00 46 40",
        'O' => "10 01 05 16 36 45 41 30 10",
        'P' => "06 00 30 41 42 33 03",
        'Q' => "10 01 05 16 36 45 41 30 10;24 46",
        'R' => "06 00 30 41 42 33 03;23 46",
        'S' => "41 30 10 01 02 13 33 44 45 36 16 05",
        'T' => "00 40;20 26",
        'U' => "00 05 16 36 45 40",
        'V' => "00 26 40",
        'W' => "00 16 22 36 40",
        'X' => "00 46;40 06",
        'Y' => "00 23 40;23 26",
        'Z' => "00 40 06 46",
        '0' => "10 01 05 16 36 45 41 30 10;15 31",
        '1' => "01 20 26",
        '2' => "01 10 30 41 42 06 46",
        '3' => "00 40 22 33 44 45 36 16 05",
        '4' => "36 30 04 44",
        '5' => "40 00 02 32 43 45 36 06",
        '6' => "40 20 02 05 16 36 45 44 33 03",
        '7' => "00 40 16",
        '8' => "10 01 02 13 33 44 45 36 16 05 04 13;33 42 41 30 10",
        '9' => "43 13 02 01 10 30 41 44 26 06",
        '-' => "13 33",
        '.' => "26 26.",
        _ => "",
    }
}

/// A letter without its accent, and the accent.
fn apart(letter: char) -> (char, &'static str) {
    match letter {
        'À' => ('A', "1a 2b"),
        'Ä' => ('A', "1a 1b;3a 3b"),
        'Ã' => ('A', "1a 2b 3a"),
        'Å' => ('A', "1a 2b 3a 1a"),
        'É' => ('E', "2a 3b"),
        'Ę' => ('E', "36 47"),
        'Ć' => ('C', "2a 3b"),
        'Í' => ('I', "2a 3b"),
        'Ó' => ('O', "2a 3b"),
        'Ö' => ('O', "1a 1b;3a 3b"),
        'Ø' => ('O', "06 40"),
        'Ú' => ('U', "2a 3b"),
        'Ü' => ('U', "1a 1b;3a 3b"),
        plain => (plain, ""),
    }
}

/// The width of `text` when its letters are `size` high.
pub(super) fn width(text: &str, size: f32) -> f32 {
    let units: f32 = text.chars().map(advance).sum();
    (units - (ADVANCE - 4.0)).max(0.0) * size / HEIGHT
}

fn advance(letter: char) -> f32 {
    match letter {
        ' ' | 'I' | 'Í' | '.' => 3.6,
        _ => ADVANCE,
    }
}

/// The outline of `text` to be stroked, `size` high, its top left corner at the origin of `place`.
///
/// `place` turns a point of the flat text into one of the picture.
pub(super) fn text(text: &str, size: f32, place: impl Fn(f32, f32) -> (f32, f32)) -> Option<Path> {
    let unit = size / HEIGHT;
    let mut path = PathBuilder::new();
    let mut left = 0.0;
    for letter in text.chars() {
        let narrow = if advance(letter) < ADVANCE { 1.0 } else { 0.0 };
        let (plain, accent) = apart(letter);
        for line in strokes(plain).split(';').chain(accent.split(';')) {
            for (index, point) in line.split_whitespace().enumerate() {
                let (x, y) = grid(point);
                let (x, y) = place(left + (x - narrow) * unit, y * unit);
                if index == 0 {
                    path.move_to(x, y);
                } else {
                    path.line_to(x, y);
                }
            }
        }
        left += advance(letter) * unit;
    }
    path.finish()
}

/// A point of the grid: two digits; `a` and `b` are the rows above a capital, `.` makes a dot.
fn grid(point: &str) -> (f32, f32) {
    let mut signs = point.chars().map(|sign| match sign {
        'a' => -1.0,
        'b' => -2.0,
        digit => digit.to_digit(10).map_or(0.0, |value| value as f32),
    });
    let (x, y) = (signs.next().unwrap_or(0.0), signs.next().unwrap_or(0.0));
    if signs.next().is_some() { (x, y - 0.05) } else { (x, y) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capital_and_digit_can_be_written() {
        for letter in ('A'..='Z').chain('0'..='9').chain("ÀÄÃÅÉĘĆÍÓÖØÚÜ".chars()) {
            assert!(text(&letter.to_string(), 10.0, |x, y| (x, y)).is_some(), "{letter}");
        }
    }

    #[test]
    fn text_is_as_wide_as_it_is_said_to_be() {
        let path = text("HAVEN", 12.0, |x, y| (x, y)).unwrap();

        assert!((path.bounds().width() - width("HAVEN", 12.0)).abs() < 0.5);
    }
}

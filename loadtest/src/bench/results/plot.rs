//! A picture of the table, as SVG.
//!
//! A bar for each row that has a mark: how many times as good as the mark it is. So rows of all
//! units stand side by side, and what ends left of the line in the middle falls short.

use std::fmt::Write;

use super::row::{Row, short};

const WIDTH: f64 = 1000.0;
const LINE: f64 = 26.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 44.0;
/// The names end here, and the bars begin.
const BARS: f64 = 362.0;
/// The bars end here at the latest, and the numbers begin.
const NUMBERS: f64 = 766.0;
/// The scale is logarithmic: from a fourth of a mark to four times a mark.
const SPAN: f64 = 4.0;

/// Draws the rows that have a mark.
pub fn draw<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let bars: Vec<_> = rows.filter_map(|row| Some((row, row.against_mark()?))).collect();
    let height = TOP + LINE * bars.len() as f64 + BOTTOM;
    let mut svg = String::new();
    let out = &mut svg;
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13" fill="#1f2933">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="16" y="28" font-size="18" font-weight="bold">How the fleet does against its marks</text>
<text x="16" y="48" fill="#616e7c">1 is the mark, right of it is better; a bar is what counts, the median or the highest peak; a dot is a run; logarithmic scale</text>"##
    );
    scale(out, height);
    for (number, (row, runs)) in bars.iter().enumerate() {
        bar(out, TOP + LINE * number as f64, row, runs);
    }
    svg.push_str("</svg>\n");
    svg
}

fn scale(out: &mut String, height: f64) {
    let (top, end) = (TOP - 6.0, height - BOTTOM + 6.0);
    for times in [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0] {
        let at = place(times);
        let (colour, width) = if times == 1.0 { ("#1f2933", 1.5) } else { ("#d9dee4", 1.0) };
        let _ = writeln!(
            out,
            r##"<line x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{end}" stroke="{colour}" stroke-width="{width}"/>
<text x="{at:.1}" y="{:.1}" text-anchor="middle" fill="#616e7c" font-size="12">{times}</text>"##,
            end + 16.0
        );
    }
}

fn bar(out: &mut String, top: f64, row: &Row, runs: &[f64]) {
    let colour = if row.met() == Some(true) { "#3a9d6e" } else { "#d0503f" };
    let (end, middle, text) =
        (place(row.standing().unwrap_or(0.0)), top + LINE / 2.0, top + LINE / 2.0 + 4.5);
    let numbers = match row.ratio() {
        Some(ratio) => format!("ratio {ratio:.2}"),
        None => format!("{} {}", row.value().map_or("-".to_owned(), short), row.unit()),
    };
    let _ = writeln!(
        out,
        r##"<text x="{:.1}" y="{text:.1}" text-anchor="end">{} &#183; {}</text>
<rect x="{BARS}" y="{:.1}" width="{:.1}" height="{:.1}" rx="2" fill="{colour}" fill-opacity="0.75"/>
<text x="{:.1}" y="{text:.1}" fill="#616e7c">{} (mark {})</text>"##,
        BARS - 10.0,
        row.number(),
        escaped(row.name()),
        top + 4.0,
        (end - BARS).max(1.0),
        LINE - 8.0,
        NUMBERS + 12.0,
        escaped(&numbers),
        escaped(&row.mark_shown()),
    );
    for &run in runs {
        let _ = writeln!(
            out,
            r##"<circle cx="{:.1}" cy="{middle:.1}" r="3" fill="#ffffff" stroke="#1f2933"/>"##,
            place(run)
        );
    }
}

/// Where so many times the mark is. What is out of the picture is at its edge.
fn place(times: f64) -> f64 {
    let share = (times.clamp(1.0 / SPAN, SPAN).ln() / SPAN.ln() + 1.0) / 2.0;
    BARS + share * (NUMBERS - BARS)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::row::Mark;
    use super::*;

    #[test]
    fn rows_with_a_mark_have_a_bar_and_a_dot_for_each_run() {
        let mut marked = Row::new(3, "a < b", "jobs/s").mark(Mark::RatioAtLeast(0.5));
        marked.measured(40.0, 100.0);
        marked.measured(60.0, 100.0);
        let mut unmarked = Row::new(4, "only told", "jobs/s");
        unmarked.reached(1.0);

        let svg = draw([&marked, &unmarked].into_iter());

        assert!(svg.contains("3 &#183; a &lt; b") && !svg.contains("only told"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn the_mark_is_in_the_middle() {
        assert_eq!(place(1.0), (BARS + NUMBERS) / 2.0);
        assert_eq!((place(0.0), place(1e9)), (BARS, NUMBERS));
    }
}

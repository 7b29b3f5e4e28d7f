//! One panel: lines, a number, bars, a table or a text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::boards::Panel;
use super::super::prometheus::Series;
use super::{Area, escaped, format};

/// Grafana's first colours.
const COLOURS: [&str; 12] = [
    "#73bf69", "#e0b400", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8f6b00", "#1f60c4",
    "#fa6400", "#c4162a", "#705da0",
];
/// Lines of a legend at most.
const LEGEND: usize = 12;

type Answers = [(String, Series)];

/// Draws one in its place.
pub fn draw(svg: &mut String, panel: &Panel, answers: &Answers, area: Area, span: (f64, f64)) {
    let Area { x, y, w, h } = area;
    if panel.kind == "row" {
        let _ = writeln!(
            svg,
            r##"<text x="{:.0}" y="{:.0}" font-size="15" font-weight="bold" fill="#464c54">{}</text>"##,
            x + 4.0,
            y + 16.0,
            escaped(&panel.title)
        );
        return;
    }
    let _ = writeln!(
        svg,
        r##"<rect x="{x:.1}" y="{y:.1}" width="{w:.1}" height="{h:.1}" fill="#ffffff" stroke="#d8d9da"/><text x="{:.1}" y="{:.1}" font-size="13" font-weight="bold">{}</text>"##,
        x + 8.0,
        y + 18.0,
        escaped(&panel.title)
    );
    let inner = Area { x: x + 8.0, y: y + 28.0, w: w - 16.0, h: h - 36.0 };
    match panel.kind.as_str() {
        "timeseries" => lines(svg, panel, answers, inner, span),
        "stat" => number(svg, panel, answers, inner),
        "bargauge" => bars(svg, panel, answers, inner),
        "table" => table(svg, panel, answers, inner),
        _ => text(svg, &panel.content, inner),
    }
}

fn last(series: &Series) -> f64 {
    series.points.iter().rev().map(|point| point.1).find(|value| value.is_finite()).unwrap_or(f64::NAN)
}

/// Lines, with a scale, and a legend with the last value of each.
fn lines(svg: &mut String, panel: &Panel, answers: &Answers, area: Area, (from, to): (f64, f64)) {
    let legend = 15.0 * legend_lines(panel, answers, area.w) as f64;
    let plot = Area { x: area.x + 62.0, y: area.y + 4.0, w: area.w - 70.0, h: area.h - legend - 24.0 };
    let mut drawn: Vec<(usize, Vec<(f64, f64)>)> = Vec::new();
    let mut below: BTreeMap<i64, f64> = BTreeMap::new();
    for (number, (_, series)) in answers.iter().enumerate() {
        let mut points: Vec<_> = series.points.iter().filter(|point| point.1.is_finite()).copied().collect();
        if panel.stacked {
            for point in &mut points {
                let base = below.entry(point.0 as i64).or_default();
                *base += point.1;
                point.1 = *base;
            }
        }
        drawn.push((number, points));
    }
    let highest = drawn.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(0.0, f64::max);
    let high = panel.high.unwrap_or_else(|| nice(highest, &panel.unit));
    let place = |(at, value): (f64, f64)| {
        let x = plot.x + plot.w * (at - from) / (to - from);
        (x, plot.y + plot.h * (1.0 - (value / high).clamp(0.0, 1.05)))
    };
    for step in 0..=4 {
        let value = high * f64::from(step) / 4.0;
        let (_, y) = place((from, value));
        let _ = writeln!(
            svg,
            r##"<line x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" stroke="#ebecee"/><text x="{:.1}" y="{:.1}" text-anchor="end" font-size="10" fill="#7b8087">{}</text>"##,
            plot.x,
            plot.x + plot.w,
            plot.x - 4.0,
            y + 3.5,
            escaped(&format::tick(value, &panel.unit))
        );
    }
    for step in 0..=4 {
        let (at, share) = ((to - from) * f64::from(step) / 4.0, f64::from(step) / 4.0);
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" font-size="10" fill="#7b8087">{}:{:02}</text>"##,
            plot.x + plot.w * share,
            plot.y + plot.h + 14.0,
            at as u64 / 60,
            at as u64 % 60
        );
    }
    for (value, colour) in panel.thresholds.iter().filter(|(value, _)| value.is_finite() && *value <= high) {
        let (_, y) = place((from, *value));
        let _ = writeln!(
            svg,
            r##"<line x1="{:.1}" x2="{:.1}" y1="{y:.1}" y2="{y:.1}" stroke="{}" stroke-dasharray="6 4"/>"##,
            plot.x,
            plot.x + plot.w,
            paint(colour)
        );
    }
    // What lies on top of others is drawn first.
    for (number, points) in drawn.iter().rev() {
        let colour = COLOURS[number % COLOURS.len()];
        for run in runs(points) {
            let path: String =
                run.iter().map(|&point| place(point)).fold(String::new(), |mut path, (x, y)| {
                    let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
                    path
                });
            if panel.stacked
                && let (Some(first), Some(last)) = (run.first(), run.last())
            {
                let (zero, (left, _), (right, _)) = (plot.y + plot.h, place(*first), place(*last));
                let _ = writeln!(
                    svg,
                    r##"<path d="{path}L{right:.1} {zero:.1}L{left:.1} {zero:.1}Z" fill="#ffffff"/><path d="{path}L{right:.1} {zero:.1}L{left:.1} {zero:.1}Z" fill="{colour}" fill-opacity="0.45"/>"##
                );
            }
            let _ = writeln!(svg, r##"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>"##);
        }
    }
    if answers.is_empty() {
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" fill="#7b8087">No data</text>"##,
            plot.x + plot.w / 2.0 - 20.0,
            plot.y + plot.h / 2.0
        );
    }
    names(svg, panel, answers, Area { y: area.y + area.h - legend + 8.0, ..area });
}

/// A gap of more than a few points ends a run.
fn runs(points: &[(f64, f64)]) -> Vec<&[(f64, f64)]> {
    let step = points.windows(2).map(|pair| pair[1].0 - pair[0].0).fold(f64::INFINITY, f64::min);
    points.chunk_by(|one, next| next.0 - one.0 <= 2.5 * step).collect()
}

fn entries(panel: &Panel, answers: &Answers) -> Vec<String> {
    let entry =
        |(name, series): &(String, Series)| format!("{name}: {}", format::value(last(series), &panel.unit));
    let mut entries: Vec<_> = answers.iter().take(LEGEND).map(entry).collect();
    if answers.len() > LEGEND {
        entries.push(format!("and {} more", answers.len() - LEGEND));
    }
    entries
}

fn width(entry: &str) -> f64 {
    24.0 + 6.1 * entry.chars().count() as f64
}

fn legend_lines(panel: &Panel, answers: &Answers, room: f64) -> usize {
    let (mut lines, mut used) = (1, 0.0);
    for entry in entries(panel, answers) {
        if used + width(&entry) > room && used > 0.0 {
            (lines, used) = (lines + 1, 0.0);
        }
        used += width(&entry);
    }
    lines
}

fn names(svg: &mut String, panel: &Panel, answers: &Answers, area: Area) {
    let (mut x, mut y) = (area.x, area.y + 4.0);
    for (number, entry) in entries(panel, answers).iter().enumerate() {
        if x + width(entry) > area.x + area.w && x > area.x {
            (x, y) = (area.x, y + 15.0);
        }
        let colour = COLOURS[number % COLOURS.len()];
        let _ = writeln!(
            svg,
            r##"<rect x="{x:.1}" y="{:.1}" width="10" height="4" fill="{colour}"/><text x="{:.1}" y="{y:.1}" font-size="11">{}</text>"##,
            y - 6.0,
            x + 14.0,
            escaped(entry)
        );
        x += width(entry);
    }
}

/// One large number, on the colour of its threshold, and how it went.
fn number(svg: &mut String, panel: &Panel, answers: &Answers, area: Area) {
    let value = answers.first().map_or(f64::NAN, |(_, series)| last(series));
    let colour = threshold(panel, value);
    let coloured = panel.thresholds.len() > 1 && value.is_finite();
    if coloured {
        let _ = writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" fill="{colour}" fill-opacity="0.8"/>"##,
            area.x, area.y, area.w, area.h
        );
    }
    let _ = writeln!(
        svg,
        r##"<text x="{:.1}" y="{:.1}" text-anchor="middle" font-size="26" font-weight="bold" fill="{}">{}</text>"##,
        area.x + area.w / 2.0,
        area.y + area.h / 2.0 + 2.0,
        if coloured { "#ffffff" } else { "#24292e" },
        escaped(&format::value(value, &panel.unit))
    );
    let points: Vec<f64> =
        answers.iter().flat_map(|(_, series)| &series.points).map(|point| point.1).collect();
    let high = points.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    let path: String = points.iter().enumerate().filter(|(_, value)| value.is_finite()).fold(
        String::new(),
        |mut path, (number, value)| {
            let x = area.x + area.w * number as f64 / points.len().max(2) as f64;
            let y = area.y + area.h - 2.0 - 0.3 * area.h * value / high.max(f64::MIN_POSITIVE);
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
            path
        },
    );
    let _ = writeln!(svg, r##"<path d="{path}" fill="none" stroke="#24292e" stroke-opacity="0.35"/>"##);
}

fn bars(svg: &mut String, panel: &Panel, answers: &Answers, area: Area) {
    let high =
        panel.high.unwrap_or_else(|| answers.iter().map(|(_, series)| last(series)).fold(0.0, f64::max));
    let step = (area.h / answers.len().max(1) as f64).min(26.0);
    for (number, (name, series)) in answers.iter().enumerate() {
        let (value, y) = (last(series), area.y + step * number as f64);
        let length = if value.is_finite() {
            0.5 * area.w * (value / high.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" text-anchor="end" font-size="11">{}</text><rect x="{:.1}" y="{:.1}" width="{length:.1}" height="{:.1}" fill="{}"/><text x="{:.1}" y="{:.1}" font-size="11">{}</text>"##,
            area.x + 0.36 * area.w,
            y + step / 2.0 + 4.0,
            escaped(name),
            area.x + 0.38 * area.w,
            y + 2.0,
            step - 4.0,
            COLOURS[number % COLOURS.len()],
            area.x + 0.39 * area.w + length,
            y + step / 2.0 + 4.0,
            escaped(&format::value(value, &panel.unit))
        );
    }
}

fn table(svg: &mut String, panel: &Panel, answers: &Answers, area: Area) {
    let width = area.w / panel.columns.len().max(1) as f64;
    let mut line = |number: usize, cells: Vec<String>, weight: &str| {
        for (column, cell) in cells.iter().enumerate() {
            let shown: String = cell.chars().take((width / 7.4) as usize).collect();
            let _ = writeln!(
                svg,
                r##"<text x="{:.1}" y="{:.1}" font-size="11" font-weight="{weight}">{}</text>"##,
                area.x + width * column as f64,
                area.y + 12.0 + 20.0 * number as f64,
                escaped(&shown)
            );
        }
    };
    line(0, panel.columns.clone(), "bold");
    for (number, (_, series)) in answers.iter().enumerate().take((area.h / 20.0) as usize - 1) {
        let cell = |column: &String| match column.as_str() {
            "Value" => format::value(last(series), &panel.unit),
            label => series.labels.get(label).cloned().unwrap_or_default(),
        };
        line(number + 1, panel.columns.iter().map(cell).collect(), "normal");
    }
}

fn text(svg: &mut String, content: &str, area: Area) {
    for (number, line) in content.lines().filter(|line| !line.starts_with("```")).enumerate() {
        let _ = writeln!(
            svg,
            r##"<text x="{:.1}" y="{:.1}" font-size="12">{}</text>"##,
            area.x,
            area.y + 14.0 + 18.0 * number as f64,
            escaped(line)
        );
    }
}

fn threshold(panel: &Panel, value: f64) -> &'static str {
    let reached = panel.thresholds.iter().rev().find(|(least, _)| value >= *least);
    paint(reached.map_or("green", |(_, colour)| colour))
}

fn paint(colour: &str) -> &'static str {
    match colour {
        "red" => "#d0503f",
        "yellow" => "#d9a406",
        _ => "#3a9d6e",
    }
}

/// The next round number, in the unit that the scale will have.
fn nice(value: f64, unit: &str) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let bases: &[f64] = match unit {
        "bytes" => &[1024.0 * 1024.0 * 1024.0, 1024.0 * 1024.0, 1024.0],
        "s" => &[3600.0, 60.0],
        _ => &[],
    };
    let base = bases.iter().copied().find(|base| *base <= value).unwrap_or(1.0);
    let power = 10_f64.powf((value / base).log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0].into_iter().map(|step| step * power * base);
    steps.into_iter().find(|top| *top >= value).unwrap_or(value)
}

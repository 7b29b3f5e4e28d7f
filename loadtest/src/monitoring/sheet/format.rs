//! Numbers as Grafana shows them.

/// A value with its unit.
pub fn value(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    match unit {
        "percentunit" => format!("{}%", short(100.0 * value)),
        "s" => seconds(value),
        "bytes" => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]),
        "Bps" => scaled(value, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s"]),
        _ => {
            let suffix = unit.strip_prefix("suffix:").unwrap_or_default();
            format!("{}{suffix}", scaled(value, 1000.0, &["", "K", "M", "G"]).replace(' ', ""))
        }
    }
}

/// A value at a scale: what the unit says in words is in the legend.
pub fn tick(number: f64, unit: &str) -> String {
    value(number, if unit.starts_with("suffix:") { "short" } else { unit })
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        v if v < 0.001 => format!("{} µs", short(value * 1e6)),
        v if v < 1.0 => format!("{} ms", short(value * 1e3)),
        v if v < 60.0 => format!("{} s", short(value)),
        v if v < 3600.0 => format!("{} min", short(value / 60.0)),
        v if v < 86_400.0 => format!("{} h", short(value / 3600.0)),
        _ => format!("{} d", short(value / 86_400.0)),
    }
}

fn scaled(mut value: f64, by: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value.abs() >= by && unit + 1 < units.len() {
        value /= by;
        unit += 1;
    }
    format!("{} {}", short(value), units[unit])
}

/// Three digits, without zeros at the end.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_short_and_has_its_unit() {
        let told = [
            value(0.123, "percentunit"),
            value(0.0042, "s"),
            value(5400.0, "s"),
            value(3.0 * 1024.0 * 1024.0, "bytes"),
            value(1234.0, "short"),
            value(12.0, "suffix: images/s"),
            value(0.0, "short"),
        ];
        assert_eq!(told, ["12.3%", "4.2 ms", "1.5 h", "3 MiB", "1.23K", "12 images/s", "0"]);
    }
}

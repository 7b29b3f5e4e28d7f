//! What a process says of itself, now.

use anyhow::Context;

/// One look at a process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the soak began.
    pub at: f64,
    /// Memory, in MB (10^6 bytes).
    pub memory: f64,
    /// Open descriptors.
    pub descriptors: f64,
    /// Threads.
    pub threads: f64,
    /// Jobs that took no longer than so many seconds, by that many seconds: all since the start of the process.
    pub jobs: Vec<(f64, f64)>,
}

impl Sample {
    /// Reads what `/metrics` of a process gives.
    ///
    /// # Errors
    ///
    /// If something is missing.
    pub fn read(at: f64, metrics: &str) -> anyhow::Result<Self> {
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|text| text.parse::<f64>().ok()).with_context(|| format!("no metric {name}"))
        };
        let bucket = |line: &str| {
            let (limit, count) =
                line.strip_prefix("tagfleet_worker_job_seconds_bucket{le=\"")?.split_once("\"} ")?;
            let limit = if limit == "+Inf" { f64::INFINITY } else { limit.parse().ok()? };
            Some((limit, count.parse().ok()?))
        };
        Ok(Self {
            at,
            memory: value("process_resident_memory_bytes")? / 1e6,
            descriptors: value("process_open_fds")?,
            threads: value("process_threads")?,
            jobs: metrics.lines().filter_map(bucket).collect(),
        })
    }

    /// The bucket that the 99th percentile lies in, of jobs that ended between `before` and now; none without jobs.
    pub fn p99_since(&self, before: &Self) -> Option<f64> {
        let earlier =
            |limit: f64| before.jobs.iter().find(|(of, _)| *of == limit).map_or(0.0, |(_, count)| *count);
        let ended: Vec<(f64, f64)> =
            self.jobs.iter().map(|(limit, count)| (*limit, count - earlier(*limit))).collect();
        let all = ended.last()?.1;
        ended.iter().find(|(_, count)| all > 0.0 && *count >= 0.99 * all).map(|(limit, _)| *limit)
    }
}

/// Connections to the database that a process holds, of the same text.
///
/// # Errors
///
/// If it does not say.
pub fn pooled(metrics: &str) -> anyhow::Result<f64> {
    let open = "_database_connections{state=\"open\"} ";
    let value = metrics.lines().find_map(|line| line.split_once(open)?.1.parse().ok());
    value.context("no metric database_connections")
}

/// The slope of the line through these points that fits best, per hour; 0 where there are fewer than two.
pub fn slope_per_hour(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let across: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let along: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if along > 0.0 { 3600.0 * across / along } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "\
# HELP process_open_fds Number of open file descriptors.
process_open_fds 41
process_resident_memory_bytes 200000000
process_threads 12
tagfleet_worker_database_connections{state=\"idle\"} 2
tagfleet_worker_database_connections{state=\"open\"} 7
tagfleet_worker_job_seconds_bucket{le=\"0.1\"} 90
tagfleet_worker_job_seconds_bucket{le=\"1\"} 100
tagfleet_worker_job_seconds_bucket{le=\"+Inf\"} 100
";

    #[test]
    fn a_sample_is_what_the_process_says() {
        let sample = Sample::read(7.0, METRICS).unwrap();

        assert_eq!((sample.memory, sample.descriptors, sample.threads), (200.0, 41.0, 12.0));
        assert_eq!(sample.p99_since(&Sample::default()), Some(1.0));
        assert_eq!(sample.p99_since(&sample), None);
        assert_eq!(pooled(METRICS).unwrap(), 7.0);
        assert!(Sample::read(7.0, "").is_err());
        assert!(pooled("").is_err());
    }

    #[test]
    fn the_slope_is_that_of_the_line_that_fits_best() {
        assert_eq!(slope_per_hour(&[(0.0, 5.0), (1800.0, 6.0), (3600.0, 7.0)]), 2.0);
        assert_eq!(slope_per_hour(&[(0.0, 5.0), (1.0, 5.0)]), 0.0);
        assert_eq!(slope_per_hour(&[]), 0.0);
    }
}

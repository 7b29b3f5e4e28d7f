//! What a soak found, and what it is held against.

use std::fmt;

use super::rest::Rest;
use super::sample::{Sample, slope_per_hour};
use crate::chaos::ending::{self, Open};

/// Memory may grow by so many MB an hour.
const GROWTH: f64 = 1.0;
/// More descriptors that the second half may have: a pool's worth of connections to a host that are open by chance.
const DESCRIPTORS: f64 = 8.0;
/// More threads: the runtime starts one for a blocking call and ends it when it was idle for a while.
const THREADS: f64 = 2.0;

/// A process, and every look at it after the warm-up.
pub type History = (String, Vec<Sample>);

/// Figures in words, and the marks that they miss.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<String>,
    missed: Vec<String>,
}

impl Report {
    /// One that begins with this line.
    pub fn new(summary: String) -> Self {
        Self { lines: vec![summary], missed: Vec::new() }
    }

    /// What a fleet at rest holds after two rounds of work.
    pub fn of_rest(first: &Rest, second: &Rest) -> Self {
        Self { lines: vec![format!("{first}{second}")], missed: second.grown_since(first) }
    }

    /// The marks that are missed, in words.
    pub fn missed(&self) -> &[String] {
        &self.missed
    }

    /// Memory, descriptors, threads and the time of a job. The second half is held against the first: what leaks
    /// goes on growing.
    pub fn process(&mut self, (name, samples): &History) {
        let points: Vec<_> = samples.iter().map(|sample| (sample.at, sample.memory)).collect();
        let slope = slope_per_hour(&points);
        let (first, second) = samples.split_at(samples.len() / 2);
        let most = |of: fn(&Sample) -> f64| {
            let most = |half: &[Sample]| half.iter().map(of).fold(0.0, f64::max);
            (most(first), most(second))
        };
        let (descriptors, threads) = (most(|sample| sample.descriptors), most(|sample| sample.threads));
        self.lines.push(format!(
            "{name}: memory {slope:+.1} MB/h, {:.0} MB at the end; most in the first and in the second half: \
             descriptors {} and {}, threads {} and {}",
            points.last().map_or(0.0, |(_, memory)| *memory),
            descriptors.0,
            descriptors.1,
            threads.0,
            threads.1
        ));
        self.hold(name, "memory", slope < GROWTH, &format!("{slope:+.1} MB/h, mark {GROWTH}"));
        for (what, (first, second), more) in
            [("descriptors", descriptors, DESCRIPTORS), ("threads", threads, THREADS)]
        {
            self.hold(
                name,
                what,
                second <= first + more,
                &format!("{first}, then {second}, mark {more} more"),
            );
        }
        self.times(name, first, second);
    }

    /// 99 % of the jobs, in the buckets of the metric: one bucket more is the machine's own noise.
    fn times(&mut self, name: &str, first: &[Sample], second: &[Sample]) {
        let ends = first.first().zip(second.first()).zip(second.last());
        let Some(((begin, half), end)) = ends else { return };
        let Some((earlier, later)) = half.p99_since(begin).zip(end.p99_since(half)) else { return };
        self.lines.push(format!(
            "{name}: 99 % of jobs within {earlier} s in the first half, {later} s in the second"
        ));
        let limits: Vec<f64> = end.jobs.iter().map(|(limit, _)| *limit).collect();
        let place = |limit: f64| limits.iter().position(|of| *of == limit).unwrap_or(limits.len());
        let flat = place(later) <= place(earlier) + 1;
        self.hold(
            name,
            "jobs",
            flat,
            &format!("99 % within {earlier} s, then {later} s, mark a bucket more"),
        );
    }

    /// What the servers count, at every look after the warm-up.
    pub fn servers(&mut self, looks: &[Open]) {
        let (first, second) = looks.split_at(looks.len() / 2);
        let (first, second) = (most(first), most(second));
        self.lines.push(format!("most in the first half: {first:?}\nmost in the second half: {second:?}"));
        let leaks = ending::beyond(second, ending::most(first));
        self.missed.extend(leaks.into_iter().map(|leak| format!("servers: {leak}")));
    }

    fn hold(&mut self, name: &str, what: &str, kept: bool, figures: &str) {
        if !kept {
            self.missed.push(format!("{name}: {what}: {figures}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        self.missed.iter().try_for_each(|mark| writeln!(f, "missed: {mark}"))?;
        if self.missed.is_empty() { writeln!(f, "every mark is kept") } else { Ok(()) }
    }
}

fn most(looks: &[Open]) -> Open {
    let most = |of: fn(&Open) -> usize| looks.iter().map(of).max().unwrap_or_default();
    Open {
        connections: most(|open| open.connections),
        channels: most(|open| open.channels),
        sessions: most(|open| open.sessions),
        idle_in_transaction: most(|open| open.idle_in_transaction),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every ten minutes for two hours; `n` is the number of the look.
    fn history(sample: impl Fn(f64) -> Sample) -> History {
        let samples = (0..12).map(|n| Sample { at: 600.0 * f64::from(n), ..sample(f64::from(n)) });
        ("worker-1".to_owned(), samples.collect())
    }

    fn flat(n: f64) -> Sample {
        let jobs = vec![(0.25, 990.0 * n), (0.5, 1000.0 * n), (1.0, 1000.0 * n), (f64::INFINITY, 1000.0 * n)];
        Sample { at: 0.0, memory: 200.0 + n % 2.0, descriptors: 40.0 + n % 3.0, threads: 8.0, jobs }
    }

    fn missed(sample: impl Fn(f64) -> Sample) -> Vec<String> {
        let mut report = Report::default();
        report.process(&history(sample));
        report.missed
    }

    #[test]
    fn what_stays_as_it_is_keeps_every_mark() {
        assert_eq!(missed(flat), Vec::<String>::new());
    }

    #[test]
    fn what_grows_misses_its_mark() {
        let slower = |n: f64| {
            let slow = 1000.0 * (n - 6.0).max(0.0);
            let Sample { jobs, .. } = flat(n);
            jobs.into_iter()
                .map(|(limit, count)| (limit, if limit < 1.0 { count - slow } else { count }))
                .collect()
        };
        for (what, grown) in [
            ("memory", missed(|n| Sample { memory: 200.0 + n, ..flat(n) })),
            ("descriptors", missed(|n| Sample { descriptors: 40.0 + 3.0 * n, ..flat(n) })),
            ("threads", missed(|n| Sample { threads: 8.0 + n, ..flat(n) })),
            ("jobs", missed(|n| Sample { jobs: slower(n), ..flat(n) })),
        ] {
            assert!(
                grown.len() == 1 && grown[0].starts_with(&format!("worker-1: {what}: ")),
                "{what}: {grown:?}"
            );
        }
        let mut report = Report::default();
        let open = |connections| Open { connections, ..Open::default() };
        report.servers(&[open(10), open(10), open(11), open(10)]);
        assert!(report.to_string().contains("missed: servers: 11 connections to the broker"), "{report}");
    }
}

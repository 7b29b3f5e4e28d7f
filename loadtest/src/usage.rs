//! What a process takes of the machine, and the processes that it has started: a worker's pictures are
//! decoded in processes of its own.

use std::path::Path;

use anyhow::Context;

/// Fields of `/proc/PID/stat` behind the name, which may hold anything.
struct Stat {
    parent: u32,
    /// Seconds on a CPU.
    own: f64,
    /// Of children that have ended and were waited for.
    of_ended_children: f64,
}

impl Stat {
    fn read(pid: &str) -> anyhow::Result<Self> {
        /// Of a second, whatever the kernel's own clock is.
        const USER_HZ: f64 = 100.0;
        let path = format!("/proc/{pid}/stat");
        let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let strange = || format!("{path} is strange");
        let (_, fields) = text.rsplit_once(')').with_context(strange)?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // proc(5) counts from 1, with number and name before these.
        let field = |number: usize| fields.get(number - 3).with_context(strange);
        let ticks = |number| anyhow::Ok(field(number)?.parse::<f64>()? / USER_HZ);
        Ok(Self {
            parent: field(4)?.parse()?,
            own: ticks(14)? + ticks(15)?,
            of_ended_children: ticks(16)? + ticks(17)?,
        })
    }
}

/// CPU time of a process and its children, all threads together, in seconds; `self` for this one.
///
/// # Errors
///
/// If it has ended.
pub fn cpu_seconds(pid: &str) -> anyhow::Result<f64> {
    let stat = Stat::read(pid)?;
    // A child that has ended meanwhile is counted by its parent the next time.
    let children =
        children(pid)?.into_iter().filter_map(|child| Some(Stat::read(&child.to_string()).ok()?.own));
    Ok(stat.own + stat.of_ended_children + children.sum::<f64>())
}

/// The most memory that a process and its children have had at any time, each for itself, in bytes. What
/// they share, such as the program, counts for each: it is less, and never more.
///
/// # Errors
///
/// If it has ended.
pub fn peak_bytes(pid: &str) -> anyhow::Result<u64> {
    with_children(pid, PEAK)
}

/// The memory that a process and its children have now, counted in the same way.
///
/// # Errors
///
/// If it has ended.
pub fn resident_bytes(pid: &str) -> anyhow::Result<u64> {
    with_children(pid, RESIDENT)
}

/// The memory that a process and its children have now, where what several
/// processes share counts once (proportional set size).
///
/// The kernel walks through all of their pages for it: milliseconds.
///
/// # Errors
///
/// If it has ended.
pub fn proportional_bytes(pid: &str) -> anyhow::Result<u64> {
    with_children(pid, PROPORTIONAL)
}

/// A file of `/proc/PID`, and a field in it that counts in kB.
type Field = (&'static str, &'static str);
const PEAK: Field = ("status", "VmHWM:");
const RESIDENT: Field = ("status", "VmRSS:");
const PROPORTIONAL: Field = ("smaps_rollup", "Pss:");

fn with_children(pid: &str, field: Field) -> anyhow::Result<u64> {
    let children = children(pid)?.into_iter().filter_map(|child| memory(&child.to_string(), field).ok());
    Ok(memory(pid, field)? + children.sum::<u64>())
}

fn memory(pid: &str, (file, field): Field) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kib.with_context(|| format!("{path} has no {field}"))? * 1024)
}

/// The processes that this one has started and that are there now.
///
/// # Errors
///
/// If there is no `/proc`.
pub fn children(pid: &str) -> anyhow::Result<Vec<u32>> {
    let parent = match pid {
        "self" => std::process::id(),
        number => number.parse()?,
    };
    let processes = std::fs::read_dir(Path::new("/proc")).context("/proc")?.filter_map(Result::ok);
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
    Ok(numbers
        .filter(|number| Stat::read(&number.to_string()).is_ok_and(|stat| stat.parent == parent))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn what_its_children_take_counts_for_a_process() {
        let before = cpu_seconds("self").unwrap();
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read _";
        let mut child = Command::new("sh").args(["-c", busy]).stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id().to_string();
        while Stat::read(&id).unwrap().own < 0.1 {
            std::thread::yield_now();
        }
        assert!(children("self").unwrap().contains(&child.id()));
        assert!(cpu_seconds("self").unwrap() >= before + 0.1);
        let own = memory("self", PEAK).unwrap();
        assert!(peak_bytes("self").unwrap() >= own + memory(&id, PEAK).unwrap() / 2);
        assert!(resident_bytes("self").unwrap() > memory(&id, RESIDENT).unwrap());
        assert!(proportional_bytes("self").unwrap() > memory(&id, PROPORTIONAL).unwrap());
        assert!(
            memory(&id, PROPORTIONAL).unwrap() < memory(&id, RESIDENT).unwrap(),
            "it shares its libraries"
        );

        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(cpu_seconds("self").unwrap() >= before + 0.1, "it has ended, and counts still");
    }
}

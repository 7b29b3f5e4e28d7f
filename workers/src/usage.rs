//! What this process and the processes that decode for it take of the machine.
//!
//! The usual `process_*` series know the process alone, and most of the CPU time of a worker without a GPU is
//! spent in its decoders.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of a second, whatever the kernel's own clock is.
const USER_HZ: f64 = 100.0;

/// CPU time and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds on a CPU since the start, all threads together, decoders that have ended included.
    pub cpu_seconds: f64,
    /// Resident memory. What processes share, such as the program, counts for each.
    pub memory_bytes: u64,
}

impl Usage {
    /// Now; what `/proc` does not tell is 0.
    pub fn now() -> Self {
        let own = Stat::read("self").unwrap_or_default();
        let mut usage = Self {
            cpu_seconds: own.own + own.of_ended_children,
            memory_bytes: resident("self").unwrap_or_default(),
        };
        for child in children() {
            usage.cpu_seconds += Stat::read(&child).unwrap_or_default().own;
            usage.memory_bytes += resident(&child).unwrap_or_default();
        }
        usage
    }
}

/// Lets this process open as many files and connections as it may, and says how many; `None`: without limit.
///
/// What holds before is for programs that cannot count further, and is low on many machines.
pub fn open_as_many_as_allowed() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // It may always be as high as that.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current
}

#[derive(Default)]
struct Stat {
    own: f64,
    of_ended_children: f64,
}

impl Stat {
    fn read(pid: &str) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may hold anything; proc(5) counts from 1.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let seconds = |number: usize| Some(fields.get(number - 3)?.parse::<f64>().ok()? / USER_HZ);
        Some(Self { own: seconds(14)? + seconds(15)?, of_ended_children: seconds(16)? + seconds(17)? })
    }
}

fn resident(pid: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Each was started by one of our threads.
fn children() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Each connection to a host that is slow to answer is one.
    #[test]
    fn a_worker_opens_as_many_files_as_it_may() {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let fewer = current.map(|current| current - 1);
        setrlimit(Resource::Nofile, Rlimit { current: fewer, maximum }).unwrap();

        assert_eq!(open_as_many_as_allowed(), maximum);
    }

    #[test]
    fn what_its_decoders_take_counts_for_a_worker() {
        let before = Usage::now();
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; read _";
        let mut child = Command::new("sh").args(["-c", busy]).stdin(Stdio::piped()).spawn().unwrap();
        let id = child.id().to_string();
        while Stat::read(&id).unwrap().own < 0.1 {
            std::thread::yield_now();
        }
        let with = Usage::now();
        assert!(with.cpu_seconds >= before.cpu_seconds + 0.1);
        // Other tests of this process may take memory between the two looks.
        while Usage::now().memory_bytes <= resident("self").unwrap() {
            std::thread::yield_now();
        }

        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Usage::now().cpu_seconds >= before.cpu_seconds + 0.1, "it has ended, and counts still");
    }
}

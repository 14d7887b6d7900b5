//! What a process used, as the kernel counts it: CPU time and the most memory it ever held.
#![allow(clippy::float_arithmetic)] // measurements, never money

use rustix::time::{ClockId, clock_gettime};

/// Clock ticks a second in `/proc`, fixed by the kernel's interface to user space (`USER_HZ`).
const TICKS: f64 = 100.0;

/// CPU seconds that a process has used, its own and in the kernel. `None` if there is no such process.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; fields are counted after it (proc(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let user: f64 = fields.get(11)?.parse().ok()?;
    let system: f64 = fields.get(12)?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// The most memory that a process ever held, in mebibytes.
pub fn peak_mebibytes(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

/// CPU nanoseconds of the calling thread, its own and in the kernel.
pub fn thread_nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Microseconds of this thread's CPU that `work` took for each of `items`.
pub fn microseconds_each(items: usize, work: impl FnOnce()) -> f64 {
    let before = thread_nanoseconds();
    work();
    (thread_nanoseconds() - before) as f64 / 1000.0 / items as f64
}

/// What was measured on.
pub fn machine() -> serde_json::Value {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    serde_json::json!({ "cpu": model.map_or("unknown", |(_, name)| name), "cores": cores, "build": "release with overflow checks" })
}

/// Rounded to `digits` behind the point, for printing.
pub fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

//! What this process uses, as every exporter tells it. What cannot be read is left out.
use super::{Family, Value, catalogue};
use std::fs;

/// The families named `process_…`.
pub fn process_families() -> Vec<Family> {
    let mut families = Vec::new();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may have blanks; what follows it starts with field 3 (proc_pid_stat(5)).
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = system_value(libc::_SC_CLK_TCK);
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        let seconds = (user + system) as f64 / ticks as f64;
        families.push(Family::single(&catalogue::PROCESS_CPU_SECONDS_TOTAL, Value::Number(seconds)));
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        families.push(Family::single(&catalogue::PROCESS_OPEN_FDS, Value::Count(open.count() as u64)));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let most = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    if let Some(most) = most.and_then(|text| text.parse().ok()) {
        families.push(Family::single(&catalogue::PROCESS_MAX_FDS, Value::Count(most)));
    }
    if let Some(bytes) = field(23) {
        families.push(Family::single(&catalogue::PROCESS_VIRTUAL_MEMORY_BYTES, Value::Count(bytes)));
    }
    if let Some(pages) = field(24) {
        let bytes = pages * system_value(libc::_SC_PAGESIZE);
        families.push(Family::single(&catalogue::PROCESS_RESIDENT_MEMORY_BYTES, Value::Count(bytes)));
    }
    if let (Some(started), Some(boot)) = (field(22), boot_time()) {
        let seconds = boot as f64 + started as f64 / ticks as f64;
        families.push(Family::single(&catalogue::PROCESS_START_TIME_SECONDS, Value::Number(seconds)));
    }
    if let Some(threads) = field(20) {
        families.push(Family::single(&catalogue::PROCESS_THREADS, Value::Count(threads)));
    }
    families
}

/// Seconds since 1970 when the machine started.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn system_value(name: libc::c_int) -> u64 {
    // SAFETY: sysconf takes a number and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_this_very_process() {
        let families = process_families();
        assert_eq!(families.len(), 7, "{families:?}");
        let value = |name| {
            let family = families.iter().find(|family| family.metric.name == name).expect(name);
            family.samples[0].value.clone()
        };
        let Value::Count(memory) = value("process_resident_memory_bytes") else { panic!("a count") };
        assert!(memory > 100_000 && memory < 10_000_000_000, "{memory}");
        let Value::Number(start) = value("process_start_time_seconds") else { panic!("a number") };
        assert!(start > 1.6e9, "{start}");
    }
}

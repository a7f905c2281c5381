use std::fs;

/// Returns a field of `/proc/PID/status`, in KiB.
fn field(process: u32, name: &str) -> Option<f64> {
    parse(&fs::read_to_string(format!("/proc/{process}/status")).ok()?, name)
}

fn parse(status: &str, name: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Returns the maximum resident memory of a process since the last [`reset_peak`], in MiB.
pub(in crate::bench) fn peak_mib(process: u32) -> Option<f64> {
    Some(field(process, "VmHWM")? / 1024.0)
}

/// Returns the current resident memory of a process, in KiB.
pub(in crate::bench) fn resident_kib(process: u32) -> Option<f64> {
    field(process, "VmRSS")
}

/// Resets the maximum resident memory of a process to its current memory. If the kernel does not permit this, the
/// maximum since the start of the process remains.
pub(in crate::bench) fn reset_peak(process: u32) {
    let _ = fs::write(format!("/proc/{process}/clear_refs"), "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(parse(status, "VmHWM"), Some(2048.0));
        assert_eq!(parse(status, "VmRSS"), Some(1024.0));
        assert_eq!(parse(status, "Vm"), None);
        assert!(peak_mib(std::process::id()) > Some(1.0));
    }
}

use std::collections::HashMap;
use std::fs;

/// The fields of `/proc/PID/stat` that are needed to measure CPU time.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// CPU time of the process in user and kernel mode, in clock ticks.
    own: u64,
    /// CPU time of child processes that have ended and that the process has waited for, in clock ticks.
    children: u64,
}

impl Stat {
    /// Parses the text of `/proc/PID/stat`. Starts after the last closing parenthesis, because the name of the program,
    /// in parentheses, may contain spaces and parentheses itself.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<_> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: ticks(11)? + ticks(12)?,
            children: ticks(13)? + ticks(14)?,
        })
    }

    fn read(process: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }
}

/// Parses the text of `/proc/stat`. Returns the time during which processors were busy, summed over all processors, in
/// clock ticks.
fn parse_machine(text: &str) -> Option<u64> {
    let fields: Vec<u64> =
        text.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let [user, nice, system, _idle, _iowait, interrupts, soft_interrupts, ..] = fields.as_slice() else {
        return None;
    };
    Some(user + nice + system + interrupts + soft_interrupts)
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Returns the CPU time that this process has used, in seconds.
pub(super) fn own() -> Option<f64> {
    Some(seconds(Stat::read(std::process::id())?.own))
}

/// Returns the CPU time that all processes and the kernel have used, in seconds.
pub(super) fn machine() -> Option<f64> {
    Some(seconds(parse_machine(&fs::read_to_string("/proc/stat").ok()?)?))
}

/// Returns the CPU time that a process and its descendants have used, in seconds. Includes descendants that have ended.
pub(super) fn of_tree(root: u32) -> Option<f64> {
    let names = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let processes: HashMap<u32, Stat> = names.filter_map(|process| Some((process, Stat::read(process)?))).collect();
    processes.get(&root)?;
    let mut ticks = 0;
    let mut remaining = vec![root];
    while let Some(process) = remaining.pop() {
        ticks += processes.get(&process).map_or(0, |stat| stat.own + stat.children);
        remaining.extend(processes.iter().filter(|(_, stat)| stat.parent == process).map(|(child, _)| *child));
    }
    Some(seconds(ticks))
}

/// Returns the id of the main process of Postgres (the postmaster), which is the parent of the process `backend`. The
/// process `backend` serves a connection to the database `name`, and Postgres writes this name into its command line.
/// If the process with this id has another command line, Postgres runs on another machine, and the result is `None`.
pub(in crate::bench) fn first_process(backend: u32, name: &str) -> Option<u32> {
    let command = fs::read(format!("/proc/{backend}/cmdline")).ok()?;
    let command = String::from_utf8_lossy(&command);
    if command.starts_with("postgres:") && command.contains(name) { Some(Stat::read(backend)?.parent) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_may_contain_spaces_and_parentheses() {
        let text = "4242 (a (b) c) S 17 4242 4242 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 6 7";
        assert_eq!(Stat::parse(text), Some(Stat { parent: 17, own: 120, children: 4 }));
    }

    #[test]
    fn incomplete_lines_are_refused() {
        for text in
            ["", "1 (init", "1 (init) S", "1 (init) S 0 1 1 0 -1 0 1 2 3 4 100", "1 (x) S y 1 1 0 0 0 0 0 0 0 1 1 1 1"]
        {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn idle_time_is_not_counted() {
        assert_eq!(parse_machine("cpu  10 1 5 1000 50 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1"), Some(21));
        assert_eq!(parse_machine("cpu  10 1 5"), None);
        assert_eq!(parse_machine(""), None);
    }

    #[test]
    fn this_process_and_the_machine_can_be_measured() {
        assert!(own().is_some() && machine().is_some_and(|seconds| seconds > 0.0));
        assert!(of_tree(std::process::id()) >= own());
        assert_eq!(of_tree(u32::MAX), None);
    }
}

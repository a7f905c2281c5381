use std::fs;

use serde_json::{Value, json};

/// A description of this machine, on which the measured values depend.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) cores: usize,
    /// The size of the memory in MiB. `None` if it is unknown.
    pub(super) memory: Option<u64>,
    pub(super) processor: String,
    pub(super) kernel: String,
}

impl Machine {
    pub(super) fn read() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
            value.map(|value| value.trim().to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory.and_then(|text| Some(text.strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        let Self { cores, memory, processor, kernel } = self;
        json!({ "cores": cores, "memory_mib": memory, "processor": processor, "kernel": kernel })
    }
}

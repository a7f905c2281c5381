//! Tests that servers leave nothing behind, even if their parent process is killed: no process, no file, no open port.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use woosh_harness::{Backend, TestServer};

/// A harness process and its servers.
struct Harness {
    child: Child,
    ports: Vec<SocketAddr>,
}

impl Harness {
    /// Starts servers whose temporary files are all in `folder`.
    fn start(folder: &Path, count: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_woosh-harness"))
            .args(["start", "--count", &count.to_string()])
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started: serde_json::Value = serde_json::from_str(&line).unwrap();
        let instances = started["instances"].as_array().unwrap();
        assert_eq!(instances.len(), count);
        let ports = instances.iter().map(|instance| {
            assert_eq!(instance["backend"], "sqlite");
            address(instance["url"].as_str().unwrap())
        });
        Self { ports: ports.collect(), child }
    }
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

fn listens(address: &SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Returns whether this process listens on the address. A connection attempt could reach another process instead,
/// because another process may get the port as soon as it is free.
fn this_process_listens(address: &SocketAddr) -> bool {
    const LISTENING: &str = "0A";
    let port = format!(":{:04X}", address.port());
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let inodes = sockets.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields[1].ends_with(&port) && fields[3] == LISTENING).then(|| format!("socket:[{}]", fields[9]))
    });
    let inodes: Vec<_> = inodes.collect();
    let files = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let mut links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}

/// Waits until nothing is left of the servers. The folder must be empty, no command line of a process may contain the
/// path of the folder, and none of the ports may be open.
fn assert_nothing_left(folder: &Path, ports: &[SocketAddr]) {
    let start = Instant::now();
    loop {
        let files = std::fs::read_dir(folder).unwrap().count();
        let (processes, listening) =
            (processes_with_argument(folder), ports.iter().filter(|port| listens(port)).count());
        if (files, processes, listening) == (0, 0, 0) {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "left behind: {files} files, {processes} processes, {listening} ports"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn processes_with_argument(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    commands.filter(|command| String::from_utf8_lossy(command).contains(folder)).count()
}

#[test]
fn two_hundred_servers_in_sequence_leave_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let own_children = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        children.flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Starting the first server may open files that the process then keeps open, such as the files of the runtime.
    drop(runtime.block_on(TestServer::start(Backend::Sqlite)).unwrap());
    let files = open_files();
    for _ in 0..200 {
        let server = runtime.block_on(TestServer::start(Backend::Sqlite)).unwrap();
        let port = address(server.url());
        assert!(listens(&port));
        assert!(this_process_listens(&port));
        drop(server);
        assert!(!this_process_listens(&port));
    }
    let watchers = own_children().into_iter().filter(|id| {
        std::fs::read_to_string(format!("/proc/{id}/cmdline"))
            .is_ok_and(|command| command.contains("woosh-exit-script"))
    });
    // Only children of this process are counted: the watchers of tests that run in parallel are children of the
    // harnesses that these tests start.
    assert_eq!(watchers.count(), 0);
    // Tests that run in parallel open files in this process, too, so a few more files are no leak.
    assert!(open_files() < files + 50, "{files} files were open before, {} afterwards", open_files());
}

#[test]
fn closing_standard_input_stops_eight_servers_and_leaves_nothing_behind() {
    for _ in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        let mut harness = Harness::start(folder.path(), 8);
        assert!(harness.ports.iter().all(listens));
        drop(harness.child.stdin.take());
        assert!(harness.child.wait().unwrap().success());
        assert_nothing_left(folder.path(), &harness.ports);
    }
}

#[test]
fn a_signal_to_the_harness_stops_its_servers_and_leaves_nothing_behind() {
    for signal in ["TERM", "INT", "HUP", "KILL"] {
        let folder = tempfile::tempdir().unwrap();
        let mut harness = Harness::start(folder.path(), 8);
        let killed =
            Command::new("/bin/sh").args(["-c", &format!("kill -{signal} {}", harness.child.id())]).status().unwrap();
        assert!(killed.success());
        assert_eq!(harness.child.wait().unwrap().success(), signal != "KILL");
        assert_nothing_left(folder.path(), &harness.ports);
    }
}

#[test]
fn killing_the_harness_stops_the_command_and_its_server() {
    // Kills the harness as soon as its command runs, when the harness may not have finished its own start yet.
    for _ in 0..25 {
        let folder = tempfile::tempdir().unwrap();
        // The folder is an argument, so that `processes_with_argument` finds the process.
        let mut harness = Command::new(env!("CARGO_BIN_EXE_woosh-harness"))
            .args(["run", "--", "sh", "-c", "echo $WOOSH_URL; while :; do sleep 0.05; done"])
            .arg(folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(harness.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(processes_with_argument(folder.path()) > 1);
        harness.kill().unwrap();
        harness.wait().unwrap();
        assert_nothing_left(folder.path(), &[address(line.trim())]);
    }
}

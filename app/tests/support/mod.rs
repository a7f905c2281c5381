//! Starts the server binary and sends requests to it.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, reason = "a test's helper; not every test uses all")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Returns a command that runs the server binary in a working directory, without configuration from the environment.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_woosh-server"));
    command.current_dir(folder).args(args).env_remove("DATABASE_URL");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WOOSH_")) {
        command.env_remove(name);
    }
    command
}

/// Runs the server binary until it exits, and returns its output.
pub(crate) fn output(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).stdin(Stdio::null()).output().unwrap()
}

/// A running server. Dropping this value kills it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Server {
    /// Starts the server on a free port, and waits until it listens.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child =
            command(folder, args).args(["--port", "0"]).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child, url: String::new(), lines, seen: Vec::new() };
        let line = server.wait_for("listening on ");
        let (_, rest) = line.split_once("listening on ").unwrap();
        rest.split(',').next().unwrap().clone_into(&mut server.url);
        server
    }

    /// Waits for a log line that contains `part`, and returns this line.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("no line with {part:?} came; these did: {:#?}", self.seen));
            self.seen.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Returns the address that the server listens on.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Returns the process id of the server.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Stops the server with SIGTERM and returns its log.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success());
        self.seen.extend(self.lines.iter());
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request to the classic API as the user `user`. Returns the status and the JSON body of the response.
pub(crate) async fn ask(server: &Server, user: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    try_ask(&client, server, user, method, path, &body).await.unwrap()
}

/// Sends a request to the classic API, like [`ask`]. Returns an error if the server was killed before it responded.
pub(crate) async fn try_ask(
    client: &reqwest::Client,
    server: &Server,
    user: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> reqwest::Result<(u16, Value)> {
    let request = client
        .request(method.parse().unwrap(), format!("{}{path}", server.url))
        .header("x-user-name", user)
        .header("x-user-token", PASSWORD)
        .json(body);
    let answer = request.send().await?;
    Ok((answer.status().as_u16(), answer.json().await?))
}

/// The password of every user that these helpers register.
pub(crate) const PASSWORD: &str = "open-sesame";

/// Registers a user through the classic API.
pub(crate) async fn register(server: &Server, name: &str) {
    let user = serde_json::json!({
        "username": name, "password": PASSWORD, "public_key": "public-key-of-it", "private_key": "private-key-of-it",
    });
    assert_eq!(ask(server, name, "POST", "/users", user).await.0, 201);
}

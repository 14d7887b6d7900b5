//! A hall with an event, a gate and tickets by number, each part a process as people start it.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

fn program(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tegata"));
    command.arg("--data").arg(data).env("TEGATA_CODE", "1234").env("COLUMNS", "200").stdin(Stdio::null());
    command.args(words);
    command
}

/// A process that is stopped in the end, and what it says.
pub struct Running {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
    typed: ChildStdin,
}

impl Running {
    fn start(data: &Path, words: &[&str]) -> Self {
        let mut command = program(data, words);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (said, typed) = (BufReader::new(child.stdout.take().unwrap()), child.stdin.take().unwrap());
        let mut running = Self { child, said, typed };
        running.says("listening");
        running
    }
    /// Reads on until it says something of this.
    pub fn says(&mut self, what: &str) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.said.read_line(&mut line).unwrap() > 0, "it ended before it said '{what}'");
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value.get(what).is_some() => return value,
                _ => {}
            }
        }
    }
    /// Types a line.
    pub fn told(&mut self, line: &str) {
        writeln!(self.typed, "{line}").unwrap();
    }
}

impl Drop for Running {
    /// SIGKILL: nothing is finished.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The hall. Its one gate is called `north`, its promoter `hall`.
pub struct Hall {
    folder: tempfile::TempDir,
    pub gate: Option<Running>,
    pub provider: Option<Running>,
}

impl Hall {
    /// With an event whose doors are open since an hour, and so many tickets of it by number in the wallet of alice.
    pub fn open(people: &[&str], tickets: u64, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut hall = Self { folder, gate: None, provider: None };
        hall.provider = Some(Running::start(hall.data(), &["--json", "provider", "run"]));
        let token = |role: &str, name: &str, more: &[&str]| {
            let invited = hall.good(&[&["provider", "invite", role, name], more].concat());
            invited["token"].as_str().unwrap().to_owned()
        };
        let joined = hall.good(&["issuer", "hall", "join", &token("issuer", "Hall", &[])]);
        let owner = ["--owner", joined["id"].as_str().unwrap()];
        for name in people {
            hall.good(&["wallet", name, "join", &token("wallet", name, &[])]);
        }
        hall.good(&["gate", "north", "join", &token("gate", "north", &owner)]);
        let sql = "SELECT strftime('%Y-%m-%dT%H:%M', 'now', '-1 hour')";
        let from: String =
            rusqlite::Connection::open_in_memory().unwrap().query_row(sql, [], |row| row.get(0)).unwrap();
        let plan = ["--place", "Town hall", "--category", "Standing=45.00:100", "--entries", "2", "--from", &from];
        hall.good(&[&["issuer", "hall", "event", "plan", "Concert"], &plan[..], more].concat());
        hall.good(&["issuer", "hall", "event", "gate", "Concert", "north"]);
        hall.good(&["gate", "north", "update"]);
        let count = tickets.to_string();
        hall.good(&["issuer", "hall", "event", "numbers", "Concert", "Standing", "--count", &count]);
        hall.good(&["issuer", "hall", "activate", "1", "1", &count]);
        let printed = hall.good(&["issuer", "hall", "print", "1"]);
        for one in printed["numbers"].as_array().unwrap() {
            hall.good(&["wallet", "alice", "install", one["number"].as_str().unwrap()]);
        }
        let gate = ["--json", "gate", "north", "run", "--update-every", "0"];
        hall.gate = Some(Running::start(hall.data(), &gate));
        hall
    }
    pub fn data(&self) -> &Path {
        self.folder.path()
    }
    pub fn start(&self, words: &[&str]) -> Child {
        program(self.data(), &[&["--json"], words].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
    pub fn text(&self, words: &[&str]) -> String {
        let output = program(self.data(), words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
    pub fn good(&self, words: &[&str]) -> Value {
        read(&program(self.data(), &[&["--json"], words].concat()).output().unwrap(), words)
    }
    /// Fails with a message for people that says this.
    pub fn bad(&self, words: &[&str], says: &str) {
        let output = program(self.data(), words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{words:?}: {said}");
    }
    /// A wallet's tickets.
    pub fn tickets(&self, of: &str) -> Vec<Value> {
        self.good(&["wallet", of, "tickets"])["tickets"].as_array().unwrap().clone()
    }
    /// Where a wallet that gives says its address.
    pub fn address(&self, of: &str) -> PathBuf {
        self.data().join("wallets").join(of).join("address")
    }
    /// The gate brings what it has seen.
    pub fn brings(&mut self) {
        let gate = self.gate.as_mut().unwrap();
        gate.told("update");
        gate.says("updated");
    }
}

/// What a command has answered that did what it was asked.
pub fn read(output: &Output, words: &[&str]) -> Value {
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

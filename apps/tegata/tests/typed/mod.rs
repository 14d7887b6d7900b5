//! The program as people type it: a line or its words, what comes back, and parts that run until they are stopped.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// What is typed.
pub trait Typed {
    fn words(&self) -> Vec<&str>;
}

impl Typed for &str {
    fn words(&self) -> Vec<&str> {
        self.split_whitespace().collect()
    }
}

impl Typed for &String {
    fn words(&self) -> Vec<&str> {
        self.split_whitespace().collect()
    }
}

impl Typed for &[&str] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl Typed for &Vec<&str> {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl<const N: usize> Typed for &[&str; N] {
    fn words(&self) -> Vec<&str> {
        self.to_vec()
    }
}

/// The program on this data folder; the words follow.
pub fn tegata(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tegata"));
    command.arg("--data").arg(data).env("TEGATA_CODE", "1234").env("COLUMNS", "200").stdin(Stdio::null());
    command
}

/// Types this, with `--json`.
pub fn run(data: &Path, typed: impl Typed) -> Output {
    tegata(data).arg("--json").args(typed.words()).output().unwrap()
}

/// What it says on its last line.
pub fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// Does it.
pub fn good(data: &Path, typed: impl Typed) -> Value {
    let output = run(data, &typed.words());
    assert!(output.status.success(), "{:?}: {}", typed.words(), String::from_utf8_lossy(&output.stderr));
    json(&output)
}

/// Does it, and prints this for people.
pub fn text(data: &Path, typed: impl Typed) -> String {
    let output = tegata(data).args(typed.words()).output().unwrap();
    assert!(output.status.success(), "{:?}: {}", typed.words(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with a message for people that says this, one for programs (unless what was typed could not be read), and an exit code that is
/// not zero.
pub fn bad(data: &Path, typed: impl Typed, says: &str) {
    let output = run(data, &typed.words());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(says), "{:?}: {said}", typed.words());
    let unread = output.status.code() == Some(2);
    assert!(unread || json(&output).get("error").is_some(), "{:?}: the error is in the JSON, too", typed.words());
}

/// A token for somebody who joins.
pub fn token(data: &Path, role: &str, name: &str, owner: &[&str]) -> String {
    good(data, &[&["provider", "invite", role, name], owner].concat())["token"].as_str().unwrap().to_owned()
}

/// A part that runs until it is dropped, and says where on its first line of JSON.
pub struct Running {
    child: Child,
    pub said: Value,
    pub address: String,
    out: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(data: &Path, typed: impl Typed) -> Self {
        Self::of(tegata(data).arg("--json").args(typed.words()))
    }
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut line, mut out) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        out.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, said, address, out }
    }
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
    /// Waits until it is gone.
    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
    /// Its last line, once it has ended by itself.
    pub fn ends(mut self) -> Value {
        let mut said = String::new();
        self.out.read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
    /// Closes it as Ctrl-C does; gives its last line.
    pub fn close(self) -> Value {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.ends()
    }
}

impl Drop for Running {
    /// SIGKILL: nothing is finished.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The gates of the hall: processes with their own vaults, on loopback sockets, told what a steward would type.

use crate::rig::ProviderProcess;
use crate::screen::{Failure, fail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tegata_core::PartyId;

/// How long a gate may take to answer its steward.
const PATIENCE: Duration = Duration::from_secs(120);

/// One gate's process.
pub struct GateProcess {
    data: PathBuf,
    url: String,
    /// What its folder is called.
    pub name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    /// Where tickets touch.
    pub address: String,
    /// Where neighbours ask.
    pub lan: String,
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        // Everything started is stopped; gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A started process: itself, what it is told by, what it says.
type Started = (Child, ChildStdin, Receiver<Value>);

impl GateProcess {
    /// A gate that joins as the promoter's; it is opened once it is in its place.
    pub fn join(provider: &ProviderProcess, promoter: PartyId, name: &str) -> Result<String, Failure> {
        let token = provider.invite("gate", &[name.to_owned()], Some(promoter))?.remove(0);
        let joined = said(&provider.data, &provider.url(), &["gate", name, "join", &token.reveal()])?;
        match joined.get("id").and_then(Value::as_str) {
            Some(id) => Ok(id.to_owned()),
            None => fail(format!("gate {name} did not join: {joined}")),
        }
    }
    /// Fetches its set-up and opens it.
    pub fn open(provider: &ProviderProcess, name: &str) -> Result<Self, Failure> {
        let (data, url) = (provider.data.clone(), provider.url());
        said(&data, &url, &["gate", name, "update"])?;
        let (child, stdin, lines) = start(&data, &url, name, ("127.0.0.1:0", "127.0.0.1:0"))?;
        let mut gate =
            Self { data, url, name: name.to_owned(), child, stdin, lines, address: String::new(), lan: String::new() };
        gate.opened()?;
        Ok(gate)
    }
    fn opened(&mut self) -> Result<(), Failure> {
        let opened = self.next(|line| line.get("listening").is_some())?;
        let text = |name: &str| opened.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        (self.address, self.lan) = (text("listening"), text("lan"));
        Ok(())
    }
    /// Waits for what it says.
    fn next(&self, which: impl Fn(&Value) -> bool) -> Result<Value, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if which(&line) => return Ok(line),
                Ok(_) => {}
                Err(_) => return fail(format!("{} does not answer", self.name)),
            }
        }
    }
    fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.stdin, "{line}")?)
    }
    /// Listens to a neighbour from now on.
    pub fn neighbour(&mut self, address: &str) -> Result<(), Failure> {
        self.tell(&format!("neighbour {address}"))?;
        self.next(|line| line.get("neighbour").is_some()).map(drop)
    }
    /// What it says of itself.
    pub fn status(&mut self) -> Result<Value, Failure> {
        self.tell("status")?;
        self.next(|line| line.get("waiting").is_some() && line.get("zones").is_some())
    }
    /// Brings its log to the provider until nothing is left; whether all of it is there.
    pub fn bring(&mut self) -> Result<bool, Failure> {
        self.tell("update")?;
        let answer = self.next(|line| line.get("updated").is_some() || line.get("error").is_some())?;
        if answer.get("error").is_some() {
            return Ok(false);
        }
        Ok(self.status()?.get("waiting").and_then(Value::as_u64) == Some(0))
    }
    /// A code before its camera: whether it opens, or why not.
    pub fn camera(&mut self, code: &[u8]) -> Result<Result<(), String>, Failure> {
        self.tell(&format!("camera {}", base45::encode(code)))?;
        let answer = self.next(|line| line.get("camera").is_some())?;
        match answer.get("done").and_then(Value::as_str) {
            Some("in") => Ok(Ok(())),
            _ => Ok(Err(answer.get("why").and_then(Value::as_str).unwrap_or("?").to_owned())),
        }
    }
    /// SIGKILL in the middle of whatever it does, and opened again where it stood.
    pub fn kill_and_reopen(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        let at = (self.address.clone(), self.lan.clone());
        let (child, stdin, lines) = start(&self.data, &self.url, &self.name, (&at.0, &at.1))?;
        (self.child, self.stdin, self.lines) = (child, stdin, lines);
        self.opened()
    }
}

fn program(data: &Path, url: &str, arguments: &[&str]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--json").arg("--data").arg(data).args(["--provider", url]).args(arguments);
    Ok(command)
}

/// What a command answers, as JSON.
fn said(data: &Path, url: &str, arguments: &[&str]) -> Result<Value, Failure> {
    let output = program(data, url, arguments)?.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return fail(format!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn start(data: &Path, url: &str, name: &str, (listen, lan): (&str, &str)) -> Result<Started, Failure> {
    let run = ["gate", name, "run", "--listen", listen, "--lan", lan, "--update-every", "0"];
    let mut child = program(data, url, &run)?.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(stdin), Some(out)) = (child.stdin.take(), child.stdout.take()) else {
        return fail(format!("{name} has no input or output"));
    };
    let (said, lines) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_str(&line).ok()).try_for_each(|line| said.send(line))
    });
    Ok((child, stdin, lines))
}

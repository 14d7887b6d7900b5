//! A provider in a process of its own, as replay and benchmark drive it: started, asked, killed, started again.

use crate::operator::Operator;
use crate::screen::{Failure, fail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tegata_core::talk::join::{JoinToken, ProviderInfo};
use tegata_core::{PartyId, Time};
use tegata_device::fetch_info;

/// The process and how to reach it.
pub struct ProviderProcess {
    child: Child,
    /// Its data folder.
    pub data: PathBuf,
    /// Its address, such as `127.0.0.1:41234`.
    pub address: String,
    clock: Time,
    operator: Operator,
    // Held open: what the process prints while it stops has somewhere to go.
    _out: BufReader<ChildStdout>,
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        // Everything started is stopped; gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ProviderProcess {
    /// Starts one on a data folder, its clock at `clock`.
    pub fn start(data: &Path, clock: Time) -> Result<Self, Failure> {
        let (child, address, out) = spawn(data, "127.0.0.1:0", clock)?;
        let operator = Operator::connect(&data.join("provider"), &format!("http://{address}"))?;
        Ok(Self { child, data: data.to_owned(), address, clock, operator, _out: out })
    }
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// Where messages go.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// Who it is.
    pub fn info(&self) -> Result<ProviderInfo, Failure> {
        Ok(fetch_info(&self.url())?)
    }
    /// Its operator's line.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }
    /// Sets its clock.
    pub fn set_clock(&mut self, clock: Time) -> Result<(), Failure> {
        self.clock = clock;
        self.operator.ask(&json!({ "do": "clock", "time": clock.0 })).map(drop)
    }
    /// SIGKILL, then a new process on the same folder and address.
    pub fn kill_and_restart(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        let (child, address, out) = spawn(&self.data, &self.address, self.clock)?;
        self._out = out;
        self.child = child;
        self.address = address;
        Ok(())
    }
    /// Asks for tokens, one for each name.
    pub fn invite(&self, role: &str, names: &[String], owner: Option<PartyId>) -> Result<Vec<JoinToken>, Failure> {
        let owner = owner.map(|owner| owner.to_string());
        let answer = self.operator.ask(&json!({ "do": "invite", "role": role, "names": names, "owner": owner }))?;
        let tokens = answer.get("tokens").and_then(Value::as_array).cloned().unwrap_or_default();
        let tokens: Option<Vec<_>> = tokens.iter().map(|token| token.as_str().and_then(JoinToken::parse)).collect();
        match tokens {
            Some(tokens) if tokens.len() == names.len() => Ok(tokens),
            _ => fail("the provider gave other tokens than were asked for"),
        }
    }
}

fn spawn(data: &Path, listen: &str, clock: Time) -> Result<(Child, String, BufReader<ChildStdout>), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--json")
        .arg("--data")
        .arg(data)
        .args(["provider", "run", "--listen", listen, "--clock"])
        .arg(clock.0.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let Some(out) = child.stdout.take() else {
        return fail("the provider's process has no output");
    };
    let mut line = String::new();
    let mut out = BufReader::new(out);
    out.read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line).unwrap_or_default();
    match said.get("listening").and_then(Value::as_str) {
        Some(address) => Ok((child, address.to_owned(), out)),
        None => {
            let status = child.wait()?;
            fail(format!("the provider's process did not start ({status}): {line}"))
        }
    }
}

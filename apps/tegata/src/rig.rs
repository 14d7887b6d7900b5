//! Provider and processor in processes of their own, as replay and benchmark drive them: started, asked, killed, started again.

use crate::commands::provider::clear_with;
use crate::operator::Operator;
use crate::screen::{Failure, fail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use tegata_core::talk::credit::{CardExpiry, CardNumber, CreditNotice};
use tegata_core::talk::join::{JoinToken, ProviderInfo};
use tegata_core::{Amount, PartyId, Time, Unit};
use tegata_device::{Now, Post, fetch_info, fetch_processor};
use tegata_processor::bank::{Host, HostConfig, TestCard};
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// The process and how to reach it.
pub struct ProviderProcess {
    child: Child,
    /// Its data folder.
    pub data: PathBuf,
    /// Its address, such as `127.0.0.1:41234`.
    pub address: String,
    /// What its clock says; absent: the system's.
    clock: Option<Time>,
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
        Self::started(data, Some(clock))
    }
    /// Starts one that goes by the system's clock.
    pub fn start_now(data: &Path) -> Result<Self, Failure> {
        Self::started(data, None)
    }
    fn started(data: &Path, clock: Option<Time>) -> Result<Self, Failure> {
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
        self.clock = Some(clock);
        self.operator.ask(&json!({ "do": "clock", "time": clock.0 })).map(drop)
    }
    /// SIGKILL, then a new process on the same folder and address.
    pub fn kill_and_restart(&mut self) -> Result<(), Failure> {
        self.kill()?;
        self.restart()
    }
    /// SIGKILL.
    pub fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
    /// A new process on the same folder and address.
    pub fn restart(&mut self) -> Result<(), Failure> {
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

fn spawn(data: &Path, listen: &str, clock: Option<Time>) -> Result<(Child, String, BufReader<ChildStdout>), Failure> {
    let clock = clock.map(|clock| clock.0.to_string());
    let mut arguments = vec!["provider", "run", "--listen", listen];
    arguments.extend(clock.iter().flat_map(|clock| ["--clock", clock]));
    listening(data, &arguments)
}

fn clearing(data: &Path, listen: &str, bank: &Host) -> Result<(Child, String, BufReader<ChildStdout>), Failure> {
    listening(data, &["processor", "run", "--listen", listen, "--bank", &bank.address().to_string()])
}

/// Starts this program as a part that says on its first line of JSON where it listens.
fn listening(data: &Path, arguments: &[&str]) -> Result<(Child, String, BufReader<ChildStdout>), Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--json")
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let part = arguments.first().copied().unwrap_or_default();
    let Some(out) = child.stdout.take() else {
        return fail(format!("the {part}'s process has no output"));
    };
    let mut line = String::new();
    let mut out = BufReader::new(out);
    out.read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line).unwrap_or_default();
    match said.get("listening").and_then(Value::as_str) {
        Some(address) => Ok((child, address.to_owned(), out)),
        None => {
            let status = child.wait()?;
            fail(format!("the {part}'s process did not start ({status}): {line}"))
        }
    }
}

/// A processor in a process of its own, and a bank for tests within this one.
pub struct ClearingProcess {
    child: Child,
    data: PathBuf,
    address: String,
    bank: Host,
    _out: BufReader<ChildStdout>,
}

impl Drop for ClearingProcess {
    fn drop(&mut self) {
        // Everything started is stopped; gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ClearingProcess {
    /// Starts both on the provider's data folder; the provider clears with them from now on.
    pub fn start(provider: &ProviderProcess) -> Result<Self, Failure> {
        let bank = Host::start(HostConfig { listen: ([127, 0, 0, 1], 0).into(), late: 3_000 })?;
        let key = provider.operator.ask(&json!({ "do": "key" }))?;
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        for arguments in [vec!["init".into()], vec!["admit".into(), text("provider"), text("key")]] {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("--data").arg(&provider.data).arg("processor").args(&arguments).stdin(Stdio::null());
            let done = command.output()?;
            if !done.status.success() {
                return fail(format!("the processor was not set up: {}", String::from_utf8_lossy(&done.stderr)));
            }
        }
        let (child, address, out) = clearing(&provider.data, "127.0.0.1:0", &bank)?;
        clear_with(&format!("http://{address}"), |question| provider.operator.ask(&question))?;
        Ok(Self { child, data: provider.data.clone(), address, bank, _out: out })
    }
    /// SIGKILL of the processor, then a new process on the same folder and address.
    pub fn kill_and_restart(&mut self) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.address, self._out) = clearing(&self.data, &self.address, &self.bank)?;
        Ok(())
    }
    /// The bank goes down in the middle of whatever it was asked, and comes up again with its books.
    pub fn restart_bank(&mut self) -> Result<(), Failure> {
        Ok(self.bank.restart()?)
    }
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// What the processor's command says.
    pub fn ask(&self, provider: &ProviderProcess, command: &str) -> Result<Value, Failure> {
        let mut asked = Command::new(std::env::current_exe()?);
        asked.arg("--json").arg("--data").arg(&provider.data).args(["processor", command]).stdin(Stdio::null());
        Ok(serde_json::from_slice(&asked.output()?.stdout)?)
    }
    /// What it has charged for all merchants, in US dollars: its own books, in cents.
    pub fn captured(&self, provider: &ProviderProcess) -> Result<u64, Failure> {
        let found = self.ask(provider, "balances")?;
        let all = found.get("balances").and_then(Value::as_array).cloned().unwrap_or_default();
        let minor = |one: &Value| Some(Amount::parse(Unit::USD, one.get("amount")?.as_str()?)?.minor());
        match all.iter().map(minor).sum() {
            Some(sum) => Ok(sum),
            None => fail("the processor's balances cannot be read"),
        }
    }
    /// What the bank has posted for all merchants, in US cents.
    pub fn posted(&self) -> i64 {
        self.bank.bank().posted_in_all(Unit::USD)
    }
    /// How many refunds the bank has posted, and how many captures it has paid back whole.
    pub fn refunds(&self) -> (usize, usize) {
        self.bank.bank().refunds()
    }
    /// Holds the processor still, as a machine does that hangs, or lets it go on.
    pub fn hold(&self, still: bool) -> Result<(), Failure> {
        let signal = if still { "STOP" } else { "CONT" };
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {}", self.pid())).status()?;
        if sent.success() { Ok(()) } else { fail("the processor's process is gone") }
    }
    /// Enrols a payee under this code.
    pub fn enrol(&self, provider: &ProviderProcess, payee: PartyId, code: &str) -> Result<(), Failure> {
        let question = json!({
            "do": "enrol", "merchant": payee.to_string(), "code": code, "category": 5999, "name": code,
        });
        provider.operator.ask(&question).map(drop)
    }
    /// Registers a bank card that is always approved; returns once the processor knows it.
    pub fn register(
        &self,
        wallet: &mut Wallet<MemoryVault>,
        post: &mut dyn Post,
        url: &str,
        now: impl Fn() -> Now,
    ) -> Result<(), Failure> {
        let Some(certificate) = fetch_processor(url)? else {
            return fail("the provider has no processor");
        };
        let card = CardNumber::new(TestCard::Approved.number().as_bytes()).zip(CardExpiry::new(99, 12));
        let Some(card) = card else {
            return fail("the test card is none");
        };
        let sealed = wallet.seal_card(&certificate, card, now())?;
        loop {
            match wallet.register_card(post, sealed.clone(), now())? {
                CreditNotice::Authorized => return Ok(()),
                // Held until it is known, and asked again.
                CreditNotice::Waiting { .. } => {}
                other => return fail(format!("the bank card was not registered: {other:?}")),
            }
        }
    }
}

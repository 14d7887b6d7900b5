//! What a provider's operator does on the command line.

use super::statement::{cell, list};
use crate::flags::{InviteRole, ProviderCommand};
use crate::operator::Operator;
use crate::place::{Place, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tegata_core::Time;
use tegata_provider::http::{Clock, Config, OperatorLine, system_clock};
use tegata_provider::{Provider, http, operator};
use tegata_store::back_up;
use tegata_vault::{FolderError, PartFolder, VaultError};
use tokio::sync::oneshot;

/// Does it.
pub fn run(place: &Place, screen: Screen, command: ProviderCommand) -> Result<Answer, Failure> {
    let ask = |question: Value| -> Result<Value, Failure> {
        let folder = place.folder.path().join("provider");
        Operator::connect(&folder, &place.provider_url()?)?.ask(&question)
    };
    match command {
        ProviderCommand::Run { listen, name, clock } => serve(place, screen, &listen, &name, clock.map(Time)),
        ProviderCommand::Invite { role, name, owner } => {
            let role = match role {
                InviteRole::Issuer => "issuer",
                InviteRole::Merchant => "merchant",
                InviteRole::Terminal => "terminal",
                InviteRole::Gate => "gate",
                InviteRole::Switch => "switch",
                InviteRole::Wallet => "wallet",
            };
            let owned = matches!(role, "terminal" | "gate" | "switch");
            if owned && owner.is_none() {
                return fail(format!(
                    "a {role} belongs to somebody who has joined (a gate to its promoter, an issuer): name the id, as `join` printed it: \
                     tegata provider invite {role} {name} --owner party-..."
                ));
            }
            let answer = ask(json!({ "do": "invite", "role": role, "names": [name], "owner": owner }))?;
            let token = answer.pointer("/tokens/0").and_then(Value::as_str).unwrap_or_default().to_owned();
            // A device that stands somewhere is told where the provider is as well: nothing else has to be typed there.
            let to_scan = format!("{token}@{}", place.provider_url()?);
            let text = format!(
                "One-time token for {name}, to be handed over privately:\n  {token}\nThere: tegata {role} {name} join {token}\n\
                 or, from this code, also where the provider is not known yet: tegata {role} {name} join {to_scan}\n{}",
                super::qr(&to_scan)?
            );
            Ok(Answer::new(text, json!({ "token": token, "to_scan": to_scan, "role": role, "name": name })))
        }
        ProviderCommand::Settle => {
            let settled = ask(json!({ "do": "settle" }))?;
            Ok(Answer::new(settlement(&settled), settled))
        }
        ProviderCommand::Settlement(command) => super::settlement::run(screen, ask, command),
        ProviderCommand::Exceptions => {
            let found = ask(json!({ "do": "exceptions" }))?;
            Ok(Answer::new(looked_at(&found), found))
        }
        ProviderCommand::Revoke { subject } => {
            let done = ask(json!({ "do": "revoke", "subject": subject }))?;
            Ok(Answer::new(format!("{subject} is revoked: terminals learn it with their next update."), done))
        }
        ProviderCommand::Block { card } => {
            let done = ask(json!({ "do": "block", "card": card }))?;
            Ok(Answer::new(format!("{card} is blocked: what was spent before is still paid, once."), done))
        }
        ProviderCommand::Reissue { card } => {
            let done = ask(json!({ "do": "reissue", "card": card }))?;
            let number = done.get("number").and_then(Value::as_str).unwrap_or_default().to_owned();
            let text = format!(
                "{card} is blocked in the wallet that was lost; gates hear of it with their next update. Whoever installs this number has it:\n  {number}\n\
                 There: tegata wallet NAME take {}",
                number.replace(' ', "")
            );
            Ok(Answer::new(text, done))
        }
        ProviderCommand::Key => {
            let key = ask(json!({ "do": "key" }))?;
            let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let told =
                format!("Let it ask, at the processor: tegata processor admit {} {}", text("provider"), text("key"));
            Ok(Answer::new(told, key))
        }
        ProviderCommand::Processor { url } => {
            let found = clear_with(&url, ask)?;
            let text = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok(Answer::new(format!("Credit is cleared by {} ({}).", text("name"), text("processor")), found))
        }
        ProviderCommand::Enrol { merchant, code, category, name } => {
            let question =
                json!({ "do": "enrol", "merchant": merchant, "code": code, "category": category, "name": name });
            Ok(Answer::new(format!("{merchant} takes credit as soon as the processor knows it."), ask(question)?))
        }
        ProviderCommand::Credits { open } => super::opened::credits(open, ask, crate::screen::width()),
        ProviderCommand::Status => {
            let status = ask(json!({ "do": "status" }))?;
            Ok(Answer::new(stands(&status), status))
        }
        ProviderCommand::Compared => {
            let done = ask(json!({ "do": "compared" }))?;
            let text = match done.get("waited").and_then(Value::as_bool) {
                Some(true) => "What was sold since the backup is compared: sales go on.",
                _ => "Sales did not wait for that: no backup was put back since it was said last.",
            };
            Ok(Answer::new(text, done))
        }
        ProviderCommand::Backup { file } => backup(place, &file),
        ProviderCommand::PutBack { file } => put_back(place, &file),
    }
}

/// A copy is made beside whoever writes: nobody has to stop.
fn backup(place: &Place, file: &Path) -> Result<Answer, Failure> {
    let database = place.folder.path().join("provider").join("provider.db");
    back_up(&database, file).map_err(|error| told(file, &error))?;
    let bytes = std::fs::metadata(file)?.len();
    let text = format!(
        "All that is recorded by now is in {} ({} KB). The provider's keys are not: keep a copy of {} elsewhere, once.\n\
         Put it back with: tegata provider put-back {}",
        file.display(),
        bytes.div_ceil(1_000),
        place.folder.path().join("provider").join("keys").display(),
        file.display()
    );
    Ok(Answer::new(text, json!({ "backup": file, "bytes": bytes })))
}

fn put_back(place: &Place, file: &Path) -> Result<Answer, Failure> {
    let lock = match place.folder.provider() {
        Err(FolderError { reason: VaultError::Locked, .. }) => {
            return fail("the provider is running: stop it, then put the backup back");
        }
        lock => lock?,
    };
    let (row, kept) = Provider::put_back(lock.path(), file, now().time).map_err(|error| told(file, &error))?;
    let until = row.reconciling_until.unwrap_or(row.epoch_began);
    let mut text = format!(
        "{} is put back, and epoch {} has begun: devices send again what is missing here as they update. Until all have, at the latest on {}, \
         installs, loads, sales and refunds wait; payments, gates and calls do not.\n\
         What was blocked or revoked since the backup is forgotten: say it again once it runs (tegata provider block CARD, revoke DEVICE).\n\
         Nothing is sold over the network or printed for events, after that, before you have compared what was sold since the backup, with the \
         processor's books and the promoters': tegata provider compared\n\
         Before you order payouts, compare with the bank (tegata provider payouts PERIOD --pain001 --compared); what is unexplained is under: tegata provider exceptions",
        file.display(),
        row.epoch,
        super::moment(until)
    );
    if let Some(kept) = &kept {
        text.push_str(&format!("\nWhat was there before is kept in {}.", kept.display()));
    }
    Ok(Answer::new(text, json!({ "epoch": row.epoch, "reconciling_until": until.0, "kept": kept })))
}

/// What is wrong with which file.
fn told(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure(format!("{}: {error}", file.display()), None)
}

/// How it stands, for people.
fn stands(status: &Value) -> String {
    let number = |name: &str| status.get(name).and_then(Value::as_u64);
    let at = super::moment(Time(number("at").unwrap_or(0)));
    let mut lines = vec![format!("{} at {at}.", cell(status, "provider"))];
    if let Some(until) = number("reconciling_until") {
        let until = super::moment(Time(until));
        lines.push(format!("A backup was put back: installs, loads, sales and refunds wait for devices to be heard, until {until} at most."));
    } else if status.get("compared").and_then(Value::as_bool) == Some(false) {
        lines.push("A backup was put back: nothing is sold before you have compared what was sold since, and said so: tegata provider compared".to_owned());
    }
    lines.extend(balances(status));
    lines.join("\n")
}

/// Registers the processor that answers there. Whoever does this compares the id with what its operator said.
pub fn clear_with(url: &str, ask: impl Fn(Value) -> Result<Value, Failure>) -> Result<Value, Failure> {
    let url = url.trim_end_matches('/');
    match tegata_device::fetch_processor(url)? {
        Some(info) => ask(json!({ "do": "processor", "info": hex::encode(info), "url": url })),
        None => fail(format!("no processor answers at {url}")),
    }
}

/// What a person has to look at, in plain words; what was explained since is counted.
fn looked_at(found: &Value) -> String {
    let all = list(found, "exceptions");
    let open = |row: &&Value| row.get("open").and_then(Value::as_bool) != Some(false);
    let told = |row: &Value| {
        let [number, kind, at, says, next] = ["number", "kind", "at", "says", "next"].map(|name| cell(row, name));
        format!("{number}. {}, since {at}: {says}.\n   Next: {next}.", bold(kind))
    };
    let mut parts: Vec<String> = all.iter().filter(open).map(told).collect();
    let explained = all.len() - parts.len();
    if parts.is_empty() {
        parts.push("Nothing to look at.".to_owned());
    }
    match explained {
        0 => {}
        1 => parts.push("One more was explained since; --json has it.".to_owned()),
        more => parts.push(format!("{more} more were explained since; --json has them.")),
    }
    parts.join("\n\n")
}

/// A settlement for people.
pub fn settlement(settled: &Value) -> String {
    let mut lines = Vec::new();
    let list = |name: &str| settled.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    lines.push(format!("Period {} is closed.", settled.get("period").and_then(Value::as_u64).unwrap_or(0)));
    if list("owed").is_empty() {
        lines.push("There was nothing to settle.".to_owned());
    }
    if !list("payouts").is_empty() {
        lines.push(super::settlement::payouts(&list("payouts")));
    }
    if !list("owed").is_empty() {
        lines.push(super::settlement::owed(settled));
    }
    lines.extend(balances(settled));
    lines.join("\n")
}

/// The trial balance of each book.
fn balances(told: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for book in list(told, "books") {
        lines.push(format!("Trial balance of {} in {}:", cell(book, "issuer"), cell(book, "unit")));
        if let Some(sums) = book.get("lines").and_then(Value::as_object) {
            for (name, amount) in sums.iter().filter(|(_, amount)| amount.as_str() != Some("0.00")) {
                lines.push(format!("  {name:<12} {:>12}", amount.as_str().unwrap_or_default()));
            }
        }
    }
    lines
}

/// A provider that is being served.
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), Failure>>>,
    folder: PathBuf,
    _lock: PartFolder,
}

impl Serving {
    /// Starts serving the provider of this folder.
    pub fn start(place: &Place, listen: &str, name: &str, clock: Option<Time>) -> Result<Self, Failure> {
        let Ok(listen) = listen.parse::<SocketAddr>() else {
            return fail(format!("'{listen}' is no address to listen on; write it as 127.0.0.1:8420"));
        };
        let lock = place.folder.provider()?;
        let folder = lock.path().to_owned();
        let (clock, set): (Clock, _) = match clock {
            None => (system_clock(), None),
            Some(time) => {
                let shared = Arc::new(AtomicU64::new(time.0));
                let read = Arc::clone(&shared);
                (Arc::new(move || Time(read.load(Ordering::SeqCst))), Some(shared))
            }
        };
        let started = now();
        let provider = Provider::open_folder(&folder, name, clock(), started.entropy)?;
        let (bound, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let line = OperatorLine { key: operator::key(&folder)?, clock: set };
        let config = Config { listen, clock, bound: Some(bound), operator: Some(line) };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || -> Result<(), Failure> {
            let shutdown = async {
                // Dropped or sent: either way it is time to stop.
                let _ = stopped.await;
            };
            runtime.block_on(http::run(provider, config, shutdown))?;
            Ok(())
        });
        let Ok(address) = address.blocking_recv() else {
            return match thread.join() {
                Ok(Err(failure)) => Err(failure),
                _ => fail("the provider stopped before it listened"),
            };
        };
        write_address(&folder, &address.to_string())?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread), folder, _lock: lock })
    }
    /// Waits until it has stopped by itself or by its operator.
    pub fn wait(mut self) -> Result<(), Failure> {
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Ok(ended)) => ended,
            _ => fail("the provider stopped unexpectedly; start it again, nothing acknowledged is lost"),
        }
    }
    /// Stops it.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.stop.take();
        self.wait()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // Its own failure was reported to whoever waited; nobody does any more.
            let _ = thread.join();
        }
        forget_address(&self.folder);
    }
}

fn serve(place: &Place, screen: Screen, listen: &str, name: &str, clock: Option<Time>) -> Result<Answer, Failure> {
    let serving = Serving::start(place, listen, name, clock)?;
    let address = serving.address.to_string();
    let text = format!("{name} listens on {}. Stop it with Ctrl-C.", bold(&address));
    screen.show(&Answer::new(text, json!({ "listening": address, "pid": std::process::id() })));
    crate::on_interrupt(&place.folder.path().join("provider"), &address)?;
    serving.wait()?;
    Ok(Answer::new("", json!({ "stopped": address })))
}

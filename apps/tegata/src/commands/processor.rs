//! What a transaction processor's operator does on the command line.

use crate::flags::ProcessorCommand;
use crate::operator::Operator;
use crate::place::{Place, forget_address, now, read_address, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};
use tegata_core::Time;
use tegata_iso8583::AcquirerId;
use tegata_processor::{LineConfig, Now, Processor, http, operator};
use tegata_vault::PartFolder;
use tokio::sync::oneshot;

/// Does it.
pub fn run(place: &Place, screen: Screen, command: ProcessorCommand) -> Result<Answer, Failure> {
    match command {
        ProcessorCommand::Init { name, acquirer } => init(place, &name, &acquirer),
        ProcessorCommand::Run { listen, bank, answer_within } => {
            serve(place, screen, &listen, bank.as_deref(), answer_within)
        }
        ProcessorCommand::Admit { provider, key, name } => {
            let question = json!({ "do": "admit", "provider": provider, "key": key, "name": name });
            Ok(Answer::new(format!("{provider} may ask with this key."), ask(place, &question)?))
        }
        ProcessorCommand::Revoke { provider } => {
            let done = ask(place, &json!({ "do": "revoke", "provider": provider }))?;
            Ok(Answer::new(format!("{provider} may not ask any more."), done))
        }
        ProcessorCommand::Status => {
            let status = ask(place, &json!({ "do": "status" }))?;
            Ok(Answer::new(serde_json::to_string_pretty(&status)?, status))
        }
        ProcessorCommand::Balances => {
            let found = ask(place, &json!({ "do": "balances" }))?;
            let all = found.get("balances").and_then(Value::as_array).cloned().unwrap_or_default();
            let text =
                |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let row =
                |one: &Value| vec![text(one, "code"), text(one, "name"), text(one, "amount"), text(one, "currency")];
            let rows: Vec<Vec<String>> = all.iter().map(row).collect();
            Ok(Answer::new(table(&["code", "name", "amount", ""], &rows), found))
        }
        ProcessorCommand::Refusals => {
            let found = ask(place, &json!({ "do": "refusals" }))?;
            let all = found.get("refusals").and_then(Value::as_array).cloned().unwrap_or_default();
            let text =
                |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let at = |value: &Value| super::moment(Time(value.get("at").and_then(Value::as_u64).unwrap_or(0)));
            let rows: Vec<Vec<String>> =
                all.iter().map(|one| vec![at(one), text(one, "why"), text(one, "sender")]).collect();
            Ok(Answer::new(table(&["at", "why", "sender"], &rows), found))
        }
    }
}

/// Opens the processor for a question, or asks the one that runs on this folder and holds it.
fn ask(place: &Place, question: &Value) -> Result<Value, Failure> {
    let folder = place.folder.path().join("processor");
    let (mut processor, _lock) = match (open(place, None), read_address(&folder)) {
        (Ok(opened), _) => opened,
        (Err(_), Some(address)) => return Operator::connect(&folder, &format!("http://{address}"))?.ask(question),
        (Err(failure), None) => return Err(failure),
    };
    let answer = operator::answer(&mut processor, question, moment());
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => fail(error),
        None => Ok(answer),
    }
}

fn moment() -> Now {
    Now { time: now().time, ms: 0 }
}

/// Opens the processor that is there; it stays locked while the folder lives.
fn open(place: &Place, answer_within: Option<u64>) -> Result<(Processor, PartFolder), Failure> {
    let lock = place.folder.processor()?;
    if !lock.path().join("processor.db").exists() {
        return fail("there is no processor here yet; create it with `tegata processor init`");
    }
    let Some(acquirer) = AcquirerId::new("0") else { return fail("0 is no acquirer code") };
    let mut config = LineConfig::new(acquirer);
    if let Some(seconds) = answer_within {
        config.answer_within = seconds.clamp(1, 600) * 1000;
    }
    let processor = Processor::open_folder(lock.path(), "", config, moment(), now().entropy)?;
    Ok((processor, lock))
}

fn init(place: &Place, name: &str, acquirer: &str) -> Result<Answer, Failure> {
    let Some(acquirer) = AcquirerId::new(acquirer) else {
        return fail("an acquirer code is 1 to 11 digits");
    };
    let lock = place.folder.processor()?;
    if lock.path().join("processor.db").exists() {
        return fail("there is a processor here already");
    }
    let config = LineConfig::new(acquirer);
    let processor = Processor::open_folder(lock.path(), name, config, moment(), now().entropy)?;
    let info = processor.info();
    let (id, key) = (info.processor.to_string(), format!("{:?}", info.key));
    let text = format!(
        "{name} is created: {}\nIts key: {key}\nLet a provider ask: tegata processor admit PARTY KEY\n\
         Then run it: tegata processor run",
        bold(&id)
    );
    let json = json!({ "processor": id, "name": name, "key": key, "sealing": hex::encode(info.sealing.0) });
    Ok(Answer::new(text, json))
}

fn serve(
    place: &Place,
    screen: Screen,
    listen: &str,
    bank: Option<&str>,
    answer_within: u64,
) -> Result<Answer, Failure> {
    let Ok(listen) = listen.parse::<SocketAddr>() else {
        return fail(format!("'{listen}' is no address to listen on; write it as 127.0.0.1:8421"));
    };
    let found = bank.map(str::to_owned).or_else(|| read_address(&place.folder.path().join("bank")));
    let Some(named) = found else {
        return fail("no bank runs on this data folder; name one with --bank, or start `tegata bank run`");
    };
    let Some(bank) = named.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
        return fail(format!("'{named}' is no address of a bank; write it as 127.0.0.1:8583"));
    };
    let (processor, lock) = open(place, Some(answer_within))?;
    let name = processor.info().name.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (bound, address) = oneshot::channel();
    let folder = lock.path().to_owned();
    let told = std::thread::spawn(move || {
        let Ok(address) = address.blocking_recv() else { return };
        let address: String = SocketAddr::to_string(&address);
        // Without the file, whoever asks names the address.
        let _ = write_address(&folder, &address);
        let text = format!("{name} listens on {}. Stop it with Ctrl-C.", bold(&address));
        screen.show(&Answer::new(text, json!({ "listening": address, "pid": std::process::id() })));
    });
    let config = http::Config { listen, bank, operator: Some(operator::key(lock.path())?), bound: Some(bound) };
    let served = runtime.block_on(http::run(processor, config, crate::interrupted()));
    // It has told, or there is nothing to tell.
    let _ = told.join();
    forget_address(lock.path());
    served?;
    Ok(Answer::new("", json!({ "stopped": true })))
}

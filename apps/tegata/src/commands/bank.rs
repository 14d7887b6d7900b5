//! What the bank for tests does on the command line.

use crate::flags::BankCommand;
use crate::place::{Place, forget_address, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::json;
use std::net::SocketAddr;
use tegata_processor::bank::{Host, HostConfig, TestCard};

/// Does it.
pub fn run(place: &Place, screen: Screen, command: &BankCommand) -> Result<Answer, Failure> {
    match command {
        BankCommand::Run { listen, late } => serve(place, screen, listen, *late),
        BankCommand::Cards => {
            let name = |card: TestCard| format!("{card:?}").to_lowercase();
            let rows: Vec<Vec<String>> =
                TestCard::ALL.iter().map(|(card, number)| vec![(*number).to_owned(), name(*card)]).collect();
            let cards: Vec<_> =
                TestCard::ALL.iter().map(|(card, number)| json!({ "number": number, "bank": name(*card) })).collect();
            Ok(Answer::new(table(&["card", "the bank"], &rows), json!({ "cards": cards })))
        }
    }
}

fn serve(place: &Place, screen: Screen, listen: &str, late: u64) -> Result<Answer, Failure> {
    let Ok(listen) = listen.parse::<SocketAddr>() else {
        return fail(format!("'{listen}' is no address to listen on; write it as 127.0.0.1:8583"));
    };
    let Ok(host) = Host::start(HostConfig { listen, late }) else {
        return fail(format!("cannot listen on {listen}; end what uses it, or choose another with --listen"));
    };
    let folder = place.folder.path().join("bank");
    std::fs::create_dir_all(&folder)?;
    let address = host.address().to_string();
    write_address(&folder, &address)?;
    let text = format!("The test bank listens on {}. Stop it with Ctrl-C.", bold(&address));
    screen.show(&Answer::new(text, json!({ "listening": address, "pid": std::process::id() })));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(crate::interrupted());
    forget_address(&folder);
    Ok(Answer::new("", json!({ "stopped": address })))
}

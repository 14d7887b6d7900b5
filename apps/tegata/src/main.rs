//! The binary: flags and screens over the parts. It decides nothing; what it prints, the parts have said.

mod audit;
mod bench;
mod calendar;
mod commands;
mod csv;
mod flags;
mod hand;
mod measure;
mod operator;
mod place;
mod replay;
mod rig;
mod screen;
mod sim;
mod town;

use clap::{CommandFactory, Parser};
use flags::{Command, Flags, ReplayCommand};
use place::Place;
use screen::{Answer, Failure, Screen};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use tegata_vault::DataFolder;

fn main() -> ExitCode {
    let flags = Flags::parse();
    // A simulated provider meets full disks all the time; its seeds say what matters.
    let quiet = if matches!(flags.command, Command::Sim(_)) { "off" } else { "warn" };
    let log = tracing_subscriber::EnvFilter::try_from_env("TEGATA_LOG").unwrap_or_else(|_| quiet.into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(log).with_ansi(colours).with_writer(std::io::stderr).init();
    let screen = Screen { json: flags.json };
    match run(flags, screen) {
        Ok(answer) => {
            screen.show(&answer);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            screen.failed(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags, screen: Screen) -> Result<Answer, Failure> {
    let Flags { data, provider, code, command, .. } = flags;
    let place =
        || -> Result<Place, Failure> { Ok(Place { folder: DataFolder::open_or_create(&data)?, provider, code }) };
    match command {
        Command::Town { once, listen } => town::run(place()?, screen, &listen, once),
        Command::Provider { command } => commands::provider::run(&place()?, screen, command),
        Command::Issuer { name, command } => commands::issuer::run(&place()?, screen, &name, *command),
        Command::Merchant { name, command } => commands::merchant::run(&place()?, &name, command),
        Command::Terminal { name, command } => commands::terminal::run(&place()?, screen, &name, command),
        Command::Gate { name, command } => commands::gate::run(&place()?, screen, &name, command),
        Command::Switch { name, command } => commands::switch::run(&place()?, screen, &name, command),
        Command::Wallet { name, command } => commands::wallet::run(&place()?, screen, &name, command),
        Command::Processor { command } => commands::processor::run(&place()?, screen, command),
        Command::Bank { command } => commands::bank::run(&place()?, screen, &command),
        Command::Replay { command: ReplayCommand::Sales(flags) } => replay::run(screen, &flags),
        Command::Replay { command: ReplayCommand::Event(flags) } => replay::event::run(screen, &flags),
        Command::Replay { command: ReplayCommand::Calls(flags) } => replay::calls::run(screen, &flags),
        Command::Audit { store } => audit::run(&store.unwrap_or_else(|| data.join("provider").join("provider.db"))),
        Command::Sim(flags) => sim::run(screen, &flags),
        Command::Bench(flags) => bench::run(screen, &flags),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Flags::command(), "tegata", &mut std::io::stdout());
            Ok(Answer::new("", serde_json::Value::Null))
        }
    }
}

/// On Ctrl-C or SIGTERM, asks the provider of this folder to stop as its operator would: what was begun is finished.
fn on_interrupt(folder: &Path, address: &str) -> Result<(), Failure> {
    let line = operator::Operator::connect(folder, &format!("http://{address}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(interrupted());
        // Stopped already is as good.
        let _ = line.ask(&serde_json::json!({ "do": "stop" }));
    });
    Ok(())
}

/// Completes on Ctrl-C or SIGTERM.
async fn interrupted() {
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminated {
        Ok(mut terminated) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

//! The command line: one definition for help, completions and parsing; a file for each part.

mod bench;
mod change;
mod event;
mod gate;
mod issuer;
mod merchant;
mod processor;
mod provider;
mod replay;
mod settlement;
mod switch;
mod terminal;
mod wallet;

pub use bench::{BenchFlags, BenchPart, SimFlags};
pub use change::{ChangeCommand, ChangeFlags, Silence};
pub use event::{EventCommand, PassesFlags};
pub use gate::GateCommand;
pub use issuer::{IssuerCommand, OrderFlags, SellFlags, TermsFlags};
pub use merchant::MerchantCommand;
pub use processor::{BankCommand, ProcessorCommand};
pub use provider::{InviteRole, ProviderCommand};
pub use replay::{CallsFlags, EventFlags, ReplayCommand, SalesFlags, Tender};
pub use settlement::SettlementCommand;
pub use switch::{EMERGENCY, SwitchCommand};
pub use terminal::TerminalCommand;
pub use wallet::WalletCommand;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// One wallet for tickets, prepaid cards and credit, offline at the counter.
///
/// Start with `tegata town`: it sets up a provider, an issuer, merchants and wallets in one folder, lets a card be
/// bought, used offline and settled before your eyes, and prints what to try next.
#[derive(Parser)]
#[command(name = "tegata", version, about, long_about, propagate_version = true)]
pub struct Flags {
    /// The data folder
    #[arg(long, global = true, env = "TEGATA_DATA", default_value = "tegata-data")]
    pub data: PathBuf,
    /// Print JSON, one object on the last line
    #[arg(long, global = true)]
    pub json: bool,
    /// The provider's address, such as http://127.0.0.1:8420 [default: the one that runs on the data folder]
    #[arg(long, global = true, env = "TEGATA_PROVIDER")]
    pub provider: Option<String>,
    /// A wallet's code number [default: asked for]
    #[arg(long, global = true, env = "TEGATA_CODE", hide_env_values = true)]
    pub code: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run everything on one data folder, with sample merchants, cards and wallets
    Town {
        /// Stop after the first walk: bought, paid offline, settled
        #[arg(long)]
        once: bool,
        /// Where the provider listens
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
    },
    /// The service providing system
    Provider {
        /// What the operator does
        #[command(subcommand)]
        command: ProviderCommand,
    },
    /// An issuing system: payment cards, and tickets of events
    Issuer {
        /// Which one
        name: String,
        /// What it does
        #[command(subcommand)]
        command: Box<IssuerCommand>,
    },
    /// A merchant, who owns terminals and is paid
    Merchant {
        /// Which one
        name: String,
        /// What it does
        #[command(subcommand)]
        command: MerchantCommand,
    },
    /// A merchant terminal
    Terminal {
        /// Which one
        name: String,
        /// What it does
        #[command(subcommand)]
        command: TerminalCommand,
    },
    /// A gate: admits tickets, with no network once it is set up
    Gate {
        /// Which one
        name: String,
        /// What it does
        #[command(subcommand)]
        command: GateCommand,
    },
    /// A switching center: connects calls, and takes telephone cards while they last
    Switch {
        /// Which one
        name: String,
        /// What it does
        #[command(subcommand)]
        command: SwitchCommand,
    },
    /// A wallet
    Wallet {
        /// Whose
        name: String,
        /// What it does
        #[command(subcommand)]
        command: WalletCommand,
    },
    /// The transaction processing system: clears credit through the bank
    Processor {
        /// What its operator does
        #[command(subcommand)]
        command: ProcessorCommand,
    },
    /// A bank for tests: takes card payments from the processor (ISO 8583)
    Bank {
        /// What it does
        #[command(subcommand)]
        command: BankCommand,
    },
    /// Play real purchases through the whole system
    Replay {
        /// What is played
        #[command(subcommand)]
        command: ReplayCommand,
    },
    /// Recompute every balance from the signed evidence alone; name the first difference
    Audit {
        /// The provider's database [default: the data folder's]
        #[arg(long)]
        store: Option<PathBuf>,
    },
    /// Run the simulated town under every fault
    Sim(SimFlags),
    /// Measure taps and uploads against a floor in the same run
    Bench(BenchFlags),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

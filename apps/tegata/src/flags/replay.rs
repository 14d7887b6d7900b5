//! What is played.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What is played.
#[derive(Subcommand)]
pub enum ReplayCommand {
    /// Purchases of real customers: columns customer, date, count, dollars
    Sales(SalesFlags),
    /// A hall and its gates: bought, shown at the doors, two gates cut off, screenshots and cloned wallets
    Event(EventFlags),
}

/// How the evening is played.
#[derive(Args)]
pub struct EventFlags {
    /// How many people, each with a ticket
    #[arg(long, default_value_t = 20_000)]
    pub tickets: usize,
    /// How many gates; the last two are cut off for a while, the one before them is an exit
    #[arg(long, default_value_t = 12)]
    pub gates: usize,
    /// Screenshots of other people's codes
    #[arg(long, default_value_t = 200)]
    pub copies: usize,
    /// Cloned wallets
    #[arg(long, default_value_t = 50)]
    pub clones: usize,
    /// Kill the provider (in the sale and in an upload) and two gates (in their queues) with SIGKILL and start them again
    #[arg(long)]
    pub kill: bool,
    /// Keep the data folder here, for `audit` [default: a folder that is removed]
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// How purchases are played.
#[derive(Args)]
pub struct SalesFlags {
    /// The file
    pub file: PathBuf,
    /// How many terminals
    #[arg(long, default_value_t = 8)]
    pub terminals: usize,
    /// What the customers pay with
    #[arg(long, value_enum, default_value_t = Tender::Cards)]
    pub tender: Tender,
    /// Kill the provider with SIGKILL half-way and start it again
    #[arg(long)]
    pub kill: bool,
    /// Keep the provider's folder here, for `audit` [default: a folder that is removed]
    #[arg(long)]
    pub keep: Option<PathBuf>,
    /// Days between the updates of an idle wallet
    #[arg(long, default_value_t = 30)]
    pub idle_days: u64,
}

/// What customers pay with.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tender {
    /// Prepaid cards, offline
    Cards,
    /// Bank cards, by credit
    Credit,
}

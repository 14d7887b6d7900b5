//! What is played.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What is played.
#[derive(Subcommand)]
pub enum ReplayCommand {
    /// Purchases of real customers: columns customer, date, count, dollars
    Sales(SalesFlags),
    /// A hall and its gates: bought, handed on, shown at the doors, two gates cut off, screenshots and cloned wallets
    Event(EventFlags),
    /// A day of generated calls: prices, times, cards that end, phones that vanish
    Calls(CallsFlags),
}

/// How the day is played.
#[derive(Args)]
pub struct CallsFlags {
    /// How many calls
    #[arg(long, default_value_t = 20_000)]
    pub calls: u64,
    /// How many phones, each with a card of 20.00
    #[arg(long, default_value_t = 2_000)]
    pub phones: u64,
    /// What is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Keep the provider's folder here, for `audit` [default: a folder that is removed]
    #[arg(long)]
    pub keep: Option<PathBuf>,
}

/// How the evening is played.
#[derive(Args)]
pub struct EventFlags {
    /// How many people, each with a ticket
    #[arg(long, default_value_t = 20_000)]
    pub tickets: usize,
    /// How many gates; the last two are cut off, the one before them is an exit
    ///
    /// Cut off: from the opening of the doors until two thirds of the people are in, they hear no other gate and none hears them, as
    /// where the venue's network is down for an hour. The hour is played as fast as people come: `cut_off` says how many seconds that was
    /// by the clock that gates and wallets go by. Debian's `faketime -f '+0 x40'` before the command, with `FAKETIME_DONT_FAKE_MONOTONIC=1`,
    /// makes it an hour by every one of their clocks.
    #[arg(long, default_value_t = 12)]
    pub gates: usize,
    /// Screenshots of other people's codes
    #[arg(long, default_value_t = 200)]
    pub copies: usize,
    /// Tickets handed on in the queue, from wallet to wallet with both offline, in pairs [default: 300 of 20,000, in proportion]
    ///
    /// The givers' copies of before are shown to gates, too, once the receivers are in.
    #[arg(long)]
    pub gifts: Option<usize>,
    /// Cloned wallets
    #[arg(long, default_value_t = 50)]
    pub clones: usize,
    /// Kill parts with SIGKILL in the middle of what people do, and start them again
    ///
    /// In the sale the processor, the provider and the bank (whose books stay); in the first queue a gate and one that is cut off, in the
    /// second one of those two; the exit while people leave; the provider in an upload. Whoever stands before a gate that dies touches
    /// again; wallets and the promoter are not killed.
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

//! Events changed and cancelled after their tickets were sold.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What a promoter does with tickets that are sold.
#[derive(Subcommand)]
pub enum ChangeCommand {
    /// Change an event for all who hold its tickets: each takes the new ticket or is paid back
    Change(ChangeFlags),
    /// Cancel an event: everyone is paid back
    Cancel {
        /// The event, by id or name
        event: String,
        /// What people are told
        #[arg(
            long,
            default_value = "The event is cancelled. What was bought over the network is paid back by itself; what was bought at a counter is paid back there."
        )]
        text: String,
        /// Only say how many holders and how much money that concerns
        #[arg(long)]
        dry_run: bool,
    },
    /// How far changes have come: told, accepted, refunded, silent, failed
    #[command(visible_alias = "progress")]
    Changes {
        /// As CSV
        #[arg(long)]
        csv: bool,
        /// Give those that failed another turn, and finish what was cut off before the provider had it
        #[arg(long)]
        retry: bool,
    },
}

/// What becomes of who says nothing.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Silence {
    /// The new ticket is theirs
    Accepts,
    /// They are paid back
    Refunds,
}

/// A change. What is not given stays as it is.
#[derive(Args)]
pub struct ChangeFlags {
    /// The event, by id or name
    pub event: String,
    /// Only tickets of this article [default: all of the event]
    #[arg(long)]
    pub article: Option<u64>,
    /// The new first moment of admission, such as 2027-05-01T18:00 (UTC); the last one moves along
    #[arg(long)]
    pub from: Option<String>,
    /// The new last moment of admission
    #[arg(long)]
    pub until: Option<String>,
    /// The new place
    #[arg(long)]
    pub place: Option<String>,
    /// What the tickets are called from now on
    #[arg(long)]
    pub called: Option<String>,
    /// The zones they open, by name or number, with commas between
    #[arg(long, value_delimiter = ',')]
    pub zones: Option<Vec<String>>,
    /// A CSV file with the columns from and to: who has one seat has the other from now on. Both stand in the plan; a seat that nobody is
    /// moved onto is not sold any more
    #[arg(long)]
    pub seats: Option<PathBuf>,
    /// The same lines were moved before and are meant once more, such as two that change places back: a number that they had not yet, from
    /// 2 on. Said twice with the same number they are moved once
    #[arg(long, value_name = "NUMBER", requires = "seats", value_parser = clap::value_parser!(u64).range(2..))]
    pub again: Option<u64>,
    /// What people are told
    #[arg(long)]
    pub text: String,
    /// Days in which holders may answer
    #[arg(long, default_value_t = 7)]
    pub answer_days: u64,
    /// What becomes of who says nothing until then
    #[arg(long)]
    pub silence: Silence,
    /// Only say how many holders and how much money that concerns
    #[arg(long)]
    pub dry_run: bool,
}

//! What an issuer does.

use super::{ChangeCommand, EventCommand};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What an issuer does.
#[derive(Subcommand)]
pub enum IssuerCommand {
    /// Join a provider with a token
    Join {
        /// The token
        token: String,
    },
    /// Order a batch of installation numbers
    Order(OrderFlags),
    /// List the batches
    Batches,
    /// Print a batch's numbers as CSV: serial, number, face value
    Print {
        /// Which batch
        batch: u64,
        /// Write to this file instead of the screen
        #[arg(long)]
        csv: Option<PathBuf>,
    },
    /// Activate numbers that were sold, by serial
    Activate {
        /// Which batch
        batch: u64,
        /// The first serial
        first: u64,
        /// The last serial [default: the first]
        last: Option<u64>,
    },
    /// Send an order again whose answer was lost
    Resend {
        /// Which batch
        batch: u64,
    },
    /// Sell cards over the network by credit
    Sell(SellFlags),
    /// Change how many of an article may be sold in all; 0 takes it off sale
    Restock {
        /// Which article
        article: u64,
        /// How many
        stock: u64,
    },
    /// List what is sold over the network
    Articles,
    /// Set what calls cost that telephone cards pay for, from a CSV file; without a file, show it
    ///
    /// Columns: prefix, setup, price, seconds; and when (like Mon-Fri 18:00-24:00), minimum, kept (yes: the set-up charge is kept also
    /// where nobody answers). Calls under way keep what was agreed.
    Tariff {
        /// The file
        file: Option<PathBuf>,
        /// In which unit: a currency, or units [default: USD; all of them where it is shown]
        #[arg(long)]
        unit: Option<String>,
        /// Minutes that the clock of `when` is ahead of UTC
        #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
        ahead: i64,
    },
    /// Tickets: plan events, number seats, sell categories, place gates
    Event {
        /// What is done
        #[command(subcommand)]
        command: EventCommand,
    },
    #[command(flatten)]
    Change(ChangeCommand),
    /// What was issued, waits, is held, is owed, was paid out
    Statement {
        /// As CSV: what stands so far, periods, payments and payouts
        #[arg(long)]
        csv: bool,
    },
}

/// A batch and the terms of its cards.
#[derive(Args)]
pub struct OrderFlags {
    /// How many numbers
    #[arg(long, default_value_t = 10)]
    pub count: u64,
    /// Face value of each, such as 50.00
    #[arg(long, default_value = "50.00")]
    pub face: String,
    /// The cards' terms
    #[command(flatten)]
    pub terms: TermsFlags,
}

/// What is sold over the network, and the terms of its cards.
#[derive(Args)]
pub struct SellFlags {
    /// The article: a number of your choice; again with a number that is taken, it is changed
    pub article: u64,
    /// What is on each card, and what it costs
    #[arg(long, default_value = "50.00")]
    pub face: String,
    /// Telephone cards of so many call units, instead of money on each; the limits of the terms count units then
    #[arg(long, requires = "price", conflicts_with = "face")]
    pub units: Option<u64>,
    /// What these units cost together
    #[arg(long, requires = "units")]
    pub price: Option<String>,
    /// How many may be sold in all
    #[arg(long, default_value_t = 100)]
    pub stock: u64,
    /// Days until it is not sold any more
    #[arg(long, default_value_t = 365)]
    pub sold_days: u64,
    /// Deliver when the bank has authorized it, and capture so many hours later; the issuer bears what the bank refuses then
    #[arg(long)]
    pub clear_after_hours: Option<u64>,
    /// The cards' terms
    #[command(flatten)]
    pub terms: TermsFlags,
}

/// The terms of cards.
#[derive(Args, Clone)]
pub struct TermsFlags {
    /// Telephone cards: they pay for calls, in money or, with --currency units, in units
    #[arg(long)]
    pub telephone: bool,
    /// Currency
    #[arg(long, default_value = "USD")]
    pub currency: String,
    /// What people call the card
    #[arg(long, default_value = "Town card")]
    pub card_name: String,
    /// Largest single payment
    #[arg(long, default_value = "100.00")]
    pub max_payment: String,
    /// Largest total between two updates
    #[arg(long, default_value = "200.00")]
    pub offline_limit: String,
    /// The most a card may hold
    #[arg(long, default_value = "1000.00")]
    pub max_balance: String,
    /// Days from an update until the next is due
    #[arg(long, default_value_t = 30)]
    pub due_days: u64,
    /// L: days a terminal's revocation list may be old
    #[arg(long, default_value_t = 7)]
    pub list_days: u64,
    /// U: days the oldest record of a terminal may wait
    #[arg(long, default_value_t = 7)]
    pub record_days: u64,
    /// Years until the cards expire
    #[arg(long, default_value_t = 5)]
    pub years: u64,
}

//! What a provider's operator does.

use super::SettlementCommand;
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What a provider's operator does.
#[derive(Subcommand)]
pub enum ProviderCommand {
    /// Run it; creates it at first
    Run {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// What people call it
        #[arg(long, default_value = "Tegata")]
        name: String,
        /// Start at this time, in UTC seconds, and let the operator set it; for replays of the past
        #[arg(long, hide = true, value_name = "SECONDS")]
        clock: Option<u64>,
    },
    /// Make a one-time token with which one participant joins
    Invite {
        /// In which role
        role: InviteRole,
        /// What people shall call it
        name: String,
        /// Whose a terminal, gate or switch is: a merchant's id, or a gate's promoter's
        #[arg(long)]
        owner: Option<String>,
    },
    /// Sweep what is payable, close the period, print who owes whom and the trial balance
    Settle,
    #[command(flatten)]
    Settlement(SettlementCommand),
    /// List what a person has to look at: what happened, to which card, since when, what to do next; with --json both signed records
    Exceptions,
    /// Revoke a participant or device, by id
    Revoke {
        /// Which
        subject: String,
    },
    /// Block a card, by id
    Block {
        /// Which
        card: String,
    },
    /// Issue a ticket anew whose wallet was lost: the old one is dead, and a number installs it in a wallet
    Reissue {
        /// Which, by id
        card: String,
    },
    /// List payments by credit, or open one: its four messages beside each other, who signed what
    Credits {
        /// Open this one, by its request number
        #[arg(long, value_name = "REQUEST")]
        open: Option<String>,
    },
    /// Counts and balances
    Status,
    /// Copy all that is recorded to a new file, while it runs or not; its keys are not in it, and belong on another medium
    Backup {
        /// The file
        file: PathBuf,
    },
    /// After a backup was put back: what was sold since has been compared, and sales go on
    Compared,
    /// Put a backup back while it is stopped: devices send again what is missing in it, and what was there is kept
    PutBack {
        /// The file, as `backup` made it
        file: PathBuf,
    },
    /// The key that a processor has to admit
    Key,
    /// Clear credit with the processor at this address
    Processor {
        /// Where it answers, such as http://127.0.0.1:8421
        url: String,
    },
    /// Let a merchant take credit
    Enrol {
        /// The merchant, by id
        merchant: String,
        /// Its code at the bank, 1 to 15 characters
        #[arg(long)]
        code: String,
        /// Its category (ISO 18245), such as 5814 for a cafe
        #[arg(long)]
        category: u64,
        /// Name and place for the cardholder's statement, at most 40 characters
        #[arg(long)]
        name: String,
    },
}

/// The roles an operator invites to.
#[derive(Clone, Copy, ValueEnum)]
pub enum InviteRole {
    /// Issues cards
    Issuer,
    /// Is paid
    Merchant,
    /// Takes payments
    Terminal,
    /// Admits tickets; its owner is the promoter
    Gate,
    /// Connects calls; its owner is who is paid for them
    Switch,
    /// Holds cards
    Wallet,
}

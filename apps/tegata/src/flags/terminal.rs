//! What a terminal does.

use clap::Subcommand;

/// What a terminal does.
#[derive(Subcommand)]
pub enum TerminalCommand {
    /// Join a provider with a token, and fetch keys, terms and the revocation list
    Join {
        /// The token
        token: String,
    },
    /// Charge the next wallet that touches; works without the provider
    Charge {
        /// How much, such as 4.50
        amount: String,
        /// What for
        #[arg(long)]
        items: Option<String>,
        /// Currency
        #[arg(long, default_value = "USD")]
        currency: String,
        /// Where to wait for the wallet
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// Seconds to wait for a wallet
        #[arg(long, default_value_t = 120)]
        wait: u64,
    },
    /// Go on with a charge by credit whose clearing is not known yet
    Clear {
        /// Which charge
        transaction: u64,
    },
    /// List charges
    Payments,
    /// Read what users ask, and what was written to them; sends and fetches first
    Messages,
    /// Write to a customer, or to whoever asked about a receipt
    Write {
        /// The customer number, or the digits of the receipt
        to: String,
        /// The message: one line, at most 300 bytes
        text: String,
    },
    /// Say where you are called: a phone at a switch, which nobody who calls learns
    CalledAt {
        /// The phone's number or name at that switch
        #[arg(required_unless_present = "nowhere")]
        phone: Option<String>,
        /// The switch, by id
        #[arg(long, required_unless_present = "nowhere")]
        switch: Option<String>,
        /// You are not called any more
        #[arg(long, conflicts_with_all = ["phone", "switch"])]
        nowhere: bool,
    },
    /// Get a number to call a customer at, or whoever paid a receipt, for ten minutes; neither side sees the other's number.
    /// Whoever paid by a card must have written about the receipt before, and everybody must have said where to call
    CallNumber {
        /// The customer number, or the digits of the receipt
        to: String,
    },
    /// Show one charge with its receipt
    Receipt {
        /// Its transaction number
        transaction: u64,
    },
    /// Close the charge that is open
    Close,
    /// Undo a paid charge
    Void {
        /// Its transaction number
        transaction: u64,
    },
    /// Send the log, receive commands
    Update,
    /// List the log
    Journal,
    /// Activate numbers that this till sold
    Activate {
        /// The issuer, by id
        issuer: String,
        /// Which batch
        batch: u64,
        /// The first serial
        first: u64,
        /// The last serial [default: the first]
        last: Option<u64>,
        /// Only print the signed slip, for a wallet to show later
        #[arg(long)]
        slip: bool,
    },
}

//! What the operators of a processor, and of a bank for tests, do.

use clap::Subcommand;

/// What a processor's operator does.
#[derive(Subcommand)]
pub enum ProcessorCommand {
    /// Create it: keys, database; prints what a provider has to know of it
    Init {
        /// What people call it
        #[arg(long, default_value = "Tegata Clearing")]
        name: String,
        /// Its code at the bank, 1 to 11 digits; kept for good
        #[arg(long, default_value = "1")]
        acquirer: String,
    },
    /// Run it
    Run {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// The bank's address [default: the test bank that runs on the data folder]
        #[arg(long)]
        bank: Option<String>,
        /// Seconds to wait for the bank's answer
        #[arg(long, default_value_t = 10)]
        answer_within: u64,
    },
    /// Let a provider's key ask
    Admit {
        /// The provider's id
        provider: String,
        /// Its public key, in hexadecimal digits
        key: String,
        /// What people call it
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Revoke all keys of a provider
    Revoke {
        /// The provider's id
        provider: String,
    },
    /// Who it is, whether the bank has it signed on, what is not answered
    Status,
    /// What was charged for each merchant, less what was paid back
    Balances,
    /// List what was refused or did not fit, with the reason
    Refusals,
}

/// What a bank for tests does.
#[derive(Subcommand)]
pub enum BankCommand {
    /// Run it until Ctrl-C; its books are forgotten then
    Run {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// How late its late answers are, in milliseconds
        #[arg(long, default_value_t = 15_000)]
        late: u64,
    },
    /// List the test cards and what the bank does with each
    Cards,
}

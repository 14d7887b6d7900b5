//! What a merchant does.

use clap::Subcommand;

/// What a merchant does.
#[derive(Subcommand)]
pub enum MerchantCommand {
    /// Join a provider with a token
    Join {
        /// The token
        token: String,
    },
    /// What was paid and is owed: payments with their fees, periods, payouts
    Statement {
        /// As CSV: periods, payments and payouts
        #[arg(long)]
        csv: bool,
    },
    /// What a person has to look at, with both signed records
    Exceptions,
}

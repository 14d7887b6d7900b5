//! What a provider's operator does about settlement: contracts, bank accounts, positions, payouts.

use clap::Subcommand;
use std::path::PathBuf;

/// What a provider's operator does about settlement.
#[derive(Subcommand)]
pub enum SettlementCommand {
    /// Set what a merchant or issuer pays on each payment that it gets; what came before stays as it was charged
    Contract {
        /// The merchant or issuer, by id
        party: String,
        /// The share of each payment, such as 1.50; at most four decimals
        #[arg(long, default_value = "0")]
        percent: String,
        /// And so many minor units on each payment, such as 10 for 0.10 USD
        #[arg(long, default_value_t = 0, value_name = "MINOR")]
        fixed: u64,
        /// On payments by prepaid cards alone [default: on both]
        #[arg(long, conflicts_with = "credit")]
        cards: bool,
        /// On payments by credit alone
        #[arg(long)]
        credit: bool,
        /// Currency
        #[arg(long, default_value = "USD")]
        currency: String,
        /// From the beginning of this day in UTC, such as 2027-01-31 [default: from now on]
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
    },
    /// List contracts and bank accounts
    Contracts,
    /// Set where a merchant or issuer is paid, or (as `own`) the account that pays
    Bank {
        /// The merchant or issuer, by id; or `own`
        party: String,
        /// The account's IBAN
        #[arg(long)]
        iban: String,
        /// The BIC of its bank; `own` needs it
        #[arg(long)]
        bic: Option<String>,
        /// Whose account it is [default: the party's name]
        #[arg(long)]
        holder: Option<String>,
    },
    /// Who owes whom at the close of a period, and what that is made of
    Owed {
        /// Which [default: the last one that was closed]
        period: Option<u64>,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// What calls came to in a period, for each trunk of each switch, and who is paid for it
    Trunks {
        /// Which [default: the open one]
        period: Option<u64>,
        /// As CSV
        #[arg(long)]
        csv: bool,
    },
    /// List the payouts of a closed period, or write the file that orders them at the bank
    Payouts {
        /// Which
        period: u64,
        /// Write the orders as ISO 20022 pain.001: the same bytes each time
        #[arg(long)]
        pain001: bool,
        /// After a restore from a backup: the bank's statements show that none of it was paid before
        #[arg(long, requires = "pain001")]
        compared: bool,
    },
    /// Compare the bank's statement (ISO 20022 camt.053) with what was ordered
    Reconcile {
        /// The bank's file
        file: PathBuf,
    },
}

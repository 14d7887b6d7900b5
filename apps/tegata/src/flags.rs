//! The command line: one definition for help, completions and parsing.

mod change;
mod event;
mod gate;
mod settlement;

pub use change::{ChangeCommand, ChangeFlags, Silence};
pub use event::{EventCommand, PassesFlags};
pub use gate::GateCommand;
pub use settlement::SettlementCommand;

use clap::{Args, Parser, Subcommand, ValueEnum};
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
        command: IssuerCommand,
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
        /// A terminal's merchant, by id
        #[arg(long)]
        owner: Option<String>,
    },
    /// Sweep what is payable, close the period, print who owes whom and the trial balance
    Settle,
    #[command(flatten)]
    Settlement(SettlementCommand),
    /// List what a person has to look at, with both signed records
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
    /// List payments by credit, or open one: its four messages beside each other, who signed what
    Credits {
        /// Open this one, by its request number
        #[arg(long, value_name = "REQUEST")]
        open: Option<String>,
    },
    /// Counts and balances
    Status,
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
    /// Holds cards
    Wallet,
}

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
        /// As CSV: periods, payments and payouts
        #[arg(long)]
        csv: bool,
    },
}

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
#[derive(Args)]
pub struct TermsFlags {
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

/// What a wallet does.
#[derive(Subcommand)]
pub enum WalletCommand {
    /// Join a provider with a token; makes the wallet
    Join {
        /// The token
        token: String,
        /// Make keys as a phone's secure element does (P-256) instead of Ed25519
        #[arg(long)]
        p256: bool,
    },
    /// Install the card of an installation number
    Install {
        /// The number
        number: String,
        /// The till's slip, if the number is not activated yet
        #[arg(long)]
        slip: Option<String>,
    },
    /// Load a card by a further number
    Load {
        /// The number
        number: String,
        /// Which card [default: the only one]
        #[arg(long)]
        card: Option<String>,
    },
    /// Show the cards
    Cards,
    /// Show the tickets
    Tickets,
    /// Show what was changed of your tickets, old beside new
    Changes,
    /// Take the new ticket for one that was changed
    Accept {
        /// Which, as `changes` shows it
        ticket: String,
    },
    /// Have a ticket that was changed paid back
    Decline {
        /// Which, as `changes` shows it
        ticket: String,
    },
    /// Enter or leave through a gate, by its name or address; works without the provider
    Enter {
        /// The gate
        gate: String,
        /// Which ticket [default: the only one]
        #[arg(long)]
        ticket: Option<String>,
        /// How many people
        #[arg(long, default_value_t = 1)]
        people: u64,
    },
    /// Show a ticket's code of this moment, for a gate that has only a camera
    Show {
        /// Which ticket [default: the only one]
        #[arg(long)]
        ticket: Option<String>,
        /// Into which zone [default: the ticket's first]
        #[arg(long)]
        zone: Option<u64>,
        /// How many people
        #[arg(long, default_value_t = 1)]
        people: u64,
    },
    /// Pay at a terminal, by its name or address; works without the provider
    Pay {
        /// The terminal
        terminal: String,
        /// Which card [default: the first that can]
        #[arg(long)]
        card: Option<String>,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
        /// Pay by the bank card that is registered, not by a card of this wallet; asks the provider
        #[arg(long, conflicts_with = "card")]
        credit: bool,
        /// By credit: in so many instalments, 2 to 99 [default: at once]
        #[arg(long, requires = "credit", value_parser = clap::value_parser!(u8).range(2..=99))]
        instalments: Option<u8>,
    },
    /// Register a bank card to pay with; its number is sealed to the processor
    RegisterCard {
        /// The number [default: asked for]
        #[arg(long)]
        number: Option<String>,
        /// The last month in which it is good, as MM/YY
        #[arg(long)]
        expiry: String,
    },
    /// List payments by credit and their receipts
    Credits,
    /// What is for sale over the network
    Catalogue,
    /// Buy a card, or a top-up of one, by the bank card that is registered
    Buy {
        /// The article, by its number in the catalogue
        article: u64,
        /// Its issuer, by id [default: the only one that sells that number]
        #[arg(long)]
        issuer: Option<String>,
        /// Top up this card instead of a new one
        #[arg(long)]
        card: Option<String>,
        /// A ticket for this seat, by its number in the event's plan [default: any]
        #[arg(long, conflicts_with = "card")]
        seat: Option<u64>,
        /// A ticket: where all are gone, stand in the list of those who want one
        #[arg(long, conflicts_with_all = ["card", "seat"])]
        wait: bool,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
        /// In so many instalments, 2 to 99 [default: at once]
        #[arg(long, value_parser = clap::value_parser!(u8).range(2..=99))]
        instalments: Option<u8>,
    },
    /// Agree to the price of what is kept for you: after waiting for it, or where the line broke
    BuyKept {
        /// The purchase, as `purchases --json` names it; its first digits do
        purchase: String,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
        /// In so many instalments, 2 to 99 [default: at once]
        #[arg(long, value_parser = clap::value_parser!(u8).range(2..=99))]
        instalments: Option<u8>,
    },
    /// List what was bought over the network, and go on with what was cut off
    Purchases,
    /// Give a card back: what remains goes to the bank card it was bought with. It cannot be undone
    Refund {
        /// The card, by id
        card: String,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Agree to a payment that was shown while the link was cut; the next touch pays
    Agree {
        /// The terminal, by id
        terminal: String,
        /// Its transaction number
        transaction: u64,
    },
    /// List payments and receipts
    Payments,
    /// Read what merchants write, and what was written to them; sends and fetches first
    Messages,
    /// Write to the merchant of a receipt; it does not learn who you are
    Write {
        /// The receipt's number, as `payments` and `credits` show it; its first digits do
        receipt: String,
        /// The message: one line, at most 300 bytes
        text: String,
    },
    /// Do not hear from a merchant any more; it is not told
    Mute {
        /// The merchant, as `payments` shows it, or by id
        merchant: String,
    },
    /// Hear from a merchant again
    Unmute {
        /// The merchant, as `payments` shows it, or by id
        merchant: String,
    },
    /// Send the log, receive checkpoints and commands
    Update,
    /// Pay small amounts without being asked, or ask always again (R17)
    Untouched {
        /// Largest single payment, such as 5.00; 0 switches it off
        per_payment: String,
        /// Largest total until the next touch
        #[arg(default_value = "0")]
        cap: String,
    },
    /// Change the code number
    Code {
        /// The new one [default: asked for]
        #[arg(long)]
        new: Option<String>,
    },
}

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

/// How the simulator runs.
#[derive(Args)]
pub struct SimFlags {
    /// Seeds, from..until
    #[arg(long, default_value = "1..1000")]
    pub seeds: String,
    /// Break one rule on purpose, by its name; `--break list` lists them
    #[arg(long = "break", value_name = "RULE")]
    pub broken: Option<String>,
    /// Run the fault matrix: every fault at every step
    #[arg(long)]
    pub matrix: bool,
    /// Print the story of one seed
    #[arg(long, value_name = "SEED")]
    pub trace: Option<u64>,
}

/// How the benchmark runs.
#[derive(Args)]
pub struct BenchFlags {
    /// Taps to measure
    #[arg(long, default_value_t = 2000)]
    pub taps: usize,
    /// Batches of 1,000 checks to upload
    #[arg(long, default_value_t = 20)]
    pub batches: usize,
    /// Payments by credit, and as many purchases
    #[arg(long, default_value_t = 400)]
    pub credits: usize,
    /// Purchases to resume after the provider was killed
    #[arg(long, default_value_t = 1000)]
    pub resumed: usize,
    /// Tickets to sell, show to a gate and upload
    #[arg(long, default_value_t = 1000)]
    pub tickets: usize,
    /// The last seats, sold to sixteen at once
    #[arg(long, default_value_t = 1000)]
    pub last_seats: usize,
    /// Numbered seats of the event's plan
    #[arg(long, default_value_t = 50_000)]
    pub seats: usize,
    /// Tickets to change and then to cancel
    #[arg(long, default_value_t = 50_000)]
    pub changed: usize,
    /// Measure only this
    #[arg(long, value_enum)]
    pub only: Option<BenchPart>,
}

/// A part of the benchmark that runs by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchPart {
    /// Tickets under contention
    Tickets,
    /// Tickets changed and cancelled
    Change,
}

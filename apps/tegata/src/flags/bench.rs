//! How the simulator and the benchmark run.

use clap::{Args, ValueEnum};

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
    /// Of the matrix, only conversations with this in their names
    #[arg(long, value_name = "TEXT", requires = "matrix")]
    pub only: Option<String>,
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
    /// Calls of four minutes, charged by the second
    #[arg(long, default_value_t = 20)]
    pub calls: usize,
    /// Calls at once whose voice goes through the switch
    #[arg(long, default_value_t = 100)]
    pub relayed: usize,
    /// Tickets to change and then to cancel
    #[arg(long, default_value_t = 50_000)]
    pub changed: usize,
    /// Tickets to sell by credit, to cancel, and to pay back through processor and bank
    #[arg(long, default_value_t = 2_000)]
    pub refunded: usize,
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
    /// Tickets cancelled and paid back through processor and bank
    Refunds,
    /// Calls at their switch, and their voice through it
    Calls,
    /// Tickets at a gate
    Gate,
}

//! What a gate does.

use clap::Subcommand;

/// What a gate does.
#[derive(Subcommand)]
pub enum GateCommand {
    /// Join a provider with a token
    Join {
        /// The token
        token: String,
    },
    /// Open the gate: admit tickets until Ctrl-C. No network is needed; what is admitted goes up whenever there is one
    ///
    /// Reads commands from standard input, a line each: camera CODE, neighbour ADDRESS, update, status, stop.
    Run {
        /// Where tickets touch
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// Where neighbours of the same venue ask for this gate's log
        #[arg(long, default_value = "127.0.0.1:0")]
        lan: String,
        /// A neighbour's address; may be given several times
        #[arg(long)]
        neighbour: Vec<String>,
        /// Seconds between two tries to bring the log to the provider; 0: only when asked
        #[arg(long, default_value_t = 30)]
        update_every: u64,
    },
    /// Show the event, the people inside and what waits for the provider
    Status,
    /// Send the log, receive the event's set-up and changes
    Update,
    /// List whom it has admitted, let out and turned away
    Log,
}

//! What a switch does.

use clap::Subcommand;
use std::net::IpAddr;
use std::path::PathBuf;
use tegata_switch::KEPT_DAYS;

/// Numbers for help, where nobody says otherwise (112: Europe and most mobile networks; 911: North America).
pub const EMERGENCY: [&str; 2] = ["112", "911"];

/// What a switch does.
#[derive(Subcommand)]
pub enum SwitchCommand {
    /// Join a provider with a token
    Join {
        /// The token
        token: String,
    },
    /// Let a phone register here; prints its password, which is kept nowhere else
    Phone {
        /// Its number or name
        number: String,
        /// Take it away again
        #[arg(long)]
        remove: bool,
    },
    /// List the phones that may register
    Phones,
    /// Connect calls until Ctrl-C
    Run {
        /// Where phones and trunks find it (SIP over UDP and TCP)
        #[arg(long, default_value = "127.0.0.1:5060")]
        listen: String,
        /// A way to other networks: NAME=ADDRESS, or NAME=ADDRESS/PREFIX,PREFIX; may be given several times. Without one, no
        /// calls for help are taken
        #[arg(long)]
        trunk: Vec<String>,
        /// Whose a trunk is, and who is paid for calls through it: NAME=PARTY, a merchant's id; may be given several times
        /// [default: the switch's owner]
        #[arg(long)]
        operator: Vec<String>,
        /// A number for calls for help: always free, never blocked, through the trunks in their order, and taken only where
        /// there is one; may be given several times
        #[arg(long, default_values = EMERGENCY)]
        emergency: Vec<String>,
        /// Calls at once
        #[arg(long, default_value_t = 10_000)]
        most_calls: usize,
        /// Let the voice of every call go through the switch, at this IP address of it: neither side sees where the other is, and the caller
        /// hears three beeps and an announcement before paid time ends [default: the address of --listen, where that is one and no trunk is
        /// on this machine; a call for which no port or file is left, or one side of which is on this machine, goes from end to end then]
        #[arg(long, value_name = "ADDRESS")]
        relay: Option<IpAddr>,
        /// Let voice go from end to end: the caller hears nothing before paid time ends, and is warned by a text alone
        #[arg(long, conflicts_with = "relay")]
        end_to_end: bool,
        /// What the caller hears after the beeps: a WAV file of at most nine seconds, mono, 8,000 samples a second, PCM of 16 bits or
        /// G.711; `none`: nothing [default: "Your call will end soon.", synthesized]
        #[arg(long, value_name = "FILE", conflicts_with = "end_to_end")]
        announcement: Option<PathBuf>,
        /// Seconds between two tries to bring the log to the provider; 0: only when asked
        #[arg(long, default_value_t = 30)]
        update_every: u64,
        /// Days after which records of calls that the provider has are removed here
        #[arg(long, default_value_t = KEPT_DAYS)]
        keep_days: u64,
    },
    /// Open a way to the network for whoever pays by a telephone card, over HTTP, until Ctrl-C
    Hotspot {
        /// Where wallets find it
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: String,
        /// The number by whose rate it charges, as an issuer's tariff has it
        #[arg(long)]
        service: String,
        /// Seconds between two tries to bring the log to the provider; 0: only when asked
        #[arg(long, default_value_t = 30)]
        update_every: u64,
        /// Days after which records of calls that the provider has are removed here
        #[arg(long, default_value_t = KEPT_DAYS)]
        keep_days: u64,
    },
    /// Show what it charges by and what waits for the provider
    Status,
    /// Send the log, receive tariffs, terms and the revocation list
    Update,
    /// List its calls that are still in its records, each with the name of its evidence
    Calls {
        /// As CSV
        #[arg(long)]
        csv: bool,
        /// The totals of each trunk instead
        #[arg(long)]
        by_trunk: bool,
    },
}

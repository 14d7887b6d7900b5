//! What a wallet does.

use clap::Subcommand;

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
    /// Install the card or ticket of an installation number
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
        /// Into which zone, by number, as `tickets` shows it [default: the ticket's first]
        #[arg(long)]
        zone: Option<String>,
        /// How many people
        #[arg(long, default_value_t = 1)]
        people: u64,
        /// Show nothing, and note that you came in by the last code: no camera tells the wallet. Once that day is over; for good
        #[arg(long)]
        came_in: bool,
        /// And that you went out with no touch, so that it can be said on the same day where the ticket comes in again
        #[arg(long, requires = "came_in")]
        went_out: bool,
        /// Note it without being asked
        #[arg(long, requires = "came_in")]
        yes: bool,
    },
    /// Give a ticket to the next wallet that touches; works without the provider. Its receiver registers it the next time it is online
    ///
    /// Both screens show six digits: agree only if they are the same. Given and not confirmed, give it again to the same wallet.
    Give {
        /// The ticket, as `tickets` shows it
        ticket: String,
        /// Where to wait for the other wallet
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: String,
        /// Seconds to wait for it
        #[arg(long, default_value_t = 120)]
        wait: u64,
        /// Agree without being asked: where nobody can stand between the two wallets
        #[arg(long)]
        yes: bool,
    },
    /// Take a ticket: from a wallet that gives, by its name or address, with no network; or by the number of a gift, online
    Take {
        /// The wallet that gives, or a gift's number
        from: String,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Register tickets that were taken from another wallet; any command that goes online does it, too
    Register {
        /// Which, as `tickets` shows it [default: all]
        ticket: Option<String>,
    },
    /// Give a ticket to somebody far away: prints the number that they take it by. What nobody takes comes back
    Gift {
        /// The ticket, as `tickets` shows it
        ticket: String,
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
    /// Pay for a way to the network with a telephone card, until Ctrl-C or the card is empty
    Surf {
        /// The hotspot: a switch of this data folder by its name, or a URL
        #[arg(long)]
        at: String,
        /// Go after so many seconds
        #[arg(long)]
        seconds: Option<u64>,
        /// Which card [default: the telephone card that can spend most]
        #[arg(long)]
        card: Option<String>,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
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
        /// A ticket for this seat, by its number in the event's plan [default: any]. Seats are numbered from 1 as they were planned; what
        /// stands on one, such as "Row 5, 12", its promoter lists with the number: tegata issuer NAME event show EVENT --seats
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
    /// Keep a phone number and its password, as a switch's operator gives them; without a number, show which
    Phone {
        /// The number
        number: Option<String>,
        /// Its password
        #[arg(long, requires = "number")]
        password: Option<String>,
        /// The switch, by its name or address
        #[arg(long, requires = "number")]
        at: Option<String>,
    },
    /// Call a number by a telephone card: shows the price before it rings, then what it costs until you hang up by Ctrl-C
    Call {
        /// The number
        number: String,
        /// The switch, by its name or address [default: the phone's]
        #[arg(long)]
        at: Option<String>,
        /// Which card [default: the telephone card that can pay most]
        #[arg(long)]
        card: Option<String>,
        /// The most that this call may cost, such as 2.00 [default: what the card holds]
        #[arg(long)]
        most: Option<String>,
        /// Hang up after so many seconds of talking
        #[arg(long)]
        seconds: Option<u64>,
        /// Agree without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Wait for a call, take it, and hang up by Ctrl-C; costs nothing
    Answer {
        /// The switch, by its name or address [default: the phone's]
        #[arg(long)]
        at: Option<String>,
        /// Hang up after so many seconds of talking
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// List calls, what they cost and their receipts
    Calls,
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
    /// Get a number to call the merchant of a receipt at, for ten minutes; neither side sees the other's number
    CallNumber {
        /// The receipt's number, as `payments` and `credits` show it; its first digits do
        receipt: String,
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

//! What a promoter does.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What a promoter does. Events are named by what people call them, or by id.
#[derive(Subcommand)]
pub enum EventCommand {
    /// Plan an event, or the next revision of its plan; with its categories, all that a small venue needs
    ///
    /// Such as: tegata issuer hall event plan Concert --place "Town hall" --from "2026-12-24 19:00" --category Standing=20.00:500
    Plan {
        /// What people call it; again with the same name, it is changed
        name: String,
        /// Where it is
        #[arg(long)]
        place: String,
        /// A zone [default: one, Inside]; may be given several times
        #[arg(long)]
        zone: Vec<String>,
        /// A door, as NAME or NAME=ZONE [default: one into the first zone]; may be given several times
        #[arg(long)]
        door: Vec<String>,
        /// Its numbered seats: CSV with columns seat and category
        #[arg(long, value_name = "FILE")]
        seats: Option<PathBuf>,
        /// A price category, as NAME=PRICE where it has numbered seats, or NAME=PRICE:COUNT; may be given several times
        #[arg(long, value_name = "NAME=PRICE[:COUNT]")]
        category: Vec<String>,
        /// Whom its tickets let in
        #[command(flatten)]
        passes: PassesFlags,
    },
    /// Read seats into an event's plan: CSV with columns seat and category. Seats that it has stay
    Seats {
        /// Which event
        event: String,
        /// The file
        file: PathBuf,
    },
    /// List a price category, or change it
    Category {
        /// Of which event
        event: String,
        /// The category, as NAME=PRICE where it has numbered seats, or NAME=PRICE:COUNT
        #[arg(value_name = "NAME=PRICE[:COUNT]")]
        category: String,
        /// Whom its tickets let in
        #[command(flatten)]
        passes: PassesFlags,
    },
    /// Put a gate that has joined at a door: its next update sets it up
    Gate {
        /// For which event
        event: String,
        /// The gate, by id, or by name where it is on this data folder
        gate: String,
        /// The door, by name or number [default: the only one]
        door: Option<String>,
        /// It lets out, not in
        #[arg(long)]
        out: bool,
    },
    /// Make a code, and a number, by which a new gate joins and is set up at a door in one step
    Invite {
        /// For which event
        event: String,
        /// The door, by name or number [default: the only one]
        door: Option<String>,
        /// What the gate is called [default: as whoever sets it up calls it]
        #[arg(long, value_name = "NAME")]
        gate: Option<String>,
        /// It lets out, not in
        #[arg(long)]
        out: bool,
        /// For how many days it can be used
        #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=400))]
        days: u64,
    },
    /// The staff at an event's gates: list it, give somebody a badge, or end one
    Staff {
        /// Of which event
        event: String,
        /// Give somebody of this name a badge; it is shown once
        #[arg(long, value_name = "NAME", conflicts_with = "end")]
        add: Option<String>,
        /// With --add: a supervisor, who may count people in and end a ticket's entry; else a steward, who counts people out
        #[arg(long, requires = "add")]
        supervisor: bool,
        /// This badge counts no more, by name or number
        #[arg(long, value_name = "NAME")]
        end: Option<String>,
    },
    /// Order tickets of a category by number: to be sold over a counter, or as vouchers; out of the same quota
    ///
    /// Numbered seats are not for sale over the network any more from then on, whether their numbers are sold or not. Such as:
    /// tegata issuer hall event numbers Concert Stalls --seats "Row 5, 12;Row 5, 13"
    Numbers {
        /// Of which event
        event: String,
        /// The category
        category: String,
        /// How many; where seats are numbered, the last ones of the plan that are in no batch yet
        #[arg(long, default_value_t = 10)]
        count: u64,
        /// For these numbered seats, by name or number, with semicolons between
        #[arg(long, value_name = "SEAT;SEAT", conflicts_with = "count")]
        seats: Option<String>,
        /// For the numbered seats in this file, one a line, by name or number
        #[arg(long, value_name = "FILE", conflicts_with_all = ["count", "seats"])]
        seats_file: Option<PathBuf>,
    },
    /// What was sold, who came in by which door and when, who did not, what was paid back, what a person has to look at
    Report {
        /// Of which event
        event: String,
        /// As CSV, a figure a line
        #[arg(long)]
        csv: bool,
    },
    /// List the events, or show one: zones, doors, gates, categories with their terms
    Show {
        /// Which [default: all]
        event: Option<String>,
        /// Each numbered seat, too: its number, by which buyers pick it, its name and its category
        #[arg(long, requires = "event")]
        seats: bool,
    },
}

/// Whom a ticket lets in, and how it is given back.
#[derive(Args)]
pub struct PassesFlags {
    /// When the doors open, in UTC, such as "2026-12-24 19:00"
    #[arg(long, value_name = "MOMENT")]
    pub from: Option<String>,
    /// Hours from then until nobody is admitted any more
    #[arg(long, default_value_t = 6)]
    pub hours: u64,
    /// Currency of the prices
    #[arg(long, default_value = "USD")]
    pub currency: String,
    /// Into this zone, by name or number [default: all]; may be given several times
    #[arg(long)]
    pub into: Vec<String>,
    /// Entries into each zone; with more than one, who has gone out may come in again
    #[arg(long, default_value_t = 1)]
    pub entries: u64,
    /// Entries into each zone on one day [default: no other bound]
    #[arg(long)]
    pub a_day: Option<u64>,
    /// Who has gone out may not come in again on that day
    #[arg(long)]
    pub no_reentry: bool,
    /// People that one ticket lets in with its holder
    #[arg(long, default_value_t = 0)]
    pub companions: u64,
    /// Hours before the doors open until which a ticket is refunded
    #[arg(long, default_value_t = 0)]
    pub refund_hours: u64,
    /// Tickets are not refunded
    #[arg(long)]
    pub no_refund: bool,
    /// Tickets cannot be given away
    #[arg(long, conflicts_with_all = ["handovers", "give_hours", "give_price"])]
    pub not_transferable: bool,
    /// How often a ticket may be given on in all, from wallet to wallet or by a number
    #[arg(long, default_value_t = 1, value_name = "TIMES", value_parser = clap::value_parser!(u64).range(1..=99))]
    pub handovers: u64,
    /// Hours before the doors open until which a ticket may be given away [default: until nobody is admitted any more]
    #[arg(long, value_name = "HOURS")]
    pub give_hours: Option<u64>,
    /// The most that may be asked for a ticket that is given on, such as 45.00: told to both people. No money moves through Tegata
    #[arg(long, value_name = "PRICE")]
    pub give_price: Option<String>,
}

//! What a participant may read about itself, and only itself (R25): statements and exceptions.

use crate::id::{DeviceId, EventId, PartyId};
use crate::money::Time;
use crate::wire::canonical::Bytes;
use crate::{codes, message};

codes! {
    /// What a provider refuses a request for. The text that comes along is for people.
    pub enum ProviderRefusal {
        /// The message could not be read or opened.
        Malformed = 1,
        /// The sender is not known, or its key or role does not allow this.
        NotAllowed = 2,
        /// The sender is revoked.
        Revoked = 3,
        /// The token is wrong or used.
        Token = 4,
        /// The number is not one, not activated, or used with another key. Deliberately one answer for all.
        Number = 5,
        /// Too many wrong numbers; wait.
        TooMany = 6,
        /// The device's log does not continue what is recorded: it is behind, or it forked.
        LogBroken = 7,
        /// The amount or card does not fit the terms.
        Terms = 8,
        /// The same request came before with another content.
        Repeated = 9,
        /// The channel is not known here; seal by HPKE again.
        Channel = 10,
        /// The provider could not store; nothing was changed; send again.
        Unavailable = 11,
        /// The provider restores from a backup; installs and refunds wait (R15).
        Reconciling = 12,
        /// Nothing is known under that name.
        Unknown = 13,
        /// The card was given on and not registered in time, or given out of a generation that is over: it went back.
        CameBack = 14,
        /// Whoever gave the card gave it to somebody else, too.
        GivenTwice = 15,
        /// A seat is taken, named twice, or not sold by this category; or seats cannot be moved so.
        Seats = 16,
    }
}

impl ProviderRefusal {
    /// Who is at fault and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "it could not read the message; this program may be older or newer than the provider",
            Self::NotAllowed => "it does not know this key, or its role does not allow that",
            Self::Revoked => "this device or party has been revoked; ask the provider's operator",
            Self::Token => "the join token is wrong, was used, or has expired; ask the operator for a new one",
            Self::Number => "this number is not valid: mistyped, not activated at the till yet, or installed elsewhere",
            Self::TooMany => "too many wrong numbers; wait an hour and type the number from the card",
            Self::LogBroken => "this device's log does not continue what was recorded; update it again",
            Self::Terms => "the amount or the card does not fit the issuer's terms",
            Self::Repeated => "the same request came before with another content",
            Self::Channel => "the sealed line is not known any more; send again",
            Self::Unavailable => "it could not store; nothing was changed, try again later",
            Self::Reconciling => "it was restored from a backup and is still hearing all devices; try again later",
            Self::Unknown => "nothing is known under that name",
            Self::CameBack => "the card was not registered in time and went back to whoever gave it; ask that person",
            Self::GivenTwice => {
                "whoever gave you this card gave it to somebody else, too; the evidence is kept, ask that person and the issuer"
            }
            Self::Seats => {
                "a seat is taken, named twice, or not sold by this category; nothing was ordered or changed: name other seats"
            }
        }
    }
    /// Whether the same request may succeed later, unchanged.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::TooMany | Self::Unavailable | Self::Reconciling | Self::Channel)
    }
}

message! {
    /// The provider says no. Signed, in the context of the request's hash.
    pub struct Refused kind 59 max 600 {
        /// Why.
        1 why: ProviderRefusal,
        /// For people: who is at fault and what to do.
        2 text: Option<alloc::string::String>,
        /// Seconds after which to try again.
        3 retry_after: Option<u64>,
        /// Number of the operational key that signed.
        4 signer: u64,
    }
}

impl Refused {
    /// What the provider says, or what its reason means.
    pub fn told(&self) -> alloc::string::String {
        self.text.clone().unwrap_or_else(|| self.why.advice().into())
    }
}

codes! {
    /// What can be asked for.
    pub enum ReportKind {
        /// A merchant's: payments, voids, what is payable and paid.
        MerchantStatement = 1,
        /// An issuer's: issued, waiting, held, in flight, cleared.
        IssuerStatement = 2,
        /// Exceptions that concern the asker, with both signed records.
        Exceptions = 3,
        /// A promoter's, of one event: sold, let in, given back, left.
        Event = 4,
        /// A promoter's: what a change of its tickets would concern, and how far each change has come.
        Changes = 5,
    }
}

message! {
    /// Asks for a report about oneself. Signed by the asker.
    pub struct ReportRequest kind 48 max 300 {
        /// Which report.
        1 report: ReportKind,
        /// The party that asks.
        2 party: PartyId,
        /// From this moment on.
        3 from: Time,
        /// Until before this moment.
        4 until: Time,
        /// Only about this device of the party.
        5 device: Option<DeviceId>,
        /// Event: which one.
        6 event: Option<EventId>,
    }
}

message! {
    /// The report. Signed by the provider, in the context of the request's hash.
    pub struct Report kind 49 max 8_000_000 {
        /// Which report.
        1 report: ReportKind,
        /// The report's content: JSON, UTF-8.
        2 content: Bytes,
        /// Number of the operational key that signed.
        3 signer: u64,
    }
}

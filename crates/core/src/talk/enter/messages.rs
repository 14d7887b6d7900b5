//! What wallet and gate say to each other. Presentation, admission and window are signed; the examination is not, it stays inside
//! the authenticated session and everything in it is part of what the ticket signs (R5).

use crate::card::CardCertificate;
use crate::card::title::Hop;
use crate::id::{CardId, DeviceId, EventId, Hash};
use crate::money::Time;
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::certificate::Certificate;
use crate::wire::signed::{Signature, Signed};
use crate::{codes, message};
use alloc::vec::Vec;

codes! {
    /// Which way a door is passed.
    pub enum Direction {
        /// In.
        In = 1,
        /// Out.
        Out = 2,
    }
}

codes! {
    /// Why a gate does not open, or a wallet does not show its ticket.
    pub enum EnterRefusal {
        /// The message could not be read.
        Malformed = 1,
        /// The certificate or a signature is not valid.
        NotTrusted = 2,
        /// The gate could not prove who it is.
        GateNotTrusted = 3,
        /// A ticket of another event.
        OtherEvent = 4,
        /// Not for this zone.
        OtherZone = 5,
        /// The doors are not open yet.
        TooEarly = 6,
        /// The event is over.
        TooLate = 7,
        /// This entry was used.
        Used = 8,
        /// This entry was used, and whoever shows it does not know of it: somebody else has the same ticket.
        UsedElsewhere = 9,
        /// All entries are used.
        UsedUp = 10,
        /// All entries of this day are used.
        UsedToday = 11,
        /// The holder is inside.
        Inside = 12,
        /// The holder is not inside.
        NotInside = 13,
        /// Who has gone out does not come in again with this ticket.
        NoReentry = 14,
        /// More people than the ticket lets in.
        TooMany = 15,
        /// It was given to somebody else.
        GivenAway = 16,
        /// It was changed: the wallet has not taken up the new one.
        Changed = 17,
        /// It was paid back.
        Refunded = 18,
        /// It was blocked.
        Blocked = 19,
        /// The window is too old, or of a clock that is far off.
        WindowOver = 20,
        /// A window is not enough: this gate hears no other and the ticket is not for its own door, or it is an exit (R21).
        TapNeeded = 21,
        /// The device itself failed; nothing was changed.
        OutOfOrder = 22,
        /// The user declined.
        Declined = 23,
        /// The gate is not set up.
        NotReady = 24,
        /// It was given on and not registered in time (R12).
        Unregistered = 25,
        /// The holder is inside another zone than the one that this is the way out of.
        InsideElsewhere = 26,
        /// The provider's key that signed the ticket's certificate is over: its wallet was not updated since another one signs.
        TicketKeyOver = 27,
        /// The gate does not hold the provider's key that signed the ticket's certificate, or by its clock that one begins later.
        TicketKeyUnknown = 28,
        /// The gate's certificate is over, or the provider's key that signed it.
        GateKeyOver = 29,
        /// The wallet does not hold the provider's key that signed the gate's certificate, or by its clock one of them begins later.
        GateKeyUnknown = 30,
        /// The ticket's own key has not signed what was shown for this gate and this touch: it is a copy of what was shown elsewhere or before
        /// (R20).
        NotItsAnswer = 31,
    }
}

impl EnterRefusal {
    /// What a steward can do, for the gate's screen.
    pub fn for_steward(self) -> &'static str {
        match self {
            Self::Malformed => "not readable: ask to touch again, or to update the wallet",
            Self::NotTrusted => {
                "no valid ticket, or a code for another event or zone: ask to touch, else the box office"
            }
            Self::GateNotTrusted => {
                "the wallet does not trust this gate: check its certificate and clock, use another gate"
            }
            Self::OtherEvent => {
                "a ticket for another event, or of a sort that this gate has not heard of: ask for the right one, or update the gate"
            }
            Self::OtherZone => "not for this zone: show the way to the zone on the ticket",
            Self::TooEarly => "too early: ask to come back when the doors open",
            Self::TooLate => "too late: the event's last admission is over",
            Self::Used => "used already: let the holder show the receipt of the admission, else the box office",
            Self::UsedElsewhere => {
                "a copy: this ticket came in already and this wallet does not know of it; call security"
            }
            Self::UsedUp => "no entries left: sell a new ticket",
            Self::UsedToday => "no entries left for today: ask to come back tomorrow",
            Self::Inside => "its holder is inside: who is this? Check out first, or the box office",
            Self::NotInside => {
                "nobody has come in with it, as far as this gate and its wallet know: let out by hand and write it down"
            }
            Self::NoReentry => "this ticket does not come in again: sell a new one",
            Self::TooMany => "too many people for this ticket: the others need their own",
            Self::GivenAway => "given to somebody else: only the receiver's wallet comes in",
            Self::Changed => "the event was changed: ask to update the wallet, then touch again",
            Self::Refunded => "paid back: it lets nobody in",
            Self::Blocked => "blocked: send to the box office",
            Self::WindowOver => "an old picture: ask for the live code on the holder's own screen, or to touch",
            Self::TapNeeded => "a code is not enough here, at an exit or while the gate is alone: ask to touch",
            Self::OutOfOrder => "this gate failed to store or sign: try again, else another gate",
            Self::Declined => "the holder declined",
            Self::NotReady => "this gate is not set up for an event",
            Self::Unregistered => "given on and not registered in time: ask to go online once",
            Self::InsideElsewhere => {
                "the ticket is inside another zone than this is the way out of; its wallet says which: show the way to that zone's exit"
            }
            Self::TicketKeyOver => {
                "the provider's key that signed this ticket is over: ask to update the wallet and touch again; if all tickets say so, this gate's clock is off"
            }
            Self::TicketKeyUnknown => {
                "the ticket may be good or forged: this gate does not know the provider's key that signed it; update the gate, look at its clock, and ask to touch again; if that does not help, the box office"
            }
            Self::GateKeyOver => {
                "this gate's certificate is over: update the gate, and send to another one until then; if only this wallet says so, its clock is off"
            }
            Self::GateKeyUnknown => {
                "the wallet does not know the provider's key that signed this gate's certificate: ask to update the wallet and touch again"
            }
            Self::NotItsAnswer => {
                "the ticket's own key has not answered this gate: a copy of what was shown elsewhere or before; only the wallet that holds the ticket comes in"
            }
        }
    }
    /// What the holder can do, for the wallet's screen.
    pub fn for_holder(self) -> &'static str {
        match self {
            Self::Malformed => "the other side sent something that cannot be read; touch again",
            Self::NotTrusted => "the gate does not accept this ticket; update the wallet, then ask the box office",
            Self::GateNotTrusted => "this gate could not prove who it is; do not show the ticket here",
            Self::OtherEvent => {
                "this gate is for another event, or has not heard of this sort of ticket yet; choose the ticket for it"
            }
            Self::OtherZone => "this ticket is not for this zone; look on it for the right one",
            Self::TooEarly => "the doors are not open yet; come back when they are",
            Self::TooLate => "the event's last admission is over",
            Self::Used => "this ticket was used for this entry already",
            Self::UsedElsewhere => {
                "somebody came in with a copy of this ticket; ask the box office, the evidence is kept"
            }
            Self::UsedUp => "no entries are left on this ticket",
            Self::UsedToday => "no entries are left on this ticket for today",
            Self::Inside => "this ticket's holder is inside; check out first",
            Self::NotInside => "nobody is inside with this ticket, as far as is known here; a steward lets you out",
            Self::NoReentry => "this ticket does not come in again once it has gone out",
            Self::TooMany => "the ticket does not let in so many people",
            Self::GivenAway => "this ticket was given away; it is the receiver's now",
            Self::Changed => "the event was changed; update the wallet to see how, then touch again",
            Self::Refunded => "this ticket was paid back",
            Self::Blocked => "this ticket is blocked; update the wallet and ask the box office",
            Self::WindowOver => "the code on the screen was too old; set the clock of this phone, or touch",
            Self::TapNeeded => "this gate cannot take the code on the screen now; touch",
            Self::OutOfOrder => "the gate or this phone could not store or sign; nothing was changed, try again",
            Self::Declined => "you declined",
            Self::NotReady => "this gate is not set up for an event; use another",
            Self::Unregistered => "this ticket was given to you and is not registered yet; go online once",
            Self::InsideElsewhere => {
                "you are inside another zone than this is the way out of; go out of that one at its own exit"
            }
            Self::TicketKeyOver => {
                "the provider's key that signed this ticket is over; go online, update the wallet, and show it again"
            }
            Self::TicketKeyUnknown => {
                "this gate cannot check the ticket: its keys are older than the ticket, or its clock is off; ask the staff to update the gate"
            }
            Self::GateKeyOver => {
                "this gate's certificate is over, or the clock of this phone is off; ask the staff to update the gate, or use another"
            }
            Self::GateKeyUnknown => {
                "this wallet cannot check the gate: its keys are older than the gate's certificate, or its clock is off; go online, update the wallet, and touch again"
            }
            Self::NotItsAnswer => {
                "what was shown is not this ticket's own answer to this gate; touch with the wallet that holds the ticket"
            }
        }
    }
}

message! {
    /// What a gate shows first, with the session's reply: who it is, for which event, which way (flow 2).
    pub struct Examination {
        /// The gate's certificate.
        1 certificate: Signed<Certificate>,
        /// The gate's signature of this session (R17).
        2 proof: SessionSignature,
        /// The event.
        3 event: EventId,
        /// Into or out of which zone.
        4 zone: u64,
        /// Which way.
        5 direction: Direction,
    }
}

/// A signature that travels without the message that it is of: both sides know that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionSignature(pub Signature);

impl Wire for SessionSignature {
    fn write(&self, to: &mut Writer) {
        to.bytes(&self.0.0);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_bytes().map(|bytes| Self(Signature(bytes)))
    }
}

message! {
    /// The ticket's answer to an examination: no event of its chain (R20). Signed by the ticket in [`Presentation::context`].
    pub struct Presentation kind 24 max 400 {
        /// Which entry, from 1; of an exit, the entry that goes out.
        1 entry: u64,
        /// How many people.
        2 people: u64,
        /// When, by the wallet's clock.
        3 at: Time,
        /// The how-manieth presentation of this entry in this direction, from 1: a wallet uses no number twice.
        4 attempt: u64,
        /// The attempts before it, which were refused or never answered, by their hashes, the last one last (R20).
        5 earlier: Option<Vec<Hash>>,
    }
}

/// Where a ticket is shown; part of what it signs (R5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Transcript hash of the session.
    pub session: Hash,
    /// The gate.
    pub gate: DeviceId,
    /// The event.
    pub event: EventId,
    /// The zone.
    pub zone: u64,
    /// Which way.
    pub direction: Direction,
}

impl Presentation {
    /// Context: the ticket and its generation, the session, the gate, event, zone and direction.
    pub fn context(card: CardId, generation: u64, at: &Gateway) -> Vec<u8> {
        let mut to = Writer::new();
        to.array(7);
        card.write(&mut to);
        to.uint(generation);
        at.session.write(&mut to);
        at.gate.write(&mut to);
        at.event.write(&mut to);
        to.uint(at.zone);
        at.direction.write(&mut to);
        to.finish()
    }
}

message! {
    /// A presentation and what proves it.
    pub struct Presented {
        /// The presentation.
        1 presentation: Signed<Presentation>,
        /// The ticket's certificate.
        2 certificate: Signed<CardCertificate>,
        /// The exit of the entry before, where another gate has signed it.
        3 left: Option<LeftBefore>,
        /// How it was given on since the certificate (R12).
        4 title: Option<Vec<Hop>>,
        /// An exit: the wallet has not heard that this entry came in. It has shown a code for it, or no gate has answered.
        5 unheard: Option<bool>,
    }
}

message! {
    /// An exit that another gate has signed: it shows a gate that heard nothing of it that the holder went out.
    pub struct LeftBefore {
        /// That gate's certificate.
        1 gate: Signed<Certificate>,
        /// What the ticket had shown there.
        2 presentation: Signed<Presentation>,
        /// In which session.
        3 session: Hash,
        /// The gate's word.
        4 admission: Signed<Admission>,
    }
}

codes! {
    /// What a gate did.
    pub enum Admitted {
        /// Let in.
        In = 1,
        /// Let out.
        Out = 2,
        /// Refused.
        Refused = 3,
    }
}

message! {
    /// The gate's word on a presentation: stored before it leaves. Signed by the gate, in the context of the presentation's hash.
    pub struct Admission kind 25 max 200 {
        /// What it did.
        1 done: Admitted,
        /// The number of its entry in the gate's log.
        2 number: u64,
        /// When, by the gate's clock.
        3 at: Time,
        /// Why it refused.
        4 why: Option<EnterRefusal>,
    }
}

impl Admission {
    /// Context: the presentation.
    pub fn context(presentation: &Hash) -> Vec<u8> {
        presentation.to_bytes()
    }
}

message! {
    /// What a screen shows: that the ticket's key was at hand a moment ago. No event of the chain, answers nobody, convicts nobody
    /// (R21). Signed by the ticket in [`Window::context`].
    pub struct Window kind 26 max 120 {
        /// Which entry, from 1.
        1 entry: u64,
        /// When, by the wallet's clock.
        2 at: Time,
        /// How many people.
        3 people: u64,
    }
}

impl Window {
    /// For how many seconds a window is taken, before and after its time.
    pub const SECONDS: u64 = 45;

    /// Context: the ticket and its generation, the event, and the one zone that it is for. A window never lets out.
    pub fn context(card: CardId, generation: u64, event: EventId, zone: u64) -> Vec<u8> {
        let mut to = Writer::new();
        to.array(4);
        card.write(&mut to);
        to.uint(generation);
        event.write(&mut to);
        to.uint(zone);
        to.finish()
    }
}

message! {
    /// The one QR of a ticket: at most 300 bytes.
    pub struct WindowCode {
        /// The ticket's certificate.
        1 certificate: Signed<CardCertificate>,
        /// The window.
        2 window: Signed<Window>,
    }
}

message! {
    /// What a ticket showed and what the gate said, as both keep it in their logs: whoever reads it needs nothing else.
    pub struct Shown {
        /// The presentation; absent: a window.
        1 presentation: Option<Signed<Presentation>>,
        /// The window.
        2 window: Option<Signed<Window>>,
        /// The ticket's certificate.
        3 certificate: Signed<CardCertificate>,
        /// The session of the presentation.
        4 session: Option<Hash>,
        /// The event.
        5 event: EventId,
        /// The zone.
        6 zone: u64,
        /// Which way.
        7 direction: Direction,
        /// The gate's word.
        8 admission: Option<Signed<Admission>>,
        /// How the ticket was given on since the certificate (R12).
        9 title: Option<Vec<Hop>>,
    }
}

impl Shown {
    /// How the ticket was given on since the certificate.
    pub fn hops(&self) -> &[Hop] {
        self.title.as_deref().unwrap_or_default()
    }
    /// The generation that was shown.
    pub fn generation(&self) -> u64 {
        self.certificate.claimed().generation.saturating_add(self.hops().len() as u64)
    }
    /// The hash of what was shown, in its context; `None` where nothing was.
    pub fn hash(&self, gate: DeviceId) -> Option<Hash> {
        let (card, generation) = (self.certificate.claimed().card, self.generation());
        match (&self.presentation, &self.window, self.session) {
            (Some(presentation), None, Some(session)) => {
                let at = Gateway { session, gate, event: self.event, zone: self.zone, direction: self.direction };
                Some(presentation.hash(&Presentation::context(card, generation, &at)))
            }
            (None, Some(window), None) => Some(window.hash(&Window::context(card, generation, self.event, self.zone))),
            _ => None,
        }
    }
    /// Which entry, and how many people.
    pub fn entry(&self) -> Option<(u64, u64)> {
        match (&self.presentation, &self.window) {
            (Some(presentation), None) => Some((presentation.claimed().entry, presentation.claimed().people)),
            (None, Some(window)) => Some((window.claimed().entry, window.claimed().people)),
            _ => None,
        }
    }
}

/// Everything that travels at a gate, once the session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one exists per tap
pub enum EnterMessage {
    /// Gate to wallet.
    Examination(Examination),
    /// Wallet to gate.
    Presented(Presented),
    /// Gate to wallet: admitted, let out, or refused.
    Admission(Signed<Admission>),
    /// Either way: no, without a presentation that proved itself.
    Refused(EnterRefusal),
}

/// Largest message at a gate, in bytes.
pub const MAX_ENTER_MESSAGE: usize = 4096;

impl EnterMessage {
    /// Reads what came over the link.
    ///
    /// # Errors
    /// What is wrong with it; the other side is at fault.
    pub fn received(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ENTER_MESSAGE {
            return Err(DecodeError::TooLarge);
        }
        Self::from_bytes(bytes)
    }
}

impl Wire for EnterMessage {
    fn write(&self, to: &mut Writer) {
        to.array(2);
        match self {
            Self::Examination(body) => {
                to.uint(1);
                body.write(to);
            }
            Self::Presented(body) => {
                to.uint(2);
                body.write(to);
            }
            Self::Admission(body) => {
                to.uint(3);
                body.write(to);
            }
            Self::Refused(body) => {
                to.uint(4);
                body.write(to);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(2)?;
        match from.uint()? {
            1 => Examination::read(from).map(Self::Examination),
            2 => Presented::read(from).map(Self::Presented),
            3 => Signed::read(from).map(Self::Admission),
            4 => EnterRefusal::read(from).map(Self::Refused),
            _ => Err(DecodeError::Kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn each_answer_has_its_own_words_on_both_screens() {
        for told in [EnterRefusal::for_steward, EnterRefusal::for_holder] {
            let words: BTreeSet<_> = EnterRefusal::ALL.iter().map(|why| told(*why)).collect();
            assert_eq!(words.len(), EnterRefusal::ALL.len());
        }
    }

    #[test]
    fn where_a_key_is_over_or_unknown_both_screens_say_the_same_side_is_to_be_updated() {
        let (wallet, gate) = ("update the wallet", "update the gate");
        let cases = [
            (EnterRefusal::TicketKeyOver, wallet, gate),
            (EnterRefusal::TicketKeyUnknown, gate, wallet),
            (EnterRefusal::GateKeyOver, gate, wallet),
            (EnterRefusal::GateKeyUnknown, wallet, gate),
        ];
        for (why, said, unsaid) in cases {
            for told in [why.for_steward(), why.for_holder()] {
                assert!(told.contains(said) && !told.contains(unsaid), "{why:?}: {told}");
            }
        }
    }
}

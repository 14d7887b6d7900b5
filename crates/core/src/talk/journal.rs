//! The log that every device keeps: numbered without gaps, chained by hash, sent up by the update (R14).

use crate::card::title::Hop;
use crate::card::{CallReceipt, CardEvent, Link, Raise, Void};
use crate::id::{CardId, DeviceId, Handle, Hash, PartyId};
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::talk::credit::MerchantReceipt;
use crate::talk::enter::{ByHand, SessionSignature, Shown};
use crate::talk::pay::Receipt;
use crate::wire::canonical::{Bytes, Wire};
use crate::wire::signed::Signed;
use crate::{codes, message};
use alloc::string::String;
use alloc::vec::Vec;

codes! {
    /// What an entry of a device's log records.
    pub enum EntryKind {
        /// Terminal: a charge ended paid. The merchant's claim.
        Paid = 1,
        /// Terminal: a charge ended closed. It accepts no check any more.
        Closed = 2,
        /// Terminal: a paid charge was undone.
        Voided = 3,
        /// Wallet: a check was signed.
        Spent = 4,
        /// Wallet: the receipt for a check came.
        Receipted = 5,
        /// Wallet: a raise was taken up.
        TookUp = 6,
        /// Terminal: a charge was cleared by credit. The merchant's receipt.
        Cleared = 7,
        /// Wallet: a card was given back, with all that remained on it.
        Surrendered = 8,
        /// Gate: a ticket was admitted.
        Admitted = 9,
        /// Gate: a ticket was checked out.
        Left = 10,
        /// Gate: a ticket that proved itself was refused.
        TurnedAway = 11,
        /// Wallet: a gate has answered.
        Presented = 12,
        /// Wallet: a card was handed over to another wallet.
        Given = 13,
        /// Wallet: a card was taken from another wallet.
        Taken = 14,
        /// Gate: its staff did it by hand.
        ByHand = 15,
        /// Wallet, switch: a call has ended.
        Called = 16,
    }
}

message! {
    /// The way by which a call went to another network.
    pub struct Through {
        /// The trunk's name at its switch.
        1 trunk: String,
        /// The merchant whose trunk that is, and who is paid for the call; absent: the owner of the switch.
        2 operator: Option<PartyId>,
    }
}

message! {
    /// One entry. It carries what is needed to verify its signatures without asking anybody (R2).
    pub struct LogEntry {
        /// What it records.
        1 kind: EntryKind,
        /// When, by this device's clock.
        2 at: Time,
        /// The terminal's transaction number.
        3 transaction: u64,
        /// Wallet's entries: the terminal.
        4 terminal: Option<DeviceId>,
        /// The charge's exact bytes.
        5 charge: Option<Bytes>,
        /// The session that first carried the charge.
        6 session: Option<Hash>,
        /// The card.
        7 card: Option<CardId>,
        /// Its generation.
        8 generation: Option<u64>,
        /// The card's event: check, load or credit-back.
        9 event: Option<Signed<CardEvent>>,
        /// The checkpoint under which the terminal accepted the check.
        10 checkpoint: Option<Handle>,
        /// Raises that travelled with the check, or the one that was taken up.
        11 raises: Option<Vec<Raise>>,
        /// The terminal's receipt.
        12 receipt: Option<Signed<Receipt>>,
        /// The terminal's void or close.
        13 void: Option<Signed<Void>>,
        /// Cleared: the merchant's receipt \[8419\].
        14 sale: Option<Signed<MerchantReceipt>>,
        /// Gate, and Presented: what the ticket showed, and the gate's answer.
        15 shown: Option<Shown>,
        /// Given, Taken: the hand-overs since the generation that the provider has certified, the last one last.
        16 title: Option<Vec<Hop>>,
        /// Taken: the card's new key says that it is this wallet's.
        17 proof: Option<SessionSignature>,
        /// ByHand: what the badge has signed.
        18 hand: Option<Signed<ByHand>>,
        /// Called: what it cost, by the switch; a wallet that did not hear of it has none. `charge` is the tariff then, and `event`
        /// the last check that this side has.
        19 call: Option<Signed<CallReceipt>>,
        /// Called, by a switch: the trunk that it went through, if it went through one.
        20 through: Option<Through>,
        /// Called, by the switch: the last link that it has of the chain that the last check commits to.
        21 link: Option<Link>,
    }
}

impl LogEntry {
    /// An entry with nothing in it but its kind, time and transaction.
    pub fn new(kind: EntryKind, at: Time, transaction: u64) -> Self {
        Self {
            kind,
            at,
            transaction,
            terminal: None,
            charge: None,
            session: None,
            card: None,
            generation: None,
            event: None,
            checkpoint: None,
            raises: None,
            receipt: None,
            void: None,
            sale: None,
            shown: None,
            title: None,
            proof: None,
            hand: None,
            call: None,
            through: None,
            link: None,
            extensions: Default::default(),
        }
    }
}

message! {
    /// Where a device's log and its commands stand. Guards every append (R13, R14).
    pub struct Journal {
        /// Number of the last entry; 0 before the first.
        1 number: u64,
        /// Hash over all entries up to it.
        2 head: Hash,
        /// Up to here the provider has durably recorded.
        3 acknowledged: u64,
        /// Hash over all entries up to there.
        4 acknowledged_head: Hash,
        /// Up to here on a second medium (R15); entries up to it may be pruned.
        5 archived: u64,
        /// Number of the last command carried out.
        6 commands: u64,
        /// Hash over all commands up to it.
        7 commands_head: Hash,
        /// The provider's epoch as last heard (R15).
        8 epoch: u64,
        /// When the last update ended.
        9 updated: Time,
        /// When the oldest entry not acknowledged was written; absent when there is none (U of R11).
        10 oldest: Option<Time>,
        /// When the next update is due.
        11 due: Time,
        /// Turns of the update that were answered and stored; a turn sent again keeps its number.
        12 turns: u64,
        /// The provider's word for where its log, its commands and its list stand; absent before the first update (R15).
        13 standing: Option<Hash>,
    }
}

impl Journal {
    /// Where it is stored.
    pub fn key() -> RecordKey {
        RecordKey::new(Space::Device, *b"journal")
    }
    /// A new device's journal.
    pub fn new(epoch: u64, now: Time) -> Self {
        Self {
            number: 0,
            head: Hash::ZERO,
            acknowledged: 0,
            acknowledged_head: Hash::ZERO,
            archived: 0,
            commands: 0,
            commands_head: Hash::ZERO,
            epoch,
            updated: now,
            oldest: None,
            due: now,
            turns: 0,
            standing: None,
            extensions: Default::default(),
        }
    }
    /// Reads it; a device that has not joined has none.
    pub fn load(records: &dyn Records) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key())?).ok()
    }
    /// Whether entries were added to what it was, and nothing else has happened.
    pub fn has_only_grown_since(&self, before: &Self) -> bool {
        let Self { number, head, oldest, .. } = self.clone();
        number >= before.number && *self == Self { number, head, oldest, ..before.clone() }
    }
    /// Adds entries to the log within `batch`, guarded so that two processes cannot both append.
    pub fn append(&self, entries: &[LogEntry], batch: &mut Batch) -> Self {
        let mut after = self.clone();
        for entry in entries {
            let bytes = entry.to_bytes();
            after.number += 1;
            after.head = after.head.chain(&bytes);
            after.oldest = after.oldest.or(Some(entry.at));
            batch.put(RecordKey::numbered(Space::Log, after.number), bytes);
        }
        batch.replace(Self::key(), Some(self.to_bytes()), after.to_bytes());
        after
    }
}

//! One upload put together as its device signed it, and its entries read: whose signatures hold, what they say.

use crate::admitted::{Came, Key};
use crate::calls::Side;
use crate::cards::Cards;
use crate::facts::{Arrival, By, Facts, Record, Signature};
use crate::prices::Prices;
use crate::reading::Id;
use crate::staff::{Hand, Staff};
use crate::trust::{Trust, holds};
use tegata_core::card::title::{Holder, Hop};
use tegata_core::card::{CallReceipt, CardEvent, Counterpart, EventKind, Link, Raise, Void};
use tegata_core::charging::CallTariff;
use tegata_core::talk::enter::{Admission, Admitted, Direction, Gateway, Presentation, Window, earlier};
use tegata_core::talk::give::Proof;
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::talk::pay::{Charge, Receipt};
use tegata_core::talk::update::UpdateRequest;
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{self, PublicKey, Signed, Unsigned};
use tegata_core::{CardId, DeviceId, Hash, Unit};
use tegata_crypto_native::RecordVerifier;

/// An upload as stored, with its entries put back.
pub(crate) struct Upload {
    pub device: Id,
    pub first: u64,
    pub last: u64,
    /// The first entry that no upload before it brought.
    pub new: u64,
    pub arrival: Arrival,
    pub request: Vec<u8>,
    pub signature: [u8; 64],
    pub entries: Vec<Bytes>,
    /// The chain's hash before `first`, as it follows from the entries.
    pub head: Hash,
    pub checked: bool,
}

/// What an upload turned out to hold.
pub(crate) struct Read {
    pub device: Id,
    pub arrival: Arrival,
    pub wrong: Option<&'static str>,
    pub last: u64,
    pub entries: Vec<(u64, Result<Said, &'static str>, Hash)>,
    pub signatures: u64,
}

/// What an entry says; receipts wait until the check they are for is known.
pub(crate) enum Said {
    Fact(Record),
    Receipt {
        terminal: Id,
        transaction: u64,
        receipt: Box<Signed<Receipt>>,
    },
    /// A sale by credit: what was captured for it stands with the processor's answers.
    Sale,
    /// A ticket given on: who holds it stands with the tickets.
    Titled,
    /// A ticket at a gate, as the gate says or the wallet.
    Shown(Box<(Key, Came)>, bool),
    /// What a gate's staff did by hand.
    Hand {
        number: u64,
        hand: Hand,
    },
}

/// Whose keys entries are checked with.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub trust: &'a Trust,
    pub cards: &'a Cards,
    pub prices: &'a Prices,
    pub staff: &'a Staff,
}

impl Keys<'_> {
    /// Puts an upload together as the device signed it, and reads the entries that it brought.
    pub fn upload(&self, upload: Upload, known: &Facts) -> Read {
        let Upload { device, first, last, new, arrival, request, signature, entries, head, checked } = upload;
        let mut read =
            Read { device, arrival, wrong: None, last, entries: Vec::with_capacity(entries.len()), signatures: 0 };
        let member = self.trust.member(&device);
        let bodies = (first..).zip(&entries).filter(|(number, _)| *number >= new);
        for (number, entry) in bodies {
            let said = match member {
                Some(member) => {
                    Reading { keys: self, known, device, key: &member.key, role: member.role, checked, signatures: 0 }
                        .entry(&entry.0, &mut read.signatures)
                }
                None => Err("the device is not known"),
            };
            read.entries.push((number, said, Hash::of(&entry.0)));
        }
        let Ok(mut body) = UpdateRequest::from_bytes(&request) else {
            read.wrong = Some("the request cannot be read");
            return read;
        };
        read.arrival.list = body.list;
        let stands = body.device.0 == device
            && body.acknowledged + 1 == first
            && body.acknowledged_head == head
            && body.number >= last
            && body.entries.is_empty();
        if !stands {
            read.wrong = Some("it does not follow the entries before it");
        } else if checked {
            read.signatures += 1;
            body.entries = entries;
            let holds = member.is_some_and(|member| {
                let body = Unsigned::new(body, member.key.algorithm());
                holds(&body.sign(signed::Signature(signature)), &member.key, &[])
            });
            if !holds {
                read.wrong = Some("the signature does not hold");
            }
        }
        read
    }
}

/// Reads one entry of one device.
struct Reading<'a, 'b> {
    keys: &'a Keys<'b>,
    known: &'a Facts,
    device: Id,
    key: &'a PublicKey,
    role: Role,
    checked: bool,
    signatures: u64,
}

impl Reading<'_, '_> {
    fn entry(mut self, bytes: &[u8], signatures: &mut u64) -> Result<Said, &'static str> {
        let entry = LogEntry::from_bytes(bytes).map_err(|_| "it cannot be read")?;
        let terminals =
            matches!(entry.kind, EntryKind::Paid | EntryKind::Closed | EntryKind::Voided | EntryKind::Cleared);
        let gates =
            matches!(entry.kind, EntryKind::Admitted | EntryKind::Left | EntryKind::TurnedAway | EntryKind::ByHand);
        let records = match self.role {
            Role::Switch => entry.kind == EntryKind::Called,
            Role::Terminal => terminals,
            Role::Gate => gates,
            Role::Wallet => !terminals && !gates,
            _ => false,
        };
        if !records {
            return Err("a device of this role does not record that");
        }
        let said = match entry.kind {
            EntryKind::Paid => self.check(&entry, self.device).map(|(hash, signed, charge)| {
                Said::Fact(Record::Claimed { hash, signed, transaction: entry.transaction, charge })
            }),
            EntryKind::Spent => {
                let terminal = entry.terminal.ok_or("it names no terminal")?.0;
                self.keys.trust.key(&terminal, Role::Terminal).ok_or("it names no terminal that is known")?;
                let most = entry.card.and_then(|card| self.keys.cards.cards.get(&card.0)).map_or(0, |card| card.most);
                self.check(&entry, terminal).and_then(|(hash, signed, charge)| {
                    if signed.amount > most {
                        return Err("it is over more than its card may pay at once");
                    }
                    Ok(Said::Fact(Record::Spent { hash, signed, terminal, transaction: entry.transaction, charge }))
                })
            }
            EntryKind::Closed | EntryKind::Voided => self.end(&entry).map(Said::Fact),
            EntryKind::Cleared => self.sale(&entry).map(|()| Said::Sale),
            EntryKind::Receipted => {
                let terminal = entry.terminal.ok_or("it names no terminal")?.0;
                let receipt = Box::new(entry.receipt.ok_or("it has no receipt")?);
                Ok(Said::Receipt { terminal, transaction: entry.transaction, receipt })
            }
            EntryKind::Called => self.called(&entry).map(Said::Fact),
            EntryKind::TookUp => self.took_up(&entry).map(Said::Fact),
            EntryKind::Surrendered => self.surrendered(&entry).map(Said::Fact),
            EntryKind::Admitted | EntryKind::Left | EntryKind::TurnedAway => {
                self.shown(&entry, DeviceId(self.device), true).map(|shown| Said::Shown(Box::new(shown), true))
            }
            EntryKind::ByHand => {
                let signed = entry.hand.as_ref().ok_or("no badge has signed it")?;
                let owner = self.keys.trust.member(&self.device).and_then(|member| member.owner);
                self.signatures += 1;
                let number = entry.transaction;
                self.keys.staff.by_hand(signed, (self.device, number, owner)).map(|hand| Said::Hand { number, hand })
            }
            EntryKind::Presented => {
                let gate = entry.terminal.ok_or("it names no gate")?;
                self.keys.trust.key(&gate.0, Role::Gate).ok_or("it names no gate that is known")?;
                self.shown(&entry, gate, false).map(|shown| Said::Shown(Box::new(shown), false))
            }
            EntryKind::Given | EntryKind::Taken => self.titled(&entry).map(|()| Said::Titled),
        };
        *signatures += self.signatures;
        said
    }

    /// A signature by the card's key in this context, unless the same bytes were checked before.
    fn by_card(
        &mut self,
        entry: &LogEntry,
        event: &Signed<CardEvent>,
        counterpart: &Counterpart<'_>,
    ) -> Result<(Hash, Signature), &'static str> {
        let (card, generation) = entry.card.zip(entry.generation).ok_or("it names no card")?;
        let found = self.keys.cards.cards.get(&card.0).and_then(|card| card.generation(generation));
        let found = found.ok_or("its card or generation is not known")?;
        let context = CardEvent::context(card, generation, counterpart);
        let (hash, encoded) = (event.hash(&context), event.encode());
        let bytes = Hash::of(encoded.get(encoded.len().saturating_sub(64)..).unwrap_or(&[]));
        let seen = self.known.events.get(&hash).is_some_and(|known| known.signed.bytes == bytes);
        if self.checked && !seen {
            self.signatures += 1;
            if !holds(event, &found.key, &context) {
                return Err("the card's signature does not hold");
            }
        }
        let said = event.claimed();
        let signed = Signature {
            card: card.0,
            generation,
            seq: said.seq,
            tick: said.tick.map_or(0, |tick| tick.get()),
            kind: said.event,
            amount: said.amount,
            remaining: said.remaining,
            previous: said.previous,
            bytes,
        };
        Ok((hash, signed))
    }

    fn unit(&self, card: Option<CardId>) -> Option<u16> {
        let card = self.keys.cards.cards.get(&card?.0)?;
        // A wallet speaks for its own cards only.
        (matches!(self.role, Role::Terminal | Role::Switch) || card.wallet == self.device).then_some(card.book.1)
    }

    /// A check for a charge of this terminal.
    fn check(&mut self, entry: &LogEntry, terminal: Id) -> Result<(Hash, Signature, Hash), &'static str> {
        let (charge, name) = charge(entry, terminal)?;
        let event = entry.event.as_ref().ok_or("it has no check")?;
        let session = entry.session.unwrap_or(Hash::ZERO);
        let bytes = entry.charge.as_ref().map_or(&[][..], |bytes| &bytes.0);
        let counterpart = Counterpart::Charge { session, terminal: DeviceId(terminal), charge: bytes };
        let said = event.claimed();
        if said.event != EventKind::Spend || said.tick.is_some() || said.amount != charge.amount.minor() {
            return Err("the check is over another amount than the charge");
        }
        if self.unit(entry.card) != Some(charge.amount.unit().code()) {
            return Err("the card is another wallet's, or in another unit than the charge");
        }
        let (hash, signed) = self.by_card(entry, event, &counterpart)?;
        Ok((hash, signed, name))
    }

    /// The end of a call: what the card signed for this very tariff, and what its switch says that it cost.
    fn called(&mut self, entry: &LogEntry) -> Result<Record, &'static str> {
        let of_switch = self.role == Role::Switch;
        let switch = if of_switch { DeviceId(self.device) } else { entry.terminal.ok_or("it names no switch")? };
        let key = *self.keys.trust.key(&switch.0, Role::Switch).ok_or("it names no switch that is known")?;
        let bytes = &entry.charge.as_ref().ok_or("it has no tariff")?.0;
        let session = entry.session.ok_or("it names no session")?;
        let tariff = CallTariff::from_bytes(bytes).map_err(|_| "its tariff cannot be read")?;
        let name = CallTariff::named(&session, switch, bytes);
        if tariff.transaction != entry.transaction {
            return Err("its tariff has another number");
        }
        let check = match &entry.event {
            Some(event) => {
                let said = event.claimed();
                if said.event != EventKind::Session || said.tick.is_none() {
                    return Err("the event does something else");
                }
                if self.unit(entry.card) != Some(tariff.unit.code()) {
                    return Err("the card is another wallet's, or in another unit than the tariff");
                }
                let counterpart = Counterpart::Charge { session, terminal: switch, charge: bytes };
                Some(self.by_card(entry, event, &counterpart)?)
            }
            None => None,
        };
        let most = entry.card.and_then(|card| self.keys.cards.cards.get(&card.0)).map_or(0, |card| card.most);
        if !of_switch && check.is_none_or(|(_, signed)| signed.amount > most) {
            return Err("it has no check, or one over more than its card may pay at once");
        }
        let paid = proven(entry.event.as_ref().map(Signed::claimed), tariff.price, entry.link.as_ref());
        let receipt = match &entry.call {
            Some(receipt) => {
                let said = receipt.claimed();
                self.signatures += 1;
                if self.checked && !holds(receipt, &key, &CallReceipt::context(switch)) {
                    return Err("the receipt is not the switch's");
                }
                if (said.transaction, said.call, said.used.unit()) != (entry.transaction, name, tariff.unit) {
                    return Err("the receipt is for another call");
                }
                let paid = paid.ok_or("its links are not of the chain that its check commits to")?;
                Some((said.used.minor(), said.used.minor() <= said.at_most(&tariff, paid)))
            }
            None => None,
        };
        let priced = match entry.card.and_then(|card| self.keys.cards.cards.get(&card.0)) {
            Some(card) => self.keys.prices.hold(card.book, card.terms, &tariff),
            None => true,
        };
        let named = entry.through.as_ref().filter(|_| of_switch).and_then(|through| through.operator);
        let operator = named.map(|party| party.0);
        let began = tariff.at.0;
        let side =
            Side { switch: switch.0, transaction: entry.transaction, name, check, receipt, priced, began, operator };
        Ok(Record::Called { side, of_switch })
    }

    /// What a ticket showed to this gate, and the gate's word on it.
    fn shown(&mut self, entry: &LogEntry, gate: DeviceId, by_gate: bool) -> Result<(Key, Came), &'static str> {
        let shown = entry.shown.as_ref().ok_or("it shows nothing")?;
        let (card, generation) = entry.card.zip(entry.generation).ok_or("it names no ticket")?;
        let said = shown.certificate.claimed();
        if (said.card, shown.generation()) != (card, generation) {
            return Err("it names another ticket than it shows");
        }
        let key = self.held_by(card, said.generation, shown.hops())?;
        let hash = shown.hash(gate).ok_or("it shows nothing that can be named")?;
        let (of_entry, people) = shown.entry().ok_or("it shows nothing that can be named")?;
        let word = shown.admission.as_ref().map(Signed::claimed);
        if word.is_none() && !(by_gate && shown.window.is_some()) {
            return Err("no gate says what became of it");
        }
        let done = match (entry.kind, shown.direction, word) {
            (EntryKind::Admitted, Direction::In, _) => Admitted::In,
            (EntryKind::Left, Direction::Out, _) => Admitted::Out,
            (EntryKind::TurnedAway, ..) => Admitted::Refused,
            (EntryKind::Presented, _, Some(word)) => word.done,
            _ => return Err("it says another way than it shows"),
        };
        if word.is_some_and(|word| word.done != done) {
            return Err("its gate says something else");
        }
        let said = shown.presentation.as_ref().map(Signed::claimed);
        let came = Came {
            generation,
            gate: gate.0,
            at: word.map_or(entry.at, |word| word.at).0,
            people,
            done: done.code(),
            window: shown.window.is_some(),
            attempt: said.map_or(0, |said| said.attempt),
            earlier: said.map_or_else(Vec::new, |said| earlier(said).to_vec()),
            holder: key.to_bytes(),
        };
        let named = ((card.0, shown.zone, of_entry, shown.direction.code(), hash), came);
        if !self.checked {
            return Ok(named);
        }
        self.signatures += 1;
        let by_ticket = match (&shown.presentation, &shown.window, shown.session) {
            (Some(presentation), None, Some(session)) => {
                let (event, zone, direction) = (shown.event, shown.zone, shown.direction);
                let at = Gateway { session, gate, event, zone, direction };
                holds(presentation, &key, &Presentation::context(card, generation, &at))
            }
            (None, Some(window), None) => {
                let context = Window::context(card, generation, shown.event, shown.zone);
                shown.direction == Direction::In && holds(window, &key, &context)
            }
            _ => false,
        };
        if !by_ticket {
            return Err("the ticket's signature does not hold");
        }
        if let Some(admission) = &shown.admission {
            self.signatures += 1;
            let key = self.keys.trust.key(&gate.0, Role::Gate).ok_or("its gate is not known")?;
            if !holds(admission, key, &Admission::context(&hash)) {
                return Err("the gate's signature does not hold");
            }
        }
        Ok(named)
    }

    /// The key of whoever holds a card after these hand-overs from a certified generation on.
    fn held_by(&mut self, card: CardId, generation: u64, hops: &[Hop]) -> Result<PublicKey, &'static str> {
        let found = self.keys.cards.cards.get(&card.0).and_then(|card| card.generation(generation));
        let key = found.ok_or("its ticket or generation is not known")?.key;
        if !self.checked {
            return Ok(hops.last().map_or(key, |hop| hop.to));
        }
        self.signatures += hops.len() as u64;
        let first = Holder { card, generation, key, used: 0, before: Vec::new() };
        first.after(hops, &RecordVerifier).map(|held| held.key).ok_or("a hand-over is not signed by who held it")
    }

    /// A card handed over, with all hand-overs since the generation that was certified.
    fn titled(&mut self, entry: &LogEntry) -> Result<(), &'static str> {
        let (card, generation) = entry.card.zip(entry.generation).ok_or("it names no card")?;
        let hops = entry.title.as_deref().ok_or("it has no hand-over")?;
        let since = hops.len() as u64 - u64::from(entry.kind == EntryKind::Given && !hops.is_empty());
        let key = self.held_by(card, generation.checked_sub(since).ok_or("its generations do not fit")?, hops)?;
        match (entry.kind, entry.proof) {
            (EntryKind::Given, _) => Ok(()),
            (_, Some(proof)) => {
                let registers = Proof::Registers(card, generation, DeviceId(self.device));
                if !self.checked || registers.holds(&key, proof, &RecordVerifier) {
                    return Ok(());
                }
                Err("the card's new key has not signed that it is this wallet's")
            }
            (_, None) => Err("the card's new key has not signed that it is this wallet's"),
        }
    }

    /// A terminal's own void or close.
    fn end(&mut self, entry: &LogEntry) -> Result<Record, &'static str> {
        let (made, charge) = charge(entry, self.device)?;
        let void = entry.void.as_ref().ok_or("it has no void")?;
        let said = void.claimed();
        if said.transaction != entry.transaction || said.amount != made.amount {
            return Err("the void is for another charge or amount");
        }
        if self.checked {
            self.signatures += 1;
            if !holds(void, self.key, &Void::context(DeviceId(self.device))) {
                return Err("the void is not this terminal's");
            }
        }
        match (entry.kind, said.check) {
            (EntryKind::Closed, None) => Ok(Record::Closed { charge }),
            (EntryKind::Voided, Some(check)) => Ok(Record::Voided { charge, check }),
            _ => Err("a void names its check, a close names none"),
        }
    }

    /// A terminal's own receipt of a charge that was cleared by credit \[8419\].
    fn sale(&mut self, entry: &LogEntry) -> Result<(), &'static str> {
        let (made, _) = charge(entry, self.device)?;
        let sale = entry.sale.as_ref().ok_or("it has no receipt")?;
        if self.checked {
            self.signatures += 1;
            if !holds(sale, self.key, &[]) {
                return Err("the receipt is not this terminal's");
            }
        }
        let said = sale.claimed();
        let fits =
            said.machine.0 == self.device && Some(said.session) == entry.session && *said.charge.claimed() == made;
        if fits { Ok(()) } else { Err("the receipt is for another charge") }
    }

    /// A card that was given back, by its own key and its own wallet.
    fn surrendered(&mut self, entry: &LogEntry) -> Result<Record, &'static str> {
        let event = entry.event.as_ref().ok_or("it has no event")?;
        if event.claimed().event != EventKind::Surrender || event.claimed().tick.is_some() {
            return Err("the event does something else");
        }
        // A ticket's own key speaks for it, also where the ticket was given to another since.
        let ticket = entry
            .card
            .and_then(|card| self.keys.cards.cards.get(&card.0))
            .is_some_and(|card| card.book.1 == Unit::ENTRIES.code());
        (ticket || self.unit(entry.card).is_some()).then_some(()).ok_or("the card is another wallet's")?;
        let (hash, signed) = self.by_card(entry, event, &Counterpart::Provider(self.keys.trust.party))?;
        Ok(Record::Surrendered { hash, signed })
    }

    /// A raise that a card took up.
    fn took_up(&mut self, entry: &LogEntry) -> Result<Record, &'static str> {
        let event = entry.event.as_ref().ok_or("it has no event")?;
        let raise = entry.raises.as_ref().and_then(|raises| raises.first()).ok_or("it names no raise")?;
        let kind = if matches!(raise, Raise::Load(_)) { EventKind::Load } else { EventKind::CreditBack };
        let said = event.claimed();
        // What a call leaves over is known with the call.
        let (amount, unit) = match raise {
            Raise::Call(_, receipt) => (None, receipt.claimed().used.unit()),
            _ => {
                let amount = raise.amount().ok_or("its raise has no amount")?;
                (Some(amount.minor()), amount.unit())
            }
        };
        if said.event != kind || said.tick.is_some() || amount.is_some_and(|amount| amount != said.amount) {
            return Err("the event is over another amount than its raise");
        }
        if self.unit(entry.card) != Some(unit.code()) {
            return Err("the card is another wallet's, or in another unit than the raise");
        }
        let name = raise.hash();
        let (hash, signed) = self.by_card(entry, event, &Counterpart::Raise(name))?;
        match raise {
            // Known by its hash: the provider's signature was checked with its own copy.
            Raise::Load(_) => Ok(Record::Loaded { hash, signed, load: name }),
            Raise::Call(switch, receipt) => {
                let key = self.keys.trust.key(&switch.0, Role::Switch).ok_or("its receipt is by nobody known")?;
                if self.checked {
                    self.signatures += 1;
                    if !holds(receipt, key, &CallReceipt::context(*switch)) {
                        return Err("its receipt is not the switch's");
                    }
                }
                let said = receipt.claimed();
                let by = By::Call { name: said.call, switch: switch.0, used: said.used.minor() };
                Ok(Record::Returned { hash, signed, by })
            }
            Raise::Reversal(_) => {
                // One that the provider does not know returns no check.
                let known = self.keys.cards.reversals.get(&name).filter(|back| back.card == signed.card);
                let check = known.map_or(Hash::ZERO, |back| back.check);
                Ok(Record::Returned { hash, signed, by: By::Reversal { check } })
            }
            Raise::Void(terminal, void) => {
                let key = self.keys.trust.key(&terminal.0, Role::Terminal).ok_or("its void is by nobody known")?;
                if self.checked {
                    self.signatures += 1;
                    if !holds(void, key, &Void::context(*terminal)) {
                        return Err("its void is not the terminal's");
                    }
                }
                let said = void.claimed();
                let (transaction, check, amount) = (said.transaction, said.check, said.amount.minor());
                let by = By::Void { terminal: terminal.0, transaction, check, amount };
                Ok(Record::Returned { hash, signed, by })
            }
        }
    }
}

/// The charge of an entry, and the hash that names it: session, terminal and exact bytes.
fn charge(entry: &LogEntry, terminal: Id) -> Result<(Charge, Hash), &'static str> {
    let bytes = entry.charge.as_ref().ok_or("it has no charge")?;
    let session = entry.session.ok_or("it names no session")?;
    let charge = Charge::from_bytes(&bytes.0).map_err(|_| "its charge cannot be read")?;
    if charge.transaction != entry.transaction {
        return Err("its charge has another number");
    }
    Ok((charge, Charge::named(&session, DeviceId(terminal), &bytes.0)))
}

/// What of a call's last check is paid, by the links that its switch was shown; of one without a chain, all (R24).
fn proven(tick: Option<&CardEvent>, price: u64, link: Option<&Link>) -> Option<u64> {
    let Some(tick) = tick else { return Some(0) };
    let links = match (&tick.links, link) {
        (Some(chain), Some(link)) => chain.has(link, None).then_some(link.index)?,
        (None, Some(_)) => return None,
        (_, None) => 0,
    };
    tick.paid(price, links)
}

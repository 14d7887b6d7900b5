//! Devices' logs: every upload is put together again and its signature checked, every entry is read and its signatures
//! checked, on all cores; the chain of each log is followed without a gap (R2, R14).

use crate::AuditError;
use crate::audit::Scope;
use crate::cards::Cards;
use crate::difference::{Difference, Findings, PROVIDER, What};
use crate::facts::{Arrival, By, Facts, Place, Record, Signature};
use crate::reading::{Id, each, hex};
use crate::trust::{Trust, holds};
use crate::verdicts::Verdicts;
use rayon::prelude::*;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use tegata_core::card::{CardEvent, Counterpart, EventKind, Raise, Void};
use tegata_core::talk::journal::{EntryKind, LogEntry};
use tegata_core::talk::pay::{Charge, Receipt};
use tegata_core::talk::update::UpdateRequest;
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{self, PublicKey, Signed, Unsigned};
use tegata_core::{CardId, DeviceId, Hash};

/// How much is read before all cores check it, in bytes and in uploads.
const BYTES: usize = 4 << 20;
const UPLOADS: usize = 4096;

/// An upload as stored, with its entries put back.
struct Upload {
    device: Id,
    first: u64,
    last: u64,
    /// The first entry that no upload before it brought.
    new: u64,
    arrival: Arrival,
    request: Vec<u8>,
    signature: [u8; 64],
    entries: Vec<Bytes>,
    /// The chain's hash before `first`, as it follows from the entries.
    head: Hash,
    checked: bool,
}

/// What an upload turned out to hold.
struct Read {
    device: Id,
    arrival: Arrival,
    wrong: Option<&'static str>,
    last: u64,
    entries: Vec<(u64, Result<Said, &'static str>, Hash)>,
    signatures: u64,
}

/// What an entry says; receipts wait until the check they are for is known.
enum Said {
    Fact(Record),
    Receipt { terminal: Id, transaction: u64, receipt: Box<Signed<Receipt>> },
}

/// What reading the logs counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub entries: u64,
    pub uploads: u64,
    pub signatures: u64,
    pub devices: u64,
}

/// Where a log stands while it is followed.
#[derive(Default)]
struct Standing {
    device: Option<Id>,
    heads: Vec<Hash>,
}

/// All that is needed to read a log.
pub(crate) struct Logs<'a> {
    pub connection: &'a Connection,
    pub trust: &'a Trust,
    pub cards: &'a Cards,
    pub verdicts: &'a Verdicts,
    pub scope: Scope,
}

impl Logs<'_> {
    /// Reads all of them into `facts`.
    pub fn read(&self, facts: &mut Facts, findings: &mut Findings) -> Result<Counts, AuditError> {
        let mut counts = Counts::default();
        let mut ends: HashMap<Id, (u64, Hash)> = HashMap::new();
        let mut standing = Standing::default();
        let (mut held, mut bytes) = (Vec::new(), 0);
        let sql = "SELECT device, first, last, at, before, request, signature FROM upload ORDER BY device, last";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let device: Id = row.get(0)?;
            let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
            if standing.device != Some(device) {
                standing = Standing { device: Some(device), heads: vec![Hash::ZERO] };
                counts.devices += 1;
            }
            let (first, last, at) = (number(1)?, number(2)?, number(3)?);
            let recorded = standing.heads.len() as u64 - 1;
            let entries = self.entries(device, first, last)?;
            counts.uploads += 1;
            let gap = first == 0 || first > recorded + 1 || last < first;
            if gap || entries.len() as u64 != last + 1 - first {
                self.gap(device, (first, last), recorded, entries.len() as u64, findings);
            }
            for entry in entries.iter().skip(usize::try_from(recorded + 1 - first.min(recorded + 1)).unwrap_or(0)) {
                let head = standing.heads.last().copied().unwrap_or(Hash::ZERO);
                standing.heads.push(head.chain(&entry.0));
            }
            let after = (standing.heads.len() as u64 - 1, standing.heads.last().copied().unwrap_or(Hash::ZERO));
            ends.insert(device, after);
            counts.entries += after.0 - recorded;
            bytes += entries.iter().map(|entry| entry.0.len()).sum::<usize>() + 200;
            let head = usize::try_from(first.saturating_sub(1)).ok().and_then(|at| standing.heads.get(at));
            held.push(Upload {
                device,
                first,
                last,
                new: recorded + 1,
                arrival: Arrival { at, before: number(4)?, list: 0 },
                request: row.get(5)?,
                signature: row.get(6)?,
                entries,
                head: head.copied().unwrap_or(Hash::ZERO),
                checked: self.scope.covers(counts.uploads, at),
            });
            if bytes >= BYTES || held.len() >= UPLOADS {
                self.piece(std::mem::take(&mut held), facts, &mut counts, findings);
                bytes = 0;
            }
        }
        self.piece(held, facts, &mut counts, findings);
        self.standings(&ends, findings)?;
        Ok(counts)
    }

    fn entries(&self, device: Id, first: u64, last: u64) -> Result<Vec<Bytes>, AuditError> {
        let mut entries = Vec::new();
        let mut next = first;
        let sql = "SELECT number, body FROM entry WHERE device = ?1 AND number BETWEEN ?2 AND ?3 ORDER BY number";
        let bounds = params![device, first.cast_signed(), last.cast_signed()];
        each(self.connection, sql, bounds, |row| {
            if row.u64(0)? == next {
                entries.push(Bytes(row.get(1)?));
                next += 1;
            }
            Ok(())
        })?;
        Ok(entries)
    }

    fn gap(&self, device: Id, (first, last): (u64, u64), recorded: u64, found: u64, findings: &mut Findings) {
        findings.add(|| Difference {
            what: What::Log,
            about: format!("the log of dev-{}", hex(&device)),
            evidence: format!("entries {first} to {last}, signed by the device in one upload after entry {recorded}"),
            ledger: format!("{found} entries from {first} on without a gap"),
            nearest: Place { device, number: (first + found).min(last) }.to_string(),
            at_fault: format!("{PROVIDER}: an entry was dropped"),
        });
    }

    /// Checks a piece on all cores, then adds what it says.
    fn piece(&self, held: Vec<Upload>, facts: &mut Facts, counts: &mut Counts, findings: &mut Findings) {
        let known: &Facts = facts;
        let read: Vec<Read> = held.into_par_iter().map(|upload| self.upload(upload, known)).collect();
        let mut receipts = Vec::new();
        for Read { device, arrival, wrong, last, entries, signatures } in read {
            counts.signatures += signatures;
            if let Some(wrong) = wrong {
                findings.add(|| Difference {
                    what: What::Log,
                    about: format!("the log of dev-{}", hex(&device)),
                    evidence: format!("that the upload up to entry {last} is not what the device signed ({wrong})"),
                    ledger: "its entries".into(),
                    nearest: Place { device, number: last }.to_string(),
                    at_fault: format!("{PROVIDER}: an entry or upload was changed after it was signed"),
                });
            }
            for (number, said, hash) in entries {
                let place = Place { device, number };
                let added = match said {
                    Ok(Said::Fact(record)) => facts.add(record, place, arrival, self.cards),
                    Ok(Said::Receipt { terminal, transaction, receipt }) => {
                        let check = facts.spent(device, terminal, transaction);
                        let key = self.trust.key(&terminal, Role::Terminal).copied();
                        match check.zip(key) {
                            Some((check, key)) => {
                                receipts.push((check, key, receipt, place, hash));
                                Ok(())
                            }
                            None => Err("its receipt is for a check that this wallet did not sign"),
                        }
                    }
                    Err(why) => Err(why),
                };
                if let Err(why) = added {
                    self.malformed(place, hash, why, findings);
                }
            }
        }
        counts.signatures += receipts.len() as u64;
        let wrong: Vec<(Place, Hash)> = receipts
            .into_par_iter()
            .filter(|(check, key, receipt, ..)| !holds(receipt, key, &Receipt::context(check)))
            .map(|(.., place, hash)| (place, hash))
            .collect();
        for (place, hash) in wrong {
            self.malformed(place, hash, "its receipt is not the terminal's", findings);
        }
    }

    fn malformed(&self, place: Place, hash: Hash, why: &'static str, findings: &mut Findings) {
        if !self.verdicts.is_malformed(place.device, hash) {
            findings.add(|| Difference {
                what: What::Entry,
                about: place.to_string(),
                evidence: format!("that it is not what it says: {why}"),
                ledger: "no exception for it".into(),
                nearest: place.to_string(),
                at_fault: format!("dev-{}, and the provider for not saying so", hex(&place.device)),
            });
        }
    }

    /// What the provider says of each log must be where its entries end.
    fn standings(&self, ends: &HashMap<Id, (u64, Hash)>, findings: &mut Findings) -> Result<(), AuditError> {
        each(self.connection, "SELECT device, recorded, head FROM device ORDER BY device", [], |row| {
            let (device, recorded, head) = (row.get::<Id>(0)?, row.u64(1)?, Hash(row.get(2)?));
            let end = ends.get(&device).copied().unwrap_or((0, Hash::ZERO));
            findings.expect(end == (recorded, head), What::Log, || {
                let about = format!("the log of dev-{}", hex(&device));
                let (evidence, ledger) = (format!("{} entries", end.0), format!("{recorded} entries, or another hash"));
                (about, evidence, ledger, Place { device, number: end.0.min(recorded) }.to_string())
            });
            Ok(())
        })?;
        each(self.connection, "SELECT device, count(*), max(number) FROM entry GROUP BY device", [], |row| {
            let (device, count, last) = (row.get::<Id>(0)?, row.u64(1)?, row.u64(2)?);
            let end = ends.get(&device).map_or(0, |end| end.0);
            findings.expect(count == end && last == end, What::Log, || {
                let (evidence, ledger) = (format!("{end} signed entries"), format!("{count} entries up to {last}"));
                (format!("the log of dev-{}", hex(&device)), evidence, ledger, Place { device, number: last }.to_string())
            });
            Ok(())
        })
    }

    /// Puts an upload together as the device signed it, and reads the entries that it brought.
    fn upload(&self, upload: Upload, known: &Facts) -> Read {
        let Upload { device, first, last, new, arrival, request, signature, entries, head, checked } = upload;
        let mut read =
            Read { device, arrival, wrong: None, last, entries: Vec::with_capacity(entries.len()), signatures: 0 };
        let member = self.trust.member(&device);
        let bodies = (first..).zip(&entries).filter(|(number, _)| *number >= new);
        for (number, entry) in bodies {
            let said = match member {
                Some(member) => {
                    Reading { logs: self, known, device, key: &member.key, role: member.role, checked, signatures: 0 }
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
    logs: &'a Logs<'b>,
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
        let terminals = matches!(entry.kind, EntryKind::Paid | EntryKind::Closed | EntryKind::Voided);
        if (self.role == Role::Terminal) != terminals || (self.role == Role::Wallet) == terminals {
            return Err("a device of this role does not record that");
        }
        let said = match entry.kind {
            EntryKind::Paid => self.check(&entry, self.device).map(|(hash, signed, charge)| {
                Said::Fact(Record::Claimed { hash, signed, transaction: entry.transaction, charge })
            }),
            EntryKind::Spent => {
                let terminal = entry.terminal.ok_or("it names no terminal")?.0;
                self.logs.trust.key(&terminal, Role::Terminal).ok_or("it names no terminal that is known")?;
                self.check(&entry, terminal).map(|(hash, signed, charge)| {
                    Said::Fact(Record::Spent { hash, signed, terminal, transaction: entry.transaction, charge })
                })
            }
            EntryKind::Closed | EntryKind::Voided => self.end(&entry).map(Said::Fact),
            EntryKind::Receipted => {
                let terminal = entry.terminal.ok_or("it names no terminal")?.0;
                let receipt = Box::new(entry.receipt.ok_or("it has no receipt")?);
                Ok(Said::Receipt { terminal, transaction: entry.transaction, receipt })
            }
            EntryKind::TookUp => self.took_up(&entry).map(Said::Fact),
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
        let found = self.logs.cards.cards.get(&card.0).and_then(|card| card.generation(generation));
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
            tick: said.tick.unwrap_or(0),
            kind: said.event,
            amount: said.amount,
            remaining: said.remaining,
            previous: said.previous,
            bytes,
        };
        Ok((hash, signed))
    }

    fn unit(&self, card: Option<CardId>) -> Option<u16> {
        self.logs.cards.cards.get(&card?.0).map(|card| card.book.1)
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
            return Err("the charge is in another unit than the card");
        }
        let (hash, signed) = self.by_card(entry, event, &counterpart)?;
        Ok((hash, signed, name))
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

    /// A raise that a card took up.
    fn took_up(&mut self, entry: &LogEntry) -> Result<Record, &'static str> {
        let event = entry.event.as_ref().ok_or("it has no event")?;
        let raise = entry.raises.as_ref().and_then(|raises| raises.first()).ok_or("it names no raise")?;
        let kind = if matches!(raise, Raise::Load(_)) { EventKind::Load } else { EventKind::CreditBack };
        let (said, amount) = (event.claimed(), raise.amount());
        if said.event != kind || said.tick.is_some() || said.amount != amount.minor() {
            return Err("the event is over another amount than its raise");
        }
        if self.unit(entry.card) != Some(amount.unit().code()) {
            return Err("the raise is in another unit than the card");
        }
        let name = raise.hash();
        let (hash, signed) = self.by_card(entry, event, &Counterpart::Raise(name))?;
        match raise {
            // Known by its hash: the provider's signature was checked with its own copy.
            Raise::Load(_) => Ok(Record::Loaded { hash, signed, load: name }),
            Raise::Reversal(_) => {
                let back = self.logs.cards.reversals.get(&name).ok_or("its reversal is not the provider's")?;
                if back.card != signed.card || back.amount != signed.amount {
                    return Err("its reversal is for another card or amount");
                }
                Ok(Record::Returned { hash, signed, by: By::Reversal { check: back.check } })
            }
            Raise::Void(terminal, void) => {
                let key = self.logs.trust.key(&terminal.0, Role::Terminal).ok_or("its void is by nobody known")?;
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
    let mut name = Charge::context(&session, DeviceId(terminal));
    name.extend_from_slice(&bytes.0);
    Ok((charge, Hash::of(&name)))
}

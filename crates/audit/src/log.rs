//! Devices' logs: every upload is put together again and its signature checked, every entry is read and its signatures
//! checked, on all cores; the chain of each log is followed without a gap (R2, R14).

use crate::AuditError;
use crate::admitted;
use crate::audit::Scope;
use crate::cards::Cards;
use crate::difference::{Difference, Findings, PROVIDER, What};
use crate::entry::{Keys, Read, Said, Upload};
use crate::facts::{Arrival, Facts, Place};
use crate::prices::Prices;
use crate::reading::{Id, each, hex};
use crate::staff::Staff;
use crate::trust::{Trust, holds};
use crate::verdicts::Verdicts;
use rayon::prelude::*;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use tegata_core::Hash;
use tegata_core::talk::pay::Receipt;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::certificate::Role;

/// How much is read before all cores check it, in bytes and in uploads.
const BYTES: usize = 4 << 20;
const UPLOADS: usize = 4096;

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
    pub prices: &'a Prices,
    pub staff: &'a Staff,
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
        let keys = Keys { trust: self.trust, cards: self.cards, prices: self.prices, staff: self.staff };
        let known: &Facts = facts;
        let read: Vec<Read> = held.into_par_iter().map(|upload| keys.upload(upload, known)).collect();
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
                    Ok(Said::Sale | Said::Titled) => Ok(()),
                    Ok(Said::Shown(shown, by_gate)) => {
                        // Of a ticket of another event, or one that is not known, the provider takes nothing, and says so.
                        if !self.verdicts.is_malformed(device, hash) {
                            admitted::add(&mut facts.admissions, *shown, by_gate, place);
                        }
                        Ok(())
                    }
                    Ok(Said::Hand { number, hand }) => {
                        // Brought again under a new number after a restore, it is the same.
                        facts.hands.entry((device, number)).or_insert((hand, place));
                        Ok(())
                    }
                    Ok(Said::Receipt { terminal, transaction, receipt }) => {
                        let check = facts.spent(device, terminal, transaction);
                        let key = self.trust.key(&terminal, Role::Terminal).copied();
                        match check.zip(key) {
                            Some((check, key)) => {
                                receipts.push((check, key, receipt, place, hash));
                                Ok(())
                            }
                            None if facts.unread.contains(&device) => Ok(()),
                            None => Err("its receipt is for a check that this wallet did not sign"),
                        }
                    }
                    Err(why) => Err(why),
                };
                if let Err(why) = added {
                    facts.unread.insert(device);
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
                (
                    format!("the log of dev-{}", hex(&device)),
                    evidence,
                    ledger,
                    Place { device, number: last }.to_string(),
                )
            });
            Ok(())
        })
    }
}

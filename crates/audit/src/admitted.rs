//! What tickets have shown at gates: each row stands for what a gate or a wallet has brought, and each of those has its row; whoever showed a
//! ticket twice, or came in beyond its terms, is in an exception, and nobody is that did not.

use crate::AuditError;
use crate::cards::Cards;
use crate::difference::{Findings, What};
use crate::facts::Place;
use crate::reading::{Id, each, hex};
use crate::verdicts::{Verdicts, kind};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::talk::enter::{Admitted, Told, twice};
use tegata_core::wire::canonical::Wire;
use tegata_core::{Hash, Time};

/// A ticket, a zone, an entry, which way, and the hash of what was shown.
pub(crate) type Key = (Id, u64, u64, u64, Hash);

/// What was shown, by whom, and what the gate did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub generation: u64,
    pub gate: Id,
    pub at: u64,
    pub people: u64,
    pub done: u64,
    pub window: bool,
    pub attempt: u64,
    pub earlier: Vec<Hash>,
    /// The key that signed it, as its bytes.
    pub holder: Vec<u8>,
}

/// What was brought of it, and by whom: gates, wallets.
#[derive(Debug)]
pub(crate) struct Brought {
    pub said: Vec<Came>,
    pub by: [bool; 2],
    pub place: Place,
}

/// All that was shown.
pub(crate) type Admissions = BTreeMap<Key, Brought>;

/// Adds what a gate's log, or a wallet's, says.
pub(crate) fn add(all: &mut Admissions, (key, came): (Key, Came), by_gate: bool, place: Place) {
    let brought = all.entry(key).or_insert(Brought { said: Vec::new(), by: [false; 2], place });
    brought.by[usize::from(!by_gate)] = true;
    if !brought.said.contains(&came) {
        brought.said.push(came);
    }
}

/// Holds rows and exceptions against it.
pub(crate) fn compare(
    connection: &Connection,
    (admissions, cards): (&Admissions, &Cards),
    verdicts: &Verdicts,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    // Before, rows did not name who had signed.
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format < 11 {
        return Ok(());
    }
    let rows = rows(connection)?;
    for (key, brought) in admissions {
        let good = rows.get(key).is_some_and(|(came, by)| {
            // A row of before format 11 does not name who signed.
            let same = |said: &Came| *said == Came { holder: said.holder.clone(), ..came.clone() };
            let signed = |said: &Came| came.holder.is_empty() || came.holder == said.holder;
            *by == brought.by && brought.said.iter().any(|said| same(said) && signed(said))
        });
        findings.expect(good, What::Row, || {
            let about = format!("entry {} of card-{}", key.2, hex(&key.0));
            (about, "what was shown at a gate", "another row of table admission, or none", brought.place.to_string())
        });
    }
    for key in rows.keys().filter(|key| !admissions.contains_key(key)) {
        findings.expect(false, What::Row, || {
            let about = format!("entry {} of card-{}", key.2, hex(&key.0));
            (about, "nothing that was shown at a gate", "a row of table admission", "no entry".into())
        });
    }
    let (twice, beyond) = (shown_twice(admissions, cards), beyond_terms(connection, admissions)?);
    let named = |card: &Id, kinds: &[u64]| verdicts.about(card).iter().any(|one| kinds.contains(&one.kind));
    for card in &twice {
        findings.expect(named(card, &[kind::CLONED]), What::Row, || {
            let about = format!("card-{}", hex(card));
            (about, "that two wallets have shown it", "no exception that convicts its holder", "two entries".into())
        });
    }
    for card in &beyond {
        findings.expect(named(card, &kind::OF_GATES), What::Row, || {
            let about = format!("card-{}", hex(card));
            (about, "that it came in beyond its terms", "no exception that says so", "its entries".into())
        });
    }
    for card in verdicts.convicted_at_gates().filter(|card| !twice.contains(*card)) {
        findings.expect(false, What::Row, || {
            let about = format!("card-{}", hex(card));
            (about, "nothing that two wallets have shown", "an exception that convicts its holder", "no entry".into())
        });
    }
    Ok(())
}

type Rows = BTreeMap<Key, (Came, [bool; 2])>;

fn rows(connection: &Connection) -> Result<Rows, AuditError> {
    let sql = "SELECT card, zone, entry, direction, shown, generation, gate, at, people, done, window, attempt, earlier, gates, wallets,
        holder FROM admission";
    let mut rows = Rows::new();
    each(connection, sql, [], |row| {
        let key = (row.get::<Id>(0)?, row.u64(1)?, row.u64(2)?, row.u64(3)?, Hash(row.get(4)?));
        let earlier: Vec<u8> = row.get(12)?;
        let hashes = earlier.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect();
        let came = Came {
            generation: row.u64(5)?,
            gate: row.get(6)?,
            at: row.u64(7)?,
            people: row.u64(8)?,
            done: row.u64(9)?,
            window: row.u64(10)? == 1,
            attempt: row.u64(11)?,
            earlier: hashes,
            holder: row.get(15)?,
        };
        rows.insert(key, (came, [row.u64(13)? == 1, row.u64(14)? == 1]));
        Ok(())
    })?;
    Ok(rows)
}

/// Tickets of which one holder has shown two things in the place of one (R20). Whoever holds a ticket by a hand-over that does not count
/// holds nothing.
fn shown_twice(admissions: &Admissions, cards: &Cards) -> BTreeSet<Id> {
    let mut by_entry: HashMap<_, Vec<(&Hash, &Came)>> = HashMap::new();
    for ((card, zone, entry, direction, shown), brought) in admissions {
        for came in brought.said.iter().filter(|came| !came.window) {
            let key = (*card, came.generation, &came.holder, *zone, *entry, *direction);
            by_entry.entry(key).or_default().push((shown, came));
        }
    }
    let mut found = BTreeSet::new();
    for ((card, generation, holder, ..), all) in by_entry {
        let recorded = cards.cards.get(&card).and_then(|known| known.generation(generation));
        if recorded.is_some_and(|recorded| recorded.key.to_bytes() != *holder) {
            continue;
        }
        if all.iter().any(|one| all.iter().any(|two| one.0 != two.0 && twice(told(one), told(two)))) {
            found.insert(card);
        }
    }
    found
}

fn told<'a>((hash, came): &(&'a Hash, &'a Came)) -> Told<'a> {
    Told { hash, attempt: came.attempt, earlier: &came.earlier }
}

/// Tickets that came in more often than their terms say, all gates together.
fn beyond_terms(connection: &Connection, admissions: &Admissions) -> Result<BTreeSet<Id>, AuditError> {
    let mut terms: HashMap<Id, TicketTerms> = HashMap::new();
    let sql = "SELECT card.card, terms.body FROM card JOIN terms ON terms.handle = card.terms
        WHERE card.card IN (SELECT card FROM admission)";
    each(connection, sql, [], |row| {
        if let Some(read) = Terms::from_bytes(&row.get::<Vec<u8>>(1)?).ok().and_then(|terms| terms.ticket) {
            terms.insert(row.get(0)?, read);
        }
        Ok(())
    })?;
    let mut days: BTreeMap<(Id, u64, u64), BTreeSet<u64>> = BTreeMap::new();
    let mut beyond = BTreeSet::new();
    let is_in = |came: &&Came| came.done == Admitted::In.code();
    for ((card, zone, entry, ..), brought) in admissions {
        let (Some(terms), Some(came)) = (terms.get(card), brought.said.iter().find(is_in)) else { continue };
        let today = days.entry((*card, *zone, terms.day(Time(came.at)))).or_default();
        today.insert(*entry);
        let today = today.len() as u64;
        let many = terms.a_day.is_some_and(|most| today > most) || (!terms.reentry && today > 1);
        if many || *entry > terms.entries {
            beyond.insert(*card);
        }
    }
    Ok(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::card::CardKind;
    use tegata_core::{EventId, PartyId, Unit};

    fn terms(a_day: Option<u64>, reentry: bool) -> Terms {
        let ticket = TicketTerms {
            event: EventId([1; 16]),
            place: "Town hall".into(),
            from: Time(0),
            until: Time(10 * Time::DAY),
            zones: vec![1],
            entries: 3,
            a_day,
            day_begins: 0,
            reentry,
            companions: 0,
            door: None,
            give_until: None,
            give_price: None,
            refund_until: None,
            seating: None,
            extensions: Default::default(),
        };
        Terms {
            issuer: PartyId([2; 16]),
            kind: CardKind::Ticket,
            unit: Unit::ENTRIES,
            name: "Concert".into(),
            max_payment: 0,
            offline_limit: 0,
            due_after: Time::DAY,
            list_age: Time::DAY,
            record_age: Time::DAY,
            max_balance: 3,
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: Some(ticket),
            extensions: Default::default(),
        }
    }

    /// Whether a ticket of these terms is beyond them that came in so: entry, and in which hour.
    fn is_beyond(terms: &Terms, came: &[(u64, u64)]) -> bool {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch(
                "CREATE TABLE card (card, terms); CREATE TABLE terms (handle, body); CREATE TABLE admission (card)",
            )
            .expect("made");
        connection.execute("INSERT INTO card VALUES (?1, 7)", [[5_u8; 16]]).expect("put");
        connection.execute("INSERT INTO terms VALUES (7, ?1)", [terms.to_bytes()]).expect("put");
        connection.execute("INSERT INTO admission VALUES (?1)", [[5_u8; 16]]).expect("put");
        let mut all = Admissions::new();
        for (entry, hour) in came {
            let came = Came {
                generation: 1,
                gate: [3; 16],
                at: hour * 3600,
                people: 1,
                done: Admitted::In.code(),
                window: false,
                attempt: 1,
                earlier: Vec::new(),
                holder: Vec::new(),
            };
            let key = ([5; 16], 1, *entry, 1, Hash::of(&[u8::try_from(*entry + hour).unwrap_or(0)]));
            add(&mut all, (key, came), true, Place { device: [3; 16], number: 1 });
        }
        !beyond_terms(&connection, &all).expect("read").is_empty()
    }

    #[test]
    fn nobody_comes_in_more_often_than_the_terms_say() {
        assert!(!is_beyond(&terms(None, true), &[(1, 1), (2, 2), (3, 3)]));
        assert!(is_beyond(&terms(None, true), &[(1, 1), (4, 2)]), "three entries in all");
        assert!(is_beyond(&terms(Some(1), true), &[(1, 1), (2, 2)]), "one a day");
        assert!(!is_beyond(&terms(Some(1), true), &[(1, 1), (2, 25)]), "another day");
        assert!(is_beyond(&terms(None, false), &[(1, 1), (2, 2)]), "no way back in");
        assert!(!is_beyond(&terms(None, false), &[(1, 1), (1, 2)]), "the same entry, said of two gates");
    }
}

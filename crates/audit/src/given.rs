//! Cards given from wallet to wallet: every hand-over is signed by who held the card, every registration by the key that it went
//! to, and every generation under a new key follows from one (R12).

use crate::AuditError;
use crate::cards::Cards;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, has_table, hex};
use crate::trust::{Trust, holds};
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use tegata_core::card::title::Hop;
use tegata_core::card::{CardEvent, Counterpart, EventKind};
use tegata_core::talk::cards::InstallRequest;
use tegata_core::talk::enter::SessionSignature;
use tegata_core::talk::give::{GiftRequest, Proof};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::{PublicKey, Signature, Signed};
use tegata_core::{CardId, DeviceId, Hash};
use tegata_crypto_native::RecordVerifier;

/// A row as the provider has it.
struct Row {
    card: Id,
    generation: u64,
    hash: Hash,
    gift: bool,
    body: Vec<u8>,
    used: u64,
    giver: Id,
    state: u64,
    taker: Option<Id>,
    proof: Option<Vec<u8>>,
}

const TAKEN: u64 = 2;
const BACK: u64 = 4;

/// How the generations of a card were given: whether by a number, and what became of it.
type Ways = BTreeMap<u64, (bool, u64)>;

/// What rows and requests explain: the key of a generation, the last wallet that has a card, with its generation, and how each was given.
#[derive(Default)]
struct Explained {
    keys: HashMap<(Id, u64), PublicKey>,
    holders: HashMap<Id, (u64, Id)>,
    ways: HashMap<Id, Ways>,
}

/// Which wallets have given which cards, or were lost with them: a checkpoint may stand in the last answer to one of them.
pub(crate) fn givers(connection: &Connection) -> Result<Vec<(Id, Id)>, AuditError> {
    let mut givers = Vec::new();
    for (table, column) in [("handed", "giver"), ("anew", "lost")] {
        if has_table(connection, table)? {
            each(connection, &format!("SELECT DISTINCT card, {column} FROM {table}"), [], |row| {
                givers.push((row.get(0)?, row.get(1)?));
                Ok(())
            })?;
        }
    }
    Ok(givers)
}

/// Examines all of them.
pub(crate) fn examine(
    connection: &Connection,
    trust: &Trust,
    cards: &Cards,
    checked: &mut u64,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    let mut explained = Explained::default();
    if has_table(connection, "handed")? {
        let sql = "SELECT card, generation, hash, gift, body, used, giver, state, taker, proof FROM handed
            ORDER BY card, generation";
        each(connection, sql, [], |row| {
            let row = Row {
                card: row.get(0)?,
                generation: row.u64(1)?,
                hash: Hash(row.get(2)?),
                gift: row.u64(3)? != 0,
                body: row.get(4)?,
                used: row.u64(5)?,
                giver: row.get(6)?,
                state: row.u64(7)?,
                taker: row.get(8)?,
                proof: row.get(9)?,
            };
            *checked += 1;
            explained.ways.entry(row.card).or_default().insert(row.generation, (row.gift, row.state));
            let to = if row.gift { gift(&row, trust, cards) } else { hop(&row, cards) };
            findings.expect(to.is_some(), What::Card, || {
                let about = format!("how generation {} of card-{} was given", row.generation, hex(&row.card));
                (about, "nothing that its holder has signed", "a hand-over", "its row of table handed".to_owned())
            });
            if let Some(Some(key)) = to {
                explained.keys.insert((row.card, row.generation + 1), key);
            }
            if let (Some(taker), true) = (row.taker, row.state == TAKEN) {
                *checked += 1;
                findings.expect(taken(&row, taker, trust, cards), What::Card, || {
                    let about = format!("who has generation {} of card-{}", row.generation + 1, hex(&row.card));
                    let ledger = format!("dev-{}", hex(&taker));
                    (
                        about,
                        "nothing that its new key or that wallet has signed",
                        ledger,
                        "its row of table handed".into(),
                    )
                });
                explained.holders.insert(row.card, (row.generation + 1, taker));
            }
            Ok(())
        })?;
    }
    anew(connection, trust, cards, checked, &mut explained, findings)?;
    for (id, card) in &cards.cards {
        let mut known: Vec<PublicKey> = Vec::new();
        for generation in &card.generations {
            let explains = explained.keys.get(&(*id, generation.number)) == Some(&generation.key);
            findings.expect(known.is_empty() || known.contains(&generation.key) || explains, What::Card, || {
                let about = format!("generation {} of card-{}", generation.number, hex(id));
                (about, "no hand-over to its key", "a certificate under a new key", "table handed".to_owned())
            });
            known.push(generation.key);
            let given = explained.ways.get(id).map_or(0, |ways| given_before(ways, generation.number));
            findings.expect(given == generation.given, What::Card, || {
                let about =
                    format!("how often card-{} had been given on before generation {}", hex(id), generation.number);
                (about, given.to_string(), generation.given.to_string(), "its row of table generation".to_owned())
            });
        }
        let holder =
            explained.holders.get(id).filter(|(number, _)| card.current().is_some_and(|now| now.number == *number));
        findings.expect(holder.is_none_or(|(_, wallet)| *wallet == card.wallet), What::Card, || {
            let evidence = holder.map_or(String::new(), |(_, wallet)| format!("dev-{}", hex(wallet)));
            (format!("who holds card-{}", hex(id)), evidence, format!("dev-{}", hex(&card.wallet)), "table card".into())
        });
    }
    Ok(())
}

/// How often a card had been given on when this generation began. What came back counts as long as it was on its way; a gift that nobody
/// took came back to the generation after it.
fn given_before(ways: &Ways, number: u64) -> u64 {
    let on_its_way = |from: u64| (from..number).all(|at| ways.get(&at) == Some(&(false, BACK)));
    let counts = |(at, (gift, state)): (&u64, &(bool, u64))| match (*gift, *state) {
        (true, state) => state == TAKEN,
        (false, BACK) => on_its_way(*at),
        (false, _) => true,
    };
    ways.range(..number).filter(|way| counts(*way)).count() as u64
}

/// Tickets that were issued anew: the operator's word, and the request of the wallet that installed it.
fn anew(
    connection: &Connection,
    trust: &Trust,
    cards: &Cards,
    checked: &mut u64,
    explained: &mut Explained,
    findings: &mut Findings,
) -> Result<(), AuditError> {
    if !has_table(connection, "anew")? {
        return Ok(());
    }
    let sql = "SELECT card, generation, next, taker, proof FROM anew ORDER BY card, generation";
    each(connection, sql, [], |row| {
        let (card, generation, next): (Id, u64, u64) = (row.get(0)?, row.u64(1)?, row.u64(2)?);
        let (taker, proof): (Option<Id>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
        *checked += 1;
        let request = proof.and_then(|proof| Signed::<InstallRequest>::decode(&proof).ok());
        let signed = taker.is_none_or(|taker| {
            let own = |request: &&Signed<InstallRequest>| request.claimed().wallet.0 == taker;
            let key = trust.key(&taker, Role::Wallet);
            request.as_ref().filter(own).zip(key).is_some_and(|(request, key)| holds(request, key, &[]))
        });
        let fits = key_of(cards, &card, generation).is_some() && next > generation && signed;
        findings.expect(fits, What::Card, || {
            let about = format!("how generation {next} of card-{} was issued anew", hex(&card));
            (about, "nothing that its new wallet has signed", "a card issued anew", "its row of table anew".to_owned())
        });
        if let Some((request, taker)) = request.zip(taker) {
            explained.keys.insert((card, next), request.claimed().key);
            if explained.holders.get(&card).is_none_or(|(number, _)| *number < next) {
                explained.holders.insert(card, (next, taker));
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn key_of(cards: &Cards, card: &Id, generation: u64) -> Option<PublicKey> {
    Some(cards.cards.get(card)?.generation(generation)?.key)
}

/// A hand-over by the holder's key: to which one.
fn hop(row: &Row, cards: &Cards) -> Option<Option<PublicKey>> {
    let hop = Hop::from_bytes(&row.body).ok()?;
    let key = key_of(cards, &row.card, row.generation)?;
    let (card, said) = (CardId(row.card), hop.event.claimed());
    let fits = said.event == EventKind::Transfer && hop.used == row.used && hop.hash(card, row.generation) == row.hash;
    (fits && holds(&hop.event, &key, &hop.context(card, row.generation))).then_some(Some(hop.to))
}

/// A lock by the holder's key, asked for by the holder's wallet; the key of whoever took it, by that wallet's request.
fn gift(row: &Row, trust: &Trust, cards: &Cards) -> Option<Option<PublicKey>> {
    let request = Signed::<GiftRequest>::decode(&row.body).ok()?;
    let said = request.claimed();
    let key = key_of(cards, &row.card, row.generation)?;
    let counterpart = Counterpart::Gift { provider: trust.party, used: said.used, at: said.at };
    let context = CardEvent::context(CardId(row.card), row.generation, &counterpart);
    let fits = (said.card.0, said.generation, said.wallet.0, said.used)
        == (row.card, row.generation, row.giver, row.used)
        && said.event.claimed().event == EventKind::Lock
        && said.event.hash(&context) == row.hash;
    let wallet = trust.key(&row.giver, Role::Wallet)?;
    (fits && holds(&said.event, &key, &context) && holds(&request, wallet, &[])).then_some(())?;
    let taken = row.proof.as_ref().and_then(|proof| Signed::<InstallRequest>::decode(proof).ok());
    Some(taken.map(|taken| taken.claimed().key))
}

/// Whether this wallet has it, by the new key's signature; of a gift by the wallet's own request.
fn taken(row: &Row, taker: Id, trust: &Trust, cards: &Cards) -> bool {
    let next = row.generation + 1;
    let (Some(proof), Some(key)) = (&row.proof, key_of(cards, &row.card, next)) else { return false };
    if row.gift {
        let Ok(request) = Signed::<InstallRequest>::decode(proof) else { return false };
        let wallet = trust.key(&taker, Role::Wallet);
        let said = request.claimed();
        return (said.wallet.0, said.key) == (taker, key) && wallet.is_some_and(|wallet| holds(&request, wallet, &[]));
    }
    let Ok(proof) = <[u8; 64]>::try_from(proof.as_slice()) else { return false };
    let proof = SessionSignature(Signature(proof));
    Proof::Registers(CardId(row.card), next, DeviceId(taker)).holds(&key, proof, &RecordVerifier)
}

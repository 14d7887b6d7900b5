//! Cards as the provider signed them: generations, loads, reversals, checkpoints; and the value that numbers put on them.

use crate::AuditError;
use crate::changes::Changes;
use crate::difference::{Findings, What};
use crate::numbers::{Book, Numbers};
use crate::reading::{Columns, Id, each, hex, pieces};
use crate::sold::Sold;
use crate::trust::{Trust, holds};
use rayon::prelude::*;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use tegata_core::card::{CardCertificate, Load, Reversal};
use tegata_core::talk::update::UpdateReply;
use tegata_core::wire::canonical::Message;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{Handle, Hash};

/// One generation, as its first certificate has it.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub number: u64,
    pub key: PublicKey,
    pub seq: u64,
    pub remaining: u64,
    pub last_load: u64,
    pub from: u64,
    /// How often the card had been given on before it.
    pub given: u64,
}

/// What put value on a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    /// The number of the install, or the hash of the load.
    pub reference: Hash,
    pub amount: u64,
    pub at: u64,
}

/// One load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub card: Id,
    pub number: u64,
    pub generation: u64,
    pub amount: u64,
    pub at: u64,
    /// Bought by a number or by credit; else held-back value that was released, which is no new value.
    pub bought: bool,
}

/// One reversal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reversed {
    pub card: Id,
    pub check: Hash,
    pub amount: u64,
}

/// One card.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub book: Book,
    pub terms: Handle,
    /// The most that one check may be over.
    pub most: u64,
    /// Face values of the numbers that it was installed and loaded by.
    pub put: u64,
    /// Who holds it: taken as the provider recorded it, a wallet's own request is not kept.
    pub wallet: Id,
    pub generations: Vec<Generation>,
    pub loads: u64,
    /// The references of postings that put value on it: number of the install, hash of each load.
    pub sources: Vec<Source>,
}

impl Card {
    /// One of its generations.
    pub fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|one| one.number == number)
    }
    /// The newest one.
    pub fn current(&self) -> Option<&Generation> {
        self.generations.iter().max_by_key(|one| one.number)
    }
}

/// The newest certificate of a card.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    pub generation: u64,
    pub seq: u64,
    pub remaining: u64,
}

/// All cards and what the provider signed for them.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    pub cards: HashMap<Id, Card>,
    pub loads: HashMap<Hash, Loaded>,
    pub reversals: HashMap<Hash, Reversed>,
    pub checkpoints: HashMap<Id, Checkpoint>,
}

/// A signed body of the provider's, with the columns beside it.
struct Sealed<T, C> {
    columns: C,
    body: Vec<u8>,
    signed: Option<Signed<T>>,
}

/// Decodes and verifies the bodies of a piece on all cores; what does not hold has no `signed`.
fn verified<T: Message + Clone + Send, C: Send>(
    piece: Vec<Sealed<T, C>>,
    trust: &Trust,
    signer: impl Fn(&T) -> u64 + Sync,
    checked: &mut u64,
) -> Vec<Sealed<T, C>> {
    *checked += piece.len() as u64;
    piece
        .into_par_iter()
        .map(|row| {
            let signed = Signed::<T>::decode(&row.body)
                .ok()
                .filter(|signed| trust.provider(signer(signed.claimed())).is_some_and(|key| holds(signed, key, &[])));
            Sealed { signed, body: Vec::new(), ..row }
        })
        .collect()
}

fn sealed<T, C>(columns: C, body: Vec<u8>) -> Sealed<T, C> {
    Sealed { columns, body, signed: None }
}

impl Cards {
    /// Reads all of it.
    pub fn read(
        connection: &Connection,
        trust: &Trust,
        (numbers, sold, changes): (&Numbers, &Sold, &Changes),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut cards = Self::default();
        cards.generations(connection, trust, (numbers, sold, changes), checked, findings)?;
        cards.all_loads(connection, trust, (numbers, sold), checked, findings)?;
        cards.all_reversals(connection, trust, checked, findings)?;
        cards.holders(connection, changes, findings)?;
        cards.all_checkpoints(connection, (trust, changes), checked, findings)?;
        Ok(cards)
    }

    fn generations(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        (numbers, sold, changes): (&Numbers, &Sold, &Changes),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let sql = "SELECT card, generation, number, body FROM generation ORDER BY card, generation";
        let row = |row: &Columns<'_, '_>| {
            let columns = (row.get::<Id>(0)?, row.u64(1)?, row.get::<Option<[u8; 32]>>(2)?.map(Hash));
            Ok(sealed::<CardCertificate, _>(columns, row.get(3)?))
        };
        pieces(connection, sql, row, |piece| {
            for Sealed { columns: (id, number, source), signed, .. } in
                verified(piece, trust, |body| body.signer, checked)
            {
                let about = || format!("generation {number} of card-{}", hex(&id));
                let nearest = || "its row of table generation".to_owned();
                let signed = signed.filter(|signed| {
                    let said = signed.claimed();
                    said.card.0 == id && said.generation == number
                });
                findings.expect(signed.is_some(), What::Card, || {
                    (about(), "no such certificate by the provider's key", "a certificate", nearest())
                });
                let Some(signed) = signed else { continue };
                let said = signed.claimed();
                let by_number = source.and_then(|hash| numbers.used.get(&hash).map(|one| (hash, one.face, one.terms)));
                let by_credit = sold.cards.get(&id).filter(|bought| number == 1 && bought.key == Some(said.key));
                let bought = by_number.or(by_credit.map(|one| (one.reference, one.face, one.terms)));
                // A card begins with a number or a purchase; later generations carry on.
                let begins = match (self.cards.get(&id), source.or(by_credit.map(|one| one.reference))) {
                    (None, Some(_)) => bought.is_some_and(|(_, face, terms)| {
                        face == said.remaining && face == said.face.minor() && terms == said.terms
                    }),
                    (Some(card), None) => changes.explain(&id, card.terms, said.terms),
                    _ => false,
                };
                findings.expect(begins, What::Card, || {
                    let ledger = format!("a certificate over {} at its start", said.remaining);
                    let evidence =
                        bought.map_or("no number or purchase for it".into(), |(_, face, _)| format!("{face} bought"));
                    (about(), evidence, ledger, nearest())
                });
                let generation = Generation {
                    number,
                    key: said.key,
                    seq: said.seq,
                    remaining: said.remaining,
                    last_load: said.last_load,
                    from: said.from.0,
                    given: said.given.unwrap_or(0),
                };
                let terms = numbers.terms.get(&said.terms);
                let book = (terms.map_or([0; 16], |terms| terms.issuer.0), said.face.unit().code());
                let card = self.cards.entry(id).or_insert_with(|| Card {
                    book,
                    terms: said.terms,
                    most: terms.map_or(0, |terms| terms.max_payment),
                    put: 0,
                    wallet: [0; 16],
                    generations: Vec::new(),
                    loads: 0,
                    sources: Vec::new(),
                });
                card.generations.push(generation);
                if let Some((reference, face, _)) = bought {
                    card.put += face;
                    card.sources.push(Source { reference, amount: face, at: said.from.0 });
                }
            }
            Ok(())
        })
    }

    fn all_loads(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        (numbers, sold): (&Numbers, &Sold),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let sql = "SELECT card, number, generation, amount, at, source, hash, body FROM load ORDER BY card, number";
        let row = |row: &Columns<'_, '_>| {
            let loaded = Loaded {
                card: row.get(0)?,
                number: row.u64(1)?,
                generation: row.u64(2)?,
                amount: row.u64(3)?,
                at: row.u64(4)?,
                bought: false,
            };
            let source = row.get::<Option<[u8; 32]>>(5)?.map(Hash);
            Ok(sealed::<Load, _>((loaded, source, Hash(row.get(6)?)), row.get(7)?))
        };
        pieces(connection, sql, row, |piece| {
            for Sealed { columns: (loaded, source, hash), signed, .. } in
                verified(piece, trust, |body| body.signer, checked)
            {
                let card = self.cards.get_mut(&loaded.card);
                let bought = source.and_then(|source| numbers.used.get(&source));
                let book = card.as_ref().map(|card| card.book);
                let fits = signed.as_ref().is_some_and(|signed| {
                    let said = signed.claimed();
                    let named = said.card.0 == loaded.card && said.number == loaded.number;
                    named
                        && said.generation == loaded.generation
                        && said.amount.minor() == loaded.amount
                        && signed.hash(&[]) == hash
                        && book.is_some_and(|book| book.1 == said.amount.unit().code())
                });
                let covered = source.is_none()
                    || bought.is_some_and(|bought| bought.face == loaded.amount && Some(bought.book) == book);
                findings.expect(fits && covered, What::Card, || {
                    let about = format!("load {} of card-{}", loaded.number, hex(&loaded.card));
                    let evidence = match (fits, bought) {
                        (false, _) => "no such load by the provider's key".into(),
                        (true, None) => "no number for it".into(),
                        (true, Some(bought)) => format!("a number of {}", bought.face),
                    };
                    let ledger = format!("a load of {}", loaded.amount);
                    (about, evidence, ledger, "its row of table load".into())
                });
                let Some(card) = card.filter(|_| fits) else { continue };
                card.loads = card.loads.max(loaded.number);
                let by_credit = sold.loads.get(&(loaded.card, loaded.number)).filter(|one| one.face == loaded.amount);
                let face = bought.map(|bought| bought.face).or(by_credit.map(|bought| bought.face));
                if let Some(amount) = face {
                    card.put += amount;
                    card.sources.push(Source { reference: hash, amount, at: loaded.at });
                }
                self.loads.insert(hash, Loaded { bought: source.is_some() || by_credit.is_some(), ..loaded });
            }
            Ok(())
        })
    }

    fn all_reversals(
        &mut self,
        connection: &Connection,
        trust: &Trust,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let sql = "SELECT card, check_hash, amount, hash, generation, body FROM reversal";
        let row = |row: &Columns<'_, '_>| {
            let reversed = Reversed { card: row.get(0)?, check: Hash(row.get(1)?), amount: row.u64(2)? };
            Ok(sealed::<Reversal, _>((reversed, Hash(row.get(3)?), row.u64(4)?), row.get(5)?))
        };
        pieces(connection, sql, row, |piece| {
            for Sealed { columns: (reversed, hash, generation), signed, .. } in
                verified(piece, trust, |body| body.signer, checked)
            {
                let signed = signed.filter(|signed| {
                    let said = signed.claimed();
                    let named = said.card.0 == reversed.card && said.check == reversed.check;
                    named
                        && said.generation == generation
                        && said.amount.minor() == reversed.amount
                        && signed.hash(&[]) == hash
                });
                findings.expect(signed.is_some(), What::Card, || {
                    let about = format!("the reversal of check {}", reversed.check);
                    let ledger = format!("a reversal of {}", reversed.amount);
                    (about, "no such reversal by the provider's key", ledger, "its row of table reversal".into())
                });
                if signed.is_some() {
                    self.reversals.insert(hash, reversed);
                }
            }
            Ok(())
        })
    }

    /// The newest checkpoint of each card is in the last answer to its wallet.
    fn all_checkpoints(
        &mut self,
        connection: &Connection,
        (trust, changes): (&Trust, &Changes),
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let givers: HashSet<(Id, Id)> = crate::given::givers(connection)?.into_iter().collect();
        let row = |row: &Columns<'_, '_>| Ok((row.get::<Id>(0)?, row.get::<Vec<u8>>(1)?));
        let sql = "SELECT device, reply FROM device WHERE reply IS NOT NULL ORDER BY device";
        pieces(connection, sql, row, |piece| {
            let mut carried: Vec<Sealed<CardCertificate, (Id, Id)>> = Vec::new();
            for (device, bytes) in piece {
                let reply = Signed::<UpdateReply>::decode(&bytes).ok();
                findings.expect(reply.is_some(), What::Card, || {
                    let about = format!("the last answer to dev-{}", hex(&device));
                    (about, "an answer that can be read", "another", "its row of table device".into())
                });
                let checkpoints = reply.iter().flat_map(|reply| &reply.claimed().checkpoints);
                carried.extend(checkpoints.map(|signed| sealed((device, signed.claimed().card.0), signed.encode())));
            }
            for Sealed { columns: (device, id), signed, .. } in verified(carried, trust, |body| body.signer, checked) {
                let signed: Option<Signed<CardCertificate>> = signed.filter(|signed| {
                    // Whoever has given it away since may have it in an answer from before.
                    let gave = givers.contains(&(id, device));
                    let card = self.cards.get(&id).filter(|card| card.wallet == device || gave);
                    let generation = card.and_then(|card| card.generation(signed.claimed().generation));
                    let said = signed.claimed();
                    let same = |one: &Generation| (one.key, one.given) == (said.key, said.given.unwrap_or(0));
                    generation.is_some_and(same)
                        && card.is_some_and(|card| changes.explain(&id, card.terms, said.terms))
                });
                findings.expect(signed.is_some(), What::Card, || {
                    let about = format!("the checkpoint of card-{}", hex(&id));
                    let nearest = format!("the last answer to dev-{}", hex(&device));
                    (about, "no such checkpoint by the provider's key", "one", nearest)
                });
                if let Some(signed) = signed {
                    let said = signed.claimed();
                    let (generation, seq) = (said.generation, said.seq);
                    let checkpoint = Checkpoint { generation, seq, remaining: said.remaining };
                    let newer = |known: &Checkpoint| (known.generation, known.seq) > (generation, seq);
                    if !self.checkpoints.get(&id).is_some_and(newer) {
                        self.checkpoints.insert(id, checkpoint);
                    }
                }
            }
            Ok(())
        })
    }

    /// Who holds each card, as recorded; its terms are those it was bought under, or those that it took up for them.
    fn holders(
        &mut self,
        connection: &Connection,
        changes: &Changes,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let mut without: HashSet<Id> = self.cards.keys().copied().collect();
        let mut unknown = None;
        each(connection, "SELECT card, wallet, terms FROM card ORDER BY card", [], |row| {
            let (id, wallet, terms) = (row.get::<Id>(0)?, row.get::<Id>(1)?, Handle(row.get(2)?));
            without.remove(&id);
            match self.cards.get_mut(&id) {
                Some(card) => {
                    card.wallet = wallet;
                    let expected = changes.terms_of(&id, card.terms);
                    findings.expect(expected == terms, What::Card, || {
                        let about = format!("the terms of card-{}", hex(&id));
                        let evidence = format!("{expected}, as bought and changed since");
                        (about, evidence, terms.to_string(), "its row of table card".to_owned())
                    });
                }
                None => unknown = unknown.or(Some(id)),
            }
            Ok(())
        })?;
        findings.expect(unknown.is_none(), What::Card, || {
            let about = format!("card-{}", unknown.map_or(String::new(), |id| hex(&id)));
            (about, "no certificate for it", "a card", "its row of table card".into())
        });
        findings.expect(without.is_empty(), What::Card, || {
            let about = format!("card-{}", without.iter().min().map_or(String::new(), |id| hex(id)));
            (about, "a certificate for it", "no such card", "table card".into())
        });
        Ok(())
    }
}

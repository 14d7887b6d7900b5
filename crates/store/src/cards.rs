//! Cards with their balances, generations, loads and reversals. Everything leads with the card.

use crate::row::{Columns, all, decoded, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::PublicKey;
use tegata_core::{CardId, Handle, Hash, IssuerId, PartyId, Time, Unit, WalletId};

/// A card as its wallet's log and its postings leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRow {
    /// The card.
    pub card: CardId,
    /// Whose.
    pub wallet: WalletId,
    /// Who owes what is on it.
    pub issuer: IssuerId,
    /// What it counts.
    pub unit: Unit,
    /// Its terms.
    pub terms: Handle,
    /// Its face value, in minor units.
    pub face: u64,
    /// Its last moment.
    pub until: Time,
    /// Its current generation.
    pub generation: u64,
    /// The last event of its wallet's log in this generation.
    pub seq: u64,
    /// That event's hash.
    pub head: Hash,
    /// What remained after it.
    pub remaining: u64,
    /// The last load taken up.
    pub last_load: u64,
    /// The last load issued.
    pub loads: u64,
    /// Balance: held.
    pub held: u64,
    /// Balance: in flight.
    pub in_flight: u64,
    /// Balance: covered by the guarantor.
    pub covered: u64,
    /// Of held: not on the card until release (R11).
    pub held_back: u64,
    /// When that is released.
    pub release_at: Option<Time>,
    /// Since when it is blocked.
    pub blocked: Option<Time>,
    /// Dead up to this generation; 0: none.
    pub dead_generation: u64,
    /// By the revocation list of this number.
    pub dead_list: u64,
}

/// One generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRow {
    /// The card.
    pub card: CardId,
    /// Which.
    pub generation: u64,
    /// Its key.
    pub key: PublicKey,
    /// When it began.
    pub at: Time,
    /// The number it was installed by.
    pub number: Option<Hash>,
    /// Its first certificate, signed.
    pub body: Vec<u8>,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadRow {
    /// The card.
    pub card: CardId,
    /// Its number.
    pub number: u64,
    /// The card's generation.
    pub generation: u64,
    /// How much, in minor units.
    pub amount: u64,
    /// When.
    pub at: Time,
    /// The number that it was bought by; absent: held-back value.
    pub source: Option<Hash>,
    /// The raise's hash.
    pub hash: Hash,
    /// The signed load.
    pub body: Vec<u8>,
}

/// One reversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReversalRow {
    /// The card.
    pub card: CardId,
    /// The check that it returns.
    pub check: Hash,
    /// The card's generation.
    pub generation: u64,
    /// How much, in minor units.
    pub amount: u64,
    /// When.
    pub at: Time,
    /// The raise's hash.
    pub hash: Hash,
    /// The signed reversal.
    pub body: Vec<u8>,
}

const CARD: &str = "card, wallet, issuer, unit, terms, face, until, generation, seq, head, remaining, last_load, loads, held, \
    in_flight, covered,  held_back, release_at, blocked, dead_generation, dead_list";

/// The hot ones as they are, so that no text is built per check.
const CARD_SELECT: &str = "SELECT card, wallet, issuer, unit, terms, face, until, generation, seq, head, remaining, last_load, \
    loads, held, in_flight, covered,  held_back, release_at, blocked, dead_generation, dead_list \
    FROM card WHERE card = ?1";
const CARD_PUT: &str = "INSERT INTO card (card, wallet, issuer, unit, terms, face, until, generation, seq, head, remaining, \
    last_load, loads, held, in_flight, covered,  held_back, release_at, blocked, dead_generation, dead_list) \
    VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21) \
    ON CONFLICT (card) DO UPDATE SET wallet = ?2, generation = ?8, seq = ?9, head = ?10, remaining = ?11, last_load = ?12, \
    loads = ?13, held = ?14, in_flight = ?15, covered = ?16, held_back = ?17, release_at = ?18, \
    blocked = ?19, dead_generation = ?20, dead_list = ?21";

fn card(row: &mut Columns<'_, '_>) -> rusqlite::Result<CardRow> {
    Ok(CardRow {
        card: CardId(row.get()?),
        wallet: tegata_core::DeviceId(row.get()?),
        issuer: PartyId(row.get()?),
        unit: row.unit()?,
        terms: Handle(row.get()?),
        face: row.u64()?,
        until: row.time()?,
        generation: row.u64()?,
        seq: row.u64()?,
        head: Hash(row.get()?),
        remaining: row.u64()?,
        last_load: row.u64()?,
        loads: row.u64()?,
        held: row.u64()?,
        in_flight: row.u64()?,
        covered: row.u64()?,
        held_back: row.u64()?,
        release_at: row.opt_u64()?.map(Time),
        blocked: row.opt_u64()?.map(Time),
        dead_generation: row.u64()?,
        dead_list: row.u64()?,
    })
}

fn generation(row: &mut Columns<'_, '_>) -> rusqlite::Result<GenerationRow> {
    Ok(GenerationRow {
        card: CardId(row.get()?),
        generation: row.u64()?,
        key: decoded(&row.get::<Vec<u8>>()?)?,
        at: row.time()?,
        number: row.get::<Option<_>>()?.map(Hash),
        body: row.get()?,
    })
}

fn load(row: &mut Columns<'_, '_>) -> rusqlite::Result<LoadRow> {
    Ok(LoadRow {
        card: CardId(row.get()?),
        number: row.u64()?,
        generation: row.u64()?,
        amount: row.u64()?,
        at: row.time()?,
        source: row.get::<Option<_>>()?.map(Hash),
        hash: Hash(row.get()?),
        body: row.get()?,
    })
}

impl Store {
    /// One card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn card(&self, id: CardId) -> Result<Option<CardRow>, StoreError> {
        one(self.sql(CARD_SELECT)?, [id.0], card)
    }
    /// The cards of a wallet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cards_of(&self, wallet: WalletId) -> Result<Vec<CardRow>, StoreError> {
        all(self.sql(&format!("SELECT {CARD} FROM card WHERE wallet = ?1 ORDER BY card"))?, [wallet.0], card)
    }
    /// Which cards a wallet has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn card_ids_of(&self, wallet: WalletId) -> Result<Vec<CardId>, StoreError> {
        all(self.sql("SELECT card FROM card WHERE wallet = ?1 ORDER BY card")?, [wallet.0], |row| row.get().map(CardId))
    }
    /// Cards with a dead generation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn dead_cards(&self) -> Result<Vec<(CardId, u64)>, StoreError> {
        let sql = "SELECT card, dead_generation FROM card WHERE dead_generation > 0 ORDER BY card";
        all(self.sql(sql)?, [], |row| Ok((CardId(row.get()?), row.u64()?)))
    }
    /// Writes a card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_card(&self, row: &CardRow) -> Result<(), StoreError> {
        self.sql(CARD_PUT)?.execute(params![
            row.card.0,
            row.wallet.0,
            row.issuer.0,
            row.unit.code(),
            row.terms.0,
            n(row.face),
            n(row.until.0),
            n(row.generation),
            n(row.seq),
            row.head.0,
            n(row.remaining),
            n(row.last_load),
            n(row.loads),
            n(row.held),
            n(row.in_flight),
            n(row.covered),
            n(row.held_back),
            opt(row.release_at.map(|time| time.0)),
            opt(row.blocked.map(|time| time.0)),
            n(row.dead_generation),
            n(row.dead_list),
        ])?;
        Ok(())
    }
    /// A ticket has other terms from now on, and another last moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_card_terms(&self, id: CardId, terms: Handle, until: Time) -> Result<(), StoreError> {
        let sql = "UPDATE card SET terms = ?2, until = ?3 WHERE card = ?1";
        self.sql(sql)?.execute(params![id.0, terms.0, n(until.0)])?;
        Ok(())
    }
    /// Every generation of every card, for the directory of keys.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn card_keys(&self) -> Result<Vec<(CardId, u64, PublicKey)>, StoreError> {
        all(self.sql("SELECT card, generation, key FROM generation")?, [], |row| {
            Ok((CardId(row.get()?), row.u64()?, decoded(&row.get::<Vec<u8>>()?)?))
        })
    }
    /// One generation of a card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn generation(&self, id: CardId, number: u64) -> Result<Option<GenerationRow>, StoreError> {
        let sql = "SELECT card, generation, key, at, number, body FROM generation WHERE card = ?1 AND generation = ?2";
        one(self.sql(sql)?, params![id.0, n(number)], generation)
    }
    /// Adds a generation.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn put_generation(&self, row: &GenerationRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO generation (card, generation, key, at, number, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let number = row.number.map(|hash| hash.0);
        self.sql(sql)?.execute(params![
            row.card.0,
            n(row.generation),
            row.key.to_bytes(),
            n(row.at.0),
            number,
            row.body
        ])?;
        Ok(())
    }
    /// One load of a card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self, id: CardId, number: u64) -> Result<Option<LoadRow>, StoreError> {
        let sql = "SELECT card, number, generation, amount, at, source, hash, body
            FROM load WHERE card = ?1 AND number = ?2";
        one(self.sql(sql)?, params![id.0, n(number)], load)
    }
    /// A card's loads after a number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn loads_after(&self, id: CardId, number: u64) -> Result<Vec<LoadRow>, StoreError> {
        let sql = "SELECT card, number, generation, amount, at, source, hash, body
            FROM load WHERE card = ?1 AND number > ?2 ORDER BY number";
        all(self.sql(sql)?, params![id.0, n(number)], load)
    }
    /// Adds a load.
    ///
    /// # Errors
    /// [`StoreError::Twice`] and others.
    pub fn put_load(&self, row: &LoadRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO load (card, number, generation, amount, at, source, hash, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.sql(sql)?.execute(params![
            row.card.0,
            n(row.number),
            n(row.generation),
            n(row.amount),
            n(row.at.0),
            row.source.map(|hash| hash.0),
            row.hash.0,
            row.body,
        ])?;
        Ok(())
    }
    /// The reversal of a check.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn reversal(&self, id: CardId, check: &Hash) -> Result<Option<ReversalRow>, StoreError> {
        let sql = "SELECT card, check_hash, generation, amount, at, hash, body
            FROM reversal WHERE card = ?1 AND check_hash = ?2";
        one(self.sql(sql)?, params![id.0, check.0], |row| {
            Ok(ReversalRow {
                card: CardId(row.get()?),
                check: Hash(row.get()?),
                generation: row.u64()?,
                amount: row.u64()?,
                at: row.time()?,
                hash: Hash(row.get()?),
                body: row.get()?,
            })
        })
    }
    /// Adds a reversal; the one that its wallet has taken up stands for one that was signed anew (R15).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_reversal(&self, row: &ReversalRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO reversal (card, check_hash, generation, amount, at, hash, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (generation, amount) = (n(row.generation), n(row.amount));
        self.sql(sql)?.execute(params![
            row.card.0,
            row.check.0,
            generation,
            amount,
            n(row.at.0),
            row.hash.0,
            row.body
        ])?;
        Ok(())
    }
}

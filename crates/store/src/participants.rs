//! Participants and the tokens by which they join (R25).

use crate::row::{Columns, all, decoded, n, one, opt};
use crate::{Store, StoreError};
use rusqlite::params;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::PublicKey;
use tegata_core::{Hash, PartyId, Time};

/// A party or device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantRow {
    /// Who.
    pub subject: Subject,
    /// In which role.
    pub role: Role,
    /// A device's party.
    pub owner: Option<PartyId>,
    /// What people call it.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// Its certificate's end.
    pub valid_until: Time,
    /// When it joined.
    pub joined: Time,
    /// When it was revoked.
    pub revoked: Option<Time>,
    /// The channel that its last HPKE envelope left.
    pub channel: Option<[u8; 32]>,
    /// Its newest certificate, signed.
    pub body: Vec<u8>,
}

/// A token, by the hash of its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Which role it allows.
    pub role: Role,
    /// The party that a device will belong to.
    pub owner: Option<PartyId>,
    /// The name that the operator gave; empty: the joiner's.
    pub name: String,
    /// Until before when it can be used.
    pub valid_until: Time,
    /// Where a gate that joins with it shall stand: the promoter's signed invitation.
    pub place: Option<Vec<u8>>,
    /// Hash of the request that used it, and the signed reply.
    pub used: Option<(Hash, Vec<u8>)>,
}

const TOKEN: &str = "role, owner, name, valid_until, place, request, reply";

fn token(row: &mut Columns<'_, '_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        role: row.code(Role::ALL, Role::code)?,
        owner: row.get::<Option<_>>()?.map(PartyId),
        name: row.get()?,
        valid_until: row.time()?,
        place: row.get()?,
        used: row.get::<Option<_>>()?.map(Hash).zip(row.get()?),
    })
}

const COLUMNS: &str = "subject, role, owner, name, key, valid_until, joined, revoked, channel, body";

fn participant(row: &mut Columns<'_, '_>) -> rusqlite::Result<ParticipantRow> {
    Ok(ParticipantRow {
        subject: Subject(row.get()?),
        role: row.code(Role::ALL, Role::code)?,
        owner: row.get::<Option<_>>()?.map(PartyId),
        name: row.get()?,
        key: decoded(&row.get::<Vec<u8>>()?)?,
        valid_until: row.time()?,
        joined: row.time()?,
        revoked: row.opt_u64()?.map(Time),
        channel: row.get()?,
        body: row.get()?,
    })
}

impl Store {
    /// One participant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn participant(&self, subject: Subject) -> Result<Option<ParticipantRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM participant WHERE subject = ?1");
        one(self.sql(&sql)?, [subject.0], participant)
    }
    /// Every participant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn participants(&self) -> Result<Vec<ParticipantRow>, StoreError> {
        all(self.sql(&format!("SELECT {COLUMNS} FROM participant ORDER BY subject"))?, [], participant)
    }
    /// Writes a participant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_participant(&self, row: &ParticipantRow) -> Result<(), StoreError> {
        let sql = format!("INSERT OR REPLACE INTO participant ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
        self.sql(&sql)?.execute(params![
            row.subject.0,
            n(row.role.code()),
            row.owner.map(|owner| owner.0),
            row.name,
            row.key.to_bytes(),
            n(row.valid_until.0),
            n(row.joined.0),
            opt(row.revoked.map(|time| time.0)),
            row.channel,
            row.body,
        ])?;
        Ok(())
    }
    /// Remembers a participant's channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_channel(&self, subject: Subject, channel: &[u8; 32]) -> Result<(), StoreError> {
        let sql = "UPDATE participant SET channel = ?2 WHERE subject = ?1";
        self.sql(sql)?.execute(params![subject.0, channel])?;
        Ok(())
    }
    /// Revokes a participant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_revoked(&self, subject: Subject, at: Time) -> Result<(), StoreError> {
        let sql = "UPDATE participant SET revoked = ?2 WHERE subject = ?1 AND revoked IS NULL";
        self.sql(sql)?.execute(params![subject.0, n(at.0)])?;
        Ok(())
    }
    /// A token, by the hash of its secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn token(&self, secret: &Hash) -> Result<Option<TokenRow>, StoreError> {
        one(self.sql(&format!("SELECT {TOKEN} FROM token WHERE secret = ?1"))?, [secret.0], token)
    }
    /// The tokens of a party that nobody has used yet and that say where who joins shall stand.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn invitations(&self, owner: PartyId) -> Result<Vec<TokenRow>, StoreError> {
        let sql = format!(
            "SELECT {TOKEN} FROM token WHERE owner = ?1 AND place IS NOT NULL AND request IS NULL
            ORDER BY valid_until, secret"
        );
        all(self.sql(&sql)?, [owner.0], token)
    }
    /// Adds a token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_token(&self, secret: &Hash, row: &TokenRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO token (secret, role, owner, name, valid_until, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let owner = row.owner.map(|owner| owner.0);
        let until = n(row.valid_until.0);
        self.sql(sql)?.execute(params![secret.0, n(row.role.code()), owner, row.name, until, row.place])?;
        Ok(())
    }
    /// Marks a token as used by this request, answered by these bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn use_token(&self, secret: &Hash, request: &Hash, reply: &[u8]) -> Result<(), StoreError> {
        let sql = "UPDATE token SET request = ?2, reply = ?3 WHERE secret = ?1";
        self.sql(sql)?.execute(params![secret.0, request.0, reply])?;
        Ok(())
    }
}

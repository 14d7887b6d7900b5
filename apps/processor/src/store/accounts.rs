//! Who the processor is, which providers may ask it, and the clearing accounts; the vault of card numbers.

use super::{Store, StoreError, n, one, u};
use rusqlite::{OptionalExtension, params};
use tegata_core::talk::credit::MerchantDetails;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::PublicKey;
use tegata_core::{AccountId, PartyId, Time, Unit};

/// A card as it lies in the vault: nonce and cipher text.
pub(crate) type Vaulted = ([u8; 12], Vec<u8>);

/// Who the processor is: its name and public keys, to be compared with the keys that were loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) party: PartyId,
    pub(crate) name: String,
    pub(crate) key: Vec<u8>,
    pub(crate) sealing: [u8; 32],
    pub(crate) acquirer: String,
}

/// A provider's key that may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderRow {
    pub(crate) party: PartyId,
    pub(crate) key: PublicKey,
    pub(crate) name: String,
    pub(crate) admitted: Time,
    pub(crate) revoked: Option<Time>,
}

/// A clearing account: a merchant's has details, a user's a card in the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) provider: PartyId,
    pub(crate) account: AccountId,
    pub(crate) opened: Time,
    pub(crate) merchant: Option<MerchantDetails>,
}

/// A merchant clearing account: provider, code, name, unit, minor units.
pub(crate) type Balance = (PartyId, String, String, Unit, i64);

impl Store {
    pub(crate) fn named(&self) -> Result<Option<Named>, StoreError> {
        let mut sql = self.sql("SELECT party, name, key, sealing, acquirer FROM processor")?;
        one(sql.query_row([], |row| {
            Ok(Named {
                party: PartyId(row.get(0)?),
                name: row.get(1)?,
                key: row.get(2)?,
                sealing: row.get(3)?,
                acquirer: row.get(4)?,
            })
        }))
    }
    pub(crate) fn put_named(&self, named: &Named) -> Result<(), StoreError> {
        let mut sql = self.sql("INSERT INTO processor VALUES (1, ?1, ?2, ?3, ?4, ?5, 0, 0)")?;
        sql.execute(params![named.party.0, named.name, named.key, named.sealing, named.acquirer])?;
        Ok(())
    }
    /// The next trace number: 1 to 899999, then again from 1. Higher ones are for messages about the line.
    pub(crate) fn next_stan(&self) -> Result<u32, StoreError> {
        let mut sql = self.sql("UPDATE processor SET stan = stan % 899999 + 1 RETURNING stan")?;
        Ok(sql.query_row([], |row| row.get(0))?)
    }
    /// The next authorization's number.
    pub(crate) fn next_sequence(&self) -> Result<u64, StoreError> {
        let mut sql = self.sql("UPDATE processor SET sequence = sequence + 1 RETURNING sequence")?;
        Ok(sql.query_row([], |row| u(row, 0))?)
    }

    pub(crate) fn providers(&self) -> Result<Vec<ProviderRow>, StoreError> {
        let mut sql = self.sql("SELECT party, key, name, admitted, revoked FROM provider")?;
        let rows = sql.query_map([], |row| {
            let key = PublicKey::from_bytes(&row.get::<_, Vec<u8>>(1)?).map_err(|_| rusqlite::Error::InvalidQuery)?;
            Ok(ProviderRow {
                party: PartyId(row.get(0)?),
                key,
                name: row.get(2)?,
                admitted: Time(u(row, 3)?),
                revoked: row.get::<_, Option<i64>>(4)?.map(|at| Time(at.cast_unsigned())),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    pub(crate) fn put_provider(&self, row: &ProviderRow) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO provider VALUES (?1, ?2, ?3, ?4, ?5)";
        let revoked = row.revoked.map(|at| n(at.0));
        self.sql(sql)?.execute(params![row.party.0, row.key.to_bytes(), row.name, n(row.admitted.0), revoked])?;
        Ok(())
    }

    pub(crate) fn account(&self, provider: PartyId, account: AccountId) -> Result<Option<AccountRow>, StoreError> {
        let mut sql =
            self.sql("SELECT opened, code, category, name FROM account WHERE provider = ?1 AND account = ?2")?;
        one(sql.query_row(params![provider.0, account.0], |row| {
            let merchant = match row.get::<_, Option<String>>(1)? {
                None => None,
                Some(code) => Some(MerchantDetails {
                    code,
                    category: u(row, 2)?,
                    name: row.get(3)?,
                    extensions: Default::default(),
                }),
            };
            Ok(AccountRow { provider, account, opened: Time(u(row, 0)?), merchant })
        }))
    }
    pub(crate) fn put_account(&self, row: &AccountRow) -> Result<(), StoreError> {
        let mut sql = self.sql("INSERT INTO account VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
        let merchant = row.merchant.as_ref();
        sql.execute(params![
            row.provider.0,
            row.account.0,
            n(row.opened.0),
            merchant.map(|details| &details.code),
            merchant.map(|details| n(details.category)),
            merchant.map(|details| &details.name),
        ])?;
        Ok(())
    }

    /// What was charged for each merchant, less what was paid back: provider, code, name, unit, minor units.
    pub(crate) fn balances(&self) -> Result<Vec<Balance>, StoreError> {
        let mut sql = self.sql(
            "SELECT posting.provider, code, name, unit, sum(amount) FROM posting JOIN account \
             ON account.provider = posting.provider AND account.account = merchant \
             GROUP BY posting.provider, merchant, unit ORDER BY posting.provider, code, unit",
        )?;
        let rows = sql.query_map([], |row| {
            let unit = Unit::from_code(row.get(3)?).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((PartyId(row.get(0)?), row.get(1)?, row.get(2)?, unit, row.get(4)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
    /// A card as it lies in the vault: nonce and cipher text.
    pub(crate) fn vaulted(&self, account: AccountId) -> Result<Option<Vaulted>, StoreError> {
        let mut sql = self.sql("SELECT nonce, sealed FROM vault WHERE account = ?1")?;
        Ok(sql.query_row(params![account.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }
    pub(crate) fn put_vaulted(&self, account: AccountId, nonce: [u8; 12], sealed: &[u8]) -> Result<(), StoreError> {
        self.sql("INSERT INTO vault VALUES (?1, ?2, ?3)")?.execute(params![account.0, nonce, sealed])?;
        Ok(())
    }
}

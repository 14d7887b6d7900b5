//! Whom to believe: root, operational keys, participants. Everything else is checked under a key found here.

use crate::AuditError;
use crate::difference::{Findings, What};
use crate::reading::{Id, each, hex, pieces};
use rayon::prelude::*;
use rusqlite::Connection;
use std::collections::HashMap;
use tegata_core::talk::cards::Activate;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::{Certificate, Role};
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{Hash, PartyId};
use tegata_crypto_native::RecordVerifier;

/// A participant whose certificate holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub role: Role,
    pub key: PublicKey,
    pub owner: Option<Id>,
    pub revoked: bool,
}

/// Keys by who holds them.
#[derive(Debug)]
pub(crate) struct Trust {
    /// Who the provider is: made from its root key.
    pub party: PartyId,
    operational: HashMap<u64, PublicKey>,
    members: HashMap<Id, Member>,
}

/// Whether the signature holds, by the set that the provider accepts too (R3).
pub(crate) fn holds<T: Message + Clone>(signed: &Signed<T>, key: &PublicKey, context: &[u8]) -> bool {
    signed.clone().verify(key, context, &RecordVerifier).is_ok()
}

impl Trust {
    /// Reads keys and certificates from the root down.
    pub fn read(
        connection: &Connection,
        pinned: Option<&PublicKey>,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<Self, AuditError> {
        let mut provider = None;
        each(connection, "SELECT root FROM provider", [], |row| {
            provider = Some(row.get::<Vec<u8>>(0)?);
            Ok(())
        })?;
        let root = provider.ok_or(AuditError::NoProvider)?;
        let stored = PublicKey::from_bytes(&root).ok();
        findings.expect(stored.is_some() && pinned.is_none_or(|pin| Some(*pin) == stored), What::Certificate, || {
            let said = pinned.map_or("a root key".to_owned(), |pin| format!("{pin:?}"));
            ("the provider's root key".to_owned(), said, hex(&root), "the row of table provider".to_owned())
        });
        let mut party = [0; 16];
        party.copy_from_slice(&Hash::of(&root).0[..16]);
        let mut trust = Self { party: PartyId(party), operational: HashMap::new(), members: HashMap::new() };
        if let Some(root) = pinned.copied().or(stored) {
            trust.operational_keys(connection, &root, checked, findings)?;
        }
        trust.participants(connection, checked, findings)?;
        Ok(trust)
    }

    fn operational_keys(
        &mut self,
        connection: &Connection,
        root: &PublicKey,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        each(connection, "SELECT number, body FROM operational_key ORDER BY number", [], |row| {
            let (number, body) = (row.u64(0)?, row.get::<Vec<u8>>(1)?);
            *checked += 1;
            let key = Signed::<Certificate>::decode(&body).ok().and_then(|signed| {
                let said = signed.claimed();
                let fits = said.role == Role::Provider && said.signer == 0 && said.number == Some(number);
                (fits && holds(&signed, root, &[])).then_some(said.key)
            });
            findings.expect(key.is_some(), What::Certificate, || {
                let about = format!("the provider's operational key {number}");
                (about, "no certificate by the root", "a key", format!("row {number} of table operational_key"))
            });
            if let Some(key) = key {
                self.operational.insert(number, key);
            }
            Ok(())
        })
    }

    fn participants(
        &mut self,
        connection: &Connection,
        checked: &mut u64,
        findings: &mut Findings,
    ) -> Result<(), AuditError> {
        let sql = "SELECT subject, role, owner, key, revoked, body FROM participant ORDER BY subject";
        let row = |row: &crate::reading::Columns<'_, '_>| {
            let said = (row.get::<Id>(0)?, row.u64(1)?, row.get::<Option<Id>>(2)?, row.get::<Vec<u8>>(3)?);
            Ok((said, row.opt_u64(4)?.is_some(), row.get::<Vec<u8>>(5)?))
        };
        let (operational, members) = (&self.operational, &mut self.members);
        pieces(connection, sql, row, |piece| {
            *checked += piece.len() as u64;
            let read: Vec<_> = piece
                .into_par_iter()
                .map(|((subject, role, owner, key), revoked, body)| {
                    let member = Signed::<Certificate>::decode(&body).ok().and_then(|signed| {
                        let said = signed.claimed();
                        let same = said.subject.0 == subject
                            && said.role.code() == role
                            && said.owner.map(|owner| owner.0) == owner
                            && said.key.to_bytes() == key;
                        let authority = operational.get(&said.signer)?;
                        (same && holds(&signed, authority, &[])).then_some(Member {
                            role: said.role,
                            key: said.key,
                            owner,
                            revoked,
                        })
                    });
                    (subject, member)
                })
                .collect();
            for (subject, member) in read {
                findings.expect(member.is_some(), What::Certificate, || {
                    let about = format!("participant {}", hex(&subject));
                    let ledger = "a key, role or owner that the certificate does not have";
                    (about, "no such certificate by the provider's key", ledger, "its row of table participant".into())
                });
                if let Some(member) = member {
                    members.insert(subject, member);
                }
            }
            Ok(())
        })
    }

    /// The operational key of this number.
    pub fn provider(&self, number: u64) -> Option<&PublicKey> {
        self.operational.get(&number)
    }
    /// Whether one of the provider's operational keys signed this, in no context.
    pub fn signed_by_provider<T: Message + Clone>(&self, signed: &Signed<T>) -> bool {
        self.operational.values().any(|key| holds(signed, key, &[]))
    }
    /// A participant.
    pub fn member(&self, id: &Id) -> Option<&Member> {
        self.members.get(id)
    }
    /// The key of a participant in this role.
    pub fn key(&self, id: &Id, role: Role) -> Option<&PublicKey> {
        self.members.get(id).filter(|member| member.role == role).map(|member| &member.key)
    }
    /// Whom a terminal's or switch's claims are owed to.
    pub fn merchant(&self, terminal: &Id) -> Option<Id> {
        self.members.get(terminal).filter(|member| matches!(member.role, Role::Terminal | Role::Switch))?.owner
    }
    /// The key that an activation must be signed with: the till's that it names, else the issuer's.
    pub fn activator(&self, body: &Activate) -> Option<&PublicKey> {
        match body.till {
            Some(till) => {
                let till = self.members.get(&till.0)?;
                (till.role == Role::Terminal && till.owner == Some(body.issuer.0)).then_some(&till.key)
            }
            None => self.key(&body.issuer.0, Role::Issuer),
        }
    }
}

//! What is looked up before the database is asked: participants, card keys, terms. Filled at the start, kept up by
//! what is committed, read by all cores while they open and verify.

use crate::ProviderError;
use std::collections::HashMap;
use tegata_core::card::Terms;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::signed::PublicKey;
use tegata_core::{CardId, Handle, PartyId, Time};
use tegata_store::{ParticipantRow, Store};

/// What is known of a participant.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) role: Role,
    pub(crate) owner: Option<PartyId>,
    pub(crate) key: PublicKey,
    pub(crate) valid_until: Time,
    pub(crate) revoked: Option<Time>,
    pub(crate) channel: Option<[u8; 32]>,
}

impl From<&ParticipantRow> for Known {
    fn from(row: &ParticipantRow) -> Self {
        Self {
            role: row.role,
            owner: row.owner,
            key: row.key,
            valid_until: row.valid_until,
            revoked: row.revoked,
            channel: row.channel,
        }
    }
}

/// The directory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) participants: HashMap<Subject, Known>,
    pub(crate) card_keys: HashMap<(CardId, u64), PublicKey>,
    pub(crate) terms: HashMap<Handle, Terms>,
}

/// What a transaction adds to the directory once it is committed.
#[derive(Debug)]
pub(crate) enum Learned {
    Participant(Subject, Known),
    Channel(Subject, [u8; 32]),
    Revoked(Subject, Time),
    CardKey(CardId, u64, PublicKey),
    Terms(Handle, Box<Terms>),
}

impl Directory {
    pub(crate) fn load(store: &Store) -> Result<Self, ProviderError> {
        let participants = store.participants()?.iter().map(|row| (row.subject, Known::from(row))).collect();
        let keys = store.card_keys()?.into_iter().map(|(card, generation, key)| ((card, generation), key));
        let mut terms = HashMap::new();
        for body in store.all_terms()? {
            let read = Terms::from_bytes(&body).map_err(|_| tegata_store::StoreError::Damaged)?;
            terms.insert(read.handle(), read);
        }
        Ok(Self { participants, card_keys: keys.collect(), terms })
    }
    pub(crate) fn learn(&mut self, learned: Learned) {
        match learned {
            Learned::Participant(subject, known) => {
                self.participants.insert(subject, known);
            }
            Learned::Channel(subject, channel) => {
                if let Some(known) = self.participants.get_mut(&subject) {
                    known.channel = Some(channel);
                }
            }
            Learned::Revoked(subject, at) => {
                if let Some(known) = self.participants.get_mut(&subject) {
                    known.revoked = known.revoked.or(Some(at));
                }
            }
            Learned::CardKey(card, generation, key) => {
                self.card_keys.insert((card, generation), key);
            }
            Learned::Terms(handle, terms) => {
                self.terms.insert(handle, *terms);
            }
        }
    }
    /// L + U of R11, the longest of all terms, in seconds.
    pub(crate) fn lateness(&self) -> u64 {
        self.terms.values().map(|terms| terms.list_age.saturating_add(terms.record_age)).max().unwrap_or(0)
    }
    /// The shortest L of all terms, in seconds.
    pub(crate) fn list_age(&self) -> u64 {
        self.terms.values().map(|terms| terms.list_age).min().unwrap_or(Time::DAY)
    }
}

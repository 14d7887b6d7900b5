//! One transaction: what its handlers share, and what all of them may do.

use crate::ProviderError;
use crate::books::Books;
use crate::directory::{Known, Learned};
use crate::join::CERTIFICATE;
use crate::shared::Shared;
use std::collections::BTreeMap;
use tegata_core::card::{CardCertificate, CardKind, Raise, Terms};
use tegata_core::talk::report::{ProviderRefusal, Refused};
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::{Certificate, DeadCard, RevocationList, Subject};
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{Amount, CardId, DeviceId, Handle, Hash, PartyId, Time};
use tegata_crypto_native::primitive::mac;
use tegata_store::{
    AccountRow, CardRow, ContractRow, CreditRow, DeviceRow, ExceptionRow, ProviderRow, PurchaseRow, Store, StoreError,
};

/// Why a request was not done: refused, or the provider itself failed.
pub(crate) enum Failure {
    Refused(ProviderRefusal, Option<u64>),
    /// Refused, in words of its own.
    Told(ProviderRefusal, String),
    Provider(ProviderError),
}

impl Failure {
    /// Where nobody asked, a refusal means that the thing is not known.
    pub(crate) fn into_error(self) -> ProviderError {
        match self {
            Self::Refused(..) | Self::Told(..) => ProviderError::Unknown,
            Self::Provider(error) => error,
        }
    }
}

impl<E: Into<ProviderError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Provider(error.into())
    }
}

impl From<ProviderRefusal> for Failure {
    fn from(why: ProviderRefusal) -> Self {
        Self::Refused(why, None)
    }
}

/// One transaction at work.
pub(crate) struct Desk<'a> {
    pub(crate) store: &'a Store,
    pub(crate) shared: &'a Shared,
    pub(crate) now: Time,
    entropy: [u8; 32],
    drawn: u64,
    pub(crate) provider: ProviderRow,
    pub(crate) books: Books,
    pub(crate) devices: BTreeMap<DeviceId, DeviceRow>,
    pub(crate) learned: Vec<Learned>,
    /// Contracts of payees that were asked for.
    pub(crate) contracts: BTreeMap<PartyId, Vec<ContractRow>>,
    /// Something was put down for the processor.
    pub(crate) asking: bool,
    /// A change has tickets whose turn has come.
    pub(crate) changing: bool,
    /// Whoever asks waits until it is known: an answer that says less need not be signed.
    pub(crate) patient: bool,
    /// What the answer at hand waits for: the offer or reservation that is not known yet.
    pub(crate) waits_for: Option<Hash>,
    /// The offers and reservations that went on in this transaction.
    pub(crate) moved: Vec<Hash>,
    as_read: ProviderRow,
    list_changed: bool,
    /// The newest list, once it was read.
    newest: Option<Option<Signed<RevocationList>>>,
}

impl<'a> Desk<'a> {
    pub(crate) fn new(
        store: &'a Store,
        shared: &'a Shared,
        now: Time,
        entropy: [u8; 32],
    ) -> Result<Self, ProviderError> {
        let provider = store.provider()?.ok_or(StoreError::Damaged)?;
        Ok(Self {
            store,
            shared,
            now,
            entropy,
            drawn: 0,
            as_read: provider.clone(),
            provider,
            books: Books::default(),
            devices: BTreeMap::new(),
            learned: Vec::new(),
            contracts: BTreeMap::new(),
            asking: false,
            changing: false,
            patient: false,
            waits_for: None,
            moved: Vec::new(),
            list_changed: false,
            newest: None,
        })
    }
    /// 32 bytes that nothing else gets.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        mac(&self.entropy, "tegata provider draw v1", &[&self.drawn.to_be_bytes()])
    }
    /// A new id's bytes.
    pub(crate) fn draw_id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id.copy_from_slice(&self.draw()[..16]);
        id
    }
    /// Signs an answer or certificate with the operational key of now.
    pub(crate) fn sign<T: Message>(&self, context: &[u8], body: impl FnOnce(u64) -> T) -> Signed<T> {
        self.shared.keys().sign(self.now, context, body)
    }
    /// Until when a participant's certificate that is signed now holds: no longer than the key that signs it.
    pub(crate) fn certified_until(&self) -> Time {
        self.now.after(CERTIFICATE).min(self.shared.keys().signing(self.now).until)
    }
    /// Signs an answer to the request of this hash.
    pub(crate) fn answer<T: Message>(&self, request: &Hash, body: impl FnOnce(u64) -> T) -> Vec<u8> {
        self.sign(&request.to_bytes(), body).encode()
    }
    /// The same for a device that may know only older keys than the one of now.
    pub(crate) fn answer_known<T: Message>(&self, request: &Hash, body: impl FnOnce(u64) -> T) -> Vec<u8> {
        self.shared.keys().sign_known(self.now, &request.to_bytes(), body).encode()
    }
    /// Signs a refusal.
    pub(crate) fn refuse(&self, request: &Hash, why: ProviderRefusal, retry_after: Option<u64>) -> Vec<u8> {
        refusal(self.shared, self.now, request, why, retry_after)
    }
    /// Signs a refusal in words of its own.
    pub(crate) fn refuse_told(&self, request: &Hash, why: ProviderRefusal, text: String) -> Vec<u8> {
        let (text, retry_after) = (Some(text), None);
        self.answer(request, |signer| Refused { why, text, retry_after, signer, extensions: Default::default() })
    }
    /// Terms by handle.
    pub(crate) fn terms(&self, handle: Handle) -> Result<Terms, ProviderError> {
        if let Some(terms) = self.shared.directory().terms.get(&handle) {
            return Ok(terms.clone());
        }
        let body = self.store.terms(handle)?.ok_or(StoreError::Damaged)?;
        Ok(Terms::from_bytes(&body).map_err(|_| StoreError::Damaged)?)
    }
    /// A card as it stands in this transaction.
    pub(crate) fn card(&mut self, id: CardId) -> Result<Option<&mut CardRow>, ProviderError> {
        self.books.card(self.store, id)
    }
    /// A card that must be there.
    pub(crate) fn known_card(&mut self, id: CardId) -> Result<&mut CardRow, ProviderError> {
        self.books.card(self.store, id)?.ok_or(ProviderError::Store(StoreError::Damaged))
    }
    /// A device as it stands in this transaction.
    pub(crate) fn device(&mut self, id: DeviceId) -> Result<&mut DeviceRow, ProviderError> {
        if !self.devices.contains_key(&id) {
            let row = self.store.device(id)?.ok_or(StoreError::Damaged)?;
            self.devices.insert(id, row);
        }
        self.devices.get_mut(&id).ok_or(ProviderError::Store(StoreError::Damaged))
    }
    /// Writes a payment by credit; whoever waits for it can be told.
    pub(crate) fn keep_credit(&mut self, row: &CreditRow) -> Result<(), StoreError> {
        self.moved.push(row.offer);
        self.store.put_credit(row)
    }
    /// Writes a clearing account; whoever waits for it can be told.
    pub(crate) fn keep_account(&mut self, row: &AccountRow) -> Result<(), StoreError> {
        self.moved.push(Hash::of(&row.subject));
        self.store.put_clearing_account(row)
    }
    /// Writes a purchase; whoever waits for it can be told.
    pub(crate) fn keep_purchase(&mut self, row: &PurchaseRow) -> Result<(), StoreError> {
        self.moved.push(named(row));
        self.store.put_purchase(row)
    }
    /// Gives a device its next command.
    pub(crate) fn command(&mut self, device: DeviceId, command: &Command) -> Result<(), ProviderError> {
        let body = command.to_bytes();
        let (store, now) = (self.store, self.now);
        let row = self.device(device)?;
        row.commands += 1;
        row.commands_head = row.commands_head.chain(&body);
        Ok(store.put_command(row, now, &body)?)
    }
    /// Tells a card's wallet to keep a raise; a void comes with its terminal's certificate.
    pub(crate) fn raise(&mut self, wallet: DeviceId, card: CardId, raise: Raise) -> Result<(), ProviderError> {
        let renewed = match &raise {
            Raise::Void(terminal, _) => self.certificate_of((*terminal).into())?,
            _ => None,
        };
        let command = Command { card: Some(card), raise: Some(raise), renewed, ..Command::new(CommandKind::Raise) };
        self.command(wallet, &command)
    }
    fn certificate_of(&self, subject: Subject) -> Result<Option<Signed<Certificate>>, ProviderError> {
        let row = self.store.participant(subject)?;
        Ok(row.and_then(|row| Signed::decode(&row.body).ok()))
    }
    /// What is known of a participant.
    pub(crate) fn known(&self, subject: Subject) -> Option<Known> {
        self.shared.directory().participants.get(&subject).cloned()
    }
    /// Shows something to a person.
    pub(crate) fn except(&mut self, row: &ExceptionRow) -> Result<(), ProviderError> {
        Ok(self.store.put_exception(row)?)
    }
    /// Signs a card's certificate with its checkpoint as it stands.
    pub(crate) fn certify(
        &self,
        card: &CardRow,
        terms: &Terms,
        key: PublicKey,
    ) -> Result<Signed<CardCertificate>, ProviderError> {
        let epoch = self.provider.epoch;
        let now = self.now;
        let face = Amount::new(card.unit, card.face).ok_or(StoreError::Damaged)?;
        let ticket = match terms.kind {
            CardKind::Ticket => self.store.ticket(card.card)?,
            _ => None,
        };
        let given = match terms.kind {
            CardKind::Ticket => self.store.given(card.card, card.generation)?,
            _ => 0,
        };
        Ok(self.sign(&[], |signer| CardCertificate {
            card: card.card,
            kind: terms.kind,
            terms: card.terms,
            face,
            key,
            generation: card.generation,
            from: now,
            until: card.until,
            epoch,
            signer,
            seq: card.seq,
            remaining: card.remaining,
            last_load: card.last_load,
            last_received: None,
            offline_limit: terms.offline_limit,
            due: now.after(terms.due_after),
            seat: ticket.as_ref().and_then(|ticket| ticket.seat),
            used: ticket.map(|ticket| ticket.used).filter(|used| *used > 0),
            given: Some(given).filter(|given| *given > 0),
            extensions: Default::default(),
        }))
    }
    /// The command by which a wallet has this certificate of a card that it knows, with what stands on its seat.
    pub(crate) fn install_command(
        &self,
        card: CardId,
        certificate: Signed<CardCertificate>,
        terms: Terms,
    ) -> Result<Command, ProviderError> {
        let seat_name = self.seat_name(&terms, certificate.claimed())?;
        let (card, certificate, terms) = (Some(card), Some(certificate), Some(terms));
        Ok(Command { card, certificate, terms, seat_name, ..Command::new(CommandKind::Install) })
    }
    /// What stands on the seat that a ticket's certificate names: a change may have moved the ticket since it was signed.
    pub(crate) fn seat_name(
        &self,
        terms: &Terms,
        certificate: &CardCertificate,
    ) -> Result<Option<String>, ProviderError> {
        match (&terms.ticket, certificate.seat) {
            (Some(ticket), Some(seat)) => Ok(self.store.seat_name(ticket.event, seat)?),
            _ => Ok(None),
        }
    }
    /// The key of a card's current generation.
    pub(crate) fn card_key(&self, card: &CardRow) -> Result<PublicKey, ProviderError> {
        if let Some(key) = self.shared.directory().card_keys.get(&(card.card, card.generation)) {
            return Ok(*key);
        }
        Ok(self.store.generation(card.card, card.generation)?.ok_or(StoreError::Damaged)?.key)
    }
    /// The generations of this card up to now are dead, from the next list on.
    pub(crate) fn kill(&mut self, card: CardId, generation: u64) -> Result<(), ProviderError> {
        let list = self.provider.list + 1;
        let row = self.known_card(card)?;
        if generation > row.dead_generation {
            row.dead_generation = generation;
            row.dead_list = list;
            self.list_changed = true;
        }
        Ok(())
    }
    /// The next list names somebody more, or is due.
    pub(crate) fn publish(&mut self) {
        self.list_changed = true;
    }
    /// The newest list, if the device does not hold it; a new one if that is growing old (R11).
    pub(crate) fn list_for(&mut self, held: u64) -> Result<Option<Signed<RevocationList>>, ProviderError> {
        let newest = match self.newest.take() {
            Some(newest) => newest,
            None => self.store.newest_list()?.and_then(|body| Signed::decode(&body).ok()),
        };
        let old = self.shared.directory().list_age() / 8;
        let stale = newest.as_ref().is_none_or(|list| self.now.since(list.claimed().at) > old);
        if stale || self.list_changed {
            return self.write_list().map(Some);
        }
        self.newest = Some(newest.clone());
        Ok(newest.filter(|list| list.claimed().number > held))
    }
    /// Signs the next list.
    fn write_list(&mut self) -> Result<Signed<RevocationList>, ProviderError> {
        self.provider.list += 1;
        let (number, at) = (self.provider.list, self.now);
        let revoked = self.store.participants()?.into_iter().filter(|row| row.revoked.is_some());
        let mut subjects: Vec<Subject> = revoked.map(|row| row.subject).collect();
        subjects.sort_unstable();
        let mut dead: BTreeMap<CardId, u64> = self.store.dead_cards()?.into_iter().collect();
        dead.extend(self.books.dead());
        let cards = dead.into_iter().map(|(card, generation)| DeadCard { card, generation }).collect();
        let list = self.sign(&[], |signer| RevocationList {
            number,
            at,
            signer,
            subjects,
            cards,
            extensions: Default::default(),
        });
        self.store.put_list(number, at, &list.encode())?;
        self.list_changed = false;
        self.newest = Some(Some(list.clone()));
        Ok(list)
    }
    /// Writes everything back and asserts R10. The transaction is still open.
    pub(crate) fn close(mut self) -> Result<Vec<Learned>, ProviderError> {
        if self.list_changed {
            self.write_list()?;
        }
        if self.provider != self.as_read {
            self.store.put_provider(&self.provider)?;
        }
        for row in self.devices.values() {
            self.store.put_device(row)?;
        }
        let check = !self.shared.broken.has(tegata_core::step::Break::NoGuarantor);
        self.books.close(self.store, check)?;
        Ok(self.learned)
    }
}

/// What names a purchase for those who wait for it.
pub(crate) fn named(row: &PurchaseRow) -> Hash {
    Hash::of(&[row.wallet.0, row.number.0].concat())
}

/// Signs a refusal in the context of this hash.
pub(crate) fn refusal(
    shared: &Shared,
    now: Time,
    request: &Hash,
    why: ProviderRefusal,
    retry_after: Option<u64>,
) -> Vec<u8> {
    let signed = shared.keys().sign(now, &request.to_bytes(), |signer| Refused {
        why,
        text: None,
        retry_after,
        signer,
        extensions: Default::default(),
    });
    signed.encode()
}

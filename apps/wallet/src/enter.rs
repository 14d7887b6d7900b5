//! Tickets: shown to a gate by a touch, or by a code on the screen.

use crate::give::Standing;
use crate::pay::touch;
use crate::wallet::{Wallet, WalletError};
use std::net::ToSocketAddrs;
use tegata_core::CardId;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::{Batch, Space};
use tegata_core::talk::enter::{Pass, Visitor, WalletEnter, WalletEnterNotice, code, draft_window, key_over};
use tegata_core::talk::pay::load_purse;
use tegata_core::talk::update::load_terms;
use tegata_core::wire::canonical::Wire;
use tegata_device::{Now, WalletTap};
use tegata_vault::Vault;

/// A ticket as it is listed.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The ticket.
    pub card: CardId,
    /// What it lets in.
    pub terms: Terms,
    /// Its certificate and state.
    pub purse: Purse,
    /// What it has shown, zone by zone of its terms.
    pub passes: Vec<(u64, Pass)>,
    /// Whether its key is here: one that came after a copy of the vault was made has none where that copy is put back (R14).
    pub has_key: bool,
}

impl<V: Vault> Wallet<V> {
    /// The tickets that this wallet holds or held.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn tickets(&self) -> Result<Vec<Ticket>, WalletError> {
        let found = self.device.vault.scan(Space::Card, &[], usize::MAX)?;
        let purses = found.iter().filter_map(|(_, bytes)| Purse::from_bytes(bytes).ok());
        let tickets = purses.filter(|purse| purse.certificate.claimed().kind == CardKind::Ticket);
        Ok(tickets.filter_map(|purse| self.ticket_of(purse)).collect())
    }
    /// One ticket.
    ///
    /// # Errors
    /// [`WalletError::NoCard`].
    pub fn ticket(&self, card: CardId) -> Result<Ticket, WalletError> {
        let purse = load_purse(&self.device, card).filter(|purse| purse.certificate.claimed().kind == CardKind::Ticket);
        purse.and_then(|purse| self.ticket_of(purse)).ok_or(WalletError::NoCard)
    }
    fn ticket_of(&self, purse: Purse) -> Option<Ticket> {
        let terms = load_terms(&self.device, purse.certificate.claimed().terms)?;
        let zones = terms.ticket.as_ref()?.zones.iter();
        let passes = zones.map(|zone| (*zone, Pass::load(&self.device, &purse, *zone).0)).collect();
        let has_key = self.device.ring.has(&purse.key());
        Some(Ticket { card: purse.card(), passes, terms, purse, has_key })
    }
    /// Touches a gate with this ticket, for so many people; gives the first frame.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn enter(
        &mut self,
        card: CardId,
        people: u64,
        now: Now,
    ) -> Result<(WalletTap<WalletEnter>, Vec<u8>), WalletError> {
        Ok(WalletTap::touch(WalletEnter::new(self.visitor(card, people)?), now.entropy)?)
    }
    fn visitor(&self, card: CardId, people: u64) -> Result<Visitor, WalletError> {
        let (anchors, _) = self.trusted()?;
        Ok(Visitor { card, terms: self.ticket(card)?.terms, people, anchors })
    }
    /// The code of this moment for a gate's camera (R21). It is worth nothing a minute later, and nothing on another screen. That one was
    /// shown is stored before, so that whoever comes in by it can go out by a touch.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn window(&mut self, card: CardId, zone: u64, people: u64, now: Now) -> Result<Vec<u8>, WalletError> {
        let ticket = self.ticket(card)?;
        if matches!(self.standing(&ticket.purse), Standing::Unregistered(_)) {
            return Err(WalletError::NotShown);
        }
        let (anchors, _) = self.trusted()?;
        if let Some(why) = key_over(&ticket.purse, &anchors, now.time) {
            return Err(WalletError::NotTaken(why.for_holder()));
        }
        let pass = ticket.passes.into_iter().find(|(of, _)| *of == zone).ok_or(WalletError::NoCard)?.1;
        let terms = ticket.terms.ticket.as_ref().ok_or(WalletError::NoCard)?;
        let drafted = draft_window(&ticket.purse, &pass, (terms.event, zone), people, now.time);
        let (window, tbs) = drafted.ok_or(WalletError::NoCard)?;
        let signature = self.device.ring.sign(&ticket.purse.certificate.claimed().key, &tbs);
        let (pass, before) = Pass::load(&self.device, &ticket.purse, zone);
        if let Some(coded) = pass.with_code(terms, now.time) {
            let mut batch = Batch::default();
            batch.replace(Pass::key(card, zone), before, coded.to_bytes());
            self.device.vault.commit(&batch)?;
        }
        Ok(code(ticket.purse.certificate, window, signature.ok_or(tegata_core::step::Fault::Key)?))
    }
    /// Its holder's word that the last code has let in, which no gate can tell (R21), and whether they went out since with no touch. Stored
    /// for good; gives the entry that is used so. One that nobody came in by is lost, and nothing else.
    ///
    /// # Errors
    /// [`WalletError::NotByCode`]: nobody can have come in, or is inside by now.
    pub fn came_in(&mut self, card: CardId, zone: u64, went_out: bool, now: Now) -> Result<u64, WalletError> {
        let ticket = self.ticket(card)?;
        let terms = ticket.terms.ticket.as_ref().filter(|terms| terms.zones.contains(&zone));
        let terms = terms.filter(|_| ticket.purse.state == PurseState::Active).ok_or(WalletError::NoCard)?;
        let (pass, before) = Pass::load(&self.device, &ticket.purse, zone);
        let after = pass.came_in(terms, now.time, went_out)?;
        let mut batch = Batch::default();
        batch.replace(Pass::key(card, zone), before, after.to_bytes());
        self.device.vault.commit(&batch)?;
        Ok(after.entry)
    }
}

/// Touches the gate at `address` with a ticket, for so many people: what was shown, in order.
///
/// # Errors
/// [`WalletError`]. What was shown is stored: the next gate is told of it.
pub fn enter_at<V: Vault>(
    wallet: &mut Wallet<V>,
    address: impl ToSocketAddrs,
    (card, people): (CardId, u64),
    now: impl Fn() -> Now,
) -> Result<Vec<WalletEnterNotice>, WalletError> {
    let visitor = wallet.visitor(card, people)?;
    Ok(touch(wallet, address, WalletEnter::new(visitor), |_| None, &now)?.0)
}

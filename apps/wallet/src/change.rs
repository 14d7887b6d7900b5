//! Changes of tickets after they were bought: shown, old beside new, and answered once.

use crate::wallet::{Wallet, WalletError};
use tegata_core::card::Terms;
use tegata_core::talk::buy::PurchaseState;
use tegata_core::talk::event::{Answering, ChangeNotice, ChangeOutcome, Holder, KeptChange};
use tegata_core::{Amount, CardId};
use tegata_device::{Now, Post, ask};
use tegata_vault::Vault;

/// A change as it is shown.
#[derive(Clone, Debug)]
pub struct ChangedTicket {
    /// What was offered, and what this wallet has answered.
    pub offered: KeptChange,
    /// The terms before; absent where this device has forgotten them.
    pub before: Option<Terms>,
    /// What became of the ticket; absent: it waits for an answer, or for the deadline.
    pub stands: Option<ChangeOutcome>,
    /// What this wallet paid for it, where the event is cancelled and the money is not here yet.
    pub comes_back: Option<Amount>,
    /// Whether this wallet bought it over the network: else money for it goes back by hand, or to who bought it.
    pub bought: bool,
}

impl<V: Vault> Wallet<V> {
    /// The changes of this wallet's tickets.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn changes(&self) -> Result<Vec<ChangedTicket>, WalletError> {
        Ok(self.tickets()?.iter().filter_map(|ticket| self.change(ticket.card)).collect())
    }
    /// The change of one ticket.
    pub fn change(&self, card: CardId) -> Option<ChangedTicket> {
        let offered = KeptChange::load(&self.device, card)?;
        let (before, stands) = (offered.terms_before(&self.device), offered.stands(&self.device));
        let cancelled = offered.changed.after.is_none();
        let paid = self.paid_for(card);
        let (bought, waits) = (paid.is_some(), cancelled && self.refunded(card).is_none());
        Some(ChangedTicket { offered, before, stands, comes_back: paid.filter(|_| waits), bought })
    }
    fn paid_for(&self, card: CardId) -> Option<Amount> {
        let paid = |state| matches!(state, PurchaseState::Provisional | PurchaseState::Delivered);
        let bought = self.purchases().ok()?.into_iter().find(|one| one.card == Some(card) && paid(one.state))?;
        Some(bought.article.price)
    }
    /// Takes the new ticket (`accept`), or has the old one paid back. The first answer counts; asked again, the same bytes go out.
    ///
    /// # Errors
    /// [`WalletError`]. The answer stays stored, if it was: it is sent again by the same call.
    pub fn answer_change(
        &mut self,
        post: &mut dyn Post,
        card: CardId,
        accept: bool,
        now: Now,
    ) -> Result<ChangeOutcome, WalletError> {
        let (anchors, key) = self.trusted()?;
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let talk = Answering::Start(card, accept, Box::new(Holder { wallet, key, anchors }));
        match ask(&mut self.device, post, talk, now)?.into_iter().next_back() {
            Some(ChangeNotice::Stands(outcome)) => Ok(outcome),
            Some(ChangeNotice::Answered { accept }) => Err(WalletError::Answered(match accept {
                true => "you took the new ticket",
                false => "you asked for your money back",
            })),
            Some(ChangeNotice::Cancelled) => Err(WalletError::Answered(
                "the event is cancelled, and the ticket is paid back without being asked for",
            )),
            Some(ChangeNotice::Unknown) => Err(WalletError::NoChange),
            Some(ChangeNotice::NotAllowed(refused)) => Err(WalletError::Refused(refused.told())),
            Some(ChangeNotice::NotTrusted) | None => Err(WalletError::NotTrusted),
            Some(ChangeNotice::Failed(fault)) => Err(fault.into()),
        }
    }
}

//! Tickets given to another wallet, face to face or by a number; and taken.

use crate::enter::Ticket;
use crate::wallet::{Wallet, WalletError};
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::talk::give::{
    Away, AwayNotice, GiftKept, GiveCard, Giver, HandedOver, Receiver, Taker, Taking, Wish, why_not,
};
use tegata_core::talk::pay::load_purse;
use tegata_core::{CardId, Time};
use tegata_device::{Now, Post, TerminalTap, WalletTap, ask};
use tegata_vault::Vault;

/// How a ticket stands that was given, or taken from somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This wallet's, as the provider has certified it.
    Own,
    /// The same, after this wallet had given it and nobody had registered or taken it.
    CameBack,
    /// Taken from somebody, and to be registered before then: until then it is touched, not shown to a camera (R21).
    Unregistered(Time),
    /// Given to another wallet. `taken`: that one has said that it is there.
    Given {
        /// The receiver registers before then, or it comes back.
        until: Time,
        /// The receiver has it.
        taken: bool,
        /// When somebody has registered it, as far as this wallet has heard.
        arrived: Option<Time>,
    },
    /// Given by a number.
    Gift {
        /// Until when it can be taken; absent: its number is not known yet.
        until: Option<Time>,
        /// When somebody has taken it, as far as this wallet has heard.
        arrived: Option<Time>,
    },
    /// Blocked or over.
    Over,
}

impl<V: Vault> Wallet<V> {
    /// How a ticket stands.
    pub fn standing(&self, purse: &Purse) -> Standing {
        if purse.state == PurseState::Active {
            let records = &self.device;
            let back = HandedOver::came_back(records, purse) || GiftKept::came_back(records, purse);
            let own = if back { Standing::CameBack } else { Standing::Own };
            return purse.hops().iter().map(|hop| hop.until).min().map_or(own, Standing::Unregistered);
        }
        if let Some(HandedOver { given, taken, arrived, .. }) = HandedOver::load(&self.device, purse) {
            return Standing::Given { until: given.hop.until, taken: taken.is_some(), arrived };
        }
        let gift = GiftKept::load(&self.device, purse.card()).filter(|kept| kept.generation == purse.generation());
        gift.map_or(Standing::Over, |kept| Standing::Gift { until: kept.until, arrived: kept.arrived })
    }
    /// When this wallet gave its copy of a ticket, by its own clock; `None`: it did not.
    pub fn given_at(&self, purse: &Purse) -> Option<Time> {
        let by_number = || {
            let kept = GiftKept::load(&self.device, purse.card())?;
            (kept.generation == purse.generation()).then_some(kept.request.claimed().at)
        };
        HandedOver::load(&self.device, purse).map(|kept| kept.given.hop.at).or_else(by_number)
    }
    /// A ticket that can be given now, or was given and can be said again. `away`: by a number.
    ///
    /// # Errors
    /// [`WalletError::NoCard`]; [`WalletError::NotGiven`] says what stands in the way.
    pub fn to_give(&self, card: CardId, now: Time, away: bool) -> Result<Ticket, WalletError> {
        let ticket = self.ticket(card)?;
        let again = match self.standing(&ticket.purse) {
            Standing::Given { .. } => !away,
            Standing::Gift { .. } => away,
            _ => false,
        };
        match why_not(&self.device, &ticket.purse, &ticket.terms, now, away).filter(|_| !again) {
            Some(why) => Err(WalletError::NotGiven(why.for_people())),
            None => Ok(ticket),
        }
    }
    /// Waits for another wallet to touch and take this ticket.
    ///
    /// # Errors
    /// [`WalletError::NoCard`].
    pub fn give(&self, card: CardId) -> Result<TerminalTap<Giver>, WalletError> {
        load_purse(&self.device, card).ok_or(WalletError::NoCard)?;
        Ok(TerminalTap::waiting(Giver::new(GiveCard { card })))
    }
    /// Touches a wallet that gives; gives the first frame. The new key is durable before it is named.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn take(&mut self, now: Now) -> Result<(WalletTap<Receiver>, Vec<u8>), WalletError> {
        Ok(WalletTap::touch(self.receiver(now)?, now.entropy)?)
    }
    /// The conversation of [`Wallet::take`], for whoever carries the frames otherwise.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn receiver(&mut self, now: Now) -> Result<Receiver, WalletError> {
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let (anchors, _) = self.trusted()?;
        let seed = tegata_core::Hash::of(&[now.entropy.as_slice(), b"card key"].concat()).0;
        let key = self.device.ring.make(&mut self.device.vault, self.algorithm, &seed)?;
        Ok(Receiver::new(Taker { wallet, key, anchors }))
    }
    /// Registers a ticket that was taken from somebody.
    ///
    /// # Errors
    /// [`WalletError`]; what is refused is refused with its reason.
    pub fn register(&mut self, post: &mut dyn Post, card: CardId, now: Now) -> Result<(), WalletError> {
        match self.away(post, Wish::Register(card), now)? {
            AwayNotice::Registered(_) => Ok(()),
            other => Err(told(other)),
        }
    }
    /// Registers whatever was taken from somebody and is not registered yet; gives what is. Updates do that, too.
    ///
    /// # Errors
    /// [`WalletError`], of the first that is not registered.
    pub fn register_all(&mut self, post: &mut dyn Post, now: impl Fn() -> Now) -> Result<Vec<CardId>, WalletError> {
        let held = self.tickets()?.into_iter();
        let open = held.filter(|held| matches!(self.standing(&held.purse), Standing::Unregistered(_)));
        let open: Vec<CardId> = open.map(|held| held.card).collect();
        for card in &open {
            self.register(post, *card, now())?;
        }
        Ok(open)
    }
    /// Gives a ticket to somebody far away: the number to be sent, and until when it can be taken. Asked again it is the same.
    ///
    /// # Errors
    /// [`WalletError`]; what is refused is refused with its reason.
    pub fn gift(&mut self, post: &mut dyn Post, card: CardId, now: Now) -> Result<(String, Time), WalletError> {
        match self.away(post, Wish::Gift(card), now)? {
            AwayNotice::Gift { number, until } => Ok((number, until)),
            other => Err(told(other)),
        }
    }
    fn away(&mut self, post: &mut dyn Post, wish: Wish, now: Now) -> Result<AwayNotice, WalletError> {
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let (anchors, key) = self.trusted()?;
        let shown = ask(&mut self.device, post, Away::Start(wish, (wallet, key), anchors), now)?;
        shown.into_iter().next().ok_or(WalletError::NotTrusted)
    }
    /// What is kept of a ticket that is being taken, or was.
    pub fn taking(&self, card: CardId) -> Option<Taking> {
        Taking::load(&self.device, card)
    }
}

fn told(notice: AwayNotice) -> WalletError {
    match notice {
        AwayNotice::Cannot(why) => WalletError::NotGiven(why.for_people()),
        AwayNotice::Refused(no) => WalletError::Refused(no.told()),
        AwayNotice::Failed(fault) => fault.into(),
        _ => WalletError::NotTrusted,
    }
}

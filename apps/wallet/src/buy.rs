//! Buying cards over the network by credit, and giving a card's remainder back.

use crate::give::Standing;
use crate::wallet::{Wallet, WalletError};
use tegata_core::card::payment::PurseState;
use tegata_core::record::Space;
use tegata_core::talk::buy::{
    Article, Bought, BuyNotice, Buyer, Buying, Catalogue, CatalogueRequest, PurchaseState, Refunded, Selection,
    Surrender, SurrenderNotice,
};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::event::ChangeOutcome;
use tegata_core::talk::pay::load_purse;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, CardId, Hash, RequestNumber};
use tegata_device::{Now, Post, RequestError, ask, take_up_all};
use tegata_vault::Vault;

/// What became of a purchase after it was delivered, as far as its wallet has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// Its holder gave it back; the provider has not said yet what comes back.
    GivenBack,
    /// Its event was changed, and its holder has the money back instead; not yet here.
    Declined,
    /// Its event is cancelled; the money is not yet here.
    Cancelled,
    /// The provider has said what came back for the card.
    Settled(Refunded),
}

impl<V: Vault> Wallet<V> {
    /// What is for sale at this wallet's provider.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn catalogue(&mut self, post: &mut dyn Post, now: Now) -> Result<Vec<Article>, WalletError> {
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let body = CatalogueRequest { wallet, at: now.time, extensions: Default::default() };
        let request = self.device.signed(body).map_err(WalletError::from)?;
        let reply: Verified<Catalogue> = self.device.request(post, &request, now)?;
        Ok(reply.articles.clone())
    }

    /// Has one kept for this wallet: a new card, or a top-up of `card`. Nothing is paid yet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn reserve(
        &mut self,
        post: &mut dyn Post,
        article: Article,
        card: Option<CardId>,
        now: Now,
    ) -> Result<(RequestNumber, BuyNotice), WalletError> {
        self.select(post, article, (card, None), now, Buying::Reserve)
    }

    /// Waits for a ticket of what is sold out; where one is free, it is kept for this wallet at once. An update tells when it is.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn wait_for(
        &mut self,
        post: &mut dyn Post,
        article: Article,
        now: Now,
    ) -> Result<(RequestNumber, BuyNotice), WalletError> {
        self.select(post, article, (None, None), now, Buying::Wait)
    }

    /// Has a ticket for this seat kept for this wallet.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn reserve_seat(
        &mut self,
        post: &mut dyn Post,
        article: Article,
        seat: u64,
        now: Now,
    ) -> Result<(RequestNumber, BuyNotice), WalletError> {
        self.select(post, article, (None, Some(seat)), now, Buying::Reserve)
    }

    fn select(
        &mut self,
        post: &mut dyn Post,
        article: Article,
        (card, seat): (Option<CardId>, Option<u64>),
        now: Now,
        talk: impl FnOnce(Selection, Buyer) -> Buying,
    ) -> Result<(RequestNumber, BuyNotice), WalletError> {
        let drawn = |what: &[u8]| Hash::of(&[now.entropy.as_slice(), what].concat()).0;
        let mut purchase = [0; 16];
        purchase.copy_from_slice(&drawn(b"purchase")[..16]);
        let purchase = RequestNumber(purchase);
        let key = match card {
            Some(_) => None,
            // Durable before it is named (R18).
            None => Some(self.device.ring.make(&mut self.device.vault, self.algorithm, &drawn(b"card key"))?),
        };
        let selection = Selection { purchase, article, key, card, seat };
        let buyer = self.buyer()?;
        Ok((purchase, self.bought(post, talk(selection, buyer), now)?))
    }

    /// Agrees to the price of what is reserved. Asked again by [`Wallet::purchase`] until it is known (R26).
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn buy(
        &mut self,
        post: &mut dyn Post,
        purchase: RequestNumber,
        option: PaymentOption,
        now: Now,
    ) -> Result<BuyNotice, WalletError> {
        let buyer = self.buyer()?;
        self.bought(post, Buying::Pay(purchase, option, buyer), now)
    }

    /// Asks how a purchase stands, with the same bytes; takes up what it brings.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn purchase(
        &mut self,
        post: &mut dyn Post,
        purchase: RequestNumber,
        now: Now,
    ) -> Result<BuyNotice, WalletError> {
        let (anchors, _) = self.trusted()?;
        self.bought(post, Buying::Ask(purchase, anchors), now)
    }

    /// Gives up what is reserved and not paid.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn cancel(&mut self, post: &mut dyn Post, purchase: RequestNumber, now: Now) -> Result<BuyNotice, WalletError> {
        let buyer = self.buyer()?;
        self.bought(post, Buying::Cancel(purchase, buyer), now)
    }

    /// Every purchase, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn purchases(&self) -> Result<Vec<Bought>, WalletError> {
        let found = self.device.vault.scan(Space::Receipt, &[], usize::MAX)?;
        let mut bought: Vec<_> = found.iter().filter_map(|(_, bytes)| Bought::from_bytes(bytes).ok()).collect();
        bought.sort_by_key(|bought| bought.reserve.claimed().at);
        Ok(bought)
    }

    /// Asks for every purchase that has not come to its end: what a lost line or a dead battery cut off goes on.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn resume_purchases(&mut self, post: &mut dyn Post, now: Now) -> Result<Vec<BuyNotice>, WalletError> {
        let open = self.purchases()?.into_iter().filter(|bought| !bought.state.is_over());
        let mut notices = Vec::new();
        let mut now = now;
        for bought in open.collect::<Vec<_>>() {
            now.entropy = Hash::of(&now.entropy).0;
            notices.push(self.purchase(post, bought.purchase(), now)?);
        }
        Ok(notices)
    }

    /// Gives a card back by its own key: it is over at once, and paid back to the bank card later. What waits to be taken up
    /// is taken up before. Update afterwards, so that the provider learns of it.
    ///
    /// # Errors
    /// [`WalletError::NotGivenBack`] and others; nothing has changed.
    pub fn surrender(&mut self, card: CardId, now: Now) -> Result<Amount, WalletError> {
        let (anchors, _) = self.trusted()?;
        take_up_all(&mut self.device, card, now)?;
        let mut talking = tegata_device::Talking::new(Surrender::Start(card, anchors));
        let shown = talking.deliver(tegata_core::step::Event::Tick, now, &mut self.device);
        let notice = shown.into_iter().find_map(|out| match out {
            tegata_device::Out::Show(notice) => Some(notice),
            _ => None,
        });
        match notice {
            Some(SurrenderNotice::Surrendered { amount, .. }) => Ok(amount),
            Some(SurrenderNotice::NotRefundable) => {
                Err(WalletError::NotGivenBack("its issuer does not refund what remains".to_owned()))
            }
            Some(SurrenderNotice::TooLate(_)) => {
                Err(WalletError::NotGivenBack("the time in which this ticket is refunded is over".to_owned()))
            }
            Some(SurrenderNotice::Used) => {
                Err(WalletError::NotGivenBack("this ticket has let you in; it is not refunded any more".to_owned()))
            }
            Some(SurrenderNotice::Cannot(why)) => Err(WalletError::NotGivenBack(why.to_string())),
            Some(SurrenderNotice::Failed(fault)) => Err(fault.into()),
            Some(SurrenderNotice::Unknown) | None => Err(WalletError::NoCard),
        }
    }

    /// What came back for a card that was given back, once the provider has said so.
    pub fn refunded(&self, card: CardId) -> Option<Refunded> {
        let bytes = tegata_core::step::Records::get(&self.device, &Refunded::key(card))?;
        Some(Signed::<Refunded>::decode(&bytes).ok()?.claimed().clone())
    }

    /// What became of a purchase since it was delivered; absent: nothing, or its ticket is somebody else's by now.
    pub fn since(&self, bought: &Bought) -> Option<Since> {
        let delivered = matches!(bought.state, PurchaseState::Provisional | PurchaseState::Delivered);
        let card = bought.card.filter(|_| delivered)?;
        if let Some(refunded) = self.refunded(card) {
            return Some(Since::Settled(refunded));
        }
        let purse = load_purse(&self.device, card)?;
        if matches!(self.standing(&purse), Standing::Given { .. } | Standing::Gift { .. }) {
            return None;
        }
        let change = self.change(card);
        match change.map(|change| (change.offered.changed.after.is_none(), change.offered.outcome)) {
            Some((true, _)) => Some(Since::Cancelled),
            Some((_, Some(ChangeOutcome::Refunded))) => Some(Since::Declined),
            _ => (purse.state == PurseState::Ended).then_some(Since::GivenBack),
        }
    }

    fn buyer(&self) -> Result<Buyer, WalletError> {
        let (anchors, key) = self.trusted()?;
        Ok(Buyer { wallet: self.device.id().ok_or(WalletError::NotJoined)?, key, anchors })
    }

    fn bought(&mut self, post: &mut dyn Post, talk: Buying, now: Now) -> Result<BuyNotice, WalletError> {
        let notices = ask(&mut self.device, post, talk, now)?;
        match notices.into_iter().next_back() {
            Some(BuyNotice::NotAllowed(refused)) => Err(WalletError::Refused(refused.told())),
            Some(BuyNotice::NotTrusted) | None => Err(WalletError::NotTrusted),
            Some(BuyNotice::Failed(fault)) => Err(fault.into()),
            Some(BuyNotice::Delivered { card, amount, provisional }) => {
                take_up_all(&mut self.device, card, now)?;
                Ok(BuyNotice::Delivered { card, amount, provisional })
            }
            Some(notice) => Ok(notice),
        }
    }
}

impl From<RequestError> for WalletError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotJoined => Self::NotJoined,
            RequestError::Refused(refused) => Self::Refused(refused.told()),
            RequestError::NotTrusted => Self::NotTrusted,
            RequestError::Exchange(error) => Self::Exchange(error),
        }
    }
}

//! A wallet over its vault: what it can do, whoever asks.

use tegata_core::card::payment::{Purse, PurseState, ceiling};
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::{RecordKey, Space};
use tegata_core::step::{Fault, Records};
use tegata_core::talk::cards::{Activate, CardNotice, CardRequest, InstallRequest, LoadRequest, Wanted};
use tegata_core::talk::enter::NotByCode;
use tegata_core::talk::pay::{Charge, Payer, Paying, PayingState, load_purse};
use tegata_core::talk::update::load_terms;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Amount, CardId, DeviceId, Handle, Time};
use tegata_crypto_native::number::{InstallationNumber, NumberError};
use tegata_device::{
    Device, ExchangeError, LettersError, Now, Post, RingError, Summary, TapError, UpdateError, ask, take_up_all, update,
};
use tegata_vault::{Vault, VaultError};

/// Why the wallet did not do it.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// Not joined.
    #[error("this wallet has not joined a provider yet; ask its operator for a token and join")]
    NotJoined,
    /// No such card.
    #[error("this wallet holds no such card; `cards` lists what it holds")]
    NoCard,
    /// The number is mistyped.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The answer is not the provider's.
    #[error("the answer is not by the provider, or not to this request; nothing was changed")]
    NotTrusted,
    /// The card stays as it is.
    #[error("the card cannot be given back: {0}")]
    NotGivenBack(String),
    /// The ticket is not given.
    #[error("the ticket cannot be given: {0}")]
    NotGiven(&'static str),
    /// A code on a screen says nothing of a title.
    #[error(
        "this ticket was given on and is not registered yet, so that no camera takes it: tap it at the gate, or go online once: \
         wallet NAME register"
    )]
    NotShown,
    /// No gate would take its code.
    #[error("no gate takes a code of this ticket now: {0}")]
    NotTaken(&'static str),
    /// Nobody can have come in by a code.
    #[error(transparent)]
    NotByCode(#[from] NotByCode),
    /// A change is answered once.
    #[error("this change was answered before, and the first answer counts: {0}")]
    Answered(&'static str),
    /// No change is known.
    #[error(
        "this wallet was told of no change of that ticket; update it, then `changes` lists what there is to answer"
    )]
    NoChange,
    /// Nothing to agree to.
    #[error("there is no such payment waiting for your consent")]
    NothingToAgree,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// Keys.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The link failed.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The provider did not answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The update did not come to its end.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A letter did not go out or come in.
    #[error(transparent)]
    Letters(Box<LettersError>),
    /// The user wants no letters of this merchant, so that no answer would come.
    #[error(
        "you have muted this merchant, so that no answer would reach you; unmute it first: wallet NAME unmute MERCHANT"
    )]
    Muted,
    /// The terminal cannot be reached.
    #[error(transparent)]
    Link(#[from] tegata_link::TcpError),
}

/// A card as it is shown.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which.
    pub card: CardId,
    /// What it pays for.
    pub kind: CardKind,
    /// What it is called.
    pub name: String,
    /// What remains.
    pub remaining: Amount,
    /// What may be spent before the next update.
    pub spendable: Amount,
    /// Past this the card does not spend until an update.
    pub due: Time,
    /// Its last moment.
    pub until: Time,
    /// What may be done with it.
    pub state: PurseState,
    /// What is kept and not taken up yet.
    pub waiting: Amount,
    /// What the provider holds back since an older copy of this wallet was put back, and from when on an update brings it (R11).
    pub held_back: Option<(Amount, Time)>,
    /// Whether its key is here: one that came after a copy of the vault was made has none where that copy is put back (R14).
    pub has_key: bool,
}

/// A payment as it is listed.
#[derive(Clone, Debug)]
pub struct PaymentMade {
    /// The merchant.
    pub merchant: String,
    /// The terminal.
    pub terminal: DeviceId,
    /// The terminal's number of it.
    pub transaction: u64,
    /// How much.
    pub amount: Amount,
    /// When, by the terminal's clock.
    pub at: Time,
    /// What for.
    pub items: Option<String>,
    /// Where it stands.
    pub state: PayingState,
    /// The card.
    pub card: CardId,
    /// Whether the terminal's receipt is held.
    pub receipted: bool,
    /// What names the receipt: the first digits of the charge's hash.
    pub receipt: Handle,
}

/// A wallet.
pub struct Wallet<V> {
    /// Its records and keys.
    pub device: Device<V>,
    /// The algorithm of the keys that it makes for cards.
    pub algorithm: Algorithm,
}

impl<V: Vault> Wallet<V> {
    /// Over this device.
    pub fn new(device: Device<V>, algorithm: Algorithm) -> Self {
        Self { device, algorithm }
    }

    /// Installs the card of a number. The new key and the request are durable before anything is sent (R18); an install that
    /// was cut off is resumed by asking again.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn install(
        &mut self,
        post: &mut dyn Post,
        number: &str,
        slip: Option<Signed<Activate>>,
        now: Now,
    ) -> Result<CardId, WalletError> {
        let talk = self.install_request(number, slip, now)?;
        self.answered(post, talk, now).map(|(card, _)| card)
    }

    /// The conversation of [`Wallet::install`], for whoever carries many wallets' messages at once.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn install_request(
        &mut self,
        number: &str,
        slip: Option<Signed<Activate>>,
        now: Now,
    ) -> Result<CardRequest, WalletError> {
        let number = plain(number)?;
        let asked = self.unanswered(|request: &InstallRequest| request.number == number)?;
        if let (Some(key), None) = (&asked, &slip) {
            return Ok(CardRequest::Resume(key.clone(), self.anchors()?));
        }
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        // With a slip it is another request, for the same key: a number is bound to the first key that asked (R18).
        let before = asked.and_then(|key| self.device.get(&key));
        let before = before.and_then(|bytes| Signed::<InstallRequest>::decode(&bytes).ok());
        let key = match before {
            Some(before) => before.claimed().key,
            None => {
                let seed = tegata_core::Hash::of(&[now.entropy.as_slice(), b"card key"].concat()).0;
                self.device.ring.make(&mut self.device.vault, self.algorithm, &seed)?
            }
        };
        let request = InstallRequest { wallet, number, key, slip, extensions: Default::default() };
        Ok(CardRequest::Start(Wanted::Install(request), self.anchors()?, self.key()?))
    }

    /// Loads a card by a further number, takes the load up, and updates, so that the card gets its new checkpoint (R6).
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn load(
        &mut self,
        post: &mut dyn Post,
        card: CardId,
        number: &str,
        slip: Option<Signed<Activate>>,
        now: Now,
    ) -> Result<Amount, WalletError> {
        let amount = self.fetch_load(post, card, number, slip, now)?;
        self.update(post, now)?;
        Ok(amount)
    }

    /// The first half of [`Wallet::load`]: the load is on the card, the new checkpoint still to come.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn fetch_load(
        &mut self,
        post: &mut dyn Post,
        card: CardId,
        number: &str,
        slip: Option<Signed<Activate>>,
        now: Now,
    ) -> Result<Amount, WalletError> {
        let talk = self.load_request(card, number, slip)?;
        let (card, amount) = self.answered(post, talk, now)?;
        take_up_all(&mut self.device, card, now)?;
        Ok(amount)
    }

    /// The conversation of [`Wallet::fetch_load`], for whoever carries many wallets' messages at once.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn load_request(
        &mut self,
        card: CardId,
        number: &str,
        slip: Option<Signed<Activate>>,
    ) -> Result<CardRequest, WalletError> {
        let number = plain(number)?;
        let purse = load_purse(&self.device, card).ok_or(WalletError::NoCard)?;
        let anchors = self.anchors()?;
        if let Some(key) = self.unanswered(|request: &LoadRequest| request.number == number)? {
            return Ok(CardRequest::Resume(key, anchors));
        }
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let generation = purse.certificate.claimed().generation;
        let request = LoadRequest { wallet, number, card, generation, slip, extensions: Default::default() };
        Ok(CardRequest::Start(Wanted::Load(request), anchors, self.key()?))
    }

    fn answered(&mut self, post: &mut dyn Post, talk: CardRequest, now: Now) -> Result<(CardId, Amount), WalletError> {
        match ask(&mut self.device, post, talk, now)?.into_iter().next() {
            Some(CardNotice::Installed { card, remaining }) => Ok((card, remaining)),
            Some(CardNotice::Loaded { card, amount }) => Ok((card, amount)),
            Some(CardNotice::Refused(no)) => Err(WalletError::Refused(no.told())),
            Some(CardNotice::NotTrusted) | None => Err(WalletError::NotTrusted),
            Some(CardNotice::Failed(fault)) => Err(fault.into()),
        }
    }

    /// The stored request that was sent and not answered, if there is one like this.
    fn unanswered<T: tegata_core::wire::canonical::Message>(
        &self,
        like: impl Fn(&T) -> bool,
    ) -> Result<Option<RecordKey>, WalletError> {
        let found = self.device.vault.scan(Space::Request, &[], usize::MAX)?;
        let name = found.into_iter().find_map(|(name, bytes)| {
            let request = Signed::<T>::decode(&bytes).ok()?;
            like(request.claimed()).then_some(name)
        });
        Ok(name.map(|name| RecordKey::new(Space::Request, name)))
    }

    /// Sends the log, receives checkpoints and commands, takes up what waits.
    ///
    /// # Errors
    /// [`WalletError::Update`].
    pub fn update(&mut self, post: &mut dyn Post, now: Now) -> Result<Summary, WalletError> {
        let summary = update(&mut self.device, post, now)?;
        // Letters are no part of an update: where they do not go out, the next one tries again, and `exchange_letters` says why.
        let _ = self.be_reachable(post, now);
        let _ = self.device.send_letters(post, now);
        Ok(summary)
    }

    /// With what to pay: this card.
    ///
    /// # Errors
    /// [`WalletError::NoCard`].
    pub fn payer(&self, card: CardId) -> Result<Payer, WalletError> {
        let purse = load_purse(&self.device, card).ok_or(WalletError::NoCard)?;
        let terms = self.terms(&purse).ok_or(WalletError::NoCard)?;
        Ok(Payer { card, terms, anchors: self.anchors()? })
    }

    fn terms(&self, purse: &Purse) -> Option<Terms> {
        load_terms(&self.device, purse.certificate.claimed().terms)
    }

    fn anchors(&self) -> Result<tegata_core::wire::certificate::Anchors, WalletError> {
        self.device.anchors().ok_or(WalletError::NotJoined)
    }

    /// Whom it trusts, and the key that it signs requests with.
    pub(crate) fn trusted(
        &self,
    ) -> Result<(tegata_core::wire::certificate::Anchors, tegata_core::wire::signed::PublicKey), WalletError> {
        Ok((self.anchors()?, self.key()?))
    }

    fn key(&self) -> Result<tegata_core::wire::signed::PublicKey, WalletError> {
        self.device.key().ok_or(WalletError::NotJoined)
    }

    /// The cards, as shown to their holder.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn cards(&self) -> Result<Vec<Held>, WalletError> {
        Ok(self.device.cards()?.into_iter().filter_map(|card| self.held(card)).collect())
    }

    fn held(&self, card: CardId) -> Option<Held> {
        let purse = load_purse(&self.device, card)?;
        let terms = self.terms(&purse)?;
        let said = purse.certificate.claimed();
        // Tickets are no money: they are listed by themselves.
        if said.kind == CardKind::Ticket {
            return None;
        }
        let spent = ceiling(said, &purse.raises)?.saturating_sub(purse.remaining);
        let spendable = said.offline_limit.saturating_sub(spent).min(purse.remaining);
        let waiting = tegata_core::talk::pay::waiting(&purse, &self.device);
        let held_back = purse.held_back.and_then(|held| Amount::new(terms.unit, held)).zip(purse.release_at);
        Some(Held {
            card,
            kind: said.kind,
            name: terms.name,
            remaining: Amount::new(terms.unit, purse.remaining)?,
            spendable: Amount::new(terms.unit, spendable)?,
            due: said.due,
            until: said.until,
            state: purse.state,
            waiting: Amount::new(terms.unit, waiting)?,
            held_back,
            has_key: self.device.ring.has(&purse.key()),
        })
    }

    /// Every payment, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn payments(&self) -> Result<Vec<PaymentMade>, WalletError> {
        let found = self.device.vault.scan(Space::Charge, &[], usize::MAX)?;
        let mut made: Vec<_> = found
            .iter()
            .filter_map(|(_, bytes)| Paying::from_bytes(bytes).ok())
            .map(|paying| listed(&paying))
            .collect();
        made.sort_by_key(|made: &PaymentMade| made.at);
        Ok(made)
    }

    /// Agrees to a payment that was shown while the link was cut; the next touch pays it.
    ///
    /// # Errors
    /// [`WalletError::NothingToAgree`].
    pub fn agree(&mut self, terminal: DeviceId, transaction: u64) -> Result<(), WalletError> {
        let paying = Paying::load(&self.device, terminal, transaction).ok_or(WalletError::NothingToAgree)?;
        let batch = paying.agree().ok_or(WalletError::NothingToAgree)?;
        Ok(self.device.vault.commit(&batch)?)
    }
}

fn plain(number: &str) -> Result<String, WalletError> {
    let number = InstallationNumber::parse(number)?;
    Ok(number.to_string().chars().filter(char::is_ascii_alphanumeric).collect())
}

fn listed(paying: &Paying) -> PaymentMade {
    let charge = paying.charge.claimed();
    PaymentMade {
        merchant: paying.merchant.clone(),
        terminal: paying.terminal,
        transaction: charge.transaction,
        amount: charge.amount,
        at: charge.at,
        items: charge.items.clone(),
        state: paying.state,
        card: paying.card,
        receipted: paying.receipt.is_some(),
        receipt: Handle::of(&Charge::named(&paying.session, paying.terminal, paying.charge.payload())),
    }
}

impl From<LettersError> for WalletError {
    fn from(error: LettersError) -> Self {
        Self::Letters(Box::new(error))
    }
}

impl<V: Vault> Records for Wallet<V> {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        self.device.get(key)
    }
}

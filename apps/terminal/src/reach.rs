//! Letters of a merchant, at its terminal: to a customer number, and with those who ask about a receipt of this terminal.

use crate::terminal::{Terminal, TerminalError};
use tegata_core::card::CardCertificate;
use tegata_core::record::Space;
use tegata_core::talk::pay::Claim;
use tegata_core::talk::reach::{Address, KeptLetter, NotShown, asked_about, from_user};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{CustomerNumber, LetterNumber, PartyId};
use tegata_device::{LettersError, Now, Post, Writing};
use tegata_vault::Vault;

/// A letter as it is shown.
#[derive(Clone, Debug)]
pub struct Read {
    /// As it is kept.
    pub kept: KeptLetter,
    /// The customer, as this merchant knows it; unknown where a card paid.
    pub customer: Option<CustomerNumber>,
    /// The payment that it is about.
    pub claim: Option<Claim>,
    /// What it says, or why it is not shown.
    pub text: Result<String, NotShown>,
}

impl<V: Vault> Terminal<V> {
    fn merchant(&self) -> Result<PartyId, TerminalError> {
        self.device.owner().ok_or(TerminalError::NotJoined)
    }

    /// Tells the provider to which key letters to this terminal are sealed, unless it knows.
    ///
    /// # Errors
    /// [`TerminalError::Letters`].
    pub fn be_reachable(&mut self, post: &mut dyn Post, now: Now) -> Result<(), TerminalError> {
        let (merchant, name) = (self.merchant()?, self.device.id().ok_or(TerminalError::NotJoined)?.0);
        self.device.be_reachable(post, (merchant, &name), None, now)?;
        Ok(self.device.be_called_again(post, now)?)
    }

    /// Writes to a customer, or to whoever paid a receipt of this merchant. The letter is stored before it is sent, and sent
    /// until the provider has it. What becomes of it then is not told: a user may have muted this merchant.
    ///
    /// # Errors
    /// [`TerminalError::Letters`].
    pub fn write(
        &mut self,
        post: &mut dyn Post,
        to: Address,
        text: &str,
        now: Now,
    ) -> Result<LetterNumber, TerminalError> {
        let (merchant, key) = (self.merchant()?, self.device.key().ok_or(TerminalError::NotJoined)?);
        let number = self.device.write_letter(&Writing { merchant, to, key, text }, now)?;
        self.device.send_letters(post, now)?;
        Ok(number)
    }

    /// Sends what waits, fetches what came, says what did not open.
    ///
    /// # Errors
    /// [`TerminalError`]; what was stored stays.
    pub fn exchange_letters(&mut self, post: &mut dyn Post, now: Now) -> Result<(), TerminalError> {
        self.update(post, now)?;
        let sent = self.device.send_letters(post, now);
        for read in self.letters(now)? {
            if matches!(read.text, Err(NotShown::Sealed)) {
                self.device.say_unopened(post, &read.kept, now)?;
            }
        }
        Ok(sent?)
    }

    /// Every letter, opened, oldest first.
    ///
    /// # Errors
    /// The vault or the keys cannot be read.
    pub fn letters(&mut self, now: Now) -> Result<Vec<Read>, TerminalError> {
        let name = self.device.id().ok_or(TerminalError::NotJoined)?.0;
        let mut all = Vec::new();
        for kept in self.device.letters()? {
            let claim = kept.to.receipt().and_then(|receipt| asked_about(&self.device, receipt));
            let told = claim.as_ref().and_then(|claim| claim.notification.as_ref());
            let customer = match kept.to {
                Address::Customer(customer) => Some(customer),
                Address::Receipt(_) => told.map(|told| told.claimed().customer),
            };
            let text = match &kept.letter {
                Some(own) => Ok(own.claimed().text.clone()),
                None => match self.device.open_letter(&kept, &name)? {
                    None => Err(NotShown::Sealed),
                    Some(plain) => match claim.as_ref().and_then(|claim| self.payment_key(claim)) {
                        None => Err(NotShown::NotTrusted),
                        Some(key) => {
                            let read = self.device.with_context(now, |context| from_user(&kept, &plain, &key, context));
                            read.map(|(text, _)| text)
                        }
                    },
                },
            };
            all.push(Read { kept, customer, claim, text });
        }
        Ok(all)
    }

    /// The key of a payment: the offer's, or that of the card that paid.
    fn payment_key(&self, claim: &Claim) -> Option<PublicKey> {
        if let Some(offer) = &claim.offer {
            return Some(offer.claimed().key);
        }
        let found = self.device.vault.scan(Space::Certificate, &[], usize::MAX).ok()?;
        let mut cards = found.iter().filter_map(|(_, bytes)| Signed::<CardCertificate>::decode(bytes).ok());
        let paid = |card: &CardCertificate| claim.card == Some(card.card) && claim.generation == Some(card.generation);
        cards.find(|card| paid(card.claimed())).map(|card| card.claimed().key)
    }

    /// Every charge with everything that proves it, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn claims(&self) -> Result<Vec<Claim>, TerminalError> {
        let found = self.device.vault.scan(Space::Charge, &[], usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| Claim::from_bytes(bytes).ok()).collect())
    }
}

impl From<LettersError> for TerminalError {
    fn from(error: LettersError) -> Self {
        Self::Letters(Box::new(error))
    }
}

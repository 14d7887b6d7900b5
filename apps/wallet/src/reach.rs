//! Letters of a user: merchants write, the user asks about a receipt, and mutes whom it does not want to hear.

use crate::wallet::{Wallet, WalletError};
use tegata_core::record::Space;
use tegata_core::step::Records;
use tegata_core::talk::pay::Paying;
use tegata_core::talk::reach::{
    Address, KeptLetter, LetterState, NotShown, ReceiptHeld, Whose, from_merchant, is_muted, key_name, receipt_by_card,
    receipt_by_credit,
};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::wire::canonical::Wire;
use tegata_core::{LetterNumber, PartyId};
use tegata_device::{LettersError, Now, Post, Writing};
use tegata_vault::Vault;

/// A letter as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// As it is kept.
    pub kept: KeptLetter,
    /// The merchant, as the provider certified it or, on our own letters, as the receipt names it.
    pub shop: String,
    /// What it says, or why it is not shown.
    pub text: Result<String, NotShown>,
}

impl<V: Vault> Wallet<V> {
    /// Payments that the user can ask about, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn receipts(&self) -> Result<Vec<ReceiptHeld>, WalletError> {
        let credits = self.credits()?;
        let found = self.device.vault.scan(Space::Charge, &[], usize::MAX)?;
        let cards = found.iter().filter_map(|(_, bytes)| Paying::from_bytes(bytes).ok());
        let mut all: Vec<ReceiptHeld> = credits.iter().filter_map(|paid| receipt_by_credit(self, paid)).collect();
        all.extend(cards.filter_map(|paid| receipt_by_card(self, &paid)));
        all.sort_by_key(|receipt| receipt.at);
        Ok(all)
    }

    /// Lets each merchant that was paid by credit write, and answer what it was asked about a card's receipt: it is reached by a
    /// key made for it alone. And tells again what was not answered. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`WalletError::Letters`]; what is stored is told again.
    pub fn be_reachable(&mut self, post: &mut dyn Post, now: Now) -> Result<(), WalletError> {
        let asked: Vec<Address> =
            self.device.letters()?.into_iter().filter_map(|kept| Some(kept.letter?.claimed().to.clone())).collect();
        for receipt in self.receipts()? {
            if receipt.name.offer.is_some() {
                self.reachable_for(post, &receipt, now)?;
            } else if asked.contains(&Address::Receipt(receipt.name.clone())) {
                match self.reachable_for(post, &receipt, now) {
                    // Its terminal has not sent its log yet, or it never was a receipt.
                    Err(LettersError::Refused(refused)) if refused.why == ProviderRefusal::Unknown => {}
                    told => told?,
                }
            }
        }
        self.device.mute_again(post, now)?;
        Ok(self.device.be_called_again(post, now)?)
    }

    fn reachable_for(&mut self, post: &mut dyn Post, receipt: &ReceiptHeld, now: Now) -> Result<(), LettersError> {
        let about = (receipt.merchant, &receipt.key_name);
        self.device.be_reachable(post, about, Some(receipt.name.clone()), now)
    }

    /// Writes to the merchant of a receipt. The letter is stored before it is sent, and sent until the provider has it.
    ///
    /// # Errors
    /// [`WalletError::Muted`], [`WalletError::Letters`].
    pub fn write(
        &mut self,
        post: &mut dyn Post,
        receipt: &ReceiptHeld,
        text: &str,
        now: Now,
    ) -> Result<LetterNumber, WalletError> {
        if is_muted(&self.device, receipt.merchant) {
            return Err(WalletError::Muted);
        }
        let to = Address::Receipt(receipt.name.clone());
        let writing = Writing { merchant: receipt.merchant, to, key: receipt.key, text };
        let number = self.device.write_letter(&writing, now)?;
        // The merchant answers to this key.
        self.reachable_for(post, receipt, now)?;
        self.device.send_letters(post, now)?;
        Ok(number)
    }

    /// Sends what waits, fetches what came, says what did not open.
    ///
    /// # Errors
    /// [`WalletError`]; what was stored stays.
    pub fn exchange_letters(&mut self, post: &mut dyn Post, now: Now) -> Result<(), WalletError> {
        self.update(post, now)?;
        let sent = self.device.send_letters(post, now);
        for read in self.letters(now)? {
            if read.text == Err(NotShown::Sealed) && !is_muted(&self.device, read.kept.merchant) {
                if let Some(receipt) = self.receipts()?.into_iter().find(|receipt| concerns(receipt, &read.kept)) {
                    self.reachable_for(post, &receipt, now)?;
                }
                self.device.say_unopened(post, &read.kept, now)?;
            }
        }
        Ok(sent?)
    }

    /// Every letter, opened, oldest first; those of muted merchants are left out.
    ///
    /// # Errors
    /// The vault or the keys cannot be read.
    pub fn letters(&mut self, now: Now) -> Result<Vec<Read>, WalletError> {
        let (anchors, _) = self.trusted()?;
        let purchases = self.receipts()?;
        let mut all = Vec::new();
        for kept in self.device.letters()? {
            let named = purchases.iter().find(|receipt| receipt.merchant == kept.merchant);
            let mut shop = named.map_or_else(|| kept.merchant.to_string(), |receipt| receipt.shop.clone());
            let text = match &kept.letter {
                Some(own) => Ok(own.claimed().text.clone()),
                None if is_muted(&self.device, kept.merchant) => continue,
                None => match self.opened(&kept)? {
                    None => Err(NotShown::Sealed),
                    Some(plain) => {
                        let read =
                            self.device.with_context(now, |context| from_merchant(&kept, &plain, &anchors, context));
                        read.map(|from| {
                            shop = from.shop;
                            from.text
                        })
                    }
                },
            };
            all.push(Read { kept, shop, text });
        }
        Ok(all)
    }

    fn opened(&mut self, kept: &KeptLetter) -> Result<Option<Vec<u8>>, LettersError> {
        match key_name(&self.device, &kept.to) {
            Some(name) => self.device.open_letter(kept, &name),
            None => Ok(None),
        }
    }

    /// Mutes a merchant, or wants its letters again.
    ///
    /// # Errors
    /// [`WalletError::Letters`]; it counts on this device all the same.
    pub fn mute(&mut self, post: &mut dyn Post, merchant: PartyId, muted: bool, now: Now) -> Result<(), WalletError> {
        Ok(self.device.mute(post, merchant, muted, now)?)
    }
}

impl Read {
    /// Whether it came.
    pub fn is_theirs(&self) -> bool {
        self.kept.whose() == Whose::Theirs
    }
    /// Whether the provider does not have it yet.
    pub fn waits(&self) -> bool {
        self.kept.state == LetterState::Waiting
    }
}

/// Whether a letter came to the key that is made for this receipt's merchant and card.
fn concerns(receipt: &ReceiptHeld, kept: &KeptLetter) -> bool {
    let same = match &kept.to {
        Address::Receipt(name) => *name == receipt.name,
        Address::Customer(_) => receipt.name.offer.is_some(),
    };
    receipt.merchant == kept.merchant && same
}

impl<V: Vault> Wallet<V> {
    /// Whether the user has muted this merchant.
    pub fn is_muted(&self, merchant: PartyId) -> bool {
        is_muted(self as &dyn Records, merchant)
    }
}

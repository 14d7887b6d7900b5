//! Paying by credit: a bank card named once, an offer at the counter, and the provider asked until it is known.

use crate::wallet::{Wallet, WalletError};
use tegata_core::record::Space;
use tegata_core::talk::credit::{
    CardDetails, CardExpiry, CardNumber, CreditAsk, CreditNotice, CreditPayer, Credited, PaymentOption,
};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Certificate, Role};
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Signed;
use tegata_core::{Hash, RequestNumber};
use tegata_crypto_native::seal_to;
use tegata_device::{Now, Post, ask};
use tegata_vault::Vault;
use zeroize::Zeroizing;

impl<V: Vault> Wallet<V> {
    /// Seals a bank card to the processor that this wallet's provider certifies. `certificate` is what the provider publishes.
    ///
    /// # Errors
    /// [`WalletError::NotTrusted`]: the provider did not certify that processor.
    pub fn seal_card(
        &self,
        certificate: &[u8],
        (number, expiry): (CardNumber, CardExpiry),
        now: Now,
    ) -> Result<Sealed, WalletError> {
        let (anchors, _) = self.trusted()?;
        let certificate = Signed::<Certificate>::decode(certificate).map_err(|_| WalletError::NotTrusted)?;
        let accepted = self
            .device
            .with_context(now, |context| anchors.accept(certificate, Role::Processor, context.now, context.verifier));
        let processor = accepted.map_err(|_| WalletError::NotTrusted)?;
        let sealing = processor.sealing.ok_or(WalletError::NotTrusted)?;
        let details = CardDetails { number, expiry, provider: anchors.provider, extensions: Default::default() };
        let plain = Zeroizing::new(details.to_bytes());
        let sealed = seal_to(now.entropy, processor.subject.party(), None, &sealing, &plain);
        Ok(sealed.map_err(|_| WalletError::NotTrusted)?.0)
    }

    /// Names the bank card to pay with, sealed to the processor: the provider carries what it cannot open. Asked again while
    /// [`CreditNotice::Waiting`]; a registration that was not answered is sent again as it is, whatever `card` is.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn register_card(&mut self, post: &mut dyn Post, card: Sealed, now: Now) -> Result<CreditNotice, WalletError> {
        let (anchors, key) = self.trusted()?;
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let talk = match CreditAsk::registering(&self.device) {
            Some(before) => CreditAsk::StoringRequest(before, anchors),
            None => CreditAsk::Register(card, wallet, key, anchors),
        };
        self.told(post, talk, now)
    }

    /// What the wallet pays with at the next touch: a key and a number made for this payment alone (R17).
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn credit_payer(&mut self, option: PaymentOption, now: Now) -> Result<CreditPayer, WalletError> {
        let (anchors, wallet_key) = self.trusted()?;
        let wallet = self.device.id().ok_or(WalletError::NotJoined)?;
        let drawn = |what: &[u8]| Hash::of(&[now.entropy.as_slice(), what].concat()).0;
        let key = self.device.ring.make(&mut self.device.vault, self.algorithm, &drawn(b"offer key"))?;
        let mut request = [0; 16];
        request.copy_from_slice(&drawn(b"credit request")[..16]);
        let request = RequestNumber(request);
        Ok(CreditPayer { wallet, wallet_key, key, request, option, anchors })
    }

    /// Asks the provider how a payment stands that the user agreed to.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn credit(
        &mut self,
        post: &mut dyn Post,
        request: RequestNumber,
        now: Now,
    ) -> Result<CreditNotice, WalletError> {
        let (anchors, _) = self.trusted()?;
        self.told(post, CreditAsk::Payment(request, anchors), now)
    }

    /// Every payment by credit that the user agreed to.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn credits(&self) -> Result<Vec<Credited>, WalletError> {
        let found = self.device.vault.scan(Space::Receipt, &[], usize::MAX)?;
        Ok(found.iter().filter_map(|(_, bytes)| Credited::from_bytes(bytes).ok()).collect())
    }

    fn told(&mut self, post: &mut dyn Post, talk: CreditAsk, now: Now) -> Result<CreditNotice, WalletError> {
        let notices = ask(&mut self.device, post, talk, now)?;
        match notices.into_iter().next_back() {
            Some(CreditNotice::NotAllowed(refused)) => Err(WalletError::Refused(refused.told())),
            Some(CreditNotice::NotTrusted) | None => Err(WalletError::NotTrusted),
            Some(CreditNotice::Failed(fault)) => Err(fault.into()),
            Some(notice) => Ok(notice),
        }
    }
}

//! Letters, as wallet and terminal both send and open them: a key that is told to the provider, a letter that is stored
//! before it is sealed, and whatever waits told again until it is known (R26).

use crate::asking::ask;
use crate::drive::{Device, Now};
use crate::post::{ExchangeError, Post};
use crate::request::RequestError;
use crate::ring::RingError;
use tegata_core::record::{Batch, Space};
use tegata_core::step::{Break, Fault, Records};
use tegata_core::talk::reach::{
    Address, CallAsk, CallNumber, Carry, Enclosed, KeptLetter, KeyAnswer, KeyAsk, Letter, LetterState, Mute, PhoneAt,
    Reachable, ReceiptName, Tell, TellNotice, Told, Unopened,
};
use tegata_core::talk::report::{ProviderRefusal, Refused};
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::{Certificate, Role};
use tegata_core::wire::signed::{PublicKey, Signed, Unsigned, Verified};
use tegata_core::{DeviceId, Hash, LetterNumber, PartyId, Time};
use tegata_crypto_native::{SealError, open, seal_to};
use tegata_vault::{Vault, VaultError};

/// For how many seconds a letter is told again to a provider that began a new epoch: backups are younger.
const TOLD_AGAIN: u64 = 30 * Time::DAY;

/// Why a letter did not go out or come in. What is stored stays, and is told again.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// Not joined, or locked.
    #[error("this device has not joined a provider yet, or its keys are locked")]
    NotJoined,
    /// The text is empty, too long or unreadable.
    #[error("a letter is a text of 1 to 300 bytes on one line, without control characters; change it")]
    Text,
    /// The provider said no.
    #[error("the provider refused: {}", .0.told())]
    Refused(Refused),
    /// The answer is not the provider's.
    #[error("the answer is not by the provider, or not to this request; nothing was changed")]
    NotTrusted,
    /// The key that the provider named is none.
    #[error("the provider named a key that cannot be sealed to: {0}")]
    Seal(#[from] SealError),
    /// Keys.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl From<RequestError> for LettersError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NotJoined => Self::NotJoined,
            RequestError::Refused(refused) => Self::Refused(refused),
            RequestError::NotTrusted => Self::NotTrusted,
            RequestError::Exchange(error) => Self::Exchange(error),
        }
    }
}

/// A letter to be written.
#[derive(Clone, Debug)]
pub struct Writing<'a> {
    /// The merchant on either side.
    pub merchant: PartyId,
    /// To whom.
    pub to: Address,
    /// The key that signs it: the terminal's, or the payment's.
    pub key: PublicKey,
    /// What it says.
    pub text: &'a str,
}

impl<V: Vault> Device<V> {
    /// Stores a letter, signed; [`Device::send_letters`] sends it, now and until the provider has it.
    ///
    /// # Errors
    /// [`LettersError::Text`] and others; nothing was stored.
    pub fn write_letter(&mut self, writing: &Writing<'_>, now: Now) -> Result<LetterNumber, LettersError> {
        let text = writing.text.to_owned();
        if text.trim().is_empty() || String::from_bytes(&text.to_bytes()).is_err() {
            return Err(LettersError::Text);
        }
        let mut number = [0; 16];
        number.copy_from_slice(&Hash::of(&[now.entropy.as_slice(), b"letter"].concat()).0[..16]);
        let number = LetterNumber(number);
        let letter = Letter { to: writing.to.clone(), number, text, at: now.time, extensions: Default::default() };
        let letter = Unsigned::new(letter, writing.key.algorithm());
        let signature = self.ring.sign(&writing.key, &letter.tbs(&[])).ok_or(LettersError::NotJoined)?;
        let kept = KeptLetter::written(writing.merchant, letter.sign(signature), now.time);
        let mut batch = Batch::default();
        batch.replace(KeptLetter::key(kept.whose(), kept.merchant, number), None, kept.to_bytes());
        self.vault.commit(&batch)?;
        Ok(number)
    }

    /// Sends what waits: each letter as the same bytes until the provider has it, sealed anew only where it has said that the
    /// one before could not be opened. What the provider had in an earlier epoch it is told again (R15).
    ///
    /// # Errors
    /// The first that went wrong; the others were sent all the same, unless the provider is away.
    pub fn send_letters(&mut self, post: &mut dyn Post, now: Now) -> Result<(), LettersError> {
        let epoch = self.anchors().ok_or(LettersError::NotJoined)?.epoch;
        let mut failed = Ok(());
        let mut drawn = now;
        for kept in self.letters()? {
            drawn.entropy = Hash::of(&drawn.entropy).0;
            let young = now.time.since(kept.at) < TOLD_AGAIN;
            let lost = kept.state == LetterState::Sent && kept.epoch != Some(epoch) && young;
            if kept.state != LetterState::Waiting && !lost {
                continue;
            }
            match self.send_letter(post, &kept, drawn) {
                Err(away @ LettersError::Exchange(_)) => return Err(away),
                Err(error) => failed = failed.and(Err(error)),
                Ok(()) => {}
            }
        }
        failed
    }

    fn send_letter(&mut self, post: &mut dyn Post, kept: &KeptLetter, now: Now) -> Result<(), LettersError> {
        if let Some(carry) = &kept.carry {
            if self.broken.has(Break::LetterUnderNewNumber)
                && let Some(again) = self.write_again(kept, carry, now)?
            {
                return self.send_letter(post, &again, now);
            }
            return self.tell_again(post, carry.clone(), now);
        }
        let device = self.id().ok_or(LettersError::NotJoined)?;
        let to = kept.to.clone();
        let letter = kept.letter.clone().ok_or(Fault::Storage)?;
        let ask = KeyAsk { device, to: to.clone(), extensions: Default::default() };
        let answer: Result<Verified<KeyAnswer>, _> = self.signed(ask).and_then(|ask| self.request(post, &ask, now));
        let answer = match answer {
            Err(RequestError::Refused(refused)) if !refused.why.is_transient() && !self.may_become_known(&refused) => {
                let refused_for_good = KeptLetter { state: LetterState::Refused, ..kept.clone() };
                let mut batch = Batch::default();
                refused_for_good.replace(kept, &mut batch);
                self.vault.commit(&batch)?;
                return Err(LettersError::Refused(refused));
            }
            answer => answer?,
        };
        let certificate = self.certificate().filter(|own| own.claimed().role == Role::Terminal);
        let plain = Enclosed { letter, certificate, extensions: Default::default() }.to_bytes();
        let entropy = Hash::of(&[now.entropy.as_slice(), b"seal"].concat()).0;
        let (sealed, _) = seal_to(entropy, to.addressee(), None, &answer.sealing, &plain)?;
        let carry = Carry { device, to, number: kept.number, sealed, extensions: Default::default() };
        self.tell(post, carry, now)
    }

    /// Only for [`Break::LetterUnderNewNumber`]: a terminal's letter takes the place of the one before.
    fn write_again(
        &mut self,
        kept: &KeptLetter,
        carry: &Signed<Carry>,
        now: Now,
    ) -> Result<Option<KeptLetter>, LettersError> {
        let terminal = self.certificate().is_some_and(|own| own.claimed().role == Role::Terminal);
        let (true, Some(key), Some(letter)) = (terminal, self.key(), &kept.letter) else {
            return Ok(None);
        };
        let (merchant, text) = (kept.merchant, letter.claimed().text.clone());
        let number = self.write_letter(&Writing { merchant, to: kept.to.clone(), key, text: &text }, now)?;
        let mut batch = Batch::default();
        batch.remove(KeptLetter::key(kept.whose(), merchant, kept.number));
        batch.remove(carry.claimed().pending());
        self.vault.commit(&batch)?;
        Ok(KeptLetter::load(self, kept.whose(), merchant, number))
    }

    /// A receipt of this wallet is unknown until its terminal has sent its log, and said to which key letters to it are sealed.
    fn may_become_known(&self, refused: &Refused) -> bool {
        let wallet = self.certificate().is_some_and(|own| own.claimed().role == Role::Wallet);
        wallet && refused.why == ProviderRefusal::Unknown
    }

    /// Every letter in the vault, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn letters(&self) -> Result<Vec<KeptLetter>, VaultError> {
        let found = self.vault.scan(Space::Letter, &[], usize::MAX)?;
        let mut all: Vec<_> = found.iter().filter_map(|(_, bytes)| KeptLetter::from_bytes(bytes).ok()).collect();
        all.sort_by_key(|kept| kept.at);
        Ok(all)
    }

    /// What is in the envelope of a letter that came; `None` if it does not open with this key.
    ///
    /// # Errors
    /// [`LettersError::Ring`].
    pub fn open_letter(&mut self, kept: &KeptLetter, name: &[u8; 16]) -> Result<Option<Vec<u8>>, LettersError> {
        let Some(sealed) = kept.sealed.as_ref().filter(|sealed| sealed.addressee == kept.to.addressee()) else {
            return Ok(None);
        };
        let secret = self.ring.reach(&mut self.vault, kept.merchant, name)?;
        Ok(open(&secret, sealed).ok().map(|(plain, _)| plain))
    }

    /// Tells the provider to which key letters are sealed that concern this merchant, unless it knows: the same in every epoch
    /// once (R15).
    ///
    /// # Errors
    /// [`LettersError`]; told again the next time.
    pub fn be_reachable(
        &mut self,
        post: &mut dyn Post,
        (merchant, name): (PartyId, &[u8; 16]),
        receipt: Option<ReceiptName>,
        now: Now,
    ) -> Result<(), LettersError> {
        let (device, anchors) = self.id().zip(self.anchors()).ok_or(LettersError::NotJoined)?;
        let sealing = self.ring.reach(&mut self.vault, merchant, name)?.public();
        let known = self.get(&Reachable::known_key(&sealing.0));
        let known = known.and_then(|bytes| Signed::<Reachable>::decode(&bytes).ok());
        if known.as_ref().is_some_and(|known| known.claimed().epoch == anchors.epoch) {
            return Ok(());
        }
        let epoch = anchors.epoch;
        let mut body = Reachable { device, receipt, sealing, epoch, at: now.time, extensions: Default::default() };
        let waits = self.waiting::<Reachable>(&body)?;
        let before = known.iter().chain(&waits).map(|before| before.claimed().at).max();
        body.at = later(now.time, before);
        // One that names another receipt may wait for ever: that receipt may be none in the end.
        let same = |waits: &Signed<Reachable>| {
            (waits.claimed().epoch, &waits.claimed().receipt) == (body.epoch, &body.receipt)
        };
        match waits.filter(same) {
            Some(waits) => self.tell_again(post, waits, now),
            None => self.tell(post, body, now),
        }
    }

    /// Says that a letter that came does not open, once for each envelope.
    ///
    /// # Errors
    /// [`LettersError`].
    pub fn say_unopened(&mut self, post: &mut dyn Post, kept: &KeptLetter, now: Now) -> Result<(), LettersError> {
        let device = self.id().ok_or(LettersError::NotJoined)?;
        let body = Unopened { device, merchant: kept.merchant, number: kept.number, extensions: Default::default() };
        match self.waiting(&body)? {
            Some(waits) => self.tell_again(post, waits, now),
            None if kept.state == LetterState::Unopened => Ok(()),
            None => self.tell(post, body, now),
        }
    }

    /// Mutes a merchant or wants its letters again. It counts on this device from now on, and at the provider as soon as that
    /// hears it.
    ///
    /// # Errors
    /// [`LettersError`].
    pub fn mute(&mut self, post: &mut dyn Post, merchant: PartyId, muted: bool, now: Now) -> Result<(), LettersError> {
        let (wallet, anchors) = self.id().zip(self.anchors()).ok_or(LettersError::NotJoined)?;
        let before = tegata_core::talk::reach::mute(self, merchant);
        let at = later(now.time, before.map(|before| before.claimed().at));
        let epoch = anchors.epoch;
        self.tell(post, Mute { wallet, merchant, muted, epoch, at, extensions: Default::default() }, now)
    }

    /// Tells again what the provider has not answered, or heard in an earlier epoch, about muted merchants.
    ///
    /// # Errors
    /// [`LettersError`].
    pub fn mute_again(&mut self, post: &mut dyn Post, now: Now) -> Result<(), LettersError> {
        let epoch = self.anchors().ok_or(LettersError::NotJoined)?.epoch;
        for (_, bytes) in self.vault.scan(Space::Device, b"mute ", usize::MAX)? {
            let Ok(said) = Signed::<Mute>::decode(&bytes) else {
                continue;
            };
            let (merchant, muted, heard) = (said.claimed().merchant, said.claimed().muted, said.claimed().epoch);
            if heard != epoch {
                self.mute(post, merchant, muted, now)?;
            } else if let Some(waits) = self.waiting(said.claimed())? {
                self.tell_again(post, waits, now)?;
            }
        }
        Ok(())
    }

    /// Says where this device is called from now on: a phone at a switch; `None`: nowhere.
    ///
    /// # Errors
    /// [`LettersError`]; what is stored is told again.
    pub fn be_called_at(
        &mut self,
        post: &mut dyn Post,
        at: Option<(DeviceId, String)>,
        now: Now,
    ) -> Result<(), LettersError> {
        let (device, anchors) = self.id().zip(self.anchors()).ok_or(LettersError::NotJoined)?;
        let before = self.called_at()?.map(|before| before.claimed().at);
        let (switch, phone) = at.unzip();
        let (epoch, at) = (anchors.epoch, later(now.time, before));
        self.tell(post, PhoneAt { device, switch, phone, epoch, at, extensions: Default::default() }, now)
    }

    /// What this device has said last about where it is called.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn called_at(&self) -> Result<Option<Signed<PhoneAt>>, VaultError> {
        Ok(self.vault.get(&PhoneAt::own_key())?.and_then(|bytes| Signed::decode(&bytes).ok()))
    }

    /// Tells again what the provider has not answered, or heard in an earlier epoch, about where this device is called.
    ///
    /// # Errors
    /// [`LettersError`].
    pub fn be_called_again(&mut self, post: &mut dyn Post, now: Now) -> Result<(), LettersError> {
        let epoch = self.anchors().ok_or(LettersError::NotJoined)?.epoch;
        let Some(said) = self.called_at()? else {
            return Ok(());
        };
        let PhoneAt { switch, phone, epoch: heard, .. } = said.claimed().clone();
        let told = match self.waiting(said.claimed())? {
            _ if heard != epoch => self.be_called_at(post, switch.zip(phone), now),
            Some(waits) => self.tell_again(post, waits, now),
            None => Ok(()),
        };
        match told {
            // A provider put back from a backup may have forgotten that switch: nobody is called there, and all else goes on.
            Err(LettersError::Refused(refused)) if !refused.why.is_transient() => Ok(()),
            told => told,
        }
    }

    /// Asks for a number by which this address is called.
    ///
    /// # Errors
    /// [`LettersError`].
    pub fn ask_to_call(&mut self, post: &mut dyn Post, to: Address, now: Now) -> Result<CallNumber, LettersError> {
        let device = self.id().ok_or(LettersError::NotJoined)?;
        let ask = self.signed(CallAsk { device, to, at: now.time, extensions: Default::default() })?;
        let answer: Verified<CallNumber> = self.request(post, &ask, now)?;
        Ok((*answer).clone())
    }

    /// The request of this name that waits for its answer.
    fn waiting<T: Told>(&self, like: &T) -> Result<Option<Signed<T>>, VaultError> {
        Ok(self.vault.get(&like.pending())?.and_then(|bytes| Signed::decode(&bytes).ok()))
    }

    fn tell<T: Told + Message>(&mut self, post: &mut dyn Post, body: T, now: Now) -> Result<(), LettersError> {
        let (anchors, key) = self.anchors().zip(self.key()).ok_or(LettersError::NotJoined)?;
        told(ask(self, post, Tell::Start(body, key, anchors), now)?)
    }

    fn tell_again<T: Told>(&mut self, post: &mut dyn Post, signed: Signed<T>, now: Now) -> Result<(), LettersError> {
        let anchors = self.anchors().ok_or(LettersError::NotJoined)?;
        told(ask(self, post, Tell::Again(signed, anchors), now)?)
    }

    /// The merchant that this terminal belongs to.
    pub fn owner(&self) -> Option<PartyId> {
        self.certificate().and_then(|own: Signed<Certificate>| own.claimed().owner)
    }
}

/// Now, or right after what was said before: the newest counts.
fn later(now: Time, before: Option<Time>) -> Time {
    before.map_or(now, |before| now.max(before.after(1)))
}

fn told(notices: Vec<TellNotice>) -> Result<(), LettersError> {
    match notices.into_iter().next_back() {
        Some(TellNotice::Done) => Ok(()),
        Some(TellNotice::Refused(refused)) => Err(LettersError::Refused(refused)),
        Some(TellNotice::Failed(fault)) => Err(fault.into()),
        Some(TellNotice::NotTrusted) | None => Err(LettersError::NotTrusted),
    }
}

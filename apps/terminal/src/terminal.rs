//! A terminal over its vault: what it can do, whoever asks.

use tegata_core::record::Space;
use tegata_core::step::{Event, Fault, Records};
use tegata_core::talk::cards::{Activate, Done};
use tegata_core::talk::journal::{Journal, LogEntry};
use tegata_core::talk::pay::{Claim, ClaimState, EndNotice, EndOfClaim, MAX_ITEMS, Sale, TerminalNotice, Till};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, CardId, CustomerNumber, DeviceId, Handle, IssuerId, Time};
use tegata_device::{
    Device, Now, Out, Post, RequestError, Summary, Talking, TapError, TapStep, TerminalTap, UpdateError, update,
};
use tegata_vault::{Vault, VaultError};

/// Seconds a charge stays open at a counter unless said otherwise.
const CHARGE_VALID_FOR: u64 = 300;

/// Why the terminal did not do it.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// Not joined.
    #[error("this terminal has not joined a provider yet; ask its operator for a token and join")]
    NotJoined,
    /// No terms.
    #[error("this terminal knows no cards that it may accept; update it")]
    NotEquipped,
    /// The text is too long.
    #[error("the items' text is longer than {MAX_ITEMS} bytes; shorten it")]
    ItemsTooLong,
    /// The text holds control characters.
    #[error("the items' text holds characters that cannot be shown; use letters, digits and signs")]
    ItemsUnreadable,
    /// Zero.
    #[error("an amount of zero cannot be charged; name what the customer shall pay")]
    Zero,
    /// The charge could not be ended as asked.
    #[error("{0}")]
    Ending(String),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] Fault),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The link failed.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// The update did not come to its end.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The provider did not answer.
    #[error(transparent)]
    Exchange(tegata_device::ExchangeError),
    /// A letter did not go out or come in.
    #[error(transparent)]
    Letters(Box<tegata_device::LettersError>),
    /// The provider did not do what was asked.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// A charge as it is listed.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Its number.
    pub transaction: u64,
    /// Where it stands.
    pub state: ClaimState,
    /// How much.
    pub amount: Amount,
    /// When.
    pub at: Time,
    /// What for.
    pub items: Option<String>,
    /// The card that paid.
    pub card: Option<CardId>,
    /// By credit, once it is cleared: the customer.
    pub customer: Option<CustomerNumber>,
    /// What names the receipt: the first digits of the charge's hash.
    pub receipt: Handle,
}

/// An entry of the log with its number.
pub type Numbered = (u64, LogEntry);

/// A terminal.
pub struct Terminal<V> {
    /// Its records and keys.
    pub device: Device<V>,
}

impl<V: Vault> Terminal<V> {
    /// Over this device.
    pub fn new(device: Device<V>) -> Self {
        Self { device }
    }

    /// What is to be charged, with everything the conversation needs.
    ///
    /// # Errors
    /// [`TerminalError`]: not joined, not equipped, nothing to charge.
    pub fn sale(&self, amount: Amount, items: Option<String>) -> Result<Sale, TerminalError> {
        if amount.is_zero() {
            return Err(TerminalError::Zero);
        }
        if items.as_ref().is_some_and(|items| items.len() > MAX_ITEMS) {
            return Err(TerminalError::ItemsTooLong);
        }
        // What no wallet could show its user is refused here, not there.
        if items.as_ref().is_some_and(|items| String::from_bytes(&items.to_bytes()).is_err()) {
            return Err(TerminalError::ItemsUnreadable);
        }
        let certificate = self.device.certificate().ok_or(TerminalError::NotJoined)?;
        let anchors = self.device.anchors().ok_or(TerminalError::NotJoined)?;
        let found = self.device.vault.scan(Space::Terms, &[], usize::MAX)?;
        let terms: Vec<_> = found.iter().filter_map(|(_, bytes)| Wire::from_bytes(bytes).ok()).collect();
        if terms.is_empty() {
            return Err(TerminalError::NotEquipped);
        }
        Ok(Sale { amount, items, valid_for: CHARGE_VALID_FOR, certificate, anchors, terms })
    }

    /// Starts a tap that charges this; an older charge that is still open is closed first (R8).
    ///
    /// # Errors
    /// [`TerminalError`].
    pub fn tap(&mut self, sale: Sale, now: Now) -> Result<TerminalTap, TerminalError> {
        self.close_open(now)?;
        Ok(TerminalTap::new(sale))
    }

    /// Hands a frame to a tap.
    ///
    /// # Errors
    /// [`TerminalError::Tap`].
    pub fn receive(
        &mut self,
        tap: &mut TerminalTap,
        frame: &[u8],
        now: Now,
    ) -> Result<TapStep<TerminalNotice>, TerminalError> {
        Ok(tap.receive(frame, now, &mut self.device)?)
    }

    /// Closes the charge that is open, if one is: before the next sale, on restart, at its expiry, before an upload (R8).
    ///
    /// # Errors
    /// [`TerminalError`].
    pub fn close_open(&mut self, now: Now) -> Result<Option<u64>, TerminalError> {
        let (till, _) = Till::load(&self.device);
        match till.open {
            Some(transaction) => {
                self.end(transaction, false, now)?;
                Ok(Some(transaction))
            }
            None => Ok(None),
        }
    }

    /// Undoes a paid charge: the wallet gets the money at its next touch here, or with its next update.
    ///
    /// # Errors
    /// [`TerminalError::Ending`]: unknown, or ended before.
    pub fn void(&mut self, transaction: u64, now: Now) -> Result<Amount, TerminalError> {
        match self.end(transaction, true, now)? {
            EndNotice::Voided { amount, .. } => Ok(amount),
            other => Err(ending(transaction, &other)),
        }
    }

    fn end(&mut self, transaction: u64, void: bool, now: Now) -> Result<EndNotice, TerminalError> {
        let (terminal, key) = self.device.id().zip(self.device.key()).ok_or(TerminalError::NotJoined)?;
        let mut talking = Talking::new(EndOfClaim::Start { transaction, terminal, key, void });
        let notice = talking.deliver(Event::Tick, now, &mut self.device).into_iter().find_map(|out| match out {
            Out::Show(notice) => Some(notice),
            _ => None,
        });
        match notice {
            Some(EndNotice::Failed(fault)) => Err(fault.into()),
            Some(notice @ (EndNotice::Closed { .. } | EndNotice::Voided { .. })) => Ok(notice),
            Some(other) => Err(ending(transaction, &other)),
            None => Err(Fault::Storage.into()),
        }
    }

    /// Sends the log, receives commands. Open charges are closed first, so that none stays open (R8).
    ///
    /// # Errors
    /// [`TerminalError`].
    pub fn update(&mut self, post: &mut dyn Post, now: Now) -> Result<Summary, TerminalError> {
        self.close_open(now)?;
        let summary = update(&mut self.device, post, now)?;
        // Letters are no part of an update: where they do not go out, the next one tries again, and `exchange_letters` says why.
        let _ = self.be_reachable(post, now);
        let _ = self.device.send_letters(post, now);
        Ok(summary)
    }

    /// Every charge, newest last.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn payments(&self) -> Result<Vec<Payment>, TerminalError> {
        let machine = self.device.id().unwrap_or(DeviceId([0; 16]));
        let found = self.device.vault.scan(Space::Charge, &[], usize::MAX)?;
        Ok(found
            .iter()
            .filter_map(|(_, bytes)| Claim::from_bytes(bytes).ok())
            .map(|claim| listed(&claim, machine))
            .collect())
    }

    /// One charge with everything that proves it.
    pub fn claim(&self, transaction: u64) -> Option<Claim> {
        Claim::load(&self.device, transaction)
    }

    /// The log, oldest first, with each entry's number; and where it stands.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn journal(&self) -> Result<(Option<Journal>, Vec<Numbered>), TerminalError> {
        let found = self.device.vault.scan(Space::Log, &[], usize::MAX)?;
        let entries = found.iter().filter_map(|(name, bytes)| {
            let number = u64::from_be_bytes(name.as_slice().try_into().ok()?);
            Some((number, LogEntry::from_bytes(bytes).ok()?))
        });
        Ok((Journal::load(&self.device), entries.collect()))
    }

    /// Activates numbers that this till has sold (R18); gives the signed slip, which also works without the provider.
    ///
    /// # Errors
    /// [`TerminalError::NotJoined`].
    pub fn slip(
        &self,
        issuer: IssuerId,
        batch: u64,
        serials: (u64, u64),
        at: Time,
    ) -> Result<Signed<Activate>, TerminalError> {
        let (first, last) = serials;
        let till = self.device.id();
        Ok(self.device.signed(Activate { issuer, batch, first, last, at, till, extensions: Default::default() })?)
    }

    /// Sends a slip to the provider: the numbers are value from now on.
    ///
    /// # Errors
    /// [`TerminalError::Request`].
    pub fn activate(&mut self, post: &mut dyn Post, slip: &Signed<Activate>, now: Now) -> Result<(), TerminalError> {
        let _: Verified<Done> = self.device.request(post, slip, now)?;
        Ok(())
    }
}

fn listed(claim: &Claim, machine: DeviceId) -> Payment {
    let charge = claim.charge.claimed();
    Payment {
        transaction: charge.transaction,
        state: claim.state,
        amount: charge.amount,
        at: charge.at,
        items: charge.items.clone(),
        card: claim.card,
        customer: claim.notification.as_ref().map(|told| told.claimed().customer),
        receipt: claim.receipt_name(machine).handle(),
    }
}

fn ending(transaction: u64, notice: &EndNotice) -> TerminalError {
    TerminalError::Ending(match notice {
        EndNotice::Unknown => format!("there is no charge {transaction}; `payments` lists them"),
        EndNotice::EndedBefore(ClaimState::Clearing) => format!(
            "charge {transaction} is being cleared by credit: only the provider's answer ends it; ask again for it"
        ),
        EndNotice::EndedBefore(state) => {
            format!("charge {transaction} had ended before ({}); nothing was changed", state.name().to_lowercase())
        }
        _ => format!("charge {transaction} could not be ended"),
    })
}

impl<V: Vault> Records for Terminal<V> {
    fn get(&self, key: &tegata_core::record::RecordKey) -> Option<Vec<u8>> {
        self.device.get(key)
    }
}

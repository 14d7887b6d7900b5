//! Taking credit: the provider is asked for each charge that a wallet answered by an offer, until it is known.

use crate::terminal::{Terminal, TerminalError};
use tegata_core::record::Space;
use tegata_core::talk::credit::{Asking, ClaimNotice, CreditClaim};
use tegata_core::talk::pay::{Claim, ClaimState};
use tegata_core::wire::canonical::Wire;
use tegata_device::{Now, Post, ask};
use tegata_vault::Vault;

impl<V: Vault> Terminal<V> {
    /// Goes on with a charge by credit, by whatever comes next; goods only on [`ClaimNotice::Paid`]. Asked again while
    /// [`ClaimNotice::Waiting`]. A charge that ends without a payment is closed here (R7).
    ///
    /// # Errors
    /// [`TerminalError`].
    pub fn credit(&mut self, post: &mut dyn Post, transaction: u64, now: Now) -> Result<ClaimNotice, TerminalError> {
        let certificate = self.device.certificate().ok_or(TerminalError::NotJoined)?;
        let (machine, key) = self.device.id().zip(self.device.key()).ok_or(TerminalError::NotJoined)?;
        let merchant = certificate.claimed().owner.ok_or(TerminalError::NotJoined)?;
        let anchors = self.device.anchors().ok_or(TerminalError::NotJoined)?;
        let asking = Asking { machine, merchant, key, anchors, sales: None };
        let notices = ask(&mut self.device, post, CreditClaim::Start(asking, transaction), now);
        let notice = notices.map_err(TerminalError::Exchange)?.into_iter().next_back();
        match notice {
            Some(ClaimNotice::Failed(fault)) => Err(fault.into()),
            Some(notice) => Ok(notice),
            None => Ok(ClaimNotice::NotTrusted),
        }
    }

    /// Charges by credit whose clearing was asked for and is not known: ask again for each (R26).
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn clearing(&self) -> Result<Vec<u64>, TerminalError> {
        let found = self.device.vault.scan(Space::Charge, &[], usize::MAX)?;
        let claims = found.iter().filter_map(|(_, bytes)| Claim::from_bytes(bytes).ok());
        let open = claims.filter(|claim| claim.state == ClaimState::Clearing);
        Ok(open.map(|claim| claim.charge.claimed().transaction).collect())
    }
}

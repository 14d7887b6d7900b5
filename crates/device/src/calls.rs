//! Calls that a wallet was in when it went down: they end before anything else is done with their cards.

use crate::drive::{Device, Now, Out, Talking};
use tegata_core::record::Space;
use tegata_core::step::{Event, Fault};
use tegata_core::talk::call::{Calling, CallingState, EndNotice, HangUp};
use tegata_core::wire::canonical::Wire;
use tegata_vault::Vault;

/// Ends the calls in this wallet's records that it takes no part in any more; says how many (R8).
///
/// # Errors
/// [`Fault`]: the device itself failed.
pub fn hang_up_all<V: Vault>(device: &mut Device<V>, now: Now) -> Result<usize, Fault> {
    let found = device.vault.scan(Space::Call, &[], usize::MAX).map_err(|error| error.fault())?;
    let calls = found.iter().filter_map(|(_, bytes)| Calling::from_bytes(bytes).ok());
    let open: Vec<Calling> = calls.filter(|calling| calling.state == CallingState::Open).collect();
    for calling in &open {
        let (switch, transaction) = (calling.switch, calling.tariff.claimed().transaction);
        let mut talking = Talking::new(HangUp::Start { switch, transaction });
        for out in talking.deliver(Event::Tick, now, device) {
            if let Out::Show(EndNotice::Failed(fault)) = out {
                return Err(fault);
            }
        }
    }
    Ok(open.len())
}

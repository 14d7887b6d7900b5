//! What a dishonest holder of a device does with its records and keys, and what a newer version of a device says.

use crate::post::Center;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::step::Records;
use tegata_core::talk::cards::{Activate, CardNotice, CardRequest, InstallRequest, Wanted};
use tegata_core::talk::enter::Pass;
use tegata_core::talk::journal::{EntryKind, Journal, LogEntry};
use tegata_core::talk::pay::{Charge, Claim, ClaimState, Till, load_purse};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{Amount, CardId, Hash};
use tegata_device::{Device, Now, ask};
use tegata_vault::{Faults, SimulatedVault, Vault};
use tegata_wallet::Wallet;

/// Installs as a newer wallet does, with a field that nobody here knows (R4).
///
/// # Errors
/// In words.
pub fn install_newer(
    wallet: &mut Wallet<SimulatedVault>,
    center: &mut Center,
    number: &str,
    slip: Option<Signed<Activate>>,
    now: Now,
) -> Result<CardId, String> {
    let device = &mut wallet.device;
    let known = device.id().zip(device.anchors()).zip(device.key());
    let ((id, anchors), own) = known.ok_or("the device is off")?;
    let seed = Hash::of(&now.entropy).0;
    let key = device.ring.make(&mut device.vault, Algorithm::Ed25519, &seed).map_err(|error| error.to_string())?;
    let number = number.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut request = InstallRequest { wallet: id, number, key, slip, extensions: Default::default() };
    request.extensions.push(128, vec![0x18, 0x2a]);
    let talk = CardRequest::Start(Wanted::Install(request), anchors, own);
    let notices = ask(device, center, talk, now).map_err(|error| error.to_string())?;
    match notices.into_iter().next() {
        Some(CardNotice::Installed { card, .. }) => Ok(card),
        other => Err(format!("{other:?}")),
    }
}

fn entries(device: &Device<SimulatedVault>, journal: &Journal) -> Vec<(u64, LogEntry, Vec<u8>)> {
    (journal.acknowledged + 1..=journal.number)
        .filter_map(|number| {
            let bytes = device.get(&RecordKey::numbered(Space::Log, number))?;
            Some((number, LogEntry::from_bytes(&bytes).ok()?, bytes))
        })
        .collect()
}

fn check_of(device: &Device<SimulatedVault>, entry: &LogEntry) -> Option<Hash> {
    Claim::load(device, entry.transaction)?.check_hash(device.id()?)
}

/// Changes records behind the program's back. Whoever does that chooses the moment: power does not fail in it, or the
/// town would not know whether it happened.
fn touch(device: &mut Device<SimulatedVault>, batch: &Batch) -> Option<()> {
    let planned = device.vault.set_faults(Faults::none());
    let done = device.vault.commit(batch);
    device.vault.set_faults(planned);
    done.ok()
}

/// Forgets the last claim that nobody has seen, and mends the chain. Says whose check it was.
pub fn drop_last_claim(device: &mut Device<SimulatedVault>) -> Option<Hash> {
    let journal = Journal::load(device)?;
    let entries = entries(device, &journal);
    let (number, last, _) = entries.last().filter(|(_, entry, _)| entry.kind == EntryKind::Paid)?;
    let check = check_of(device, last)?;
    let kept = entries.iter().filter(|(at, ..)| at != number);
    let head = kept.fold(journal.acknowledged_head, |head, (_, _, bytes)| head.chain(bytes));
    let mut batch = Batch::default();
    batch.remove(RecordKey::numbered(Space::Log, *number));
    batch.put(Journal::key(), Journal { number: number - 1, head, ..journal }.to_bytes());
    touch(device, &batch)?;
    Some(check)
}

/// Claims the last claimed check once more, as the next entry. Says which check.
pub fn claim_again(device: &mut Device<SimulatedVault>) -> Option<Hash> {
    let journal = Journal::load(device)?;
    let entries = entries(device, &journal);
    let (_, last, _) = entries.iter().rev().find(|(_, entry, _)| entry.kind == EntryKind::Paid)?;
    let check = check_of(device, last)?;
    let mut batch = Batch::default();
    journal.append(std::slice::from_ref(last), &mut batch);
    touch(device, &batch)?;
    Some(check)
}

/// Forgets that a charge is open, so that it is never closed.
pub fn never_close(device: &mut Device<SimulatedVault>) -> Option<u64> {
    let (till, _) = Till::load(device);
    let open = till.open?;
    let mut batch = Batch::default();
    batch.put(Till::key(), Till { open: None, ..till }.to_bytes());
    touch(device, &batch)?;
    Some(open)
}

/// Says to have heard an epoch of the provider that there is not (R15).
pub fn be_ahead(device: &mut Device<SimulatedVault>, epoch: u64) -> Option<()> {
    let journal = Journal::load(device)?;
    let mut batch = Batch::default();
    batch.put(Journal::key(), Journal { epoch: epoch.max(journal.epoch) + 1, ..journal }.to_bytes());
    touch(device, &batch)
}

/// Charges more than the user saw: the charge is made again for more, under the same number and in the same session.
pub fn overcharge(device: &mut Device<SimulatedVault>, transaction: u64) -> Option<u64> {
    let claim = Claim::load(device, transaction).filter(|claim| claim.state == ClaimState::Open)?;
    let said = claim.charge.claimed();
    let amount = Amount::new(said.amount.unit(), said.amount.minor() + 700)?;
    let (id, key) = device.id().zip(device.key())?;
    let charge = Unsigned::new(Charge { amount, ..said.clone() }, key.algorithm());
    let signature = device.ring.sign(&key, &charge.tbs(&Charge::context(&claim.session, id)))?;
    let mut batch = Batch::default();
    batch.put(Claim::key(transaction), Claim { charge: charge.sign(signature), ..claim }.to_bytes());
    touch(device, &batch)?;
    Some(amount.minor())
}

/// Whoever holds a ticket, or has given it away, says that it has come in by one entry more than it has, and gone out again.
pub fn count_up(device: &mut Device<SimulatedVault>, card: CardId, zone: u64) -> Option<()> {
    let (pass, stored) = Pass::load(device, &load_purse(device, card)?, zone);
    let after = Pass { entry: pass.entry + 1, inside: false, attempts: Vec::new(), ..pass };
    let mut batch = Batch::default();
    batch.replace(Pass::key(card, zone), stored, after.to_bytes());
    touch(device, &batch)
}

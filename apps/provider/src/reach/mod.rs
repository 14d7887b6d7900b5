//! Letters between merchants and users (flow 21): the provider knows both sides of a receipt and of a customer number, and
//! carries what it cannot open. What a muted merchant writes is answered, counted and kept like any letter, without its body:
//! nobody but the user can tell.

mod call;

use crate::credit::customer_number;
use crate::desk::{Desk, Failure};
pub(crate) use call::{ask, phone_at};
use tegata_core::step::Break;
use tegata_core::talk::cards::Done;
use tegata_core::talk::reach::{Address, Carry, Delivery, KeyAnswer, KeyAsk, Mute, Reachable, ReceiptName, Unopened};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::talk::update::{Command, CommandKind};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::certificate::{Role, Subject};
use tegata_core::wire::sealed::Profile;
use tegata_core::wire::signed::Verified;
use tegata_core::{DeviceId, Hash, MerchantId, Time, WalletId};
use tegata_store::{LetterRow, LetterState, ReachRow, Side};

/// How many letters one merchant may write to one user in a day, and that user to it.
pub(crate) const LETTERS: u64 = 20;
/// How often a letter is sealed again for a reader that cannot open it.
const AGAIN: u64 = 3;
/// How many letters one update takes down at most.
const DOWN: u64 = 100;

/// Both sides of a payment: the merchant, the wallet, and the name under which that merchant reaches it.
struct Sides {
    merchant: MerchantId,
    wallet: WalletId,
    name: [u8; 16],
}

/// The two sides of a receipt, whoever asks; nothing, where no merchant's record shows such a payment.
fn sides(desk: &mut Desk<'_>, receipt: &ReceiptName) -> Result<Option<Sides>, Failure> {
    let Some(offer) = &receipt.offer else {
        let claim = desk.store.claim(receipt.machine, receipt.transaction, &receipt.charge)?;
        let Some((merchant, (card, ..))) = claim.and_then(|claim| Some((claim.merchant, claim.check?))) else {
            return Ok(None);
        };
        return Ok(desk.card(card)?.map(|row| Sides { merchant, wallet: row.wallet, name: card.0 }));
    };
    let (row, processor) = (desk.store.credit(receipt.machine, offer)?, desk.store.processor()?);
    let (Some(row), Some(processor)) = (row.filter(|row| row.completed.is_some()), processor) else {
        return Ok(None);
    };
    let both = row.merchant.as_ref().zip(row.user.as_ref());
    Ok(both.filter(|((merchant, _), _)| merchant.line.charge == receipt.charge).map(|((merchant, _), user)| {
        let (merchant, wallet) = (merchant.who, user.who);
        Sides { merchant, wallet, name: customer_number(&processor.customer_key, wallet, merchant).0 }
    }))
}

/// The sides of a receipt that this wallet holds. One that it does not hold, and one that is none, get the same answer.
fn held(desk: &mut Desk<'_>, wallet: WalletId, receipt: &ReceiptName) -> Result<Sides, Failure> {
    Ok(sides(desk, receipt)?.filter(|sides| sides.wallet == wallet).ok_or(ProviderRefusal::Unknown)?)
}

/// A letter's way: who is reached, at which merchant, and who the user is.
struct Way {
    to: ReachRow,
    wallet: WalletId,
    side: Side,
}

/// The way of a letter from this device to that address. A terminal reaches customers of its own merchant and those who paid
/// there; a wallet, the terminal of a receipt that it holds. Everything else is unknown, whatever it is.
fn way(desk: &mut Desk<'_>, device: DeviceId, to: &Address) -> Result<Way, Failure> {
    let known = desk.known(device.into()).ok_or(ProviderRefusal::NotAllowed)?;
    if known.role == Role::Wallet {
        let receipt = to.receipt().ok_or(ProviderRefusal::Unknown)?;
        let sides = held(desk, device, receipt)?;
        let row = desk.store.reach(sides.merchant, &receipt.machine.0)?.ok_or(ProviderRefusal::Unknown)?;
        return Ok(Way { to: row, wallet: device, side: Side::User });
    }
    let merchant = known.owner.ok_or(ProviderRefusal::NotAllowed)?;
    let name = match to {
        Address::Customer(customer) => customer.0,
        Address::Receipt(receipt) => {
            let sides = sides(desk, receipt)?.filter(|sides| sides.merchant == merchant);
            sides.ok_or(ProviderRefusal::Unknown)?.name
        }
    };
    let row = desk.store.reach(merchant, &name)?;
    let wallet = |row: &ReachRow| desk.known(row.device.into()).is_some_and(|known| known.role == Role::Wallet);
    let row = row.filter(wallet).ok_or(ProviderRefusal::Unknown)?;
    Ok(Way { wallet: row.device, to: row, side: Side::Merchant })
}

/// The same request gets the same bytes again: it was done then.
fn done(desk: &Desk<'_>, request: &Hash, at: Time) -> Vec<u8> {
    desk.answer(request, |signer| Done { at, signer, extensions: Default::default() })
}

/// Whether a device's word, said at `at` by its clock, counts after the one before. A clock that is far ahead would have the
/// last word for good.
fn counts(desk: &Desk<'_>, at: Time, before: Option<Time>) -> Result<(), Failure> {
    if at > desk.now.after(Time::DAY) {
        return Err(ProviderRefusal::Malformed.into());
    }
    if before.is_some_and(|before| at < before) {
        return Err(ProviderRefusal::Repeated.into());
    }
    Ok(())
}

/// A device says to which key letters to it are sealed.
pub(crate) fn reachable(desk: &mut Desk<'_>, request: &Verified<Reachable>) -> Result<Vec<u8>, Failure> {
    let known = desk.known(request.device.into()).ok_or(ProviderRefusal::NotAllowed)?;
    let (merchant, name) = match known.role {
        Role::Wallet => {
            let receipt = request.receipt.as_ref().ok_or(ProviderRefusal::Malformed)?;
            let sides = held(desk, request.device, receipt)?;
            (sides.merchant, sides.name)
        }
        _ => (known.owner.ok_or(ProviderRefusal::NotAllowed)?, request.device.0),
    };
    let before = desk.store.reach(merchant, &name)?;
    counts(desk, request.at, before.map(|before| before.at))?;
    let (device, sealing, at) = (request.device, request.sealing, request.at);
    desk.store.put_reach(&ReachRow { merchant, name, device, sealing, at })?;
    Ok(done(desk, &request.hash(), at))
}

/// A device asks to which key it shall seal.
pub(crate) fn key(desk: &mut Desk<'_>, request: &Verified<KeyAsk>) -> Result<Vec<u8>, Failure> {
    let sealing = way(desk, request.device, &request.to)?.to.sealing;
    Ok(desk.answer(&request.hash(), |signer| KeyAnswer { sealing, signer, extensions: Default::default() }))
}

/// A letter to be carried: durable before it is answered, once for each number.
pub(crate) fn carry(desk: &mut Desk<'_>, request: &Verified<Carry>) -> Result<Vec<u8>, Failure> {
    let (hash, number) = (request.hash(), request.number);
    let Way { to, wallet, side } = way(desk, request.device, &request.to)?;
    let sealed = &request.sealed;
    let anonymous = sealed.sender.is_none() && sealed.profile == Profile::Hpke;
    if !anonymous || sealed.addressee != request.to.addressee() {
        return Err(ProviderRefusal::Malformed.into());
    }
    let before = desk.store.letter(to.merchant, side, number)?;
    match &before {
        Some(row) if row.hash == hash => return Ok(done(desk, &hash, row.at)),
        Some(row) if row.writer == request.device && row.reader == to.device && row.state == LetterState::Unopened => {}
        Some(_) => return Err(ProviderRefusal::Repeated.into()),
        None => {
            let since = Time(desk.now.0.saturating_sub(Time::DAY));
            if desk.store.letters_since(to.merchant, wallet, side, since)? >= LETTERS {
                return Err(Failure::Refused(ProviderRefusal::TooMany, Some(3600)));
            }
        }
    }
    let heeded = !desk.shared.broken.has(Break::MuteIgnored);
    let muted = heeded && desk.store.muted(wallet, to.merchant)?.is_some_and(|(muted, _)| muted);
    // Also one that was muted while its writer was asked to seal it again.
    let let_go = before.as_ref().is_some_and(|row| row.body.is_none());
    let dropped = side == Side::Merchant && (muted || let_go);
    let delivery = Delivery {
        number,
        merchant: to.merchant,
        to: request.to.clone(),
        sealed: Some(sealed.clone()),
        extensions: Default::default(),
    };
    let at = before.as_ref().map_or(desk.now, |row| row.at);
    desk.store.put_letter(&LetterRow {
        merchant: to.merchant,
        side,
        number,
        hash,
        writer: request.device,
        reader: to.device,
        wallet,
        state: if dropped { LetterState::Dropped } else { LetterState::Waiting },
        again: before.map_or(0, |row| row.again),
        at,
        body: (!dropped).then(|| delivery.to_bytes()),
    })?;
    Ok(done(desk, &hash, at))
}

/// The user wants no letters of this merchant, also none that wait here; or wants them again from now on.
pub(crate) fn mute(desk: &mut Desk<'_>, request: &Verified<Mute>) -> Result<Vec<u8>, Failure> {
    let merchant = desk.known(Subject::from(request.merchant)).filter(|known| known.role == Role::Merchant);
    merchant.ok_or(ProviderRefusal::Unknown)?;
    let before = desk.store.muted(request.wallet, request.merchant)?;
    counts(desk, request.at, before.map(|(_, at)| at))?;
    desk.store.put_muted(request.wallet, request.merchant, request.muted, request.at)?;
    if request.muted {
        if !desk.shared.broken.has(Break::MuteIgnored) {
            desk.store.drop_letters(request.wallet, request.merchant)?;
        }
        call::muted(desk, request.wallet, request.merchant)?;
    }
    Ok(done(desk, &request.hash(), request.at))
}

/// A letter that went down could not be opened: its writer is asked to seal it again, a few times.
pub(crate) fn unopened(desk: &mut Desk<'_>, request: &Verified<Unopened>) -> Result<Vec<u8>, Failure> {
    let known = desk.known(request.device.into()).ok_or(ProviderRefusal::NotAllowed)?;
    let side = if known.role == Role::Wallet { Side::Merchant } else { Side::User };
    let row = desk.store.letter(request.merchant, side, request.number)?;
    let row = row.filter(|row| row.reader == request.device).ok_or(ProviderRefusal::Unknown)?;
    if let (LetterState::Delivered, Some(body), true) = (row.state, &row.body, row.again < AGAIN) {
        let delivery = Delivery::from_bytes(body).map_err(|_| tegata_store::StoreError::Damaged)?;
        let letter = Some(Delivery { sealed: None, ..delivery });
        desk.command(row.writer, &Command { letter, ..Command::new(CommandKind::Letter) })?;
        desk.store.put_letter(&LetterRow { state: LetterState::Unopened, again: row.again + 1, ..row.clone() })?;
    }
    Ok(done(desk, &request.hash(), row.at))
}

/// What waits for this device goes into commands of its update. Until then it can still be dropped.
pub(crate) fn deliver(desk: &mut Desk<'_>, device: DeviceId) -> Result<(), Failure> {
    for row in desk.store.letters_waiting(device, DOWN)? {
        let letter = row.body.as_deref().map(Delivery::from_bytes).transpose();
        let letter = letter.map_err(|_| tegata_store::StoreError::Damaged)?;
        desk.command(device, &Command { letter, ..Command::new(CommandKind::Letter) })?;
        desk.store.put_letter(&LetterRow { state: LetterState::Delivered, ..row })?;
    }
    Ok(())
}

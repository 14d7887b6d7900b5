//! The processor, and clearing accounts at it: a wallet's bank card, which the provider never sees, and a merchant's.

use super::{courier, refused, state};
use crate::ProviderError;
use crate::desk::{Desk, Failure};
use tegata_core::talk::credit::{
    CreditRefusal, CreditState, MerchantDetails, OpenAccount, Outcome, ProcessorInfo, RegisterCard,
};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Verified;
use tegata_core::{Hash, MerchantId, RequestNumber};
use tegata_crypto_native::primitive::mac;
use tegata_store::{About, AccountRow, ProcessorRow, StoreError};

/// Registers the processor that this provider clears with. Its address may change; another processor is refused while this
/// one has accounts here.
pub(crate) fn register_processor(desk: &mut Desk<'_>, info: ProcessorInfo, url: String) -> Result<(), ProviderError> {
    let before = desk.store.processor()?;
    if before.as_ref().is_some_and(|row| row.info.processor != info.processor) {
        return Err(ProviderError::OtherProcessor);
    }
    if before.as_ref().is_some_and(|row| row.revoked.is_some()) {
        return Err(ProviderError::RevokedProcessor);
    }
    let customer_key = before.map_or_else(|| desk.draw(), |row| row.customer_key);
    Ok(desk.store.put_processor(&ProcessorRow { info, url, customer_key, at: desk.now, revoked: None })?)
}

/// Nothing that the processor signs counts from now on, nothing more is asked of it, and no payment by credit begins. What was
/// under way stays as it is: whether the bank has the money only the processor knows (R26).
pub(crate) fn revoke_processor(desk: &mut Desk<'_>, row: ProcessorRow) -> Result<(), ProviderError> {
    let revoked = row.revoked.or(Some(desk.now));
    Ok(desk.store.put_processor(&ProcessorRow { revoked, ..row })?)
}

/// The processor, unless its key is revoked.
pub(crate) fn trusted(desk: &Desk<'_>) -> Result<Option<ProcessorRow>, StoreError> {
    Ok(desk.store.processor()?.filter(|row| row.revoked.is_none()))
}

/// Enrols a merchant for credit: its clearing account is asked for.
pub(crate) fn enrol(desk: &mut Desk<'_>, merchant: MerchantId, details: MerchantDetails) -> Result<(), ProviderError> {
    let given = Hash::of(&details.to_bytes());
    let before = desk.store.clearing_account(merchant.0)?;
    if before.is_some_and(|account| account.request == given && account.refused.is_none()) {
        return Ok(());
    }
    if trusted(desk)?.is_none() {
        return Err(ProviderError::NoProcessor);
    }
    let number = RequestNumber(desk.draw_id());
    open(desk, (merchant.0, given), number, None, Some(details)).map_err(Failure::into_error)
}

/// A wallet names its bank card.
pub(crate) fn register(desk: &mut Desk<'_>, request: &Verified<RegisterCard>) -> Result<Vec<u8>, Failure> {
    let (hash, subject) = (request.hash(), request.wallet.0);
    let Some(processor) = trusted(desk)? else {
        return Ok(refused(desk, &hash, CreditRefusal::NoProcessor));
    };
    if request.card.addressee != processor.info.processor {
        return Ok(refused(desk, &hash, CreditRefusal::NoProcessor));
    }
    let before = desk.store.clearing_account(subject)?;
    if before.as_ref().is_none_or(|account| account.request != hash) {
        let number = number_of(&processor, &hash);
        if desk.store.asked(number)?.is_some() {
            // An old one that a carrier brings again: the card that was named since stays.
            return Ok(refused(desk, &hash, CreditRefusal::Repeated));
        }
        open(desk, (subject, hash), number, Some(request.card.clone()), None)?;
    }
    let account = desk.store.clearing_account(subject)?;
    Ok(match account {
        Some(AccountRow { account: Some(_), .. }) => state(desk, &hash, CreditState::Authorized, None, None, desk.now),
        Some(AccountRow { refused: Some(why), .. }) => refused(desk, &hash, why),
        _ => {
            desk.waits_for = Some(Hash::of(&subject));
            if desk.patient {
                return Ok(Vec::new());
            }
            state(desk, &hash, CreditState::Pending, None, Some(super::AGAIN), desk.now)
        }
    })
}

/// The number under which the processor is asked for a wallet's account: one registration, one number, so that each is asked
/// once, whenever it comes.
fn number_of(processor: &ProcessorRow, registration: &Hash) -> RequestNumber {
    let made = mac(&processor.customer_key, "tegata registration number v1", &[&registration.0]);
    let mut number = [0; 16];
    number.copy_from_slice(&made[..16]);
    RequestNumber(number)
}

fn open(
    desk: &mut Desk<'_>,
    (subject, request): ([u8; 16], Hash),
    number: RequestNumber,
    card: Option<Sealed>,
    merchant: Option<MerchantDetails>,
) -> Result<(), Failure> {
    let (provider, at) = (desk.shared.info.provider, desk.now);
    let signed =
        desk.sign(&[], |_| OpenAccount { provider, number, at, card, merchant, extensions: Default::default() });
    let row = AccountRow { subject, request, asked: number, account: None, refused: None };
    desk.keep_account(&row)?;
    courier::send(desk, number, &signed, About::Account(subject), at)
}

/// The processor has opened an account, or will not. An answer to an earlier request than the newest changes nothing.
pub(super) fn opened(
    desk: &mut Desk<'_>,
    subject: [u8; 16],
    number: RequestNumber,
    outcome: Option<&Outcome>,
) -> Result<(), Failure> {
    let Some(row) = desk.store.clearing_account(subject)?.filter(|row| row.asked == number) else {
        return Ok(());
    };
    let account = outcome.and_then(|outcome| outcome.account);
    let refused = account.is_none().then_some(CreditRefusal::Card);
    Ok(desk.keep_account(&AccountRow { account, refused, ..row })?)
}

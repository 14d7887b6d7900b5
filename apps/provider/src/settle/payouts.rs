//! Payouts: to whom, by which bank account, and the file that orders them (ISO 20022 `pain.001`).
//!
//! A file is written once, when it is first asked for, and is the same bytes ever after: a bank that gets it twice pays once,
//! by its message id and the end-to-end ids, which are made of provider's epoch, period, payee and currency. A payee without
//! bank details is left waiting, and taken into the next period's file after it has given them.

use super::{Parts, SettleError};
use crate::desk::Desk;
use crate::{Provider, ProviderError};
use tegata_core::step::Break;
use tegata_core::wire::certificate::Role;
use tegata_core::{Amount, PartyId, Time, Unit};
use tegata_iso20022::pain001::{Batch, BatchHead, Creditor, Debtor, MAX_TRANSFERS, Transfer};
use tegata_iso20022::value::{Bic, Date, EndToEndId, Iban, MessageId, Sepa, ValueError, is_currency};
use tegata_store::{
    BankAccountRow, FileRow, PayoutRow, PositionRow, PositionSide, StoreError, TransferRow, TransferState,
};

impl Provider {
    /// Sets where a payee is paid; without a party, the account that pays. The holder's name is written in the letters that
    /// orders carry.
    ///
    /// # Errors
    /// [`ProviderError::Unknown`], [`SettleError::Account`], [`SettleError::Bic`].
    pub fn set_bank_account(
        &mut self,
        party: Option<PartyId>,
        holder: &str,
        (iban, bic): (&str, Option<&str>),
        now: Time,
    ) -> Result<BankAccountRow, ProviderError> {
        let wrong = |error: ValueError| ProviderError::from(SettleError::Account(error));
        let holder = Sepa::<70>::transliterated("holder", holder).map_err(|error| wrong(error.into()))?;
        let iban = Iban::parse(iban).map_err(|error| wrong(error.into()))?;
        let bic =
            bic.map(|bic| Bic::new(&bic.to_ascii_uppercase())).transpose().map_err(|error| wrong(error.into()))?;
        self.transact(now, [0; 32], |desk| {
            let paid = |party: &PartyId| {
                desk.known((*party).into()).is_some_and(|known| matches!(known.role, Role::Merchant | Role::Issuer))
            };
            let party = match party {
                Some(party) if paid(&party) => party,
                Some(_) => return Err(ProviderError::Unknown),
                None if bic.is_none() => return Err(SettleError::Bic.into()),
                None => desk.shared.info.provider,
            };
            let (holder, iban) = (holder.to_string(), iban.to_string());
            let row = BankAccountRow { party, holder, iban, bic: bic.map(|bic| bic.to_string()), at: desk.now };
            desk.store.put_bank_account(&row)?;
            Ok(row)
        })
    }
    /// The payouts of a closed period.
    ///
    /// # Errors
    /// [`SettleError::Open`] and others.
    pub fn payouts(&self, period: u64) -> Result<Vec<TransferRow>, ProviderError> {
        self.store().closed(period)?.ok_or(SettleError::Open(period))?;
        Ok(self.store().transfers(period)?)
    }
    /// The orders of a closed period for the bank, as a `pain.001` file: also of earlier payouts that no file orders yet.
    /// A provider that was put back from a backup may have ordered what it knows nothing of (R15): its first file is written
    /// when a person has `compared` with the bank's statements.
    ///
    /// # Errors
    /// [`SettleError`], [`ProviderError`].
    pub fn payout_file(&mut self, period: u64, compared: bool, now: Time) -> Result<Vec<u8>, ProviderError> {
        self.transact(now, [0; 32], |desk| {
            desk.store.closed(period)?.ok_or(SettleError::Open(period))?;
            if let Some(file) = desk.store.payout_file(period)? {
                return Ok(file.body);
            }
            let began = desk.provider.epoch_began;
            let restored = desk.provider.epoch > 1 && !desk.store.payout_files()?.iter().any(|file| file.at >= began);
            if restored && !compared {
                return Err(SettleError::Restored.into());
            }
            order(desk, period)
        })
    }
}

/// Puts down the payouts of a period: everyone's who is due something, but the provider's own.
pub(super) fn of(
    desk: &Desk<'_>,
    period: u64,
    positions: &[PositionRow],
    parts: &Parts,
) -> Result<Vec<TransferRow>, ProviderError> {
    let mut transfers = Vec::new();
    let ours = desk.shared.info.provider;
    for due in positions.iter().filter(|row| row.side == PositionSide::Payee && row.due > 0) {
        let (party, unit) = (due.party, due.unit);
        for (issuer, amount) in parts.get(&(party, unit)).into_iter().flatten().filter(|(_, amount)| **amount != 0) {
            desk.store.put_payout(&PayoutRow { period, merchant: party, issuer: *issuer, unit, amount: *amount })?;
        }
        if party != ours && is_currency(unit) {
            let row = TransferRow {
                period,
                party,
                unit,
                end_to_end: name(desk.provider.epoch, period, party, unit),
                amount: due.due.unsigned_abs(),
                state: TransferState::Waiting,
                ordered: None,
                back: None,
                why: None,
            };
            desk.store.put_transfer(&row)?;
            transfers.push(row);
        }
    }
    Ok(transfers)
}

/// A payout's name from end to end: at most 35 characters, used once ever. Half of the payee's id tells payees apart; were two
/// alike in it, the file would not be written.
fn name(epoch: u64, period: u64, party: PartyId, unit: Unit) -> String {
    format!("T{epoch}P{period}-{}-{}", hex(&party.0[..8]), unit.name())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the orders of all that waits and can be paid.
fn order(desk: &Desk<'_>, period: u64) -> Result<Vec<u8>, ProviderError> {
    let wrong = |error: ValueError| ProviderError::from(SettleError::Account(error));
    let ours = desk.shared.info.provider;
    let account = desk.store.bank_account(ours)?.ok_or(SettleError::NoAccount)?;
    let bic = account.bic.as_deref().ok_or(SettleError::Bic)?;
    let debtor = Debtor {
        name: Sepa::new("holder", &account.holder).map_err(|error| wrong(error.into()))?,
        account: Iban::new(&account.iban).map_err(|error| wrong(error.into()))?,
        bank: Bic::new(bic).map_err(|error| wrong(error.into()))?,
    };
    let mut rows = Vec::new();
    let mut transfers = Vec::new();
    let mut waiting = desk.store.transfers_waiting(period)?;
    if desk.shared.broken.has(Break::OrderedAgain) {
        let before = desk.store.transfers(period.saturating_sub(1))?;
        waiting.extend(before.into_iter().filter(|row| row.state == TransferState::Ordered));
    }
    for row in waiting {
        let Some(to) = desk.store.bank_account(row.party)?.filter(|_| transfers.len() < MAX_TRANSFERS) else {
            continue;
        };
        let creditor = Creditor {
            name: Sepa::new("holder", &to.holder).map_err(|error| wrong(error.into()))?,
            account: Iban::new(&to.iban).map_err(|error| wrong(error.into()))?,
            bank: to.bic.as_deref().map(Bic::new).transpose().map_err(|error| wrong(error.into()))?,
        };
        transfers.push(Transfer {
            end_to_end: EndToEndId::new(&row.end_to_end).map_err(|error| wrong(error.into()))?,
            amount: Amount::new(row.unit, row.amount).ok_or(StoreError::Damaged)?,
            creditor,
            remittance: Sepa::transliterated("remittance", &format!("{} period {}", account.holder, row.period)).ok(),
        });
        rows.push(row);
    }
    if transfers.is_empty() {
        return Err(why_nothing(desk, period)?.into());
    }
    let message = format!("T{}P{period}-{}", desk.provider.epoch, hex(&ours.0[..6]));
    let head = BatchHead {
        message: MessageId::new(&message).map_err(|error| wrong(error.into()))?,
        created: desk.now,
        debtor,
        execution: Date::of(desk.now).map_err(|error| wrong(error.into()))?,
    };
    let body = Batch::new(head, transfers).map_err(SettleError::Batch)?.write();
    for row in rows {
        desk.store.put_transfer(&TransferRow { state: TransferState::Ordered, ordered: Some(period), ..row })?;
    }
    desk.store.put_payout_file(period, &FileRow { at: desk.now, iban: account.iban, body: body.clone() })?;
    Ok(body)
}

/// Why there is nothing to order.
fn why_nothing(desk: &Desk<'_>, period: u64) -> Result<SettleError, StoreError> {
    let own = desk.store.transfers(period)?;
    Ok(match own.iter().find_map(|row| row.ordered) {
        Some(other) => SettleError::Elsewhere(period, other),
        None if own.is_empty() => SettleError::Nothing(period),
        None => SettleError::NoDetails(period),
    })
}

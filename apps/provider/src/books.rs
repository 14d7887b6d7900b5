//! The books of one transaction: cards and balances as they will be, written once at its end.

use crate::ProviderError;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tegata_core::{CardId, Hash, IssuerId, MerchantId, PartyId, Unit};
use tegata_ledger::{Account, Equation, Kind, Ledger, LedgerError, Posting};
use tegata_store::{CardRow, Cause, MovementRow, PostingRow, Store, StoreError};

/// The working set.
#[derive(Default)]
pub(crate) struct Books {
    ledger: Ledger,
    /// Cards as they are now, and as they were read: what did not change is not written.
    cards: BTreeMap<CardId, (CardRow, Option<CardRow>)>,
    /// The sums as they were read: what did not change is not written.
    pairs: BTreeMap<(IssuerId, Unit), Equation>,
    /// The period that is open, once it was asked for.
    period: Option<u64>,
    /// What this transaction moved to and from payees: credited, undone, fees.
    moved: BTreeMap<(PartyId, IssuerId, Unit), (i64, i64, i64)>,
}

impl Books {
    /// A card as it stands now.
    pub(crate) fn card(&mut self, store: &Store, id: CardId) -> Result<Option<&mut CardRow>, ProviderError> {
        if !self.cards.contains_key(&id) {
            let Some(row) = store.card(id)? else {
                return Ok(None);
            };
            let read = row.clone();
            self.adopt(store, row)?;
            if let Some((_, as_read)) = self.cards.get_mut(&id) {
                *as_read = Some(read);
            }
        }
        Ok(self.cards.get_mut(&id).map(|(row, _)| row))
    }
    /// Takes up a new card.
    pub(crate) fn adopt(&mut self, store: &Store, row: CardRow) -> Result<(), ProviderError> {
        self.open(store, row.issuer, row.unit)?;
        let account = |kind| Account::new(row.issuer, row.unit, kind);
        let whole = |amount: u64| i64::try_from(amount).map_err(|_| ProviderError::Store(StoreError::Damaged));
        self.ledger.put(account(Kind::Held(row.card)), whole(row.held)?);
        self.ledger.put(account(Kind::InFlight(row.card)), whole(row.in_flight)?);
        self.ledger.put(account(Kind::Guarantor(row.card)), whole(row.covered)?);
        self.cards.insert(row.card, (row, None));
        Ok(())
    }
    fn open(&mut self, store: &Store, issuer: IssuerId, unit: Unit) -> Result<(), ProviderError> {
        let Entry::Vacant(pair) = self.pairs.entry((issuer, unit)) else {
            return Ok(());
        };
        let equation = *pair.insert(store.equation(issuer, unit)?);
        for kind in [Kind::Issued, Kind::Waiting, Kind::Refunded, Kind::Expired, Kind::Disputed] {
            let sum = i64::try_from(equation.sum(kind.side())).map_err(|_| LedgerError::Overflow)?;
            self.ledger.put(Account::new(issuer, unit, kind), sum);
        }
        self.ledger.put_equation(issuer, unit, equation);
        Ok(())
    }
    fn fetch(&mut self, store: &Store, account: &Account) -> Result<(), ProviderError> {
        self.open(store, account.issuer, account.unit)?;
        if let (false, Kind::Payable(merchant) | Kind::Paid(merchant)) = (self.ledger.knows(account), account.kind) {
            let balance = store.balance(account.issuer, account.unit, account.kind.side(), merchant)?;
            self.ledger.put(*account, balance);
        }
        Ok(())
    }
    /// How an account stands.
    pub(crate) fn balance(&mut self, store: &Store, account: Account) -> Result<u64, ProviderError> {
        self.fetch(store, &account)?;
        Ok(self.ledger.balance(&account).unsigned_abs())
    }
    /// Makes and records one posting; of nothing, none.
    pub(crate) fn post(
        &mut self,
        store: &Store,
        (subject, cause, reference): ([u8; 16], Cause, Hash),
        from: Account,
        to: Account,
        amount: u64,
    ) -> Result<(), ProviderError> {
        if amount == 0 {
            return Ok(());
        }
        self.fetch(store, &from)?;
        self.fetch(store, &to)?;
        let posting = Posting { from, to, amount };
        self.ledger.post(&posting)?;
        let period = self.period(store)?;
        store.post(&PostingRow { subject, cause, reference, posting, period })?;
        self.moved(&posting)
    }
    /// The number of the period that is open.
    pub(crate) fn period(&mut self, store: &Store) -> Result<u64, ProviderError> {
        if let Some(period) = self.period {
            return Ok(period);
        }
        Ok(*self.period.insert(store.last_period()? + 1))
    }
    /// What comes to payees from elsewhere is credited to them, what leaves them is undone, what goes from one to another
    /// is a fee; between payable and paid of one payee nothing moves.
    fn moved(&mut self, posting: &Posting) -> Result<(), ProviderError> {
        let Posting { from, to, amount } = posting;
        let amount = i64::try_from(*amount).map_err(|_| LedgerError::Overflow)?;
        let (payer, payee) = (payee_of(from.kind), payee_of(to.kind));
        if payer == payee {
            return Ok(());
        }
        for (party, sign) in [(payer, 1), (payee, -1)].into_iter().filter_map(|(party, sign)| Some((party?, sign))) {
            let (credited, undone, fees) = self.moved.entry((party, from.issuer, from.unit)).or_default();
            let place = match (payer, payee) {
                (None, _) => &mut *credited,
                (_, None) => &mut *undone,
                _ => &mut *fees,
            };
            let signed = if payer.is_some() && payee.is_some() { sign * amount } else { amount };
            *place = place.checked_add(signed).ok_or(LedgerError::Overflow)?;
        }
        Ok(())
    }
    /// The sums of one issuer and unit, as they are now.
    pub(crate) fn equation(&mut self, store: &Store, issuer: IssuerId, unit: Unit) -> Result<Equation, ProviderError> {
        self.open(store, issuer, unit)?;
        Ok(self.ledger.equation(issuer, unit))
    }
    /// Only for [`tegata_core::step::Break::NoGuarantor`].
    pub(crate) fn conjure(&mut self, store: &Store, to: Account, amount: u64) -> Result<(), ProviderError> {
        self.fetch(store, &to)?;
        self.ledger.conjure(to, amount);
        Ok(())
    }
    /// Cards of this transaction that have a dead generation.
    pub(crate) fn dead(&self) -> impl Iterator<Item = (CardId, u64)> {
        let dead = self.cards.values().filter(|(row, _)| row.dead_generation > 0);
        dead.map(|(row, _)| (row.card, row.dead_generation))
    }
    /// Asserts the equation and writes everything back.
    pub(crate) fn close(mut self, store: &Store, check: bool) -> Result<(), ProviderError> {
        if check {
            self.ledger.check()?;
        }
        for (row, as_read) in self.cards.values_mut() {
            let balance = |kind| self.ledger.balance(&Account::new(row.issuer, row.unit, kind)).unsigned_abs();
            let (held, in_flight) = (balance(Kind::Held(row.card)), balance(Kind::InFlight(row.card)));
            let covered = balance(Kind::Guarantor(row.card));
            (row.held, row.in_flight, row.covered) = (held, in_flight, covered);
            if as_read.as_ref() != Some(row) {
                store.put_card(row)?;
            }
        }
        for (account, balance) in self.ledger.balances() {
            if let Kind::Payable(merchant) | Kind::Paid(merchant) = account.kind {
                store.put_balance(account.issuer, account.unit, account.kind.side(), Some(merchant), balance)?;
            }
        }
        if let Some(period) = self.period {
            for ((party, issuer, unit), (credited, undone, fees)) in self.moved {
                store.add_movement(&MovementRow { period, party, issuer, unit, credited, undone, fees })?;
            }
        }
        for ((issuer, unit), as_read) in &self.pairs {
            store.put_equation(*issuer, *unit, as_read, &self.ledger.equation(*issuer, *unit))?;
        }
        Ok(())
    }
}

/// Whose claim on the provider an account is.
fn payee_of(kind: Kind) -> Option<PartyId> {
    match kind {
        Kind::Payable(party) | Kind::Paid(party) => Some(party),
        _ => None,
    }
}

/// The accounts of one card.
#[derive(Clone, Copy)]
pub(crate) struct Accounts {
    pub(crate) card: CardId,
    pub(crate) issuer: IssuerId,
    pub(crate) unit: Unit,
}

impl Accounts {
    pub(crate) fn of(row: &CardRow) -> Self {
        Self { card: row.card, issuer: row.issuer, unit: row.unit }
    }
    fn account(&self, kind: Kind) -> Account {
        Account::new(self.issuer, self.unit, kind)
    }
    pub(crate) fn waiting(&self) -> Account {
        self.account(Kind::Waiting)
    }
    pub(crate) fn held(&self) -> Account {
        self.account(Kind::Held(self.card))
    }
    pub(crate) fn in_flight(&self) -> Account {
        self.account(Kind::InFlight(self.card))
    }
    pub(crate) fn guarantor(&self) -> Account {
        self.account(Kind::Guarantor(self.card))
    }
    pub(crate) fn payable(&self, merchant: MerchantId) -> Account {
        self.account(Kind::Payable(merchant))
    }
    pub(crate) fn refunded(&self) -> Account {
        self.account(Kind::Refunded)
    }
    pub(crate) fn disputed(&self) -> Account {
        self.account(Kind::Disputed)
    }
    pub(crate) fn paid(&self, merchant: MerchantId) -> Account {
        self.account(Kind::Paid(merchant))
    }
}

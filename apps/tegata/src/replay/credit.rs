//! The same customers paying by their bank cards: offer and price at the counter, both lines to the provider, a processor in a
//! process of its own, a bank behind a socket.

use super::fleet::{CHUNK, Customer, Fleet, Visits};
use super::sales::Purchase;
use super::shop::{Counter, Shop, fee, lock};
use crate::rig::ClearingProcess;
use crate::screen::{Failure, fail};
use std::sync::Mutex;
use tegata_core::step::Event;
use tegata_core::talk::credit::{ClaimNotice, CreditNotice, CreditPay, PaymentOption};
use tegata_core::talk::pay::TerminalNotice;
use tegata_core::{Amount, RequestNumber, Unit};
use tegata_device::WalletTap;
use tegata_terminal::TerminalError;

/// How often the clock is moved on while something is not known, before that is taken for an error.
const TRIES: u32 = 100;

impl Fleet {
    /// Plays a day by credit: each customer visits one terminal, terminals in parallel.
    pub fn credit_day(
        &self,
        shop: &Shop,
        clearing: &ClearingProcess,
        day: u64,
        bought: &[Purchase],
    ) -> Result<(), Failure> {
        let terminals = shop.counters.len();
        let mut visits: Vec<Visits> = (0..terminals).map(|_| Visits::default()).collect();
        for (index, cents) in self.by_customer(bought) {
            visits[(index + usize::try_from(day / 30).unwrap_or(0)) % terminals].buying.push((index, cents));
        }
        self.each_terminal(shop, &visits, |counter, visits| self.credit_visit(shop, clearing, counter, visits, day))
    }

    fn credit_visit(
        &self,
        shop: &Shop,
        clearing: &ClearingProcess,
        counter: &Mutex<Counter>,
        visits: &Visits,
        day: u64,
    ) -> Result<(), Failure> {
        let counter = &mut *lock(counter);
        if !visits.buying.is_empty() {
            self.join(shop, &mut counter.line, &visits.buying)?;
            for (index, cents) in &visits.buying {
                let customer = &mut *lock(&self.customers[*index]);
                if !customer.registered {
                    clearing.register(&mut customer.wallet, &mut counter.line, &shop.url(), || shop.at(8))?;
                    customer.registered = true;
                }
                for cents in cents {
                    self.by_credit(shop, counter, customer, *cents)?;
                }
            }
        }
        if shop.updates_today(counter) {
            counter.terminal.update(&mut counter.line, shop.at(22))?;
        }
        // The receipts, with the merchant's part where its terminal has updated.
        let updating: Vec<usize> = visits.buying.iter().map(|(index, _)| *index).collect();
        updating.chunks(CHUNK).try_for_each(|some| self.update(shop, &mut counter.line, some, day))
    }

    /// One purchase: the offer through the session's bytes, then the wallet's line, then the terminal's until it is paid.
    fn by_credit(
        &self,
        shop: &Shop,
        counter: &mut Counter,
        customer: &mut Customer,
        cents: u64,
    ) -> Result<(), Failure> {
        let Some(amount) = Amount::new(Unit::USD, cents) else {
            return fail("a purchase is too large");
        };
        let Some((request, transaction)) = offer(shop, counter, customer, amount)? else {
            *lock(&self.tally).refused.entry("zero amount".to_owned()).or_default() += 1;
            return Ok(());
        };
        // It stands as soon as the other line is there, too; what became of it is asked for after that.
        match customer.wallet.credit(&mut counter.quick, request, shop.at(12))? {
            CreditNotice::Waiting { .. } => {}
            other => return fail(format!("customer {}: {other:?}", customer.number)),
        }
        for _ in 0..TRIES {
            match counter.terminal.credit(&mut counter.line, transaction, shop.at(12))? {
                ClaimNotice::Paid { .. } => {
                    let mut tally = lock(&self.tally);
                    tally.payments += 1;
                    tally.cents += cents;
                    tally.fees += fee(cents);
                    return Ok(());
                }
                // The bank is asked again when its time has come.
                ClaimNotice::Waiting { .. } => shop.later(2)?,
                other => return fail(format!("customer {}: {other:?}", customer.number)),
            }
        }
        fail(format!("customer {}: the bank does not answer", customer.number))
    }

    /// Payments whose user was told that they are cleared, and those with the merchant's receipt: how many of each.
    pub fn receipts(&self) -> Result<(u64, u64), Failure> {
        let (mut told, mut whole) = (0, 0);
        for customer in &self.customers {
            for paid in lock(customer).wallet.credits()? {
                if let Some(receipt) = paid.receipt {
                    told += 1;
                    whole += u64::from(receipt.claimed().receipt.is_some());
                }
            }
        }
        Ok((told, whole))
    }
}

/// Offer, price and agreement. `None`: nothing to charge.
fn offer(
    shop: &Shop,
    counter: &mut Counter,
    customer: &mut Customer,
    amount: Amount,
) -> Result<Option<(RequestNumber, u64)>, Failure> {
    let sale = match counter.terminal.sale(amount, None) {
        Ok(sale) => sale,
        Err(TerminalError::Zero) => return Ok(None),
        Err(other) => return Err(other.into()),
    };
    let wallet = &mut customer.wallet;
    let mut till = counter.terminal.tap(sale, shop.at(12))?;
    let payer = wallet.credit_payer(PaymentOption::Once, shop.at(12))?;
    let (mut tap, hello) = WalletTap::touch(CreditPay::new(payer), shop.at(12).entropy)?;
    let (mut frames, mut request, mut transaction) = (vec![hello], None, None);
    while let Some(frame) = frames.pop() {
        let answer = till.receive(&frame, shop.at(12), &mut counter.terminal.device)?;
        for notice in answer.notices {
            match notice {
                TerminalNotice::CreditAsked { transaction: number, .. } => transaction = Some(number),
                other => return fail(format!("a terminal: {other:?}")),
            }
        }
        for frame in answer.frames {
            let mut step = tap.receive(&frame, shop.at(12), &mut wallet.device)?;
            if step.notices.iter().any(|notice| matches!(notice, CreditNotice::Consent { .. })) {
                step = tap.event(Event::Agreed, shop.at(12), &mut wallet.device)?;
            }
            for notice in step.notices {
                match notice {
                    CreditNotice::Ready(number) => request = Some(number),
                    other => return fail(format!("customer {}: {other:?}", customer.number)),
                }
            }
            frames.extend(step.frames);
        }
    }
    match request.zip(transaction) {
        Some(both) => Ok(Some(both)),
        None => fail(format!("customer {}: the tap broke off", customer.number)),
    }
}

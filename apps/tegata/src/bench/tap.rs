//! Taps in memory: bytes, exchanges and CPU of each side.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use super::upload::Town;
use crate::measure::{rounded, thread_nanoseconds};
use crate::place::now;
use crate::screen::{Failure, fail};
use serde_json::{Value, json};
use tegata_core::step::Event;
use tegata_core::talk::pay::{TerminalNotice, WalletNotice};
use tegata_core::{Amount, Unit};
use tegata_device::{Now, WalletTap};
use tegata_link::frame::HEAD;
use tegata_terminal::Terminal;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// What was measured.
pub struct Tapped {
    /// Request and answer pairs.
    pub exchanges: u64,
    /// Bytes in all, both directions, when neither side knows the other.
    pub bytes_first: u64,
    /// Bytes in all when both know each other.
    pub bytes_known: u64,
    /// CPU of the wallet, each tap.
    pub wallet_us: f64,
    /// CPU of the terminal, each tap.
    pub terminal_us: f64,
}

impl Tapped {
    /// Figures by side.
    pub fn cpu_json(&self) -> Value {
        json!({
            "wallet": rounded(self.wallet_us, 1),
            "terminal": rounded(self.terminal_us, 1),
            "both": rounded(self.wallet_us + self.terminal_us, 1),
        })
    }
}

/// What one tap took.
#[derive(Default)]
pub struct One {
    /// Request and answer pairs.
    pub exchanges: u64,
    /// Bytes in all.
    pub bytes: u64,
    wallet_ns: u64,
    terminal_ns: u64,
}

fn clocked<R>(spent: &mut u64, work: impl FnOnce() -> R) -> R {
    let before = thread_nanoseconds();
    let result = work();
    *spent += thread_nanoseconds() - before;
    result
}

/// One tap of one cent, frame by frame, with the length that frames carry on a socket.
pub fn tap(wallet: &mut Wallet<MemoryVault>, terminal: &mut Terminal<MemoryVault>, at: Now) -> Result<One, Failure> {
    let Some(amount) = Amount::new(Unit::USD, 1) else {
        return fail("no amount");
    };
    let card = wallet.cards()?.first().map(|held| held.card);
    let Some(card) = card else {
        return fail("the wallet has no card");
    };
    let sale = terminal.sale(amount, None)?;
    let payer = wallet.payer(card)?;
    let mut one = One::default();
    let fresh = || Now { entropy: now().entropy, ..at };
    let mut till = clocked(&mut one.terminal_ns, || terminal.tap(sale, fresh()))?;
    let (mut tap, hello) = clocked(&mut one.wallet_ns, || WalletTap::start(payer, fresh().entropy))?;
    let mut frames = vec![hello];
    let mut paid = (false, false);
    while let Some(frame) = frames.pop() {
        one.bytes += (frame.len() + HEAD) as u64;
        one.exchanges += 1;
        let at = fresh();
        let answer = clocked(&mut one.terminal_ns, || till.receive(&frame, at, &mut terminal.device))?;
        paid.0 |= answer.notices.iter().any(|notice| matches!(notice, TerminalNotice::Paid { .. }));
        for frame in answer.frames {
            one.bytes += (frame.len() + HEAD) as u64;
            let at = fresh();
            let mut step = clocked(&mut one.wallet_ns, || tap.receive(&frame, at, &mut wallet.device))?;
            if step.notices.iter().any(|notice| matches!(notice, WalletNotice::Consent { .. })) {
                step = clocked(&mut one.wallet_ns, || tap.event(Event::Agreed, at, &mut wallet.device))?;
            }
            paid.1 |= step.notices.iter().any(|notice| matches!(notice, WalletNotice::Paid { .. }));
            if !paid.1 && !step.notices.is_empty() {
                return fail(format!("a tap was refused: {:?}", step.notices));
            }
            frames.extend(step.frames);
        }
    }
    if paid == (true, true) { Ok(one) } else { fail("a tap broke off") }
}

/// Taps `count` times with the wallets of the town, each at least once unknown and then known.
pub fn measure(mut town: Town, count: usize) -> Result<(Town, Tapped), Failure> {
    let at = town.at();
    let mut first = One::default();
    for wallet in &mut town.wallets {
        let one = tap(wallet, &mut town.terminal, at)?;
        first.bytes = first.bytes.max(one.bytes);
        first.exchanges = first.exchanges.max(one.exchanges);
    }
    let mut all = One::default();
    let mut known = 0;
    let wallets = town.wallets.len();
    for number in 0..count {
        let one = tap(&mut town.wallets[number % wallets], &mut town.terminal, at)?;
        known = known.max(one.bytes);
        all.exchanges = all.exchanges.max(one.exchanges);
        all.wallet_ns += one.wallet_ns;
        all.terminal_ns += one.terminal_ns;
    }
    let each = |nanoseconds: u64| nanoseconds as f64 / 1000.0 / count.max(1) as f64;
    let tapped = Tapped {
        exchanges: all.exchanges.max(first.exchanges),
        bytes_first: first.bytes,
        bytes_known: known,
        wallet_us: each(all.wallet_ns),
        terminal_us: each(all.terminal_ns),
    };
    Ok((town, tapped))
}

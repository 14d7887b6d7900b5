//! What people, merchants and the operator do on a day, as apps and their users do it.

use crate::cheat;
use crate::fault::FrameFault;
use crate::post::NetPlan;
use crate::tap::{Answer, Clocks, Plan, Seen, Tap, TerminalCheat, WalletCheat, skewed};
use crate::town::{Goods, Town};
use tegata_core::card::CardCertificate;
use tegata_core::card::payment::accept_check;
use tegata_core::record::RecordKey;
use tegata_core::step::Records;
use tegata_core::talk::cards::{Activate, CardNotice, CardRequest, InstallRequest, LoadRequest};
use tegata_core::talk::pay::{ClaimState, Paying, PayingState, TerminalNotice, load_purse};
use tegata_core::wire::signed::Signed;
use tegata_core::{Amount, CardId, Time, Unit};
use tegata_device::{ask, take_up_all};
use tegata_vault::Faults;

/// What can be done on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Install,
    Load,
    Tap,
    Again,
    Void,
    Close,
    UpdateWallet,
    UpdateTill,
    Sell,
    Settle,
    Guess,
}

/// How often each is done, in parts of their sum.
const WEIGHTS: [(Action, u64); 11] = [
    (Action::Install, 8),
    (Action::Load, 6),
    (Action::Tap, 34),
    (Action::Again, 9),
    (Action::Void, 6),
    (Action::Close, 4),
    (Action::UpdateWallet, 12),
    (Action::UpdateTill, 12),
    (Action::Sell, 3),
    (Action::Settle, 2),
    (Action::Guess, 2),
];

/// How many things happen in a seed, at least and at most.
const ACTIONS: (u64, u64) = (15, 45);

impl Town {
    /// The first part of a seed: people live, and things go wrong.
    pub fn live(&mut self) {
        for at in 0..self.people.len() {
            if self.dice.chance(self.mix.clocks) {
                self.people[at].skew = self.skew();
            }
            if self.dice.chance(700) {
                self.install(at);
            }
        }
        for at in 0..self.tills.len() {
            self.tills[at].late = self.dice.chance(self.mix.late);
            if self.dice.chance(self.mix.clocks) {
                self.tills[at].skew = self.skew();
            }
        }
        for _ in 0..self.dice.within(ACTIONS.0, ACTIONS.1) {
            self.day_in_life();
        }
        if self.mix.late > 0 {
            let weeks = self.dice.below(4);
            self.wait(weeks * 7 * Time::DAY);
        }
    }

    /// Up to three days, either way.
    fn skew(&mut self) -> i64 {
        self.causes.clocks = true;
        let days = i64::try_from(self.dice.below(6 * Time::DAY)).unwrap_or(0);
        days - i64::try_from(3 * Time::DAY).unwrap_or(0)
    }

    /// A request that was cut off is sent again as it was.
    pub fn finish_request(&mut self, at: usize, key: RecordKey) {
        let now = self.now(0);
        let Some(person) = self.people.get_mut(at) else {
            return;
        };
        let device = &mut person.wallet.device;
        let number = device.get(&key).and_then(|bytes| {
            let install = Signed::<InstallRequest>::decode(&bytes).map(|request| request.claimed().number.clone());
            let load = || Signed::<LoadRequest>::decode(&bytes).map(|request| request.claimed().number.clone());
            install.or_else(|_| load()).ok()
        });
        let Some(anchors) = device.anchors() else {
            return;
        };
        let done = ask(device, &mut self.center, CardRequest::Resume(key, anchors), now);
        let id = person.id;
        let took = done.as_ref().is_ok_and(|notices| {
            notices.iter().any(|it| matches!(it, CardNotice::Installed { .. } | CardNotice::Loaded { .. }))
        });
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let found = number.and_then(|text| self.numbers.iter().position(|number| plain(&number.text) == text));
        if let (true, Some(number)) = (took, found) {
            self.took(number, id, true);
        }
        let cards = self.people.get(at).and_then(|person| person.wallet.device.cards().ok()).unwrap_or_default();
        for card in cards {
            let now = self.now(0);
            if let Some(person) = self.people.get_mut(at) {
                let _ = take_up_all(&mut person.wallet.device, card, now);
            }
        }
        self.say(|| format!("wallet {at} asks again: {done:?}"));
    }

    /// One thing happens, and time passes.
    pub fn day_in_life(&mut self) {
        if self.dice.chance(self.mix.rollback.saturating_mul(3)) {
            self.remember();
        }
        if self.dice.chance(self.mix.rollback) {
            self.roll_back();
        }
        if self.dice.chance(self.mix.clone) {
            self.copy_wallet();
        }
        if self.dice.chance(self.mix.revoke) {
            self.revoke();
        }
        if self.mix.restore > 0 && self.dice.chance(150) {
            self.center.back_up();
        }
        if self.dice.chance(self.mix.restore)
            && let Some((backup, after)) = self.center.restore()
        {
            if after <= backup {
                self.wrong.push("R15: the provider went back to a backup and kept its epoch".into());
            }
            self.causes.restored = true;
            self.faults += 1;
            self.forget_numbers();
            self.say(|| "the provider is restored from a backup".into());
        }
        let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.dice.below(total);
        let mut action = Action::Tap;
        for (candidate, weight) in WEIGHTS {
            if drawn < weight {
                action = candidate;
                break;
            }
            drawn -= weight;
        }
        self.center.plan(NetPlan::Sometimes(self.mix.network));
        self.act(action);
        let seconds = match self.dice.below(20) {
            0..14 => self.dice.within(5, 900),
            14..18 => self.dice.within(900, 20_000),
            _ => self.dice.within(Time::DAY / 2, 4 * Time::DAY),
        };
        self.wait(seconds);
    }

    fn act(&mut self, action: Action) {
        let (person, till) = (self.dice.index(self.people.len()), self.dice.index(self.tills.len()));
        match action {
            Action::Install => self.install(person),
            Action::Load => self.load(person),
            Action::Tap => self.tap_somewhere(person, till),
            Action::Again => self.again(person),
            Action::Void => self.void(till),
            Action::Close => self.close(till),
            Action::UpdateWallet => {
                self.update_wallet(person);
            }
            Action::UpdateTill => {
                let lazy = self.tills.get(till).is_some_and(|till| till.late);
                if !lazy || self.dice.chance(100) {
                    self.update_till(till);
                }
            }
            Action::Sell => self.sell(),
            Action::Settle => self.settle(),
            Action::Guess => self.guess(person),
        }
    }

    /// Readies a wallet for what it does next: awake, and perhaps about to lose power.
    pub fn ready_person(&mut self, at: usize) {
        self.wake_person(at);
        if let Some(person) = self.people.get_mut(at) {
            Self::arm(&self.mix, &mut person.wallet.device.vault, &mut self.dice);
        }
    }

    /// Readies a terminal for what it does next.
    pub fn ready_till(&mut self, at: usize) {
        self.wake_till(at);
        if let Some(till) = self.tills.get_mut(at) {
            Self::arm(&self.mix, &mut till.terminal.device.vault, &mut self.dice);
        }
    }

    fn rest(&mut self, person: Option<usize>, till: Option<usize>) {
        let wake = self.dice.chance(700);
        if let Some(person) = person.and_then(|at| self.people.get_mut(at)) {
            person.wallet.device.vault.set_faults(Faults::none());
        }
        if let (Some(at), true) = (person, wake) {
            self.wake_person(at);
        }
        if let Some(at) = till {
            if let Some(till) = self.tills.get_mut(at) {
                till.terminal.device.vault.set_faults(Faults::none());
            }
            if self.dice.chance(700) {
                self.wake_till(at);
            }
        }
    }

    /// The first number that was (not) sold and not used.
    fn number(&mut self, sold: bool) -> Option<usize> {
        let free: Vec<usize> = (0..self.numbers.len())
            .filter(|at| self.numbers[*at].sold == sold && !self.used.contains_key(&self.numbers[*at].text))
            .collect();
        self.dice.pick(&free)
    }

    /// A slip of a till for a number not activated yet.
    fn slip(&mut self, number: usize) -> Option<Signed<Activate>> {
        let at = self.dice.index(self.tills.len());
        let (batch, serial) = self.numbers.get(number).map(|number| (number.batch, number.serial))?;
        let till = self.tills.get(at)?;
        let issuer = crate::template::template().issuer_party;
        till.terminal.slip(issuer, batch, (serial, serial), skewed(self.time, till.skew)).ok()
    }

    /// A number for an install or load: mostly sold online, sometimes by a slip, sometimes used by somebody before.
    fn draw_number(&mut self) -> Option<(usize, Option<Signed<Activate>>)> {
        if self.dice.chance(200) {
            let number = self.number(false)?;
            let slip = if self.dice.chance(800) { self.slip(number) } else { None };
            return Some((number, slip));
        }
        if self.dice.chance(60) {
            let used: Vec<usize> =
                (0..self.numbers.len()).filter(|at| self.used.contains_key(&self.numbers[*at].text)).collect();
            if let Some(number) = self.dice.pick(&used) {
                return Some((number, None));
            }
        }
        self.number(true).map(|number| (number, None))
    }

    fn install(&mut self, at: usize) {
        let Some((number, slip)) = self.draw_number() else {
            return;
        };
        self.ready_person(at);
        self.install_number(at, number, slip);
        self.rest(Some(at), None);
    }

    /// A wallet installs the card of a number; a request that was cut off is asked again sometimes.
    pub fn install_number(&mut self, at: usize, number: usize, slip: Option<Signed<Activate>>) -> Option<CardId> {
        let now = self.now(self.people.get(at)?.skew);
        let entry = self.numbers.get(number)?.clone();
        let newer = self.dice.chance(self.mix.newer);
        let person = self.people.get_mut(at)?;
        let by_slip = slip.is_some();
        let done = if newer {
            cheat::install_newer(&mut person.wallet, &mut self.center, &entry.text, slip, now)
        } else {
            person.wallet.install(&mut self.center, &entry.text, slip, now).map_err(|error| error.to_string())
        };
        let id = person.id;
        if done.is_ok() {
            self.took(number, id, by_slip);
        }
        self.say(|| match &done {
            Ok(card) => format!("wallet {at} installs number {number} ({} cents) as {card}", entry.face),
            Err(why) => format!("wallet {at} cannot install number {number}: {why}"),
        });
        done.ok()
    }

    /// A wallet was told that a number is its own: nobody else may have been, and it must have been sold (R18).
    fn took(&mut self, number: usize, by: tegata_core::DeviceId, by_slip: bool) {
        let Some(entry) = self.numbers.get_mut(number) else {
            return;
        };
        if !entry.sold && !by_slip {
            self.wrong.push(format!("R18: number {number} served before it was sold"));
        }
        entry.sold = true;
        if let Some(before) = self.used.insert(entry.text.clone(), by)
            && before != by
        {
            self.wrong.push(format!("R18: number {number} served two wallets"));
        }
    }

    fn load(&mut self, at: usize) {
        let Some((number, slip)) = self.draw_number() else {
            return;
        };
        self.ready_person(at);
        self.load_number(at, number, slip);
        self.rest(Some(at), None);
    }

    /// A wallet loads its first card by a number.
    pub fn load_number(&mut self, at: usize, number: usize, slip: Option<Signed<Activate>>) -> bool {
        let Some(card) = self.card(at) else {
            return false;
        };
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(entry) = self.numbers.get(number).cloned() else {
            return false;
        };
        let by_slip = slip.is_some();
        let fetch_only = self.dice.chance(300);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let done = if fetch_only {
            person.wallet.fetch_load(&mut self.center, card, &entry.text, slip, now)
        } else {
            person.wallet.load(&mut self.center, card, &entry.text, slip, now)
        };
        let id = person.id;
        if done.is_ok() {
            self.took(number, id, by_slip);
        }
        self.say(|| match &done {
            Ok(amount) => format!("wallet {at} loads number {number}, {amount}"),
            Err(why) => format!("wallet {at} cannot load number {number}: {why}"),
        });
        done.is_ok()
    }

    /// A card of a wallet.
    pub fn card(&mut self, at: usize) -> Option<CardId> {
        let cards = self.people.get(at)?.wallet.device.cards().ok()?;
        self.dice.pick(&cards)
    }

    fn tap_somewhere(&mut self, person: usize, till: usize) {
        let amount = match self.dice.below(12) {
            0 => self.dice.within(6_000, 12_000),
            1 => 1,
            _ => self.dice.within(50, 3_000),
        };
        let plan = self.tap_plan();
        if plan.terminal_cheat == Some(TerminalCheat::ReplayCharge) {
            // Somebody else's charge, still fresh.
            let other = self.dice.index(self.people.len());
            self.tap(other, till, amount, Plan::PLAIN);
        }
        self.tap(person, till, amount, plan);
    }

    fn tap_plan(&mut self) -> Plan {
        let answer = match self.dice.below(20) {
            0 => Answer::Decline,
            1 => Answer::Leave,
            _ => Answer::Agree,
        };
        let fault = if self.dice.chance(self.mix.frames) {
            let at = self.dice.index(7);
            self.dice.pick(&FrameFault::ALL).map(|fault| (if fault == FrameFault::Version { 0 } else { at }, fault))
        } else {
            None
        };
        let wallet_cheat = if self.dice.chance(self.mix.wallet_cheats) {
            let more = self.dice.within(1, 20_000);
            self.dice.pick(&[WalletCheat::ForgeRemaining(more), WalletCheat::Garbage, WalletCheat::Second])
        } else {
            None
        };
        let terminal_cheat = if self.dice.chance(self.mix.terminal_cheats) {
            self.dice.pick(&[TerminalCheat::ReplayCharge, TerminalCheat::FalseProof, TerminalCheat::NoReceipt])
        } else {
            None
        };
        let newer = self.dice.chance(self.mix.newer);
        let hold = self.dice.chance(self.mix.twins);
        Plan { answer, fault, wallet_cheat, terminal_cheat, newer, hold }
    }

    /// A wallet goes back to where it has something unfinished.
    fn again(&mut self, at: usize) {
        let tills: Vec<usize> = (0..self.tills.len())
            .filter(|till| {
                let person = self.people.get(at);
                person.is_some_and(|person| Paying::pending(&person.wallet.device, self.tills[*till].id).is_some())
            })
            .collect();
        let Some(till) = self.dice.pick(&tills) else {
            return;
        };
        let id = self.tills[till].id;
        if let Some(person) = self.people.get_mut(at) {
            let pending = Paying::pending(&person.wallet.device, id);
            let shown = pending.filter(|pending| pending.state == PayingState::Shown);
            if let Some(shown) = shown
                && self.dice.chance(600)
            {
                let _ = person.wallet.agree(id, shown.charge.claimed().transaction);
            }
        }
        let plan = self.tap_plan();
        let amount = self.dice.within(50, 2_000);
        self.tap(at, till, amount, plan);
    }

    /// A wallet touches a terminal that charges this many cents.
    pub fn tap(&mut self, at: usize, till_at: usize, cents: u64, plan: Plan) -> Option<Seen> {
        self.ready_person(at);
        self.ready_till(till_at);
        let seen = self.touch(at, till_at, cents, plan);
        self.rest(Some(at), Some(till_at));
        seen
    }

    /// The touch itself, without misfortune of the devices' own.
    pub fn touch(&mut self, at: usize, till_at: usize, cents: u64, plan: Plan) -> Option<Seen> {
        let card = self.card(at)?;
        // As the app does: what is still open is closed before the next sale. A counter that is asked again by the same
        // customer within the charge's time may also leave it open.
        let closes = !self.dice.chance(250);
        let (wallet_skew, till_skew) = (self.people.get(at)?.skew, self.tills.get(till_at)?.skew);
        let now = self.now(till_skew);
        let payer = self.people.get(at)?.wallet.payer(card).ok()?;
        let till = self.tills.get_mut(till_at)?;
        let sale = till.terminal.sale(Amount::new(Unit::USD, cents)?, None).ok()?;
        if closes {
            self.close_open(till_at, now);
        }
        let before = load_purse(&self.people.get(at)?.wallet.device, card)?;
        let mut tap = Tap::start(payer, sale.clone(), plan.clone(), &mut self.dice).ok()?;
        tap.at(self.tills.get(till_at)?.id);
        let clocks = Clocks { time: self.time, wallet: wallet_skew, terminal: till_skew };
        if plan.wallet_cheat.is_some() {
            self.people.get_mut(at)?.tampered = Some("cheats");
        }
        if plan.terminal_cheat.is_some() {
            self.tills.get_mut(till_at)?.tampered = Some("cheats");
        }
        let sides = (&mut self.people.get_mut(at)?.wallet.device, &mut self.tills.get_mut(till_at)?.terminal.device);
        tap.run(sides, clocks, &mut self.air, &mut self.dice);
        if tap.is_holding() {
            self.twin(at, till_at);
            let wallet = &mut self.people.get_mut(at)?.wallet.device;
            let sides = (wallet, &mut self.tills.get_mut(till_at)?.terminal.device);
            tap.run(sides, clocks, &mut self.air, &mut self.dice);
        }
        let seen = std::mem::take(&mut tap.seen);
        self.judge_tap(at, till_at, cents, &seen, &before.certificate, &sale);
        let now = self.now(wallet_skew);
        let _ = take_up_all(&mut self.people.get_mut(at)?.wallet.device, card, now);
        Some(seen)
    }

    /// Another process of the same wallet pays elsewhere while the first one is about to store its check (R13).
    fn twin(&mut self, at: usize, but: usize) {
        let others: Vec<usize> = (0..self.tills.len()).filter(|till| *till != but).collect();
        if let Some(other) = self.dice.pick(&others) {
            self.wake_till(other);
            self.say(|| format!("wallet {at}: a second process pays at terminal {other} meanwhile"));
            let cents = self.dice.within(20, 900);
            self.touch(at, other, cents, Plan::PLAIN);
        }
    }

    /// What a tap showed is remembered, and what must never happen is looked for.
    fn judge_tap(
        &mut self,
        at: usize,
        till_at: usize,
        cents: u64,
        seen: &Seen,
        certificate: &Signed<CardCertificate>,
        sale: &tegata_core::talk::pay::Sale,
    ) {
        self.wrong.extend(seen.wrong.iter().cloned());
        self.crossed += seen.crossed;
        let till_skew = self.tills.get(till_at).map_or(0, |till| till.skew);
        let time = skewed(self.time, till_skew);
        if let (Some(session), Some(person)) = (seen.session, self.people.get_mut(at)) {
            person.sessions.insert(session);
        }
        for notice in &seen.terminal {
            if let TerminalNotice::Paid { transaction, amount, .. } = notice {
                self.goods.push(Goods { till: till_at, transaction: *transaction });
                self.payments += 1;
                self.judge_goods(till_at, *amount, seen, certificate, sale, time);
            }
        }
        self.say(|| {
            format!(
                "wallet {at} taps terminal {till_at} for {cents}: {:?} | {:?}{}",
                seen.wallet,
                seen.terminal,
                if seen.cheated { " (cheated)" } else { "" }
            )
        });
    }

    fn judge_goods(
        &mut self,
        till: usize,
        amount: Amount,
        seen: &Seen,
        certificate: &Signed<CardCertificate>,
        sale: &tegata_core::talk::pay::Sale,
        time: Time,
    ) {
        if sale.anchors.list_age(time).is_none_or(|age| age > crate::template::LIST_AGE) {
            self.wrong.push(format!("R11: terminal {till} sold with a revocation list that is too old"));
        }
        let Some((shown, raises, check)) = seen.checks.last() else {
            return;
        };
        let certificate = shown.as_ref().unwrap_or(certificate).claimed();
        let Some(terms) = sale.terms.iter().find(|terms| terms.handle() == certificate.terms) else {
            return;
        };
        if let Err(why) = accept_check(certificate, terms, raises, check.claimed(), amount, time) {
            self.wrong.push(format!("R6: terminal {till} handed goods over beyond the card's bounds: {why}"));
        }
    }

    fn void(&mut self, at: usize) {
        self.ready_till(at);
        let Some(till) = self.tills.get(at) else {
            return;
        };
        let paid: Vec<u64> = till
            .terminal
            .payments()
            .unwrap_or_default()
            .iter()
            .filter(|payment| payment.state == ClaimState::Paid)
            .map(|payment| payment.transaction)
            .collect();
        if let Some(transaction) = self.dice.pick(&paid) {
            self.void_at(at, transaction);
        }
        self.rest(None, Some(at));
    }

    /// A merchant undoes a payment. What the terminal says it did must be so.
    pub fn void_at(&mut self, at: usize, transaction: u64) -> bool {
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let Some(till) = self.tills.get_mut(at) else {
            return false;
        };
        let done = till.terminal.void(transaction, now);
        let state = till.terminal.claim(transaction).map(|claim| claim.state);
        let off = till.terminal.device.vault.is_off();
        if done.is_ok() && !off && state != Some(ClaimState::Voided) {
            self.wrong.push(format!("R7: terminal {at} said that {transaction} is voided and did not store it"));
        }
        self.say(|| format!("terminal {at} voids {transaction}: {done:?}"));
        done.is_ok()
    }

    fn close(&mut self, at: usize) {
        self.ready_till(at);
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        self.close_open(at, now);
        self.rest(None, Some(at));
    }

    /// A terminal closes what is open. What it says it did must be so.
    pub fn close_open(&mut self, at: usize, now: tegata_device::Now) {
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        let done = till.terminal.close_open(now);
        let off = till.terminal.device.vault.is_off();
        if let (Ok(Some(transaction)), false) = (&done, off) {
            let state = till.terminal.claim(*transaction).map(|claim| claim.state);
            if state != Some(ClaimState::Closed) {
                self.wrong.push(format!("R7: terminal {at} said that {transaction} is closed and did not store it"));
            }
            self.say(|| format!("terminal {at} closes {done:?}"));
        }
    }

    /// A wallet updates.
    pub fn update_wallet(&mut self, at: usize) -> bool {
        self.ready_person(at);
        let good = self.update_wallet_plain(at);
        self.rest(Some(at), None);
        good
    }

    /// A wallet updates, without misfortune of its own.
    pub fn update_wallet_plain(&mut self, at: usize) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return false;
        };
        let done = person.wallet.update(&mut self.center, now);
        let good = done.is_ok();
        if good {
            self.causes.heard(person.id, self.time);
        }
        self.say(|| match &done {
            Ok(done) => format!("wallet {at} updates: {done:?}"),
            Err(why) => format!("wallet {at} cannot update: {why}"),
        });
        good
    }

    /// A terminal updates.
    pub fn update_till(&mut self, at: usize) -> bool {
        self.ready_till(at);
        if self.dice.chance(self.mix.terminal_cheats) {
            self.cheat_till(at);
        }
        let good = self.update_till_plain(at);
        self.rest(None, Some(at));
        good
    }

    /// A terminal updates, without misfortune of its own.
    pub fn update_till_plain(&mut self, at: usize) -> bool {
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let time = self.time;
        let Some(till) = self.tills.get_mut(at) else {
            return false;
        };
        let done = till.terminal.update(&mut self.center, now);
        if done.is_ok() {
            let late = time.since(till.updated) > crate::template::LIST_AGE + crate::template::RECORD_AGE;
            self.causes.late |= late;
            till.updated = time;
            self.causes.heard(till.id, time);
        }
        let good = done.is_ok();
        self.say(|| match &done {
            Ok(done) => format!("terminal {at} updates: {done:?}"),
            Err(why) => format!("terminal {at} cannot update: {why}"),
        });
        good
    }

    /// A dishonest merchant touches the terminal's records.
    fn cheat_till(&mut self, at: usize) {
        if self.dice.chance(250) {
            let Some(till) = self.tills.get_mut(at) else {
                return;
            };
            if let Some(open) = cheat::never_close(&mut till.terminal.device) {
                till.tampered = Some("cheats");
                self.faults += 1;
                self.say(|| format!("terminal {at} leaves {open} open for ever"));
            }
            return;
        }
        let drop = self.dice.chance(500);
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        let device = &mut till.terminal.device;
        let done = if drop { cheat::drop_last_claim(device) } else { cheat::claim_again(device) };
        if let Some(check) = done {
            till.tampered = Some("cheats");
            let id = till.id;
            if !drop {
                self.causes.double_claims.push((id, check));
            }
            self.faults += 1;
            self.say(|| format!("terminal {at} {}", if drop { "drops a claim" } else { "claims a check again" }));
        }
    }

    fn sell(&mut self) {
        let Some(number) = self.number(false) else {
            return;
        };
        let (batch, serial) = (self.numbers[number].batch, self.numbers[number].serial);
        let now = self.now(0);
        let done = self.issuer.activate(&mut self.center, batch, (serial, serial), now);
        if done.is_ok() {
            self.numbers[number].sold = true;
        } else {
            // The answer was lost: it is asked again until it is known (R26).
            let now = self.now(0);
            self.center.plan(NetPlan::Never);
            if self.issuer.activate(&mut self.center, batch, (serial, serial), now).is_ok() {
                self.numbers[number].sold = true;
            }
        }
        self.say(|| format!("the issuer activates number {number}: {done:?}"));
    }

    /// The operator pays merchants.
    pub fn settle(&mut self) {
        let done = self.center.settle_merchants();
        self.say(|| format!("the operator pays merchants: {done:?}"));
    }

    fn guess(&mut self, at: usize) {
        let number = tegata_crypto_native::number::InstallationNumber::generate(self.dice.entropy()).to_string();
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        self.ready_person(at);
        let now = self.now(skew);
        if let Some(person) = self.people.get_mut(at) {
            let done = person.wallet.install(&mut self.center, &number, None, now);
            if done.is_ok() {
                self.wrong.push("R18: a guessed number was installed".into());
            }
        }
        self.rest(Some(at), None);
    }

    /// The operator blocks a card or revokes a terminal.
    fn revoke(&mut self) {
        if self.dice.chance(700) {
            let at = self.dice.index(self.people.len());
            let Some(id) = self.people.get(at).map(|person| person.id) else {
                return;
            };
            let cards = self.people.get(at).and_then(|person| person.wallet.device.cards().ok()).unwrap_or_default();
            let whole = self.dice.chance(500);
            let done = if whole {
                self.causes.revoked.entry(id).or_insert(self.time);
                self.center.revoke(id)
            } else {
                cards.iter().try_for_each(|card| self.center.block(*card))
            };
            self.causes.blocked.extend(cards);
            self.say(|| format!("the operator blocks wallet {at}{}: {done:?}", if whole { "" } else { "'s cards" }));
        } else {
            let at = self.dice.index(self.tills.len());
            let Some(id) = self.tills.get(at).map(|till| till.id) else {
                return;
            };
            self.causes.revoked.entry(id).or_insert(self.time);
            let done = self.center.revoke(id);
            self.say(|| format!("the operator revokes terminal {at}: {done:?}"));
        }
        self.faults += 1;
    }
}

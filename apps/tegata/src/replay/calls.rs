//! A day of calls: every one the whole conversation between a wallet and a switch, the provider a process of its own. What each call must
//! cost is calculated here once more, from the rates as they are written and from nothing of the program.
#![allow(clippy::float_arithmetic)] // seconds and microseconds, never money

use super::phone::{Heard, Plan, Stands, call, drawn};
use super::sales::Folder;
use super::shop::device;
use crate::flags::CallsFlags;
use crate::measure::rounded;
use crate::rig::ProviderProcess;
use crate::screen::{Answer, Failure, Screen, fail};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tegata_core::card::{CallEnd, CardKind, Terms};
use tegata_core::talk::call::{Call, Caller};
use tegata_core::talk::pay::{Till, load_purse};
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, PartyId, Time, Unit};
use tegata_crypto_native::entropy;
use tegata_device::{Device, HttpPost, Now, hang_up_all, join, take_up_all};
use tegata_issuer::{Issuer, read_rates};
use tegata_switch::Switch;
use tegata_vault::{MemoryVault, Vault};
use tegata_wallet::Wallet;

/// What a telephone card holds, in cents.
const FACE: u64 = 2_000;
/// What calls cost, as an issuer writes it. Nights are cheap, a service charges by the second and keeps its set-up charge, ships at sea are
/// paid link by link, and so are aeroplanes, by the tenth of a second; two of these have a least of several units.
const RATES: &str = "prefix,when,setup,price,seconds,minimum,kept\n\
    49,,0.05,0.12,60,1,\n\
    49,Mon-Sun 00:00-07:00,0.05,0.06,60,1,\n\
    1900,,0.30,0.02,1,10,yes\n\
    870,,0.10,0.01,0.5,4,\n\
    871,,0.10,0.01,0.1,1,\n\
    ,,0.20,0.90,30,2,\n";
/// Who is called.
const CALLED: [&str; 6] = ["4930123456", "4989765432", "19005551234", "81312345678", "870773123456", "871773123456"];
/// How long a word is on its way at most, in milliseconds: each call has a way of its own.
const LONGEST_WAY: u64 = 150;
/// The first second of the day: a Monday.
pub const START: u64 = 20_000 * 86_400 + 4 * 86_400;

/// The day's people and machines.
pub struct Day<S> {
    provider: ProviderProcess,
    post: HttpPost,
    /// The switch.
    pub switch: Switch<S>,
    /// Wallets with their telephone cards.
    pub phones: Vec<(Wallet<MemoryVault>, CardId)>,
    operator: PartyId,
}

/// What is counted.
#[derive(Default)]
struct Counts {
    connected: u64,
    unanswered: u64,
    refused: u64,
    cut: u64,
    vanished: u64,
    mispriced: u64,
    /// The most units that a caller had paid and that had not begun, beyond the agreed least.
    paid_ahead: u64,
    /// The most units that an operator had let begin and that were not paid, where a unit is no shorter than the way there and back.
    served_ahead: u64,
    /// Calls that were paid by links.
    by_links: u64,
    /// The most milliseconds that an operator had served in one of them and that were not paid.
    links_ahead: u64,
    /// Those in which that was more than a unit and than what was on its way.
    beyond: u64,
    /// The most milliseconds that a switch which went down charged nothing for in one of them.
    links_forgotten: u64,
    checks: u64,
    switch_ns: u64,
    seconds: u64,
}

/// Plays a day.
pub fn run(screen: Screen, flags: &CallsFlags) -> Result<Answer, Failure> {
    let started = Instant::now();
    let folder = Folder::new(flags.keep.as_deref())?;
    let mut day = Day::open(&folder.path, flags.phones.max(1), device(Algorithm::Ed25519))?;
    let mut counts = Counts::default();
    let bar = screen.progress(flags.calls, "calls");
    let mut hour = 0;
    for number in 0..flags.calls {
        let at = START + number * 86_400 / flags.calls.max(1);
        if (at - START) / 3_600 > hour {
            hour = (at - START) / 3_600;
            day.provider.set_clock(Time(at))?;
            day.switch.update(&mut day.post, moment(Time(at)))?;
        }
        let (spent, plan, called) = day.call(flags.seed, number, at)?;
        counts.add(&spent, &plan, called);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let end = Time(START + 2 * 86_400);
    day.provider.set_clock(end)?;
    let sums = day.close(end, &mut counts)?;
    let audited =
        tegata_audit::audit_file(&folder.path.join("provider").join("provider.db"), &tegata_audit::Options::default())?;
    let unexplained = audited.differences + audited.open_exceptions + sums.disagreements;
    let most_at_risk = counts.paid_ahead.max(counts.served_ahead);
    let wall = started.elapsed().as_secs_f64();
    let check_us = counts.switch_ns as f64 / 1_000.0 / counts.checks.max(1) as f64;
    let text = format!(
        "{} calls of {} phones: {} connected ({} hours), {} unanswered, {} refused, {} cut when the card was empty, {} cut off.\n\
         {} mispriced; at most {} units at risk for callers beyond the agreed least, {} for the operator, {} ms where links pay ({} calls, {} ms there \
         and back at most). Cards lost {}, the operator is owed {}; {unexplained} unexplained.\n\
         {check_us:.0} us of the switch's CPU for each word that it hears; {wall:.1} s.",
        flags.calls,
        flags.phones,
        counts.connected,
        counts.seconds / 3_600,
        counts.unanswered,
        counts.refused,
        counts.cut,
        counts.vanished,
        counts.mispriced,
        counts.paid_ahead,
        counts.served_ahead,
        counts.links_ahead,
        counts.by_links,
        2 * LONGEST_WAY,
        money(sums.lost),
        money(sums.owed)
    );
    let json = json!({
        "calls": flags.calls, "phones": flags.phones, "connected": counts.connected, "unanswered": counts.unanswered,
        "refused": counts.refused, "cut": counts.cut, "vanished": counts.vanished, "mispriced": counts.mispriced,
        "max_units_at_risk": most_at_risk, "max_units_paid_ahead": counts.paid_ahead,
        "max_units_served_ahead": counts.served_ahead, "paid_by_links": counts.by_links,
        "max_ms_served_ahead_by_links": counts.links_ahead, "max_ms_forgotten_by_links": counts.links_forgotten,
        "beyond_a_unit_and_the_way": counts.beyond, "longest_way_and_back_ms": 2 * LONGEST_WAY, "lost_cents": sums.lost, "owed_cents": sums.owed,
        "unexplained": unexplained, "switch_us_a_word": rounded(check_us, 1), "wall_s": rounded(wall, 1),
    });
    if counts.mispriced + unexplained + counts.beyond > 0 || most_at_risk > 1 {
        return fail(format!("{text}\n{json}"));
    }
    Ok(Answer::new(text, json))
}

fn moment(time: Time) -> Now {
    Now { time, entropy: entropy::fresh() }
}

fn money(cents: u64) -> String {
    Amount::new(Unit::USD, cents).map_or_else(|| cents.to_string(), |amount| amount.to_string())
}

/// What calls to a number cost by [`RATES`], written out once more, with nothing of the program.
struct Priced {
    setup: u64,
    price: u64,
    /// Milliseconds of a unit.
    length: u64,
    /// Units of the agreed least.
    least: u64,
    kept: bool,
}

impl Priced {
    fn of(called: &str, at: u64) -> Self {
        let night = at % 86_400 < 7 * 3_600;
        let (setup, price, length, least, kept) = match called {
            _ if called.starts_with("1900") => (30, 2, 1_000, 10, true),
            _ if called.starts_with("870") => (10, 1, 500, 4, false),
            _ if called.starts_with("871") => (10, 1, 100, 1, false),
            _ if called.starts_with("49") && night => (5, 6, 60_000, 1, false),
            _ if called.starts_with("49") => (5, 12, 60_000, 1, false),
            _ => (20, 90, 30_000, 2, false),
        };
        Self { setup, price, length, least, kept }
    }
    /// Units of which something is used after so many milliseconds.
    fn begun(&self, spoke: u64) -> u64 {
        spoke.div_ceil(self.length)
    }
    /// What a call costs: `spoke` in milliseconds, `None` if nobody answered.
    fn cost(&self, spoke: Option<u64>) -> u64 {
        match spoke {
            Some(spoke) => self.setup + self.price * self.begun(spoke).max(self.least),
            None if self.kept => self.setup,
            None => 0,
        }
    }
    /// Whole units that an amount pays for, beyond the set-up charge.
    fn paid(&self, amount: u64) -> u64 {
        amount.saturating_sub(self.setup) / self.price
    }
    /// Units that are paid and have not begun, beyond the agreed least; one that begins at this moment has.
    fn paid_ahead(&self, stands: &Stands) -> u64 {
        let begun = stands.spoke / self.length + 1;
        self.paid(stands.left).saturating_sub(begun.max(self.least))
    }
    /// Units that have begun and are not paid.
    fn served_ahead(&self, stands: &Stands) -> u64 {
        self.begun(stands.spoke).saturating_sub(self.paid(stands.stored))
    }
    /// Milliseconds that were spoken and are not paid.
    fn ms_ahead(&self, stands: &Stands) -> u64 {
        stands.spoke.saturating_sub(self.paid(stands.stored) * self.length)
    }
    /// Its units are shorter than a second.
    fn is_by_links(&self) -> bool {
        self.length < 1_000
    }
}

impl Counts {
    fn add(&mut self, heard: &Heard, plan: &Plan, called: &str) {
        self.checks += heard.checks;
        self.switch_ns += heard.switch_ns;
        if !heard.rang {
            self.refused += 1;
            return;
        }
        let answered = plan.speaks.map(|_| heard.spoke);
        match answered {
            Some(spoke) => {
                self.connected += 1;
                self.seconds += spoke / 1_000;
            }
            None => self.unanswered += 1,
        }
        let Some(receipt) = &heard.receipt else {
            // A call that rang has an end at its switch.
            self.mispriced += 1;
            return;
        };
        let (is_cut, priced) = (receipt.ended == CallEnd::PaidTimeOver, Priced::of(called, plan.at.0));
        self.cut += u64::from(is_cut);
        let (due, used, way) = (priced.cost(answered), receipt.used.minor(), 2 * plan.delay);
        // It ended before anything beyond the set-up charge could come: that is paid with the answer at the soonest (R24).
        let is_early = answered.is_some_and(|spoke| spoke < way);
        // A link is sent as the unit before its own begins; where that is too late for the way, what is on it is not paid.
        let on_the_way = if priced.is_by_links() { way.div_ceil(priced.length).saturating_sub(1) } else { 0 };
        let is_right = match plan.ends {
            // Both went down: the switch charges what is certain, and not more than was spoken.
            None => used <= due,
            Some(_) if is_early => used == priced.setup,
            Some(_) => used <= due && due - used <= on_the_way * priced.price,
        };
        self.vanished += u64::from(plan.ends.is_none());
        self.mispriced += u64::from(!is_right);
        // What was spoken and is not charged, whatever was paid.
        let lost = if is_early {
            priced.begun(heard.spoke).saturating_sub(priced.paid(used))
        } else {
            due.saturating_sub(used).div_ceil(priced.price)
        };
        self.by_links += u64::from(priced.is_by_links());
        if priced.is_by_links() && plan.ends.is_none() {
            // Certain is what had begun with the last link that was stored, although more was paid: what that loses a switch is its own doing.
            self.links_forgotten = self.links_forgotten.max(lost * priced.length);
        } else if on_the_way == 0 {
            self.served_ahead = self.served_ahead.max(lost);
        }
        for stands in &heard.stood {
            self.paid_ahead = self.paid_ahead.max(priced.paid_ahead(stands));
            if on_the_way == 0 {
                self.served_ahead = self.served_ahead.max(priced.served_ahead(stands));
            }
        }
        if priced.is_by_links() {
            let most = heard.stood.iter().map(|stands| priced.ms_ahead(stands)).max().unwrap_or(0);
            self.links_ahead = self.links_ahead.max(most);
            self.beyond += u64::from(most > way.max(priced.length));
        }
    }
}

/// What the cards have lost, what the operator is owed, and how often the two, or a card and the provider, disagree.
struct Sums {
    lost: u64,
    owed: u64,
    disagreements: u64,
}

impl<S: Vault> Day<S> {
    /// Opens it: everybody has joined and has a card, and the switch is this device.
    pub fn open(folder: &Path, phones: u64, mut switch: Device<S>) -> Result<Self, Failure> {
        let provider = ProviderProcess::start(folder, Time(START))?;
        let (info, mut post) = (provider.info()?, HttpPost::new(&provider.url())?);
        let now = || moment(Time(START));
        let token = |role: &str, name: &str, owner| -> Result<_, Failure> {
            Ok(provider.invite(role, &[name.to_owned()], owner)?.remove(0))
        };
        let mut joining = |role, name: &str, of: &str, owner| -> Result<_, Failure> {
            let mut joined = device(Algorithm::Ed25519);
            join(&mut joined, &mut post, &info, &token(of, name, owner)?, role, name, now())?;
            Ok(joined)
        };
        let mut issuer = Issuer::new(joining(Role::Issuer, "Calls Inc", "issuer", None)?);
        let merchant = joining(Role::Merchant, "Exchange", "merchant", None)?;
        let Some(operator) = merchant.certificate().map(|it| it.claimed().subject.party()) else {
            return fail("the operator did not join");
        };
        let wallets = (0..phones).map(|_| joining(Role::Wallet, "", "wallet", None)).collect::<Result<Vec<_>, _>>()?;
        let mut post = HttpPost::new(&provider.url())?;
        let token = token("switch", "Exchange", Some(operator))?;
        join(&mut switch, &mut post, &info, &token, Role::Switch, "Exchange", now())?;
        let mut switch = Switch::new(switch);
        issuer.set_tariff(&mut post, (Unit::USD, 0), read_rates(RATES, Unit::USD)?, now())?;
        let terms = Terms {
            issuer: issuer.party()?,
            kind: CardKind::Telephone,
            unit: Unit::USD,
            name: "Phone card".into(),
            max_payment: FACE,
            offline_limit: FACE,
            due_after: 30 * Time::DAY,
            list_age: 7 * Time::DAY,
            record_age: 7 * Time::DAY,
            max_balance: FACE,
            handovers: 0,
            refundable: true,
            max_untouched: 0,
            register_within: None,
            program: None,
            ticket: None,
            extensions: Default::default(),
        };
        let Some(face) = Amount::new(Unit::USD, FACE) else { return fail("a face value") };
        let batch = issuer.order(&mut post, terms, face, (phones, Time(START).after(1_000 * Time::DAY)), now())?;
        issuer.activate(&mut post, batch, (1, phones), now())?;
        let mut held = Vec::new();
        for (printed, wallet) in issuer.print(batch)?.into_iter().zip(wallets) {
            let mut wallet = Wallet::new(wallet, Algorithm::Ed25519);
            let card = wallet.install(&mut post, &printed.number.to_string(), None, now())?;
            held.push((wallet, card));
        }
        switch.update(&mut post, now())?;
        Ok(Self { provider, post, switch, phones: held, operator })
    }

    /// The call of this number.
    fn call(&mut self, seed: u64, number: u64, at: u64) -> Result<(Heard, Plan, &'static str), Failure> {
        let draw = |what: u64, bound| drawn(seed, &[number, what], bound);
        let phones = self.phones.len() as u64;
        let (wallet, card) = &mut self.phones[usize::try_from(draw(0, phones))?];
        let called = match draw(1, 100) {
            0..45 => CALLED[0],
            45..80 => CALLED[1],
            80..92 => CALLED[2],
            92..97 => CALLED[3],
            97..99 => CALLED[4],
            _ => CALLED[5],
        };
        let speaks = match draw(2, 100) {
            0..12 => None,
            12..30 => Some(draw(3, 20_000)),
            30..90 => Some(draw(3, 240_000)),
            // Many a card ends in one of these.
            _ => Some(draw(3, 3_600_000)),
        };
        let ends = match draw(4, 100) {
            0..3 => None,
            3..50 => Some(CallEnd::HungUp),
            _ => Some(CallEnd::CalledHungUp),
        };
        let plan = Plan { at: Time(at), rings: draw(5, 25_000), speaks, ends, delay: draw(7, LONGEST_WAY + 1) };
        let now = moment(Time(at));
        hang_up_all(&mut wallet.device, now)?;
        take_up_all(&mut wallet.device, *card, now)?;
        let payer = wallet.payer(*card)?;
        let caller = Caller { payer, called: called.to_owned(), limit: None };
        let mut heard = call((&mut wallet.device, &mut self.switch), caller, plan)?;
        if heard.rang && ends.is_none() && heard.receipt.is_none() {
            let last = Till::load(&self.switch.device).0.next - 1;
            self.switch.end(last, moment(Time(at)))?;
            heard.receipt = Call::load(&self.switch.device, last)
                .and_then(|call| call.receipt)
                .map(|receipt| receipt.claimed().clone());
        }
        // Who has called often brings it up, and may spend again.
        if draw(6, 100) < 5 {
            wallet.update(&mut self.post, moment(Time(at)))?;
        }
        Ok((heard, plan, called))
    }

    /// Everybody brings up what is left, and all totals are compared.
    fn close(&mut self, end: Time, counts: &mut Counts) -> Result<Sums, Failure> {
        self.switch.recover(moment(end))?;
        self.switch.update(&mut self.post, moment(end))?;
        for (wallet, _) in &mut self.phones {
            hang_up_all(&mut wallet.device, moment(end))?;
            // The second brings up what the first has let it take up.
            wallet.update(&mut self.post, moment(end))?;
            wallet.update(&mut self.post, moment(end))?;
        }
        let records = self.switch.records()?;
        let used: u64 = records.iter().map(|record| record.used.minor()).sum();
        for record in &records {
            // What is certain of a call that was cut off is never more than it cost.
            let most = Priced::of(&record.called, record.at.0).cost(record.lasted);
            counts.mispriced += u64::from(record.lasted.is_some() && record.used.minor() > most);
        }
        let lost: u64 = self
            .phones
            .iter()
            .filter_map(|(wallet, card)| load_purse(&wallet.device, *card))
            .map(|purse| FACE - purse.remaining)
            .sum();
        let settled = self.provider.operator().ask(&json!({ "do": "settle" }))?;
        let payouts = settled.get("payouts").and_then(Value::as_array).cloned().unwrap_or_default();
        let operator = self.operator.to_string();
        let of_operator = payouts.iter().filter(|paid| paid.to_string().contains(&operator));
        let owed =
            of_operator.filter_map(|paid| paid.get("amount")?.as_str().and_then(|text| Amount::parse(Unit::USD, text)));
        let owed: u64 = owed.map(Amount::minor).sum();
        Ok(Sums { lost, owed, disagreements: u64::from(lost != used) + u64::from(owed != used) })
    }
}

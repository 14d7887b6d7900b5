//! People pay by credit: a bank card is named, a wallet offers it at a counter, and each side asks the provider over its own
//! line, or never does.

use crate::cheat;
use crate::counter::{Counter, Offered};
use crate::tap::{Answer, Clocks, Plan};
use crate::town::{Goods, Town};
use tegata_core::talk::credit::{
    CardExpiry, CardNumber, ClaimNotice, CreditAsk, CreditNotice, CreditRefusal, CreditState, PaymentOption,
};
use tegata_core::talk::pay::{Claim, ClaimState, TerminalNotice, Till};
use tegata_core::{Amount, RequestNumber, Unit};
use tegata_processor::bank::TestCard;

/// Who asks the provider after a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines {
    /// The wallet does.
    pub wallet: bool,
    /// The terminal does.
    pub terminal: bool,
    /// The wallet first.
    pub wallet_first: bool,
    /// How often they ask, longer and longer apart.
    pub rounds: u64,
}

impl Lines {
    /// Both ask until it is known, as long as people stand at a counter.
    pub const BOTH: Self = Self { wallet: true, terminal: true, wallet_first: true, rounds: 10 };
}

impl Town {
    /// The wallet names one of the bank's test cards; most people's are approved.
    pub(super) fn register_some(&mut self, at: usize) {
        let all = TestCard::ALL.map(|(card, _)| card);
        let (later, at_once): (Vec<_>, Vec<_>) = all.into_iter().partition(|card| card.refuses_later());
        let card = match self.dice.chance(550) {
            true => TestCard::Approved,
            false => at_once[self.dice.index(at_once.len())],
        };
        let card = if self.moods.chance(self.mix.refusing) { self.moods.pick(&later).unwrap_or(card) } else { card };
        self.ready_person(at);
        // Somebody mistypes.
        let mistyped = self.dice.chance(60);
        self.register(at, card, mistyped, 3);
        self.rest(Some(at), None);
    }

    /// A wallet registers a bank card and asks so often; says whether it is registered.
    pub fn register(&mut self, at: usize, card: TestCard, mistyped: bool, rounds: u64) -> bool {
        let digits = if mistyped { "4111111111111112" } else { card.number() };
        for _ in 0..rounds {
            let told = self.register_once(at, digits);
            self.registered(at, matches!(told, Ok(CreditNotice::Authorized)));
            self.say(|| {
                format!("wallet {at} registers {card:?}{}: {told:?}", if mistyped { ", mistyped" } else { "" })
            });
            match told {
                Ok(CreditNotice::Waiting { .. }) => self.wait(2),
                Ok(CreditNotice::Authorized) => return true,
                _ => return false,
            }
        }
        false
    }

    /// The registration that is in force from here on: what the provider last heard of this wallet itself.
    fn registered(&mut self, at: usize, good: bool) {
        let Some(id) = self.people.get(at).map(|person| person.id) else {
            return;
        };
        let row = self.center.store().and_then(|store| store.clearing_account(id.0)).ok().flatten();
        if let Some(person) = self.people.get_mut(at) {
            person.has_bank_card = good;
            person.registration = row.map(|row| row.request);
        }
    }

    fn register_once(&mut self, at: usize, digits: &str) -> Result<CreditNotice, String> {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let published = self.center.now;
        let provider = self.center.provider().ok_or("no provider")?;
        let certificate = provider.processor_certificate(published).map_err(|error| error.to_string())?;
        let certificate = certificate.ok_or("no processor")?;
        let person = self.people.get_mut(at).ok_or("nobody")?;
        let number = CardNumber::new(digits.as_bytes()).ok_or("no card number")?;
        let month = CardExpiry::new(29, 12).ok_or("no month")?;
        let sealed = person.wallet.seal_card(&certificate, (number, month), now).map_err(|error| error.to_string())?;
        person.wallet.register_card(&mut self.center, sealed, now).map_err(|error| error.to_string())
    }

    /// Somebody pays by credit somewhere.
    pub(super) fn credit_somewhere(&mut self, person: usize, till: usize) {
        let has_card = self.people.get(person).is_some_and(|person| person.has_bank_card);
        if !has_card && self.dice.chance(600) {
            self.register_some(person);
        }
        let cents = if self.dice.chance(80) { 1 } else { self.dice.within(50, 30_000) };
        let plan = Plan { wallet_cheat: None, terminal_cheat: None, ..self.tap_plan() };
        let who = self.dice.below(20);
        let lines = Lines {
            wallet: who != 0 && who != 2,
            terminal: who != 1 && who != 2,
            wallet_first: self.dice.chance(500),
            rounds: self.dice.within(1, 6),
        };
        self.pay_by_credit(person, till, cents, &plan, lines);
    }

    /// A wallet touches a terminal to pay by credit, and then each side asks over its own line. Whether the goods were handed over.
    pub fn pay_by_credit(&mut self, at: usize, till: usize, cents: u64, plan: &Plan, lines: Lines) -> bool {
        self.ready_person(at);
        self.ready_till(till);
        let offered = self.offer(at, till, cents, plan);
        self.rest(Some(at), Some(till));
        let Some(offered) = offered else {
            return false;
        };
        let ready = offered.wallet.iter().find_map(|notice| match notice {
            CreditNotice::Ready(request) => Some(*request),
            _ => None,
        });
        let asked = offered.terminal.iter().find_map(|notice| match notice {
            TerminalNotice::CreditAsked { transaction } => Some(*transaction),
            _ => None,
        });
        if let (Some(transaction), true) = (asked, self.dice.chance(self.mix.terminal_cheats)) {
            self.overcharge(till, transaction);
        }
        self.ask_both((at, ready.filter(|_| lines.wallet)), (till, asked.filter(|_| lines.terminal)), lines)
    }

    /// Both sides ask until they know, or go away. Whether the goods were handed over.
    pub fn ask_both(
        &mut self,
        (at, mut request): (usize, Option<RequestNumber>),
        (till, mut transaction): (usize, Option<u64>),
        lines: Lines,
    ) -> bool {
        let mut paid = false;
        for round in 0..lines.rounds {
            for wallet in [lines.wallet_first, !lines.wallet_first] {
                match (wallet, request, transaction) {
                    (true, Some(number), _) if self.ask_wallet(at, number) => {
                        request = None;
                        if self.ended.get(&number) == Some(&CreditRefusal::NoCard) && self.dice.chance(300) {
                            self.register_some(at);
                        }
                    }
                    (false, _, Some(number)) => match self.ask_till(till, number) {
                        Some(ClaimNotice::Paid { .. }) => {
                            (paid, transaction) = (true, None);
                        }
                        Some(ClaimNotice::Waiting { .. }) | None => {}
                        Some(_) => transaction = None,
                    },
                    _ => {}
                }
            }
            if request.is_none() && transaction.is_none() {
                break;
            }
            self.wait(1 << round.min(5));
        }
        paid
    }

    /// The tap itself, without misfortune of the devices' own.
    pub fn offer(&mut self, at: usize, till_at: usize, cents: u64, plan: &Plan) -> Option<Offered> {
        let (wallet_skew, till_skew) = (self.people.get(at)?.skew, self.tills.get(till_at)?.skew);
        let option = match self.dice.below(8) {
            0 => PaymentOption::Bonus,
            1 => PaymentOption::Instalments(12),
            _ => PaymentOption::Once,
        };
        let now = self.now(wallet_skew);
        let payer = self.people.get_mut(at)?.wallet.credit_payer(option, now).ok()?;
        let sale = self.tills.get(till_at)?.terminal.sale(Amount::new(Unit::USD, cents)?, Some("bread".into())).ok()?;
        if !self.dice.chance(150) {
            let now = self.now(till_skew);
            self.close_open(till_at, now);
        }
        let counter = Counter::start(payer, sale, plan, &mut self.dice).ok()?;
        let clocks = Clocks { time: self.time, wallet: wallet_skew, terminal: till_skew };
        let sides = (&mut self.people.get_mut(at)?.wallet.device, &mut self.tills.get_mut(till_at)?.terminal.device);
        let offered = counter.run(sides, clocks, &mut self.air, &mut self.dice);
        self.wrong.extend(offered.wrong.iter().cloned());
        self.crossed += offered.crossed;
        self.say(|| {
            format!(
                "wallet {at} offers credit at terminal {till_at} for {cents}: {:?} | {:?}",
                offered.wallet, offered.terminal
            )
        });
        Some(offered)
    }

    /// A wallet asks how a payment stands; whether that is known for good.
    pub fn ask_wallet(&mut self, at: usize, request: RequestNumber) -> bool {
        self.ready_person(at);
        let told = self.ask_wallet_plain(at, request);
        self.rest(Some(at), None);
        told
    }

    /// The same, without misfortune of the wallet's own.
    pub fn ask_wallet_plain(&mut self, at: usize, request: RequestNumber) -> bool {
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let Some(person) = self.people.get_mut(at) else {
            return true;
        };
        let told = person.wallet.credit(&mut self.center, request, now);
        if let (Ok(CreditNotice::Ended(why)), false) = (&told, person.wallet.device.vault.is_off()) {
            self.ended.insert(request, *why);
        }
        let known = matches!(told, Ok(CreditNotice::Cleared | CreditNotice::Ended(_)));
        self.say(|| format!("wallet {at} asks for its payment {request}: {told:?}"));
        known
    }

    /// A terminal asks for a charge by credit.
    pub fn ask_till(&mut self, at: usize, transaction: u64) -> Option<ClaimNotice> {
        self.ready_till(at);
        let told = self.ask_till_plain(at, transaction);
        self.rest(None, Some(at));
        told
    }

    /// The same, without misfortune of the terminal's own. Goods are handed over once it says so.
    pub fn ask_till_plain(&mut self, at: usize, transaction: u64) -> Option<ClaimNotice> {
        let skew = self.tills.get(at).map_or(0, |till| till.skew);
        let now = self.now(skew);
        let till = self.tills.get_mut(at)?;
        let told = till.terminal.credit(&mut self.center, transaction, now);
        let off = till.terminal.device.vault.is_off();
        if let Ok(ClaimNotice::Paid { transaction, .. }) = &told {
            self.goods.push(Goods { till: at, transaction: *transaction });
            self.payments += 1;
        }
        if let (Ok(ClaimNotice::Refused { transaction, .. }), false) = (&told, off) {
            let state = till.terminal.claim(*transaction).map(|claim| claim.state);
            if state != Some(ClaimState::Closed) {
                self.wrong.push(format!("R7: terminal {at} said that {transaction} ended and did not store it"));
            }
        }
        self.say(|| format!("terminal {at} asks for charge {transaction}: {told:?}"));
        told.ok()
    }

    /// Requests of a wallet that are not known for good.
    pub fn open_credits(&self, at: usize) -> Vec<RequestNumber> {
        let credits = self.people.get(at).and_then(|person| person.wallet.credits().ok()).unwrap_or_default();
        let open = credits.iter().filter(|it| !matches!(it.state, CreditState::Cleared | CreditState::Refused));
        open.map(|it| it.request.claimed().offer.claimed().request).collect()
    }

    /// Charges of a terminal by credit that are not known for good.
    pub fn open_claims(&self, at: usize) -> Vec<u64> {
        let Some(till) = self.tills.get(at) else {
            return Vec::new();
        };
        let (own, _) = Till::load(&till.terminal.device);
        let open = own.open.filter(|transaction| {
            Claim::load(&till.terminal.device, *transaction).is_some_and(|claim| claim.offer.is_some())
        });
        open.into_iter().chain(till.terminal.clearing().unwrap_or_default()).collect()
    }

    /// A wallet goes on with what it does not know yet.
    pub(super) fn go_on_wallet(&mut self, at: usize) {
        for request in self.open_credits(at) {
            self.ask_wallet(at, request);
        }
        let waits = self.people.get(at).is_some_and(|it| CreditAsk::registering(&it.wallet.device).is_some());
        if waits {
            self.ready_person(at);
            self.register(at, TestCard::Approved, false, 2);
            self.rest(Some(at), None);
        }
    }

    /// A terminal goes on with what it does not know yet.
    pub(super) fn go_on_till(&mut self, at: usize) {
        for transaction in self.open_claims(at) {
            self.ask_till(at, transaction);
        }
    }

    /// A dishonest merchant asks for more than the user saw.
    fn overcharge(&mut self, at: usize, transaction: u64) {
        let Some(till) = self.tills.get_mut(at) else {
            return;
        };
        if cheat::overcharge(&mut till.terminal.device, transaction).is_some() {
            till.tampered = Some("cheats");
            self.faults += 1;
            self.say(|| format!("terminal {at} asks for more than it showed for {transaction}"));
        }
    }

    /// In calm: what is not known is asked for until it is (R26).
    pub fn finish_credit(&mut self) {
        if self.center.courier.is_none() {
            return;
        }
        for _ in 0..12 {
            let mut open = false;
            for at in 0..self.people.len() {
                for request in self.open_credits(at) {
                    open |= !self.ask_wallet_plain(at, request);
                }
                if CreditAsk::registering(&self.people[at].wallet.device).is_some() {
                    self.register(at, TestCard::Approved, false, 1);
                    open |= CreditAsk::registering(&self.people[at].wallet.device).is_some();
                }
            }
            for at in 0..self.tills.len() {
                for transaction in self.open_claims(at) {
                    open |= matches!(self.ask_till_plain(at, transaction), Some(ClaimNotice::Waiting { .. }) | None);
                }
            }
            if !open {
                return;
            }
            self.wait(5);
        }
    }

    /// In calm: an honest wallet with a good card pays at an honest terminal.
    pub fn somebody_pays_by_credit(&mut self) {
        if self.center.courier.is_none() || self.center.processor_revoked.is_some() {
            return;
        }
        let revoked = |id| self.causes.revoked.contains_key(&id);
        let honest = |tampered: Option<&str>, id| tampered.is_none() && !revoked(id);
        let at = (0..self.people.len()).find(|at| honest(self.people[*at].tampered, self.people[*at].id));
        let till = (0..self.tills.len()).find(|at| honest(self.tills[*at].tampered, self.tills[*at].id));
        let (Some(at), Some(till)) = (at, till) else {
            return;
        };
        if !self.register(at, TestCard::Approved, false, 10) {
            self.wrong.push(format!("liveness: wallet {at} cannot register a bank card in calm"));
            return;
        }
        for _ in 0..2 {
            let plan = Plan { answer: Answer::Agree, ..Plan::PLAIN };
            if self.pay_by_credit(at, till, 100, &plan, Lines::BOTH) {
                return;
            }
        }
        self.wrong.push(format!("liveness: wallet {at} cannot pay by credit at terminal {till} in calm"));
    }
}

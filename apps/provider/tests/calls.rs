//! Calls, told against the real provider: what they cost, who has it, and that the auditor agrees, whichever side is heard first.

use crate::world::{Person, World, blank, usd};
use std::sync::Arc;
use tegata_audit::{Options, audit};
use tegata_core::card::{CallEnd, CallReceipt, CardKind, Terms};
use tegata_core::charging::{AGREED_WITHIN, Rate, Tariff};
use tegata_core::record::Space;
use tegata_core::step::{Break, Broken, Event};
use tegata_core::talk::call::{
    Call, Caller, CallerNotice, Calling, EndOfCall, Exchange, HangUp, SwitchCall, SwitchNotice, WalletCall,
};
use tegata_core::talk::contract::Tender;
use tegata_core::talk::journal::Through;
use tegata_core::talk::pay::{Payer, Refusal, load_purse};
use tegata_core::talk::update::load_terms;
use tegata_core::wire::certificate::{Anchors, Role};
use tegata_core::wire::signed::Signed;
use tegata_core::{CardId, Hash, PartyId, Time, Unit};
use tegata_device::{Now, Talking, TerminalTap, WalletTap};
use tegata_ledger::Side;
use tegata_provider::Fee;
use tegata_store::{ExceptionKind, PositionSide};
use tegata_vault::Vault;

const MINUTE: u64 = 60_000;

/// A wallet with a telephone card, and a switch.
struct Lines {
    world: World,
    wallet: Person,
    switch: Person,
    card: CardId,
    /// Milliseconds of everybody's clock.
    ms: u64,
    /// What the switch charges by, where it does not follow what it was told.
    charges_by: Option<Vec<(Hash, Tariff)>>,
    /// Whom it trusts, where it does not follow what it was told.
    trusts: Option<Anchors>,
    /// Seconds that it gives callers to agree.
    valid_for: u64,
    /// The trunk that calls go through.
    through: Option<Through>,
    /// By how many seconds the switch's clock is ahead while somebody dials.
    ahead: u64,
}

/// One call.
struct Line {
    left: WalletTap<WalletCall>,
    right: TerminalTap<SwitchCall>,
    /// What is on its way: whether to the switch, and the frame.
    queue: Vec<(bool, Vec<u8>)>,
    /// Frames that still arrive.
    frames: usize,
    rings: bool,
    hung_up: Option<CallEnd>,
    heard: Vec<CallerNotice>,
    said: Vec<SwitchNotice>,
}

fn terms(world: &World) -> Terms {
    Terms { kind: CardKind::Telephone, name: "Town calls".into(), max_payment: 100_000, ..world.terms() }
}

fn tariff(world: &World, number: u64, price: u64) -> Tariff {
    let rate = |prefix: &str, setup, price, length, setup_kept| Rate {
        prefix: prefix.into(),
        when: None,
        setup,
        price,
        length,
        minimum: 1,
        setup_kept,
        extensions: Default::default(),
    };
    Tariff {
        issuer: world.issuer_id(),
        number,
        unit: Unit::USD,
        ahead: 0,
        rates: vec![
            rate("49", 20, price, MINUTE, None),
            rate("1", 30, 5, 1_000, Some(true)),
            rate("77", 10, 2, 100, None),
        ],
        at: world.now,
        extensions: Default::default(),
    }
}

impl Lines {
    fn new(face: u64) -> Self {
        let mut world = World::new();
        let terms = terms(&world);
        let numbers = world.order_of(terms, 1, face, true);
        let body = tariff(&world, 1, 100);
        world.issuer_asks(body);
        let mut wallet = world.wallet(10);
        let mut switch = blank(20);
        let owner = world.merchant_id();
        world.join(&mut switch, Role::Switch, Some(owner), "exchange");
        world.update(&mut switch);
        let card = world.install(&mut wallet, &numbers[0], 30);
        Self {
            world,
            wallet,
            switch,
            card,
            ms: 0,
            charges_by: None,
            trusts: None,
            valid_for: 60,
            through: None,
            ahead: 0,
        }
    }
    fn now(&mut self) -> Now {
        self.world.moment()
    }
    fn exchange(&self) -> Arc<Exchange> {
        let tariffs = self.switch.vault.scan(Space::Tariff, &[], usize::MAX).expect("scanned");
        let tariffs = tariffs.into_iter().map(|(_, bytes)| {
            let signed = Signed::<Tariff>::decode(&bytes).expect("a tariff");
            (signed.hash(&[]), signed.claimed().clone())
        });
        Arc::new(Exchange {
            certificate: self.switch.certificate().expect("joined"),
            anchors: self.trusts.clone().unwrap_or_else(|| self.switch.anchors().expect("joined")),
            terms: load_terms(&self.switch, terms(&self.world).handle()).into_iter().collect(),
            tariffs: self.charges_by.clone().unwrap_or_else(|| tariffs.collect()),
            valid_for: self.valid_for,
            lead: 2_000,
        })
    }
    fn caller(&self, called: &str) -> Caller {
        let payer = Payer {
            card: self.card,
            terms: load_terms(&self.wallet, terms(&self.world).handle()).expect("terms"),
            anchors: self.wallet.anchors().expect("joined"),
        };
        Caller { payer, called: called.into(), limit: None }
    }
    /// Dials; `frames`: how many of what both say arrives.
    fn dial(&mut self, called: &str, frames: usize) -> Line {
        let (caller, exchange) = (self.caller(called), self.exchange());
        self.begin(caller, exchange, frames)
    }
    fn begin(&mut self, caller: Caller, exchange: Arc<Exchange>, frames: usize) -> Line {
        let right = SwitchCall::new(exchange, caller.called.clone()).through(self.through.clone());
        let (left, hello) = WalletTap::touch(WalletCall::new(caller), self.now().entropy).expect("starts");
        let mut line = Line {
            left,
            right: TerminalTap::waiting(right),
            queue: vec![(true, hello)],
            frames,
            rings: false,
            hung_up: None,
            heard: Vec::new(),
            said: Vec::new(),
        };
        self.carry(&mut line);
        line
    }
    /// Carries what is on its way, and what follows from it.
    fn carry(&mut self, line: &mut Line) {
        while let Some((to_switch, frame)) = (!line.queue.is_empty()).then(|| line.queue.remove(0)) {
            if line.frames == 0 {
                continue;
            }
            line.frames -= 1;
            let (now, ms) = (self.now(), self.ms);
            if to_switch {
                let now = Now { time: now.time.after(self.ahead), ..now };
                line.right.talking().tell(|call| call.at(ms));
                let step = line.right.receive(&frame, now, &mut self.switch).expect("the session holds");
                self.switched(line, step);
            } else {
                line.left.talking().tell(|call| call.at(ms));
                let step = line.left.receive(&frame, now, &mut self.wallet).expect("the session holds");
                self.walleted(line, step);
            }
        }
    }
    fn switched(&mut self, line: &mut Line, step: tegata_device::TapStep<SwitchNotice>) {
        for notice in step.notices {
            match &notice {
                SwitchNotice::Proceed => line.rings = true,
                SwitchNotice::HangUp(how) => line.hung_up = Some(*how),
                _ => {}
            }
            line.said.push(notice);
        }
        line.queue.extend(step.frames.into_iter().map(|frame| (false, frame)));
    }
    fn walleted(&mut self, line: &mut Line, step: tegata_device::TapStep<CallerNotice>) {
        line.queue.extend(step.frames.into_iter().map(|frame| (true, frame)));
        let asked = step.notices.iter().any(|notice| matches!(notice, CallerNotice::Consent { .. }));
        line.heard.extend(step.notices);
        if asked {
            let now = self.now();
            let step = line.left.event(Event::Agreed, now, &mut self.wallet).expect("agreed");
            self.walleted(line, step);
        }
    }
    /// Both sides look.
    fn look(&mut self, line: &mut Line) {
        let (now, ms) = (self.now(), self.ms);
        line.left.talking().tell(|call| call.at(ms));
        line.right.talking().tell(|call| call.at(ms));
        let step = line.left.event(Event::Tick, now, &mut self.wallet).expect("looks");
        self.walleted(line, step);
        let step = line.right.event(Event::Tick, now, &mut self.switch).expect("looks");
        self.switched(line, step);
        self.carry(line);
        if let Some(how) = line.hung_up.take() {
            self.end(line, how);
        }
    }
    fn answer(&mut self, line: &mut Line) {
        assert!(line.rings, "nobody rings before the first check is stored: {:?} {:?}", line.heard, line.said);
        let ms = self.ms;
        line.left.talking().tell(|call| call.at(ms).answered());
        line.right.talking().tell(|call| call.at(ms).answered());
        self.look(line);
    }
    /// Time goes by; both sides look when they want to.
    fn speak(&mut self, line: &mut Line, lasts: u64) {
        let until = self.ms + lasts;
        while !line.right.is_over() {
            let left = line.left.talking().look(WalletCall::due).flatten();
            let right = line.right.talking().look(SwitchCall::due).flatten();
            let due = left.into_iter().chain(right).min().filter(|due| *due <= until);
            self.ms = due.unwrap_or(until).max(self.ms);
            self.look(line);
            if due.is_none() {
                break;
            }
        }
    }
    /// The call is over for SIP, and both hear of it.
    fn end(&mut self, line: &mut Line, how: CallEnd) {
        let (now, ms) = (self.now(), self.ms);
        line.right.talking().tell(|call| call.at(ms).ended(how));
        let step = line.right.event(Event::Tick, now, &mut self.switch).expect("ends");
        self.switched(line, step);
        self.carry(line);
        line.left.talking().tell(|call| call.at(ms).hung_up());
        let step = line.left.event(Event::Tick, now, &mut self.wallet).expect("ends");
        self.walleted(line, step);
    }
    fn take_up(&mut self) {
        let now = self.now();
        tegata_device::take_up_all(&mut self.wallet, self.card, now).expect("taken up");
    }
    fn remaining(&self) -> u64 {
        self.world.remaining(&self.wallet, self.card)
    }
    /// The calls that the wallet keeps.
    fn calls(&self) -> Vec<Calling> {
        use tegata_core::wire::canonical::Wire;
        let found = self.wallet.vault.scan(Space::Call, &[], usize::MAX).expect("scanned");
        found.into_iter().map(|(_, bytes)| Calling::from_bytes(&bytes).expect("a call")).collect()
    }
    /// What a device does when it is back: calls that it was in end.
    fn come_back(&mut self) {
        let now = self.now();
        for call in self.calls() {
            let (switch, transaction) = (call.switch, call.tariff.claimed().transaction);
            Talking::new(HangUp::Start { switch, transaction }).deliver(Event::Tick, now, &mut self.wallet);
        }
        let (switch, key) = self.switch.id().zip(self.switch.key()).expect("joined");
        for (name, _) in self.switch.vault.scan(Space::Call, &[], usize::MAX).expect("scanned") {
            let transaction = u64::from_be_bytes(name.try_into().expect("a number"));
            let talk = EndOfCall::Start { transaction, switch, key };
            Talking::new(talk).deliver(Event::Tick, now, &mut self.switch);
        }
    }
    /// Both update until nothing is left to say; then everybody agrees, and the auditor too. `switch_first`: who is heard first.
    fn agree(&mut self, switch_first: bool, used: u64) {
        for round in 0..3 {
            for of_switch in [switch_first, !switch_first] {
                let device = if of_switch { &mut self.switch } else { &mut self.wallet };
                self.world.update(device);
                self.audited();
            }
            self.take_up();
            assert!(round < 2 || load_purse(&self.wallet, self.card).expect("a card").waiting.is_empty());
        }
        let [_, held, in_flight, payable, ..] = self.world.sums();
        assert_eq!((held, in_flight, payable), (i128::from(self.remaining()), 0, i128::from(used)));
        assert!(self.world.open_exceptions().is_empty(), "{:?}", self.world.open_exceptions());
        let blocked = load_purse(&self.wallet, self.card).expect("a card").state;
        assert_eq!(blocked, tegata_core::card::payment::PurseState::Active);
    }
    fn audited(&self) {
        let done = audit(self.world.provider.store().connection(), &Options::default()).expect("audited");
        assert!(done.difference.is_none(), "{:?}", done.difference);
    }
}

impl Line {
    fn receipt(&self) -> CallReceipt {
        let over = self.said.iter().find_map(|notice| match notice {
            SwitchNotice::Over(receipt) => Some(receipt.clone()),
            _ => None,
        });
        over.unwrap_or_else(|| panic!("{:?}", self.said))
    }
}

#[test]
fn a_call_costs_what_was_agreed_to_the_unit_whoever_is_heard_first() {
    for switch_first in [true, false] {
        for (lasts, used) in [(1, 120), (59_999, 120), (60_000, 120), (60_001, 220), (150_000, 320)] {
            let mut lines = Lines::new(10_000);
            let mut line = lines.dial("+49 30 123", usize::MAX);
            lines.answer(&mut line);
            lines.speak(&mut line, lasts);
            lines.end(&mut line, CallEnd::CalledHungUp);
            let receipt = line.receipt();
            assert_eq!((receipt.used, receipt.lasted), (usd(used), Some(lasts)), "{:?}", line.said);
            assert!(line.left.is_over() && line.right.is_over());
            lines.take_up();
            assert_eq!(lines.remaining(), 10_000 - used);
            lines.agree(switch_first, used);
        }
    }
}

#[test]
fn a_call_ends_when_the_card_does_and_is_warned_before() {
    let mut lines = Lines::new(450);
    let mut line = lines.dial("49301", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, 10 * MINUTE);
    let receipt = line.receipt();
    assert_eq!((receipt.used, receipt.lasted), (usd(420), Some(4 * MINUTE)));
    assert_eq!(receipt.ended, CallEnd::PaidTimeOver);
    assert!(line.said.iter().any(|said| matches!(said, SwitchNotice::Warn(left) if *left <= 10_000)));
    assert!(line.heard.iter().any(|heard| matches!(heard, CallerNotice::Ending { .. })));
    assert_eq!(lines.remaining(), 30);
    lines.agree(true, 420);
}

#[test]
fn nobody_answers_and_it_costs_nothing_but_what_the_tariff_keeps() {
    for (called, used) in [("4930", 0), ("1900", 30)] {
        for switch_first in [true, false] {
            let mut lines = Lines::new(10_000);
            let mut line = lines.dial(called, usize::MAX);
            assert!(line.rings);
            lines.ms += 20_000;
            lines.end(&mut line, CallEnd::NoAnswer);
            assert_eq!((line.receipt().used, line.receipt().lasted), (usd(used), None));
            lines.agree(switch_first, used);
            assert_eq!(lines.remaining(), 10_000 - used);
        }
    }
}

#[test]
fn the_user_hangs_up_and_has_the_receipt_at_once() {
    let mut lines = Lines::new(10_000);
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, 59_000);
    // The next minute is paid for already, two seconds ahead.
    assert_eq!(lines.remaining(), 10_000 - 220);
    line.left.talking().tell(WalletCall::stop);
    lines.look(&mut line);
    let over = line.heard.iter().find_map(|heard| match heard {
        CallerNotice::Over { receipt, doubtful, .. } => Some((receipt.clone().expect("a receipt").used, *doubtful)),
        _ => None,
    });
    assert_eq!(over, Some((usd(120), false)), "{:?}", line.heard);
    lines.take_up();
    assert_eq!(lines.remaining(), 10_000 - 120);
    lines.agree(true, 120);
}

#[test]
fn what_cannot_be_called_or_paid_is_refused_before_it_rings() {
    let mut lines = Lines::new(100);
    let line = lines.dial("4930", usize::MAX);
    assert!(!line.rings);
    assert!(line.heard.iter().any(|heard| matches!(heard, CallerNotice::Cannot(_))), "{:?}", line.heard);
    let line = lines.dial("33", usize::MAX);
    assert!(line.heard.contains(&CallerNotice::Refused(Refusal::UnknownDestination)), "{:?}", line.heard);
    lines.come_back();
    lines.agree(true, 0);
    assert_eq!(lines.remaining(), 100);
}

#[test]
fn a_tariff_that_changes_in_mid_call_does_not_change_the_call() {
    let mut lines = Lines::new(10_000);
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, MINUTE / 2);
    let dearer = tariff(&lines.world, 2, 500);
    lines.world.issuer_asks(dearer);
    lines.world.update(&mut lines.switch);
    lines.speak(&mut line, MINUTE);
    lines.end(&mut line, CallEnd::CalledHungUp);
    assert_eq!(line.receipt().used, usd(220));
    lines.agree(false, 220);
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    lines.end(&mut line, CallEnd::HungUp);
    assert_eq!(line.receipt().used, usd(520));
}

#[test]
fn a_call_is_judged_by_the_list_that_its_switch_held_when_it_began() {
    let mut lines = Lines::new(10_000);
    let before = lines.switch.anchors().expect("joined");
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, 90_000);
    lines.world.now = lines.world.now.after(90);
    lines.world.provider.block(lines.card, lines.world.now).expect("blocked");
    lines.world.update(&mut lines.switch);
    lines.end(&mut line, CallEnd::NotAgreed);
    assert_eq!(line.receipt().used, usd(220));
    lines.world.update(&mut lines.switch);
    assert!(lines.world.open_exceptions().is_empty(), "{:?}", lines.world.open_exceptions());
    let [_, _, _, payable, ..] = lines.world.sums();
    assert_eq!(payable, 220, "R16: it could not know");
    lines.audited();
    // A switch that goes on as if it had heard of nothing.
    lines.trusts = Some(before);
    lines.world.now = lines.world.now.after(AGREED_WITHIN + 1);
    lines.take_up();
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    lines.end(&mut line, CallEnd::HungUp);
    lines.world.update(&mut lines.switch);
    assert_eq!(lines.world.open_exceptions(), ["after block"]);
    assert_eq!(lines.world.sums()[3], 220);
    lines.audited();
}

#[test]
fn a_card_in_a_call_pays_nothing_else() {
    let mut lines = Lines::new(10_000);
    let mut line = lines.dial("4930", usize::MAX);
    lines.answer(&mut line);
    let second = lines.dial("4931", usize::MAX);
    assert!(!second.rings, "one call at a time");
    lines.end(&mut line, CallEnd::HungUp);
    let third = lines.dial("4931", usize::MAX);
    assert!(third.rings);
    lines.come_back();
    lines.agree(true, 120);
}

/// The link is gone after so many frames, in a call of three minutes; both come back, and agree on what it cost.
#[test]
fn cut_off_anywhere_both_agree_on_what_it_cost_and_at_most_one_unit_is_at_risk() {
    for frames in 0..16 {
        for switch_first in [true, false] {
            let mut lines = Lines::new(10_000);
            let mut line = lines.dial("4930", frames);
            if line.rings {
                lines.answer(&mut line);
                lines.speak(&mut line, 150_000);
            }
            lines.come_back();
            for _ in 0..2 {
                lines.world.update(&mut lines.switch);
                lines.world.update(&mut lines.wallet);
                lines.take_up();
            }
            // What the switch has signed, before or after it was back.
            let receipt =
                Call::load(&lines.switch, 1).and_then(|call| call.receipt).map(|signed| signed.claimed().clone());
            let used = receipt.as_ref().map_or(0, |receipt| receipt.used.minor());
            let units = receipt.and_then(|receipt| receipt.lasted).map_or(3, |lasted| lasted.div_ceil(MINUTE));
            assert!(used <= 20 + 100 * units.max(1), "{frames}: {used} for {units}");
            assert_eq!(lines.remaining(), 10_000 - used, "{frames}: {:?} {:?}", line.heard, line.said);
            lines.agree(switch_first, used);
        }
    }
}

/// Both die at once while they speak: the switch charges no time that it has not seen begin.
#[test]
fn a_switch_that_is_restarted_charges_what_is_certain() {
    for switch_first in [true, false] {
        let mut lines = Lines::new(10_000);
        let mut line = lines.dial("4930", usize::MAX);
        lines.answer(&mut line);
        lines.speak(&mut line, 130_000);
        assert_eq!(lines.remaining(), 10_000 - 320);
        lines.come_back();
        lines.agree(switch_first, 220);
        assert_eq!(lines.remaining(), 10_000 - 220);
        assert!(!line.right.is_over(), "it knew of no end");
    }
}

/// A switch whose disk has lost the end of a call says once more what it cost, and less than its caller was told: that is what it is paid, and
/// the rest comes back, whether something was coming back before or not.
#[test]
fn of_two_receipts_of_a_forgetful_switch_the_lower_one_counts() {
    for (lasts, first, kept_at, certain, orders) in [
        (130_000, 320, 130_000, 220, [true, false].as_slice()),
        // What is taken up before the switch is heard was taken up by the first.
        (119_000, 220, 100_000, 120, &[true]),
    ] {
        for switch_first in orders {
            let mut lines = Lines::new(10_000);
            let mut line = lines.dial("4930", usize::MAX);
            lines.answer(&mut line);
            lines.speak(&mut line, kept_at);
            let kept = lines.switch.vault.clone();
            lines.speak(&mut line, lasts - kept_at);
            lines.end(&mut line, CallEnd::CalledHungUp);
            assert_eq!(line.receipt().used, usd(first));
            lines.switch.vault = kept;
            lines.come_back();
            lines.agree(*switch_first, certain);
            assert_eq!(lines.remaining(), 10_000 - certain);
            let said = lines.calls().pop().and_then(|call| call.receipt).map(|receipt| receipt.claimed().used);
            assert_eq!(said, Some(usd(certain)), "the wallet shows what it paid");
        }
    }
}

/// The switch has only the first checks of a call, and its log brings that when the wallet's next call is known: nobody is convicted.
#[test]
fn a_check_that_never_reached_the_switch_convicts_nobody() {
    let mut lines = Lines::new(10_000);
    // The last frame that arrives is the first check for a minute; the wallet has signed one more.
    let mut line = lines.dial("4930", 8);
    lines.answer(&mut line);
    lines.speak(&mut line, 59_000);
    lines.end(&mut line, CallEnd::CalledHungUp);
    lines.come_back();
    let mut second = lines.dial("4931", usize::MAX);
    lines.answer(&mut second);
    lines.end(&mut second, CallEnd::HungUp);
    lines.agree(false, 120 + 120);
}

impl Lines {
    /// A call of a minute and a half to Germany.
    fn call(&mut self) -> CallReceipt {
        let mut line = self.dial("4930", usize::MAX);
        self.answer(&mut line);
        self.speak(&mut line, 90_000);
        self.end(&mut line, CallEnd::CalledHungUp);
        line.receipt()
    }
    /// Both are heard; the claim is not paid, and whoever called has the rest back.
    fn mispriced(&mut self, switch_first: bool, used: u64) {
        for _ in 0..2 {
            for of_switch in [switch_first, !switch_first] {
                let device = if of_switch { &mut self.switch } else { &mut self.wallet };
                self.world.update(device);
                self.audited();
            }
            self.take_up();
        }
        let [_, held, in_flight, payable, ..] = self.world.sums();
        assert_eq!((held, in_flight, payable), (i128::from(self.remaining()), i128::from(used), 0));
        let found = self.world.provider.store().exceptions(None, Time(0), self.world.now.after(1)).expect("read");
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((found.kind, found.bearer), (ExceptionKind::Mispriced, "merchant"));
        assert_eq!(found.merchant, Some(self.world.merchant_id()));
        assert!(found.wallet_record.is_some() || found.terminal_record.is_some());
    }
}

#[test]
fn a_switch_that_charges_more_than_its_issuer_says_is_not_paid_and_its_receipt_is_the_proof() {
    for switch_first in [true, false] {
        let mut lines = Lines::new(10_000);
        let mut tariffs = lines.exchange().tariffs.clone();
        for rate in tariffs.iter_mut().flat_map(|(_, tariff)| &mut tariff.rates) {
            rate.price += 1;
        }
        lines.charges_by = Some(tariffs);
        assert_eq!(lines.call().used, usd(222));
        lines.mispriced(switch_first, 222);
        assert_eq!(lines.remaining(), 10_000 - 222, "the user agreed to that, and to no more");
    }
}

#[test]
fn a_tariff_that_nobody_has_signed_is_no_tariff_unless_it_says_the_same() {
    let mut lines = Lines::new(10_000);
    let mut tariffs = lines.exchange().tariffs.clone();
    for (hash, _) in &mut tariffs {
        *hash = Hash::ZERO;
    }
    lines.charges_by = Some(tariffs);
    lines.call();
    lines.agree(true, 220);
}

#[test]
fn a_switch_charges_by_an_old_tariff_only_while_it_may_not_have_heard_of_the_new_one() {
    let heard = terms(&World::new()).list_age;
    for (later, used) in [(heard / 2, None), (heard + 3_600, Some(220))] {
        let mut lines = Lines::new(10_000);
        lines.charges_by = Some(lines.exchange().tariffs.clone());
        let cheaper = tariff(&lines.world, 2, 50);
        lines.world.issuer_asks(cheaper);
        lines.world.now = lines.world.now.after(later);
        lines.world.update(&mut lines.wallet);
        lines.world.update(&mut lines.switch);
        assert_eq!(lines.call().used, usd(220));
        match used {
            None => lines.agree(true, 220),
            Some(used) => lines.mispriced(false, used),
        }
    }
}

#[test]
fn a_call_cannot_be_dated_back_to_when_it_was_dearer() {
    let mut lines = Lines::new(10_000);
    lines.valid_for = 100_000;
    lines.call();
    lines.mispriced(true, 220);
}

impl Lines {
    /// From now on calls go through a trunk of this merchant.
    fn go_through(&mut self, operator: Option<PartyId>) {
        self.through = Some(Through { trunk: "carrier".into(), operator, extensions: Default::default() });
    }
    fn payable(&self, party: PartyId) -> u64 {
        let rows = self.world.provider.store().balances_of(Side::Payable, party).expect("read");
        rows.into_iter().map(|(.., amount)| amount).sum()
    }
}

#[test]
fn the_operator_of_a_trunk_is_paid_for_the_calls_through_it_less_its_own_fee() {
    for switch_first in [true, false] {
        let mut lines = Lines::new(10_000);
        let mut carrier = blank(40);
        lines.world.join(&mut carrier, Role::Merchant, None, "Carrier");
        let carrier = carrier.certificate().expect("joined").claimed().subject.party();
        let (owner, now) = (lines.world.merchant_id(), lines.world.now);
        let fee = Fee { share: 0, fixed: 7 };
        lines.world.provider.set_contract(carrier, (Tender::Cards, Unit::USD), fee, None, now).expect("set");
        // One call to a phone of the switch, two through the trunk, one of which nobody answers.
        lines.call();
        lines.go_through(Some(carrier));
        lines.call();
        let mut line = lines.dial("1900", usize::MAX);
        lines.end(&mut line, CallEnd::NoAnswer);
        // A merchant that nobody knows is paid nothing: its calls are the owner's.
        lines.go_through(Some(PartyId([9; 16])));
        lines.call();
        lines.world.update(&mut lines.switch);
        lines.take_up();
        for _ in 0..2 {
            for of_switch in [switch_first, !switch_first] {
                let device = if of_switch { &mut lines.switch } else { &mut lines.wallet };
                lines.world.update(device);
                lines.audited();
            }
            lines.take_up();
        }
        assert_eq!((lines.payable(carrier), lines.payable(owner)), (220 + 30 - 2 * 7, 2 * 220));
        let rows = lines.world.provider.store().trunks(1).expect("read");
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (row.trunk.as_deref(), row.operator == carrier, row.calls, row.used, row.fees, row.unpaid))
            .collect();
        let expected = [
            (None, false, 1, 220, 0, 0),
            (Some("carrier"), false, 1, 220, 0, 0),
            (Some("carrier"), true, 2, 250, 14, 0),
        ];
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(expected.iter().all(|row| rows.contains(row)), "{rows:?}");
        // Whoever mistypes an operator is told so.
        let (question, now) = (serde_json::json!({ "do": "trunks" }), lines.world.now);
        let told = tegata_provider::operator::answer(&mut lines.world.provider, &question, now, [0; 32]);
        let rows = told["trunks"].as_array().expect("rows");
        let mistyped: Vec<_> = rows.iter().filter(|row| !row["unknown_operator"].is_null()).collect();
        assert_eq!(mistyped.len(), 1, "{told}");
        let (named, paid) = (&mistyped[0]["unknown_operator"], &mistyped[0]["operator"]);
        assert_eq!((named, paid), (&PartyId([9; 16]).to_string().into(), &owner.to_string().into()));
        // Settled: each is due what its trunks brought.
        let now = lines.world.now;
        lines.world.provider.settle(now).expect("settled");
        let (_, owed) = lines.world.provider.owed(Some(1)).expect("closed");
        let due =
            |party| owed.iter().find(|row| row.party == party && row.side == PositionSide::Payee).map(|row| row.due);
        assert_eq!((due(carrier), due(owner)), (Some(236), Some(440)));
        lines.audited();
    }
}

/// Units of a tenth of a second: paid link by link of chains that checks commit to (R24).
#[test]
fn units_shorter_than_a_second_are_paid_by_links() {
    for switch_first in [true, false] {
        for (lasts, used) in [(1, 12), (100, 12), (101, 14), (9_999, 210), (10_001, 212), (25_050, 512)] {
            let mut lines = Lines::new(10_000);
            let mut line = lines.dial("7700", usize::MAX);
            lines.answer(&mut line);
            lines.speak(&mut line, lasts);
            // All of a chain is off the card; what its links have not paid is not lost.
            assert!(lines.remaining() <= 10_000 - used);
            lines.end(&mut line, CallEnd::HungUp);
            let receipt = line.receipt();
            assert_eq!((receipt.used, receipt.lasted), (usd(used), Some(lasts)), "{:?}", line.said);
            lines.take_up();
            assert_eq!(lines.remaining(), 10_000 - used);
            lines.agree(switch_first, used);
        }
    }
}

#[test]
fn a_call_paid_by_links_ends_when_the_card_does() {
    // 10 for the set-up, and 155 units of 2: fifteen and a half seconds.
    let mut lines = Lines::new(320);
    let mut line = lines.dial("7700", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, MINUTE);
    assert_eq!(line.said.iter().filter(|said| matches!(said, SwitchNotice::Warn(_))).count(), 1, "{:?}", line.said);
    let receipt = line.receipt();
    assert_eq!((receipt.used, receipt.ended), (usd(320), CallEnd::PaidTimeOver));
    // What is paid, and not a unit more: the wallet has said that no link follows.
    assert_eq!(receipt.lasted, Some(15_500));
    assert_eq!(lines.remaining(), 0);
    lines.agree(true, 320);
}

#[test]
fn a_wallet_that_shows_no_more_links_is_cut_within_a_unit_and_its_rest_comes_back() {
    for switch_first in [true, false] {
        let mut lines = Lines::new(10_000);
        let mut line = lines.dial("7700", usize::MAX);
        lines.answer(&mut line);
        lines.speak(&mut line, 3_000);
        // Nothing that it says arrives any more.
        line.frames = 0;
        lines.speak(&mut line, MINUTE);
        let receipt = line.receipt();
        // The link of the unit that follows had left already.
        assert_eq!((receipt.ended, receipt.used), (CallEnd::PaidTimeOver, usd(10 + 2 * 32)), "{:?}", line.said);
        assert_eq!(receipt.lasted, Some(3_300));
        lines.come_back();
        lines.agree(switch_first, 10 + 2 * 32);
    }
}

/// A link that is shown again, another one's, or none of the chain pays nothing.
#[test]
fn links_that_prove_nothing_pay_nothing() {
    use tegata_core::card::{Link, Links};
    use tegata_core::charging::{CallTariff, Meter};
    let secret = Hash([3; 32]);
    let chain = Links::of(&secret, 100);
    let third = chain.link(&secret, 3).expect("a link");
    assert!(chain.has(&third, None));
    let other = Links::of(&Hash([4; 32]), 100).link(&Hash([4; 32]), 3).expect("a link");
    assert!(!chain.has(&other, None) && !chain.has(&Link { index: 4, ..third.clone() }, Some(&third)));
    let mut lines = Lines::new(1_000);
    let line = lines.dial("7700", usize::MAX);
    let tariff: CallTariff = lines.calls()[0].tariff.claimed().clone();
    let mut meter = Meter::start(tariff, 0);
    meter.pay(10, 0).expect("the set-up charge");
    meter.answered(1_000);
    assert!(meter.commit(210, 100, 1_000).is_err(), "nobody asked");
    let due = meter.due().expect("asks");
    meter.done(due);
    for (total, links) in [(212, 100), (210, 0), (209, 100), (412, 201)] {
        assert!(meter.commit(total, links, 1_000).is_err(), "{total} by {links}");
    }
    meter.commit(210, 100, 1_000).expect("committed");
    assert_eq!(meter.paid(), 10, "nothing is paid by that");
    for wrong in [212, 13, 9] {
        assert!(meter.pay(wrong, 1_000).is_err(), "{wrong}");
    }
    meter.pay(12, 1_050).expect("the first unit");
    assert!(meter.pay(14, 1_200).is_err(), "too late: a unit and the one that is risked are over");
    drop(line);
}

/// What a switch claims beyond the links that it can show is refused, and a person looks.
#[test]
fn a_switch_that_guesses_links_is_refused() {
    let mut lines = Lines::new(10_000);
    lines.switch.broken = Broken::only(Break::LinksGuessed);
    let mut line = lines.dial("7700", usize::MAX);
    lines.answer(&mut line);
    lines.speak(&mut line, 3_000);
    line.frames = 0;
    lines.speak(&mut line, MINUTE);
    assert_eq!(line.receipt().used, usd(10 + 2 * 33), "a unit more than was shown");
    lines.come_back();
    lines.world.update(&mut lines.switch);
    lines.world.update(&mut lines.wallet);
    lines.audited();
    let [.., payable, _, _] = lines.world.sums();
    assert_eq!(payable, 0);
    assert_eq!(lines.world.open_exceptions().len(), 1, "{:?}", lines.world.open_exceptions());
}

/// A wallet asks for the price of a cheaper issuer and pays by a card of another one: no such check is taken (R24).
#[test]
fn another_issuers_price_is_not_had_with_this_issuers_card() {
    let mut lines = Lines::new(10_000);
    let cheap = Terms { issuer: PartyId([7; 16]), ..terms(&lines.world) };
    let mut exchange = (*lines.exchange()).clone();
    exchange.terms.push(cheap.clone());
    exchange.tariffs.push((Hash([7; 32]), Tariff { issuer: cheap.issuer, ..tariff(&lines.world, 1, 1) }));
    let caller = lines.caller("4930");
    let caller = Caller { payer: Payer { terms: cheap, ..caller.payer }, ..caller };
    let line = lines.begin(caller, Arc::new(exchange), usize::MAX);
    let quoted = |heard: &CallerNotice| matches!(heard, CallerNotice::Consent { tariff, .. } if tariff.price == 1);
    assert!(line.heard.iter().any(quoted) && !line.rings, "{:?} {:?}", line.heard, line.said);
    assert!(line.said.contains(&SwitchNotice::Refused(Refusal::BeyondTerms)), "{:?}", line.said);
    assert_eq!(line.receipt().used, usd(0));
}

/// It would be held against the rates of another hour (R24).
#[test]
fn a_price_that_is_dated_ahead_is_not_agreed_to() {
    for (ahead, rings) in [(AGREED_WITHIN, true), (AGREED_WITHIN + 1, false)] {
        let mut lines = Lines::new(10_000);
        lines.ahead = ahead;
        let line = lines.dial("4930", usize::MAX);
        let refused = line.heard.contains(&CallerNotice::Refused(Refusal::ChargeExpired));
        assert_eq!((line.rings, refused), (rings, !rings), "{:?} {:?}", line.heard, line.said);
        assert_eq!(lines.remaining(), if rings { 10_000 - 20 } else { 10_000 });
    }
}

/// A part of a unit more would be at risk with every check (R24).
#[test]
fn a_total_of_no_whole_units_is_not_paid() {
    use tegata_core::talk::call::CallMessage;
    use tegata_core::wire::canonical::Wire;
    use tegata_device::Out;
    fn said<N>(outs: Vec<Out<N>>) -> Vec<Event> {
        let sent = |out| if let Out::Send(bytes) = out { Some(Event::Received(bytes)) } else { None };
        outs.into_iter().filter_map(sent).collect()
    }
    let mut lines = Lines::new(10_000);
    let (now, session) = (lines.now(), Hash([5; 32]));
    let mut wallet = Talking::new(WalletCall::new(lines.caller("4930")));
    let mut switch = Talking::new(SwitchCall::new(lines.exchange(), "4930".into()));
    // Without a link: proof, request, tariff, and the check over the set-up charge.
    wallet.deliver(Event::Opened(session), now, &mut lines.wallet);
    let proof = said(switch.deliver(Event::Opened(session), now, &mut lines.switch)).remove(0);
    let request = said(wallet.deliver(proof, now, &mut lines.wallet)).remove(0);
    let tariff = said(switch.deliver(request, now, &mut lines.switch)).remove(0);
    wallet.deliver(tariff, now, &mut lines.wallet);
    assert_eq!(said(wallet.deliver(Event::Agreed, now, &mut lines.wallet)).len(), 1);
    wallet.tell(|call| call.at(0).answered());
    for (total, checks, remaining) in [(119, 0, 9_980), (170, 0, 9_980), (120, 1, 9_880)] {
        let ask = Event::Received(CallMessage::Ask(total).to_bytes());
        let checked = said(wallet.deliver(ask, now, &mut lines.wallet)).len();
        assert_eq!((checked, lines.remaining()), (checks, remaining), "{total}");
    }
}

/// This tariff does not keep the set-up charge: where nobody has answered, nothing that was paid was used.
#[test]
fn what_was_paid_is_not_claimed_where_nobody_answered() {
    use tegata_core::charging::CallTariff;
    use tegata_core::record::Batch;
    use tegata_core::talk::journal::{EntryKind, Journal, LogEntry};
    use tegata_core::wire::canonical::Bytes;
    use tegata_core::wire::signed::Unsigned;
    let mut lines = Lines::new(10_000);
    assert!(lines.dial("4930", usize::MAX).rings);
    let (switch, key) = lines.switch.id().zip(lines.switch.key()).expect("joined");
    let call = Call::load(&lines.switch, 1).expect("a call");
    let receipt = CallReceipt {
        transaction: 1,
        call: CallTariff::named(&call.session, switch, call.tariff.payload()),
        check: call.tick_hash(switch),
        used: usd(20),
        lasted: None,
        ended: CallEnd::NoAnswer,
        at: lines.world.now,
        extensions: Default::default(),
    };
    let receipt = Unsigned::new(receipt, key.algorithm());
    let signature = lines.switch.ring.sign(&key, &receipt.tbs(&CallReceipt::context(switch))).expect("signed");
    let entry = LogEntry {
        charge: Some(Bytes(call.tariff.payload().to_vec())),
        session: Some(call.session),
        card: call.card,
        generation: call.generation,
        event: call.tick.clone(),
        checkpoint: call.checkpoint,
        call: Some(receipt.sign(signature)),
        ..LogEntry::new(EntryKind::Called, lines.world.now, 1)
    };
    let mut batch = Batch::default();
    Journal::load(&lines.switch).expect("joined").append(&[entry], &mut batch);
    batch.remove(Call::key(1));
    lines.switch.vault.commit(&batch).expect("stored");
    lines.come_back();
    lines.world.update(&mut lines.switch);
    lines.world.update(&mut lines.wallet);
    lines.audited();
    let [_, _, in_flight, payable, ..] = lines.world.sums();
    assert_eq!((in_flight, payable), (20, 0));
    let found = lines.world.provider.exceptions().expect("read");
    let found: Vec<_> = found.iter().map(|row| (row.kind, row.bearer)).collect();
    assert_eq!(found, [(ExceptionKind::Malformed, "merchant")]);
}

/// The switch is heard first: its claims take all of the card before the wallet's log tells what of it was paid ahead and came back.
#[test]
fn what_was_paid_ahead_and_is_heard_of_late_is_no_overspending() {
    let mut lines = Lines::new(340);
    let mut first = lines.dial("4930", usize::MAX);
    lines.answer(&mut first);
    // The second minute is paid for, and does not begin.
    lines.speak(&mut first, 59_000);
    lines.end(&mut first, CallEnd::HungUp);
    lines.take_up();
    assert_eq!(lines.remaining(), 340 - 120);
    let mut second = lines.dial("4931", usize::MAX);
    lines.answer(&mut second);
    lines.speak(&mut second, 90_000);
    lines.end(&mut second, CallEnd::CalledHungUp);
    assert_eq!((second.receipt().used, lines.remaining()), (usd(220), 0));
    lines.agree(true, 340);
    let found = lines.world.provider.exceptions().expect("read");
    assert!(found.is_empty(), "also none that was resolved: {found:?}");
}

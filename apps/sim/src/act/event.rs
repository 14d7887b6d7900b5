//! People come to an event: they touch gates, show codes to cameras, and pictures of other people's codes; gates lose power, are
//! put back from older copies, hear each other or do not, and upload some time.

use crate::fault::{FrameFault, Mix};
use crate::tap::{Clocks, skewed};
use crate::template::{ARTICLES, TICKETS};
use crate::town::Town;
use crate::venue::{Code, GateAt, Opened};
use crate::visit::{Visit, Visited};
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::Usage;
use tegata_core::card::{CardKind, ticket};
use tegata_core::talk::enter::{
    Direction, EnterRefusal, GateNotice, Pass, Visitor, WalletEnterNotice, Window, read_window,
};
use tegata_core::talk::pay::load_purse;
use tegata_core::{CardId, Time};
use tegata_device::Now;
use tegata_issuer::Numbering;
use tegata_vault::Faults;

/// What a wallet says of a gate, and not a gate of a ticket.
const UNTRUSTED_GATE: [EnterRefusal; 3] =
    [EnterRefusal::GateNotTrusted, EnterRefusal::GateKeyOver, EnterRefusal::GateKeyUnknown];
/// Touches until a ticket must have come in.
const TOUCHES: usize = 4;
/// So many attempts of one entry a wallet can name (R20): whoever was refused more often than that goes to the box office.
const NAMED: usize = tegata_core::talk::enter::MAX_EARLIER;

impl Town {
    /// Whether this is a ticket.
    pub fn is_ticket(&self, at: usize, card: CardId) -> bool {
        let purse = self.people.get(at).and_then(|person| load_purse(&person.wallet.device, card));
        purse.is_some_and(|purse| purse.certificate.claimed().kind == CardKind::Ticket)
    }
    /// Draws from the event's own dice.
    fn draw(&mut self, bound: u64) -> u64 {
        self.venue.as_mut().map_or(0, |venue| venue.dice.below(bound))
    }
    fn odds(&mut self, per_mille: u64) -> bool {
        self.draw(1000) < per_mille
    }

    /// Before the first day: gates are set up, most of them, and people buy tickets.
    pub(super) fn doors_open(&mut self) {
        if self.venue.is_none() {
            return;
        }
        for at in 0..self.gates() {
            let (late, skewed) = (self.odds(self.mix.late), self.odds(self.mix.clocks / 2));
            let skew = i64::try_from(self.draw(240)).unwrap_or(0) - 120;
            if let Some(gate) = self.venue.as_mut().and_then(|venue| venue.gates.get_mut(at)) {
                gate.late = late;
                gate.skew = if skewed { skew } else { 0 };
            }
            self.update_gate(at);
        }
        for at in 0..self.people.len() {
            if self.odds(800) {
                self.have_ticket(at);
            }
        }
    }
    /// How many gates there are.
    pub fn gates(&self) -> usize {
        self.venue.as_ref().map_or(0, |venue| venue.gates.len())
    }

    /// Somebody buys a ticket over the network, or at the counter where that is not.
    pub(super) fn have_ticket(&mut self, at: usize) {
        if self.sells {
            return self.buy_ticket(at);
        }
        let seated = self.odds(350);
        self.print_tickets(seated, &Numbering::Count(1));
        if let Some(slip) = self.booth.as_ref().and_then(|booth| booth.slips.len().checked_sub(1)) {
            self.sell_ticket(slip);
            self.take_ticket(at, slip);
        }
    }
    fn buy_ticket(&mut self, at: usize) {
        let article = ARTICLES.len() as u64 + 1 + u64::from(self.odds(350));
        let has_card = self.people.get(at).is_some_and(|person| person.has_bank_card);
        if !has_card {
            self.register_some(at);
        }
        self.buy_article(at, article.min((ARTICLES.len() + TICKETS.len()) as u64), None);
    }

    /// One of a wallet's tickets.
    fn a_ticket(&mut self, at: usize) -> Option<CardId> {
        let mut all: Vec<CardId> =
            self.people.get(at)?.wallet.tickets().ok()?.into_iter().map(|ticket| ticket.card).collect();
        // One that was given back is tried now and then.
        if !self.odds(150) {
            all.retain(|card| !self.is_given_back(*card));
        }
        self.venue.as_mut()?.dice.pick(&all)
    }
    fn a_gate(&mut self, direction: Direction) -> usize {
        let wrong = self.odds(50);
        let gates = self.venue.iter().flat_map(|venue| venue.gates.iter().enumerate());
        let these: Vec<usize> =
            gates.filter(|(_, gate)| !gate.lost && (wrong || gate.direction == direction)).map(|(at, _)| at).collect();
        self.venue.as_mut().and_then(|venue| venue.dice.pick(&these)).unwrap_or(0)
    }
    fn enter_fault(&mut self) -> Option<(usize, FrameFault)> {
        if !self.odds(self.mix.frames) {
            return None;
        }
        let venue = self.venue.as_mut()?;
        let at = venue.dice.index(5);
        venue.dice.pick(&FrameFault::ALL).map(|fault| (if fault == FrameFault::Version { 0 } else { at }, fault))
    }

    /// A ticket is shown at some gate; whoever is not let pass tries again, there or elsewhere.
    pub(super) fn pass_somewhere(&mut self, at: usize, direction: Direction) {
        let Some(card) = self.a_ticket(at) else {
            return;
        };
        let people = if self.odds(850) { 1 } else { 1 + self.draw(3) };
        let mut gate = self.a_gate(direction);
        for _ in 0..=self.draw(3) {
            let fault = self.enter_fault();
            let seen = self.pass(at, gate, (card, people), fault);
            let through = |notice: &WalletEnterNotice| {
                matches!(notice, WalletEnterNotice::In { .. } | WalletEnterNotice::Out { .. })
            };
            if seen.is_none_or(|seen| seen.wallet.iter().any(through)) && !self.odds(150) {
                return;
            }
            if self.odds(400) {
                gate = self.a_gate(direction);
            }
            let seconds = 1 + self.draw(40);
            self.wait(seconds);
        }
    }

    /// A wallet touches a gate with a ticket; wallet or gate may lose power meanwhile.
    pub fn pass(
        &mut self,
        at: usize,
        gate: usize,
        shown: (CardId, u64),
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Visited> {
        self.ready_person(at);
        self.ready_gate(gate);
        if !self.odds(150) {
            self.tell_gates();
        }
        let seen = self.visit(at, gate, shown, fault);
        self.rest(Some(at), None);
        self.rest_gate(gate);
        if self.odds(600) {
            self.tell_gates();
        }
        seen
    }

    /// The touch itself, without misfortune of the devices' own.
    pub fn visit(
        &mut self,
        at: usize,
        gate_at: usize,
        (card, people): (CardId, u64),
        fault: Option<(usize, FrameFault)>,
    ) -> Option<Visited> {
        let person = self.people.get(at)?;
        let ticket = person.wallet.ticket(card).ok()?;
        let visitor = Visitor { card, terms: ticket.terms, people, anchors: person.wallet.device.anchors()? };
        let purse = ticket.purse;
        let overdue = purse.hops().iter().map(|hop| hop.until).min();
        let (time, venue) = (self.time, self.venue.as_mut()?);
        if !venue.stands(gate_at) {
            return None;
        }
        let hears = venue.hears(gate_at, time);
        venue.deaf |= !hears || !venue.hears_everybody(gate_at, time);
        let own = venue.gates.get_mut(gate_at)?;
        own.gate.hear(hears);
        let door = own.gate.door().ok()?;
        let zone = door.setup.zone;
        let stays = fault.is_none()
            && hears
            && own.tampered.is_none()
            && person.tampered.is_none()
            && door.setup.direction == Direction::Out
            && is_inside(&ticket.passes, &purse, Usage::load(&own.gate.device, card, zone), (zone, people));
        let clocks = Clocks { time: self.time, wallet: person.skew, terminal: own.skew };
        let tried = ticket.passes.iter().find(|(of, _)| *of == zone).map_or(0, |(_, pass)| pass.attempts.len());
        let visit = Visit::start(visitor, door, fault, &mut venue.dice).ok()?;
        let wallet = &mut self.people.get_mut(at)?.wallet.device;
        let seen = visit.run((wallet, &mut own.gate.device), clocks, &mut self.air, &mut venue.dice);
        self.crossed += seen.crossed;
        self.say(|| format!("wallet {at} shows {card} at gate {gate_at}: {:?} | {:?}", seen.wallet, seen.gate));
        let refused =
            |notice: &GateNotice| matches!(notice, GateNotice::Refused(why, _) if !UNTRUSTED_GATE.contains(why));
        if stays && seen.gate.iter().any(refused) {
            self.wrong.push(format!(
                "R20: gate {gate_at} knows that {card} is inside, and does not let it out: {:?}",
                seen.gate
            ));
        }
        let honest = self.is_honest_card(card);
        let elsewhere = |notice: &WalletEnterNotice| {
            matches!(notice, WalletEnterNotice::Refused { why: EnterRefusal::UsedElsewhere, .. })
        };
        if honest && tried < NAMED && seen.wallet.iter().any(elsewhere) {
            self.wrong
                .push(format!("R20: wallet {at} is the only one with {card}, and was told that somebody else is"));
        }
        let own = self.venue.as_ref().and_then(|venue| Some(venue.gates.get(gate_at)?.skew)).unwrap_or(0);
        let late = overdue.is_some_and(|until| skewed(self.time, own) >= until);
        let opens = seen.gate.iter().any(|notice| matches!(notice, GateNotice::Open(_)));
        if late && opens {
            self.wrong.push(format!("R12: gate {gate_at} let {card} in, which nobody has registered in time"));
        }
        self.saw_seat(gate_at, &purse, &seen.gate);
        self.saw_open(gate_at, (zone, false), purse.generation(), &seen.gate);
        Some(seen)
    }

    /// Steward and holder read the same of a seat. A gate that has not heard of a ticket's terms says no, and nothing of its seat; some
    /// wallets have heard of no name.
    fn saw_seat(&mut self, gate_at: usize, purse: &Purse, shown: &[GateNotice]) {
        let (seat, name) = (purse.certificate.claimed().seat, purse.seat_name.as_ref());
        for notice in shown {
            let refused = matches!(notice, GateNotice::Refused(..));
            let Some(told) = notice.passing().filter(|told| told.seat.is_some() || !refused) else {
                continue;
            };
            if told.seat != seat || (name.is_some() && told.seat_name.as_ref() != name) {
                self.wrong.push(format!("gate {gate_at} says of the seat {seat:?}, {name:?}: {told:?}"));
            }
        }
    }

    /// What a gate showed is remembered: whoever opens has stored whom it lets in.
    fn saw_open(&mut self, gate_at: usize, (zone, window): (u64, bool), generation: u64, shown: &[GateNotice]) {
        let opened = shown.iter().find_map(|notice| match notice {
            GateNotice::Open(passing) => Some(passing.clone()),
            _ => None,
        });
        let failed = shown.iter().any(|notice| matches!(notice, GateNotice::Failed(_)));
        if let Some(venue) = &mut self.venue {
            venue.failed |= failed;
        }
        self.wake_gate(gate_at);
        let (Some(passing), Some(venue)) = (opened, &mut self.venue) else {
            return;
        };
        let Some(own) = venue.gates.get(gate_at) else {
            return;
        };
        let usage = Usage::load(&own.gate.device, passing.card, zone);
        let used = usage.as_ref().and_then(|usage| usage.used(passing.entry, Direction::In));
        let unsure = used.is_some_and(|used| used.opening.is_some());
        if used.is_none() && own.tampered.is_none() {
            self.wrong
                .push(format!("R20: gate {gate_at} opened for {} ({generation}) and has not stored it", passing.card));
        }
        let (card, entry) = (passing.card, passing.entry);
        venue.opened.push(Opened { gate: gate_at, card, generation, zone, entry, unsure, window });
        self.payments += 1;
    }

    /// Somebody's code before a camera; the code may be seen by others.
    pub(super) fn show_code_somewhere(&mut self, at: usize) {
        let Some(card) = self.a_ticket(at) else {
            return;
        };
        let gate = self.a_gate(Direction::In);
        self.says_that_it_came_in(at, card, gate);
        let Some(code) = self.show_code(at, card, gate) else {
            return;
        };
        if !self.odds(200) {
            self.camera(gate, &code);
        }
    }

    /// Every second person who came in by a code on a day before says so to the wallet, which no gate can tell (R21).
    fn says_that_it_came_in(&mut self, at: usize, card: CardId, gate: usize) -> Option<()> {
        let venue = self.venue.as_ref().filter(|_| at.is_multiple_of(2))?;
        let zone = venue.gates.get(gate)?.zone();
        let held = self.people.get(at)?.wallet.ticket(card).ok()?;
        let coded = held.passes.iter().find(|(of, _)| *of == zone)?.1.coded?;
        let shown = (card, held.purse.generation(), zone, coded);
        let read = |one: &Opened| one.window && (one.card, one.generation, one.zone, one.entry) == shown;
        if !venue.opened.iter().any(read) {
            return None;
        }
        self.says_of_code(at, (card, zone), false)
    }
    /// Whoever came in by the last code says so to the wallet, and whether they were let out since by hand (R21).
    pub fn says_of_code(&mut self, at: usize, (card, zone): (CardId, u64), went_out: bool) -> Option<()> {
        let skew = self.people.get(at)?.skew;
        let now = self.now(skew);
        let told = self.people.get_mut(at)?.wallet.came_in(card, zone, went_out, now);
        self.say(|| format!("wallet {at} says that {card} came in by its last code, and is out: {went_out}: {told:?}"));
        Some(())
    }

    /// A wallet shows a code of this ticket, for the zone behind this gate; others may see it.
    pub fn show_code(&mut self, at: usize, card: CardId, gate: usize) -> Option<Code> {
        let zone = self.venue.as_mut().and_then(|venue| Some(venue.gates.get_mut(gate)?.gate.door().ok()?.setup.zone));
        let skew = self.people.get(at).map_or(0, |person| person.skew);
        let now = self.now(skew);
        let person = self.people.get_mut(at)?;
        let door = person.wallet.ticket(card).ok().and_then(|held| ticket::of(&held.terms)?.door);
        let bytes = person.wallet.window(card, zone.unwrap_or(1), 1, now).ok()?;
        let code = Code { bytes, at: now.time, card, door };
        if let Some(venue) = &mut self.venue {
            venue.codes.push(code.clone());
        }
        Some(code)
    }

    /// A picture of a code that somebody has seen, before any camera; of one that was shown just now, or long ago.
    pub(super) fn screenshot(&mut self) {
        let gate = self.a_gate(Direction::In);
        let recent = self.odds(500);
        let code = self.venue.as_mut().and_then(|venue| match recent {
            true => venue.codes.last().cloned(),
            false => venue.codes.get(venue.dice.index(venue.codes.len())).cloned(),
        });
        if let Some(code) = code {
            self.camera(gate, &code);
        }
    }

    /// A camera reads a code; its gate may lose power meanwhile.
    fn camera(&mut self, gate_at: usize, code: &Code) -> Option<()> {
        self.ready_gate(gate_at);
        if !self.odds(250) {
            self.tell_gates();
        }
        self.read_code(gate_at, code)?;
        self.rest_gate(gate_at);
        Some(())
    }

    /// The reading itself, without misfortune of the gate's own.
    pub fn read_code(&mut self, gate_at: usize, code: &Code) -> Option<GateNotice> {
        let (time, venue) = (self.time, self.venue.as_mut()?);
        if !venue.stands(gate_at) {
            return None;
        }
        let hears = venue.hears(gate_at, time);
        venue.deaf |= !hears || !venue.hears_everybody(gate_at, time);
        let entropy = venue.dice.entropy();
        let own = venue.gates.get_mut(gate_at)?;
        own.gate.hear(hears);
        let now = Now { time: skewed(time, own.skew), entropy };
        let told = own.gate.camera(&code.bytes, now).ok()?;
        let (door, zone) = (own.door, own.gate.door().ok().map_or(1, |door| door.setup.zone));
        let apart = now.time.since(code.at).max(code.at.since(now.time));
        self.say(|| format!("a code of {} before gate {gate_at}, {apart} s old: {told:?}", code.card));
        if matches!(told, GateNotice::Open(_)) {
            if apart > Window::SECONDS {
                self.wrong.push(format!("R21: gate {gate_at} took a code that was {apart} s old"));
            }
            if !hears && code.door != Some(door) {
                self.wrong
                    .push(format!("R21: gate {gate_at}, which hears not all, took a code for door {:?}", code.door));
            }
        }
        let generation = read_window(&code.bytes).map_or(0, |read| read.certificate.claimed().generation);
        self.saw_open(gate_at, (zone, true), generation, std::slice::from_ref(&told));
        Some(told)
    }

    /// Readies a gate for what it does next: awake, and perhaps about to lose power.
    pub(super) fn ready_gate(&mut self, at: usize) {
        self.wake_gate(at);
        if let Some(venue) = &mut self.venue
            && let Some(own) = venue.gates.get_mut(at)
        {
            let mix = Mix { power: self.mix.power / 2, ..self.mix };
            Self::arm(&mix, &mut own.gate.device.vault, &mut venue.dice);
        }
    }
    pub(super) fn rest_gate(&mut self, at: usize) {
        self.wake_gate(at);
        if let Some(own) = self.venue.as_mut().and_then(|venue| venue.gates.get_mut(at)) {
            own.gate.device.vault.set_faults(Faults::none());
        }
    }

    pub(super) fn update_some_gate(&mut self) {
        let count = self.gates() as u64;
        let at = usize::try_from(self.draw(count)).unwrap_or(0);
        let late = self.venue.as_ref().is_some_and(|venue| venue.gates.get(at).is_some_and(|gate| gate.late));
        if !late || self.odds(150) {
            self.update_gate(at);
        }
    }
    fn update_gate(&mut self, at: usize) -> bool {
        self.ready_gate(at);
        let good = self.update_gate_plain(at);
        self.rest_gate(at);
        good
    }
    /// A gate updates, without misfortune of its own.
    pub fn update_gate_plain(&mut self, at: usize) -> bool {
        let time = self.time;
        let Some(venue) = &mut self.venue else {
            return true;
        };
        let entropy = venue.dice.entropy();
        let Some(own) = venue.gates.get_mut(at).filter(|own| !own.lost) else {
            return true;
        };
        let done = own.gate.update(&mut self.center, Now { time: skewed(time, own.skew), entropy });
        let id = own.id;
        if done.is_ok() {
            self.causes.heard(id, time);
        }
        let good = done.is_ok();
        self.say(|| match &done {
            Ok(done) => format!("gate {at} updates: {done:?}"),
            Err(why) => format!("gate {at} cannot update: {why}"),
        });
        good
    }

    /// The venue's network falls apart, or comes together.
    pub(super) fn part_gates(&mut self) {
        if let Some(venue) = &mut self.venue {
            venue.part();
            self.faults += 1;
        }
        self.tell_gates();
        self.say(|| "the venue's network falls apart, or comes together".into());
    }

    /// A gate is remembered as it is now, or put back to what somebody kept.
    pub(super) fn gate_back(&mut self) {
        let count = self.gates() as u64;
        let at = usize::try_from(self.draw(count)).unwrap_or(0);
        let back = self.mix.rollback > 0 && self.odds(500);
        let Some(venue) = &mut self.venue else {
            return;
        };
        let Some(own) = venue.gates.get_mut(at).filter(|own| !own.lost) else {
            return;
        };
        let kept = own.snapshots.get(venue.dice.index(own.snapshots.len())).filter(|_| back);
        match kept {
            Some(kept) => {
                own.gate.device.vault.roll_back(kept);
                own.gate.reopen();
                own.tampered = Some("put back");
                self.faults += 1;
                self.say(|| format!("gate {at} is put back to an earlier copy"));
            }
            None => own.snapshots.push(own.gate.device.vault.snapshot()),
        }
    }

    /// In calm: every gate is switched on, its clock is right, and all hear each other.
    pub fn calm_gates(&mut self) {
        for at in 0..self.gates() {
            self.rest_gate(at);
            if let Some(own) = self.venue.as_mut().and_then(|venue| venue.gates.get_mut(at)) {
                own.skew = 0;
                own.late = false;
            }
        }
        if let Some(venue) = &mut self.venue {
            venue.heal();
        }
        self.finish_losing();
        self.tell_gates_all();
    }
    /// In calm: every gate updates.
    pub fn gates_update(&mut self, must: bool) {
        for at in 0..self.gates() {
            let good = self.update_gate_plain(at);
            let exempt = self.venue.as_ref().is_some_and(|venue| venue.gates[at].tampered.is_some());
            if must && !good && !exempt {
                self.wrong.push(format!("liveness: gate {at} cannot update in calm"));
            }
        }
        self.tell_gates_all();
        if must {
            self.nobody_is_alone();
        }
    }
    /// In calm nobody is alone, also where a gate was lost: others wait for it no more (R22).
    fn nobody_is_alone(&mut self) {
        let time = self.time;
        let Some(venue) = self.venue.as_mut().filter(|venue| venue.gates.iter().all(|gate| gate.tampered.is_none()))
        else {
            return;
        };
        let alone: Vec<usize> =
            (0..venue.gates.len()).filter(|at| venue.stands(*at) && !venue.hears(*at, time)).collect();
        self.wrong.extend(alone.iter().map(|at| format!("R22: gate {at} is alone in calm")));
    }
    /// In calm: every good ticket of an honest wallet comes in, unless its terms say no; first by a code and out again where its
    /// wallet has held itself inside since another day. Who is inside by any other ticket leaves.
    pub fn everybody_enters(&mut self) {
        let sound = self.venue.as_ref().is_some_and(|venue| venue.gates.iter().all(|gate| gate.tampered.is_none()));
        if !sound {
            return;
        }
        for at in 0..self.people.len() {
            let person = &self.people[at];
            if person.tampered.is_some() || self.causes.revoked.contains_key(&person.id) {
                continue;
            }
            for held in person.wallet.tickets().unwrap_or_default() {
                let barred = self.causes.blocked.contains(&held.card)
                    || self.is_given_back(held.card)
                    || !self.is_honest_card(held.card)
                    || self.is_undone(held.card)
                    || ticket::of(&held.terms).is_none_or(|terms| self.time < terms.from)
                    || self.unpaid_on(held.card).is_ok_and(|unpaid| unpaid > 0);
                let inside = held.passes.iter().any(|(zone, pass)| *zone == 1 && pass.inside);
                if !barred && held.purse.state == PurseState::Active {
                    if inside {
                        self.comes_by_code(at, held.card);
                    }
                    self.comes_in(at, held.card);
                } else if inside {
                    self.leaves(at, held.card);
                }
            }
        }
    }
    /// The gates into or out of the first zone that are there.
    fn doors(&self, direction: Direction) -> Vec<usize> {
        let gates = self.venue.iter().flat_map(|venue| venue.gates.iter().enumerate());
        let here = |gate: &GateAt| !gate.lost && gate.direction == direction && gate.zone() == 1;
        gates.filter(|(_, gate)| here(gate)).map(|(at, _)| at).collect()
    }
    /// Whoever has stayed past the end of a day comes in by a code, if its entry is not used, and then goes out by a touch, at the
    /// second one at the latest.
    fn comes_by_code(&mut self, at: usize, card: CardId) {
        let (entries, exits) = (self.doors(Direction::In), self.doors(Direction::Out));
        let (Some(entry), Some(exit)) = (entries.first().copied(), exits.first().copied()) else {
            return;
        };
        self.tell_gates_all();
        let Some(code) = self.show_code(at, card, entry) else {
            return;
        };
        if !matches!(self.read_code(entry, &code), Some(GateNotice::Open(_))) {
            return;
        }
        self.tell_gates_all();
        let mut told = Vec::new();
        for _ in 0..2 {
            told = self.visit(at, exit, (card, 1), None).map(|seen| seen.wallet).unwrap_or_default();
            if told.iter().any(|notice| matches!(notice, WalletEnterNotice::Out { .. })) {
                return;
            }
        }
        self.wrong
            .push(format!("liveness: wallet {at} came in by a code with {card} and cannot go out in calm: {told:?}"));
    }
    /// Whoever is inside by a ticket that is over, or blocked, goes out where that is known; the touch itself looks at that.
    fn leaves(&mut self, at: usize, card: CardId) {
        self.tell_gates_all();
        if let Some(exit) = self.doors(Direction::Out).first().copied() {
            self.visit(at, exit, (card, 1), None);
        }
    }
    fn comes_in(&mut self, at: usize, card: CardId) {
        let over = |time: Time, until: Option<Time>| until.is_none_or(|until| time >= until);
        let mut told = Vec::new();
        let (entries, exits) = (self.doors(Direction::In), self.doors(Direction::Out));
        for touch in 0..TOUCHES {
            let Some(gate) = entries.get(touch % entries.len().max(1)).copied() else {
                return;
            };
            self.tell_gates();
            let held = self.people[at].wallet.ticket(card).ok();
            let until = held.as_ref().and_then(|held| Some(ticket::of(&held.terms)?.until));
            let passes = held.as_ref().and_then(|held| held.passes.iter().find(|(zone, _)| *zone == 1));
            let tried = passes.map_or(0, |(_, pass)| pass.attempts.len());
            if over(self.time, until) || tried >= NAMED {
                return;
            }
            let seen = self.visit(at, gate, (card, 1), None);
            told = seen.map(|seen| seen.wallet).unwrap_or_default();
            match told.last() {
                Some(WalletEnterNotice::In { .. }) => return,
                Some(WalletEnterNotice::Refused { why, .. }) => match why {
                    EnterRefusal::UsedUp | EnterRefusal::UsedToday | EnterRefusal::NoReentry => return,
                    // The gate that let it out is lost, and its word counts no more: a supervisor says so instead.
                    EnterRefusal::Inside if self.left_where_lost(at, card) => self.supervised(gate, card),
                    EnterRefusal::Inside => exits.iter().for_each(|exit| drop(self.visit(at, *exit, (card, 1), None))),
                    // It came in, by a code or without hearing of it, and knows now.
                    _ => {}
                },
                _ => {}
            }
        }
        self.wrong.push(format!("liveness: wallet {at} cannot come in with {card} in calm: {told:?}"));
    }
}

/// Whether gate and wallet know of the same people inside by a ticket: they go out, whatever has become of it since.
fn is_inside(passes: &[(u64, Pass)], purse: &Purse, usage: Option<Usage>, (zone, people): (u64, u64)) -> bool {
    let pass = passes.iter().find(|(of, _)| *of == zone).map(|(_, pass)| pass);
    let (Some(pass), Some(usage)) = (pass, usage) else {
        return false;
    };
    pass.inside
        && !pass.is_pending()
        && pass.coded.is_none()
        && (usage.generation, usage.entry) == (purse.generation(), pass.entry)
        && (1..=usage.inside).contains(&people)
}

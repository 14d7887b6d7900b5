//! What conversations of the matrix have in common: what people and devices do in them, one after the other.

use crate::act::Ringer;
use crate::dial::{Dialled, Ends, Spoken};
use crate::dice::flip;
use crate::fault::FrameFault;
use crate::park::{Comes, Happens, Park};
use crate::template::{ARTICLES, LIST_AGE, RECORD_AGE, REGISTER_WITHIN};
use crate::town::Town;
use crate::venue::{Code, CodeFault};
use tegata_core::card::CallEnd;
use tegata_core::talk::call::SwitchNotice;
use tegata_core::talk::enter::{Direction, GateNotice, WalletEnterNotice, Window};
use tegata_core::talk::reach::Address;
use tegata_core::{CardId, Time};
use tegata_gate::Hand;
use tegata_processor::bank::TestCard;
use tegata_wallet::Standing;

/// The article of the first sort of ticket.
pub(super) const FESTIVAL: u64 = ARTICLES.len() as u64 + 1;

/// The wallet's ticket touches this gate; with [`Direction::In`] only where it is not known to be in.
pub(super) fn enter(town: &mut Town, gate: usize, fault: Option<(usize, FrameFault)>) {
    let direction = town.venue.as_ref().map(|venue| venue.gates[gate].direction);
    let held = town.people[0].wallet.tickets().unwrap_or_default().into_iter().next();
    let Some(held) = held else {
        return;
    };
    let inside = held.passes.first().is_some_and(|(_, pass)| pass.inside);
    if inside != (direction == Some(Direction::In)) {
        town.visit(0, gate, (held.card, 1), fault);
        town.wake_person(0);
    }
}

/// The same, in a conversation that is not about this: nothing goes wrong between the two.
pub(super) fn pass_by(town: &mut Town, gate: usize) {
    let crossed = town.crossed;
    enter(town, gate, None);
    town.wake_gate(gate);
    town.crossed = crossed;
}

/// What the wallet's ticket knows of the first zone: how many entries it has used, and whether it is in.
fn pass(town: &Town) -> (u64, bool) {
    let held = town.people[0].wallet.tickets().unwrap_or_default().into_iter().next();
    let passes = held.map(|held| held.passes).unwrap_or_default();
    passes.first().map_or((0, false), |(_, pass)| (pass.entry, pass.inside))
}

/// The wallet's ticket touches this gate until it is told that it has passed, or knows that by itself after a power cut; twice at most,
/// with what goes wrong at first.
fn touches(town: &mut Town, gate: usize, fault: Option<(usize, FrameFault)>) -> bool {
    let passed =
        |notice: &WalletEnterNotice| matches!(notice, WalletEnterNotice::In { .. } | WalletEnterNotice::Out { .. });
    let before = pass(town);
    [fault, None].into_iter().any(|fault| {
        let seen = ticket(town, 0).and_then(|card| town.visit(0, gate, (card, 1), fault));
        town.wake_person(0);
        let (after, way_out) = (pass(town), gate == 2);
        let knows = after != before && after.1 != way_out;
        knows || seen.is_some_and(|seen| seen.wallet.iter().any(passed))
    })
}

/// A camera reads a code, whatever happens to that before. Whether it lets its holder in.
fn read(town: &mut Town, gate: usize, code: &Code, fault: Option<CodeFault>) -> bool {
    let opens = |told: Option<GateNotice>| matches!(told, Some(GateNotice::Open(_)));
    match fault {
        Some(CodeFault::Lose) => return false,
        Some(CodeFault::Late) => town.wait(Window::SECONDS + 1),
        Some(CodeFault::Corrupt) => {
            let mut changed = code.clone();
            if let Some(venue) = &mut town.venue {
                flip(&mut changed.bytes, &mut venue.dice);
            }
            if opens(town.read_code(gate, &changed)) {
                town.wrong.push(format!("R4: gate {gate} took a code that was changed on its way"));
            }
            return false;
        }
        Some(CodeFault::Alone) => {
            town.read_code(gate + 1, code);
        }
        Some(CodeFault::Picture) => {
            town.tell_gates();
            town.read_code(gate + 1, code);
        }
        Some(CodeFault::Duplicate) | None => {}
    }
    let opened = opens(town.read_code(gate, code));
    if fault == Some(CodeFault::Duplicate) && opens(town.read_code(gate, code)) && opened {
        town.wrong.push(format!("R21: gate {gate} let somebody in twice by one code"));
    }
    opened
}

/// The wallet shows a code to this gate's camera. Whether that let in.
fn shows(town: &mut Town, gate: usize) -> bool {
    let number = town.venue.as_ref().map_or(0, |venue| venue.codes.len());
    let code = ticket(town, 0).and_then(|card| town.show_code(0, card, gate));
    town.wake_person(0);
    let plan = town.venue.as_ref().and_then(|venue| venue.code_plan);
    let fault = plan.filter(|(at, _)| *at == number).map(|(_, fault)| fault);
    code.is_some_and(|code| read(town, gate, &code, fault))
}

/// The same, and it touches the gate where that does not let in. Whether somebody came in.
fn enter_by_code(town: &mut Town, gate: usize) -> bool {
    shows(town, gate) || touches(town, gate, None)
}

/// In by a code, out by a supervisor's hand, in by the next code, and by another one the day after. No gate tells the wallet: its holder
/// says what has happened, and the next code is for the next entry (R21).
pub(super) fn codes_alone(town: &mut Town) {
    let Some(card) = ticket(town, 0) else {
        return;
    };
    if !shows(town, 0) {
        return;
    }
    town.by_hand(0, Some(1), Hand::Over(card));
    town.says_of_code(0, (card, 1), true);
    town.wake_person(0);
    if shows(town, 0) {
        town.wait(Time::DAY);
        town.says_of_code(0, (card, 1), false);
        town.wake_person(0);
        shows(town, 0);
    }
}

/// In by a code, out by a touch, and in by a touch at another door. One fault strands nobody: each succeeds, at its second try at the
/// latest, and uses its own entry and no other (R20, R21).
pub(super) fn code_then_touches(town: &mut Town, fault: Option<(usize, FrameFault)>) {
    if pass(town).1 {
        touches(town, 2, None);
        town.wait(Time::DAY);
    }
    let (before, _) = pass(town);
    let came = enter_by_code(town, 0);
    town.tell_gates();
    for gate in 0..town.gates() {
        town.wake_gate(gate);
    }
    let crossed = town.crossed;
    let left = touches(town, 2, fault);
    let crossed = town.crossed - crossed;
    let back = touches(town, 1, fault.and_then(|(at, fault)| Some((at.checked_sub(crossed)?, fault))));
    let (after, inside) = pass(town);
    let sound = town.venue.as_ref().is_some_and(|venue| venue.gates.iter().all(|gate| gate.tampered.is_none()));
    let told = (came, left, back, inside, after.saturating_sub(before));
    if sound && town.people[0].tampered.is_none() && told != (true, true, true, true, 2) {
        town.wrong.push(format!("R21: in by a code, out, in again, inside, entries used: {told:?}"));
    }
}

/// A ticket comes in at the first gate, the second one alone hears of it, and the first is lost.
pub(super) fn lose(town: &mut Town) {
    enter(town, 0, None);
    let time = town.time;
    if let Some(venue) = &mut town.venue {
        venue.tell_one(1, 0, time);
    }
    town.lose_gate(0);
}

/// The first wallet answers what it has heard of changes of its tickets.
pub(super) fn answer(town: &mut Town, accept: bool) {
    for held in town.people[0].wallet.tickets().unwrap_or_default() {
        town.answer_change(0, held.card, accept);
        town.wake_person(0);
    }
}

/// The first ticket that a wallet has.
pub(super) fn ticket(town: &Town, at: usize) -> Option<CardId> {
    town.people.get(at)?.wallet.tickets().ok()?.first().map(|held| held.card)
}

/// One wallet hands its ticket to another, which registers it.
pub(super) fn hand_over(town: &mut Town, (from, to): (usize, usize), fault: Option<(usize, FrameFault)>) {
    if let Some(card) = ticket(town, from) {
        town.hand(from, to, card, fault, (true, true));
        town.wake_person(0);
        town.saw_hands(card);
        town.register_ticket_plain(to, card);
        town.wake_person(0);
    }
}

/// So many updates until a wallet must have heard what was lost on its way once.
const UPDATES: usize = 4;

/// A wallet gives its ticket, and nobody takes it up: by a touch whose receiver never registers, or by a number that nobody types in. It
/// comes back by the provider alone when its time is over (R12), whatever went wrong once.
pub(super) fn comes_back(town: &mut Town, by_number: bool, fault: Option<(usize, FrameFault)>) {
    let Some(card) = ticket(town, 0) else {
        return;
    };
    if standing(town, card) == Some(Standing::CameBack) {
        return;
    }
    if by_number {
        // A number that is not known is asked for again.
        let sent = town.gift(0, card);
        town.wake_person(0);
        if sent.is_none() {
            town.gift(0, card);
        }
    } else {
        town.hand(0, 1, card, fault, (true, true));
        town.wake_person(1);
    }
    town.wake_person(0);
    town.saw_hands(card);
    town.update_wallet_plain(0);
    town.wake_person(0);
    town.wait(REGISTER_WITHIN + RECORD_AGE + 60);
    let is_here = |town: &Town| matches!(standing(town, card), Some(Standing::Own | Standing::CameBack));
    for _ in 0..UPDATES {
        if is_here(town) {
            return;
        }
        town.update_wallet_plain(0);
        town.wake_person(0);
    }
    if town.people[0].tampered.is_none() && !is_here(town) {
        let stands = standing(town, card);
        town.wrong.push(format!("R12: nobody took {card}, and it has not come back: {stands:?}"));
    }
}

/// How the first wallet holds a ticket.
fn standing(town: &Town, card: CardId) -> Option<Standing> {
    let wallet = &town.people[0].wallet;
    Some(wallet.standing(&wallet.ticket(card).ok()?.purse))
}

/// A ticket is kept for the wallet under one plan of the event and paid under the next, and a gate hears of that.
pub(super) fn plan_anew(town: &mut Town) {
    let kept = town.reserve(0, FESTIVAL, None);
    town.wake_person(0);
    town.plan_anew();
    town.add_category();
    if let Some(number) = kept {
        town.pay_purchase_plain(0, number);
        town.wake_person(0);
    }
    town.wait(2);
    ask_purchases(town);
    town.wake_person(0);
    town.update_gate_plain(0);
    pass_by(town, 0);
}

/// After a backup is made the wallet's ticket comes in, and wallet and gate update; then the provider is put back.
pub(super) fn put_back(town: &mut Town) {
    town.center.back_up();
    enter(town, 0, None);
    town.update_wallet_plain(0);
    town.update_gate_plain(0);
    town.put_provider_back();
}

/// Wallet and gate bring the word of a provider that was put back for where they stand; it waits for everybody, and nothing is sold then
/// before its operator has compared what was sold after the backup (R15).
pub(super) fn reconcile(town: &mut Town) {
    town.update_wallet_plain(0);
    town.wake_person(0);
    town.update_gate_plain(0);
    town.wake_gate(0);
    if town.sales_wait() {
        town.wait(LIST_AGE + RECORD_AGE + 60);
        town.reserve(0, FESTIVAL, None);
        town.wake_person(0);
        town.compare_sales(false);
    }
}

/// One wallet sends its ticket by a number, which another installs.
pub(super) fn send(town: &mut Town, (from, to): (usize, usize)) {
    if let Some(card) = ticket(town, from) {
        town.gift(from, card);
        town.wake_person(0);
        let sent = town.hands.as_ref().map_or(0, |hands| hands.gifts.len());
        for gift in 0..sent {
            town.take_gift(to, gift);
        }
        town.wake_person(0);
    }
}

/// One wallet is lost, and its ticket is installed in another.
pub(super) fn reissue(town: &mut Town, (from, to): (usize, usize)) {
    if let Some(card) = ticket(town, from) {
        town.lose_wallet(from, card);
        let sent = town.hands.as_ref().map_or(0, |hands| hands.gifts.len());
        for gift in 0..sent {
            town.take_gift(to, gift);
        }
        town.wake_person(0);
    }
}

/// The terminal writes to this address, and the wallet reads.
pub(super) fn write_and_read(town: &mut Town, to: Option<Address>) {
    if let Some(to) = to {
        town.write_to(0, to);
        town.wake_till(0);
    }
    town.read_till(0);
    town.wake_till(0);
    town.read_wallet(0);
    town.wake_person(0);
}

/// The operator settles and takes the orders to the bank, and the bank says what it did.
pub(super) fn settle(town: &mut Town) {
    town.settle();
    let last = town.center.store().and_then(|store| store.last_period()).unwrap_or(0);
    town.order(last);
    town.end_bank_day();
    town.tell();
}

/// The last ticket is kept for another wallet, which does not pay.
pub(super) fn sell_out(town: &mut Town) {
    town.few_tickets();
    town.register(1, TestCard::Approved, false, 3);
    town.seen.clear();
    town.reserve(1, FESTIVAL, None);
    town.seen.clear();
}

/// The wallet has one kept, pays, and asks until it is there.
pub(super) fn buy(town: &mut Town, article: u64, card: Option<CardId>) {
    if let Some(number) = town.reserve(0, article, card) {
        town.pay_purchase_plain(0, number);
    }
    for _ in 0..2 {
        town.wait(2);
        ask_purchases(town);
    }
}

pub(super) fn ask_purchases(town: &mut Town) {
    for (number, _) in town.open_purchases(0) {
        town.ask_purchase(0, number);
    }
}

/// The wallet asks for what it does not know yet.
pub(super) fn ask_wallet(town: &mut Town) {
    for request in town.open_credits(0) {
        town.ask_wallet_plain(0, request);
    }
}

/// The terminal asks for what it does not know yet; one that lost power is switched on first.
pub(super) fn ask_till(town: &mut Town) {
    for transaction in town.open_claims(0) {
        town.ask_till_plain(0, transaction);
    }
}

/// The wallet calls with its telephone card.
pub(super) fn call(town: &mut Town, (speaks, ends): (Option<u64>, Ends), fault: Option<(usize, FrameFault)>) {
    if let Some(card) = town.telephone(0) {
        // The user's own limit ends a long one as an empty card would.
        town.dial(0, card, Spoken { rings: 3_000, speaks, ends, limit: Some(200) }, fault);
        town.wake_person(0);
        town.wake_switch();
    }
}

/// The wallet calls with its card of units, and both sides tell the provider.
pub(super) fn call_by_units(town: &mut Town) {
    if let Some(card) = town.units_card(0) {
        let spoken = Spoken { rings: 3_000, speaks: Some(150_000), ends: Ends::Stop, limit: None };
        town.dial_to(0, card, ("4930", false), spoken, None);
        town.update_switch();
        town.update_wallet_plain(0);
    }
}

/// So many frames have crossed when the first check of a call is stored, and it rings.
pub(super) const RINGS: usize = 5;
/// So many after the check over its second unit, where nothing else is said: the answer comes between two ticks.
const BETWEEN: usize = 9;
/// How long they speak while an update is parked, in milliseconds.
const SPEAKS: u64 = 150_000;

/// The wallet calls while an update of the switch is parked. With `is_blocked`, its card is blocked once it rings, and the answer says so.
pub(super) fn call_meanwhile(town: &mut Town, is_blocked: bool, fault: Option<(usize, FrameFault)>) {
    if let Some(card) = town.telephone(0) {
        let (asks, happens) = if is_blocked { (RINGS, Happens::Block(card)) } else { (0, Happens::Nothing) };
        call_parked(town, card, (asks, happens), fault);
    }
}

/// The wallet calls while an update is parked that asks after so many frames, just after this has happened.
pub(super) fn call_parked(
    town: &mut Town,
    card: CardId,
    (asks, happens): (usize, Happens),
    fault: Option<(usize, FrameFault)>,
) -> Dialled {
    let planned = town.lines.as_mut().and_then(|lines| lines.parks.take());
    let (hears, comes) = planned.unwrap_or((BETWEEN, Comes::Whole));
    let park = Park { asks, hears, comes, happens };
    // The user's own limit is more than it costs.
    let spoken = Spoken { rings: 3_000, speaks: Some(SPEAKS), ends: Ends::Stop, limit: Some(200) };
    let (seen, done) = town.dial_meanwhile(0, card, spoken, fault, park);
    let seen = seen.unwrap_or_default();
    if planned.is_some() {
        // Nothing else goes wrong then.
        undisturbed(town, &seen, (park, done.is_ok()));
    }
    town.wake_person(0);
    town.wake_switch();
    seen
}

/// An update changes nothing for a call, whenever its answer comes, but by what that brings: a call of a card that is dead by the new
/// list ends then. Where the answer is not stored, the call goes on, unless the switch has lost power.
fn undisturbed(town: &mut Town, seen: &Dialled, (park, updated): (Park, bool)) {
    let dead = |notice: &SwitchNotice| matches!(notice, SwitchNotice::Over(said) if said.ended == CallEnd::CardBlocked);
    let (ended, whole) = (seen.switch.iter().any(dead), seen.spoke == SPEAKS);
    let good = match park.comes {
        Comes::Whole if !matches!(park.happens, Happens::Block(_)) => updated && whole && !ended,
        Comes::Whole if park.hears <= BETWEEN => updated && !whole && ended,
        Comes::Whole => updated && (whole || ended),
        Comes::Never | Comes::Full => !updated && whole && !ended,
        Comes::CutBefore | Comes::CutAfter => !updated && !ended && (whole || park.hears != usize::MAX),
    };
    if !good {
        let (told, spoke) = (if updated { "has" } else { "has not" }, seen.spoke);
        town.wrong.push(format!("R13: the switch {told} updated ({park:?}), and they spoke {spoke} ms; cut: {ended}"));
    }
}

/// Somebody asks for a number by the wallet's last receipt.
pub(super) fn ask_number(town: &mut Town, who: Ringer) -> Option<usize> {
    let receipt = town.people[0].wallet.receipts().unwrap_or_default().pop()?;
    let given = town.ask_number(who, &Address::Receipt(receipt.name));
    town.wake_person(0);
    town.wake_till(0);
    given
}

/// A wallet dials a number that somebody was given.
pub(super) fn ring(town: &mut Town, at: usize, given: Option<usize>, fault: Option<(usize, FrameFault)>) {
    if let (Some(card), Some(given)) = (town.telephone(at), given) {
        let spoken = Spoken { rings: 3_000, speaks: Some(20_000), ends: Ends::Stop, limit: Some(200) };
        town.dial_number(at, card, given, spoken, fault);
        town.wake_person(at);
        town.wake_switch();
    }
}

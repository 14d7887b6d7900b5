//! What people, merchants and the operator do on a day, as apps and their users do it.

mod booth;
mod buy;
mod call;
mod cards;
mod change;
mod credit;
mod event;
mod give;
mod lose;
mod operator;
mod pay;
mod plan;
mod queue;
mod reach;
mod ring;
mod settle;
mod staff;
mod surf;
mod update;

pub use booth::{Booth, Slip};
pub use call::{Lines, PRINTED, UNKNOWN_OPERATOR};
pub use change::Plans;
pub use give::Hands;
pub use lose::{Losing, Newcomer};
pub use queue::Queue;
pub use reach::Letters;
pub use ring::{Given, Rang, Ringer, Ringing};
pub use settle::Settling;
pub use staff::Staff;

use crate::town::Town;
use crate::trouble::NetPlan;
use tegata_core::Time;
use tegata_core::talk::enter::Direction;
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
    Register,
    Credit,
    AskWallet,
    AskTill,
    Buy,
    GoOnBuying,
    GiveBack,
    Restock,
    Write,
    AskAbout,
    ReadWallet,
    ReadTill,
    Mute,
    Contract,
    Order,
    BankDay,
    BuyTicket,
    Enter,
    Leave,
    ShowCode,
    Screenshot,
    UpdateGate,
    Part,
    GateBack,
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

/// How often each is done that is about credit, in parts of the town's share of it.
const CREDIT: [(Action, u64); 4] =
    [(Action::Register, 12), (Action::Credit, 60), (Action::AskWallet, 14), (Action::AskTill, 14)];

/// How often each is done that is about buying, in parts of the town's share of it.
const BUYING: [(Action, u64); 4] =
    [(Action::Buy, 60), (Action::GoOnBuying, 16), (Action::GiveBack, 20), (Action::Restock, 4)];

/// How often each is done that is about letters, in parts of the town's share of it.
const LETTERS: [(Action, u64); 5] =
    [(Action::Write, 36), (Action::AskAbout, 22), (Action::ReadWallet, 20), (Action::ReadTill, 10), (Action::Mute, 12)];

/// How often each is done that is about settlement, in parts of the town's share of it.
const SETTLING: [(Action, u64); 4] =
    [(Action::Settle, 30), (Action::Contract, 12), (Action::Order, 28), (Action::BankDay, 30)];

/// How often each is done that is about an event, in parts of the town's share of it.
const TICKETS: [(Action, u64); 8] = [
    (Action::BuyTicket, 16),
    (Action::Enter, 40),
    (Action::Leave, 14),
    (Action::ShowCode, 8),
    (Action::Screenshot, 5),
    (Action::UpdateGate, 9),
    (Action::Part, 6),
    (Action::GateBack, 2),
];

/// How many things happen in a seed, at least and at most.
const ACTIONS: (u64, u64) = (15, 45);

impl Town {
    /// The first part of a seed: people live, and things go wrong.
    pub fn live(&mut self) {
        self.agree();
        for at in 0..self.people.len() {
            if self.dice.chance(self.mix.clocks) {
                self.people[at].skew = self.skew();
            }
            if self.dice.chance(700) {
                self.install(at);
            }
            if self.mix.credit > 0 && self.dice.chance(800) {
                self.register_some(at);
            }
        }
        for at in 0..self.tills.len() {
            self.tills[at].late = self.dice.chance(self.mix.late);
            if self.dice.chance(self.mix.clocks) {
                self.tills[at].skew = self.skew();
            }
        }
        self.few_tickets();
        self.doors_open();
        self.staff_comes();
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
        if self.dice.chance(self.mix.restore) {
            self.put_provider_back();
        }
        let action = self.draw_action();
        self.center.plan(NetPlan::Sometimes(self.mix.network));
        self.act(action);
        self.hand_some();
        self.change_some();
        self.call_some();
        self.surf_some();
        self.staff_some();
        self.lose_some();
        self.booth_some();
        self.queue_some();
        self.ring_some();
        let seconds = match self.dice.below(20) {
            0..14 => self.dice.within(5, 900),
            14..18 => self.dice.within(900, 20_000),
            _ => self.dice.within(Time::DAY / 2, 4 * Time::DAY),
        };
        self.wait(seconds);
    }

    fn draw_action(&mut self) -> Action {
        let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let (credit, buying) = (total + self.mix.credit, total + self.mix.credit + self.mix.buying);
        let letters = buying + self.mix.letters;
        let settling = letters + self.mix.settling;
        let actions: &[_] = match self.dice.below(settling + self.mix.tickets) {
            drawn if drawn < total => return weighed(&WEIGHTS, drawn),
            drawn if drawn < credit => &CREDIT,
            drawn if drawn < buying => &BUYING,
            drawn if drawn < letters => &LETTERS,
            drawn if drawn < settling => &SETTLING,
            _ => &TICKETS,
        };
        let share = actions.iter().map(|(_, weight)| weight).sum();
        weighed(actions, self.dice.below(share))
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
            Action::Settle => self.settle_some(),
            Action::Guess => self.guess(person),
            Action::Register => self.register_some(person),
            Action::Credit => self.credit_somewhere(person, till),
            Action::AskWallet => self.go_on_wallet(person),
            Action::AskTill => self.go_on_till(till),
            Action::Buy => self.buy_some(person),
            Action::GoOnBuying => self.go_on_buying(person),
            Action::GiveBack => self.give_back_some(person),
            Action::Restock => self.restock_some(),
            Action::Write => self.write_some(till),
            Action::AskAbout => self.ask_about_some(person),
            Action::ReadWallet => self.read_some(person),
            Action::ReadTill => self.read_at_till(till),
            Action::Mute => self.mute_some(person),
            Action::Contract => self.contract_some(),
            Action::Order => self.order_some(),
            Action::BankDay => self.bank_day(),
            Action::BuyTicket => self.have_ticket(person),
            Action::Enter => self.pass_somewhere(person, Direction::In),
            Action::Leave => self.pass_somewhere(person, Direction::Out),
            Action::ShowCode => self.show_code_somewhere(person),
            Action::Screenshot => self.screenshot(),
            Action::UpdateGate => self.update_some_gate(),
            Action::Part => self.part_gates(),
            Action::GateBack => self.gate_back(),
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

    pub(super) fn rest(&mut self, person: Option<usize>, till: Option<usize>) {
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
}

/// The action that this number falls on.
fn weighed(actions: &[(Action, u64)], drawn: u64) -> Action {
    let mut left = drawn;
    for (action, weight) in actions {
        if left < *weight {
            return *action;
        }
        left -= weight;
    }
    Action::Tap
}

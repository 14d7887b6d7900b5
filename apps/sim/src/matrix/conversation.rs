//! The conversations of the fault matrix, and what each needs. How they go is in `play.rs`.

<<<<<<< HEAD
use super::steps::{
    FESTIVAL, answer, ask_number, ask_purchases, ask_till, ask_wallet, buy, call, enter, hand_over, lose, reissue,
    ring, sell_out, send, settle, ticket, write_and_read,
};
use crate::act::Ringer;
use crate::dial::{Ends, Spoken};
use crate::fault::FrameFault;
use crate::tap::Plan;
use crate::template::{ARTICLES, LIST_AGE, RECORD_AGE};
use crate::town::Town;
use tegata_core::Time;
use tegata_core::talk::enter::StaffRole;
use tegata_core::talk::pay::ClaimState;
use tegata_gate::Hand;
use tegata_issuer::Numbering;
use tegata_processor::bank::TestCard;
=======
use super::steps::RINGS;
>>>>>>> a569544052a39a0cd5b01719da3abf2fa6c33e31

/// The conversations of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conversation {
    /// A card is installed by a number.
    Install,
    /// A card is loaded by a number, and updated.
    Load,
    /// A first tap of two that do not know each other.
    FirstTap,
    /// A tap of two that know each other.
    Tap,
    /// A charge is closed whose check was lost, and the wallet comes back.
    Close,
    /// A payment is undone, and the wallet learns of it.
    Void,
    /// A wallet updates after paying.
    UpdateWallet,
    /// A terminal updates after being paid.
    UpdateTerminal,
    /// A bank card is registered.
    RegisterCard,
    /// A tap that pays by credit.
    CreditTap,
    /// Both lines ask, and the bank authorizes.
    CreditAuthorize,
    /// The terminal takes what was authorized, and hands over the goods.
    CreditClear,
    /// The receipts of merchant and user.
    CreditReceipt,
    /// A charge is closed that was authorized.
    CreditClose,
    /// A card is reserved, paid by credit and delivered.
    BuyCard,
    /// A card is topped up by credit.
    BuyTopUp,
    /// A card is delivered with a temporary receipt, and captured later.
    BuyLater,
    /// What is reserved is given up.
    BuyCancel,
    /// A card is given back, and paid back when it is due.
    GiveBack,
    /// A merchant writes to a customer number, and the user reads it.
    LetterToCustomer,
    /// A user asks about a receipt of a card, the merchant reads and answers, the user reads that.
    LetterAbout,
    /// A user mutes a merchant, which writes in vain, and hears it again.
    LetterMuted,
    /// A period is settled, ordered from the bank, paid, and told by a statement.
    Settle,
    /// A payout comes back, and is settled, ordered and paid again.
    PayoutBack,
    /// A ticket comes in at a gate.
    Enter,
    /// It goes out, and comes in again elsewhere.
    Leave,
    /// A ticket comes in by a code before a camera, goes out by a touch, and comes in again elsewhere by a touch.
    EnterByCode,
    /// A gate hears from its neighbours whom they have let in.
    GatePage,
    /// A gate brings up its log, and hears what has changed.
    UpdateGate,
    /// A ticket is handed to another wallet, which registers it.
    GiveTicket,
    /// A ticket is taken from another wallet, and registered.
    TakeTicket,
    /// A ticket is locked to the provider, and another wallet takes it by the number.
    GiftTicket,
    /// A ticket that another wallet has sent is taken by its number.
    TakeGift,
    /// A ticket whose wallet was lost is installed anew.
    InstallAnew,
    /// An event is changed, and its holder answers.
    AnswerChange,
    /// An event is cancelled, and its holder is paid back.
    CancelEvent,
    /// A change is changed again before its holder has answered, which answers both.
    ChangeAgain,
    /// A change is cancelled while its holder answers, and is paid back.
    CancelChange,
    /// A call of some minutes, until the user hangs up.
    Call,
    /// A call that whoever was called ends.
    CallCalled,
    /// Nobody answers.
    CallUnanswered,
    /// A call until the card is empty.
    CallToTheEnd,
    /// A call that both vanish from; what it cost, as the provider hears of it.
    CallSettled,
    /// A call in units shorter than a second, paid link by link.
    CallByLinks,
    /// A call while an update of the switch waits for its answer.
    CallUpdating,
    /// The same, and the card is blocked when it rings: the answer says so.
    CallBlocked,
    /// Both sides say where they are called, ask for numbers, and each is called.
    CallByNumber,
    /// A user mutes a merchant that has a number, and that one and a new one ring nowhere; then one does again.
    CallMuted,
    /// The promoter takes somebody on and lets somebody go, and gates hear of it.
    StaffOrder,
    /// People are counted in by hand, and an entry is ended; neighbours hear of it, and the ticket comes in again.
    ByHand,
    /// A gate is lost, declared lost and replaced.
    LostGate,
    /// A gate is lost, and a new one that joins by a number takes its place.
    GateNumber,
    /// Gates tell on what they have heard of a lost one.
    Relay,
    /// A ticket is printed with a number, sold over a counter, and typed in; then one for a numbered seat.
    TicketNumber,
    /// A wallet waits for a ticket, which another one lets go, hears of it and pays.
    WaitList,
}

impl Conversation {
    /// Every one.
<<<<<<< HEAD
    pub const ALL: [Self; 52] = [
=======
    pub const ALL: [Self; 53] = [
>>>>>>> a569544052a39a0cd5b01719da3abf2fa6c33e31
        Self::Install,
        Self::Load,
        Self::FirstTap,
        Self::Tap,
        Self::Close,
        Self::Void,
        Self::UpdateWallet,
        Self::UpdateTerminal,
        Self::RegisterCard,
        Self::CreditTap,
        Self::CreditAuthorize,
        Self::CreditClear,
        Self::CreditReceipt,
        Self::CreditClose,
        Self::BuyCard,
        Self::BuyTopUp,
        Self::BuyLater,
        Self::BuyCancel,
        Self::GiveBack,
        Self::LetterToCustomer,
        Self::LetterAbout,
        Self::LetterMuted,
        Self::Settle,
        Self::PayoutBack,
        Self::Enter,
        Self::Leave,
        Self::EnterByCode,
        Self::GatePage,
        Self::UpdateGate,
        Self::GiveTicket,
        Self::TakeTicket,
        Self::GiftTicket,
        Self::TakeGift,
        Self::InstallAnew,
        Self::AnswerChange,
        Self::CancelEvent,
        Self::ChangeAgain,
        Self::CancelChange,
        Self::Call,
        Self::CallCalled,
        Self::CallUnanswered,
        Self::CallToTheEnd,
        Self::CallSettled,
        Self::CallByLinks,
        Self::CallUpdating,
        Self::CallBlocked,
        Self::CallByNumber,
        Self::CallMuted,
        Self::StaffOrder,
        Self::ByHand,
        Self::LostGate,
        Self::GateNumber,
        Self::Relay,
        Self::TicketNumber,
        Self::WaitList,
    ];
    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Load => "load",
            Self::FirstTap => "first tap",
            Self::Tap => "tap",
            Self::Close => "close",
            Self::Void => "void",
            Self::UpdateWallet => "update (wallet)",
            Self::UpdateTerminal => "update (terminal)",
            Self::RegisterCard => "register a bank card",
            Self::CreditTap => "credit: tap",
            Self::CreditAuthorize => "credit: authorize",
            Self::CreditClear => "credit: clear",
            Self::CreditReceipt => "credit: receipts",
            Self::CreditClose => "credit: close",
            Self::BuyCard => "buy a card",
            Self::BuyTopUp => "buy a top-up",
            Self::BuyLater => "buy, captured later",
            Self::BuyCancel => "reserve and give up",
            Self::GiveBack => "give back, refund",
            Self::LetterToCustomer => "letter to a customer",
            Self::LetterAbout => "letter about a receipt",
            Self::LetterMuted => "letter of a muted",
            Self::Settle => "settle and pay out",
            Self::PayoutBack => "payout that comes back",
            Self::Enter => "enter",
            Self::Leave => "leave, enter elsewhere",
            Self::EnterByCode => "enter by a code, leave",
            Self::GatePage => "page between gates",
            Self::UpdateGate => "update (gate)",
            Self::GiveTicket => "give a ticket",
            Self::TakeTicket => "take a ticket",
            Self::GiftTicket => "give by a number",
            Self::TakeGift => "take by a number",
            Self::InstallAnew => "lose, install anew",
            Self::AnswerChange => "change, answer",
            Self::CancelEvent => "cancel, refund",
            Self::ChangeAgain => "change again, answer",
            Self::CancelChange => "cancel while it is changed",
            Self::Call => "call",
            Self::CallCalled => "call, the called hangs up",
            Self::CallUnanswered => "call, nobody answers",
            Self::CallToTheEnd => "call until the card ends",
            Self::CallSettled => "call, cut off, settled",
            Self::CallByLinks => "call, paid by links",
            Self::CallUpdating => "call, the switch updates",
            Self::CallBlocked => "call, its card is blocked",
            Self::CallByNumber => "call by a number",
            Self::CallMuted => "call of a muted",
            Self::StaffOrder => "staff comes and goes",
            Self::ByHand => "count by hand",
            Self::LostGate => "lost gate, replaced",
            Self::GateNumber => "new gate, by a number",
            Self::Relay => "pages of a lost gate",
            Self::TicketNumber => "ticket by a number",
            Self::WaitList => "waiting list",
        }
    }
    /// Which of the conversations by credit must be over before this one; `None`: it is not about credit.
    pub(super) fn by_credit(self) -> Option<&'static [Self]> {
        match self {
            Self::RegisterCard => Some(&[]),
            _ if self.at_gates() => Some(&[Self::RegisterCard]),
            Self::CreditTap | Self::BuyCard | Self::BuyLater | Self::BuyCancel => Some(&[Self::RegisterCard]),
            Self::BuyTopUp | Self::GiveBack => Some(&[Self::RegisterCard, Self::BuyCard]),
            Self::CreditAuthorize => Some(&[Self::RegisterCard, Self::CreditTap]),
            Self::CreditClear | Self::CreditClose => {
                Some(&[Self::RegisterCard, Self::CreditTap, Self::CreditAuthorize])
            }
            Self::CreditReceipt => {
                Some(&[Self::RegisterCard, Self::CreditTap, Self::CreditAuthorize, Self::CreditClear])
            }
            Self::LetterToCustomer => Some(&[
                Self::RegisterCard,
                Self::CreditTap,
                Self::CreditAuthorize,
                Self::CreditClear,
                Self::CreditReceipt,
            ]),
            _ => None,
        }
    }
    /// Whether the issuer must sell over the network.
    pub(super) fn buys(self) -> bool {
        let buys = matches!(self, Self::BuyCard | Self::BuyTopUp | Self::BuyLater | Self::BuyCancel | Self::GiveBack);
        buys || self.at_gates()
    }
    /// Whether there is an event.
    pub(super) fn at_gates(self) -> bool {
        let gates = matches!(self, Self::Enter | Self::Leave | Self::EnterByCode | Self::GatePage | Self::UpdateGate);
        let sold = self.numbers() || self.queues();
        gates || sold || self.gives() || self.changes() || self.by_staff() || self.loses()
    }
    /// Whether tickets are sold by number.
    pub(super) fn numbers(self) -> bool {
        self == Self::TicketNumber
    }
    /// Whether people wait for tickets.
    pub(super) fn queues(self) -> bool {
        self == Self::WaitList
    }
    /// Whether a gate is lost.
    pub(super) fn loses(self) -> bool {
        matches!(self, Self::LostGate | Self::GateNumber | Self::Relay)
    }
    /// Whether there is staff at the gates.
    pub(super) fn by_staff(self) -> bool {
        matches!(self, Self::StaffOrder | Self::ByHand)
    }
    /// Whether tickets are given on.
    pub(super) fn gives(self) -> bool {
        matches!(self, Self::GiveTicket | Self::TakeTicket | Self::GiftTicket | Self::TakeGift | Self::InstallAnew)
    }
    /// Whether the promoter changes its event.
    pub(super) fn changes(self) -> bool {
        matches!(self, Self::AnswerChange | Self::CancelEvent) || self.follows_change()
    }
    /// Whether another change was told before.
    fn follows_change(self) -> bool {
        matches!(self, Self::ChangeAgain | Self::CancelChange)
    }
    /// Whether merchants and users call each other by numbers.
    pub(super) fn rings(self) -> bool {
        matches!(self, Self::CallByNumber | Self::CallMuted)
    }
    /// Whether somebody calls.
    pub(super) fn calls(self) -> bool {
        let lines = matches!(
            self,
            Self::Call
                | Self::CallCalled
                | Self::CallUnanswered
                | Self::CallToTheEnd
                | Self::CallSettled
                | Self::CallByLinks
        );
        lines || self.rings() || self.parks().is_some()
    }
    /// After how many frames of the call a parked update of the switch can be answered, at the earliest; `None`: none is parked.
    pub(super) fn parks(self) -> Option<usize> {
        match self {
            Self::CallUpdating => Some(0),
            Self::CallBlocked => Some(RINGS),
            _ => None,
        }
    }
    /// Whether people and merchants write.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::LetterToCustomer | Self::LetterAbout | Self::LetterMuted) || self.rings()
    }
    /// Whether there are contracts, and a bank that pays.
    pub(super) fn settles(self) -> bool {
        matches!(self, Self::Settle | Self::PayoutBack)
    }
<<<<<<< HEAD
    /// What must have been so before.
    pub(super) fn prepare(self, town: &mut Town) {
        if let Some(before) = self.by_credit() {
            before.iter().for_each(|earlier| earlier.run(town, &Plan::PLAIN));
            if self.at_gates() {
                buy(town, ARTICLES.len() as u64 + 1, None);
                town.gates_update(true);
            }
            if self.by_staff() {
                town.take_on(StaffRole::Supervisor);
                town.gates_update(true);
            }
            if matches!(self, Self::Leave | Self::GatePage | Self::UpdateGate | Self::ByHand) {
                enter(town, 0, None);
            }
            if self.queues() {
                sell_out(town);
            }
            if self.loses() {
                lose(town);
            }
            if self == Self::Relay {
                Self::LostGate.run(town, &Plan::PLAIN);
            }
            if matches!(self, Self::TakeTicket | Self::TakeGift | Self::InstallAnew) {
                Self::GiveTicket.run(town, &Plan::PLAIN);
            }
            if self.follows_change() {
                town.change_once(false);
                town.wait(5);
                town.update_wallet_plain(0);
            }
            if self == Self::GiveBack {
                town.tap(0, 0, 500, Plan::PLAIN);
            }
            return town.wait(5);
        }
        if self.rings() {
            town.install_number(0, 0, None);
            town.tap(0, 0, 500, Plan::PLAIN);
            town.update_till(0);
            town.update_wallet(0);
            // So that the merchant reaches the user by the receipt.
            Self::LetterAbout.run(town, &Plan::PLAIN);
            town.equip_caller(0);
            town.equip_caller(1);
            if self == Self::CallMuted {
                town.be_called(Ringer::User(0), false);
            }
            town.crossed = 0;
            return town.wait(30);
        }
        if self.calls() {
            town.equip_caller(0);
            return town.wait(30);
        }
        if self != Self::Install {
            town.install_number(0, 0, None);
        }
        if !matches!(self, Self::Install | Self::Load | Self::FirstTap) {
            town.tap(0, 0, 500, Plan::PLAIN);
        }
        if self == Self::Close {
            town.tap(0, 0, 300, Plan { fault: Some((4, FrameFault::Lose)), ..Plan::PLAIN });
        }
        if self == Self::Void || self.writes() || self.settles() {
            town.update_till(0);
            town.update_wallet(0);
        }
        if self == Self::LetterMuted {
            Self::LetterAbout.run(town, &Plan::PLAIN);
        }
        if self.settles() {
            town.agree_with_all();
            // The first payment came before there was a contract.
            town.tap(0, 0, 1_700, Plan::PLAIN);
            town.update_till(0);
        }
        if self == Self::PayoutBack {
            Self::Settle.run(town, &Plan::PLAIN);
        }
        town.wait(30);
    }
    pub(super) fn run(self, town: &mut Town, plan: &Plan) {
        match self {
            Self::Install => drop(town.install_number(0, 0, None)),
            Self::Load => drop(town.load_number(0, 1, None)),
            Self::FirstTap | Self::Tap => drop(town.touch(0, 0, 700, plan.clone())),
            Self::Close => {
                let now = town.now(0);
                town.close_open(0, now);
                town.wake_till(0);
                town.touch(0, 0, 200, plan.clone());
            }
            Self::Void => {
                let paid = town.tills[0].terminal.payments().unwrap_or_default();
                let paid = paid.iter().find(|payment| payment.state == ClaimState::Paid).map(|it| it.transaction);
                if let Some(transaction) = paid {
                    town.void_at(0, transaction);
                    if town.tills[0].terminal.device.vault.is_off() {
                        town.wake_till(0);
                        town.void_at(0, transaction);
                    }
                }
                town.update_till_plain(0);
                town.wake_till(0);
                town.update_wallet_plain(0);
            }
            Self::UpdateWallet => drop(town.update_wallet_plain(0)),
            Self::UpdateTerminal => drop(town.update_till_plain(0)),
            Self::RegisterCard => drop(town.register(0, TestCard::Approved, false, 3)),
            Self::CreditTap => drop(town.offer(0, 0, 700, plan)),
            Self::CreditAuthorize => {
                ask_wallet(town);
                ask_till(town);
                town.wait(2);
                ask_wallet(town);
            }
            Self::CreditClear => {
                ask_till(town);
                town.wait(2);
                ask_till(town);
                ask_wallet(town);
            }
            Self::CreditReceipt => {
                town.update_till_plain(0);
                town.wake_till(0);
                town.update_wallet_plain(0);
            }
            Self::BuyCard => buy(town, 1, None),
            Self::BuyTopUp => {
                if let Some(card) = town.card(0) {
                    buy(town, 1, Some(card));
                }
            }
            Self::BuyLater => {
                buy(town, 2, None);
                town.wait(2 * Time::DAY + 60);
                town.update_wallet_plain(0);
                ask_purchases(town);
            }
            Self::BuyCancel => {
                if let Some(number) = town.reserve(0, 1, None) {
                    town.cancel_purchase(0, number);
                }
                ask_purchases(town);
            }
            Self::GiveBack => {
                if let Some(card) = town.card(0) {
                    town.give_back(0, card);
                }
                town.update_wallet_plain(0);
                town.wait(LIST_AGE + RECORD_AGE + 60);
                town.update_wallet_plain(0);
            }
            Self::LetterToCustomer => {
                let customer = town.addresses(0).into_iter().find(|to| to.receipt().is_none());
                write_and_read(town, customer);
            }
            Self::LetterAbout => {
                let receipts = town.people[0].wallet.receipts().unwrap_or_default();
                if let Some(receipt) = receipts.last() {
                    town.ask_about(0, receipt);
                    town.wake_person(0);
                }
                town.read_till(0);
                town.wake_till(0);
                let asked = town.asked_by(0).pop();
                write_and_read(town, asked);
            }
            Self::LetterMuted => {
                let receipt = town.addresses(0).pop();
                for muted in [true, false] {
                    if let Some(merchant) = town.tills[0].terminal.device.owner() {
                        town.mute(0, merchant, muted);
                        town.wake_person(0);
                    }
                    write_and_read(town, receipt.clone());
                }
            }
            Self::Enter => enter(town, 0, plan.fault),
            Self::Leave => {
                enter(town, 2, plan.fault);
                enter(town, 1, None);
            }
            Self::GatePage => {
                town.tell_gates();
                // What the wallet shows next is judged by what was heard.
                if let Some(held) = town.people[0].wallet.tickets().unwrap_or_default().first() {
                    town.visit(0, 1, (held.card, 1), None);
                }
            }
            Self::UpdateGate => drop(town.update_gate_plain(0)),
            Self::GiveTicket => hand_over(town, (0, 1), plan.fault),
            Self::TakeTicket => hand_over(town, (1, 0), plan.fault),
            Self::GiftTicket => send(town, (0, 1)),
            Self::TakeGift => send(town, (1, 0)),
            Self::InstallAnew => reissue(town, (1, 0)),
            Self::AnswerChange => {
                town.change_once(false);
                town.update_wallet_plain(0);
                town.wake_person(0);
                answer(town, true);
                town.update_wallet_plain(0);
            }
            Self::ChangeAgain => {
                town.change_again(false);
                // What it says now comes too late, and is told so.
                answer(town, false);
                town.wait(2);
                town.update_wallet_plain(0);
                town.wake_person(0);
                answer(town, true);
                town.update_wallet_plain(0);
            }
            Self::CancelChange => {
                town.change_again(true);
                answer(town, true);
                town.wait(2);
                town.update_wallet_plain(0);
                town.wake_person(0);
                town.wait(LIST_AGE + RECORD_AGE + 60);
                town.update_wallet_plain(0);
            }
            Self::CancelEvent => {
                town.change_once(true);
                town.update_wallet_plain(0);
                town.wake_person(0);
                town.wait(LIST_AGE + RECORD_AGE + 60);
                town.update_wallet_plain(0);
            }
            Self::Call => call(town, (Some(150_000), Ends::Stop), plan.fault),
            Self::CallCalled => call(town, (Some(61_000), Ends::Called), plan.fault),
            Self::CallUnanswered => call(town, (None, Ends::Stop), plan.fault),
            Self::CallToTheEnd => call(town, (Some(90 * 60_000), Ends::Stop), plan.fault),
            Self::CallSettled => {
                call(town, (Some(90_000), Ends::Vanishes), plan.fault);
                town.hang_up(0);
                town.update_switch();
                town.wake_switch();
                town.update_wallet_plain(0);
                town.wake_person(0);
                town.update_switch();
            }
            Self::CallByLinks => {
                if let Some(card) = town.telephone(0) {
                    let spoken = Spoken { rings: 3_000, speaks: Some(1_100), ends: Ends::Stop, limit: Some(200) };
                    town.dial_to(0, card, ("7700", false), spoken, plan.fault);
                    town.wake_person(0);
                    town.wake_switch();
                }
            }
            Self::CallByNumber => {
                let (user, shop) = (Ringer::User(0), Ringer::Shop(0));
                for who in [user, shop] {
                    town.be_called(who, false);
                    town.wake_person(0);
                    town.wake_till(0);
                }
                let to_shop = ask_number(town, user);
                let to_user = ask_number(town, shop);
                town.update_switch();
                town.wake_switch();
                ring(town, 0, to_shop, plan.fault);
                ring(town, 1, to_user, None);
            }
            Self::CallMuted => {
                let before = ask_number(town, Ringer::Shop(0));
                town.update_switch();
                for muted in [true, false] {
                    if let Some(merchant) = town.tills[0].terminal.device.owner() {
                        town.mute(0, merchant, muted);
                        town.wake_person(0);
                    }
                    let given = ask_number(town, Ringer::Shop(0));
                    town.update_switch();
                    town.wake_switch();
                    ring(town, 1, before, None);
                    ring(town, 1, given, plan.fault);
                    town.wait(2);
                }
            }
            Self::StaffOrder => {
                town.take_on(StaffRole::Steward);
                town.update_gate_plain(0);
                town.let_go(1);
                town.update_gate_plain(0);
            }
            Self::ByHand => {
                town.by_hand(0, Some(1), Hand::In(3));
                town.tell_gates();
                if let Some(card) = ticket(town, 0) {
                    town.by_hand(1, Some(1), Hand::Over(card));
                    town.visit(0, 1, (card, 1), None);
                }
                town.tell_gates();
            }
            Self::LostGate => {
                town.declare_lost(0);
                town.replace_gate(0);
                town.update_gate_plain(1);
            }
            Self::GateNumber => {
                town.declare_lost(0);
                town.replace_by_number(0);
                town.replace_by_number(0);
                town.update_gate_plain(1);
            }
            Self::Relay => {
                town.tell_gates();
                town.tell_gates();
                // Who came in at the lost gate does not come in again at the one in its place.
                if let Some(card) = ticket(town, 0) {
                    town.visit(0, 4, (card, 1), None);
                }
            }
            Self::TicketNumber => {
                // For free seating, and for a seat.
                for (slip, seated) in [false, true].into_iter().enumerate() {
                    if town.booth.as_ref().is_some_and(|booth| booth.slips.len() == slip) {
                        town.print_tickets(seated, &Numbering::Count(1));
                    }
                    town.sell_ticket(slip);
                    town.take_ticket(0, slip);
                    town.wake_person(0);
                }
            }
            Self::WaitList => {
                town.wait_for(0, FESTIVAL);
                town.wake_person(0);
                for (number, _) in town.open_purchases(1) {
                    town.cancel_purchase(1, number);
                }
                town.wait(2);
                town.update_wallet_plain(0);
                town.wake_person(0);
                for (number, _) in town.open_purchases(0) {
                    town.pay_purchase_plain(0, number);
                }
                town.wait(2);
                ask_purchases(town);
            }
            Self::Settle => settle(town),
            Self::PayoutBack => {
                if let Some(settling) = &mut town.settling {
                    settling.bank.give_back();
                }
                town.end_bank_day();
                town.tell();
                settle(town);
            }
            Self::CreditClose => {
                let now = town.now(0);
                town.close_open(0, now);
                town.wake_till(0);
                town.update_till_plain(0);
                town.wait(2);
                ask_wallet(town);
            }
        }
    }
=======
>>>>>>> a569544052a39a0cd5b01719da3abf2fa6c33e31
}

//! How the conversations of the fault matrix go: what must have been so before each, and what people do in it.

use super::Conversation;
use super::lines::{call_repriced, call_through_trunks, surf};
use super::steps::{
    FESTIVAL, answer, ask_number, ask_purchases, ask_till, ask_wallet, buy, call, call_by_units, call_meanwhile,
    code_then_touches, codes_alone, comes_back, enter, hand_over, lose, pass_by, plan_anew, put_back, reconcile,
    reissue, ring, sell_out, send, settle, ticket, write_and_read,
};
use crate::act::Ringer;
use crate::dial::{Ends, Spoken};
use crate::fault::FrameFault;
use crate::tap::Plan;
use crate::template::{ARTICLES, LIST_AGE, RECORD_AGE, UNITS_ARTICLE};
use crate::town::Town;
use tegata_core::Time;
use tegata_core::talk::enter::StaffRole;
use tegata_core::talk::pay::ClaimState;
use tegata_gate::Hand;
use tegata_issuer::Numbering;
use tegata_processor::bank::TestCard;

impl Conversation {
    /// What must have been so before.
    pub(super) fn prepare(self, town: &mut Town) {
        if self.by_credit() {
            self.go_before(town);
            if self.at_gates() {
                // The second sort has numbered seats.
                let sort = if self == Self::MoveSeats { 2 } else { 1 };
                buy(town, ARTICLES.len() as u64 + sort, None);
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
            if self == Self::PutBack {
                put_back(town);
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
            if self == Self::GiveBackUnits {
                buy(town, UNITS_ARTICLE, None);
                call_by_units(town);
                town.crossed = 0;
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
            if self.settles() {
                town.agree_with_all();
            }
            if self.parks().is_some() {
                // So that something waits for the update.
                call(town, (Some(20_000), Ends::Stop), None);
                town.crossed = 0;
            }
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
    /// What it follows by credit, one after the other.
    fn go_before(self, town: &mut Town) {
        if let Some(before) = self.after() {
            before.go_before(town);
            before.run(town, &Plan::PLAIN);
        }
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
            Self::GiveBack | Self::GiveBackUnits => {
                let units = self == Self::GiveBackUnits;
                let card = if units { town.units_card(0) } else { town.card(0) };
                if let Some(card) = card {
                    town.give_back(0, card);
                }
                town.update_wallet_plain(0);
                town.wait(LIST_AGE + RECORD_AGE + 60);
                town.update_wallet_plain(0);
            }
            Self::GiveBackTicket => {
                if let Some(card) = ticket(town, 0) {
                    town.give_back(0, card);
                    town.wake_person(0);
                }
                town.update_wallet_plain(0);
                town.wake_person(0);
                town.update_gate_plain(0);
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
            Self::EnterByCode => code_then_touches(town, plan.fault),
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
            Self::NeverRegistered => comes_back(town, false, plan.fault),
            Self::NeverTaken => comes_back(town, true, None),
            Self::InstallAnew => reissue(town, (1, 0)),
            Self::AnswerChange => {
                town.change_once(false);
                town.update_wallet_plain(0);
                town.wake_person(0);
                answer(town, true);
                town.update_wallet_plain(0);
            }
            Self::MoveSeats => {
                town.move_once();
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
            Self::PlanAnew => plan_anew(town),
            Self::PutBack => {
                reconcile(town);
                buy(town, FESTIVAL, None);
                town.wake_person(0);
                pass_by(town, 2);
                pass_by(town, 1);
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
            Self::CallUpdating => call_meanwhile(town, false, plan.fault),
            Self::CallBlocked => call_meanwhile(town, true, plan.fault),
            Self::CallRepriced => call_repriced(town, plan.fault),
            Self::CallThroughTrunks => call_through_trunks(town, plan.fault),
            Self::Surf => surf(town, (90_000, Ends::Stop), plan.fault),
            Self::SurfToTheEnd => surf(town, (30 * 60_000, Ends::Stop), plan.fault),
            Self::SurfStopped => surf(town, (70_000, Ends::Called), plan.fault),
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
                town.by_hand(2, Some(1), Hand::Out(2));
                town.tell_gates();
                if let Some(card) = ticket(town, 0) {
                    town.by_hand(1, Some(1), Hand::Over(card));
                    town.visit(0, 1, (card, 1), None);
                }
                town.tell_gates();
            }
            Self::CodesAlone => codes_alone(town),
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
}

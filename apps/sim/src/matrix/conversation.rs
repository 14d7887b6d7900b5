//! The conversations of the fault matrix, and what each needs. How they go is in `play.rs`.

use super::steps::RINGS;

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
    /// A telephone card of call units is given back after a call, and what is left of them is paid back at its share.
    GiveBackUnits,
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
    /// Seats are moved, and their holder answers.
    MoveSeats,
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
    pub const ALL: [Self; 57] = [
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
        Self::GiveBackUnits,
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
        Self::MoveSeats,
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
            Self::GiveBackUnits => "give back units, refund",
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
            Self::MoveSeats => "change, seats moved, answer",
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
            Self::CreditTap | Self::BuyCard | Self::BuyLater | Self::BuyCancel | Self::GiveBackUnits => {
                Some(&[Self::RegisterCard])
            }
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
        buys || self == Self::GiveBackUnits || self.at_gates()
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
        matches!(self, Self::AnswerChange | Self::MoveSeats | Self::CancelEvent) || self.follows_change()
    }
    /// Whether another change was told before.
    pub(super) fn follows_change(self) -> bool {
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
                | Self::GiveBackUnits
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
}

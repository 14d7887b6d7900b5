//! The conversations of the fault matrix: a row says of each what it is, its name, and what it needs. How they go is in `play.rs`.

use super::steps::RINGS;
use Need::{
    After, Booth, Calls, Changed, Changes, Credit, Event, Giving, Letters, Losing, Parks, Queue, Rings, Settling, Shop,
    Staff,
};

/// What a conversation needs in its town.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Payments by credit.
    Credit,
    /// The same, and this one by credit is over.
    After(Conversation),
    /// An issuer that sells over the network.
    Shop,
    /// People and merchants who write.
    Letters,
    /// Contracts, and a bank that pays.
    Settling,
    /// An event, whose tickets are bought by credit.
    Event,
    /// The same, and tickets are sold by number.
    Booth,
    /// An event, and people who wait for tickets.
    Queue,
    /// An event with staff at its gates.
    Staff,
    /// An event, of which a gate is lost.
    Losing,
    /// An event whose tickets are given on.
    Giving,
    /// An event that its promoter changes.
    Changes,
    /// The same, and another change was told before.
    Changed,
    /// Somebody who calls.
    Calls,
    /// The same, while an update of the switch is parked that can be answered after so many frames of the call, at the earliest.
    Parks(usize),
    /// Merchants and users who call each other by numbers.
    Rings,
}

/// One row, one conversation: what it is, its name in the table, what it needs.
macro_rules! conversations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal [$($need:expr),*];)*) => {
        /// The conversations of the matrix.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Conversation { $($(#[$doc])* $variant,)* }
        impl Conversation {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// As the table names it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
            fn needs(self) -> &'static [Need] {
                match self { $(Self::$variant => &[$($need),*],)* }
            }
        }
    };
}

conversations! {
    /// A card is installed by a number.
    Install = "install" [];
    /// A card is loaded by a number, and updated.
    Load = "load" [];
    /// A first tap of two that do not know each other.
    FirstTap = "first tap" [];
    /// A tap of two that know each other.
    Tap = "tap" [];
    /// A charge is closed whose check was lost, and the wallet comes back.
    Close = "close" [];
    /// A payment is undone, and the wallet learns of it.
    Void = "void" [];
    /// A wallet updates after paying.
    UpdateWallet = "update (wallet)" [];
    /// A terminal updates after being paid.
    UpdateTerminal = "update (terminal)" [];
    /// A bank card is registered.
    RegisterCard = "register a bank card" [Credit];
    /// A tap that pays by credit.
    CreditTap = "credit: tap" [After(Self::RegisterCard)];
    /// Both lines ask, and the bank authorizes.
    CreditAuthorize = "credit: authorize" [After(Self::CreditTap)];
    /// The terminal takes what was authorized, and hands over the goods.
    CreditClear = "credit: clear" [After(Self::CreditAuthorize)];
    /// The receipts of merchant and user.
    CreditReceipt = "credit: receipts" [After(Self::CreditClear)];
    /// A charge is closed that was authorized.
    CreditClose = "credit: close" [After(Self::CreditAuthorize)];
    /// A card is reserved, paid by credit and delivered.
    BuyCard = "buy a card" [Shop, After(Self::RegisterCard)];
    /// A card is topped up by credit.
    BuyTopUp = "buy a top-up" [Shop, After(Self::BuyCard)];
    /// A card is delivered with a temporary receipt, and captured later.
    BuyLater = "buy, captured later" [Shop, After(Self::RegisterCard)];
    /// What is reserved is given up.
    BuyCancel = "reserve and give up" [Shop, After(Self::RegisterCard)];
    /// A card is given back, and paid back when it is due.
    GiveBack = "give back, refund" [Shop, After(Self::BuyCard)];
    /// A telephone card of call units is given back after a call, and what is left of them is paid back at its share.
    GiveBackUnits = "give back units, refund" [Shop, Calls, After(Self::RegisterCard)];
    /// A ticket is given back, gates hear of it, and it is paid back when it is due.
    GiveBackTicket = "give a ticket back, refund" [Event];
    /// A merchant writes to a customer number, and the user reads it.
    LetterToCustomer = "letter to a customer" [Letters, After(Self::CreditReceipt)];
    /// A user asks about a receipt of a card, the merchant reads and answers, the user reads that.
    LetterAbout = "letter about a receipt" [Letters];
    /// A user mutes a merchant, which writes in vain, and hears it again.
    LetterMuted = "letter of a muted" [Letters];
    /// A period is settled, ordered from the bank, paid, and told by a statement.
    Settle = "settle and pay out" [Settling];
    /// A payout comes back, and is settled, ordered and paid again.
    PayoutBack = "payout that comes back" [Settling];
    /// A ticket comes in at a gate.
    Enter = "enter" [Event];
    /// It goes out, and comes in again elsewhere.
    Leave = "leave, enter elsewhere" [Event];
    /// A ticket comes in by a code before a camera, goes out by a touch, and comes in again elsewhere by a touch.
    EnterByCode = "enter by a code, leave" [Event];
    /// A gate hears from its neighbours whom they have let in.
    GatePage = "page between gates" [Event];
    /// A gate brings up its log, and hears what has changed.
    UpdateGate = "update (gate)" [Event];
    /// A ticket is handed to another wallet, which registers it.
    GiveTicket = "give a ticket" [Giving];
    /// A ticket is taken from another wallet, and registered.
    TakeTicket = "take a ticket" [Giving];
    /// A ticket is locked to the provider, and another wallet takes it by the number.
    GiftTicket = "give by a number" [Giving];
    /// A ticket that another wallet has sent is taken by its number.
    TakeGift = "take by a number" [Giving];
    /// A ticket is handed to another wallet, which never registers it, and comes back.
    NeverRegistered = "give, never registered" [Giving];
    /// A ticket is locked to the provider, nobody takes it by the number, and it comes back.
    NeverTaken = "give by a number, never taken" [Giving];
    /// A ticket whose wallet was lost is installed anew.
    InstallAnew = "lose, install anew" [Giving];
    /// An event is changed, and its holder answers.
    AnswerChange = "change, answer" [Changes];
    /// Seats are moved, and their holder answers.
    MoveSeats = "change, seats moved, answer" [Changes];
    /// An event is cancelled, and its holder is paid back.
    CancelEvent = "cancel, refund" [Changes];
    /// A change is changed again before its holder has answered, which answers both.
    ChangeAgain = "change again, answer" [Changed];
    /// A change is cancelled while its holder answers, and is paid back.
    CancelChange = "cancel while it is changed" [Changed];
    /// The promoter plans its event anew and sells one sort of ticket more, while somebody buys, and gates hear of it.
    PlanAnew = "plan anew, sell more" [Event];
    /// A provider that was put back from a backup is told so by a wallet and a gate, waits, and sells when its operator has compared.
    PutBack = "provider put back, compared" [Booth];
    /// A call of some minutes, until the user hangs up.
    Call = "call" [Calls];
    /// A call that whoever was called ends.
    CallCalled = "call, the called hangs up" [Calls];
    /// Nobody answers.
    CallUnanswered = "call, nobody answers" [Calls];
    /// A call until the card is empty.
    CallToTheEnd = "call until the card ends" [Calls];
    /// A call that both vanish from; what it cost, as the provider hears of it.
    CallSettled = "call, cut off, settled" [Calls];
    /// A call in units shorter than a second, paid link by link.
    CallByLinks = "call, paid by links" [Calls];
    /// A call while an update of the switch waits for its answer.
    CallUpdating = "call, the switch updates" [Parks(0)];
    /// The same, and the card is blocked when it rings: the answer says so.
    CallBlocked = "call, its card is blocked" [Parks(RINGS)];
    /// A call, and its tariff changes meanwhile: the agreed one holds.
    CallRepriced = "call, its tariff changes" [Parks(RINGS)];
    /// Calls through trunks of an operator and of nobody, settled and paid out.
    CallThroughTrunks = "calls through trunks" [Calls, Settling];
    /// A way to the network, until the user closes it.
    Surf = "surf" [Calls];
    /// A way to the network, until what may be spent is over.
    SurfToTheEnd = "surf to the end" [Calls];
    /// A way to the network whose hotspot is stopped.
    SurfStopped = "surf, the hotspot stops" [Calls];
    /// Both sides say where they are called, ask for numbers, and each is called.
    CallByNumber = "call by a number" [Rings];
    /// A user mutes a merchant that has a number, and that one and a new one ring nowhere; then one does again.
    CallMuted = "call of a muted" [Rings];
    /// The promoter takes somebody on and lets somebody go, and gates hear of it.
    StaffOrder = "staff comes and goes" [Staff];
    /// People are counted in and out by hand, and an entry is ended; neighbours hear of it, and the ticket comes in again.
    ByHand = "count by hand" [Staff];
    /// A ticket comes in by codes alone, is let out by hand, and comes in on another day; its holder says so each time.
    CodesAlone = "enter by codes alone" [Staff];
    /// A gate is lost, declared lost and replaced.
    LostGate = "lost gate, replaced" [Losing];
    /// A gate is lost, and a new one that joins by a number takes its place.
    GateNumber = "new gate, by a number" [Losing];
    /// Gates tell on what they have heard of a lost one.
    Relay = "pages of a lost gate" [Losing];
    /// A ticket is printed with a number, sold over a counter, and typed in; then one for a numbered seat.
    TicketNumber = "ticket by a number" [Booth];
    /// A wallet waits for a ticket, which another one lets go, hears of it and pays.
    WaitList = "waiting list" [Queue];
}

impl Conversation {
    fn has(self, need: Need) -> bool {
        self.needs().contains(&need)
    }
    /// The conversation by credit that must be over before this one.
    pub(super) fn after(self) -> Option<Self> {
        let named = self.needs().iter().find_map(|need| match need {
            After(before) => Some(*before),
            _ => None,
        });
        named.or(self.at_gates().then_some(Self::RegisterCard))
    }
    /// Whether it is about credit.
    pub(super) fn by_credit(self) -> bool {
        self.has(Credit) || self.after().is_some()
    }
    /// Whether the issuer must sell over the network.
    pub(super) fn buys(self) -> bool {
        self.has(Shop) || self.at_gates()
    }
    /// Whether there is an event.
    pub(super) fn at_gates(self) -> bool {
        let sold = self.has(Event) || self.numbers() || self.queues();
        sold || self.gives() || self.changes() || self.by_staff() || self.loses()
    }
    /// Whether tickets are sold by number.
    pub(super) fn numbers(self) -> bool {
        self.has(Booth)
    }
    /// Whether people wait for tickets.
    pub(super) fn queues(self) -> bool {
        self.has(Queue)
    }
    /// Whether a gate is lost.
    pub(super) fn loses(self) -> bool {
        self.has(Losing)
    }
    /// Whether there is staff at the gates.
    pub(super) fn by_staff(self) -> bool {
        self.has(Staff)
    }
    /// Whether tickets are given on.
    pub(super) fn gives(self) -> bool {
        self.has(Giving)
    }
    /// Whether the promoter changes its event.
    pub(super) fn changes(self) -> bool {
        self.has(Changes) || self.follows_change()
    }
    /// Whether another change was told before.
    pub(super) fn follows_change(self) -> bool {
        self.has(Changed)
    }
    /// Whether merchants and users call each other by numbers.
    pub(super) fn rings(self) -> bool {
        self.has(Rings)
    }
    /// Whether somebody calls.
    pub(super) fn calls(self) -> bool {
        self.has(Calls) || self.rings() || self.parks().is_some()
    }
    /// After how many frames of the call a parked update of the switch can be answered, at the earliest; `None`: none is parked.
    pub(super) fn parks(self) -> Option<usize> {
        self.needs().iter().find_map(|need| match need {
            Parks(from) => Some(*from),
            _ => None,
        })
    }
    /// Whether people and merchants write.
    pub(super) fn writes(self) -> bool {
        self.has(Letters) || self.rings()
    }
    /// Whether there are contracts, and a bank that pays.
    pub(super) fn settles(self) -> bool {
        self.has(Settling)
    }
}

//! The provider's line to the processor: what was put down for it goes out sealed, what comes back is taken up; between them a
//! network that loses, repeats, delays and changes envelopes, and crashes of either.

use crate::clearing::Clearing;
use crate::dice::{Dice, flip};
use crate::fault::NetFault;
use crate::post::Center;
use crate::template::START;
use crate::trouble::{NetPlan, Trouble};
use std::collections::BTreeMap;
use tegata_core::talk::buy::Listing;
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Signed;
use tegata_core::{RequestNumber, Time};
use tegata_crypto_native::Channel;
use tegata_processor::Ticket;
use tegata_provider::Answered;

/// How long an envelope is on its way, in milliseconds.
const WAY: u64 = 10;
/// How late a late envelope is, at least and at most, in milliseconds.
const LATE: (u64, u64) = (1_000, 90_000);
/// How long an answer is waited for, as the provider does.
const ANSWER: u64 = 60_000;
/// How often the provider looks for what is due, in milliseconds: at first, and at most where nothing moves.
const LOOK: (u64, u64) = (1_000, 3_600_000);

/// A request on its way.
struct Outstanding {
    number: RequestNumber,
    sealed: Sealed,
    channel: Channel,
    fault: Option<NetFault>,
    until: u64,
}

/// An envelope on its way.
struct Flying {
    at: u64,
    ticket: Ticket,
    bytes: Vec<u8>,
    fault: Option<NetFault>,
}

/// The provider's line to the processor, and what lies behind it.
pub struct Courier {
    /// The processor and its bank.
    pub clearing: Clearing,
    /// What goes wrong on the way there and back.
    pub trouble: Trouble,
    dice: Dice,
    /// What the processor knows the provider by since it answered last.
    channel: Option<Channel>,
    waiting: BTreeMap<Ticket, Outstanding>,
    there: Vec<Flying>,
    back: Vec<Flying>,
    tickets: Ticket,
    look: u64,
    pause: u64,
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
    revokes: bool,
}

impl Courier {
    /// A line to this processor.
    pub fn new(clearing: Clearing, dice: Dice) -> Self {
        let look = clearing.ms();
        Self {
            clearing,
            trouble: Trouble::new(&NetFault::LINE),
            dice,
            channel: None,
            waiting: BTreeMap::new(),
            there: Vec::new(),
            back: Vec::new(),
            tickets: 0,
            look,
            pause: LOOK.0,
            requests: Vec::new(),
            replies: Vec::new(),
            revokes: false,
        }
    }
    /// Faults that happened, here and at the bank.
    pub fn faults(&self) -> u64 {
        self.trouble.faults + self.clearing.trouble.faults
    }
    /// Nothing goes wrong any more, here and at the bank.
    pub fn settle(&mut self) {
        self.trouble.plan(NetPlan::Never);
        self.clearing.settle();
    }
    /// The provider's process ended: nobody waits for what is still on its way.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.channel = None;
        self.look = self.clearing.ms();
        self.pause = LOOK.0;
    }
    fn is_flying(&self, number: RequestNumber) -> bool {
        self.waiting.values().any(|waiting| waiting.number == number)
    }
    /// A request leaves; whether the provider dies of it.
    fn send(&mut self, request: &tegata_provider::ToProcessor, notes: &mut Vec<String>) -> bool {
        let ms = self.clearing.ms();
        let entropy = self.dice.entropy();
        let Ok((sealed, channel)) = request.seal(self.channel.as_ref(), entropy) else {
            return false;
        };
        self.tickets += 1;
        let (ticket, fault) = (self.tickets, self.trouble.meets(&mut self.dice));
        if let Some(fault) = fault {
            notes.push(format!("processor: {}", fault.name()));
        }
        self.revokes |= fault == Some(NetFault::Revoked);
        let mut bytes = sealed.to_bytes();
        let outstanding = Outstanding { number: request.number, sealed, channel, fault, until: ms + ANSWER };
        self.waiting.insert(ticket, outstanding);
        if self.requests.len() < 32 {
            self.requests.push(bytes.clone());
        }
        let mut at = ms + WAY;
        let mut stray = |bytes: Vec<u8>| self.there.push(Flying { at, ticket: 0, bytes, fault: None });
        match fault {
            Some(NetFault::LoseRequest) => return false,
            Some(NetFault::Duplicate) => stray(bytes.clone()),
            Some(NetFault::Replay) => {
                let older = self.requests.get(self.dice.index(self.requests.len()));
                older.cloned().into_iter().for_each(stray);
            }
            Some(NetFault::Delay) => at += self.dice.within(LATE.0, LATE.1),
            Some(NetFault::CorruptRequest) => flip(&mut bytes, &mut self.dice),
            _ => {}
        }
        let theirs =
            matches!(fault, Some(NetFault::CrashBefore | NetFault::CrashAfter | NetFault::CrashAmid | NetFault::Full));
        self.there.push(Flying { at, ticket, bytes, fault: fault.filter(|_| theirs) });
        fault == Some(NetFault::AskerCrash)
    }
    /// What the processor answered leaves for the provider.
    fn carry_back(&mut self) {
        let ms = self.clearing.ms();
        if self.clearing.take_crashed() {
            // Connections end with the processor; what is on its way to the provider arrives.
            let arriving: Vec<Ticket> = self.back.iter().chain(&self.there).map(|flying| flying.ticket).collect();
            self.waiting.retain(|ticket, _| arriving.contains(ticket));
        }
        for (ticket, mut bytes) in self.clearing.take_replies() {
            let Some(fault) = self.waiting.get(&ticket).map(|waiting| waiting.fault) else {
                continue;
            };
            if self.replies.len() < 32 {
                self.replies.push(bytes.clone());
            }
            let mut at = ms + WAY;
            match fault {
                Some(NetFault::LoseReply) => continue,
                Some(NetFault::DelayReply) => at += self.dice.within(LATE.0, LATE.1),
                Some(NetFault::CorruptReply) => flip(&mut bytes, &mut self.dice),
                Some(NetFault::StaleReply) => {
                    if let Some(older) = self.replies.get(self.dice.index(self.replies.len())) {
                        bytes = older.clone();
                    }
                }
                _ => {}
            }
            self.back.push(Flying { at, ticket, bytes, fault });
        }
    }
    /// When something happens next, in milliseconds.
    fn next(&self) -> u64 {
        let flying = self.there.iter().chain(&self.back).map(|flying| flying.at).min();
        let given_up = self.waiting.values().map(|waiting| waiting.until).min();
        let all = [flying, given_up, self.clearing.next(), Some(self.look)];
        all.into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// Takes out what is due.
fn due(all: &mut Vec<Flying>, ms: u64) -> Vec<Flying> {
    let (due, still) = std::mem::take(all).into_iter().partition(|flying| flying.at <= ms);
    *all = still;
    due
}

impl Center {
    /// Time passes until this moment: provider, processor and bank go on with each other.
    pub fn pass(&mut self, until: Time) {
        if let Some(mut courier) = self.courier.take() {
            let goal = until.since(START) * 1000;
            let mut at = courier.clearing.ms();
            if courier.look == u64::MAX && self.is_owing() {
                // Something came since that does not ask for the processor at once.
                (courier.look, courier.pause) = (at + LOOK.0, LOOK.0);
            }
            courier.look = courier.look.min(self.next_end(at));
            loop {
                self.now = START.after(at / 1000);
                self.step(&mut courier, at);
                at = courier.next().max(courier.clearing.ms() + 1).min(goal);
                if courier.clearing.ms() >= goal {
                    break;
                }
            }
            self.notes.append(&mut courier.clearing.notes);
            self.courier = Some(courier);
        }
        self.now = until;
    }
    /// Everything that is due at this moment.
    fn step(&mut self, courier: &mut Courier, ms: u64) {
        courier.clearing.step(ms);
        courier.carry_back();
        for Flying { ticket, bytes, fault, .. } in due(&mut courier.there, ms) {
            courier.clearing.message(ticket, &bytes, fault);
            courier.carry_back();
        }
        for Flying { ticket, bytes, fault, .. } in due(&mut courier.back, ms) {
            self.answered(courier, ticket, &bytes, fault);
        }
        courier.waiting.retain(|_, waiting| waiting.until > ms);
        if self.provider().is_some_and(|provider| provider.is_asking()) {
            (courier.look, courier.pause) = (ms, LOOK.0);
        }
        if courier.look <= ms {
            self.ask(courier);
            courier.look = if self.is_owing() { ms + courier.pause } else { self.next_end(ms + courier.pause) };
            courier.pause = (courier.pause * 2).min(LOOK.1);
        }
    }
    /// Whether anything is open that the provider looks at from time to time.
    fn is_owing(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM asked WHERE due IS NOT NULL) \
                   OR EXISTS (SELECT 1 FROM credit WHERE ended IS NULL)";
        let owes = self.store().ok().map(|store| store.connection().query_row(sql, [], |row| row.get::<_, bool>(0)));
        owes.and_then(Result::ok).unwrap_or(true)
    }
    /// When a reservation runs out or a card given back is paid back next, in milliseconds and not before this moment.
    fn next_end(&self, least: u64) -> u64 {
        if self.is_waited_for() {
            return least;
        }
        let sql = "SELECT min(at) FROM (SELECT min(expires) AS at FROM purchase WHERE state = 1 \
                   UNION ALL SELECT min(due) FROM surrender WHERE asked IS NULL)";
        let next = self.store().ok().map(|store| store.connection().query_row(sql, [], |row| row.get(0)));
        let next = next.and_then(Result::ok).flatten();
        next.map_or(u64::MAX, |at: i64| (Time(at.unsigned_abs()).since(START) * 1000).max(least))
    }
    /// Whether something has become free that somebody waits for.
    fn is_waited_for(&self) -> bool {
        let Ok(store) = self.store() else {
            return false;
        };
        let free = |(issuer, article)| {
            let row = store.article(issuer, article).ok()??;
            let stock = Signed::<Listing>::decode(&row.body).ok()?.claimed().stock;
            (row.taken < stock).then_some(())
        };
        store.waited_for().unwrap_or_default().into_iter().any(|article| free(article).is_some())
    }
    /// The provider says what is due, and it leaves.
    fn ask(&mut self, courier: &mut Courier) {
        let (now, entropy) = (self.now, courier.dice.entropy());
        let Some(asked) = self.provider().map(|provider| provider.to_processor(now, entropy)) else {
            return;
        };
        let due = match asked {
            Ok(due) => due,
            Err(error) => return self.broke(format!("the provider cannot say what is due: {error}")),
        };
        for request in due {
            if !courier.is_flying(request.number) && courier.send(&request, &mut self.notes) {
                self.crash();
                return courier.forget();
            }
            if std::mem::take(&mut courier.revokes) {
                return self.revoke_processor();
            }
        }
    }
    /// An envelope came back to the provider.
    fn answered(&mut self, courier: &mut Courier, ticket: Ticket, bytes: &[u8], fault: Option<NetFault>) {
        let Some(waiting) = courier.waiting.remove(&ticket) else {
            return;
        };
        if fault == Some(NetFault::AskerCrashBefore) {
            self.crash();
            return courier.forget();
        }
        let reply = Sealed::from_bytes(bytes).ok();
        let Some(answer) = reply.and_then(|reply| waiting.channel.open_reply(&waiting.sealed, &reply).ok()) else {
            // Changed on the way, or the processor has forgotten the channel: the next one goes by HPKE.
            courier.channel = None;
            return;
        };
        courier.channel = Some(waiting.channel);
        let answers = [Answered { number: waiting.number, answer }];
        let (now, entropy) = (self.now, courier.dice.entropy());
        if let Some(Err(error)) = self.provider().map(|provider| provider.from_processor(&answers, now, entropy)) {
            self.broke(format!("the provider cannot take an answer up: {error}"));
        }
        if fault == Some(NetFault::AskerCrashAfter) {
            self.crash();
            courier.forget();
        }
    }
    /// Something that no fault of the town explains.
    fn broke(&mut self, what: String) {
        self.notes.push(what.clone());
        self.broken_down.push(what);
    }
}

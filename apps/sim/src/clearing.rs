//! The processor and its bank, and the line between them: the real ones, with a clock of milliseconds that the town moves.
//!
//! Whoever asks the processor gives an envelope with a ticket ([`Clearing::message`]) and finds what it answered among
//! [`Clearing::take_replies`]; nobody sees more of it. What goes wrong with a message to the bank and its answer, and when the
//! processor dies, is [`Clearing::trouble`].

use crate::dice::Dice;
use crate::fault::NetFault;
use crate::template::START;
use crate::trouble::Trouble;
use tegata_core::talk::credit::ProcessorInfo;
use tegata_core::wire::signed::PublicKey;
use tegata_core::{PartyId, Time};
use tegata_iso8583::AcquirerId;
use tegata_processor::bank::Bank;
use tegata_processor::{Effect, Keys, LineConfig, LineEvent, Now, Prepared, Processor, Store, Ticket, Work};
use zeroize::Zeroizing;

/// How long a frame is on its way, in milliseconds.
const WAY: u64 = 10;
/// How late a late frame is, at least and at most, in milliseconds: around the time-out and far beyond.
const LATE: (u64, u64) = (5_000, 120_000);
/// How long a dead bank is dead, at least and at most, in milliseconds.
const DEAD: (u64, u64) = (1_000, 200_000);

/// A frame on its way, and what goes wrong with it or its answer.
struct Flying {
    at: u64,
    body: Zeroizing<Vec<u8>>,
    fault: Option<NetFault>,
}

/// The processor and its bank.
pub struct Clearing {
    processor: Option<Processor>,
    keys: [u8; 32],
    /// The bank's books.
    pub bank: Bank,
    /// What goes wrong on the bank's line.
    pub trouble: Trouble,
    /// What happened, if anybody listens.
    pub notes: Vec<String>,
    dice: Dice,
    ms: u64,
    connected: bool,
    signed_on: bool,
    dead_until: u64,
    events: Vec<LineEvent>,
    to_bank: Vec<Flying>,
    to_processor: Vec<Flying>,
    asked: Vec<Zeroizing<Vec<u8>>>,
    answered: Vec<Zeroizing<Vec<u8>>>,
    replies: Vec<(Ticket, Vec<u8>)>,
    waiting: usize,
    crashed: bool,
}

fn config() -> Result<LineConfig, String> {
    AcquirerId::new("00456").map(LineConfig::new).ok_or_else(|| "an acquirer code".to_owned())
}

impl Clearing {
    /// A processor over this database, with keys from this entropy, at this moment.
    ///
    /// # Errors
    /// It did not open: in words.
    pub fn new(store: Store, keys: [u8; 32], now: Time, dice: Dice) -> Result<Self, String> {
        let ms = now.since(START) * 1000;
        let mut clearing = Self {
            processor: None,
            keys,
            // As late as its late answers may be: long after the time-out.
            bank: Bank::new(30_000),
            trouble: Trouble::new(&NetFault::LINE),
            notes: Vec::new(),
            dice,
            ms,
            connected: false,
            signed_on: false,
            dead_until: 0,
            events: Vec::new(),
            to_bank: Vec::new(),
            to_processor: Vec::new(),
            asked: Vec::new(),
            answered: Vec::new(),
            replies: Vec::new(),
            waiting: 0,
            crashed: false,
        };
        clearing.open(store)?;
        Ok(clearing)
    }
    fn open(&mut self, store: Store) -> Result<(), String> {
        let (now, entropy) = (self.now(), self.dice.entropy());
        let opened = Processor::open(store, Keys::new(self.keys), "Clearing House", config()?, now, entropy);
        self.processor = Some(opened.map_err(|error| error.to_string())?);
        Ok(())
    }
    /// The processor, for readers; `None` if it could not be opened again, which is a failure of its own.
    pub fn processor(&self) -> Option<&Processor> {
        self.processor.as_ref()
    }
    /// What it publishes of itself.
    pub fn info(&self) -> Option<ProcessorInfo> {
        self.processor().map(|processor| processor.info().clone())
    }
    /// Lets a provider ask.
    ///
    /// # Errors
    /// In words.
    pub fn admit(&mut self, party: PartyId, key: PublicKey) -> Result<(), String> {
        let now = self.now();
        let processor = self.processor.as_mut().ok_or("no processor")?;
        processor.admit(party, key, "Town", now).map_err(|error| error.to_string())
    }
    /// A copy of the processor's database.
    ///
    /// # Errors
    /// In words.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, String> {
        self.processor.as_mut().ok_or("no processor")?.snapshot().map_err(|error| error.to_string())
    }
    /// The moment, in milliseconds since the town's first.
    pub fn ms(&self) -> u64 {
        self.ms
    }
    fn now(&self) -> Now {
        Now { time: START.after(self.ms / 1000), ms: self.ms }
    }

    /// A message came, as bytes.
    pub fn message(&mut self, ticket: Ticket, bytes: &[u8], fault: Option<NetFault>) {
        let Some(processor) = &self.processor else {
            return;
        };
        let prepared = Box::new(Prepared::new(&processor.shared(), bytes));
        self.waiting += 1;
        self.turn(vec![Work::Message(ticket, prepared)], fault);
    }
    /// What it answered since this was last asked.
    pub fn take_replies(&mut self) -> Vec<(Ticket, Vec<u8>)> {
        std::mem::take(&mut self.replies)
    }
    /// Whether it died since this was last asked: who waited for an answer waits in vain.
    pub fn take_crashed(&mut self) -> bool {
        std::mem::take(&mut self.crashed)
    }
    /// The process ends and starts again; what it had not committed is gone, what is on its way to the bank gets there.
    pub fn crash(&mut self) {
        let Some(processor) = self.processor.take() else {
            return;
        };
        self.hang_up();
        self.events.clear();
        self.replies.clear();
        self.waiting = 0;
        self.crashed = true;
        if let Err(why) = self.open(processor.crash()) {
            self.notes.push(format!("the processor does not open again: {why}"));
        }
    }
    /// The line comes to rest: nothing is dead any more.
    pub fn settle(&mut self) {
        self.trouble.plan(crate::trouble::NetPlan::Never);
        self.dead_until = 0;
    }

    /// One turn of the processor, in which this goes wrong.
    fn turn(&mut self, works: Vec<Work>, fault: Option<NetFault>) {
        if matches!(fault, Some(NetFault::CrashBefore)) {
            return self.crash();
        }
        let (now, entropy) = (self.now(), self.dice.entropy());
        let Some(processor) = self.processor.as_mut() else {
            return;
        };
        let full = |processor: &Processor, pages: u32| {
            // Below what is there it means: no more than that.
            drop(processor.store().connection().execute_batch(&format!("PRAGMA max_page_count = {pages}")));
        };
        if fault == Some(NetFault::Full) {
            full(processor, 1);
        }
        let effects = processor.turn(works, now, entropy);
        if fault == Some(NetFault::Full) {
            full(processor, u32::MAX - 1);
        }
        let leave = match fault {
            Some(NetFault::CrashAfter) => 0,
            Some(NetFault::CrashAmid) => effects.len().div_ceil(2),
            _ => usize::MAX,
        };
        let mut dies = false;
        for effect in effects.into_iter().take(leave) {
            dies |= self.carry_out(effect);
        }
        if dies || leave != usize::MAX {
            self.crash();
        }
    }
    /// Whether the processor dies of it.
    fn carry_out(&mut self, effect: Effect) -> bool {
        match effect {
            Effect::Connect => {
                self.hang_up();
                self.connected = self.ms >= self.dead_until;
                self.events.push(if self.connected { LineEvent::Connected } else { LineEvent::Lost });
            }
            Effect::Close => self.hang_up(),
            Effect::Reply(ticket, bytes) => {
                self.waiting = self.waiting.saturating_sub(1);
                self.replies.push((ticket, bytes));
            }
            Effect::Send(body) => return self.connected && self.send(body),
        }
        false
    }
    fn hang_up(&mut self) {
        self.connected = false;
        self.signed_on = false;
        self.to_processor.clear();
    }
    fn die(&mut self) {
        self.hang_up();
        self.events.push(LineEvent::Lost);
        self.dead_until = self.ms + self.dice.within(DEAD.0, DEAD.1);
    }
    /// A body leaves for the bank; whether the processor dies of it.
    fn send(&mut self, body: Zeroizing<Vec<u8>>) -> bool {
        let fault = if is_money(&body) { self.trouble.meets(&mut self.dice) } else { None };
        if let Some(fault) = fault {
            self.notes.push(format!("bank: {}", fault.name()));
        }
        let mut flying = Flying { at: self.ms + WAY, body, fault };
        match fault {
            Some(NetFault::LoseRequest) => return false,
            Some(NetFault::CrashBefore) => {
                self.die();
                return false;
            }
            Some(NetFault::Delay) => flying.at += self.dice.within(LATE.0, LATE.1),
            Some(NetFault::CorruptRequest) => garble(&mut flying.body),
            Some(NetFault::Duplicate) => {
                self.to_bank.push(Flying { at: flying.at, body: flying.body.clone(), fault: None });
            }
            Some(NetFault::Replay) => {
                if let Some(older) = self.asked.get(self.dice.index(self.asked.len())) {
                    self.to_bank.push(Flying { at: flying.at, body: older.clone(), fault: None });
                }
            }
            _ => {}
        }
        if is_money(&flying.body) && self.asked.len() < 32 {
            self.asked.push(flying.body.clone());
        }
        self.to_bank.push(flying);
        fault == Some(NetFault::AskerCrash)
    }
    fn bank_takes(&mut self, Flying { body, fault, .. }: Flying) {
        // What was sent on a connection before this one was sent after its sign-on.
        let mut signed_on = self.signed_on || is_money(&body);
        let outs = self.bank.take(&body, &mut signed_on);
        self.signed_on = signed_on;
        for out in outs {
            let mut flying = Flying { at: self.ms + WAY + out.after, body: out.body, fault: None };
            match fault {
                Some(NetFault::LoseReply) => continue,
                Some(NetFault::CrashAfter) => return self.die(),
                Some(NetFault::CorruptReply) => garble(&mut flying.body),
                Some(NetFault::DelayReply) => flying.at += self.dice.within(LATE.0, LATE.1),
                Some(NetFault::StaleReply) => {
                    if let Some(older) = self.answered.get(self.dice.index(self.answered.len())) {
                        flying.body = older.clone();
                    }
                }
                Some(NetFault::AskerCrashBefore) => flying.fault = Some(NetFault::CrashBefore),
                Some(NetFault::AskerCrashAfter) => flying.fault = Some(NetFault::CrashAfter),
                Some(NetFault::CrashAmid) => flying.fault = Some(NetFault::CrashAmid),
                Some(NetFault::Full) => flying.fault = Some(NetFault::Full),
                _ => {}
            }
            if is_money(&flying.body) && self.answered.len() < 32 {
                self.answered.push(flying.body.clone());
            }
            if self.connected {
                self.to_processor.push(flying);
            }
        }
    }

    /// When something happens here next, in milliseconds; `None` while all is quiet, whatever time passes.
    pub fn next(&self) -> Option<u64> {
        let flying = self.to_bank.iter().chain(&self.to_processor).map(|flying| flying.at).min();
        let busy = self.processor().filter(|processor| {
            !self.events.is_empty() || self.waiting > 0 || processor.pursued() > 0 || !processor.line_is_open()
        });
        let wakes = if self.events.is_empty() { busy.map(Processor::wake_at) } else { Some(self.ms) };
        [flying, wakes].into_iter().flatten().min()
    }
    /// Everything that is due by this moment, which comes.
    pub fn step(&mut self, ms: u64) {
        self.ms = self.ms.max(ms);
        let ms = self.ms;
        let (due, still) = std::mem::take(&mut self.to_bank).into_iter().partition(|flying| flying.at <= ms);
        self.to_bank = still;
        let due: Vec<Flying> = due;
        due.into_iter().for_each(|flying| self.bank_takes(flying));
        let mut works: Vec<Work> = std::mem::take(&mut self.events).into_iter().map(Work::Bank).collect();
        let (due, still) = std::mem::take(&mut self.to_processor).into_iter().partition(|flying| flying.at <= ms);
        self.to_processor = still;
        let due: Vec<Flying> = due;
        let mut bad = Vec::new();
        for Flying { body, fault, .. } in due {
            let work = Work::Bank(LineEvent::Received(body));
            match fault {
                None => works.push(work),
                Some(fault) => bad.push((work, fault)),
            }
        }
        if !works.is_empty() || self.processor().is_some_and(|processor| processor.wake_at() <= ms) {
            self.turn(works, None);
        }
        for (work, fault) in bad {
            // A processor that died has a new connection, on which this never comes.
            if self.connected {
                self.turn(vec![work], Some(fault));
            }
        }
    }
}

fn is_money(body: &[u8]) -> bool {
    !body.starts_with(b"08")
}

/// Says the opposite of the bitmap's first bit: what follows cannot be read.
fn garble(body: &mut [u8]) {
    if let Some(byte) = body.get_mut(4) {
        *byte ^= 0x80;
    }
}

//! What can go wrong, and how often in one seed.

use crate::dice::Dice;

/// What can happen to an exchange: of a device with the provider, of the provider with the processor, of the processor with
/// its bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetFault {
    /// The request never arrives.
    LoseRequest,
    /// The provider works, the answer is lost.
    LoseReply,
    /// The request arrives twice; the later answer comes back.
    Duplicate,
    /// The request arrives late, after others.
    Delay,
    /// A bit of the request changes.
    CorruptRequest,
    /// A bit of the answer changes.
    CorruptReply,
    /// An older answer comes back instead; the request arrives.
    StaleReply,
    /// An older request of anybody arrives first.
    Replay,
    /// Whoever is asked crashes before it commits; a bank is dead for a while.
    CrashBefore,
    /// Whoever is asked crashes after it has committed, before it answers.
    CrashAfter,
    /// The disk is full: the provider's; the processor's, when it is asked or hears its bank.
    Full,
    /// The answer arrives late, after others; only on lines that wait.
    DelayReply,
    /// Whoever answers crashes when half of what shall leave has left; only on lines that wait.
    CrashAmid,
    /// Whoever asks crashes once the request has left; only on lines that wait.
    AskerCrash,
    /// Whoever asks crashes when the answer comes, before that is stored; only on lines that wait.
    AskerCrashBefore,
    /// Whoever asks crashes when the answer is stored, before anything follows from it; only on lines that wait.
    AskerCrashAfter,
    /// The operator revokes the processor's key once the request has left; only there, and only in the matrix.
    Revoked,
}

impl NetFault {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::LoseRequest,
        Self::LoseReply,
        Self::Duplicate,
        Self::Delay,
        Self::CorruptRequest,
        Self::CorruptReply,
        Self::StaleReply,
        Self::Replay,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Full,
    ];
    /// Every one of a line that waits for its answers: between provider and processor, and between processor and bank.
    pub const LINE: [Self; 16] = [
        Self::LoseRequest,
        Self::LoseReply,
        Self::Duplicate,
        Self::Delay,
        Self::CorruptRequest,
        Self::CorruptReply,
        Self::StaleReply,
        Self::Replay,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Full,
        Self::DelayReply,
        Self::CrashAmid,
        Self::AskerCrash,
        Self::AskerCrashBefore,
        Self::AskerCrashAfter,
    ];
    /// As the matrix prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoseRequest => "request lost",
            Self::LoseReply => "reply lost",
            Self::Duplicate => "duplicated",
            Self::Delay => "delayed",
            Self::CorruptRequest => "request corrupted",
            Self::CorruptReply => "reply corrupted",
            Self::StaleReply => "older reply",
            Self::Replay => "older request replayed",
            Self::CrashBefore => "crash before commit",
            Self::CrashAfter => "crash after commit",
            Self::Full => "disk full",
            Self::DelayReply => "reply delayed",
            Self::CrashAmid => "crash amid sending",
            Self::AskerCrash => "asker's crash after sending",
            Self::AskerCrashBefore => "asker's crash before storing",
            Self::AskerCrashAfter => "asker's crash after storing",
            Self::Revoked => "key revoked",
        }
    }
}

/// What can happen to a frame of a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameFault {
    /// It is lost.
    Lose,
    /// It arrives twice.
    Duplicate,
    /// A bit changes.
    Corrupt,
    /// A frame of another tap arrives before it.
    Replay,
    /// An earlier frame of this tap comes after it: the two changed places, or the sender's own comes back.
    Reorder,
    /// It arrives after its charge has expired, and the terminal has noticed.
    Expire,
    /// Its version says that the sender is newer than we are (hello only; elsewhere as [`FrameFault::Corrupt`]).
    Version,
}

impl FrameFault {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Lose, Self::Duplicate, Self::Corrupt, Self::Replay, Self::Reorder, Self::Expire, Self::Version];
    /// As the matrix prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lose => "frame lost",
            Self::Duplicate => "frame duplicated",
            Self::Corrupt => "frame corrupted",
            Self::Replay => "other tap's frame replayed",
            Self::Reorder => "frames reordered",
            Self::Expire => "charge expires first",
            Self::Version => "unknown version",
        }
    }
}

/// How often what goes wrong in one seed, in a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Exchanges with the provider that go wrong.
    pub network: u64,
    /// Taps of which a frame goes wrong.
    pub frames: u64,
    /// Actions during which a device loses power or its disk is full.
    pub power: u64,
    /// Of those: the disk lied about earlier commits.
    pub lost_sync: u64,
    /// Actions before which a device is put back to an earlier state.
    pub rollback: u64,
    /// Actions before which a wallet is copied.
    pub clone: u64,
    /// Devices whose clock is days off.
    pub clocks: u64,
    /// Actions before which something is revoked.
    pub revoke: u64,
    /// Taps with a cheating wallet.
    pub wallet_cheats: u64,
    /// Taps with, or terminals that are, cheating.
    pub terminal_cheats: u64,
    /// Peers of a newer version.
    pub newer: u64,
    /// Two processes of one wallet at once.
    pub twins: u64,
    /// Actions before which the provider is restored from a backup.
    pub restore: u64,
    /// Terminals that upload weeks late.
    pub late: u64,
    /// How often people pay by credit, beside 98 other things that they do; 0: the town has no processor.
    pub credit: u64,
    /// How often people buy over the network and give back, in the same measure; 0: nothing is for sale. Needs credit.
    pub buying: u64,
    /// Exchanges between provider and processor that go wrong.
    pub courier: u64,
    /// Exchanges between processor and bank that go wrong.
    pub bank: u64,
    /// Bank cards named whose bank says yes at first, and no when money shall be captured or paid back.
    pub refusing: u64,
    /// How often people and merchants write, read and mute, in the measure of credit; 0: nobody writes.
    pub letters: u64,
    /// How often the operator settles, contracts, and goes to the bank, in the same measure; 0: it only pays merchants. Its way to
    /// the provider fails as often as that of devices.
    pub settling: u64,
    /// How often people come to an event, its gates work, and its network falls apart, in the same measure; 0: there is no event.
    /// Needs buying.
    pub tickets: u64,
    /// Pages between gates that go wrong.
    pub lan: u64,
    /// Actions after which a ticket is given, registered, given by a number, or taken by one. Needs an event.
    pub giving: u64,
    /// Actions after which the promoter changes something, or a holder answers. Needs an event.
    pub changing: u64,
    /// Actions after which somebody calls, or the switch updates.
    pub calls: u64,
    /// Actions after which staff does something by hand at a gate, is taken on or let go. Needs an event.
    pub staff: u64,
    /// Actions after which a gate is lost with its store, declared lost, or replaced. Needs an event.
    pub losing: u64,
    /// Actions after which numbers of tickets are printed, sold over a counter, or typed in. Needs an event.
    pub booth: u64,
    /// Actions after which somebody waits for a ticket, gives that up or hears of one; there are few. Needs an event.
    pub queue: u64,
    /// Actions after which somebody says where it is called, asks for a number, or dials one. Needs letters and calls.
    pub ringing: u64,
}

impl Mix {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        network: 0,
        frames: 0,
        power: 0,
        lost_sync: 0,
        rollback: 0,
        clone: 0,
        clocks: 0,
        revoke: 0,
        wallet_cheats: 0,
        terminal_cheats: 0,
        newer: 0,
        twins: 0,
        restore: 0,
        late: 0,
        credit: 0,
        buying: 0,
        courier: 0,
        bank: 0,
        refusing: 0,
        letters: 0,
        settling: 0,
        tickets: 0,
        lan: 0,
        giving: 0,
        changing: 0,
        calls: 0,
        staff: 0,
        losing: 0,
        booth: 0,
        queue: 0,
        ringing: 0,
    };

    /// A seed's own mix. Honest misfortune in most seeds; dishonesty and disasters in fewer, so that the stricter
    /// invariants of honest devices are checked often.
    pub fn draw(dice: &mut Dice) -> Self {
        let mut some = |share: u64, most: u64| if dice.chance(share) { dice.within(1, most) } else { 0 };
        Self {
            network: some(700, 300),
            frames: some(700, 400),
            power: some(600, 250),
            lost_sync: some(120, 400),
            rollback: some(120, 60),
            clone: some(120, 60),
            clocks: some(200, 400),
            revoke: some(150, 60),
            wallet_cheats: some(150, 250),
            terminal_cheats: some(150, 200),
            newer: some(300, 500),
            twins: some(250, 150),
            restore: some(80, 40),
            late: some(250, 500),
            ..Self::CALM
        }
    }

    /// A seed's own share of backups that are put back, where somebody wants some whatever it draws.
    pub fn draw_restoring(self, dice: &mut Dice) -> Self {
        Self { restore: if self.restore > 0 { self.restore } else { dice.within(1, 40) }, ..self }
    }

    /// A seed's own share of credit, drawn apart, so that towns without it are what they were. None where the provider may be
    /// put back from a backup: it knows nothing then of what was cleared since (ARCHITECTURE, limits).
    pub fn draw_credit(self, dice: &mut Dice) -> Self {
        let mut some =
            |share: u64, least: u64, most: u64| if dice.chance(share) { dice.within(least, most) } else { 0 };
        let (credit, courier, bank) = (some(1000, 20, 90), some(700, 1, 250), some(700, 1, 250));
        if self.restore > 0 { self } else { Self { credit, courier, bank, ..self } }
    }

    /// A seed's own share of buying, drawn apart as well. None where there is no credit.
    pub fn draw_buying(self, dice: &mut Dice) -> Self {
        let buying = dice.within(20, 90);
        if self.credit > 0 { Self { buying, ..self } } else { self }
    }

    /// A seed's own share of letters, drawn apart, too.
    pub fn draw_letters(self, dice: &mut Dice) -> Self {
        Self { letters: dice.within(20, 90), ..self }
    }

    /// A seed's own share of settlement, drawn apart, too. None where the provider may be put back from a backup: it does not know
    /// then what it ordered, and a person has to compare (ARCHITECTURE, limits).
    pub fn draw_settling(self, dice: &mut Dice) -> Self {
        let settling = dice.within(20, 80);
        if self.restore > 0 { self } else { Self { settling, ..self } }
    }

    /// A seed's own share of an event, drawn apart, too: its tickets are bought by credit, and by numbers alone where the provider may be
    /// put back from a backup. Copies and gates put back are drawn more often, so that somebody cheats.
    pub fn draw_tickets(self, dice: &mut Dice) -> Self {
        let (tickets, credit, buying) = (dice.within(60, 200), dice.within(5, 20), dice.within(20, 60));
        let lan = if dice.chance(600) { dice.within(1, 500) } else { 0 };
        let clone = if dice.chance(250) { dice.within(10, 50) } else { self.clone };
        let rollback = if dice.chance(200) { dice.within(10, 50) } else { self.rollback };
        let event = Self { tickets, lan, clone, rollback, ..self };
        if self.restore > 0 {
            return event;
        }
        Self { credit: self.credit.max(credit), buying: self.buying.max(buying), ..event }
    }

    /// A seed's own share of tickets that are given on, drawn apart. None where there is no event, or one whose
    /// provider may be put back (ARCHITECTURE, limits).
    pub fn draw_giving(self, dice: &mut Dice) -> Self {
        let giving = dice.within(150, 600);
        if self.tickets > 0 && self.restore == 0 { Self { giving, ..self } } else { self }
    }

    /// A seed's own share of changes of the event, drawn apart. None where there is no event, or one whose
    /// provider may be put back (ARCHITECTURE, limits).
    pub fn draw_changing(self, dice: &mut Dice) -> Self {
        let changing = dice.within(80, 350);
        if self.tickets > 0 && self.restore == 0 { Self { changing, ..self } } else { self }
    }

    /// A seed's own share of calls, drawn apart.
    pub fn draw_calls(self, dice: &mut Dice) -> Self {
        Self { calls: dice.within(150, 600), ..self }
    }

    /// A seed's own share of staff at the gates, drawn apart. None where there is no event.
    pub fn draw_staff(self, dice: &mut Dice) -> Self {
        let staff = dice.within(100, 500);
        if self.tickets > 0 { Self { staff, ..self } } else { self }
    }

    /// A seed's own share of gates that are lost, drawn apart. None where there is no event.
    pub fn draw_losing(self, dice: &mut Dice) -> Self {
        let losing = dice.within(50, 300);
        if self.tickets > 0 { Self { losing, ..self } } else { self }
    }

    /// A seed's own share of tickets by number, drawn apart. None where there is no event.
    pub fn draw_booth(self, dice: &mut Dice) -> Self {
        let booth = dice.within(100, 500);
        if self.tickets > 0 { Self { booth, ..self } } else { self }
    }

    /// A seed's own share of people who wait for tickets, drawn apart. None where there is no event, or one whose
    /// provider may be put back (ARCHITECTURE, limits).
    pub fn draw_queue(self, dice: &mut Dice) -> Self {
        let queue = dice.within(150, 500);
        if self.tickets > 0 && self.restore == 0 { Self { queue, ..self } } else { self }
    }

    /// A seed's own share of calls by number, drawn apart. None where nobody writes or nobody calls.
    pub fn draw_ringing(self, dice: &mut Dice) -> Self {
        let ringing = dice.within(150, 600);
        if self.letters > 0 && self.calls > 0 { Self { ringing, ..self } } else { self }
    }

    /// A seed's own share of bank cards that refuse in the end, drawn apart. None where there is no credit.
    pub fn draw_refusing(self, dice: &mut Dice) -> Self {
        let refusing = dice.within(50, 500);
        if self.credit > 0 { Self { refusing, ..self } } else { self }
    }
}

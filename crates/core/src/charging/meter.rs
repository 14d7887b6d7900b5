//! The meter of one session: what is paid, until when, when to ask for more, when to warn and when to cut. Shaped like credit control
//! of RFC 8506: a session starts, asks for further units while it lasts (interim), is told that a unit is the final one, and stops;
//! what was granted and not used is given back. It knows neither calls nor cards, and it has no clock.
//!
//! Who risks what, at every moment of a session:
//!
//! | side | risks | at most |
//! | --- | --- | --- |
//! | whoever serves | units that have begun and are not paid | one; where links pay: as long as the first took to come, a second at most, if that is more |
//! | whoever pays | units that are paid and have not begun | one; until the agreed least is used up: what is left of that |
//!
//! Links pay for units that may be shorter than the way to the payer and back, and there one unit cannot be enough. Say a unit lasts `u` and
//! that way `w`. The payer hears the answer `w / 2` late, and pays each unit as the one before it begins; so a payment arrives `w - u` after its
//! unit has begun, and whoever goes on serving has `w / u - 1` units unpaid: one is enough where `w` is two units at most, and at 0.3 s there and
//! back that are units of 0.15 s. Until the first link it takes longer. Nothing but the set-up charge may be paid before the answer (R24), and SIP carries
//! a word when the last one has arrived: asked, chain, arrived, link are 0.6 s then, and four durable writes. So a second is waited for the first link, and
//! for each after it as long as that one took: a payer that is near leaves one unit at risk, one that is far what is on its way, and a call
//! is cut for neither. Once it is said that no more is paid, and all links are here, nothing is.
//!
//! The least ([`CallTariff::least`]) cannot be risked by nobody. Say it is `m` units, `b` of them have begun, and `p` are paid: if whoever
//! serves goes, `p - b` are lost to whoever pays; if whoever pays goes, `m - p` of what was agreed are lost to whoever serves; together
//! `m - b`, whatever `p` is. So it is paid at once, by whoever has seen it and agreed, and nobody else can make up what it is.

use super::tariff::{CallTariff, SECOND};

/// For how many milliseconds a session goes on, at most, until its first unit is paid.
pub const PATIENCE: u64 = 5_000;
/// How long before the paid time ends both people are warned, in milliseconds, where no more is paid; where links pay, or it is heard of
/// later, as soon as that is known.
pub const WARNING: u64 = 10_000;

/// Why a payment is not taken; nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeterError {
    /// Lower than what was paid before.
    #[error("totals only rise: more has been paid for this session before")]
    Lower,
    /// No whole number of units.
    #[error("the total is no whole number of units of what was agreed")]
    Uneven,
    /// More units than were asked for.
    #[error("more than was asked for")]
    TooMuch,
    /// After the end.
    #[error("the session is over")]
    Over,
    /// Before the answer, nothing but the set-up charge is paid (R24).
    #[error("before the answer nothing but the set-up charge is paid")]
    Early,
}

/// What is to be done next, and when. Times are milliseconds of one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Ask for this total.
    Ask {
        /// The total.
        total: u64,
        /// From then on.
        at: u64,
    },
    /// Nobody pays more: warn.
    Warn {
        /// From then on.
        at: u64,
    },
    /// What is paid ends.
    Cut {
        /// Then.
        at: u64,
    },
}

impl Due {
    /// From when on.
    pub fn at(self) -> u64 {
        match self {
            Self::Ask { at, .. } | Self::Warn { at } | Self::Cut { at } => at,
        }
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// How long it lasted since the answer, in milliseconds; `None`: nobody answered.
    pub lasted: Option<u64>,
    /// What it costs: never more than was paid.
    pub cost: u64,
    /// What was paid and goes back.
    pub unused: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for the answer.
    Rings,
    /// Answered then.
    Runs(u64),
    /// Stopped.
    Over,
}

/// The meter of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    agreed: CallTariff,
    stage: Stage,
    /// What is paid, in all.
    paid: u64,
    /// Paid link by link: what the links come to that the payer has committed to.
    committed: u64,
    /// What was asked for last, if it is not paid yet.
    asked: Option<u64>,
    /// Paid link by link: how long after the answer the first unit was paid, which is how long each may be on its way.
    way: u64,
    /// Nobody pays more: what is granted is the final unit.
    is_final: bool,
    warned: bool,
    /// How long before the end of what is paid the next unit is asked for.
    lead: u64,
}

impl Meter {
    /// A session under what was agreed. `lead`: how many milliseconds before the end of a unit the next one is asked for, to hide the
    /// way to the payer and back; never more than half a unit.
    pub fn start(agreed: CallTariff, lead: u64) -> Self {
        let lead = lead.min(agreed.length / 2);
        let stage = Stage::Rings;
        Self { agreed, stage, paid: 0, committed: 0, asked: None, way: 0, is_final: false, warned: false, lead }
    }
    /// What was agreed.
    pub fn agreed(&self) -> &CallTariff {
        &self.agreed
    }
    /// The total to be paid before it rings (R24).
    pub fn first(&self) -> u64 {
        self.agreed.setup
    }
    /// What is paid.
    pub fn paid(&self) -> u64 {
        self.paid
    }
    /// Units that are paid for.
    fn units(&self) -> u64 {
        self.units_of(self.paid)
    }
    fn units_of(&self, total: u64) -> u64 {
        total.saturating_sub(self.agreed.setup).checked_div(self.agreed.price).unwrap_or(u64::MAX)
    }
    /// The other side has answered.
    pub fn answered(&mut self, at: u64) {
        if self.stage == Stage::Rings {
            self.stage = Stage::Runs(at);
        }
    }
    /// The payer has committed to a chain whose links come to this total, and that is stored. All links of the one before are paid.
    ///
    /// # Errors
    /// [`MeterError`].
    pub fn commit(&mut self, total: u64, links: u64, at: u64) -> Result<(), MeterError> {
        let before = self.committed.max(self.agreed.setup);
        let Stage::Runs(_) = self.stage else {
            return Err(if self.stage == Stage::Over { MeterError::Over } else { MeterError::Early });
        };
        if self.ends().is_some_and(|end| at >= end) {
            return Err(MeterError::Over);
        }
        if total.checked_sub(before).is_none_or(|more| links == 0 || Some(more) != self.agreed.price.checked_mul(links))
        {
            return Err(MeterError::Uneven);
        }
        if self.asked.is_none_or(|asked| total > asked) {
            return Err(MeterError::TooMuch);
        }
        // Whoever offers the next chain has paid all of the last one.
        self.paid_by_links(before.max(self.paid), at);
        self.committed = total;
        self.asked = None;
        Ok(())
    }
    /// A total was paid, and that is stored. The same again changes nothing.
    ///
    /// # Errors
    /// [`MeterError`].
    pub fn pay(&mut self, total: u64, at: u64) -> Result<(), MeterError> {
        if total == self.paid && total != 0 {
            return Ok(());
        }
        if total < self.paid {
            return Err(MeterError::Lower);
        }
        match self.stage {
            Stage::Over => return Err(MeterError::Over),
            Stage::Rings if total != self.agreed.setup => return Err(MeterError::Early),
            Stage::Rings => {}
            Stage::Runs(_) if self.ends().is_some_and(|end| at >= end) => return Err(MeterError::Over),
            Stage::Runs(_) => {
                let units = total.checked_sub(self.agreed.setup).ok_or(MeterError::Uneven)?;
                if self.agreed.price == 0 || !units.is_multiple_of(self.agreed.price) {
                    return Err(MeterError::Uneven);
                }
                if self.agreed.is_linked() {
                    if total > self.committed {
                        return Err(MeterError::TooMuch);
                    }
                    self.paid_by_links(total, at);
                    return Ok(());
                }
                if self.asked.is_none_or(|asked| total > asked) {
                    return Err(MeterError::TooMuch);
                }
            }
        }
        self.paid = total;
        self.asked = self.asked.filter(|asked| *asked > total);
        self.is_final = false;
        self.warned = false;
        Ok(())
    }
    /// Links come to this total; the first of them shows how long they take.
    fn paid_by_links(&mut self, total: u64, at: u64) {
        if let (0, Stage::Runs(since)) = (self.units(), self.stage) {
            self.way = at.saturating_sub(since);
        }
        self.paid = total;
    }
    /// Whoever pays has said that no more is to be had: what is granted is the final unit.
    pub fn no_more(&mut self) {
        self.is_final = true;
        self.asked = None;
    }
    /// When the time ends that is paid for; before the first unit, how long it is waited for. `None`: never, it costs nothing or does
    /// not run.
    pub fn ends(&self) -> Option<u64> {
        let Stage::Runs(since) = self.stage else {
            return None;
        };
        if self.agreed.price == 0 {
            return None;
        }
        let length = self.agreed.length;
        let paid = match (self.units(), self.agreed.is_linked()) {
            (0, false) => PATIENCE.min(length),
            (units, false) => units.saturating_mul(length),
            // All links are here and no more will be: nothing is on its way.
            (units, true) if self.is_final && self.paid >= self.committed => units.saturating_mul(length),
            (0, true) => SECOND,
            (units, true) => units.saturating_mul(length).saturating_add(length.max(self.way)),
        };
        Some(since.saturating_add(paid))
    }
    /// What is due next of a session that is paid link by link: another chain is asked for a second before the last one ends, while each
    /// link must come in time.
    fn due_by_links(&self, since: u64, end: u64) -> Option<Due> {
        let units = self.units_of(self.committed.max(self.agreed.setup));
        let over = since.saturating_add(units.saturating_mul(self.agreed.length));
        let next = if self.is_final {
            let before = WARNING.min(over.saturating_sub(since) / 2);
            (!self.warned).then(|| Due::Warn { at: over.saturating_sub(before).max(since) })
        } else if self.asked.is_none() {
            let total = self.agreed.total(units.checked_add(self.agreed.links())?)?;
            Some(Due::Ask { total, at: if units == 0 { since } else { over.saturating_sub(SECOND).max(since) } })
        } else {
            None
        };
        let cut = Due::Cut { at: end };
        Some(next.filter(|next| next.at() <= end).unwrap_or(cut))
    }
    /// What is due next.
    pub fn due(&self) -> Option<Due> {
        let (Stage::Runs(since), Some(end)) = (self.stage, self.ends()) else {
            return None;
        };
        if self.agreed.is_linked() {
            return self.due_by_links(since, end);
        }
        if self.is_final && !self.warned {
            return Some(Due::Warn { at: end.saturating_sub(WARNING).max(since) });
        }
        if self.is_final || self.asked.is_some() {
            return Some(Due::Cut { at: end });
        }
        let total = match self.units() {
            0 => self.agreed.least()?,
            units => self.agreed.total(units.checked_add(1)?)?,
        };
        let at = if self.units() == 0 { since } else { end.saturating_sub(self.lead) };
        Some(Due::Ask { total, at })
    }
    /// What was due is done: asked, or warned.
    pub fn done(&mut self, due: Due) {
        match due {
            Due::Ask { total, .. } => self.asked = Some(total),
            Due::Warn { .. } => self.warned = true,
            Due::Cut { .. } => {}
        }
    }
    /// It ends now. Nobody is charged for what was not paid: that is the other side's risk.
    pub fn stop(&mut self, at: u64) -> Stopped {
        let lasted = match self.stage {
            Stage::Runs(since) => Some(self.ends().unwrap_or(u64::MAX).min(at).saturating_sub(since)),
            _ => None,
        };
        self.stage = Stage::Over;
        let cost = self.agreed.cost(lasted).unwrap_or(u64::MAX).min(self.paid);
        Stopped { lasted, cost, unused: self.paid - cost }
    }
}

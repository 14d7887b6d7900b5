//! The promoter's side: an event planned, its seats, its price categories, its gates. Each is stored before it is sent, and said
//! again with another content it becomes the next revision; said again with the same, it is sent again as it was.

use crate::issuer::{Issuer, IssuerError};
use crate::listing::{Offered, key as article_key};
use crate::seats::read_seats;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::card::{CardKind, Terms};
use tegata_core::record::{RecordKey, Space};
use tegata_core::talk::buy::Listing;
use tegata_core::talk::cards::Done;
use tegata_core::talk::enter::Direction;
use tegata_core::talk::event::{EventPlan, GateInvite, GateOrder, PlannedDoor, PlannedZone};
use tegata_core::talk::report::ReportKind;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, DeviceId, EventId, Hash, PartyId, Time, Unit};
use tegata_crypto_native::GateNumber;
use tegata_device::{Now, Post};
use tegata_vault::{Vault, VaultError};

/// What the zone of a venue is called that has no other.
pub const ZONE: &str = "Inside";
/// Days of the terms' L and U: a ticket is presented at gates, which are updated before the doors open.
const LATE: u64 = Time::DAY;

/// An event as its promoter describes it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// What people call it. Planned again under the same name, it is the same event.
    pub name: String,
    /// Where it is.
    pub place: String,
    /// Its zones, by name; none: one that is called [`ZONE`].
    pub zones: Vec<String>,
    /// Its doors, by name, each with the zone behind it; none: one into the first zone.
    pub doors: Vec<(String, Option<String>)>,
    /// Its numbered seats, as [`read_seats`] reads them; absent: those it has.
    pub seats: Option<String>,
}

/// Whom a ticket lets in, and how it may be given back and away.
#[derive(Clone, Debug)]
pub struct Passes {
    /// Admitted from then on.
    pub from: Time,
    /// Until before then.
    pub until: Time,
    /// Into these zones, by name; none: into all.
    pub zones: Vec<String>,
    /// Entries into each zone.
    pub entries: u64,
    /// Entries into each zone on one day.
    pub a_day: Option<u64>,
    /// Whether who has gone out may come in again.
    pub reentry: bool,
    /// People with its holder.
    pub companions: u64,
    /// Until when it is refunded; absent: as long as it was not used.
    pub refund_until: Option<Time>,
    /// Whether it is refunded at all.
    pub refundable: bool,
    /// How often it may be given on in all; 0: not at all.
    pub handovers: u64,
    /// Until when it may be given away; absent: as long as it is valid.
    pub give_until: Option<Time>,
    /// The most for which it may be given on: told to both people, since no money moves with it.
    pub give_price: Option<Amount>,
}

/// A price category.
#[derive(Clone, Debug)]
pub struct Category {
    /// What people call it.
    pub name: String,
    /// What a ticket costs.
    pub price: Amount,
    /// How many there are; absent: as many as it has numbered seats.
    pub stock: Option<u64>,
    /// Until when they are sold.
    pub sold_until: Time,
    /// Whom a ticket lets in.
    pub passes: Passes,
}

fn plan_key(event: EventId) -> RecordKey {
    RecordKey::new(Space::Event, [b"plan".as_slice(), &event.0].concat())
}

fn invite_key(secret: Hash) -> RecordKey {
    RecordKey::new(Space::Event, [b"invite".as_slice(), &secret.0].concat())
}

fn gate_key(gate: DeviceId) -> RecordKey {
    RecordKey::new(Space::Event, [b"gate".as_slice(), &gate.0].concat())
}

/// Zones of a plan by their names or numbers.
fn zones_of(plan: &EventPlan, named: &[String]) -> Result<Vec<u64>, IssuerError> {
    let zone = |named: &String| {
        let known = plan.zones.iter().find(|zone| zone.name == *named || zone.zone.to_string() == *named);
        known.map(|zone| zone.zone).ok_or_else(|| IssuerError::NoZone(named.clone()))
    };
    named.iter().map(zone).collect()
}

fn door_of(plan: &EventPlan, door: &str) -> Result<u64, IssuerError> {
    let named = plan.doors.iter().find(|known| known.name == door || known.door.to_string() == door);
    Ok(named.ok_or_else(|| IssuerError::NoDoor(door.to_owned()))?.door)
}

/// What the tickets of a category are called.
pub(crate) fn title(event: &EventPlan, category: &str) -> String {
    format!("{}, {category}", event.name)
}

/// The same moment with entropy that nothing else gets.
pub(crate) fn next(now: &mut Now) -> Now {
    now.entropy = Hash::of(&now.entropy).0;
    *now
}

/// Numbers by name: what was planned keeps its number, what is new is numbered on.
fn numbered<T: Clone>(before: &[T], name: impl Fn(&T) -> &str, wanted: &[T], number: impl Fn(&T, u64) -> T) -> Vec<T> {
    let mut all = before.to_vec();
    for one in wanted {
        if !all.iter().any(|known| name(known) == name(one)) {
            all.push(number(one, all.len() as u64 + 1));
        }
    }
    all
}

impl<V: Vault> Issuer<V> {
    /// Plans an event, with the categories that sell it: in one call all that a small venue needs. Called again after it was cut
    /// off, it goes on.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn plan(
        &mut self,
        post: &mut dyn Post,
        draft: &Draft,
        categories: &[Category],
        mut now: Now,
    ) -> Result<(EventPlan, Vec<Listing>), IssuerError> {
        let before = self.events()?.into_iter().find(|event| event.name == draft.name);
        let mut articles = self.articles_of(before.as_ref())?;
        let mut free = self.listings()?.iter().map(|listing| listing.article).max().unwrap_or(0);
        for category in categories {
            if !articles.iter().any(|(name, _)| *name == category.name) {
                free += 1;
                articles.push((category.name.clone(), free));
            }
        }
        let plan = self.drafted(draft, before.as_ref(), &articles, now)?;
        plan.check()?;
        for category in categories {
            fits(&plan, category, &articles)?;
        }
        let plan = self.publish_plan(post, before, plan, &mut now)?;
        let mut listed = Vec::new();
        for category in categories {
            let article = articles.iter().find(|(name, _)| *name == category.name).map_or(0, |(_, number)| *number);
            listed.push(self.list_category(post, &plan, (category, article), &mut now)?);
        }
        if draft.seats.is_some() {
            // A category that was counted before may have seats now.
            self.fit_stock(post, &plan, &mut now)?;
        }
        Ok((plan, listed))
    }

    /// Sends a plan that somebody else has drafted, as it is.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn plan_drafted(
        &mut self,
        post: &mut dyn Post,
        plan: EventPlan,
        mut now: Now,
    ) -> Result<EventPlan, IssuerError> {
        plan.check()?;
        let before = self.events()?.into_iter().find(|event| event.event == plan.event);
        self.publish_plan(post, before, plan, &mut now)
    }

    /// Reads seats into an event's plan; a category of the file has as many tickets as it has seats then.
    ///
    /// # Errors
    /// [`IssuerError::Seats`] and others.
    pub fn seats(
        &mut self,
        post: &mut dyn Post,
        event: &str,
        text: &str,
        mut now: Now,
    ) -> Result<EventPlan, IssuerError> {
        let before = self.event(event)?;
        let seats = read_seats(text, &self.articles_of(Some(&before))?, &before.seats)?;
        let plan = EventPlan { revision: before.revision + 1, seats, at: now.time, ..before.clone() };
        let plan = self.publish_plan(post, Some(before), plan, &mut now)?;
        self.fit_stock(post, &plan, &mut now)?;
        Ok(plan)
    }

    /// Lists of each category with numbered seats as many tickets as it has seats. One that is off sale stays so.
    fn fit_stock(&mut self, post: &mut dyn Post, plan: &EventPlan, now: &mut Now) -> Result<(), IssuerError> {
        let open = self.open_plan(plan)?;
        for (_, article) in self.articles_of(Some(plan))? {
            let seats = seats_of(&open, article);
            let listed = self.listing(article)?.map(|listed| listed.claimed().stock);
            if seats > 0 && listed.is_some_and(|stock| stock != seats && stock != 0) {
                self.restock(post, article, seats, next(now))?;
            }
        }
        Ok(())
    }

    /// Lists a price category of an event, or a new revision of it.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn category(
        &mut self,
        post: &mut dyn Post,
        event: &str,
        category: &Category,
        mut now: Now,
    ) -> Result<Listing, IssuerError> {
        let plan = self.event(event)?;
        let known = self.articles_of(Some(&plan))?.into_iter().find(|(name, _)| *name == category.name);
        let article = match known {
            Some((_, article)) => article,
            None => self.listings()?.iter().map(|listing| listing.article).max().unwrap_or(0) + 1,
        };
        fits(&plan, category, &[(category.name.clone(), article)])?;
        self.list_category(post, &plan, (category, article), &mut now)
    }

    /// Puts a gate in its place: it is set up by its next update.
    ///
    /// # Errors
    /// [`IssuerError::NoDoor`] and others.
    pub fn gate(
        &mut self,
        post: &mut dyn Post,
        (gate, event, door): (DeviceId, &str, &str),
        direction: Direction,
        now: Now,
    ) -> Result<GateOrder, IssuerError> {
        let plan = self.event(event)?;
        let door = door_of(&plan, door)?;
        let order = GateOrder {
            promoter: self.party()?,
            gate,
            event: plan.event,
            door,
            direction,
            at: now.time,
            extensions: Default::default(),
        };
        let old = self.device.vault.get(&gate_key(gate))?;
        let before = old.as_ref().map(|bytes| Signed::<GateOrder>::decode(bytes)).transpose();
        let before = before.map_err(|_| VaultError::Damaged)?;
        if let Some(same) = before.filter(|before| GateOrder { at: now.time, ..before.claimed().clone() } == order) {
            let _: Verified<Done> = self.device.request(post, &same, now)?;
            return Ok(same.claimed().clone());
        }
        self.keep_and_send(post, (gate_key(gate), old), order, now)
    }

    /// Makes the number by which a gate that has not joined yet joins, and is set up at this door by the same step. The number is kept
    /// by nobody: where it is lost, another one is made.
    ///
    /// # Errors
    /// [`IssuerError::NoDoor`] and others.
    pub fn invite_gate(
        &mut self,
        post: &mut dyn Post,
        (name, event, door): (&str, &str, &str),
        (direction, until): (Direction, Time),
        now: Now,
    ) -> Result<(GateNumber, GateInvite), IssuerError> {
        let plan = self.event(event)?;
        let number = GateNumber::generate(now.entropy);
        let invite = GateInvite {
            promoter: self.party()?,
            secret: Hash::of(&number.secret()),
            name: name.to_owned(),
            event: plan.event,
            door: door_of(&plan, door)?,
            direction,
            until,
            at: now.time,
            extensions: Default::default(),
        };
        let invite = self.keep_and_send(post, (invite_key(invite.secret), None), invite, now)?;
        Ok((number, invite))
    }

    /// The invitations that it has made for gates of an event.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn invited(&self, event: EventId) -> Result<Vec<GateInvite>, IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"invite", usize::MAX)?;
        let decoded =
            |(_, bytes): &(Vec<u8>, Vec<u8>)| Some(Signed::<GateInvite>::decode(bytes).ok()?.claimed().clone());
        Ok(found.iter().filter_map(decoded).filter(|invite| invite.event == event).collect())
    }

    /// What became of an event's tickets, as JSON.
    ///
    /// # Errors
    /// [`IssuerError::Request`] and others.
    pub fn report(&mut self, post: &mut dyn Post, event: &str, now: Now) -> Result<String, IssuerError> {
        let event = self.event(event)?.event;
        Ok(self.device.report_of(post, (ReportKind::Event, Some(event)), (Time(0), Time::END), now)?)
    }

    /// Its events, by name.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn events(&self) -> Result<Vec<EventPlan>, IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"plan", usize::MAX)?;
        let decoded =
            |(_, bytes): &(Vec<u8>, Vec<u8>)| Some(Signed::<EventPlan>::decode(bytes).ok()?.claimed().clone());
        let mut events: Vec<EventPlan> = found.iter().filter_map(decoded).collect();
        events.sort_by(|one, other| (&one.name, one.event.0).cmp(&(&other.name, other.event.0)));
        Ok(events)
    }

    /// An event by its name or id.
    ///
    /// # Errors
    /// [`IssuerError::NoEvent`], [`IssuerError::SameEvent`].
    pub fn event(&self, named: &str) -> Result<EventPlan, IssuerError> {
        let id = EventId::parse(named);
        let mut found: Vec<_> =
            self.events()?.into_iter().filter(|event| Some(event.event) == id || event.name == named).collect();
        match (found.pop(), found.is_empty()) {
            (Some(event), true) => Ok(event),
            (Some(_), false) => Err(IssuerError::SameEvent(named.to_owned())),
            (None, _) => Err(IssuerError::NoEvent(named.to_owned())),
        }
    }

    /// Zones of an event by their names or numbers.
    ///
    /// # Errors
    /// [`IssuerError::NoZone`] and others.
    pub fn zones(&self, event: &str, named: &[String]) -> Result<Vec<u64>, IssuerError> {
        zones_of(&self.event(event)?, named)
    }

    /// The categories of an event, as they are listed.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn categories(&self, event: EventId) -> Result<Vec<Listing>, IssuerError> {
        let of_event = |listing: &Listing| listing.terms.ticket.as_ref().is_some_and(|ticket| ticket.event == event);
        Ok(self.listings()?.into_iter().filter(of_event).collect())
    }

    /// The gates that were put in place for an event.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn gates(&self, event: EventId) -> Result<Vec<GateOrder>, IssuerError> {
        let found = self.device.vault.scan(Space::Event, b"gate", usize::MAX)?;
        let decoded =
            |(_, bytes): &(Vec<u8>, Vec<u8>)| Some(Signed::<GateOrder>::decode(bytes).ok()?.claimed().clone());
        Ok(found.iter().filter_map(decoded).filter(|order| order.event == event).collect())
    }

    /// Category names and the articles that sell them.
    fn articles_of(&self, event: Option<&EventPlan>) -> Result<Vec<(String, u64)>, IssuerError> {
        let Some(event) = event else {
            return Ok(Vec::new());
        };
        let prefix = title(event, "");
        let named = |listing: Listing| Some((listing.terms.name.strip_prefix(&prefix)?.to_owned(), listing.article));
        Ok(self.categories(event.event)?.into_iter().filter_map(named).collect())
    }

    /// The plan that a draft describes, going on from the one before.
    fn drafted(
        &self,
        draft: &Draft,
        before: Option<&EventPlan>,
        articles: &[(String, u64)],
        now: Now,
    ) -> Result<EventPlan, IssuerError> {
        let mut id = [0; 16];
        id.copy_from_slice(&Hash::of(&[now.entropy.as_slice(), b"event"].concat()).0[..16]);
        let zone = |name: &str, zone| PlannedZone { zone, name: name.to_owned(), extensions: Default::default() };
        let known = before.map_or(&[][..], |before| &before.zones);
        let mut wanted: Vec<_> = draft.zones.iter().map(|name| zone(name, 0)).collect();
        if wanted.is_empty() && known.is_empty() {
            wanted.push(zone(ZONE, 0));
        }
        let zones = numbered(known, |zone| &zone.name, &wanted, |one, number| zone(&one.name, number));
        let known = before.map_or(&[][..], |before| &before.doors);
        let mut doors = Vec::new();
        for (name, behind) in &draft.doors {
            let behind = match behind {
                Some(behind) => zones.iter().find(|zone| zone.name == *behind || zone.zone.to_string() == *behind),
                None => zones.first(),
            };
            let missing = || IssuerError::NoZone(name.clone());
            let zone = behind.ok_or_else(missing)?.zone;
            doors.push(PlannedDoor { door: 0, name: name.clone(), zone, extensions: Default::default() });
        }
        if doors.is_empty() && known.is_empty() {
            doors.push(PlannedDoor { door: 0, name: "Door".to_owned(), zone: 1, extensions: Default::default() });
        }
        let doors = numbered(known, |door| &door.name, &doors, |one, door| PlannedDoor { door, ..one.clone() });
        let planned = before.map_or(&[][..], |before| &before.seats);
        let seats = match &draft.seats {
            Some(text) => read_seats(text, articles, planned)?,
            None => planned.to_vec(),
        };
        Ok(EventPlan {
            promoter: self.party()?,
            event: before.map_or(EventId(id), |before| before.event),
            revision: before.map_or(1, |before| before.revision + 1),
            name: draft.name.clone(),
            place: draft.place.clone(),
            zones,
            doors,
            seats,
            at: now.time,
            extensions: Default::default(),
        })
    }

    /// Sends a plan; one that says what was said before is sent again as it was.
    fn publish_plan(
        &mut self,
        post: &mut dyn Post,
        before: Option<EventPlan>,
        plan: EventPlan,
        now: &mut Now,
    ) -> Result<EventPlan, IssuerError> {
        let key = plan_key(plan.event);
        let old = self.device.vault.get(&key)?;
        let same = |before: EventPlan| EventPlan { revision: plan.revision, at: plan.at, ..before } == plan;
        if let (Some(true), Some(bytes)) = (before.map(same), &old) {
            let stored = Signed::<EventPlan>::decode(bytes).map_err(|_| VaultError::Damaged)?;
            let _: Verified<Done> = self.device.request(post, &stored, next(now))?;
            return Ok(stored.claimed().clone());
        }
        self.keep_and_send(post, (key, old), plan, next(now))
    }

    /// Sends the plan of an event again as it was signed, if this device has one.
    pub(crate) fn say_plan(&mut self, post: &mut dyn Post, event: EventId, now: Now) -> Result<(), IssuerError> {
        if let Some(bytes) = self.device.vault.get(&plan_key(event))? {
            let plan = Signed::<EventPlan>::decode(&bytes).map_err(|_| VaultError::Damaged)?;
            let _: Verified<Done> = self.device.request(post, &plan, now)?;
        }
        Ok(())
    }

    fn list_category(
        &mut self,
        post: &mut dyn Post,
        plan: &EventPlan,
        (category, article): (&Category, u64),
        now: &mut Now,
    ) -> Result<Listing, IssuerError> {
        let mut terms = terms(self.party()?, plan, category)?;
        // Seats that were moved stay so: else these would be the terms that the change has replaced.
        let listed = self.listing(article)?;
        let seating = listed.and_then(|listed| listed.claimed().terms.ticket.as_ref()?.seating);
        if let Some(ticket) = &mut terms.ticket {
            ticket.seating = seating;
        }
        let face = Amount::new(Unit::ENTRIES, terms.max_balance).ok_or(IssuerError::Face)?;
        let offered = Offered {
            face,
            price: category.price,
            stock: stock(&self.open_plan(plan)?, category, article)?,
            until: category.sold_until,
            valid_for: category.passes.until.since(now.time).max(1),
            clear_after: None,
            terms,
        };
        let stored = self.device.vault.get(&article_key(article))?;
        let before =
            stored.map(|bytes| Signed::<Listing>::decode(&bytes)).transpose().map_err(|_| VaultError::Damaged)?;
        let same = before.filter(|before| {
            let said = before.claimed();
            (&said.terms, said.price, said.stock, said.until)
                == (&offered.terms, offered.price, offered.stock, offered.until)
        });
        match same {
            Some(same) => {
                self.relist(post, article, next(now))?;
                Ok(same.claimed().clone())
            }
            None => self.list(post, article, offered, next(now)),
        }
    }
}

/// Whether a category can be listed: nothing is sent of an event that has one which cannot.
fn fits(plan: &EventPlan, category: &Category, articles: &[(String, u64)]) -> Result<(), IssuerError> {
    let article = articles.iter().find(|(name, _)| *name == category.name).map_or(0, |(_, number)| *number);
    stock(plan, category, article)?;
    terms(plan.promoter, plan, category).map(drop)
}

/// How many numbered seats of a plan an article sells.
pub(crate) fn seats_of(plan: &EventPlan, article: u64) -> u64 {
    plan.seats.iter().filter(|seat| seat.article == article).count() as u64
}

/// How many tickets of a category there are: as many as it has numbered seats, else as it says.
fn stock(plan: &EventPlan, category: &Category, article: u64) -> Result<u64, IssuerError> {
    match (category.stock, seats_of(plan, article)) {
        (Some(stock), 0) => Ok(stock),
        (None, 0) => Err(IssuerError::NoStock(category.name.clone())),
        (Some(_), seats) => Err(IssuerError::Counted(category.name.clone(), seats)),
        (None, seats) => Ok(seats),
    }
}

/// The terms of a category's tickets.
fn terms(issuer: PartyId, plan: &EventPlan, category: &Category) -> Result<Terms, IssuerError> {
    let passes = &category.passes;
    if passes.from >= passes.until {
        return Err(IssuerError::Backwards(category.name.clone()));
    }
    let mut zones = zones_of(plan, &passes.zones)?;
    if zones.is_empty() {
        zones = plan.zones.iter().map(|zone| zone.zone).collect();
    }
    let ticket = TicketTerms {
        event: plan.event,
        place: plan.place.clone(),
        from: passes.from,
        until: passes.until,
        zones,
        entries: passes.entries,
        a_day: passes.a_day,
        // A night that begins in the evening is one day.
        day_begins: passes.from.0 % Time::DAY,
        reentry: passes.reentry,
        companions: passes.companions,
        door: None,
        give_until: passes.give_until,
        give_price: passes.give_price,
        refund_until: passes.refund_until,
        seating: None,
        extensions: Default::default(),
    };
    Ok(Terms {
        issuer,
        kind: CardKind::Ticket,
        unit: Unit::ENTRIES,
        name: title(plan, &category.name),
        max_payment: 0,
        offline_limit: 0,
        due_after: 30 * Time::DAY,
        list_age: LATE,
        record_age: LATE,
        max_balance: passes.entries,
        handovers: passes.handovers,
        refundable: passes.refundable,
        max_untouched: 0,
        register_within: (passes.handovers > 0).then_some(Time::DAY),
        program: None,
        ticket: Some(ticket),
        extensions: Default::default(),
    })
}

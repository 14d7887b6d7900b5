//! What a change would say of each ticket, before anything is signed: which terms of an event are sold or were, to which others they
//! lead, and the seats that are moved with them.

use super::moved::moved_by;
use super::statement::{cell, list};
use crate::calendar;
use crate::flags::ChangeFlags;
use crate::place::now;
use crate::screen::{Failure, fail};
use serde_json::Value;
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::card::ticket::TicketTerms;
use tegata_core::wire::canonical::Wire;
use tegata_core::{EventId, Handle, Time};
use tegata_issuer::{Issuer, Moving, seating};
use tegata_vault::SqliteVault;

/// An event's id, as the report has it.
pub fn event_id(event: &Value) -> Result<EventId, Failure> {
    match EventId::parse(&cell(event, "event")) {
        Some(id) => Ok(id),
        None => fail("the provider's report cannot be read; this program may be older or newer than the provider"),
    }
}

/// Terms of an event's tickets.
pub struct Sold {
    /// Which.
    pub terms: Terms,
    /// The article that sells them, or sells others of that name since.
    pub article: Option<u64>,
    /// Whether it sells these: else it did before its category was listed anew, and there may be holders.
    pub now: bool,
}

/// The terms of an event's tickets that are sold, or were: of one article, or of all. Those that are sold now come first.
pub fn sold(issuer: &Issuer<SqliteVault>, event: &Value, article: Option<u64>) -> Result<Vec<Sold>, Failure> {
    let id = EventId::parse(&cell(event, "event"));
    let of_event = |terms: &Terms| id.is_some() && terms.ticket.as_ref().map(|ticket| ticket.event) == id;
    let mut listings = issuer.listings()?;
    listings.retain(|listed| of_event(&listed.terms));
    let mut all: Vec<Sold> = Vec::new();
    for one in list(event, "terms") {
        let handle = cell(one, "terms");
        let listed = listings.iter().find(|listed| listed.terms.handle().to_string() == handle);
        // What the provider says counts only if it is what the hash says.
        let told = || hex::decode(cell(one, "body")).ok().and_then(|body| Terms::from_bytes(&body).ok());
        let terms = listed.map(|listed| listed.terms.clone()).or_else(told);
        let terms = terms.filter(|terms| terms.handle().to_string() == handle && of_event(terms));
        let Some(terms) = terms else { continue };
        let alike = || listings.iter().find(|listed| listed.terms.name == terms.name);
        let by = listed.or_else(alike).map(|listed| listed.article);
        if article.is_none() || article == by {
            all.push(Sold { now: listed.is_some(), article: by, terms });
        }
    }
    all.sort_by_key(|sold| (!sold.now, sold.article));
    match all.is_empty() {
        true => fail("no tickets of this event are sold under terms that can be changed; `articles` lists what is"),
        false => Ok(all),
    }
}

/// How many hold tickets of these terms, or of earlier ones that go where these go.
pub fn holders(event: &Value, terms: &Terms) -> u64 {
    let handle = terms.handle().to_string();
    let found = list(event, "terms").iter().find(|sold| cell(sold, "terms") == handle);
    found.and_then(|sold| sold["holders"].as_u64()).unwrap_or(0)
}

/// A moment such as `2027-05-01T18:00`, in UTC.
fn moment(text: &str) -> Result<Time, Failure> {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u64>().ok());
    let shape = text.len() == 16 && text.is_ascii() && (&text[4..5], &text[7..8], &text[13..14]) == ("-", "-", ":");
    let day = number(0, 4).zip(number(5, 7)).zip(number(8, 10));
    let day = day.and_then(|((year, month), day)| calendar::days(year, month, day));
    let clock = number(11, 13).zip(number(14, 16)).filter(|(hour, minute)| *hour < 24 && *minute < 60);
    match (day.zip(clock), shape) {
        (Some((day, (hour, minute))), true) => Ok(Time(day * Time::DAY + hour * 3600 + minute * 60)),
        _ => fail(format!("'{text}' is no moment: write it as 2027-05-01T18:00, in UTC")),
    }
}

/// The terms that replace these, which open these zones, where the flags name any; `seating` names the seats that are moved.
fn replaced(
    before: &Terms,
    (flags, zones): (&ChangeFlags, Option<&[u64]>),
    seating: Option<Handle>,
) -> Result<Terms, Failure> {
    let Some(ticket) = &before.ticket else {
        return fail("these are no tickets");
    };
    let from = flags.from.as_deref().map(moment).transpose()?.unwrap_or(ticket.from);
    let until = match flags.until.as_deref().map(moment).transpose()? {
        Some(until) => until,
        None => from.after(ticket.until.since(ticket.from)),
    };
    if from >= until {
        return fail("it would end before it begins; give --from and --until");
    }
    if until <= now().time {
        return fail(format!(
            "the new tickets for '{}' would let nobody in, since {} is over; give --from and --until that lie ahead, or cancel the event",
            before.name,
            super::moment(until)
        ));
    }
    // What was possible so long before the doors open is possible as long before they do now.
    let moved = |at: Time| match from >= ticket.from {
        // Never possible stays so.
        _ if at == Time(0) => at,
        true => at.after(from.since(ticket.from)),
        false => Time(at.0.saturating_sub(ticket.from.since(from))),
    };
    let ticket = TicketTerms {
        from,
        until,
        give_until: ticket.give_until.map(moved),
        refund_until: ticket.refund_until.map(moved),
        day_begins: match ticket.day_begins == ticket.from.0 % Time::DAY {
            true => from.0 % Time::DAY,
            false => ticket.day_begins,
        },
        place: flags.place.clone().unwrap_or_else(|| ticket.place.clone()),
        zones: zones.unwrap_or(&ticket.zones).to_vec(),
        seating: seating.or(ticket.seating),
        ..ticket.clone()
    };
    let name = flags.called.clone().unwrap_or_else(|| before.name.clone());
    Ok(Terms { name, ticket: Some(ticket), ..before.clone() })
}

/// Terms that lead to others, and the seats that are moved with them.
pub struct Pair {
    /// The terms that are replaced.
    pub before: Terms,
    /// Those in their place.
    pub after: Terms,
    /// The lines that move seats of such tickets.
    pub moving: Vec<Moving>,
}

/// What is to be said.
#[derive(Default)]
pub struct Planned {
    /// Which terms lead to which.
    pub pairs: Vec<Pair>,
    /// How many tickets that does not reach: terms that no article sells any more lead only to such as one sells.
    pub beyond: u64,
    /// The lines of the file that were moved before, by such a change as this.
    pub done: HashSet<usize>,
}

/// What a change says of each ticket: by flags, by the zones that they name, by the lines of a file.
pub type Wanted<'a> = (&'a ChangeFlags, Option<&'a [u64]>, &'a [Moving]);

/// Plans it.
pub fn planned(
    issuer: &Issuer<SqliteVault>,
    (known, event): (&Value, &Value),
    sold: &[Sold],
    (flags, zones, moving): Wanted<'_>,
) -> Result<Planned, Failure> {
    let (id, mut plan) = (event_id(event)?, Planned::default());
    let changes = list(known, "changes").iter().filter(|change| cell(change, "event") == cell(event, "event"));
    let replaced_before: HashSet<String> = changes.map(|change| cell(change, "before")).collect();
    for one in sold {
        let lines: Vec<Moving> = moving.iter().filter(|line| Some(line.from.article) == one.article).cloned().collect();
        let named = (!lines.is_empty()).then(|| seating(&lines, flags.again));
        let after = match replaced(&one.terms, (flags, zones), named) {
            Err(failure) if one.now => return Err(failure),
            after => after.ok(),
        };
        let Some(after) = after else {
            plan.beyond = plan.beyond.saturating_add(holders(event, &one.terms));
            continue;
        };
        let moved = issuer.moved_into(id, after.handle())?;
        let (done, left): (Vec<Moving>, Vec<Moving>) =
            lines.into_iter().partition(|line| moved.contains(&(line.from.seat, line.to.seat)));
        plan.done.extend(done.iter().map(|line| line.line));
        let same = |terms: &Terms| after.handle() == terms.handle();
        if same(&one.terms) {
            continue;
        }
        if one.now && replaced_before.contains(&after.handle().to_string()) {
            return fail(never_back(flags, &one.terms));
        }
        let first = !plan.pairs.iter().any(|pair| same(&pair.after));
        if !one.now && first && !sold.iter().any(|to| to.now && same(&to.terms)) {
            plan.beyond = plan.beyond.saturating_add(holders(event, &one.terms));
            continue;
        }
        let moving = moved_by(event, (&one.terms, first), &left);
        plan.pairs.push(Pair { before: one.terms.clone(), after, moving });
    }
    Ok(plan)
}

/// What is said where nothing would change.
pub fn nothing(flags: &ChangeFlags) -> String {
    match &flags.seats {
        Some(_) => format!(
            "nothing would change: the tickets have these moves already. To move the same seats once more, such as back again, say --again {}",
            once_more(flags)
        ),
        None => {
            "nothing would change; say what does: --from, --until, --place, --zones, --called or --seats".to_owned()
        }
    }
}

/// What is said where tickets would have terms again that a change has replaced.
fn never_back(flags: &ChangeFlags, terms: &Terms) -> String {
    let how = match &flags.seats {
        Some(_) => format!("say --again {}, so that these moves are others than those before", once_more(flags)),
        None => "let something differ, such as --until by a minute".to_owned(),
    };
    format!(
        "tickets for '{}' had the very same terms before, and do not go back to what a change has replaced: {how}",
        terms.name
    )
}

/// The number under which the same moves are made once more.
fn once_more(flags: &ChangeFlags) -> u64 {
    flags.again.map_or(2, |again| again.saturating_add(1))
}

/// What is said of tickets that were sold before their category was listed with other terms.
pub fn beyond_reach(tickets: u64) -> String {
    format!(
        "{tickets} tickets were sold before their category was listed with other terms: this does not reach them. Only to cancel the \
         event does."
    )
}

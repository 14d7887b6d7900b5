//! Events changed and cancelled, on the command line: the promoter's side and the holder's.

use super::event::read;
use super::moved::judged;
use super::planned::{Pair, Planned, beyond_reach, event_id, holders, nothing, planned, sold};
use super::statement::{cell, list};
use crate::csv::csv;
use crate::flags::{ChangeCommand, ChangeFlags, Silence};
use crate::place::{Opened, Place, now};
use crate::screen::{Answer, Failure, bold, fail, table};
use serde_json::{Value, json};
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_core::talk::event::{ChangeOutcome, EventPlan};
use tegata_core::{CardId, Time};
use tegata_issuer::{Finished, Issuer, IssuerError, Moving, Replacing, Wording, in_order, read_moves};
use tegata_vault::SqliteVault;
use tegata_wallet::{ChangedTicket, Wallet};

/// What a promoter does.
pub fn run(place: &Place, name: &str, command: &ChangeCommand) -> Result<Answer, Failure> {
    match command {
        ChangeCommand::Change(flags) => change(place, name, flags),
        ChangeCommand::Cancel { event, text, dry_run } => cancel(place, name, event, text, *dry_run),
        ChangeCommand::Changes { csv, retry } => changes(place, name, *csv, *retry),
    }
}

/// The provider's report of what a change would concern, and of those under way.
fn report(place: &Place, opened: &mut Opened<Issuer<SqliteVault>>) -> Result<Value, Failure> {
    let content = opened.part.changes(&mut place.post()?, now())?;
    Ok(serde_json::from_str(&content)?)
}

/// The event of that id or name, as the report has it.
fn event<'a>(report: &'a Value, named: &str) -> Result<&'a Value, Failure> {
    let found: Vec<&Value> = list(report, "events")
        .iter()
        .filter(|event| cell(event, "event") == named || cell(event, "name") == named)
        .collect();
    match found.as_slice() {
        [one] if one.get("cancelled").is_some_and(Value::is_number) => {
            fail(format!("'{named}' is cancelled already; `changes` shows how far that is"))
        }
        [one] => Ok(one),
        [] => fail(format!("no event of yours is called '{named}'; `event show` lists them")),
        _ => fail(format!("several events are called '{named}'; name it by its id, as `event show` has it")),
    }
}

/// What it concerns, before anything happens: whose money goes back, by whom, and whose stays in dispute. A change keeps those who were
/// let in.
fn concerns<'a>(event: &Value, terms: impl Iterator<Item = &'a Terms>, cancels: bool) -> (String, Value) {
    let handles: Vec<String> = terms.map(|terms| terms.handle().to_string()).collect();
    let of_these: Vec<Value> =
        list(event, "terms").iter().filter(|sold| handles.contains(&cell(sold, "terms"))).cloned().collect();
    let rows: Vec<Vec<String>> = of_these
        .iter()
        .map(|sold| {
            vec![
                cell(sold, "name"),
                cell(sold, "holders"),
                cell(sold, "came"),
                cell(sold, "by_bank"),
                cell(sold, "by_hand"),
                cell(sold, "disputed"),
                money(sold, if cancels { "money" } else { "unused_money" }),
                money(sold, "disputed_money"),
            ]
        })
        .collect();
    let head = [
        "tickets",
        "holders",
        "were let in",
        "by the bank",
        "by hand",
        "in dispute",
        if cancels { "money by the bank" } else { "money, if all decline who were not let in" },
        "money in dispute",
    ];
    let disputed = of_these.iter().filter_map(|sold| sold["disputed"].as_u64()).fold(0, u64::saturating_add);
    let told = (disputed > 0).then(|| {
        format!(
            "{disputed} of them stay in dispute: they were shown from two wallets or given twice, or their bank never paid. The provider's \
             operator decides about these."
        )
    });
    let text = std::iter::once(table(&head, &rows)).chain(told).collect::<Vec<_>>().join("\n");
    (text, json!({ "concerns": of_these }))
}

/// Tickets among these whose holders have not answered an earlier change.
fn unanswered(concerns: &Value) -> Option<String> {
    let counts = list(concerns, "concerns").iter().filter_map(|sold| sold["unanswered"].as_u64());
    let tickets = counts.fold(0_u64, u64::saturating_add);
    (tickets > 0).then(|| {
        format!("{tickets} of them have not answered an earlier change yet: this one takes its place for them.")
    })
}

fn money(row: &Value, name: &str) -> String {
    let sums = list(row, name).iter().map(|sum| format!("{} {}", cell(sum, "amount"), cell(sum, "currency")));
    sums.collect::<Vec<_>>().join(", ")
}

/// The plan of an event, as this device has it.
fn plan_of(issuer: &Issuer<SqliteVault>, event: &Value) -> Result<EventPlan, Failure> {
    Ok(issuer.event(&cell(event, "event"))?)
}

/// The hashes of the changes that the provider has.
fn recorded(known: &Value) -> HashSet<String> {
    list(known, "changes").iter().map(|change| cell(change, "change")).collect()
}

/// The report, once all is finished that was cut off of this event, and what that was: nothing can be planned before. A dry run finishes
/// nothing, and a change no cancellation: everyone would be paid back by a command that says nothing of it.
fn caught_up(
    place: &Place,
    opened: &mut Opened<Issuer<SqliteVault>>,
    (named, cancels, dry_run): (&str, bool, bool),
) -> Result<(Value, Vec<Finished>), Failure> {
    let known = report(place, opened)?;
    let (id, recorded) = (Some(event_id(event(&known, named)?)?), recorded(&known));
    let left = opened.part.unfinished(id, &recorded)?;
    if !cancels && left.iter().any(|change| change.claimed().after.is_none()) {
        return fail(format!(
            "a cancellation of '{named}' was cut off before the provider had it: `cancel` (or `changes --retry`) finishes it, and everyone is \
             paid back; it cannot be taken back, since it may still arrive. Nothing was changed."
        ));
    }
    match left.len() {
        0 => Ok((known, Vec::new())),
        cut_off if dry_run => fail(format!(
            "{cut_off} changes of '{named}' were cut off before the provider had them. The same without --dry-run finishes these first, as \
             `changes --retry` does; what another one would concern can be said after that. Nothing was changed."
        )),
        _ => {
            let finished = opened.part.finish(&mut place.post()?, id, &recorded, now())?;
            Ok((report(place, opened)?, finished))
        }
    }
}

/// Says first what was finished first.
fn after(finished: &[Finished], done: Result<Answer, Failure>) -> Result<Answer, Failure> {
    if finished.is_empty() {
        return done;
    }
    let told = finished.iter().map(|one| match &one.refused {
        None => format!("A change that was cut off was finished first, as it was signed: {}", one.change.text),
        Some(refused) => {
            format!(
                "A change that was cut off was said again, and refused ({}): nothing of it holds, and what is on sale (`articles`) is as it was.",
                refused.told()
            )
        }
    });
    let told = told.collect::<Vec<_>>().join("\n");
    match done {
        Ok(mut answer) => {
            answer.json["finished"] = finished.iter().map(finished_json).collect();
            Ok(Answer::new(format!("{told}\n{}", answer.text), answer.json))
        }
        Err(Failure(text, json)) => Err(Failure(format!("{told}\n{text}"), json)),
    }
}

fn finished_json(one: &Finished) -> Value {
    json!({
        "text": one.change.text,
        "before": one.change.before.to_string(),
        "cancels": one.change.after.is_none(),
        "refused": one.refused.as_ref().map(|refused| refused.told()),
    })
}

fn change(place: &Place, name: &str, flags: &ChangeFlags) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let (known, finished) = caught_up(place, &mut opened, (&flags.event, false, flags.dry_run))?;
    let done = changed(place, (name, &mut opened), &known, (flags, !finished.is_empty()));
    after(&finished, done)
}

/// Says what is left to be said; `resumed`: where nothing is, what was finished was all.
fn changed(
    place: &Place,
    (name, opened): (&str, &mut Opened<Issuer<SqliteVault>>),
    known: &Value,
    (flags, resumed): (&ChangeFlags, bool),
) -> Result<Answer, Failure> {
    let event = event(known, &flags.event)?;
    let sold = sold(&opened.part, event, flags.article)?;
    let zones = flags.zones.as_deref().map(|named| opened.part.zones(&cell(event, "event"), named)).transpose()?;
    let moving = match &flags.seats {
        Some(file) => read_moves(&read(file)?, &plan_of(&opened.part, event)?.seats).map_err(IssuerError::from)?,
        None => Vec::new(),
    };
    let plan = planned(&opened.part, (known, event), &sold, (flags, zones.as_deref(), &moving))?;
    let Planned { pairs, beyond, done } = plan;
    if pairs.is_empty() && !resumed {
        return fail(if beyond > 0 { beyond_reach(beyond) } else { nothing(flags) });
    }
    let parts: Vec<&[Moving]> = pairs.iter().map(|pair| pair.moving.as_slice()).collect();
    let (with, without) = judged(event, &parts, (&moving, &done))?;
    let (text, mut json) = concerns(event, pairs.iter().map(|pair| &pair.before), false);
    let told = (beyond > 0).then(|| beyond_reach(beyond));
    json["beyond"] = beyond.into();
    json["seats_moved"] = with.into();
    json["seats_empty"] = without.into();
    json["seats_done"] = done.len().into();
    let progress = format!("how far it is: tegata issuer {name} changes");
    if pairs.is_empty() {
        let lines = [format!("Nothing else is left to be changed; {progress}")].into_iter().chain(told);
        return Ok(Answer::new(lines.collect::<Vec<_>>().join("\n"), json));
    }
    let seats = (with + without > 0).then(|| {
        format!(
            "{with} seats that people have are moved, and {without} that nobody has. Whichever of them nobody is moved onto is not sold any \
             more."
        )
    });
    let moved = (!done.is_empty()).then(|| format!("{} lines of the file were moved before.", done.len()));
    let lines = [text].into_iter().chain(seats).chain(moved).chain(unanswered(&json)).chain(told);
    let text = lines.collect::<Vec<_>>().join("\n");
    if flags.dry_run {
        return Ok(Answer::new(format!("{text}\nNothing was changed."), json));
    }
    let wording = Wording {
        text: flags.text.clone(),
        answer_until: now().time.after(flags.answer_days.saturating_mul(Time::DAY)),
        silence_refunds: flags.silence == Silence::Refunds,
    };
    let replacing = |Pair { before, after, moving }| Replacing {
        before,
        after: Some(after),
        moves: (!moving.is_empty()).then(|| in_order(&moving)),
    };
    let all: Vec<Replacing> = pairs.into_iter().map(replacing).collect();
    opened.part.change_all(&mut place.post()?, &all, &wording, now())?;
    let until = super::moment(wording.answer_until);
    let text = format!("{text}\nHolders are told by their next update and may answer until {until}; {progress}");
    Ok(Answer::new(text, json))
}

fn cancel(place: &Place, name: &str, named: &str, wording: &str, dry_run: bool) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let (known, finished) = caught_up(place, &mut opened, (named, true, dry_run))?;
    let done = cancelled(place, (name, &mut opened), (&known, &finished), (named, wording, dry_run));
    after(&finished, done)
}

fn cancelled(
    place: &Place,
    (name, opened): (&str, &mut Opened<Issuer<SqliteVault>>),
    (known, finished): (&Value, &[Finished]),
    (named, wording, dry_run): (&str, &str, bool),
) -> Result<Answer, Failure> {
    let over = format!("Cancelled. Everyone is paid back; how far that has come: tegata issuer {name} changes");
    // It was the cancellation itself that was cut off.
    let of = finished.first().map(|one| one.change.event.to_string());
    let events = list(known, "events").iter().filter(|event| Some(cell(event, "event")) == of);
    if events.filter_map(|event| event.get("cancelled")).any(Value::is_number) {
        return Ok(Answer::new(over, json!({ "concerns": [] })));
    }
    let event = event(known, named)?;
    let sold = sold(&opened.part, event, None)?;
    // Of what is not sold any more people hear only where somebody holds it; called off it is with all others.
    let heard = sold.iter().filter(|one| one.now || holders(event, &one.terms) > 0);
    let (text, json) = concerns(event, heard.map(|one| &one.terms), true);
    let text = [text].into_iter().chain(unanswered(&json)).collect::<Vec<_>>().join("\n");
    if dry_run {
        return Ok(Answer::new(format!("{text}\nNothing was cancelled."), json));
    }
    let wording = Wording { text: wording.to_owned(), answer_until: now().time, silence_refunds: true };
    let all: Vec<Replacing> =
        sold.into_iter().map(|one| Replacing { before: one.terms, after: None, moves: None }).collect();
    opened.part.change_all(&mut place.post()?, &all, &wording, now())?;
    Ok(Answer::new(format!("{text}\n{over}"), json))
}

/// How many digits of a change's hash people see: enough to tell their own apart.
const SHORT: usize = 12;

/// The columns that count a change's tickets, and the fields that they show.
const COLUMNS: [(&str, &str); 13] = [
    ("tickets", "tickets"),
    ("waiting", "waiting"),
    ("told", "told"),
    ("accepted", "accepted"),
    ("declined", "declined"),
    ("silent: accepted", "silent_accepted"),
    ("silent: refunded", "silent_refunded"),
    ("cancelled", "cancelled"),
    ("let in before", "kept"),
    ("over before", "over"),
    ("superseded", "superseded"),
    ("failed", "failed"),
    ("seats moved", "seats_moved"),
];

/// The columns that sum the money of who goes back, and the fields that they show.
const MONEY: [(&str, &str); 5] = [
    ("money paid back", "paid_money"),
    ("on its way", "asked_money"),
    ("money later", "later_money"),
    ("refused", "refused_money"),
    ("money in dispute", "disputed_money"),
];

fn changes(place: &Place, name: &str, as_csv: bool, retry: bool) -> Result<Answer, Failure> {
    let mut opened = place.issuer(name)?;
    let mut known = report(place, &mut opened)?;
    let mut finished = Vec::new();
    if retry {
        finished = opened.part.finish(&mut place.post()?, None, &recorded(&known), now())?;
        for change in list(&known, "changes").iter().filter(|change| cell(change, "failed") != "0") {
            opened.part.change_again(&mut place.post()?, &cell(change, "change"), now())?;
        }
        known = report(place, &mut opened)?;
    }
    let cut_off = opened.part.unfinished(None, &recorded(&known))?.len();
    known["cut_off"] = cut_off.into();
    let rows: Vec<Vec<String>> = list(&known, "changes")
        .iter()
        .map(|change| {
            let refunds = change.get("refunds").cloned().unwrap_or_default();
            let cancels = change.get("cancels").and_then(Value::as_bool).unwrap_or(false);
            let mut named = cell(change, "change");
            if !as_csv {
                named.truncate(SHORT);
            }
            let what = if cancels { "cancelled" } else { "changed" }.to_owned();
            let mut row = vec![cell(change, "name"), what, cell(change, "category"), named];
            row.extend(COLUMNS.iter().map(|(_, field)| cell(change, field)));
            row.extend(["paid", "asked", "later", "refused"].map(|field| cell(&refunds, field)));
            row.push(cell(change, "by_hand"));
            row.push(cell(&refunds, "disputed"));
            row.extend(MONEY.map(|(_, field)| money(&refunds, field)));
            row.push(state(change));
            row
        })
        .collect();
    let mut head = vec!["event", "what", "category", "change"];
    head.extend(COLUMNS.iter().map(|(head, _)| *head));
    // Who goes back stands in one of these.
    head.extend(["paid back", "asked of the bank", "later", "refused by the bank", "to be paid by hand", "in dispute"]);
    head.extend(MONEY.map(|(head, _)| head));
    head.push("state");
    let text = match (rows.is_empty(), as_csv) {
        (true, false) => "Nothing was changed or cancelled yet.".to_owned(),
        (_, true) => csv(&head, &rows),
        (_, false) => narrow(&head, &rows),
    };
    let cut_off = (cut_off > 0 && !as_csv).then(|| {
        format!("{cut_off} changes more were cut off before the provider had them: `changes --retry` finishes them.")
    });
    let text = [text].into_iter().chain(cut_off).collect::<Vec<_>>().join("\n");
    // A table stays one.
    let first: &[Finished] = if as_csv { &[] } else { &finished };
    after(first, Ok(Answer::new(text, known)))
}

/// The table without columns that say nothing in any row.
fn narrow(head: &[&str], rows: &[Vec<String>]) -> String {
    let says = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty() && cell != "0"));
    let kept = |at: &usize| says(*at);
    let heads: Vec<&str> = (0..head.len()).filter(kept).map(|at| head[at]).collect();
    let cells = |row: &Vec<String>| (0..row.len()).filter(kept).map(|at| row[at].clone()).collect::<Vec<_>>();
    table(&heads, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Whether a change is over: tickets by number that are not installed yet may still come.
fn state(change: &Value) -> String {
    let ended = change.get("ended").is_some_and(Value::is_number);
    match (ended, change["to_come"].as_u64().unwrap_or(0)) {
        (false, _) => "under way".to_owned(),
        (true, 0) => "over".to_owned(),
        (true, numbers) => format!("over but for {numbers} by number"),
    }
}

/// A holder's changes, old beside new.
pub fn list_changes(place: &Place, name: &str) -> Result<Answer, Failure> {
    let changes = place.wallet(name)?.part.changes()?;
    let text = match changes.as_slice() {
        [] => format!("No ticket of yours was changed, as far as this wallet has heard: tegata wallet {name} update"),
        all => all.iter().map(|change| told(name, change)).collect::<Vec<_>>().join("\n"),
    };
    Ok(Answer::new(text, json!({ "changes": changes.iter().map(shown).collect::<Vec<_>>() })))
}

fn lines(terms: &Terms) -> String {
    match &terms.ticket {
        Some(ticket) => format!(
            "{}, {}, doors {} to {}",
            terms.name,
            ticket.place,
            super::moment(ticket.from),
            super::moment(ticket.until)
        ),
        None => terms.name.clone(),
    }
}

fn stands(outcome: ChangeOutcome, bought: bool) -> &'static str {
    match outcome {
        ChangeOutcome::Taken => "the new ticket is yours",
        ChangeOutcome::Refunded if bought => "it is over, and paid back",
        ChangeOutcome::Refunded => {
            "it is over; this wallet did not buy it over the network: ask for the money where it was bought"
        }
        ChangeOutcome::Kept => "you were let in with it: it goes on under the new terms",
        ChangeOutcome::Over => {
            "this question is over: you had given the ticket back, or a later change has come; update to hear of it"
        }
        ChangeOutcome::Failed => "the provider has to look at it; ask its operator",
    }
}

/// What stands on the seat that a ticket had, and on the one in its place, where it is moved.
fn seats(change: &ChangedTicket) -> Option<(String, String)> {
    let moved = change.offered.changed.seat.as_ref()?;
    let named = |name: &Option<String>, number: u64| name.clone().unwrap_or_else(|| format!("number {number}"));
    Some((named(&moved.was, moved.from), named(&moved.name, moved.to)))
}

fn told(name: &str, change: &ChangedTicket) -> String {
    let said = &change.offered.changed;
    let (was, now) = seats(change).unwrap_or_default();
    let before = change.before.as_ref().map_or_else(|| "not known any more".to_owned(), lines);
    let after = match (&said.after, change.comes_back) {
        (Some(after), _) => lines(after),
        (None, Some(amount)) => format!("cancelled, {amount} comes back"),
        (None, None) => "cancelled".to_owned(),
    };
    let ends = match change.stands {
        Some(outcome) => stands(outcome, change.bought).to_owned(),
        None if change.offered.answer.is_some() => {
            "answered; the provider has not said yet how it stands: answer again the same".to_owned()
        }
        None => format!(
            "answer until {}: tegata wallet {name} accept {} (or decline). Whoever says nothing {}",
            super::moment(said.answer_until),
            said.card,
            if said.silence_refunds { "is paid back" } else { "has the new ticket" }
        ),
    };
    let seat = |name: String| if name.is_empty() { name } else { format!(", seat {name}") };
    let (before, after) = (before + &seat(was), after + &seat(now));
    format!("{}\n  {}\n  was: {before}\n  now: {after}\n  {ends}", bold(said.card.to_string()), said.text)
}

/// Changes that nobody has answered, and what became of others since `before`, for people and programs.
pub fn news(
    name: &str,
    wallet: &Wallet<SqliteVault>,
    before: &[ChangedTicket],
) -> Result<(Vec<String>, Vec<Value>), Failure> {
    let open = |change: &ChangedTicket| change.stands.is_none() && change.offered.answer.is_none();
    let alike = |one: &ChangedTicket, other: &ChangedTicket| {
        let of = |change: &ChangedTicket| (change.offered.changed.card, change.offered.changed.change, change.stands);
        of(one) == of(other)
    };
    let is_news = |change: &ChangedTicket| open(change) || !before.iter().any(|known| alike(known, change));
    let changes: Vec<ChangedTicket> = wallet.changes()?.into_iter().filter(is_news).collect();
    Ok((changes.iter().map(|change| told(name, change)).collect(), changes.iter().map(shown).collect()))
}

/// How a ticket stands whose event was changed before it was installed.
pub fn of_ticket(name: &str, wallet: &Wallet<SqliteVault>, card: CardId) -> Option<String> {
    wallet.change(card).map(|change| told(name, &change))
}

fn shown(change: &ChangedTicket) -> Value {
    let said = &change.offered.changed;
    let terms = |terms: &Terms| {
        let ticket = terms.ticket.as_ref();
        json!({
            "name": terms.name,
            "place": ticket.map(|ticket| ticket.place.clone()),
            "from": ticket.map(|ticket| ticket.from.0),
            "until": ticket.map(|ticket| ticket.until.0),
        })
    };
    let (was, now) = seats(change).unzip();
    json!({
        "seat_before": was,
        "seat_after": now,
        "ticket": said.card.to_string(),
        "text": said.text,
        "before": change.before.as_ref().map(terms),
        "after": said.after.as_ref().map(terms),
        "answer_until": said.answer_until.0,
        "silence_refunds": said.silence_refunds,
        "answered": change.offered.accepts(),
        "stands": change.stands.map(ChangeOutcome::name),
        "comes_back": change.comes_back.map(|amount| amount.decimal().to_string()),
        "currency": change.comes_back.map(|amount| amount.unit().name()),
    })
}

/// A holder takes the new ticket, or its money back.
pub fn answer(place: &Place, name: &str, ticket: &str, accept: bool) -> Result<Answer, Failure> {
    let Some(card) = CardId::parse(ticket) else {
        return fail(format!("'{ticket}' names no ticket; it is card- and 32 digits, as `changes` shows it"));
    };
    let (mut opened, mut post) = place.online(name)?;
    let outcome = opened.part.answer_change(&mut post, card, accept, now())?;
    let bought = opened.part.change(card).is_some_and(|change| change.bought);
    let json = json!({ "ticket": ticket, "accept": accept, "stands": outcome.name() });
    Ok(Answer::new(format!("{ticket}: {}.", stands(outcome, bought)), json))
}

//! Exceptions as an operator reads them: what happened, to which card and where, and what to do next, in a sentence each. Where the
//! provider knows no name, the first digits of an id stand for it. Decides nothing and changes nothing.

use crate::ProviderError;
use crate::desk::Failure;
use crate::directory::Directory;
use crate::enter::planned;
use crate::report;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use tegata_core::talk::enter::Admitted;
use tegata_core::talk::event::EventPlan;
use tegata_core::wire::certificate::Subject;
use tegata_core::{Amount, CardId, DeviceId, EventId};
use tegata_store::{ExceptionKind, ExceptionRow, Store};

/// Each with both records, names and words.
pub(crate) fn told(store: &Store, directory: &Directory, rows: &[ExceptionRow]) -> Result<Vec<Value>, ProviderError> {
    let mut plans = BTreeMap::new();
    for row in store.all_planned()? {
        plans.insert(row.event, planned(&row).map_err(Failure::into_error)?);
    }
    let names = Names { store, directory, plans };
    rows.iter().map(|row| names.told(row)).collect()
}

/// What the provider calls things.
struct Names<'a> {
    store: &'a Store,
    directory: &'a Directory,
    plans: BTreeMap<EventId, EventPlan>,
}

/// What one exception is about, by name.
struct About {
    /// The card, as it stands in a sentence.
    card: String,
    is_ticket: bool,
    /// A ticket's event.
    event: Option<String>,
    /// The device whose record showed it, as it stands in a sentence.
    device: String,
    /// The same, as commands name it.
    device_id: String,
    /// The gates where a ticket was shown.
    gates: String,
    money: String,
}

/// As many digits of an id as tell it from others at a glance.
fn short(id: &impl Display) -> String {
    let text = id.to_string();
    let digits = text.find('-').map_or(8, |dash| dash + 9);
    text.chars().take(digits).collect()
}

impl Names<'_> {
    fn told(&self, row: &ExceptionRow) -> Result<Value, ProviderError> {
        let about = self.about(row)?;
        let (says, next) = words(row, &about);
        let mut told = report::exception(row);
        told["says"] = says.into();
        told["next"] = next.into();
        told["about"] = json!({ "card": about.card, "event": about.event, "device": about.device });
        Ok(told)
    }

    fn about(&self, row: &ExceptionRow) -> Result<About, ProviderError> {
        let (card, is_ticket, event) = match row.card {
            Some(card) => self.card(card)?,
            None => ("what was bought or paid".to_owned(), false, None),
        };
        let money = row.amount.and_then(|(unit, minor)| Amount::new(unit, minor));
        Ok(About {
            card,
            is_ticket,
            event,
            device: row.device.map_or_else(|| Ok("a device".to_owned()), |device| self.device(device))?,
            device_id: row.device.map_or_else(|| "DEVICE".to_owned(), |device| device.to_string()),
            gates: self.gates(row)?,
            money: money.map_or_else(|| "an amount that nobody has named".to_owned(), |money| money.to_string()),
        })
    }

    /// A card as it stands in a sentence; whether it is a ticket, and of which event.
    fn card(&self, id: CardId) -> Result<(String, bool, Option<String>), ProviderError> {
        let named = self.store.card(id)?.and_then(|card| self.directory.terms.get(&card.terms));
        let name = named.map_or_else(String::new, |terms| format!(" '{}'", terms.name));
        let Some(ticket) = self.store.ticket(id)? else {
            return Ok((format!("card{name} ({})", short(&id)), false, None));
        };
        let plan = self.plans.get(&ticket.event);
        let seat = ticket.seat.map_or_else(String::new, |number| {
            let seat = plan.and_then(|plan| plan.seats.iter().find(|seat| seat.seat == number));
            seat.map_or_else(|| format!(", seat {number}"), |seat| format!(", seat {number}: {}", seat.name))
        });
        let event = plan.map_or_else(|| short(&ticket.event), |plan| plan.name.clone());
        Ok((format!("ticket{name} ({}{seat}) for '{event}'", short(&id)), true, Some(event)))
    }

    /// A device as it stands in a sentence.
    fn device(&self, id: DeviceId) -> Result<String, ProviderError> {
        let known = self.store.participant(Subject::from(id))?;
        Ok(known.map_or_else(|| short(&id), |known| format!("{} '{}'", known.role.name().to_lowercase(), known.name)))
    }

    /// The gates where a ticket was shown for the entry at hand; of one that came in twice, those that let it in.
    fn gates(&self, row: &ExceptionRow) -> Result<String, ProviderError> {
        let mut gates = BTreeSet::new();
        if let Some(card) = row.card {
            for shown in self.store.admissions_by(card)?.iter().filter(|shown| row.seq == Some(shown.entry)) {
                let counts = match row.kind {
                    ExceptionKind::CameTwice => shown.done == Admitted::In,
                    _ => row.generation == Some(shown.generation),
                };
                if counts {
                    gates.insert(self.device(shown.gate)?);
                }
            }
        }
        Ok(match gates.is_empty() {
            true => "a gate".to_owned(),
            false => gates.into_iter().collect::<Vec<_>>().join(" and "),
        })
    }
}

/// What happened, and what to do next.
fn words(row: &ExceptionRow, about: &About) -> (String, String) {
    let About { card, device, device_id, gates, money, is_ticket, .. } = about;
    let convicted = "both records are the proof; claim from its holder what others have lost";
    let look = format!("have that device looked at; where it goes on, end it: tegata provider revoke {device_id}");
    match row.kind {
        ExceptionKind::MissingTerminalRecord => (
            format!("{card} paid {money} at {device}, which has not brought its own record in the time that the terms give"),
            format!("have it updated; where it is lost, revoke it: tegata provider revoke {device_id}"),
        ),
        ExceptionKind::MissingWalletRecord => (
            format!("{device} was paid {money} by {card}, whose wallet has not brought its own record in the time that the terms give"),
            "nothing: the terminal's record counts, and the wallet's next update explains it".to_owned(),
        ),
        ExceptionKind::Fork => (
            format!(
                "{card} has two signed histories: its wallet was copied, or an old copy was put back, and both were used; its holder is \
                 convicted, and it is blocked"
            ),
            convicted.to_owned(),
        ),
        ExceptionKind::Altered => (
            format!(
                "what is signed of {card} does not follow from what it held, or was given, before; its holder is convicted, and it is blocked"
            ),
            convicted.to_owned(),
        ),
        ExceptionKind::Overspent => (
            format!("{money} more was spent of {card} than it held; its guarantor stands in for that"),
            "claim it from its holder; what still comes to the card repays it first".to_owned(),
        ),
        ExceptionKind::Late if *is_ticket => (
            format!("{device} told of {card} being given on when it was blocked or put back already; that does not count"),
            "hear both people; whoever took it in good faith can have another one from the promoter".to_owned(),
        ),
        ExceptionKind::Late => (
            format!("{device} brought its record of {money} by {card} later than the terms allow, and the money is gone; nothing is paid"),
            "decide by the record whether somebody is paid by hand".to_owned(),
        ),
        ExceptionKind::AfterBlock => (
            format!("{device} took {money} of {card} although the list that it held names that card; it is not paid"),
            look,
        ),
        ExceptionKind::OverLimit => {
            (format!("{device} took {money} of {card} at once, which its terms do not allow; it is not paid"), look)
        }
        ExceptionKind::DoubleClaim => {
            (format!("{device} claims one charge twice, the second time by {card}; the first one counts"), look)
        }
        ExceptionKind::Mispriced => (
            format!(
                "{device} charged a call of {card} otherwise than the issuer's tariff says, and signed that; it is not paid for it"
            ),
            look,
        ),
        ExceptionKind::Malformed if row.bearer == "processor" => (
            format!("the processor signed something about {card} that is no answer to what it was asked; nothing was done by it"),
            "compare with the processor's and the bank's books before anybody is paid for it".to_owned(),
        ),
        ExceptionKind::Malformed => {
            (format!("{device} has brought an entry of its log that does not prove what it says; it counts for nothing"), look)
        }
        ExceptionKind::Restored => (
            format!("{device} brought value of {card} that this provider's backup did not have; the provider's own signature proves it"),
            "nothing, if the provider was put back from a backup; else find out who else has its keys".to_owned(),
        ),
        ExceptionKind::Unpaid => (
            format!("the bank refused {money} for {card} after it was delivered; it is blocked"),
            "its issuer bears the loss, and may claim it from its buyer".to_owned(),
        ),
        ExceptionKind::Unreturned => unreturned(row, about),
        ExceptionKind::Cloned => (
            format!(
                "{card} was shown from two wallets for one entry, at {gates}: its holder is convicted, it is blocked, and gates hear of it by \
                 their next update"
            ),
            "both presentations are the proof; nothing of it is paid back, nor issued anew, before a person has decided".to_owned(),
        ),
        ExceptionKind::CameTwice => (
            format!(
                "{card} came in twice for one entry, at {gates}; that is no proof of a fraud: its wallet had told the second gate of the \
                 first, or one code stood before two cameras, or before one that it was tapped at, too"
            ),
            "ask the staff there how many people came in by it; nothing has to be paid".to_owned(),
        ),
        ExceptionKind::BeyondTerms => (
            format!("{device} let {card} in beyond its terms, since it had not heard how often that came in, or that it is over"),
            "give that gate its neighbours' addresses and have it updated more often; the loss is the promoter's".to_owned(),
        ),
        ExceptionKind::GivenTwice => (
            format!(
                "{card} was given to two people, or given and used up otherwise, by copies of one wallet: whoever gave it is convicted, and \
                 what was told of first stands"
            ),
            "both hand-overs are the proof; whoever came second turns to the giver, or is let in by the promoter's staff".to_owned(),
        ),
        ExceptionKind::UsedAfterGiven => (
            format!(
                "{card} came in at {device} by its giver's wallet, or a copy of it, after it was given on, so that whoever received it may \
                 have been refused"
            ),
            "the hand-over and the entry are signed by the same key: have the receiver let in by the promoter's staff, and hear the giver; a gate's \
             clock that is wrong would look the same"
                .to_owned(),
        ),
    }
}

/// What did not go back by itself: because of the bank, of the provider's own fault, or since it was not paid by credit.
fn unreturned(row: &ExceptionRow, About { card, money, is_ticket, .. }: &About) -> (String, String) {
    match (row.bearer, *is_ticket) {
        ("processor", _) => (
            format!("the bank did not pay back {money} for {card}"),
            "pay it to the buyer in another way, and take it up with the processor".to_owned(),
        ),
        ("provider", _) => (
            format!("the turn of {card} in a change of its event failed, so that its holder has neither the new ticket nor the money"),
            "its promoter gives it another turn: tegata issuer NAME changes --retry; where that fails again, it is paid back by hand"
                .to_owned(),
        ),
        (_, true) => (
            format!(
                "{card} went back and was not paid back by itself: it was sold over a counter, or had let somebody in, or its terms or its \
                 holder's fraud stand against it"
            ),
            "whoever sold it decides, and pays it back by hand where that is owed".to_owned(),
        ),
        (_, false) => (
            format!("{card} was given back with {money} on it that was not paid by bank card, or that its terms do not refund"),
            "its issuer pays its holder by hand where that is owed".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::Time;

    #[test]
    fn every_kind_says_what_happened_to_which_card_and_what_to_do() {
        for (kind, is_ticket) in ExceptionKind::ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
            for bearer in ["holder", "issuer", "provider", "processor"] {
                let row = ExceptionRow {
                    number: 1,
                    kind,
                    at: Time(1),
                    open: true,
                    device: None,
                    merchant: None,
                    issuer: None,
                    card: None,
                    generation: None,
                    seq: None,
                    check: None,
                    amount: None,
                    bearer,
                    wallet_record: None,
                    terminal_record: None,
                };
                let about = About {
                    card: "THE CARD".into(),
                    is_ticket,
                    event: None,
                    device: "THE DEVICE".into(),
                    device_id: "dev-0".into(),
                    gates: "THE GATES".into(),
                    money: "4.50 USD".into(),
                };
                let (says, next) = words(&row, &about);
                assert!(says.contains("THE CARD") || says.contains("THE DEVICE"), "{says}");
                assert!(!next.is_empty() && !says.contains("  ") && !next.contains("  "), "{says} {next}");
            }
        }
    }

    #[test]
    fn ids_are_cut_to_what_people_compare() {
        assert_eq!(short(&CardId([0xa7; 16])), "card-a7a7a7a7");
        assert_eq!(short(&EventId([0x01; 16])), "event-01010101");
    }
}

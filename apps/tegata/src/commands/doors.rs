//! Which gates stand at an event's doors. The provider knows it, also of gates that have joined by a number; where it cannot be asked, the
//! promoter's own device says what it has ordered.

use super::statement::{cell, list};
use crate::place::{Place, now};
use crate::screen::{Failure, table};
use serde_json::{Value, json};
use tegata_core::EventId;
use tegata_core::talk::event::EventPlan;
use tegata_issuer::Issuer;
use tegata_vault::SqliteVault;

/// What the provider says of the event: its report, of which `gates`, `invited` and `cancelled` count here.
///
/// # Errors
/// It cannot be reached, or has not heard of the event.
pub fn told(place: &Place, issuer: &mut Issuer<SqliteVault>, event: EventId) -> Result<Value, Failure> {
    let content = issuer.report(&mut place.brief_post()?, &event.to_string(), now())?;
    Ok(serde_json::from_str(&content)?)
}

/// The same as far as this device knows: the gates that it has put in their place, and everybody it has ever invited.
pub fn ordered(issuer: &Issuer<SqliteVault>, event: EventId) -> Result<Value, Failure> {
    let gates = issuer.gates(event)?.into_iter().map(|gate| {
        let id = gate.gate.to_string();
        json!({ "gate": id, "door": gate.door, "direction": gate.direction.name() })
    });
    let invited = issuer
        .invited(event)?
        .into_iter()
        .map(|invite| json!({ "door": invite.door, "direction": invite.direction.name(), "until": invite.until.0 }));
    Ok(json!({ "gates": gates.collect::<Vec<_>>(), "invited": invited.collect::<Vec<_>>() }))
}

/// The doors of a plan, who stands there, and how many may yet join by a number.
pub fn shown(plan: &EventPlan, known: &Value) -> String {
    let rows = plan.doors.iter().map(|door| {
        let here = |one: &&Value| one["door"].as_u64() == Some(door.door);
        let gates = list(known, "gates").iter().filter(here).map(gate).collect::<Vec<_>>();
        let invited = list(known, "invited").iter().filter(here).count();
        vec![door.door.to_string(), door.name.clone(), zone(plan, door.zone), gates.join(", "), invited.to_string()]
    });
    table(&["door", "", "into", "gates", "invited by a number"], &rows.collect::<Vec<_>>())
}

/// A gate by its name, else its id, and which way it lets.
fn gate(gate: &Value) -> String {
    let named = cell(gate, "name");
    let named = if named.is_empty() { cell(gate, "gate") } else { named };
    format!("{named} ({})", if cell(gate, "direction") == "Out" { "out" } else { "in" })
}

/// A zone by its name; by its number, too, where there are several: tickets and wallets show that.
fn zone(plan: &EventPlan, number: u64) -> String {
    let named = plan.zones.iter().find(|zone| zone.zone == number).map_or("?", |zone| zone.name.as_str());
    match plan.zones.len() {
        0 | 1 => named.to_owned(),
        _ => format!("{named} (zone {number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::talk::event::{PlannedDoor, PlannedZone};
    use tegata_core::{PartyId, Time};

    #[test]
    fn each_door_says_who_stands_there_by_name_and_which_zone_is_which_number() {
        let zone = |zone, name: &str| PlannedZone { zone, name: name.into(), extensions: Default::default() };
        let door =
            |door, name: &str, zone| PlannedDoor { door, name: name.into(), zone, extensions: Default::default() };
        let plan = EventPlan {
            promoter: PartyId([1; 16]),
            event: EventId([2; 16]),
            revision: 1,
            name: "Concert".into(),
            place: "Town hall".into(),
            zones: vec![zone(1, "Hall"), zone(2, "Bar")],
            doors: vec![door(1, "North", 1), door(2, "South", 2)],
            seats: Vec::new(),
            at: Time(5),
            extensions: Default::default(),
        };
        let known = json!({
            "gates": [
                { "gate": "dev-1", "name": "west", "door": 1, "direction": "In" },
                { "gate": "dev-2", "door": 1, "direction": "Out" },
            ],
            "invited": [{ "door": 2, "direction": "In", "until": 9 }],
        });
        let told = shown(&plan, &known);
        let cells = |line: usize| told.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(cells(1), "1 North Hall (zone 1) west (in), dev-2 (out) 0");
        assert_eq!(cells(2), "2 South Bar (zone 2) 1");
    }
}

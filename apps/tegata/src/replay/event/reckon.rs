//! What came out of the evening, and whether it is what must.
#![allow(clippy::float_arithmetic)] // seconds, never money

use super::doors::Counted;
use super::gifts::Given;
use super::hall::Evening;
use super::play::CUT_OFF;
use crate::flags::EventFlags;
use crate::measure::rounded;
use crate::screen::{Answer, Failure, Screen, fail_with};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tegata_core::CardId;

impl Evening {
    /// What came out, and whether it is what must.
    pub fn reckoned(
        &self,
        flags: &EventFlags,
        screen: Screen,
        tickets: &[CardId],
        (mut counted, given, bought_again): (Counted, &Given, u64),
        started: Instant,
    ) -> Result<Answer, Failure> {
        let touched_again = counted.touched_again(&self.killed);
        let exceptions = self.provider.operator().ask(&json!({ "do": "exceptions" }))?;
        let exceptions = exceptions.get("exceptions").and_then(Value::as_array).cloned().unwrap_or_default();
        let kind = |row: &Value| row.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        let card = |row: &Value| row.get("card").and_then(Value::as_str).and_then(CardId::parse);
        let named: BTreeSet<CardId> = exceptions.iter().filter(|row| kind(row) == "cloned").filter_map(card).collect();
        let clones: BTreeSet<CardId> = tickets.iter().take(flags.clones.min(tickets.len() / 4)).copied().collect();
        let clones_named = named.intersection(&clones).count();
        let proven = |row: &Value| {
            let has = |name: &str| row.get(name).is_some_and(|record| !record.is_null());
            has("wallet_record") && has("terminal_record")
        };
        let mut unexplained = Vec::new();
        for row in exceptions.iter().filter(|row| row.get("open").and_then(Value::as_bool) != Some(false)) {
            let of_clone = card(row).is_some_and(|card| clones.contains(&card));
            if !of_clone || (kind(row) == "cloned" && !proven(row)) {
                unexplained.push(row.clone());
            }
        }
        let database = self.database();
        let recorded = recorded(&database)?;
        let audited = crate::audit::audit_file(&database)?;
        let (admitted, tickets) = (counted.admitted.len(), tickets.len());
        let gifts = given.gifts.iter().filter(|gift| counted.admitted.contains(&gift.ticket)).count();
        let differs = u64::from(recorded != admitted as u64) + u64::from(audited.difference.is_some());
        let clean = differs == 0
            && unexplained.is_empty()
            && admitted == tickets
            && counted.honest_refused == 0
            && counted.left == counted.returned
            // The bank says yes to everybody whom it is asked about.
            && (flags.kill || bought_again == 0)
            && counted.copies_admitted == 0
            && clones_named == clones.len()
            && (gifts, given.registered) == (given.gifts.len(), given.gifts.len())
            && counted.gift_copies_admitted == 0;
        let json = json!({
            "tickets": tickets,
            "gates": flags.gates,
            "admitted": admitted,
            "recorded": recorded,
            "copies": flags.copies,
            "copies_admitted": counted.copies_admitted,
            "clones": clones.len(),
            "clones_admitted": counted.clones_admitted,
            "clones_named": clones_named,
            "gifts": gifts,
            "gifts_registered": given.registered,
            "gift_copies": given.gifts.len(),
            "gift_copies_admitted": counted.gift_copies_admitted,
            "cut_off": {
                "gates": CUT_OFF,
                "admitted_meanwhile": counted.alone,
                "seconds": rounded(counted.cut_off.as_secs_f64(), 1),
            },
            "left": counted.left,
            "returned": counted.returned,
            "honest_refused": counted.honest_refused,
            "touched_again": touched_again,
            "bought_again": bought_again,
            "unexplained": unexplained.len() as u64 + differs,
            "exceptions": unexplained,
            "refused": counted.whys,
            "killed": self.killed.parts,
            "audit": audited.json,
            "wall_s": rounded(started.elapsed().as_secs_f64(), 1),
        });
        let text = format!(
            "{tickets} tickets at {} gates: {admitted} admitted, {recorded} by the provider's records; {} of {} screenshots; {clones_named} of {} \
             clones named with both presentations ({} of them came in where nobody heard of it); {gifts} of {} came in by a ticket that was \
             handed on, {} of the givers' copies; {} let in by two gates that were cut off for {:.0} s; {} went out, {} of them came back; {} \
             honest people refused, {touched_again} touched again at gates that were killed; {} unexplained; audit {}; {:.0} s.",
            flags.gates,
            counted.copies_admitted,
            flags.copies,
            clones.len(),
            counted.clones_admitted,
            given.gifts.len(),
            counted.gift_copies_admitted,
            counted.alone,
            counted.cut_off.as_secs_f64(),
            counted.left,
            counted.returned,
            counted.honest_refused,
            unexplained.len() as u64 + differs,
            if audited.difference.is_none() { "clean" } else { "NOT CLEAN" },
            started.elapsed().as_secs_f64(),
        );
        if clean {
            return Ok(Answer::new(text, json));
        }
        screen.say(format!("{:?}", audited.difference));
        fail_with(format!("the evening did not come out as it must: {text}"), json)
    }
}

/// Tickets that came in by the provider's records.
pub fn recorded(database: &Path) -> Result<u64, Failure> {
    let connection = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let sql = "SELECT count(DISTINCT card) FROM admission WHERE done = 1";
    Ok(connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

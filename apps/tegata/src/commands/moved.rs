//! Seats that a change moves, held against what the provider says of them: whose they are, and whether there is room.

use super::statement::{cell, list};
use serde_json::Value;
use std::collections::HashSet;
use tegata_core::card::Terms;
use tegata_issuer::{IssuerError, MovesError, Moving, have_room};

/// Seats as a report has them: the first and the last of each row of neighbours, by number.
struct Seats(Vec<(u64, u64)>);

impl Seats {
    fn of(row: &Value, name: &str) -> Self {
        Self(list(row, name).iter().filter_map(|run| run[0].as_u64().zip(run[1].as_u64())).collect())
    }
    fn has(&self, seat: u64) -> bool {
        let until = self.0.partition_point(|(first, _)| *first <= seat);
        self.0[..until].last().is_some_and(|(_, last)| seat <= *last)
    }
}

/// The lines that move seats of tickets under these terms, which `article` sells, or sold once. Where nobody has a seat, it goes with
/// those that are sold `now`.
pub fn moved_by(event: &Value, (terms, now): (&Terms, bool), article: Option<u64>, moving: &[Moving]) -> Vec<Moving> {
    let handle = terms.handle().to_string();
    let row = list(event, "terms").iter().find(|row| cell(row, "terms") == handle);
    let (ours, taken) = (Seats::of(row.unwrap_or(&Value::Null), "seats"), Seats::of(event, "taken"));
    let reaches = |seat: u64| ours.has(seat) || (now && !taken.has(seat));
    let of_these = |one: &&Moving| Some(one.from.article) == article && reaches(one.from.seat);
    moving.iter().filter(of_these).cloned().collect()
}

/// How many seats are moved with somebody who has them, and how many without: each line stands in one of the changes, and none of these
/// moves anybody onto somebody else.
///
/// # Errors
/// [`MovesError`]: the line is named.
pub fn judged(event: &Value, changes: &[&[Moving]], moving: &[Moving]) -> Result<(usize, usize), IssuerError> {
    let taken = Seats::of(event, "taken");
    let reached: HashSet<usize> = changes.iter().flat_map(|part| part.iter()).map(|one| one.line).collect();
    if let Some(Moving { line, from, .. }) = moving.iter().find(|one| !reached.contains(&one.line)) {
        return Err(MovesError::Beyond { line: *line, name: from.name.clone() }.into());
    }
    for part in changes {
        have_room(part, |seat| taken.has(seat))?;
    }
    let with = moving.iter().filter(|one| taken.has(one.from.seat)).count();
    Ok((with, moving.len() - with))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seats_are_found_in_their_rows() {
        let seats = Seats::of(&json!({ "taken": [[2, 4], [9, 9]] }), "taken");
        let found: Vec<u64> = (0..12).filter(|seat| seats.has(*seat)).collect();
        assert_eq!(found, [2, 3, 4, 9]);
        assert!(!Seats::of(&Value::Null, "taken").has(1));
    }
}

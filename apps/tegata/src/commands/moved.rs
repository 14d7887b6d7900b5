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

/// The lines that move seats of tickets under these terms, of those of their category. `empty`: and the seats that nobody has, which go
/// with one of the terms that lead to the same.
pub fn moved_by(event: &Value, (terms, empty): (&Terms, bool), moving: &[Moving]) -> Vec<Moving> {
    let handle = terms.handle().to_string();
    let row = list(event, "terms").iter().find(|row| cell(row, "terms") == handle);
    let (ours, taken) = (Seats::of(row.unwrap_or(&Value::Null), "seats"), Seats::of(event, "taken"));
    let reaches = |seat: u64| ours.has(seat) || (empty && !taken.has(seat));
    moving.iter().filter(|one| reaches(one.from.seat)).cloned().collect()
}

/// How many seats are moved with somebody who has them, and how many without: each line stands in one of the changes, or is `done`, and
/// none of these moves anybody onto somebody else.
///
/// # Errors
/// [`MovesError`]: the line is named.
pub fn judged(
    event: &Value,
    changes: &[&[Moving]],
    (moving, done): (&[Moving], &HashSet<usize>),
) -> Result<(usize, usize), IssuerError> {
    let taken = Seats::of(event, "taken");
    let reached: HashSet<usize> = changes.iter().flat_map(|part| part.iter()).map(|one| one.line).collect();
    let left = |one: &&Moving| !reached.contains(&one.line) && !done.contains(&one.line);
    if let Some(Moving { line, from, .. }) = moving.iter().find(left) {
        return Err(MovesError::Beyond { line: *line, name: from.name.clone() }.into());
    }
    for part in changes {
        have_room(part, |seat| taken.has(seat))?;
    }
    let with = moving.iter().filter(|one| reached.contains(&one.line) && taken.has(one.from.seat)).count();
    Ok((with, reached.len() - with))
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

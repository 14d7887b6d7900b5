//! Seats that a change moves, from a spreadsheet: one line a seat, the one that people have and the one in its place.
//!
//! ```text
//! from,to
//! "Row 1, 1","Balcony 1, 1"
//! "Row 1, 2","Balcony 1, 2"
//! ```
//!
//! Both stand in the event's plan. A seat of a hall that is left may be named although nobody has it: it is not sold any more.

use crate::seats::fields;
use std::collections::{HashMap, HashSet};
use tegata_core::talk::event::{Seat, SeatMove};
use tegata_core::wire::canonical::Wire;
use tegata_core::{Handle, Hash};

/// Why a file does not say how seats are moved, or says what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MovesError {
    /// The head does not name the two columns.
    #[error("line 1: the head must name the columns 'from' and 'to', such as: from,to")]
    Head,
    /// Nothing but a head.
    #[error("the file moves no seat: one line for each is expected below its head")]
    Empty,
    /// A row is not what its head says.
    #[error("line {line}: {fields} fields, where the head has {head}; a name with a comma in it is put in quotes")]
    Fields {
        /// Where.
        line: usize,
        /// How many there are.
        fields: usize,
        /// How many there should be.
        head: usize,
    },
    /// A quote is not closed, or stands within a field.
    #[error("line {0}: a quote that is not closed, or stands in the middle of a field")]
    Quote(usize),
    /// No such seat.
    #[error("line {line}: there is no seat '{name}' in the plan; read it in first (`event seats`)")]
    Unknown {
        /// Where.
        line: usize,
        /// As it stands there.
        name: String,
    },
    /// A seat goes to two places.
    #[error("line {line}: seat '{name}' is moved in line {first} already")]
    Doubled {
        /// Where.
        line: usize,
        /// Which.
        name: String,
        /// Where it was moved first.
        first: usize,
    },
    /// Two seats go to one.
    #[error("line {line}: another seat is moved onto '{name}' in line {first} already")]
    Onto {
        /// Where.
        line: usize,
        /// Which.
        name: String,
        /// Where one was moved onto it first.
        first: usize,
    },
    /// It stays.
    #[error("line {line}: seat '{name}' is moved onto itself; leave the line away")]
    Stays {
        /// Where.
        line: usize,
        /// Which.
        name: String,
    },
    /// Another category sells the seat in its place.
    #[error("line {line}: seat '{to}' is sold by another category than '{from}'; people keep what they paid for")]
    Category {
        /// Where.
        line: usize,
        /// The seat.
        from: String,
        /// The one in its place.
        to: String,
    },
    /// Somebody has the seat in its place.
    #[error("line {line}: seat '{name}' is sold or reserved, and stays with whoever has it")]
    Occupied {
        /// Where.
        line: usize,
        /// The seat in its place.
        name: String,
    },
    /// A ticket that the change is not about.
    #[error("line {line}: this change does not reach whoever has seat '{name}'")]
    Beyond {
        /// Where.
        line: usize,
        /// The seat.
        name: String,
    },
}

/// One line of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Where it stands.
    pub line: usize,
    /// The seat.
    pub from: Seat,
    /// The one in its place.
    pub to: Seat,
}

/// Reads which seats are moved, of those that are `planned`.
///
/// # Errors
/// [`MovesError`]: the file is at fault, and the line is named.
pub fn read_moves(text: &str, planned: &[Seat]) -> Result<Vec<Moving>, MovesError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().ok_or(MovesError::Head)?;
    let head: Vec<String> = fields(head).ok_or(MovesError::Head)?.iter().map(|name| name.to_lowercase()).collect();
    let column = |name: &str| head.iter().position(|known| known == name).ok_or(MovesError::Head);
    let (from, to) = (column("from")?, column("to")?);
    let known: HashMap<&str, &Seat> = planned.iter().map(|seat| (seat.name.as_str(), seat)).collect();
    let (mut moved, mut onto, mut all) = (HashMap::new(), HashMap::new(), Vec::new());
    for (line, row) in lines {
        let row = fields(row).ok_or(MovesError::Quote(line))?;
        if row.len() != head.len() {
            return Err(MovesError::Fields { line, fields: row.len(), head: head.len() });
        }
        let seat = |name: &String| {
            let found = known.get(name.as_str()).map(|seat| Seat::clone(seat));
            found.ok_or_else(|| MovesError::Unknown { line, name: name.clone() })
        };
        let (from, to) = (seat(&row[from])?, seat(&row[to])?);
        if from.seat == to.seat {
            return Err(MovesError::Stays { line, name: from.name });
        }
        if from.article != to.article {
            return Err(MovesError::Category { line, from: from.name, to: to.name });
        }
        if let Some(first) = moved.insert(from.seat, line) {
            return Err(MovesError::Doubled { line, name: from.name, first });
        }
        if let Some(first) = onto.insert(to.seat, line) {
            return Err(MovesError::Onto { line, name: to.name, first });
        }
        all.push(Moving { line, from, to });
    }
    match all.is_empty() {
        true => Err(MovesError::Empty),
        false => Ok(all),
    }
}

/// Whether nobody is moved onto a seat that somebody keeps; `taken` are those that are sold or reserved.
///
/// # Errors
/// [`MovesError::Occupied`].
pub fn have_room(moving: &[Moving], taken: impl Fn(u64) -> bool) -> Result<(), MovesError> {
    let leave: HashSet<u64> = moving.iter().map(|one| one.from.seat).collect();
    match moving.iter().find(|one| taken(one.to.seat) && !leave.contains(&one.to.seat)) {
        Some(Moving { line, to, .. }) => Err(MovesError::Occupied { line: *line, name: to.name.clone() }),
        None => Ok(()),
    }
}

/// The same as a change has it: by number.
pub fn in_order(moving: &[Moving]) -> Vec<SeatMove> {
    let number = |one: &Moving| SeatMove { from: one.from.seat, to: one.to.seat, extensions: Default::default() };
    let mut moves: Vec<SeatMove> = moving.iter().map(number).collect();
    moves.sort_unstable_by_key(|one| one.from);
    moves
}

/// What names these moves in the terms that they lead to. Said again, the same moves lead to the same terms, so that they are made once;
/// what is meant to be made `again` has a number that the same moves had not before.
pub fn seating(moving: &[Moving], again: Option<u64>) -> Handle {
    let mut named = in_order(moving).to_bytes();
    named.extend(again.map(u64::to_be_bytes).into_iter().flatten());
    Handle::of(&Hash::of(&named))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned() -> Vec<Seat> {
        let seat = |(seat, (name, article)): (u64, (&str, u64))| Seat {
            seat,
            name: name.into(),
            article,
            extensions: Default::default(),
        };
        (1..).zip([("Row 1, 1", 1), ("Row 1, 2", 1), ("Box", 2), ("B 1", 1), ("B 2", 1)]).map(seat).collect()
    }
    fn read(text: &str) -> Result<Vec<Moving>, MovesError> {
        read_moves(text, &planned())
    }

    #[test]
    fn moves_are_read_as_spreadsheets_write_them_and_told_in_the_order_of_seats() {
        let moving = read("\u{feff}To,Why,From\r\nB 2,,\"Row 1, 2\"\r\n\r\nB 1,far,\"Row 1, 1\"\r\n").expect("moves");
        assert_eq!(moving.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 4]);
        let told: Vec<_> = in_order(&moving).iter().map(|one| (one.from, one.to)).collect();
        assert_eq!(told, [(1, 4), (2, 5)]);
        let otherwise = read("from,to\n\"Row 1, 1\",B 1\n\"Row 1, 2\",B 2\n").expect("moves");
        assert_eq!(seating(&moving, None), seating(&otherwise, None), "whatever the order of the lines");
        let swap = read("from,to\n\"Row 1, 1\",\"Row 1, 2\"\n\"Row 1, 2\",\"Row 1, 1\"\n").expect("moves");
        assert_ne!(seating(&moving, None), seating(&swap, None));
        let times = [None, Some(2), Some(3)].map(|again| seating(&swap, again));
        assert!(times[0] != times[1] && times[1] != times[2] && times[0] != times[2], "a swap back is another move");
        assert_eq!(have_room(&swap, |_| true), Ok(()), "who is moved away makes room");
        let full = have_room(&moving, |seat| seat == 5).expect_err("somebody has it");
        assert_eq!(full, MovesError::Occupied { line: 2, name: "B 2".into() });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("", MovesError::Head),
            ("from,onto\nB 1,B 2\n", MovesError::Head),
            ("from,to\n", MovesError::Empty),
            ("from,to\nRow 1, 1,B 1\n", MovesError::Fields { line: 2, fields: 3, head: 2 }),
            ("from,to\n\"B 1,B 2\n", MovesError::Quote(2)),
            ("from,to\nB 1,B 3\n", MovesError::Unknown { line: 2, name: "B 3".into() }),
            ("from,to\n\nB 1,B 1\n", MovesError::Stays { line: 3, name: "B 1".into() }),
            ("from,to\nB 1,Box\n", MovesError::Category { line: 2, from: "B 1".into(), to: "Box".into() }),
            ("from,to\nB 1,B 2\nB 1,\"Row 1, 1\"\n", MovesError::Doubled { line: 3, name: "B 1".into(), first: 2 }),
            ("from,to\nB 1,B 2\n\"Row 1, 1\",B 2\n", MovesError::Onto { line: 3, name: "B 2".into(), first: 2 }),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }
}

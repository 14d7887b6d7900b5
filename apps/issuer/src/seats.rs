//! A seat plan from a spreadsheet: one line a seat, its name and the category that sells it.
//!
//! ```text
//! seat,category
//! "Row 1, 1",Stalls
//! "Row 1, 2",Stalls
//! ```
//!
//! Read anew, a plan may grow: seats that it had keep their numbers, whatever the order of the lines.

use std::collections::{HashMap, HashSet};
use tegata_core::talk::event::Seat;

/// Most characters in the name of a seat.
const NAME: usize = 60;

/// Why a file is no seat plan. Lines count from 1, with the head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    /// The head does not name the two columns.
    #[error("line 1: the head must name the columns 'seat' and 'category', such as: seat,category")]
    Head,
    /// Nothing but a head.
    #[error("the file has no seats: one line for each is expected below its head")]
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
    /// The name is missing or too long.
    #[error("line {0}: the seat's name is missing or longer than {NAME} characters")]
    Name(usize),
    /// No such category.
    #[error("line {line}: there is no category '{category}'; there are: {known}")]
    Category {
        /// Where.
        line: usize,
        /// As it stands there.
        category: String,
        /// Those there are.
        known: String,
    },
    /// The seat stands there twice.
    #[error("line {line}: seat '{name}' stands in line {first} already")]
    Doubled {
        /// Where.
        line: usize,
        /// Which.
        name: String,
        /// Where it stood first.
        first: usize,
    },
    /// A seat that is planned already is sold by another category now.
    #[error("line {line}: seat '{name}' was planned in another category and may be sold already; it stays there")]
    Moved {
        /// Where.
        line: usize,
        /// Which.
        name: String,
    },
    /// A seat that is planned already is not in the file.
    #[error("the file has no line for seat '{name}' (number {seat}), which is planned and may be sold already")]
    Missing {
        /// Its number.
        seat: u64,
        /// Which.
        name: String,
    },
}

/// One line's fields (RFC 4180). `None`: a quote is where none may be.
pub(crate) fn fields(line: &str) -> Option<Vec<String>> {
    let (mut all, mut rest) = (Vec::new(), line);
    loop {
        if let Some(quoted) = rest.trim_start().strip_prefix('"') {
            let (mut text, mut chars) = (String::new(), quoted.char_indices().peekable());
            let end = loop {
                match chars.next()? {
                    (_, '"') if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                        chars.next();
                        text.push('"');
                    }
                    (at, '"') => break at + 1,
                    (_, other) => text.push(other),
                }
            };
            all.push(text.trim().to_owned());
            rest = quoted[end..].trim_start();
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => return rest.is_empty().then_some(all),
            }
            continue;
        }
        let (field, next) = rest.split_once(',').map_or((rest, None), |(field, next)| (field, Some(next)));
        if field.contains('"') {
            return None;
        }
        all.push(field.trim().to_owned());
        match next {
            Some(next) => rest = next,
            None => return Some(all),
        }
    }
}

/// Reads a seat plan: the seats that were planned `before` keep their numbers, new ones are numbered on. `categories` are the
/// names by which articles are called; an article's number does as well.
///
/// # Errors
/// [`SeatError`]: the file is at fault, and the line is named.
pub fn read_seats(text: &str, categories: &[(String, u64)], before: &[Seat]) -> Result<Vec<Seat>, SeatError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().ok_or(SeatError::Head)?;
    let head: Vec<String> = fields(head).ok_or(SeatError::Head)?.iter().map(|name| name.to_lowercase()).collect();
    let column = |names: &[&str]| head.iter().position(|name| names.contains(&name.as_str())).ok_or(SeatError::Head);
    let (seat, category) = (column(&["seat", "name"])?, column(&["category", "article"])?);
    let known: HashMap<&str, &Seat> = before.iter().map(|seat| (seat.name.as_str(), seat)).collect();
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut seats = before.to_vec();
    for (line, row) in lines {
        let row = fields(row).ok_or(SeatError::Quote(line))?;
        if row.len() != head.len() {
            return Err(SeatError::Fields { line, fields: row.len(), head: head.len() });
        }
        let (name, category) = (row[seat].clone(), &row[category]);
        if name.is_empty() || name.chars().count() > NAME {
            return Err(SeatError::Name(line));
        }
        let article = article(category, categories).ok_or_else(|| SeatError::Category {
            line,
            category: category.clone(),
            known: categories.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        if let Some(first) = first.insert(name.clone(), line) {
            return Err(SeatError::Doubled { line, name, first });
        }
        match known.get(name.as_str()) {
            Some(seat) if seat.article == article => {}
            Some(_) => return Err(SeatError::Moved { line, name }),
            None => {
                let seat = seats.len() as u64 + 1;
                seats.push(Seat { seat, name, article, extensions: Default::default() });
            }
        }
    }
    if first.is_empty() {
        return Err(SeatError::Empty);
    }
    let found: HashSet<&str> = first.keys().map(String::as_str).collect();
    match before.iter().find(|seat| !found.contains(seat.name.as_str())) {
        Some(seat) => Err(SeatError::Missing { seat: seat.seat, name: seat.name.clone() }),
        None => Ok(seats),
    }
}

fn article(category: &str, categories: &[(String, u64)]) -> Option<u64> {
    let called = categories.iter().find(|(name, _)| name.eq_ignore_ascii_case(category));
    let numbered = || category.parse().ok().filter(|number| categories.iter().any(|(_, known)| known == number));
    called.map(|(_, number)| *number).or_else(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories() -> Vec<(String, u64)> {
        vec![("Stalls".to_owned(), 1), ("Balcony".to_owned(), 2)]
    }
    fn read(text: &str) -> Result<Vec<Seat>, SeatError> {
        read_seats(text, &categories(), &[])
    }

    #[test]
    fn a_plan_is_read_as_spreadsheets_write_it() {
        let text = "\u{feff}Category,Seat,Remark\r\nStalls,\"Row 1, 1\",\r\n\r\n2,\"The \"\"box\"\"\",near\r\nbalcony , B 2 ,\r\n";
        let seats = read(text).expect("a plan");
        let told: Vec<_> = seats.iter().map(|seat| (seat.seat, seat.name.as_str(), seat.article)).collect();
        assert_eq!(told, [(1, "Row 1, 1", 1), (2, "The \"box\"", 2), (3, "B 2", 2)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let line = |line| move |error: SeatError| assert!(error.to_string().starts_with(&format!("line {line}: ")));
        for (text, expected, at) in [
            ("", SeatError::Head, 1),
            ("seat,price\nA,1\n", SeatError::Head, 1),
            ("seat,category\nA,Stalls,9\n", SeatError::Fields { line: 2, fields: 3, head: 2 }, 2),
            ("seat,category\nRow 1, 1,Stalls\n", SeatError::Fields { line: 2, fields: 3, head: 2 }, 2),
            ("seat,category\n\n\"A,Stalls\n", SeatError::Quote(3), 3),
            ("seat,category\nA\"B,Stalls\n", SeatError::Quote(2), 2),
            ("seat,category\n,Stalls\n", SeatError::Name(2), 2),
            (
                "seat,category\nA,Stals\n",
                SeatError::Category { line: 2, category: "Stals".into(), known: "Stalls, Balcony".into() },
                2,
            ),
            (
                "seat,category\nA,Stalls\nB,Stalls\nA,Balcony\n",
                SeatError::Doubled { line: 4, name: "A".into(), first: 2 },
                4,
            ),
        ] {
            let error = read(text).expect_err("wrong");
            assert_eq!(error, expected, "{text}");
            line(at)(error);
        }
        assert_eq!(read("seat,category\n"), Err(SeatError::Empty));
    }

    #[test]
    fn read_anew_a_plan_grows_and_seats_keep_their_numbers() {
        let before = read("seat,category\nA,Stalls\nB,Stalls\n").expect("a plan");
        let again = |text| read_seats(text, &categories(), &before);
        let grown = again("seat,category\nC,Balcony\nB,Stalls\nA,Stalls\n").expect("a plan");
        assert_eq!(grown[..2], before[..]);
        assert_eq!((grown[2].seat, grown[2].name.as_str()), (3, "C"));
        assert_eq!(again("seat,category\nA,Stalls\n"), Err(SeatError::Missing { seat: 2, name: "B".into() }));
        let moved = again("seat,category\nA,Stalls\nB,Balcony\n");
        assert_eq!(moved, Err(SeatError::Moved { line: 3, name: "B".into() }));
    }
}

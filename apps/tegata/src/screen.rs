//! What people and programs see: text or JSON, colours and progress on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::fmt::Display;
use std::io::IsTerminal;

/// Why a command ended without doing what was asked, for whoever typed it. The program then exits with 1.
#[derive(Debug)]
pub struct Failure(pub String, pub Option<Box<Value>>);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string(), None)
    }
}

/// A failure with this text.
pub fn fail<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(text.into(), None))
}

/// A failure with this text that has figures to show all the same.
pub fn fail_with<T>(text: impl Into<String>, figures: Value) -> Result<T, Failure> {
    Err(Failure(text.into(), Some(Box::new(figures))))
}

/// What a command answers.
pub struct Answer {
    /// For people.
    pub text: String,
    /// For programs; one object.
    pub json: Value,
}

impl Answer {
    /// Both forms of one answer.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json }
    }
}

/// Prints a line. A reader that has gone, such as `head`, is no reason to fail.
fn print(line: &impl Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Where answers go.
#[derive(Clone, Copy)]
pub struct Screen {
    /// JSON on standard output instead of text.
    pub json: bool,
}

impl Screen {
    /// Prints an answer: text, or one line of JSON.
    pub fn show(self, answer: &Answer) {
        if self.json {
            print(&answer.json);
        } else if !answer.text.is_empty() {
            print(&answer.text);
        }
    }
    /// Says something on the way to the answer, to people only.
    pub fn say(self, text: impl Display) {
        if !self.json {
            print(&text);
        }
    }
    /// Says what people should know beside an answer that is a file.
    pub fn warn(self, text: impl Display) {
        eprintln!("{text}");
    }
    /// Prints why it did not work.
    pub fn failed(self, failure: &Failure) {
        if self.json {
            let mut object = failure.1.as_deref().cloned().unwrap_or_else(|| serde_json::json!({}));
            if let Some(object) = object.as_object_mut() {
                object.insert("error".into(), failure.0.clone().into());
            }
            print(&object);
        }
        let mark = if std::io::stderr().is_terminal() { "\u{1b}[31merror:\u{1b}[0m" } else { "error:" };
        eprintln!("{mark} {}", failure.0);
    }
    /// A progress bar on a terminal, nothing elsewhere.
    pub fn progress(self, total: u64, what: &'static str) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar
    }
}

/// Emphasised on a terminal.
pub fn bold(text: impl Display) -> String {
    if std::io::stdout().is_terminal() { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_string() }
}

/// How many characters a line of the screen holds: as `COLUMNS` says, else as the terminal does, else 80.
pub fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let seen = || terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
    said.or_else(seen).unwrap_or(80)
}

/// Characters that a block needs to be readable beside others.
const COLUMN: usize = 36;
/// Between two blocks beside each other.
const BETWEEN: &str = " │ ";

/// Blocks of lines beside each other, where each has room, else below each other. Lines that are too long go on below.
pub fn columns(blocks: &[Vec<String>], width: usize) -> String {
    let count = blocks.len().max(1);
    let each = (width + BETWEEN.chars().count()) / count;
    let each = each.saturating_sub(BETWEEN.chars().count());
    if each < COLUMN {
        return blocks.iter().map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n");
    }
    let wrapped: Vec<Vec<String>> =
        blocks.iter().map(|lines| lines.iter().flat_map(|line| wrap(line, each)).collect()).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let cells = wrapped.iter().map(|lines| lines.get(at).map_or("", String::as_str));
        cells.map(|cell| format!("{cell:each$}")).collect::<Vec<_>>().join(BETWEEN).trim_end().to_owned()
    };
    (0..height).map(row).collect::<Vec<_>>().join("\n")
}

/// One line as lines of at most so many characters, cut at spaces where there are some; what goes on is set in.
fn wrap(line: &str, most: usize) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| *c == ' ').chain("  ".chars()).collect();
    let (mut lines, mut rest): (Vec<String>, Vec<char>) = (Vec::new(), line.chars().collect());
    while rest.len() > most {
        let start = indent.chars().count() + 1;
        let cut = (start..most).rev().find(|at| rest[*at] == ' ').unwrap_or(most);
        let tail: String = rest[cut..].iter().collect();
        lines.push(rest[..cut].iter().collect());
        rest = indent.chars().chain(tail.trim_start().chars()).collect();
    }
    lines.push(rest.into_iter().collect());
    lines
}

/// A table with aligned columns, under a head.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_beside_each_other_where_there_is_room() {
        let block = |text: &str| vec!["title".to_owned(), format!("  name: {text}")];
        let blocks = [block("a"), block(&"0123456789 ".repeat(6))];
        let wide = columns(&blocks, 80);
        let lines: Vec<&str> = wide.lines().collect();
        assert_eq!(lines[0], format!("{:38} │ title", "title"));
        assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= 80), "{wide}");
        assert!(lines[2].ends_with("    0123456789 0123456789 0123456789"), "{wide}");
        let narrow = columns(&blocks, 70);
        assert!(!narrow.contains('│') && narrow.contains("\n\ntitle"), "{narrow}");
        assert_eq!(wrap(&"x".repeat(90), 40).len(), 3, "also without a space");
    }
}

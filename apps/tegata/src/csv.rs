//! Comma-separated values as RFC 4180 has them.

/// A table under its head, as an answer's text: the last line's end is the screen's.
pub fn csv(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![line(head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str))));
    format!("{}\r", lines.join("\r\n"))
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    cells.map(cell).collect::<Vec<_>>().join(",")
}

/// Quoted where it holds a comma, a quote or a line's end (RFC 4180, 2.6 and 2.7).
pub fn cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let rows = [vec!["Caf\u{e9}, \"Town\"".to_owned(), "4.50".to_owned()], vec![String::new(), "a\nb".to_owned()]];
        assert_eq!(csv(&["name", "amount"], &rows), "name,amount\r\n\"Caf\u{e9}, \"\"Town\"\"\",4.50\r\n,\"a\nb\"\r");
    }
}

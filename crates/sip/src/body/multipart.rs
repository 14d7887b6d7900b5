//! `multipart/mixed` (RFC 2046, 5.1), one level deep: what SIP needs to carry two bodies, and no more.

use super::{Content, MIXED, TEGATA};

/// More parts than anybody needs.
const MOST_PARTS: usize = 16;

/// One part between two delimiters.
pub struct Part<'a> {
    /// Its `Content-Type`; `text/plain` where it says none.
    pub kind: String,
    /// `handling=optional` (RFC 3261, 20.11).
    pub optional: bool,
    /// It says an encoding other than none: `Content-Encoding`, or base64 and the like.
    pub encoded: bool,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// The `boundary` parameter of a `Content-Type`.
pub fn boundary(kind: &str) -> Option<String> {
    let value = parameter(kind, "boundary")?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let long_enough = (1..=70).contains(&value.len());
    (long_enough && value.bytes().all(legal) && !value.ends_with(' ')).then_some(value)
}

/// A parameter of a header's value, unquoted.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = &rest[rest.find(';')? + 1..];
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (found, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found.trim_end_matches(['\r', '\n', '\t']).trim().to_owned());
        }
        rest = left;
    }
}

/// Splits a body at its boundary.
pub fn split<'a>(boundary: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, &'static str> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    // Where the content of the part that is being read begins; the preamble has none.
    let mut begun: Option<usize> = None;
    let mut line = 0;
    while line < body.len() {
        let end = body[line..].iter().position(|byte| *byte == b'\n').map_or(body.len(), |at| line + at + 1);
        if let Some(after) = body[line..end].strip_prefix(delimiter.as_bytes()) {
            let after = after.trim_ascii();
            if after.is_empty() || after == b"--" {
                if let Some(start) = begun {
                    parts.push(part(&body[start..content_end(body, start, line)])?);
                    if parts.len() > MOST_PARTS {
                        return Err("too many parts");
                    }
                }
                if after == b"--" {
                    return Ok(parts);
                }
                begun = Some(end);
            }
        }
        line = end;
    }
    Err("multipart without an end")
}

/// The line break before a delimiter belongs to the delimiter.
fn content_end(body: &[u8], start: usize, delimiter: usize) -> usize {
    let content = &body[start..delimiter];
    let content = content.strip_suffix(b"\n").map_or(content, |line| line.strip_suffix(b"\r").unwrap_or(line));
    start + content.len()
}

fn part(bytes: &[u8]) -> Result<Part<'_>, &'static str> {
    let mut part = Part { kind: "text/plain".into(), optional: false, encoded: false, bytes: &[] };
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |found| at + found + 1);
        let line = bytes[at..end].trim_ascii();
        at = end;
        if line.is_empty() {
            part.bytes = &bytes[at..];
            return Ok(part);
        }
        let line = std::str::from_utf8(line).map_err(|_| "a part's header is no text")?;
        let (name, value) = line.split_once(':').ok_or("a part's header has no colon")?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" => part.kind = value.to_owned(),
            "content-encoding" => part.encoded = true,
            "content-transfer-encoding" => {
                part.encoded = !["7bit", "8bit", "binary"].contains(&value.to_ascii_lowercase().as_str());
            }
            "content-disposition" => {
                part.optional = parameter(value, "handling").is_some_and(|how| how.eq_ignore_ascii_case("optional"));
            }
            _ => {}
        }
    }
    // Headers alone, or nothing: an empty part.
    Ok(part)
}

/// Joins parts under a boundary that occurs in none of them.
pub fn join(parts: &[(&str, &[u8])]) -> Content {
    let mut number = 0_u64;
    let boundary = loop {
        let candidate = format!("tegata-{number}");
        let taken = |bytes: &[u8]| bytes.windows(candidate.len()).any(|window| window == candidate.as_bytes());
        if !parts.iter().any(|(_, bytes)| taken(bytes)) {
            break candidate;
        }
        number += 1;
    };
    let mut bytes = Vec::new();
    for (kind, content) in parts {
        bytes.extend_from_slice(format!("--{boundary}\r\nContent-Type: {kind}\r\n").as_bytes());
        if *kind == TEGATA {
            bytes.extend_from_slice(
                b"Content-Transfer-Encoding: binary\r\nContent-Disposition: render;handling=optional\r\n",
            );
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Content { kind: format!("{MIXED};boundary={boundary}"), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found_quoted_and_bare() {
        let cases = [
            ("multipart/mixed;boundary=x", Some("x")),
            ("multipart/mixed; a=\"b;boundary=no\"; Boundary=\"a b\"", Some("a b")),
            ("multipart/mixed;boundary=", None),
            ("multipart/mixed;boundary=\"x", None),
            ("multipart/mixed", None),
        ];
        for (kind, expected) in cases {
            assert_eq!(boundary(kind).as_deref(), expected, "{kind}");
        }
    }

    #[test]
    fn preamble_and_epilogue_are_no_parts() {
        let body = b"before\r\n--x\r\nContent-Type: a/b\r\n\r\none\r\n--x  \r\n\r\ntwo\n--xy\r\n--x--\r\nafter";
        let parts = split("x", body).expect("two parts");
        let read: Vec<_> = parts.iter().map(|part| (part.kind.as_str(), part.bytes)).collect();
        assert_eq!(read, [("a/b", b"one".as_slice()), ("text/plain", b"two\n--xy".as_slice())]);
        assert!(split("x", b"--x\r\n\r\none\r\n").is_err());
    }
}

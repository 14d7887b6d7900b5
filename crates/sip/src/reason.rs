//! Why something ended, in a form that a person reads: the `Reason` header (RFC 3326) and the words of a status line.

use std::fmt;

/// A status and a text, as told to a phone: `SIP;cause=402;text="Paid time is over"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A SIP status, 100 to 699.
    pub cause: u16,
    /// For a person.
    pub text: String,
}

impl Reason {
    /// Whatever is not printable is left out of the text.
    pub fn new(cause: u16, text: &str) -> Self {
        Self { cause, text: phrase(text) }
    }

    /// Reads the first value of a `Reason` header that has a SIP cause.
    pub fn read(header: &str) -> Option<Self> {
        values(header).into_iter().find_map(|value| {
            let mut fields = fields(value).into_iter();
            fields.next().filter(|protocol| protocol.trim().eq_ignore_ascii_case("SIP"))?;
            let (mut cause, mut text) = (None, String::new());
            for field in fields {
                let Some((name, value)) = field.split_once('=') else { continue };
                match name.trim().to_ascii_lowercase().as_str() {
                    "cause" => cause = value.trim().parse().ok().filter(|cause| (100..700).contains(cause)),
                    "text" => text = unquote(value.trim()),
                    _ => {}
                }
            }
            Some(Self::new(cause?, &text))
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = self.text.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "SIP;cause={};text=\"{quoted}\"", self.cause)
    }
}

/// Text fit for one line of a message: printable, and no longer than anybody reads.
pub fn phrase(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(120).collect()
}

fn values(header: &str) -> Vec<&str> {
    split_outside_quotes(header, ',')
}

fn fields(value: &str) -> Vec<&str> {
    split_outside_quotes(value, ';')
}

fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped, mut start, mut found) = (false, false, 0, Vec::new());
    for (index, sign) in text.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if sign == at && !quoted => {
                found.push(&text[start..index]);
                start = index + sign.len_utf8();
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut plain = String::with_capacity(inner.len());
    let mut escaped = false;
    for sign in inner.chars() {
        if sign == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(sign);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reason_reads_as_it_was_written() {
        let written = Reason::new(402, "Paid time is over").to_string();
        assert_eq!(written, "SIP;cause=402;text=\"Paid time is over\"");
        assert_eq!(Reason::read(&written), Some(Reason::new(402, "Paid time is over")));
        let several = "Q.850;cause=16;text=\"a, b; c\" , sip ; cause = 200 ;text=\"Call \\\"done\\\"\"";
        assert_eq!(Reason::read(several), Some(Reason::new(200, "Call \"done\"")));
        for none in ["", "Q.850;cause=16", "SIP", "SIP;cause=12", "SIP;cause=x;text=\"", "SIP;text=\"a\""] {
            assert_eq!(Reason::read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_without_control_signs(cause in 100_u16..700, text in any::<String>()) {
            let reason = Reason::new(cause, &text);
            prop_assert!(!reason.to_string().contains(['\r', '\n']));
            prop_assert_eq!(Reason::read(&reason.to_string()), Some(reason));
        }

        #[test]
        fn any_header_is_read_or_refused(header in any::<String>()) {
            let _ = Reason::read(&header);
        }
    }
}

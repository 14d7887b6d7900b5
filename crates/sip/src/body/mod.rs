//! What a SIP message carries: an offer or answer (SDP), a word of the payment conversation, or both as
//! `multipart/mixed` (RFC 5621). Bytes in, parts out; what is inside a part is not this module's business, except for
//! [`sdp`], which takes a caller's name out of an offer, and `audio`, which takes the address of its media out where they are relayed.

pub(crate) mod audio;
pub mod multipart;
pub mod sdp;

use crate::Body;
use thiserror::Error;

/// The payment conversation's body type.
pub const TEGATA: &str = "application/tegata";
/// The session description's.
pub const SDP: &str = "application/sdp";
/// Both in one message.
pub const MIXED: &str = "multipart/mixed";

/// Body types that the switch understands in an INVITE, as an `Accept` header says them.
pub const ACCEPT: &str = "application/sdp, application/tegata, multipart/mixed";

/// A body and its type as they travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The whole `Content-Type` value.
    pub kind: String,
    /// The bytes, as they are.
    pub bytes: Vec<u8>,
}

/// What was found in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// An offer or an answer.
    pub sdp: Option<Vec<u8>>,
    /// A word of the payment conversation.
    pub tegata: Option<Body>,
    /// Anything else: a key press, a picture. Passed on in INFO, refused in INVITE unless it says that it is optional.
    pub other: Option<Content>,
}

/// Why a body cannot be taken; the peer is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// 415.
    #[error("Body type {0} is not understood")]
    Unsupported(String),
    /// 400.
    #[error("Body is malformed: {0}")]
    Malformed(&'static str),
}

impl Parts {
    /// Takes a body apart. `kind` is the `Content-Type`; a body without one is malformed (RFC 3261, 20.15).
    pub fn read(kind: Option<&str>, bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let kind = kind.ok_or(BodyError::Malformed("Content-Type is missing"))?;
        let mut parts = Self::default();
        if essence(kind) == MIXED {
            let boundary = multipart::boundary(kind).ok_or(BodyError::Malformed("multipart without a boundary"))?;
            for part in multipart::split(&boundary, bytes).map_err(BodyError::Malformed)? {
                if part.encoded {
                    return Err(BodyError::Unsupported("with an encoding".into()));
                }
                parts.put(&part.kind, part.bytes, part.optional)?;
            }
        } else {
            parts.put(kind, bytes, false)?;
        }
        Ok(parts)
    }

    fn put(&mut self, kind: &str, bytes: &[u8], optional: bool) -> Result<(), BodyError> {
        let taken = match essence(kind).as_str() {
            SDP => self.sdp.replace(bytes.to_vec()).is_some(),
            TEGATA => self.tegata.replace(Body(bytes.to_vec())).is_some(),
            _ if optional => false,
            other if other.starts_with("multipart/") => return Err(BodyError::Unsupported(safe(other))),
            _ => self.other.replace(Content { kind: kind.trim().to_owned(), bytes: bytes.to_vec() }).is_some(),
        };
        if taken { Err(BodyError::Malformed("two parts of one type")) } else { Ok(()) }
    }

    /// As [`Self::read`], for a message that sets up a call: what the switch would not understand is refused.
    pub fn read_strictly(kind: Option<&str>, bytes: &[u8]) -> Result<Self, BodyError> {
        let parts = Self::read(kind, bytes)?;
        match &parts.other {
            Some(other) => Err(BodyError::Unsupported(safe(&essence(&other.kind)))),
            None => Ok(parts),
        }
    }

    /// Puts together what a message shall carry; `None` where that is nothing.
    pub fn write(&self) -> Option<Content> {
        let mut parts: Vec<(&str, &[u8])> = Vec::new();
        parts.extend(self.sdp.as_ref().map(|sdp| (SDP, sdp.as_slice())));
        parts.extend(self.tegata.as_ref().map(|body| (TEGATA, body.0.as_slice())));
        parts.extend(self.other.as_ref().map(|other| (other.kind.as_str(), other.bytes.as_slice())));
        match parts.as_slice() {
            [] => None,
            [(kind, bytes)] => Some(Content { kind: (*kind).to_owned(), bytes: bytes.to_vec() }),
            several => Some(multipart::join(several)),
        }
    }
}

/// Type and subtype in lower case, without parameters.
pub fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What a peer called something, fit to be said back to it.
fn safe(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_of_body_is_read_as_what_it_is() {
        let both = Parts { sdp: Some(b"v=0\r\n".to_vec()), tegata: Some(Body(vec![0, 255, 13, 10])), other: None };
        let written = both.write().expect("two parts");
        assert!(written.kind.starts_with("multipart/mixed;boundary="));
        assert_eq!(Parts::read_strictly(Some(&written.kind), &written.bytes), Ok(both.clone()));

        let one = Parts { tegata: None, ..both };
        assert_eq!(one.write().expect("one part").kind, SDP);
        assert_eq!(Parts::read(Some("Application/SDP ; charset=utf-8"), b"v=0\r\n"), Ok(one));
        assert_eq!(Parts::default().write(), None);
        assert_eq!(Parts::read(None, b""), Ok(Parts::default()));
    }

    #[test]
    fn bodies_that_cannot_be_taken_say_why() {
        assert_eq!(Parts::read(None, b"x"), Err(BodyError::Malformed("Content-Type is missing")));
        let isup = Parts::read_strictly(Some("application/isup"), b"x");
        assert_eq!(isup, Err(BodyError::Unsupported("application/isup".into())));
        let twice =
            b"--x\r\nContent-Type: application/sdp\r\n\r\na\r\n--x\r\nContent-Type: application/sdp\r\n\r\nb\r\n--x--";
        assert_eq!(
            Parts::read(Some("multipart/mixed;boundary=x"), twice),
            Err(BodyError::Malformed("two parts of one type"))
        );
        assert!(Parts::read(Some("multipart/mixed"), b"--x--").is_err());
        let optional =
            b"--x\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\na\r\n--x--";
        assert_eq!(Parts::read_strictly(Some("multipart/mixed;boundary=x"), optional), Ok(Parts::default()));
    }

    proptest! {
        #[test]
        fn any_two_parts_come_back(sdp in proptest::collection::vec(any::<u8>(), 1..200), word in proptest::collection::vec(any::<u8>(), 1..200)) {
            let parts = Parts { sdp: Some(sdp), tegata: Some(Body(word)), other: None };
            let written = parts.write().expect("two parts");
            prop_assert_eq!(Parts::read(Some(&written.kind), &written.bytes), Ok(parts));
        }

        #[test]
        fn any_bytes_are_read_or_refused(kind in "[ -~]{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parts::read(Some(&kind), &bytes);
            let _ = Parts::read(Some("multipart/mixed;boundary=x"), &bytes);
        }

        #[test]
        fn anything_that_looks_like_parts_is_read_or_refused(text in "(--x|--|\r\n|\n|:|Content-Type: a/b|[a-z]){0,40}") {
            let _ = Parts::read(Some("multipart/mixed;boundary=x"), text.as_bytes());
        }
    }
}

//! How a phone proves its password: the answer to a challenge (RFC 7616, 3.4). The switch's half is [`crate::phones::digest`].

use crate::phones::digest::{Algorithm, fields, secret};
use crate::wire::random;
use rsipstack::sip::{Header, Request, Response};

/// What the switch asks.
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// It asks for a quality of protection, as everything since RFC 2617 does.
    counted: bool,
    stale: bool,
}

impl Challenge {
    /// `None`: a digest that this phone does not know.
    fn read(header: &str) -> Option<Self> {
        let fields = fields(header)?;
        let text = |name: &str| fields.get(name).map(|value| (*value).to_owned());
        let algorithm = match fields.get("algorithm").map(|name| name.to_ascii_uppercase()).as_deref() {
            Some("SHA-256") => Algorithm::Sha256,
            None | Some("MD5") => Algorithm::Md5,
            Some(_) => return None,
        };
        let offered = fields.get("qop");
        let counted = offered.is_some_and(|offered| offered.split(',').any(|one| one.trim() == "auth"));
        if offered.is_some() && !counted {
            return None;
        }
        let stale = fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        // They are written back between quotes.
        let (realm, nonce, opaque) = (text("realm")?, text("nonce")?, text("opaque"));
        Some(Self { realm, nonce, opaque, algorithm, counted, stale })
    }

    fn answer(&self, request: &Request, name: &str, password: &str) -> String {
        let (method, uri) = (request.method.to_string(), request.uri.to_string());
        let (secret, asked) =
            (secret(name, &self.realm, password, self.algorithm), self.algorithm.of(&format!("{method}:{uri}")));
        let client = random(16);
        let response = if self.counted {
            format!("{secret}:{}:00000001:{client}:auth:{asked}", self.nonce)
        } else {
            format!("{secret}:{}:{asked}", self.nonce)
        };
        let mut header = format!(
            "Digest username=\"{name}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", algorithm={}",
            self.realm,
            self.nonce,
            self.algorithm.of(&response),
            self.algorithm.name()
        );
        if self.counted {
            header.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{client}\""));
        }
        if let Some(opaque) = &self.opaque {
            header.push_str(&format!(", opaque=\"{opaque}\""));
        }
        header
    }
}

/// What comes of a challenge.
pub(super) enum Proved {
    /// This header goes into the request.
    With(Header),
    /// The password is wrong, or cannot be proved.
    Not(&'static str),
}

/// Answers a 401 or 407 to `request`, the same in all but number and this header. `again`: one was answered before.
pub(super) fn prove(response: &Response, request: &Request, name: &str, password: &str, again: bool) -> Proved {
    let proxy = response.status_code.code() == 407;
    let challenges = response.headers.iter().filter_map(|header| match header {
        Header::WwwAuthenticate(value) if !proxy => Challenge::read(value.value()),
        Header::ProxyAuthenticate(value) if proxy => Challenge::read(value.value()),
        _ => None,
    });
    // The better digest, whatever stands first.
    let Some(challenge) = challenges.max_by_key(|challenge| challenge.algorithm == Algorithm::Sha256) else {
        return Proved::Not("The switch asks for a proof that this phone does not know");
    };
    if again && !challenge.stale {
        return Proved::Not("The number or its password is wrong");
    }
    let answer = challenge.answer(request, name, password);
    Proved::With(if proxy { Header::ProxyAuthorization(answer.into()) } else { Header::Authorization(answer.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phones::digest::{Checked, Nonces, Passwords};

    struct One;

    impl Passwords for One {
        fn secret(&self, name: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
            (name == "alice").then(|| secret(name, realm, "open sesame", algorithm))
        }
    }

    fn challenged(digests: &[Algorithm]) -> (Nonces, Response) {
        let nonces = Nonces::new();
        let mut text = "SIP/2.0 401 Unauthorized\r\n".to_owned();
        for challenge in nonces.challenge("town", digests, false, 1000) {
            text.push_str(&format!("WWW-Authenticate: {challenge}\r\n"));
        }
        (nonces, Response::try_from(format!("{text}\r\n").as_bytes()).expect("a response"))
    }

    #[test]
    fn what_a_phone_proves_its_switch_believes() {
        let request = Request::try_from(&b"REGISTER sip:town SIP/2.0\r\n\r\n"[..]).expect("a request");
        for digests in [vec![Algorithm::Md5], vec![Algorithm::Sha256], vec![Algorithm::Md5, Algorithm::Sha256]] {
            let (nonces, response) = challenged(&digests);
            let Proved::With(Header::Authorization(proof)) = prove(&response, &request, "alice", "open sesame", false)
            else {
                panic!("no proof by {digests:?}");
            };
            let checked = nonces.check(proof.value(), "REGISTER", "town", &digests, &One, 1001);
            assert_eq!(checked, Checked::Proved("alice".into()), "{digests:?}");
            assert!(matches!(prove(&response, &request, "alice", "x", true), Proved::Not(_)), "asked once more");
        }
    }

    #[test]
    fn a_challenge_that_cannot_be_met_is_said() {
        let cases = ["Digest realm=\"a\", nonce=\"b\", algorithm=SHA-512-256", "Digest realm=\"a\"", "Basic x", ""];
        assert!(cases.iter().all(|case| Challenge::read(case).is_none()));
        assert!(Challenge::read("Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"").is_none());
        assert!(
            Challenge::read("digest realm=\"a\", nonce=\"b\", qop=\"auth-int,auth\"").is_some_and(|one| one.counted)
        );
    }
}

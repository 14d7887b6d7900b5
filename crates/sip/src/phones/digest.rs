//! Proof of a password (RFC 8760, RFC 7616): nonces that need no memory, and a count for each that was used.
//!
//! The stack's own check reads the nonce count as a decimal byte; a phone's tenth request would fail.

use crate::wire::random;
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// How long a nonce serves.
const NONCE_S: u64 = 120;
/// Nonces in use that are remembered; more are asked for anew.
const MOST_NONCES: usize = 100_000;

/// A digest that phones know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Old phones'.
    Md5,
    /// The better one.
    Sha256,
}

impl Algorithm {
    /// As it stands in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    pub(crate) fn of(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// Who knows phones' passwords.
pub trait Passwords: Send + Sync + 'static {
    /// [`secret`] of this phone; `None` if there is no such phone.
    fn secret(&self, name: &str, realm: &str, algorithm: Algorithm) -> Option<String>;
}

/// What a password is kept as: the digest of name, realm and password, in hex.
pub fn secret(name: &str, realm: &str, password: &str, algorithm: Algorithm) -> String {
    algorithm.of(&format!("{name}:{realm}:{password}"))
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// This phone.
    Proved(String),
    /// Ask (again); `stale` says that only the nonce was too old.
    Ask {
        /// RFC 7616, 3.3.
        stale: bool,
    },
    /// The header cannot be read: 400.
    Malformed,
}

/// Makes and knows nonces.
pub(crate) struct Nonces {
    secret: String,
    /// Nonces that proved something, with the highest count.
    used: Mutex<HashMap<String, u32>>,
}

impl Nonces {
    pub(crate) fn new() -> Self {
        Self { secret: random(32), used: Mutex::default() }
    }

    /// A nonce says when it was made and that it was made here. Each is another one: phones count their uses from 1.
    fn nonce(&self, now_s: u64) -> String {
        self.signed(now_s, &random(12))
    }

    fn signed(&self, made_s: u64, salt: &str) -> String {
        format!("{made_s:x}-{salt}-{}", Algorithm::Sha256.of(&format!("{}:{made_s}:{salt}", self.secret)))
    }

    fn age(&self, nonce: &str, now_s: u64) -> Option<u64> {
        let mut fields = nonce.split('-');
        let made = u64::from_str_radix(fields.next()?, 16).ok()?;
        same(&self.signed(made, fields.next()?), nonce).then(|| now_s.saturating_sub(made))
    }

    /// Header values that ask for a proof, the preferred one first.
    pub(crate) fn challenge(&self, realm: &str, digests: &[Algorithm], stale: bool, now_s: u64) -> Vec<String> {
        let nonce = self.nonce(now_s);
        let stale = if stale { ", stale=true" } else { "" };
        let one = |digest: &Algorithm| {
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={}{stale}", digest.name())
        };
        digests.iter().map(one).collect()
    }

    /// Checks a proof for a request of this method.
    pub(crate) fn check(
        &self,
        header: &str,
        method: &str,
        realm: &str,
        digests: &[Algorithm],
        passwords: &dyn Passwords,
        now_s: u64,
    ) -> Checked {
        let Some(proof) = Proof::read(header) else { return Checked::Malformed };
        let Some(age) = self.age(proof.nonce, now_s).filter(|_| proof.realm == realm) else {
            return Checked::Ask { stale: false };
        };
        let Some(algorithm) = digests.iter().find(|digest| digest.name().eq_ignore_ascii_case(proof.algorithm)) else {
            return Checked::Ask { stale: false };
        };
        let Some(secret) = passwords.secret(proof.username, realm, *algorithm) else {
            return Checked::Ask { stale: false };
        };
        if !same(&proof.expected(*algorithm, &secret, method), proof.response) {
            return Checked::Ask { stale: false };
        }
        let fresh = age <= NONCE_S && self.count(&proof, now_s);
        if fresh { Checked::Proved(proof.username.to_owned()) } else { Checked::Ask { stale: true } }
    }

    /// Each count of a nonce serves once.
    fn count(&self, proof: &Proof<'_>, now_s: u64) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= MOST_NONCES {
            used.retain(|nonce, _| self.age(nonce, now_s).is_some_and(|age| age <= NONCE_S));
        }
        if used.len() >= MOST_NONCES {
            return false;
        }
        let last = used.entry(proof.nonce.to_owned()).or_default();
        let higher = proof.count > *last;
        if higher {
            *last = proof.count;
        }
        higher
    }

    /// Forgets nonces that serve no more.
    pub(crate) fn tidy(&self, now_s: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|nonce, _| self.age(nonce, now_s).is_some_and(|age| age <= NONCE_S));
    }
}

struct Proof<'a> {
    username: &'a str,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: &'a str,
    /// Client nonce and count as sent; `None` for phones older than RFC 2617, whose nonces serve once.
    quality: Option<(&'a str, &'a str)>,
    count: u32,
}

impl<'a> Proof<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let values = fields(header)?;
        let quality = match values.get("qop") {
            Some(qop) if *qop == "auth" => Some((*values.get("cnonce")?, *values.get("nc")?)),
            Some(_) => return None,
            None => None,
        };
        let count = match quality {
            Some((_, count)) => u32::from_str_radix(count, 16).ok()?,
            None => 1,
        };
        Some(Self {
            username: values.get("username")?,
            realm: values.get("realm")?,
            nonce: values.get("nonce")?,
            uri: values.get("uri")?,
            response: values.get("response")?,
            algorithm: values.get("algorithm").copied().unwrap_or("MD5"),
            quality,
            count,
        })
    }

    fn expected(&self, algorithm: Algorithm, secret: &str, method: &str) -> String {
        let request = algorithm.of(&format!("{method}:{}", self.uri));
        match self.quality {
            Some((client, count)) => algorithm.of(&format!("{secret}:{}:{count}:{client}:auth:{request}", self.nonce)),
            None => algorithm.of(&format!("{secret}:{}:{request}", self.nonce)),
        }
    }
}

/// The fields of a challenge or a proof, by name in lower case.
pub(crate) fn fields(header: &str) -> Option<HashMap<String, &str>> {
    let header = header.trim();
    header.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("Digest "))?;
    let mut values: HashMap<String, &str> = HashMap::new();
    let mut rest = header[7..].trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        values.insert(name.trim().to_ascii_lowercase(), value.trim());
        let left = left.trim_start();
        rest = if left.is_empty() { left } else { left.strip_prefix(',')?.trim_start() };
    }
    Some(values)
}

/// Compares without saying by its time where the difference is.
fn same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && differences == 0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One;

    impl Passwords for One {
        fn secret(&self, name: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
            (name == "alice").then(|| secret(name, realm, "open sesame", algorithm))
        }
    }

    fn header(nonce: &str, algorithm: Algorithm, password: &str, count: &str) -> String {
        let secret = secret("alice", "town", password, algorithm);
        let request = algorithm.of("REGISTER:sip:town");
        let response = algorithm.of(&format!("{secret}:{nonce}:{count}:c:auth:{request}"));
        format!(
            "Digest username=\"alice\",realm=\"town\", nonce=\"{nonce}\",uri=\"sip:town\",response=\"{response}\", \
             algorithm={},qop=auth, nc={count},cnonce=\"c\"",
            algorithm.name()
        )
    }

    #[test]
    fn the_digest_of_rfc_7616_is_ours() {
        let secret = secret("Mufasa", "http-auth@example.org", "Circle of Life", Algorithm::Sha256);
        let header = "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
            algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
            cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, response=\"\"";
        let proof = Proof::read(header).expect("a proof");
        let expected = proof.expected(Algorithm::Sha256, &secret, "GET");
        assert_eq!(expected, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn each_count_of_a_nonce_serves_once_and_not_for_long() {
        let nonces = Nonces::new();
        let all = [Algorithm::Sha256, Algorithm::Md5];
        let nonce = nonces.nonce(1000);
        assert_ne!(nonce, nonces.nonce(1000), "two phones that ask in one second count apart");
        let check = |header: &str, now| nonces.check(header, "REGISTER", "town", &all, &One, now);
        let proved = Checked::Proved("alice".into());
        assert_eq!(check(&header(&nonce, Algorithm::Md5, "open sesame", "00000001"), 1001), proved);
        assert_eq!(
            check(&header(&nonce, Algorithm::Md5, "open sesame", "00000001"), 1001),
            Checked::Ask { stale: true }
        );
        assert_eq!(check(&header(&nonce, Algorithm::Sha256, "open sesame", "0000000a"), 1002), proved);
        assert_eq!(
            check(&header(&nonce, Algorithm::Sha256, "open sesame", "0000000b"), 1121),
            Checked::Ask { stale: true }
        );
        assert_eq!(check(&header(&nonce, Algorithm::Sha256, "guess", "0000000c"), 1003), Checked::Ask { stale: false });
        assert_eq!(
            check(&header("3e8-made-up", Algorithm::Md5, "open sesame", "01"), 1003),
            Checked::Ask { stale: false }
        );
        for malformed in ["", "Basic x", "Digest", "Digest username=\"alice", "Digest qop=auth-int"] {
            assert_eq!(check(malformed, 1003), Checked::Malformed, "{malformed}");
        }
        nonces.tidy(2000);
        assert!(nonces.used.lock().expect("lock").is_empty());
    }
}

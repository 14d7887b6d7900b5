//! The few building blocks that sealing, code numbers and the link's session share: a labelled MAC and one AEAD.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;

/// Length of a nonce of the AEAD, in bytes.
pub const NONCE_LEN: usize = 12;
/// What the AEAD adds to a plain text, in bytes.
pub const TAG_LEN: usize = 16;

/// Takes the value of a call that can only fail when this process can no longer be trusted.
///
/// # Panics
/// When the library reports an error for arguments whose lengths and ranges the caller has fixed: memory is
/// exhausted or the build is broken.
pub(crate) fn sound<T, E>(result: Result<T, E>, doing: &str) -> T {
    match result {
        Ok(value) => value,
        Err(_) => panic!("the cryptographic library failed while {doing}: out of memory, or a broken build"),
    }
}

/// HMAC-SHA256 over `label`, a zero byte and the parts one after the other.
///
/// Labels hold no zero byte, so that no two uses of a key meet. Of the parts only the last may vary in length.
pub fn mac(key: &[u8; 32], label: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(label.as_bytes());
    context.update(&[0]);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// ChaCha20-Poly1305 (RFC 8439): cipher text and tag. A nonce serves one message under one key.
pub fn seal(key: &[u8; 32], nonce: [u8; NONCE_LEN], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(plain.len() + TAG_LEN);
    text.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    sound(cipher(key).seal_in_place_append_tag(nonce, Aad::from(aad), &mut text), "sealing");
    text
}

/// Opens what [`seal`] made; `None` for anything else.
pub fn open(key: &[u8; 32], nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut text = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let len = cipher(key).open_in_place(nonce, Aad::from(aad), &mut text).ok()?.len();
    text.truncate(len);
    Some(text)
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(sound(UnboundKey::new(&CHACHA20_POLY1305, key), "taking up a key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_nonce_and_context_open() {
        let sealed = seal(&[1; 32], [2; 12], b"context", b"plain");
        assert_eq!(sealed.len(), 5 + TAG_LEN);
        assert_eq!(open(&[1; 32], [2; 12], b"context", &sealed).as_deref(), Some(&b"plain"[..]));
        assert_eq!(open(&[0; 32], [2; 12], b"context", &sealed), None);
        assert_eq!(open(&[1; 32], [0; 12], b"context", &sealed), None);
        assert_eq!(open(&[1; 32], [2; 12], b"", &sealed), None);
        assert_eq!(open(&[1; 32], [2; 12], b"context", &sealed[..20]), None);
        assert_eq!(open(&[1; 32], [2; 12], b"context", &[]), None);
    }

    #[test]
    fn labels_part_the_uses_of_a_key() {
        assert_ne!(mac(&[1; 32], "a", &[b"b"]), mac(&[1; 32], "ab", &[]));
        assert_eq!(mac(&[1; 32], "a", &[b"b", b"c"]), mac(&[1; 32], "a", &[b"bc"]));
    }
}

//! Secrets at rest under a code number **and** a key bound to the device (R19): a copied file cannot be guessed at
//! leisure, and a found device cannot be opened without the code. Counting wrong codes is for the caller.
//!
//! ```text
//! byte  0        version 1
//!       1..13    Argon2id: memory in KiB, passes, lanes (u32 each, big endian)
//!       13..29   salt
//!       29..41   nonce
//!       41..49   which device's key: HMAC(device key, label), first 8 bytes
//!       49..n-8  cipher text and tag; all bytes before it are additional data
//!       n-8..n   SHA-256 of all bytes before, first 8 bytes: damage is told from a wrong code
//! ```

use crate::primitive::{NONCE_LEN, TAG_LEN, mac, open, seal};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::digest::{SHA256, digest};
use zeroize::{Zeroize, Zeroizing};

const FORMAT: u8 = 1;
const SALT: usize = 13;
const NONCE: usize = 29;
const DEVICE: usize = 41;
const TEXT: usize = 49;
const CHECK_LEN: usize = 8;
/// No stored secret may ask for more than 1 GiB, 64 passes and 16 lanes.
const MOST: CodeCost = CodeCost { memory_kib: 1 << 20, passes: 64, lanes: 16 };

/// What one guess of a code number costs (Argon2id, RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeCost {
    /// Memory, in KiB; at least 8 a lane.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for CodeCost {
    /// 19 MiB, two passes, one lane: OWASP's least, some 30 ms.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl CodeCost {
    /// For tests and the simulator: guards nothing.
    pub const CHEAP: Self = Self { memory_kib: 8, passes: 1, lanes: 1 };
}

/// Why a stored secret was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// The person typed another code; worth trying again, within the caller's count.
    #[error("the code number is wrong")]
    WrongCode,
    /// The file was copied here, or this device lost its own key.
    #[error("this secret belongs to another device; restore the wallet instead of copying its files")]
    OtherDevice,
    /// The bytes are not as they were written.
    #[error("the stored secret is damaged; restore the wallet")]
    Damaged,
    /// Written by a later version.
    #[error("the stored secret was written by a newer version of this program; update it")]
    Newer,
    /// Argon2 does not allow these costs; whoever configured them is at fault.
    #[error("the cost set for the code number is not allowed: 8 KiB to 1 GiB a lane, 1 to 64 passes, 1 to 16 lanes")]
    Cost,
    /// Not enough memory.
    #[error("this device lacks the memory to check the code number; close other programs and try again")]
    Memory,
}

/// Turns code, salt and device-bound key into a key.
///
/// # Errors
/// [`CodeError::Cost`]; [`CodeError::Memory`].
pub fn derive(
    cost: CodeCost,
    code: &str,
    salt: &[u8; 16],
    device_key: &[u8; 32],
) -> Result<Zeroizing<[u8; 32]>, CodeError> {
    if cost.memory_kib > MOST.memory_kib || cost.passes > MOST.passes || cost.lanes > MOST.lanes {
        return Err(CodeError::Cost);
    }
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(|_| CodeError::Cost)?;
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| CodeError::Memory)?;
    memory.resize(params.block_count(), argon2::Block::default());
    let argon = Argon2::new_with_secret(device_key, Algorithm::Argon2id, Version::V0x13, params)
        .map_err(|_| CodeError::Cost)?;
    let mut key = Zeroizing::new([0; 32]);
    let derived = argon.hash_password_into_with_memory(code.as_bytes(), salt, &mut key[..], &mut memory);
    // The last blocks are the key in another form.
    memory.iter_mut().for_each(Zeroize::zeroize);
    derived.map_err(|_| CodeError::Cost)?;
    Ok(key)
}

/// Seals `plain` under the code number and the device-bound key. `entropy` must serve this one call only.
///
/// # Errors
/// [`CodeError::Cost`]; [`CodeError::Memory`].
pub fn seal_secret(
    cost: CodeCost,
    entropy: [u8; 32],
    code: &str,
    device_key: &[u8; 32],
    plain: &[u8],
) -> Result<Vec<u8>, CodeError> {
    let mut salt = [0; 16];
    salt.copy_from_slice(&mac(&entropy, "tegata code salt v1", &[])[..16]);
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&mac(&entropy, "tegata code nonce v1", &[])[..NONCE_LEN]);
    let key = derive(cost, code, &salt, device_key)?;
    let mut bytes = vec![FORMAT];
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&salt);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&device_tag(device_key));
    let text = seal(&key, nonce, &bytes, plain);
    bytes.extend_from_slice(&text);
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    Ok(bytes)
}

/// Opens what [`seal_secret`] made; the costs are read from it.
///
/// # Errors
/// [`CodeError::WrongCode`] only if nothing but the code can be wrong; otherwise what is ([`CodeError`]).
pub fn open_secret(code: &str, device_key: &[u8; 32], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CodeError> {
    match sealed.first() {
        None | Some(0) => return Err(CodeError::Damaged),
        Some(version) if *version > FORMAT => return Err(CodeError::Newer),
        Some(_) => {}
    }
    if sealed.len() < TEXT + TAG_LEN + CHECK_LEN {
        return Err(CodeError::Damaged);
    }
    let (bytes, check) = sealed.split_at(sealed.len() - CHECK_LEN);
    if check != checksum(bytes) {
        return Err(CodeError::Damaged);
    }
    let (head, text) = bytes.split_at(TEXT);
    if head[DEVICE..] != device_tag(device_key) {
        return Err(CodeError::OtherDevice);
    }
    let cost = CodeCost { memory_kib: number(head, 1)?, passes: number(head, 5)?, lanes: number(head, 9)? };
    let salt = head[SALT..NONCE].try_into().map_err(|_| CodeError::Damaged)?;
    let nonce = head[NONCE..DEVICE].try_into().map_err(|_| CodeError::Damaged)?;
    let key = derive(cost, code, salt, device_key)?;
    open(&key, nonce, head, text).map(Zeroizing::new).ok_or(CodeError::WrongCode)
}

fn number(head: &[u8], at: usize) -> Result<u32, CodeError> {
    let bytes = head.get(at..at + 4).and_then(|four| four.try_into().ok()).ok_or(CodeError::Damaged)?;
    Ok(u32::from_be_bytes(bytes))
}

/// Tells devices apart without telling anything about their keys.
fn device_tag(device_key: &[u8; 32]) -> [u8; 8] {
    first_eight(&mac(device_key, "tegata code device v1", &[]))
}

fn checksum(bytes: &[u8]) -> [u8; CHECK_LEN] {
    first_eight(digest(&SHA256, bytes).as_ref())
}

fn first_eight(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [5; 32];

    fn sealed() -> Vec<u8> {
        seal_secret(CodeCost::CHEAP, [1; 32], "2468", &KEY, b"secret").expect("seals")
    }

    #[test]
    fn it_opens_with_code_and_device_only() {
        let sealed = sealed();
        assert_eq!(sealed, self::sealed(), "a function of its arguments");
        let plain = open_secret("2468", &KEY, &sealed).expect("opens");
        assert_eq!(&plain[..], b"secret");
        for wrong in ["", "2469", "02468", "24680"] {
            assert_eq!(open_secret(wrong, &KEY, &sealed).err(), Some(CodeError::WrongCode));
        }
        assert_eq!(open_secret("2468", &[6; 32], &sealed).err(), Some(CodeError::OtherDevice));
    }

    #[test]
    fn damage_is_not_taken_for_a_wrong_code() {
        let sealed = sealed();
        for at in 1..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 0x10;
            assert_eq!(open_secret("2468", &KEY, &other).err(), Some(CodeError::Damaged), "byte {at}");
        }
        for len in 0..sealed.len() {
            assert_eq!(open_secret("2468", &KEY, &sealed[..len]).err(), Some(CodeError::Damaged));
        }
        let mut newer = sealed.clone();
        newer[0] = 2;
        assert_eq!(open_secret("2468", &KEY, &newer).err(), Some(CodeError::Newer));
    }

    #[test]
    fn the_device_key_is_part_of_the_derivation_not_only_of_the_label() {
        let (a, b) = (derive(CodeCost::CHEAP, "1", &[0; 16], &KEY), derive(CodeCost::CHEAP, "1", &[0; 16], &[6; 32]));
        assert_ne!(a.expect("derives"), b.expect("derives"));
    }

    #[test]
    fn costs_out_of_range_are_refused() {
        for cost in [
            CodeCost { memory_kib: 7, ..CodeCost::CHEAP },
            CodeCost { memory_kib: u32::MAX, ..CodeCost::CHEAP },
            CodeCost { passes: 0, ..CodeCost::CHEAP },
            CodeCost { passes: 65, ..CodeCost::CHEAP },
            CodeCost { lanes: 0, ..CodeCost::CHEAP },
        ] {
            assert_eq!(seal_secret(cost, [1; 32], "1", &KEY, b"").err(), Some(CodeError::Cost), "{cost:?}");
        }
    }

    #[test]
    fn the_default_cost_works() {
        let sealed = seal_secret(CodeCost::default(), [1; 32], "2468", &KEY, b"").expect("seals");
        assert_eq!(open_secret("2468", &KEY, &sealed).map(|plain| plain.len()), Ok(0));
    }
}

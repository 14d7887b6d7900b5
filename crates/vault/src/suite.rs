//! What every vault must do, as one story that each implementation's tests run.

use crate::{Vault, VaultError};
use tegata_core::record::{Batch, RecordKey, Space};

/// Panics where the vaults made do not behave as [`Vault`] says. Each vault made must be empty and its own.
pub fn conforms<V: Vault>(mut make: impl FnMut() -> V) {
    reads_what_was_written(make());
    spaces_are_apart_and_scans_are_sorted(make());
    guards_decide(make());
    a_batch_is_all_or_nothing(make());
    odd_sizes_are_kept(make());
    random_batches_agree_with_a_model(make());
}

fn key(space: Space, name: &[u8]) -> RecordKey {
    RecordKey::new(space, name)
}

fn one(space: Space, name: &[u8], value: Option<&[u8]>) -> Batch {
    Batch { writes: vec![(key(space, name), value.map(<[u8]>::to_vec))], ..Batch::default() }
}

fn reads_what_was_written(mut vault: impl Vault) {
    let card = key(Space::Card, b"a");
    assert_eq!(vault.get(&card), Ok(None));
    assert_eq!(vault.commit(&one(Space::Card, b"a", Some(b"1"))), Ok(()));
    assert_eq!(vault.get(&card), Ok(Some(b"1".to_vec())));
    assert_eq!(vault.commit(&one(Space::Card, b"a", Some(b"2"))), Ok(()));
    assert_eq!(vault.get(&card), Ok(Some(b"2".to_vec())), "overwritten");
    assert_eq!(vault.commit(&one(Space::Card, b"a", None)), Ok(()));
    assert_eq!(vault.get(&card), Ok(None), "removed");
    assert_eq!(vault.commit(&one(Space::Card, b"a", None)), Ok(()), "removing nothing is fine");
    assert_eq!(vault.commit(&Batch::default()), Ok(()), "an empty batch is fine");
    let mut twice = one(Space::Card, b"a", Some(b"1"));
    twice.put(card.clone(), b"2".to_vec());
    assert_eq!(vault.commit(&twice), Ok(()));
    assert_eq!(vault.get(&card), Ok(Some(b"2".to_vec())), "the later write counts");
}

fn spaces_are_apart_and_scans_are_sorted(mut vault: impl Vault) {
    for (index, space) in Space::ALL.iter().enumerate() {
        let value = index.to_string().into_bytes();
        assert_eq!(vault.commit(&one(*space, b"same", Some(&value))), Ok(()));
    }
    for (index, space) in Space::ALL.iter().enumerate() {
        let value = index.to_string().into_bytes();
        assert_eq!(vault.scan(*space, &[], 10), Ok(vec![(b"same".to_vec(), value)]), "{space:?}");
        assert_eq!(vault.commit(&one(*space, b"same", None)), Ok(()));
    }
    for number in [300u64, 2, 1, u64::MAX, 256, 255] {
        let mut batch = Batch::default();
        batch.put(RecordKey::numbered(Space::Log, number), number.to_string().into_bytes());
        assert_eq!(vault.commit(&batch), Ok(()));
    }
    let numbers = |vault: &dyn Vault, from: &[u8], limit| -> Vec<String> {
        let found = vault.scan(Space::Log, from, limit).expect("scanned");
        found.into_iter().map(|(_, value)| String::from_utf8(value).expect("a number")).collect()
    };
    assert_eq!(numbers(&vault, &[], 100), ["1", "2", "255", "256", "300", "18446744073709551615"]);
    assert_eq!(numbers(&vault, &255u64.to_be_bytes(), 2), ["255", "256"], "from itself on");
    assert_eq!(numbers(&vault, &257u64.to_be_bytes(), usize::MAX), ["300", "18446744073709551615"]);
    assert_eq!(numbers(&vault, &[0xff; 9], 10), [""; 0]);
    assert_eq!(numbers(&vault, &[], 0), [""; 0]);
    for (name, _) in [(b"".as_slice(), 0), (b"a", 1), (b"a\0", 2), (b"ab", 3), (b"b", 4), (b"\xff", 5)] {
        assert_eq!(vault.commit(&one(Space::Key, name, Some(b"x"))), Ok(()));
    }
    let found = vault.scan(Space::Key, b"a\0", 3).expect("scanned");
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_slice()).collect();
    assert_eq!(names, [b"a\0".as_slice(), b"ab", b"b"], "a shorter name comes before a longer one");
}

fn guards_decide(mut vault: impl Vault) {
    let card = key(Space::Card, b"seq");
    let advance = |before: Option<&[u8]>, after: &[u8]| {
        let mut batch = Batch::default();
        batch.replace(key(Space::Card, b"seq"), before.map(<[u8]>::to_vec), after.to_vec());
        batch
    };
    assert_eq!(vault.commit(&advance(Some(b"0"), b"1")), Err(VaultError::Raced), "nothing stands there");
    assert_eq!(vault.commit(&advance(None, b"1")), Ok(()));
    assert_eq!(vault.commit(&advance(None, b"1")), Err(VaultError::Raced), "something stands there");
    assert_eq!(vault.commit(&advance(Some(b""), b"2")), Err(VaultError::Raced), "empty is not the same");
    assert_eq!(vault.commit(&advance(Some(b"1 "), b"2")), Err(VaultError::Raced), "longer is not the same");
    assert_eq!(vault.commit(&advance(Some(b"1"), b"2")), Ok(()));
    assert_eq!(vault.get(&card), Ok(Some(b"2".to_vec())));
    let check = Batch { guards: vec![(card.clone(), Some(b"2".to_vec()))], ..Batch::default() };
    assert_eq!(vault.commit(&check), Ok(()), "guards alone");
    assert_eq!(vault.commit(&one(Space::Card, b"seq", Some(b""))), Ok(()));
    assert_eq!(vault.commit(&advance(None, b"3")), Err(VaultError::Raced), "an empty value stands there");
    assert_eq!(vault.commit(&advance(Some(b""), b"3")), Ok(()));
}

fn a_batch_is_all_or_nothing(mut vault: impl Vault) {
    assert_eq!(vault.commit(&one(Space::Card, b"a", Some(b"1"))), Ok(()));
    let mut batch = one(Space::Card, b"a", None);
    batch.put(key(Space::Log, b"b"), b"2".to_vec());
    batch.guards = vec![(key(Space::Card, b"a"), Some(b"1".to_vec())), (key(Space::Device, b"d"), Some(b"x".to_vec()))];
    assert_eq!(vault.commit(&batch), Err(VaultError::Raced), "one guard of two does not hold");
    assert_eq!(vault.get(&key(Space::Card, b"a")), Ok(Some(b"1".to_vec())));
    assert_eq!(vault.get(&key(Space::Log, b"b")), Ok(None));
    batch.guards[1].1 = None;
    assert_eq!(vault.commit(&batch), Ok(()));
    assert_eq!(vault.get(&key(Space::Card, b"a")), Ok(None));
    assert_eq!(vault.get(&key(Space::Log, b"b")), Ok(Some(b"2".to_vec())));
}

fn odd_sizes_are_kept(mut vault: impl Vault) {
    for (name, value) in [(vec![], vec![]), (vec![0; 300], vec![0; 200_000]), (vec![0xff], (0..=255).collect())] {
        let mut batch = Batch::default();
        batch.replace(key(Space::Receipt, &name), None, value.clone());
        assert_eq!(vault.commit(&batch), Ok(()));
        assert_eq!(vault.get(&key(Space::Receipt, &name)), Ok(Some(value)));
    }
}

/// A record's place in the model.
type Place = (Space, Vec<u8>);

/// 300 batches from a fixed sequence, against the simplest model there is.
fn random_batches_agree_with_a_model(mut vault: impl Vault) {
    let mut model: Vec<(Place, Vec<u8>)> = Vec::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut dice = |sides: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % sides
    };
    for round in 0..300u32 {
        let mut batch = Batch::default();
        for _ in 0..dice(4) {
            let space = if dice(2) == 0 { Space::Card } else { Space::Log };
            let name = vec![b'a'; dice(5) as usize];
            let stands = model.iter().find(|(at, _)| *at == (space, name.clone())).map(|(_, value)| value.clone());
            let key = RecordKey::new(space, name);
            if dice(3) > 0 {
                batch.guards.push((key.clone(), if dice(8) == 0 { Some(b"other".to_vec()) } else { stands }));
            }
            batch.writes.push((key, (dice(4) > 0).then(|| round.to_be_bytes().to_vec())));
        }
        let holds = batch.guards.iter().all(|(key, expected)| {
            let stands = model.iter().find(|(at, _)| *at == (key.space, key.name.clone())).map(|(_, value)| value);
            stands == expected.as_ref()
        });
        assert_eq!(vault.commit(&batch), if holds { Ok(()) } else { Err(VaultError::Raced) }, "round {round}");
        for (key, value) in batch.writes.into_iter().filter(|_| holds) {
            model.retain(|(at, _)| *at != (key.space, key.name.clone()));
            model.extend(value.map(|value| ((key.space, key.name), value)));
        }
        model.sort();
        for space in [Space::Card, Space::Log] {
            let expected =
                model.iter().filter(|(at, _)| at.0 == space).map(|(at, value)| (at.1.clone(), value.clone()));
            assert_eq!(vault.scan(space, &[], 100), Ok(expected.collect()), "round {round}");
        }
    }
}

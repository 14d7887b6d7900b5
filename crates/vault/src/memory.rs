//! Vaults in memory: [`MemoryVault`] for tests and large crowds, [`SimulatedVault`] for devices that lose power.
//!
//! Both are deterministic; what goes wrong, and at which commit, is handed in.

use crate::{Found, Vault, VaultError};
use std::collections::BTreeMap;
use tegata_core::record::{Batch, RecordKey, Space};

/// Records in order. The key is one byte for the space and then the name, so that a space lies together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Records(BTreeMap<Box<[u8]>, Box<[u8]>>);

/// What stood under some keys before a write, oldest first.
type Undo = Vec<(Box<[u8]>, Option<Box<[u8]>>)>;

fn place(space: Space, name: &[u8]) -> Box<[u8]> {
    // The position in the enumeration; it never leaves this process.
    let mut place = Vec::with_capacity(1 + name.len());
    place.push(space as u8);
    place.extend_from_slice(name);
    place.into()
}

impl Records {
    fn get(&self, key: &RecordKey) -> Option<Vec<u8>> {
        self.0.get(&place(key.space, &key.name)).map(|value| value.to_vec())
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Vec<Found> {
        self.0
            .range(place(space, from)..)
            .map_while(|(place, value)| {
                let (found, name) = place.split_first()?;
                (*found == space as u8).then(|| (name.to_vec(), value.to_vec()))
            })
            .take(limit)
            .collect()
    }
    fn check(&self, batch: &Batch) -> Result<(), VaultError> {
        let holds = |(key, expected): &(RecordKey, Option<Vec<u8>>)| {
            self.0.get(&place(key.space, &key.name)).map(|value| &**value) == expected.as_deref()
        };
        if batch.guards.iter().all(holds) { Ok(()) } else { Err(VaultError::Raced) }
    }
    fn set(&mut self, place: Box<[u8]>, value: Option<Box<[u8]>>) -> Option<Box<[u8]>> {
        match value {
            Some(value) => self.0.insert(place, value),
            None => self.0.remove(&place),
        }
    }
    fn write(&mut self, batch: &Batch) {
        for (key, value) in &batch.writes {
            self.set(place(key.space, &key.name), value.as_deref().map(Into::into));
        }
    }
    fn write_undoable(&mut self, batch: &Batch, undo: &mut Undo) {
        for (key, value) in &batch.writes {
            let place = place(key.space, &key.name);
            let before = self.set(place.clone(), value.as_deref().map(Into::into));
            undo.push((place, before));
        }
    }
    fn undo(&mut self, undo: Undo) {
        for (place, before) in undo.into_iter().rev() {
            self.set(place, before);
        }
    }
}

/// A vault that lives as long as the process. It takes no memory before its first record.
#[derive(Clone, Debug, Default)]
pub struct MemoryVault(Records);

impl MemoryVault {
    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Vault for MemoryVault {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.0.get(key))
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
        Ok(self.0.scan(space, from, limit))
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        self.0.check(batch)?;
        self.0.write(batch);
        Ok(())
    }
}

/// How one commit of a [`SimulatedVault`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CommitFault {
    /// Durable, as it should be; so is then everything before it.
    #[default]
    Normal,
    /// Acknowledged, but the disk lied: gone at the next power cut, unless a later commit reaches the disk.
    LostSync,
    /// The power goes before anything is written. The device is off: [`VaultError::Cut`].
    CutBefore,
    /// The batch is durable, but the power goes before anybody is told. The device is off: [`VaultError::Cut`].
    CutAfter,
    /// Nothing is written: [`VaultError::Full`].
    Full,
}

impl CommitFault {
    /// Every one, for matrices and dice.
    pub const ALL: [Self; 5] = [Self::Normal, Self::LostSync, Self::CutBefore, Self::CutAfter, Self::Full];
}

/// Which commits of a vault go wrong. Commits are numbered from 1 over the vault's whole life, failed ones included.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Faults {
    always: CommitFault,
    at: BTreeMap<u64, CommitFault>,
}

impl Faults {
    /// Every commit goes well.
    pub fn none() -> Self {
        Self::default()
    }
    /// Every commit goes this way, but for those named with [`Faults::at`].
    pub fn always(fault: CommitFault) -> Self {
        Self { always: fault, at: BTreeMap::new() }
    }
    /// The commit of this number goes this way.
    #[must_use]
    pub fn at(mut self, number: u64, fault: CommitFault) -> Self {
        self.at.insert(number, fault);
        self
    }
    fn of(&self, number: u64) -> CommitFault {
        self.at.get(&number).copied().unwrap_or(self.always)
    }
}

/// The vault of a simulated device. Records are volatile or durable: a power cut drops what is only volatile, and
/// whoever holds a [`Snapshot`] can put the whole device back to it.
#[derive(Clone, Debug, Default)]
pub struct SimulatedVault {
    /// What the running device sees: the volatile half.
    records: Records,
    /// What turns `records` back into the durable half; empty as long as no sync was lost.
    volatile: Undo,
    faults: Faults,
    commits: u64,
    off: bool,
    forgot: bool,
}

/// All records of a vault at one moment, as a thief or a backup takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(Records);

impl SimulatedVault {
    /// An empty vault whose commits go as planned.
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }
    /// A copy of a device: the same records, a plan and a count of its own.
    pub fn clone_of(other: &Self, faults: Faults) -> Self {
        Self { records: other.records.clone(), ..Self::new(faults) }
    }
    /// Plans anew what goes wrong from here on; gives back the plan before.
    pub fn set_faults(&mut self, faults: Faults) -> Faults {
        std::mem::replace(&mut self.faults, faults)
    }
    /// How many commits were tried so far; the next one has the number after.
    pub fn commits(&self) -> u64 {
        self.commits
    }
    /// Whether the power is out since a commit that ended in [`VaultError::Cut`]; [`SimulatedVault::power_cut`] ends
    /// it.
    pub fn is_off(&self) -> bool {
        self.off
    }
    /// Whether a power cut ever took back what was acknowledged: the disk had lied, and it mattered.
    pub fn forgot(&self) -> bool {
        self.forgot
    }
    /// The power goes, and comes back: what was not durable is gone.
    pub fn power_cut(&mut self) {
        let volatile = std::mem::take(&mut self.volatile);
        self.forgot |= !volatile.is_empty();
        self.records.undo(volatile);
        self.off = false;
    }
    /// All that the running device sees.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.records.clone())
    }
    /// Puts the device back to an earlier state, durably. It is then on.
    pub fn roll_back(&mut self, to: &Snapshot) {
        self.records = to.0.clone();
        self.volatile.clear();
        self.off = false;
    }
    fn go_off(&mut self) -> Result<(), VaultError> {
        self.power_cut();
        self.off = true;
        Err(VaultError::Cut)
    }
    fn powered(&self) -> Result<&Records, VaultError> {
        if self.off { Err(VaultError::Cut) } else { Ok(&self.records) }
    }
}

impl Vault for SimulatedVault {
    fn get(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.powered()?.get(key))
    }
    fn scan(&self, space: Space, from: &[u8], limit: usize) -> Result<Vec<Found>, VaultError> {
        Ok(self.powered()?.scan(space, from, limit))
    }
    fn commit(&mut self, batch: &Batch) -> Result<(), VaultError> {
        self.powered()?;
        self.commits += 1;
        let fault = self.faults.of(self.commits);
        if fault == CommitFault::CutBefore {
            return self.go_off();
        }
        self.records.check(batch)?;
        match fault {
            CommitFault::Full => return Err(VaultError::Full),
            CommitFault::LostSync => self.records.write_undoable(batch, &mut self.volatile),
            CommitFault::Normal | CommitFault::CutBefore | CommitFault::CutAfter => {
                self.records.write(batch);
                self.volatile = Undo::new();
            }
        }
        if fault == CommitFault::CutAfter { self.go_off() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite;
    use proptest::prelude::*;

    fn key(name: u8) -> RecordKey {
        RecordKey::new(Space::Card, [name])
    }
    fn put(name: u8, value: u8) -> Batch {
        let mut batch = Batch::default();
        batch.put(key(name), vec![value]);
        batch
    }
    fn names(vault: &SimulatedVault) -> Vec<u8> {
        vault.scan(Space::Card, &[], 100).expect("on").into_iter().map(|(name, _)| name[0]).collect()
    }

    #[test]
    fn both_conform() {
        suite::conforms(MemoryVault::new);
        suite::conforms(|| SimulatedVault::new(Faults::none()));
        suite::conforms(|| SimulatedVault::new(Faults::always(CommitFault::LostSync)));
    }

    #[test]
    fn an_empty_vault_is_small() {
        assert!(size_of::<MemoryVault>() <= 24);
        assert!(size_of::<SimulatedVault>() <= 104);
    }

    #[test]
    fn each_fault_leaves_what_it_says() {
        use CommitFault::*;
        // The fault of commit 2 of 3; what commit 2 answers; what is there after it and a power cut.
        for (fault, answer, after) in [
            (Normal, Ok(()), vec![1, 2]),
            (LostSync, Ok(()), vec![1]),
            (CutBefore, Err(VaultError::Cut), vec![1]),
            (CutAfter, Err(VaultError::Cut), vec![1, 2]),
            (Full, Err(VaultError::Full), vec![1]),
        ] {
            let mut vault = SimulatedVault::new(Faults::none().at(2, fault));
            assert_eq!(vault.commit(&put(1, 0)), Ok(()));
            assert_eq!(vault.commit(&put(2, 0)), answer, "{fault:?}");
            assert_eq!(vault.is_off(), answer == Err(VaultError::Cut), "{fault:?}");
            if vault.is_off() {
                assert_eq!(vault.commit(&put(3, 0)), Err(VaultError::Cut), "{fault:?}: it is off");
                assert_eq!(vault.get(&key(1)), Err(VaultError::Cut), "{fault:?}: it is off");
            }
            vault.power_cut();
            assert_eq!(names(&vault), after, "{fault:?}");
            assert_eq!(vault.commit(&put(3, 0)), Ok(()), "{fault:?}: it goes on");
            assert_eq!(vault.commits(), 3, "{fault:?}");
        }
    }

    #[test]
    fn a_later_sync_saves_what_was_lost_before() {
        let mut vault = SimulatedVault::new(Faults::always(CommitFault::LostSync).at(3, CommitFault::Normal));
        for name in 1..=4 {
            vault.commit(&put(name, 0)).expect("acknowledged");
        }
        assert_eq!(names(&vault), [1, 2, 3, 4]);
        vault.power_cut();
        assert_eq!(names(&vault), [1, 2, 3]);
    }

    #[test]
    fn a_rollback_is_durable_and_a_clone_goes_its_own_way() {
        let mut vault = SimulatedVault::new(Faults::none());
        vault.commit(&put(1, 0)).expect("stored");
        let early = vault.snapshot();
        vault.commit(&put(2, 0)).expect("stored");
        let mut clone = SimulatedVault::clone_of(&vault, Faults::none());
        clone.commit(&put(3, 0)).expect("stored");
        vault.roll_back(&early);
        vault.power_cut();
        assert_eq!(names(&vault), [1]);
        assert_eq!(names(&clone), [1, 2, 3]);
        assert_eq!(vault.snapshot(), early);
    }

    proptest! {
        /// The durable half is the state after the last commit that reached the disk, whatever was overwritten or
        /// removed since.
        #[test]
        fn a_power_cut_restores_the_last_synced_state(
            writes in prop::collection::vec((0..4u8, prop::option::of(0..9u8), any::<bool>()), 0..40),
        ) {
            let mut vault = SimulatedVault::new(Faults::none());
            let mut durable = vault.snapshot();
            for (name, value, lost) in writes {
                let fault = if lost { CommitFault::LostSync } else { CommitFault::Normal };
                vault.set_faults(Faults::always(fault));
                let batch = Batch { writes: vec![(key(name), value.map(|value| vec![value]))], ..Batch::default() };
                prop_assert_eq!(vault.commit(&batch), Ok(()));
                if !lost {
                    durable = vault.snapshot();
                }
            }
            vault.power_cut();
            prop_assert_eq!(vault.snapshot(), durable);
        }
    }
}

//! Vaults and folders under several real processes: killed at any moment, and racing for the same record.
//!
//! A test starts its own binary again with [`ROLE`] set; the same function then plays the child.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, thread, time::Duration};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_vault::{DataFolder, SqliteVault, Vault, VaultError};

/// Where the child finds its file or folder.
const ROLE: &str = "TEGATA_VAULT_TEST_CHILD";

/// What this process shall work on, if it is a child.
fn child_path() -> Option<PathBuf> {
    env::var_os(ROLE).map(PathBuf::from)
}

/// Starts the test of this name again, as a child.
fn start(test: &str, path: &Path) -> Child {
    Command::new(env::current_exe().expect("a test has a binary"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROLE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started")
}

/// The numbers that a child said, as they come. A line that was cut off by a kill does not count.
fn said(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = lines.read_until(b'\n', &mut line).ok()?;
        (read > 0).then_some(line)
    })
    .filter(|line| line.ends_with(b"\n"))
    .filter_map(|line| String::from_utf8(line).ok()?.trim_end().strip_prefix("done ")?.parse().ok())
}

/// Says a number in one write, on a line of its own.
fn say(number: u64) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\ndone {number}\n").as_bytes()).expect("the parent listens");
    out.flush().expect("the parent listens");
}

fn counter() -> RecordKey {
    RecordKey::new(Space::Device, *b"count")
}

fn read_counter(vault: &impl Vault) -> u64 {
    let value = vault.get(&counter()).expect("read").unwrap_or_else(|| vec![0; 8]);
    u64::from_be_bytes(value.try_into().expect("8 bytes"))
}

/// Three records of one commit; the last spans several pages, so that half a commit would show.
fn commit_of(number: u64, batch: &mut Batch) {
    let before = (number > 1).then(|| (number - 1).to_be_bytes().to_vec());
    batch.replace(counter(), before, number.to_be_bytes().to_vec());
    batch.put(RecordKey::numbered(Space::Log, number), number.to_be_bytes().to_vec());
    batch.put(RecordKey::numbered(Space::Charge, number), number.to_be_bytes().repeat(2_500));
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    if let Some(path) = child_path() {
        let mut vault = SqliteVault::open(path).expect("opened");
        for number in read_counter(&vault) + 1.. {
            let mut batch = Batch::default();
            commit_of(number, &mut batch);
            vault.commit(&batch).expect("stored");
            say(number);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.db");
    drop(SqliteVault::create(&path).expect("created"));
    let mut acknowledged = 0;
    for round in 0..25u64 {
        let mut child = start("what_was_acknowledged_survives_a_kill_at_any_moment", &path);
        let mut numbers = said(&mut child);
        // Some rounds end within the first commits, some after a checkpoint (a thousand pages) or two.
        let enough = acknowledged + 1 + (round * round) % 61;
        acknowledged = numbers.by_ref().find(|number| *number >= enough).expect("the child commits");
        thread::sleep(Duration::from_micros(round * 137 % 2_000));
        child.kill().expect("killed");
        child.wait().expect("ended");
        acknowledged = numbers.last().unwrap_or(acknowledged);

        let vault = SqliteVault::open(&path).expect("opens after a kill");
        let stored = read_counter(&vault);
        assert!(
            stored == acknowledged || stored == acknowledged + 1,
            "round {round}: {acknowledged} said, {stored} found"
        );
        for (space, repeat) in [(Space::Log, 1), (Space::Charge, 2_500)] {
            let found = vault.scan(space, &[], usize::MAX).expect("read");
            let expected = (1..=stored).map(|n| (n.to_be_bytes().to_vec(), n.to_be_bytes().repeat(repeat)));
            assert!(found.into_iter().eq(expected), "round {round}: {space:?} is not 1 to {stored}, each whole");
        }
        acknowledged = stored;
    }
}

#[test]
fn processes_that_race_never_lose_an_advance() {
    const EACH: u64 = 60;
    if let Some(path) = child_path() {
        let mut vault = SqliteVault::open(path).expect("opened");
        let mut advances = 0;
        while advances < EACH {
            let before = read_counter(&vault);
            let guard = (before > 0).then(|| before.to_be_bytes().to_vec());
            let mut batch = Batch::default();
            batch.replace(counter(), guard, (before + 1).to_be_bytes().to_vec());
            match vault.commit(&batch) {
                Ok(()) => advances += 1,
                Err(error) => assert_eq!(error, VaultError::Raced),
            }
        }
        return say(advances);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vault.db");
    let vault = SqliteVault::create(&path).expect("created");
    let mut children: Vec<_> = (0..4).map(|_| start("processes_that_race_never_lose_an_advance", &path)).collect();
    for child in &mut children {
        assert_eq!(said(child).last(), Some(EACH));
        assert!(child.wait().expect("ended").success());
    }
    assert_eq!(read_counter(&vault), 4 * EACH);
}

#[test]
fn a_killed_process_frees_its_folder() {
    if let Some(path) = child_path() {
        let data = DataFolder::open_or_create(path).expect("opened");
        let _wallet = data.wallet("alice").expect("held");
        say(1);
        return thread::sleep(Duration::from_secs(60));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start("a_killed_process_frees_its_folder", folder.path());
    assert_eq!(said(&mut child).next(), Some(1));
    let data = DataFolder::open_or_create(folder.path()).expect("together");
    let refused = data.wallet("alice").map(drop).expect_err("held by the child");
    assert_eq!(refused.reason, VaultError::Locked);
    assert!(refused.to_string().contains("another process is using this data"), "{refused}");
    child.kill().expect("killed");
    child.wait().expect("ended");
    data.wallet("alice").expect("free again");
}

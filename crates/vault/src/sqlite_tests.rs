//! Tests of [`super::SqliteVault`]: what is refused, and that a full disk or a second handle leaves nothing half done.

use super::*;
use crate::suite;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn key(name: &[u8]) -> RecordKey {
    RecordKey::new(Space::Card, name)
}

fn put(name: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.put(key(name), value.to_vec());
    batch
}

fn vault_at(folder: &TempDir) -> (PathBuf, SqliteVault) {
    let path = folder.path().join("vault.db");
    let vault = SqliteVault::create(&path).expect("created");
    (path, vault)
}

/// Makes a file of another program's.
fn database(path: &Path, sql: &str) {
    Connection::open(path).expect("opened").execute_batch(sql).expect("made");
}

#[test]
fn conforms() {
    let folder = folder();
    let mut count = 0;
    suite::conforms(|| {
        count += 1;
        SqliteVault::create(folder.path().join(format!("{count}.db"))).expect("created")
    });
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = folder();
    let (path, mut vault) = vault_at(&folder);
    vault.commit(&put(b"a", b"1")).expect("stored");
    drop(vault);
    let vault = SqliteVault::open_or_create(&path).expect("opened");
    assert_eq!(vault.get(&key(b"a")), Ok(Some(b"1".to_vec())));
    assert_eq!(SqliteVault::create(&path).map(drop), Err(VaultError::Exists));
}

#[test]
fn it_runs_as_the_design_demands() {
    let folder = folder();
    let (_, vault) = vault_at(&folder);
    let read = |name| vault.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).expect("a number");
    assert_eq!(read("synchronous"), 2, "FULL");
    assert_eq!(read("application_id"), i64::from(APPLICATION_ID));
    assert_eq!(read("user_version"), i64::from(FORMAT));
    let mode: String = vault.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).expect("a text");
    assert_eq!(mode, "wal");
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (path, mut vault) = vault_at(&folder);
    vault.commit(&put(b"a", b"1")).expect("stored");
    for file in [path.clone(), beside(&path, "-wal")] {
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn only_a_whole_vault_of_this_version_is_opened() {
    let ours = format!("PRAGMA application_id = {APPLICATION_ID};");
    let newer = format!("{ours} PRAGMA user_version = 2; CREATE TABLE record (a)");
    type Make<'a> = Box<dyn Fn(&Path) + 'a>;
    let file = |bytes: &'static [u8]| -> Make<'_> { Box::new(move |path| fs::write(path, bytes).expect("written")) };
    let cut = |keep: fn(u64) -> u64| -> Make<'_> {
        Box::new(move |path| {
            drop(SqliteVault::create(path).expect("created"));
            let file = fs::OpenOptions::new().write(true).open(path).expect("opened");
            file.set_len(keep(file.metadata().expect("there").len())).expect("cut");
        })
    };
    let cases: Vec<(&str, Make<'_>, VaultError)> = vec![
        ("nothing", Box::new(|_| {}), VaultError::Missing),
        ("an empty file", file(b""), VaultError::HalfMade),
        ("a text", file(b"hello, this is a letter"), VaultError::Foreign),
        ("the first bytes of a database", file(b"SQLite f"), VaultError::Damaged),
        ("half a header", file(b"SQLite format 3\0\x10\x00"), VaultError::Damaged),
        ("half a vault", cut(|length| length / 2), VaultError::Damaged),
        ("a vault without its last byte", cut(|length| length - 1), VaultError::Damaged),
        ("another program's database", Box::new(|path| database(path, "CREATE TABLE a (b)")), VaultError::Foreign),
        (
            "another program's marked database",
            Box::new(|path| database(path, "PRAGMA application_id = 7; CREATE TABLE record (b)")),
            VaultError::Foreign,
        ),
        (
            "a database without a table",
            Box::new(|path| database(path, "PRAGMA user_version = 1")),
            VaultError::HalfMade,
        ),
        ("our mark alone", Box::new(|path| database(path, &ours)), VaultError::HalfMade),
        (
            "our mark on another table",
            Box::new(|path| database(path, &format!("{ours} PRAGMA user_version = 1; CREATE TABLE a (b)"))),
            VaultError::Damaged,
        ),
        ("a newer vault", Box::new(|path| database(path, &newer)), VaultError::Newer { found: 2, known: 1 }),
    ];
    for (name, make, refusal) in cases {
        let folder = folder();
        let path = folder.path().join("vault.db");
        make(&path);
        let before = fs::read(&path).ok();
        assert_eq!(SqliteVault::open(&path).map(drop), Err(refusal), "{name}");
        assert_eq!(fs::read(&path).ok(), before, "{name}: left untouched");
    }
}

#[test]
fn a_vault_overwritten_in_the_middle_is_damaged_not_wrong() {
    let folder = folder();
    let (path, mut vault) = vault_at(&folder);
    for name in 0..200u8 {
        vault.commit(&put(&[name], &[name; 200])).expect("stored");
    }
    drop(vault);
    let mut bytes = fs::read(&path).expect("read");
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).expect("written");
    let read = SqliteVault::open(&path).and_then(|vault| vault.scan(Space::Card, &[], 1000));
    assert_eq!(read, Err(VaultError::Damaged));
}

#[test]
fn an_interrupted_creation_leaves_nothing_under_the_name_and_can_be_repeated() {
    let folder = folder();
    let path = folder.path().join("vault.db");
    fs::write(file::unfinished(&path), b"half").expect("written");
    assert_eq!(SqliteVault::open(&path).map(drop), Err(VaultError::Missing));
    SqliteVault::create(&path).expect("created");
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[test]
fn a_full_disk_is_told_and_changes_nothing() {
    let folder = folder();
    let (path, mut vault) = vault_at(&folder);
    vault.commit(&put(b"a", b"before")).expect("stored");
    vault.fill_disk();
    let mut batch = put(b"a", b"after");
    batch.put(key(b"b"), vec![1; 100_000]);
    assert_eq!(vault.commit(&batch), Err(VaultError::Full));
    for vault in [vault, SqliteVault::open(&path).expect("opened")] {
        assert_eq!(vault.scan(Space::Card, &[], 10), Ok(vec![(b"a".to_vec(), b"before".to_vec())]));
    }
    let mut vault = SqliteVault::open(&path).expect("opened");
    assert_eq!(vault.commit(&batch), Ok(()), "once there is space");
}

#[test]
fn of_two_handles_only_one_advances_a_record() {
    let folder = folder();
    let (path, mut one) = vault_at(&folder);
    let mut other = SqliteVault::open(&path).expect("opened");
    let mut advance = Batch::default();
    advance.replace(key(b"seq"), None, b"1".to_vec());
    assert_eq!(one.commit(&advance), Ok(()));
    assert_eq!(other.commit(&advance), Err(VaultError::Raced));
    assert_eq!(other.get(&key(b"seq")), Ok(Some(b"1".to_vec())));
}

#[test]
fn a_write_lock_held_by_another_is_told_as_such() {
    let folder = folder();
    let (path, mut one) = vault_at(&folder);
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    one.connection.busy_timeout(Duration::from_millis(20)).expect("set");
    assert_eq!(one.commit(&put(b"a", b"1")), Err(VaultError::Locked));
    assert_eq!(one.get(&key(b"a")), Ok(None), "reading goes on");
}

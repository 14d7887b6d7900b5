//! The data folder: where the parts of a house keep their files, and who may use which now.
//!
//! ```text
//! VERSION  LOCK
//! provider/            VERSION  LOCK  ...
//! processor/           VERSION  LOCK  ...
//! issuers/NAME/        VERSION  LOCK  ...
//! terminals/NAME/      VERSION  LOCK  vault.db
//! gates/NAME/          VERSION  LOCK  vault.db
//! switches/NAME/       VERSION  LOCK  vault.db
//! wallets/NAME/        VERSION  LOCK  vault.db
//! ```
//!
//! A part holds its own folder alone and the data folder together with the other parts, so that provider, wallets
//! and terminals run as processes of their own. The locks are the operating system's: they end with the process.

use crate::{VaultError, file};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The layout that this program makes; the highest it reads.
const LAYOUT: u32 = 1;
/// What stands in `VERSION` before the number.
const MARK: &str = "tegata ";
const VERSION: &str = "VERSION";
const LOCK: &str = "LOCK";
/// How often, and how long apart, somebody else's making of the folder is waited for.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// Why a folder cannot be used, and which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub reason: VaultError,
}

/// The data folder, held together with other parts. Clones hold the same lock.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    _lock: Arc<File>,
}

/// One part's folder, held by this process alone until dropped. It keeps the data folder held as well.
#[derive(Debug)]
pub struct PartFolder {
    path: PathBuf,
    _lock: File,
    _data: DataFolder,
}

impl DataFolder {
    /// Opens the data folder at `path`, or makes it where nothing is (or an empty folder).
    ///
    /// # Errors
    /// [`VaultError::Locked`] while somebody holds it alone, [`VaultError::Newer`], [`VaultError::HalfMade`] if there
    /// are files but no `VERSION`, [`VaultError::Foreign`], [`VaultError::Damaged`], [`VaultError::Full`] or
    /// [`VaultError::Io`].
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let lock = blame(path, hold(path, Hold::Together))?;
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }
    /// As [`DataFolder::open_or_create`], but without any other part: to back up, move or convert it.
    ///
    /// # Errors
    /// As [`DataFolder::open_or_create`]; [`VaultError::Locked`] while any part runs.
    pub fn open_alone(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let lock = blame(path, hold(path, Hold::Alone))?;
        Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) })
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The provider's folder.
    ///
    /// # Errors
    /// As [`DataFolder::open_or_create`]; [`VaultError::Locked`] while another process holds this part.
    pub fn provider(&self) -> Result<PartFolder, FolderError> {
        self.part(self.path.join("provider"))
    }
    /// The processor's folder.
    ///
    /// # Errors
    /// As [`DataFolder::provider`].
    pub fn processor(&self) -> Result<PartFolder, FolderError> {
        self.part(self.path.join("processor"))
    }
    /// An issuer's folder.
    ///
    /// # Errors
    /// As [`DataFolder::provider`]; [`VaultError::Io`] for a name that [`is_name`] refuses.
    pub fn issuer(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("issuers", name)
    }
    /// A gate's folder.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn gate(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("gates", name)
    }
    /// A switch's folder.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn switch(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("switches", name)
    }
    /// A terminal's folder.
    ///
    /// # Errors
    /// As [`DataFolder::issuer`].
    pub fn terminal(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("terminals", name)
    }
    /// A wallet's folder.
    ///
    /// # Errors
    /// As [`DataFolder::issuer`].
    pub fn wallet(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("wallets", name)
    }
    /// A merchant's folder.
    ///
    /// # Errors
    /// As [`DataFolder::issuer`].
    pub fn merchant(&self, name: &str) -> Result<PartFolder, FolderError> {
        self.named("merchants", name)
    }
    fn named(&self, kind: &str, name: &str) -> Result<PartFolder, FolderError> {
        let path = self.path.join(kind);
        if !is_name(name) {
            let reason = "a name is 1 to 64 letters, digits, '-', '_' or '.', and begins with a letter or digit";
            return blame(&path, Err(VaultError::Io(reason.to_owned())));
        }
        self.part(path.join(name))
    }
    fn part(&self, path: PathBuf) -> Result<PartFolder, FolderError> {
        let lock = blame(&path, hold(&path, Hold::Alone))?;
        Ok(PartFolder { path, _lock: lock, _data: self.clone() })
    }
}

impl PartFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Where a device's vault is.
    pub fn vault(&self) -> PathBuf {
        self.path.join("vault.db")
    }
}

/// Whether a part can have this name: 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit.
pub fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= 64 && name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(inner)
}

/// Whether a process holds the part in this folder at this moment. One that was killed holds nothing, whatever else it has left there.
pub fn is_held(part: &Path) -> bool {
    File::open(part.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Alone,
    Together,
}

/// Opens the folder, makes it if nothing is there, and locks it. `VERSION` comes last and at once, so a folder that
/// has only a `LOCK` was never used and its making goes on.
fn hold(path: &Path, how: Hold) -> Result<File, VaultError> {
    make_folder(path)?;
    for _ in 0..TRIES {
        if !path.join(VERSION).try_exists()? {
            // Before there is a lock file: another program's folder gets nothing of ours.
            check_unused(path)?;
        }
        let lock = open_lock(path)?;
        if !lock_as(&lock, how)? {
            return Err(VaultError::Locked);
        }
        if version(path)?.is_some() {
            return Ok(lock);
        }
        if how == Hold::Together {
            lock.unlock()?;
            if !lock_as(&lock, Hold::Alone)? {
                // Another process makes it at this moment.
                thread::sleep(PAUSE);
                continue;
            }
        }
        if version(path)?.is_none() {
            check_unused(path)?;
            file::write_new(&path.join(VERSION), format!("{MARK}{LAYOUT}\n").as_bytes())?;
        }
        if how == Hold::Alone {
            return Ok(lock);
        }
        lock.unlock()?;
    }
    Err(VaultError::Locked)
}

/// Locks without waiting long: whoever makes the folder at this moment holds it for an instant.
fn lock_as(lock: &File, how: Hold) -> Result<bool, VaultError> {
    for _ in 0..if how == Hold::Together { TRIES } else { 1 } {
        let locked = match how {
            Hold::Alone => lock.try_lock(),
            Hold::Together => lock.try_lock_shared(),
        };
        match locked {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if how == Hold::Together => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(false)
}

/// The layout found; `None` if there is no `VERSION`.
fn version(path: &Path) -> Result<Option<u32>, VaultError> {
    let text = match fs::read_to_string(path.join(VERSION)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(VaultError::Foreign),
        text => text?,
    };
    if text.is_empty() {
        return Err(VaultError::HalfMade);
    }
    let number = text.strip_prefix(MARK).ok_or(VaultError::Foreign)?;
    match number.trim_end().parse() {
        Ok(found) if found > LAYOUT => Err(VaultError::Newer { found, known: LAYOUT }),
        Ok(found) if found == LAYOUT => Ok(Some(found)),
        _ => Err(VaultError::Damaged),
    }
}

/// Refuses a folder without `VERSION` that holds more than an interrupted making leaves.
fn check_unused(path: &Path) -> Result<(), VaultError> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let leftover = name.to_string_lossy().starts_with(VERSION);
        if name != LOCK && !leftover {
            return Err(VaultError::HalfMade);
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), VaultError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    Ok(file::sync_parent(path)?)
}

fn open_lock(path: &Path) -> Result<File, VaultError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path.join(LOCK))?)
}

fn blame<T>(path: &Path, result: Result<T, VaultError>) -> Result<T, FolderError> {
    result.map_err(|reason| FolderError { path: path.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(result: Result<T, FolderError>) -> Option<VaultError> {
        result.err().map(|error| error.reason)
    }

    #[test]
    fn it_is_made_once_and_opened_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/data");
        for _ in 0..2 {
            let data = DataFolder::open_or_create(&path).expect("opened");
            let wallet = data.wallet("alice").expect("held");
            assert_eq!(wallet.vault(), path.join("wallets/alice/vault.db"));
            assert_eq!(fs::read_to_string(path.join(VERSION)).expect("there"), "tegata 1\n");
            assert_eq!(fs::read_to_string(wallet.path().join(VERSION)).expect("there"), "tegata 1\n");
        }
    }

    #[test]
    fn parts_are_held_alone_and_the_folder_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open_or_create(folder.path()).expect("opened");
        let other = DataFolder::open_or_create(folder.path()).expect("together");
        let provider = data.provider().expect("held");
        assert_eq!(refusal(other.provider()), Some(VaultError::Locked));
        let _others = (other.processor(), other.issuer("baker"), other.terminal("till-1"), other.wallet("bob"));
        assert_eq!(refusal(data.wallet("bob")), Some(VaultError::Locked));
        assert_eq!(refusal(data.wallet("alice")), None);
        let held = |part: &str| is_held(&folder.path().join(part));
        assert_eq!([held("provider"), held("wallets/bob"), held("wallets/alice")], [true, true, false]);
        assert!(!held("wallets/carol"), "there is none");
        drop(provider);
        assert!(!held("provider"));
        assert_eq!(refusal(other.provider()), None, "free again");
    }

    #[test]
    fn whoever_holds_it_alone_is_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let alone = DataFolder::open_alone(folder.path()).expect("opened");
        let error = DataFolder::open_or_create(folder.path()).expect_err("held alone");
        assert_eq!(error.reason, VaultError::Locked);
        assert!(error.to_string().starts_with(&folder.path().display().to_string()), "{error}");
        drop(alone);
        let data = DataFolder::open_or_create(folder.path()).expect("free again");
        assert_eq!(refusal(DataFolder::open_alone(folder.path())), Some(VaultError::Locked));
        let part = data.provider().expect("held");
        drop(data);
        assert_eq!(refusal(DataFolder::open_alone(folder.path())), Some(VaultError::Locked), "a part still runs");
        drop(part);
        assert_eq!(refusal(DataFolder::open_alone(folder.path())), None);
    }

    #[test]
    fn only_a_whole_folder_of_this_version_is_opened() {
        for (files, expected) in [
            (&[][..], None),
            (&[(LOCK, "")], None),
            (&[(LOCK, ""), ("VERSION.99.new", "teg")], None),
            (&[("letter.txt", "dear")], Some(VaultError::HalfMade)),
            (&[(LOCK, ""), ("vault.db", "")], Some(VaultError::HalfMade)),
            (&[(VERSION, "")], Some(VaultError::HalfMade)),
            (&[(VERSION, "5.1.2\n")], Some(VaultError::Foreign)),
            (&[(VERSION, "tegata \n")], Some(VaultError::Damaged)),
            (&[(VERSION, "tegata 0\n")], Some(VaultError::Damaged)),
            (&[(VERSION, "tegata 2\n")], Some(VaultError::Newer { found: 2, known: 1 })),
            (&[(VERSION, "tegata 1\n"), ("letter.txt", "dear")], None),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            for (name, content) in files {
                fs::write(folder.path().join(name), content).expect("written");
            }
            assert_eq!(refusal(DataFolder::open_or_create(folder.path())), expected, "{files:?}");
            assert_eq!(refusal(DataFolder::open_alone(folder.path())), expected, "{files:?}");
        }
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataFolder::open_or_create(folder.path()).expect("opened");
        for wrong in ["", ".", "..", "../x", "a/b", "-a", ".hidden", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert!(matches!(refusal(data.wallet(wrong)), Some(VaultError::Io(_))), "{wrong:?}");
        }
        assert!(!folder.path().join("wallets").exists());
    }

    #[test]
    fn many_makers_at_once_make_one_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data");
        let opened: Vec<_> = thread::scope(|scope| {
            let open = |_| scope.spawn(|| DataFolder::open_or_create(&path));
            let makers: Vec<_> = (0..8).map(open).collect();
            makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
        });
        for data in opened {
            assert_eq!(refusal(data), None);
        }
    }
}

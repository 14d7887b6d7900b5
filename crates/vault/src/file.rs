//! Files that appear complete or not at all: written under another name, synced, then named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A name beside `path` that no other process uses, for what is not complete yet.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Creates an empty file that only its owner may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Gives a complete, synced file its name, durably. Never replaces another.
pub(crate) fn publish(unfinished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        Ok(()) => fs::remove_file(unfinished)?,
        // A file system without hard links: a rename would replace, so look first.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.try_exists()? => {
            fs::rename(unfinished, path)?;
        }
        Err(error) => return Err(error),
    }
    sync_parent(path)
}

/// Makes the names in the folder that holds `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// Writes a small new file completely or not at all.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = unfinished(path);
    remove_if_there(&temporary)?;
    let written = create_private(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        publish(&temporary, path)
    });
    if written.is_err() {
        // The first error matters; a leftover of this name is removed by the next try.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_never_replaces_another_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("VERSION");
        write_new(&path, b"one").expect("written");
        assert_eq!(write_new(&path, b"two").map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).expect("read"), b"one");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}

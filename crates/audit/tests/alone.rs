//! The auditor is independent: neither ledger nor store is among what it is built from. And it never writes.

use std::process::Command;
use tegata_audit::{AuditError, Options, audit_file};
use tegata_store::Store;

#[test]
fn neither_ledger_nor_store_is_built_into_it() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let normal = manifest.split("[dev-dependencies]").next().unwrap();
    for other in ["tegata-ledger", "tegata-store", "tegata-provider"] {
        assert!(!normal.contains(other), "{other} stands in the manifest");
    }
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "tegata-audit", "-e", "normal", "--offline", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success() && text.contains("tegata-core"), "{}", String::from_utf8_lossy(&tree.stderr));
    let ours: Vec<_> = text.lines().filter(|line| line.starts_with("tegata-")).collect();
    // The codec of the bank's files decides nothing: the auditor reads the orders with it.
    let known = ["tegata-audit ", "tegata-core ", "tegata-crypto-native ", "tegata-iso20022 "];
    assert!(ours.iter().all(|line| known.iter().any(|name| line.starts_with(name))), "{ours:?}");
}

#[test]
fn what_is_no_provider_s_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provider.db");
    assert!(matches!(audit_file(&path, &Options::default()), Err(AuditError::Open(_))));
    drop(Store::create(&path).unwrap());
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(audit_file(&path, &Options::default()), Err(AuditError::NoProvider)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let other = folder.path().join("other.db");
    std::fs::write(&other, b"something else, long enough to be read as a header of whatever it may be.....").unwrap();
    assert!(matches!(audit_file(&other, &Options::default()), Err(AuditError::Foreign)));
}

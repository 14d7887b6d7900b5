//! The house keeps its shape: arrows point down, the map matches the folders, only the simulator breaks rules.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn folders(parent: &str) -> Vec<String> {
    let found = std::fs::read_dir(root().join(parent)).unwrap();
    let mut names: Vec<String> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Each crate with the crates of this workspace that it depends on outside its tests.
fn arrows() -> BTreeMap<String, Vec<String>> {
    let mut arrows = BTreeMap::new();
    for parent in ["crates", "apps"] {
        for folder in folders(parent) {
            let manifest = read(format!("{parent}/{folder}/Cargo.toml"));
            let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default();
            let normal = normal.split("\n[").next().unwrap_or_default();
            let own = normal.lines().filter_map(|line| line.trim().strip_prefix("tegata-"));
            let own = own.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned()).collect();
            arrows.insert(folder, own);
        }
    }
    arrows
}

#[test]
fn arrows_point_down() {
    // From the ground up; a crate may use what stands before it.
    let order = [
        "core",
        "iso20022",
        "ledger",
        "iso8583",
        "sip",
        "crypto-native",
        "vault",
        "link",
        "store",
        "audit",
        "device",
        "spec",
        "wallet",
        "terminal",
        "gate",
        "switch",
        "issuer",
        "provider",
        "processor",
        "sim",
        "tegata",
    ];
    let height = |name: &str| order.iter().position(|known| *known == name);
    for (name, uses) in arrows() {
        let own = height(&name).unwrap_or_else(|| panic!("{name} has no place in the layers; give it one"));
        for used in uses {
            let other = height(&used).unwrap_or_else(|| panic!("{used} has no place in the layers"));
            assert!(other < own, "{name} must not depend on {used}");
        }
    }
}

#[test]
fn the_auditor_never_sees_the_ledger_and_parts_never_see_each_other() {
    let arrows = arrows();
    for (name, forbidden) in [
        ("audit", &["ledger", "store", "provider"][..]),
        ("wallet", &["store", "ledger", "provider", "terminal", "issuer"]),
        ("terminal", &["store", "ledger", "provider", "wallet", "issuer"]),
        ("gate", &["store", "ledger", "provider", "wallet", "issuer", "terminal"]),
        ("issuer", &["store", "ledger", "provider", "wallet", "terminal"]),
        ("provider", &["vault", "link", "wallet", "terminal", "issuer", "device", "processor", "iso8583"]),
        ("processor", &["store", "ledger", "vault", "link", "device", "provider", "wallet", "terminal", "issuer"]),
        ("core", &["iso20022", "ledger", "crypto-native", "vault", "link"]),
        ("iso8583", &["ledger", "crypto-native", "vault", "link", "store"]),
    ] {
        for used in &arrows[name] {
            assert!(!forbidden.contains(&used.as_str()), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn the_map_names_every_folder() {
    let map = read("ARCHITECTURE.md");
    for folder in folders("crates") {
        assert!(map.contains(&format!("crates/{folder}")), "ARCHITECTURE.md does not name crates/{folder}");
    }
    for folder in folders("apps") {
        assert!(map.contains(&folder), "ARCHITECTURE.md does not name apps/{folder}");
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn only_the_simulator_breaks_rules() {
    let mut found = Vec::new();
    for parent in ["crates", "apps"] {
        for folder in folders(parent) {
            // The simulator, its command, and tests that plant a fault.
            if folder != "sim" {
                sources(&root().join(parent).join(folder).join("src"), &mut found);
            }
        }
    }
    let command = Path::new("tegata").join("src").join("sim.rs");
    for path in found.iter().filter(|path| !path.ends_with(&command) && !path.ends_with("core/src/step.rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        assert!(!code.contains("Broken::only"), "{} breaks a rule on purpose", path.display());
    }
}

#[test]
fn the_core_and_the_codec_ask_nobody_for_time_or_chance() {
    let mut found = Vec::new();
    sources(&root().join("crates/core/src"), &mut found);
    sources(&root().join("crates/iso8583/src"), &mut found);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in
            ["SystemTime", "Instant::now", "std::fs", "std::net", "rand::", "getrandom", "extern crate std;\n\npub"]
        {
            assert!(!code.contains(word), "{} uses {word}", path.display());
        }
    }
}

/// What main.rs does not name, is compiled by nobody and tests nothing.
#[test]
fn no_test_is_left_out() {
    for (folder, parent) in
        ["crates", "apps"].iter().flat_map(|parent| folders(parent).into_iter().map(move |folder| (folder, parent)))
    {
        let tests = format!("{parent}/{folder}/tests");
        if !root().join(&tests).join("main.rs").exists() {
            let manifest = read(format!("{parent}/{folder}/Cargo.toml"));
            assert!(!manifest.contains("autotests"), "{folder} finds no tests by itself, and names none");
            continue;
        }
        let main = read(format!("{tests}/main.rs"));
        for found in folders(&tests) {
            let name = found.strip_suffix(".rs").unwrap_or(&found);
            let named =
                name == "main" || main.contains(&format!("mod {name};")) || found.contains("proptest-regressions");
            assert!(named, "{tests}/{found} is not in {tests}/main.rs");
        }
    }
}

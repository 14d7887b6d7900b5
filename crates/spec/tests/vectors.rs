//! The vectors in the tree are those of this code, this code judges them as they say, and nothing is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tegata_spec::case::{Case, from_text, to_text};
use tegata_spec::{files, folder, judge, show};

fn stored() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(folder().join("vectors"))
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            (path.file_name().expect("a file").to_string_lossy().into_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect();
    all.sort();
    all
}

fn cases() -> Vec<(String, Vec<Case>)> {
    stored()
        .into_iter()
        .map(|(name, text)| (name.clone(), from_text(&text).unwrap_or_else(|| panic!("{name}"))))
        .collect()
}

/// Whoever changes the wire format changes the vectors: `cargo run --release -p tegata-spec -- write`.
#[test]
fn the_files_are_what_the_generator_writes() {
    let written: BTreeMap<String, String> =
        files().into_iter().map(|(name, cases)| (name.to_owned(), to_text(&cases))).collect();
    let stored: BTreeMap<String, String> = stored().into_iter().collect();
    assert_eq!(stored.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>(), "other files than are written");
    for (name, text) in &written {
        let differs = text.lines().zip(stored[name].lines()).find(|(new, old)| new != old);
        assert!(
            *text == stored[name],
            "spec/vectors/{name} differs from what this code writes; first: {differs:?}. If the wire format shall \
             change: cargo run --release -p tegata-spec -- write"
        );
    }
}

#[test]
fn every_vector_is_judged_as_it_expects() {
    let mut wrong = Vec::new();
    for (file, cases) in cases() {
        for case in cases {
            let verdict = judge::judge(&case);
            let right = match (&verdict, case.refusal()) {
                (Ok(found), None) => *found == case.expect,
                (Err(found), Some(expected)) => found == expected,
                _ => false,
            };
            if !right {
                wrong.push(format!("{file}: {}: expected {}, found {verdict:?}", case.name, case.expect));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn refusals_are_at_least_as_many_as_acceptances_in_every_file() {
    for (file, cases) in cases() {
        let refused = cases.iter().filter(|case| case.refusal().is_some()).count();
        assert!(2 * refused >= cases.len(), "{file}: {refused} of {} refused", cases.len());
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), cases.len(), "{file}: two cases of one name");
    }
}

#[test]
fn every_reason_to_refuse_is_shown() {
    let shown: BTreeSet<String> = cases()
        .iter()
        .flat_map(|(_, cases)| cases.iter().filter_map(|case| case.refusal().map(str::to_owned)))
        .collect();
    let decoding = "Truncated Trailing NotCanonical Type UnknownField MissingField Value TooLarge Kind BadSignature";
    let trust = "UnknownSigner Forged WrongRole NotYetValid Expired Revoked OtherCard Unsorted NotTrusted";
    let spending =
        "TooLittle Overdue AboveMaximum OfflineLimit Zero OtherUnit TooManyRaises Repeated Overflow NoFork NotTwice";
    for reason in [decoding, trust, spending].iter().flat_map(|list| list.split(' ')) {
        assert!(shown.contains(reason), "no vector is refused as {reason}");
    }
}

/// A message as the sources or the CDDL declare it: its kind and largest size, and number, name and optionality of each field.
#[derive(Debug, Default, PartialEq)]
struct Declared {
    kind: Option<u64>,
    max: Option<u64>,
    fields: Vec<(u64, String, bool)>,
}

fn sources() -> String {
    fn walk(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() { walk(&path, all) } else { all.push(path) }
        }
    }
    let mut all = Vec::new();
    walk(&folder().join("../crates/core/src"), &mut all);
    all.sort();
    let text = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("text");
        text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
    };
    all.iter().map(text).collect()
}

/// The bodies of all blocks that begin with this line and end with a closing brace in the first column.
fn blocks<'a>(text: &'a str, head: &str) -> Vec<&'a str> {
    text.split(head).skip(1).filter_map(|rest| rest.split("\n}").next()).collect()
}

fn in_sources() -> BTreeMap<String, Declared> {
    let text = sources();
    let mut all = BTreeMap::new();
    for block in blocks(&text, "\nmessage! {\n") {
        let mut declared = Declared::default();
        let mut name = String::new();
        for line in block.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            let words: Vec<&str> = line.split([' ', ':', '{', ',']).filter(|word| !word.is_empty()).collect();
            match words[..] {
                ["pub", "struct", found, "kind", kind, "max", max, ..] => {
                    name = found.into();
                    declared.kind = kind.parse().ok();
                    declared.max = max.replace('_', "").parse().ok();
                }
                ["pub", "struct", found, ..] => name = found.into(),
                [number, field, kind, ..] => {
                    if let Ok(number) = number.parse() {
                        declared.fields.push((number, field.into(), kind.starts_with("Option<")));
                    }
                }
                _ => {}
            }
        }
        all.insert(name, declared);
    }
    all
}

fn in_cddl() -> BTreeMap<String, Declared> {
    let text = fs::read_to_string(folder().join("tegata.cddl")).expect("text");
    let mut all = BTreeMap::new();
    let mut open: Option<(String, Declared)> = None;
    let mut sizes = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, rest)) = line.strip_prefix("Signed").and_then(|line| line.split_once(" = Signed<")) {
            let size =
                rest.split("at most ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok());
            sizes.insert(name.to_owned(), size.expect("a size"));
        } else if let Some(name) = line.strip_suffix(" = {") {
            open = Some((name.into(), Declared { max: sizes.get(name).copied(), ..Declared::default() }));
        } else if line == "}" {
            all.extend(open.take());
        } else if let Some((_, declared)) = &mut open {
            let optional = line.starts_with("  ? ");
            let Some((number, rest)) = line.trim_start_matches([' ', '?']).split_once(": ") else { continue };
            let Ok(number) = number.parse() else { continue };
            let (value, comment) = rest.split_once(", ; ").expect("a field's name in its comment");
            match number {
                0 => declared.kind = value.parse().ok(),
                _ => declared.fields.push((number, comment.split(':').next().unwrap_or_default().into(), optional)),
            }
        }
    }
    all
}

#[test]
fn the_cddl_declares_every_message_with_its_fields() {
    let (sources, cddl) = (in_sources(), in_cddl());
    assert!(sources.len() > 40, "{} messages read from the sources", sources.len());
    assert_eq!(sources.keys().collect::<Vec<_>>(), cddl.keys().collect::<Vec<_>>());
    for (name, declared) in &sources {
        assert_eq!(*declared, cddl[name], "{name}");
    }
    let mut named: Vec<&str> = show::NAMES.to_vec();
    named.sort_unstable();
    assert_eq!(named, sources.keys().collect::<Vec<_>>(), "messages that the generator knows");
}

#[test]
fn the_cddl_declares_every_enumeration_with_its_values() {
    let text = fs::read_to_string(folder().join("tegata.cddl")).expect("text");
    for block in blocks(&sources(), "\ncodes! {\n") {
        let lines: Vec<&str> = block.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
        let name = lines[0].trim_start_matches("pub enum ").trim_end_matches(" {");
        // Numbers of the vault's spaces and of the simulator's breaks never travel.
        if name == "Space" || name == "Break" {
            continue;
        }
        let declared = text.split(&format!("\n{name} = &(\n")).nth(1).and_then(|rest| rest.split("\n)").next());
        let ours: Vec<String> = declared
            .unwrap_or_else(|| panic!("{name} is not in the CDDL"))
            .lines()
            .filter_map(|line| line.split(',').next())
            .map(|line| line.trim().replace(": ", " = "))
            .collect();
        let theirs: Vec<String> =
            lines[1..].iter().filter_map(|line| line.strip_suffix(',')).map(str::to_owned).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn every_message_has_vectors_that_are_accepted_and_refused() {
    let cases = cases();
    for (name, declared) in in_sources() {
        let rule = if declared.kind.is_some() { format!("Signed{name}") } else { name };
        let of_rule = || cases.iter().flat_map(|(_, cases)| cases).filter(|case| case.rule == rule);
        assert!(of_rule().any(|case| case.refusal().is_none()), "nothing of {rule} is accepted");
        for reason in ["Truncated", "Trailing", "NotCanonical", "UnknownField", "Type"] {
            assert!(of_rule().any(|case| case.refusal() == Some(reason)), "nothing of {rule} is refused as {reason}");
        }
        if declared.kind.is_some() {
            for reason in ["TooLarge", "Kind", "BadSignature", "Value"] {
                assert!(
                    of_rule().any(|case| case.refusal() == Some(reason)),
                    "nothing of {rule} is refused as {reason}"
                );
            }
        }
    }
}

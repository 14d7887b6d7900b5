//! Writes and checks the test vectors of `spec/vectors`, which any other implementation can run.
//!
//! Everything here is a function of fixed seeds: written twice, the files are the same. A case says what a decoder gets
//! and what it must make of it; [`judge`] is this implementation's answer. No product code depends on this crate.

pub mod buy;
pub mod call;
pub mod case;
pub mod credit;
pub mod enter;
pub mod event;
pub mod give;
pub mod judge;
pub mod judged;
pub mod keys;
pub mod messages;
pub mod reach;
pub mod samples;
pub mod sessions;
pub mod show;
pub mod tickets;

use case::Case;
use std::path::PathBuf;

/// The folder of the specification.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec"))
}

/// Every file of vectors by its name, with its cases.
pub fn files() -> Vec<(&'static str, Vec<Case>)> {
    let mut all = messages::files();
    all.push(("signatures.json", messages::signatures()));
    all.push(("certificates.json", judged::certificates()));
    all.push(("cards.json", judged::cards()));
    all.push(("checks.json", judged::checks()));
    all.push(("forks.json", judged::forks()));
    all.push(("twice.json", tickets::twice()));
    all.push(("codes.json", tickets::codes()));
    all.push(("lists.json", judged::lists()));
    all.push(("keys.json", judged::keys()));
    all.push(("sealed_opened.json", sessions::sealed()));
    all.push(("link.json", sessions::link()));
    all
}

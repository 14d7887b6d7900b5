//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod desk;
mod hotspot;
mod load;
#[path = "../../../crates/sip/tests/support/mod.rs"]
mod support;
mod town;

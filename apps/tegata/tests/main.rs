//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod buying;
mod calls;
mod commands;
mod events;
mod giving;
mod hall;
mod hotspot;
mod layers;
mod letters;
mod moving;
mod processor;
mod report;
mod settlement;
#[path = "../../../crates/sip/tests/support/mod.rs"]
mod support;
mod typed;

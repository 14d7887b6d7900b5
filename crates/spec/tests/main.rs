//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod rules;
mod vectors;

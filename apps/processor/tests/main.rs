//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod broken;
mod matrix;
mod over_tcp;
mod refusals;
mod world;

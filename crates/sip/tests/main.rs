//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod calls;
mod charging;
mod load;
mod media;
mod phone;
mod refusals;
mod support;

//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod credit;
mod enter;
mod enter_days;
mod enter_out;
mod give;
mod reach;
mod tap;
mod venue;

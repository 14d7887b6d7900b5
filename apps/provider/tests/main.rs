//! The tests of this crate that stand outside it, in one program: each file is one of its modules.

mod buy;
mod buy_units;
mod calls;
mod change;
mod change_cut;
mod change_seats;
mod clearing;
mod concert;
mod credit;
mod give;
mod keys;
mod lan;
mod opened;
mod processor_says;
mod reach;
mod says;
mod scripts;
mod settle;
mod staff;
mod tickets;
mod tickets_sale;
mod world;

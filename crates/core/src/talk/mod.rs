//! The conversations: one room each, both sides in it.

pub mod buy;
pub mod call;
pub mod cards;
pub mod contract;
pub mod credit;
pub mod enter;
pub mod event;
pub mod give;
pub mod join;
pub mod journal;
pub mod pay;
pub mod reach;
pub mod report;
pub mod update;

//! Real purchases through the whole system: every one a full tap, the provider a process of its own.

mod credit;
pub mod event;
mod fleet;
mod sales;
pub mod shop;

pub use sales::run;

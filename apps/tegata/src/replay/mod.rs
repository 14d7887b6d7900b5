//! Real purchases through the whole system: every one a full tap, the provider a process of its own.

pub mod calls;
mod credit;
pub mod event;
mod fleet;
pub mod phone;
mod sales;
pub mod shop;

pub use sales::run;

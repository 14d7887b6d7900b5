//! A hall of thousands with its gates, every part a process of its own: tickets bought by credit, a queue at each door, two gates
//! cut off for a while, screenshots, cloned wallets; at the end everyone honest is in and every clone is named.

pub mod crowd;
pub mod hall;
mod play;
mod venue;

pub use play::run;

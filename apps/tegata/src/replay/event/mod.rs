//! A hall of thousands with its gates, every part a process of its own: tickets bought by credit, a queue at each door, two gates
//! cut off for a while, screenshots, cloned wallets, tickets handed on in the queue; at the end everyone honest is in and every clone is named.

mod cheats;
pub mod crowd;
mod doors;
mod gifts;
pub mod hall;
pub mod kills;
mod play;
mod reckon;
mod venue;

pub use play::run;

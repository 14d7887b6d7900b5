//! What wallet and terminal share as devices: keys, the driver that carries out effects, the line to the provider.
//!
//! Nothing here decides: conversations of the core do.

mod asking;
mod calls;
mod drive;
mod fleet;
mod join;
mod post;
mod reach;
mod request;
mod ring;
mod tap;
mod update;

pub use asking::{Asked, Asking, ask, post_one};
pub use calls::hang_up_all;
pub use drive::{Device, Now, Out, Talking};
pub use fleet::{ask_all, update_all};
pub use join::{JoinError, Joining, join};
pub use post::{ExchangeError, HttpPost, Outgoing, Post, PostError, fetch_info, fetch_processor};
pub use reach::{LettersError, Writing};
pub use request::RequestError;
pub use ring::{KeyRing, RingError, TRIES};
pub use tap::{Step as TapStep, TapError, TerminalTap, WalletTap};
pub use update::{Summary, UpdateError, UpdateStep, Updating, take_up_all, update};

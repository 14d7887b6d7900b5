//! Buying cards over the network by credit (flow 8), and giving a card's remainder back (flow 16).
//!
//! | file | holds |
//! | --- | --- |
//! | `messages.rs` | what issuers list, what wallets reserve and pay, what they are answered |
//! | `wallet.rs` | the buyer's side: reserve, agree, ask until the card is there |
//! | `surrender.rs` | the holder gives a card back by the card's own key |

mod messages;
mod surrender;
mod wallet;

pub use messages::*;
pub use surrender::{Surrender, SurrenderNotice};
pub use wallet::{Bought, BuyNotice, Buyer, Buying, Selection};

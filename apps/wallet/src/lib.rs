//! The wallet: holds cards, shows them, pays, keeps receipts, updates. Works with the provider away.

mod buy;
mod change;
mod credit;
mod enter;
mod give;
mod hotspot;
mod lasting;
mod meet;
mod pay;
mod phone;
mod reach;
mod wallet;

pub use buy::Since;
pub use change::ChangedTicket;
pub use enter::{Ticket, enter_at};
pub use give::Standing;
pub use hotspot::{HotspotError, Person, service, surf};
pub use meet::{Meeting, take_from};
pub use pay::{Answer, Paid, offer_credit, pay};
pub use phone::{CallMade, Called, Heard, PhoneError, Speaker, Taken, answer, call, registered};
pub use reach::Read;
pub use wallet::{Held, PaymentMade, Wallet, WalletError};

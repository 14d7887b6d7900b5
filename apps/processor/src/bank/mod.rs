//! An acquirer for tests and the town: real ISO 8583 over real TCP, books of its own, and test cards that make it misbehave.
//!
//! It wants a sign-on (0800, 001) on each connection before anything about money; knows a repeat by trace number, time and acquirer and
//! answers it as the first; refuses a request whose reversal came before it. Everything else depends on the card:
//!
//! | card | what the bank does |
//! | --- | --- |
//! | 4111 1111 1111 1111, and any other | approves |
//! | 4000 0000 0000 0002 | declines: 05 |
//! | 4000 0000 0000 0010 | declines: 51, the account does not cover it |
//! | 4000 0000 0000 0028 | declines: 54, expired |
//! | 4000 0000 0000 0036 | says 91: later |
//! | 4000 0000 0000 0044 | approves half: 10 |
//! | 4000 0000 0000 0051 | approves, and the answer to 0100 is lost |
//! | 4000 0000 0000 0069 | loses the 0100: neither done nor answered |
//! | 4000 0000 0000 0077 | approves, and answers 0100 late |
//! | 4000 0000 0000 0085 | approves, and answers everything twice |
//! | 4000 0000 0000 0093 | approves, and answers 0100 with a malformed bitmap |
//! | 4000 0000 0000 0101 | approves, and says 96: nobody knows |
//! | 4000 0000 0000 0119 | approves; the first answers to 0200 and 0400 are lost |
//! | 4000 0000 0000 0127 | approves, and refuses captures: 05 |
//! | 4000 0000 0000 0135 | approves and captures, and refuses refunds: 05 |
//!
//! What it answers never carries the card number.

mod books;
mod cards;
mod host;

pub use books::{Bank, Out};
pub use cards::TestCard;
pub use host::{Host, HostConfig};

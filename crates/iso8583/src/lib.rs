//! ISO 8583:1987 towards the bank: messages of card payments to bytes and back.
//!
//! Three layers, each of use without the one above:
//!
//! | layer | modules | refuses |
//! | --- | --- | --- |
//! | frames on a byte stream | [`frame`] | lengths of nothing or too much, a stream that ends within a frame |
//! | the codec: [`Message`], driven by the field table | [`table`], [`message`], [`fault`], [`kind`] | whatever is not the one encoding of a message of 1987 |
//! | what the processor asks and the bank answers | [`request`], [`answer`], [`asked`], [`rules`] | missing and surplus fields, values without a meaning, answers nobody asked for |
//!
//! Encoding: message type and fields in ASCII, bitmaps and binary fields as bytes, lengths in ASCII digits. The standard leaves
//! that to agreement, as it does the content of field 48 ([`PaymentOption`]); amounts are minor units, times local or UTC as each
//! field's type says.
//!
//! Nothing here does I/O, reads a clock or draws randomness. Card numbers are wiped when dropped ([`Pan`]); no error, `Debug` or
//! `Display` shows one, nor a field whose content the standard leaves open.

pub mod answer;
pub mod asked;
pub mod element;
pub mod fault;
pub mod frame;
pub mod key;
pub mod kind;
pub mod message;
pub mod moment;
pub mod original;
pub mod pan;
pub mod request;
pub mod response;
pub mod rules;
pub mod table;

pub use answer::{Answer, NetworkAnswer, PaymentAnswer};
pub use asked::{Asked, AskedAlready, Unasked};
pub use element::{
    AcquirerId, AuthorizationId, CardAmount, ConditionCode, EntryMode, Instalments, MerchantId, MerchantType,
    NameLocation, PaymentOption, ProcessingCode, Reference, Stan, TerminalId, Transaction,
};
pub use fault::Fault;
pub use key::Key;
pub use kind::MessageType;
pub use message::Message;
pub use moment::{Expiry, Local, SettlementDate, Transmitted};
pub use original::{OriginalData, ReplacementAmounts};
pub use pan::{Pan, PanError};
pub use request::{Acceptor, Financial, NetworkAction, NetworkRequest, Payment, Request, Reversal, Trace};
pub use response::{ResponseCode, Verdict};
pub use rules::Misuse;

//! The provider's database: coarse operations on its tables, one file a room.
//!
//! A [`Store`] is one writer: [`Store::begin`], any number of operations, [`Store::commit`]; nothing is durable before.
//! It decides nothing: what may be recorded, and what it means, is the provider's to judge. It reads no clock, draws no
//! randomness, checks no signature. `migrations/` holds the schema.

mod anew;
mod backup;
mod books;
mod buy;
mod calls;
mod cards;
mod changes;
mod credit;
mod devices;
mod error;
mod events;
mod exceptions;
mod file;
mod gives;
mod numbers;
mod participants;
mod provider;
mod reach;
mod row;
mod seats;
mod settle;
mod staff;
mod tariffs;
mod tickets;
mod turnout;
mod waiting;

pub use anew::AnewRow;
pub use backup::{PutBack, back_up};
pub use books::{Cause, PayoutRow, PostingRow};
pub use buy::{ArticleRow, PurchaseRow, RefundRow, RefundState, Signed, SurrenderRow};
pub use calls::{PhoneRow, StandsForRow};
pub use cards::{CardRow, GenerationRow, LoadRow, ReversalRow};
pub use changes::{ChangeRow, ChangeState, ChangeTicketRow, SoldTickets, UnreturnedTickets};
pub use credit::{About, AccountRow, AskedRow, ClearingAsked, Completed, CreditRow, CreditSide, ProcessorRow};
pub use devices::{DeviceRow, UploadRow};
pub use error::StoreError;
pub use events::{ClaimRow, ClaimState, EventRow, EventState, TrunkRow};
pub use exceptions::{ExceptionKind, ExceptionRow};
pub use file::Store;
pub use gives::{HandedRow, HandedState};
pub use numbers::{ActivationRow, BatchRow, NumberRow, NumberState};
pub use participants::{ParticipantRow, TokenRow};
pub use provider::ProviderRow;
pub use reach::{LetterRow, LetterState, ReachRow, Side};
pub use seats::{HeldSeat, SeatRow, SeatState};
pub use settle::{
    BankAccountRow, ContractRow, FileRow, MovementRow, PositionRow, PositionSide, TransferRow, TransferState,
};
pub use staff::{HandRow, StaffRow};
pub use tariffs::TariffRow;
pub use tickets::{AdmissionRow, GateRow, PlannedRow, TicketRow};
pub use turnout::{NotLeft, Quarter, Sales, Turnout};
pub use waiting::{WaitingRow, Wish};

//! The independent auditor: recomputes every balance from the signed evidence alone and names the first difference.
//!
//! It reads the provider's database, never writes, and shares no code with the ledger or the store: only what both sides
//! of the protocol know (the core) and the cryptography. The evidence comes first (who signed what, which record is
//! missing), the provider's books last, so that the first difference is the cause and not one of its effects.
//!
//! What nobody signed is taken from the provider and held against its premise: a refusal to credit a claim must stand in
//! the exceptions and fit the evidence; when periods closed, what the bank said of payouts, arrival times and who holds which
//! card are taken as recorded.

mod admitted;
mod asked;
mod audit;
mod books;
mod calls;
mod cards;
mod changes;
mod contracts;
mod credit;
mod difference;
mod entry;
mod facts;
mod gates;
mod given;
mod judge;
mod log;
mod moves;
mod numbers;
mod payees;
mod prices;
mod reading;
mod seats;
mod settlement;
mod sold;
mod staff;
mod trust;
mod verdicts;

pub use audit::{Account, Audit, AuditError, Options, Scope, audit, audit_file};
pub use difference::{Difference, What};

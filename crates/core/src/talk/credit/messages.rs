//! What wallet, merchant and provider say to each other when somebody pays by credit (flow 5).
//!
//! ```text
//! wallet                        terminal                     provider                    processor
//!   offer [8405]  ------------->  stores the charge
//!                 <-------------  charge (the price)
//!   the user agrees             AuthorizationRequest ------->
//!   PaymentRequest --------------------------------------->   both name the same? (R23)
//!                                                             Authorize ---------------->
//!                 <------------------------ CreditAnswer <--  Approved
//!                               ClearingRequest [13550] ---->  Clear -------------------->
//!                                                             [8417] <------------------
//!                               stores it, then goods <-----  [8418]
//!                 <-----------------------------------------  [8421], without the receipt
//!                               receipt [8419] ------------->
//!                 <-----------------------------------------  [8421], with the receipt
//! ```
//!
//! The wallet shows the merchant only a key made for this one payment: the offer's key. It signs the offer to the terminal
//! and the [`Agreement`] to the provider; so nobody but its holder can match or mismatch what a terminal asks for (R23), and
//! no terminal learns who holds it (R17).

use super::processor::ClearingInformation;
use super::{CreditRefusal, PaymentOption};
use crate::id::{ClearingNumber, CustomerNumber, DeviceId, Hash, PartyId, RequestNumber};
use crate::money::{Amount, Time};
use crate::talk::pay::Charge;
use crate::wire::canonical::Wire;
use crate::wire::sealed::Sealed;
use crate::wire::signed::{PublicKey, Signed};
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

/// Longest text that merchant or provider add to a receipt, in bytes.
pub const MAX_NOTE: usize = 256;

message! {
    /// The payment offer \[8405\]: the wallet pays by credit. Signed by the offer's own key, in the context of the session.
    pub struct CreditOffer kind 70 max 300 {
        /// The key made for this payment.
        1 key: PublicKey,
        /// Number that the wallet gives this request; random, so that it says nothing about the wallet.
        2 request: RequestNumber,
        /// The provider that clears it.
        3 provider: PartyId,
        /// How the user wants to be charged.
        4 option: PaymentOption,
        /// When, by the wallet's clock.
        5 at: Time,
    }
}

impl CreditOffer {
    /// Context: the session between wallet and terminal, which no other terminal knows.
    pub fn context(session: &Hash) -> Vec<u8> {
        session.to_bytes()
    }
    /// The hash that both lines name (R23).
    pub fn hash(offer: &Signed<Self>, session: &Hash) -> Hash {
        offer.hash(&Self::context(session))
    }
}

message! {
    /// What the user agreed to. Signed by the offer's key, in the context of the offer's hash.
    pub struct Agreement kind 73 max 300 {
        /// The accounting machine that asked.
        1 machine: DeviceId,
        /// Its charge, by its hash ([`Charge::named`]).
        2 charge: Hash,
        /// Number of the sale at that machine.
        3 transaction: u64,
        /// How much, as the user saw it.
        4 amount: Amount,
    }
}

impl Agreement {
    /// Context: the offer.
    pub fn context(offer: &Hash) -> Vec<u8> {
        offer.to_bytes()
    }
}

message! {
    /// The merchant asks whether this offer pays that charge. Signed by the terminal.
    pub struct AuthorizationRequest kind 71 max 1500 {
        /// The accounting machine.
        1 machine: DeviceId,
        /// The merchant.
        2 merchant: PartyId,
        /// The offer as it came.
        3 offer: Signed<CreditOffer>,
        /// The charge as it went.
        4 charge: Signed<Charge>,
        /// The session that carried both.
        5 session: Hash,
        /// When, by the terminal's clock.
        6 at: Time,
    }
}

message! {
    /// The user pays a charge by an offer. Signed by the wallet, over its own line: the merchant never sees it.
    pub struct PaymentRequest kind 72 max 1500 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The offer as it went.
        2 offer: Signed<CreditOffer>,
        /// The session that carried it.
        3 session: Hash,
        /// What the user agreed to.
        4 agreement: Signed<Agreement>,
        /// When, by the wallet's clock.
        5 at: Time,
    }
}

codes! {
    /// How a payment by credit stands.
    pub enum CreditState {
        /// The other line has not asked yet. Ask again.
        Waiting = 1,
        /// Both have asked; the bank has not answered, or what it did is not known yet. Ask again (R26).
        Pending = 2,
        /// Authorized: the merchant may ask for clearing.
        Authorized = 3,
        /// Cleared.
        Cleared = 4,
        /// Ended without a payment.
        Refused = 5,
    }
}

message! {
    /// How it stands, to either line. Signed by the provider, in the context of the request's hash.
    pub struct CreditAnswer kind 74 max 400 {
        /// How it stands.
        1 state: CreditState,
        /// Why it ended without a payment.
        2 why: Option<CreditRefusal>,
        /// Seconds after which to ask again, where it has not ended.
        3 again: Option<u64>,
        /// When, by the provider's clock.
        4 at: Time,
        /// Number of the operational key that signed.
        5 signer: u64,
    }
}

message! {
    /// The clearing request \[13550\]: the merchant takes what was authorized. Signed by the terminal.
    pub struct ClearingRequest kind 75 max 500 {
        /// The accounting machine.
        1 machine: DeviceId,
        /// The merchant.
        2 merchant: PartyId,
        /// The offer, by its hash.
        3 offer: Hash,
        /// The wallet's number of the request.
        4 request: RequestNumber,
        /// The charge, by its hash.
        5 charge: Hash,
        /// Number of the sale at this machine.
        6 transaction: u64,
        /// How much.
        7 amount: Amount,
        /// How the user is charged.
        8 option: PaymentOption,
        /// When, by the terminal's clock.
        9 at: Time,
    }
}

message! {
    /// The clearing completion notification \[8418\]. Signed by the provider, in the context of the clearing request's hash.
    pub struct ClearingNotification kind 76 max 2500 {
        /// Names this clearing \[13632\].
        1 clearing: ClearingNumber,
        /// The merchant's clearing information as the processor signed it \[13623\].
        2 information: Signed<ClearingInformation>,
        /// This user at this merchant \[13633\].
        3 customer: CustomerNumber,
        /// The merchant's own clearing request, opened \[13550\].
        4 request: Signed<ClearingRequest>,
        /// Provided service information \[13634\]; at most 256 bytes.
        5 service: Option<String>,
        /// The provider \[13635\].
        6 provider: PartyId,
        /// When it was issued \[13636\].
        7 at: Time,
        /// Number of the operational key that signed.
        8 signer: u64,
    }
}

message! {
    /// The merchant's receipt \[8419\]. Signed by the terminal; entered in its log, which is how it reaches the provider.
    pub struct MerchantReceipt kind 77 max 1500 {
        /// What was sold \[13701\].
        1 item: String,
        /// Sales information for the user \[13702\]; at most 256 bytes.
        2 sales: Option<String>,
        /// The clearing \[13703\].
        3 clearing: ClearingNumber,
        /// Transaction information \[13704\]: the charge.
        4 charge: Signed<Charge>,
        /// The session that carried charge and offer.
        5 session: Hash,
        /// The payment offer \[8405\].
        6 offer: Signed<CreditOffer>,
        /// The accounting machine \[13705\].
        7 machine: DeviceId,
        /// The merchant \[13706\].
        8 merchant: PartyId,
        /// When it was issued \[13707\].
        9 at: Time,
    }
}

message! {
    /// The user's receipt \[8421\]: at once when it is cleared, and again with the merchant's receipt when that comes (R23).
    pub struct UserReceipt kind 78 max 3500 {
        /// The user \[13713\], as the wallet is known to the provider.
        1 user: DeviceId,
        /// The merchant's receipt, opened \[13708\]; absent as long as it has not come.
        2 receipt: Option<Signed<MerchantReceipt>>,
        /// The user's clearing information as the processor signed it \[13709\].
        3 information: Signed<ClearingInformation>,
        /// Provided service information \[13714\]; at most 256 bytes.
        4 service: Option<String>,
        /// The provider \[13715\].
        5 provider: PartyId,
        /// When it was issued \[13716\].
        6 at: Time,
        /// Number of the operational key that signed.
        7 signer: u64,
        /// The user's own request that this ends.
        8 request: RequestNumber,
    }
}

message! {
    /// A wallet names the bank card that it pays with. The provider carries it to the processor and cannot open it.
    pub struct RegisterCard kind 79 max 1200 {
        /// The wallet.
        1 wallet: DeviceId,
        /// [`super::CardDetails`], sealed to the processor.
        2 card: Sealed,
        /// When, by the wallet's clock.
        3 at: Time,
    }
}

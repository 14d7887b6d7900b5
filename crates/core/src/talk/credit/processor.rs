//! Between the provider and the transaction processing system \[106\]: ask to charge a bank card, and hear what became of it.
//!
//! ```text
//! provider                                   processor                       bank
//!   OpenAccount  ------------------------->    (card number into the vault)
//!                <--- Outcome Opened
//!   Authorize    ------------------------->    stored as sent, then 0100 -->
//!                <--- Outcome Approved | Declined                      <-- 0110
//!                <--- Outcome Unknown          no answer: 0400 until 0410
//!   Query        ------------------------->
//!                <--- Outcome, of the request asked about
//!   Clear        ------------------------->    stored as sent, then 0200 until 0210
//!                <--- ClearingCompletion [8417]
//! ```
//!
//! Each request is signed by the provider's key and names a request number that the provider chose: the same number and
//! bytes get the same answer's bytes again, other bytes under the same number are refused ([`ProcessorRefusal::Mismatch`]).
//! Each answer is signed by the processor in the context of the request's hash. [`OutcomeState::Unknown`] is no answer that is
//! kept: the same bytes, or a [`Query`], asked again, tell it as soon as it is known (R26).
//!
//! The card number travels in [`CardDetails`], sealed to the processor by whoever holds the card: the provider carries an
//! envelope that it cannot open, and knows the account that the processor made of it.

use crate::id::{AccountId, ClearingNumber, DeviceId, Hash, PartyId, RequestNumber};
use crate::money::{Amount, Time};
use crate::talk::credit::{CardExpiry, CardNumber, PaymentOption};
use crate::talk::update::kind_of;
use crate::wire::canonical::{Bytes, Message, Wire};
use crate::wire::certificate::SealingKey;
use crate::wire::sealed::Sealed;
use crate::wire::signed::{PublicKey, Signed, Verified, Verifier};
use crate::{codes, message};
use alloc::string::String;

message! {
    /// What a processor publishes of itself. Whoever registers it compares its hash with what its operator says.
    pub struct ProcessorInfo {
        /// The processor.
        1 processor: PartyId,
        /// What people call it.
        2 name: String,
        /// The key that signs its answers.
        3 key: PublicKey,
        /// Where messages and card details for it are sealed to.
        4 sealing: SealingKey,
    }
}

message! {
    /// A bank card, for the processor's eyes only: travels as a sealed envelope to it.
    pub struct CardDetails {
        /// The number on the card.
        1 number: CardNumber,
        /// Until when it is good.
        2 expiry: CardExpiry,
        /// The provider that may open an account with it: another one that got hold of the envelope cannot.
        3 provider: PartyId,
    }
}

message! {
    /// A merchant as the bank knows it.
    pub struct MerchantDetails {
        /// Its code at the bank, 1 to 15 characters of ASCII.
        1 code: String,
        /// Its category (ISO 18245), 0 to 9999.
        2 category: u64,
        /// Name and place as they shall stand on the cardholder's statement, 1 to 40 characters of ASCII.
        3 name: String,
    }
}

message! {
    /// May this card be charged? Nothing is paid yet.
    pub struct Authorize kind 60 max 500 {
        /// The provider that asks.
        1 provider: PartyId,
        /// The request's number.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// Whose card: the user clearing account.
        4 user: AccountId,
        /// For whom: the merchant clearing account.
        5 merchant: AccountId,
        /// How much.
        6 amount: Amount,
        /// How the user wants to be charged.
        7 option: PaymentOption,
        /// Number of the sale at its terminal.
        8 transaction: u64,
        /// The accounting machine that the sale is rung up on.
        9 machine: DeviceId,
        /// Whether less than the amount is welcome, should the bank approve only that. Otherwise it is undone and declined.
        10 partial: bool,
    }
}

message! {
    /// Take the money that was authorized, or a part of it. Once for each authorization; the rest is let go.
    pub struct Clear kind 61 max 400 {
        /// The provider that asks.
        1 provider: PartyId,
        /// The request's number.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// Number of the request that was authorized.
        4 authorization: RequestNumber,
        /// How much, at most what was approved.
        5 amount: Amount,
    }
}

message! {
    /// Let go of what was authorized and not cleared.
    pub struct VoidAuthorization kind 62 max 400 {
        /// The provider that asks.
        1 provider: PartyId,
        /// The request's number.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// Number of the request that was authorized.
        4 authorization: RequestNumber,
    }
}

message! {
    /// Pay back what was cleared, or a part of it.
    pub struct Refund kind 63 max 400 {
        /// The provider that asks.
        1 provider: PartyId,
        /// The request's number.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// What is paid back.
        4 clearing: ClearingNumber,
        /// How much: with the refunds before it, at most what was cleared.
        5 amount: Amount,
    }
}

message! {
    /// What became of a request? One that the processor has never seen is closed by this: it will never be carried out.
    pub struct Query kind 64 max 400 {
        /// The provider that asks.
        1 provider: PartyId,
        /// This request's own number; a new one for each look.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// Number of the request asked about.
        4 about: RequestNumber,
    }
}

message! {
    /// Open a clearing account: a user's, of a bank card, or a merchant's. Exactly one of the two is there.
    pub struct OpenAccount kind 65 max 1000 {
        /// The provider that asks.
        1 provider: PartyId,
        /// The request's number.
        2 number: RequestNumber,
        /// When it was made.
        3 at: Time,
        /// A user's: [`CardDetails`], sealed to the processor.
        4 card: Option<Sealed>,
        /// A merchant's.
        5 merchant: Option<MerchantDetails>,
    }
}

codes! {
    /// How a request stands.
    pub enum OutcomeState {
        /// The account is open.
        Opened = 1,
        /// The bank approved the amount, which is held for a [`Clear`].
        Approved = 2,
        /// It was not done and will not be; nothing is held or charged by this request.
        Declined = 3,
        /// It may have been done. Ask again; the processor does not guess.
        Unknown = 4,
        /// What was held is let go.
        Voided = 5,
        /// What was cleared is paid back.
        Refunded = 6,
        /// It was cleared: the answer to the request is a [`ClearingCompletion`].
        Cleared = 7,
        /// It was refused: the answer to the request is a [`ProcessorRefused`].
        Refused = 8,
        /// It had never come, and is closed: it will never be carried out.
        Closed = 9,
    }
}

codes! {
    /// Why a request was not done.
    pub enum DeclineReason {
        /// The issuer refuses and does not say more.
        Bank = 1,
        /// The account does not cover it.
        Funds = 2,
        /// The card has expired.
        Expired = 3,
        /// The card is not known, lost, stolen or restricted.
        Card = 4,
        /// Above the card's limits.
        Limit = 5,
        /// The bank approved less than was asked for; that was undone.
        Partial = 6,
        /// The bank cannot be reached or wants it later: a new request may succeed.
        Later = 7,
        /// No answer came in time, and it was undone.
        Undone = 8,
    }
}

message! {
    /// What became of a request. Signed by the processor, in the context of the request's hash.
    pub struct Outcome kind 66 max 6000 {
        /// The processor.
        1 processor: PartyId,
        /// Number of the request that this answers.
        2 number: RequestNumber,
        /// When it was found so.
        3 at: Time,
        /// How it stands; to a query: how the request stands that it asked about.
        4 state: OutcomeState,
        /// To a query: the number that it asked about.
        5 about: Option<RequestNumber>,
        /// The account that was opened.
        6 account: Option<AccountId>,
        /// The amount that is held, let go, or paid back.
        7 amount: Option<Amount>,
        /// Why it was declined.
        8 reason: Option<DeclineReason>,
        /// To a query: the answer that the request asked about has, once it is known.
        9 answer: Option<Bytes>,
    }
}

codes! {
    /// For whose eyes a [`ClearingInformation`] is.
    pub enum Audience {
        /// The service provider.
        Provider = 1,
        /// The merchant, who does not learn the user's account.
        Merchant = 2,
        /// The user.
        User = 3,
    }
}

message! {
    /// That it was cleared, as one of three hears it. Each is signed by the processor by itself: no other is needed to believe it.
    pub struct ClearingInformation kind 68 max 500 {
        /// For whom.
        1 audience: Audience,
        /// The clearing.
        2 clearing: ClearingNumber,
        /// How much.
        3 amount: Amount,
        /// Number of the sale at its terminal.
        4 transaction: u64,
        /// The addressee's own clearing account; none for the provider.
        5 account: Option<AccountId>,
        /// How the user is charged; not for the merchant.
        6 option: Option<PaymentOption>,
        /// For the user: whom the money goes to, as it will stand on the card's statement.
        7 name: Option<String>,
        /// For the provider: how bank and processor call it (ISO 8583, field 37).
        8 reference: Option<String>,
        /// The processor.
        9 processor: PartyId,
        /// When it was cleared.
        10 at: Time,
    }
}

message! {
    /// The clearing completion notification \[8417\]: the money was taken. Signed by the processor, in the context of the request's
    /// hash.
    pub struct ClearingCompletion kind 67 max 2500 {
        /// Names this clearing and no other; made up by the processor \[13615\].
        1 clearing: ClearingNumber,
        /// The user clearing account \[13616\].
        2 user: AccountId,
        /// Number of the request that was cleared \[13617\].
        3 number: RequestNumber,
        /// How much was taken \[13618\].
        4 amount: Amount,
        /// How the user is charged \[13619\].
        5 option: PaymentOption,
        /// The merchant clearing account \[13620\].
        6 merchant: AccountId,
        /// Number of the sale at its terminal \[13621\].
        7 transaction: u64,
        /// For the provider \[13622\].
        8 for_provider: Signed<ClearingInformation>,
        /// For the merchant \[13623\].
        9 for_merchant: Signed<ClearingInformation>,
        /// For the user \[13624\].
        10 for_user: Signed<ClearingInformation>,
        /// The processor \[13625\].
        11 processor: PartyId,
        /// When it was issued \[13626\].
        12 at: Time,
    }
}

codes! {
    /// What a processor refuses a request for.
    pub enum ProcessorRefusal {
        /// The message could not be read or opened.
        Malformed = 1,
        /// The processor does not know this provider, or not this key of it.
        NotAllowed = 2,
        /// This provider's key was revoked.
        Revoked = 3,
        /// The number was used before, for another request.
        Mismatch = 4,
        /// The provider has asked about this number before it came: it is closed.
        Closed = 5,
        /// No account of this provider under that name, or of the other sort.
        Account = 6,
        /// No authorization or clearing of this provider under that name.
        Unknown = 7,
        /// The amount is nothing, in another currency, too large for a card, or more than there is.
        Amount = 8,
        /// What it asks for is over: cleared, voided, declined.
        State = 9,
        /// What it builds on is not known yet: ask again.
        Pending = 10,
        /// The card's details do not open, are for another provider, or are no card's.
        Card = 11,
        /// The merchant's details are none that the bank can take.
        Merchant = 12,
        /// The processor could not store; nothing was changed; send again.
        Unavailable = 13,
    }
}

impl ProcessorRefusal {
    /// Whether the same request may succeed later, unchanged. Such a refusal is not kept as the request's answer.
    ///
    /// Who may ask is for operators to mend, and says nothing of what became of a request that came before (R26): what was
    /// captured stays captured, whether its asker is still admitted or not.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Pending | Self::Unavailable | Self::NotAllowed | Self::Revoked)
    }
    /// Who is at fault and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "the processor could not read the message; one of the two programs may be older",
            Self::NotAllowed => "the processor does not know this provider's key; its operator has to admit it",
            Self::Revoked => "this provider's key was revoked at the processor; ask its operator",
            Self::Mismatch => "the request's number was used before for another request",
            Self::Closed => "the request was asked about before it came, and is closed; make a new one",
            Self::Account => "there is no such clearing account of this provider",
            Self::Unknown => "there is no such authorization or clearing of this provider",
            Self::Amount => "the amount is nothing, in another currency, or more than there is",
            Self::State => "it was cleared, voided or declined before",
            Self::Pending => "what it builds on is not known yet; ask again",
            Self::Card => "the card's details do not open, are for another provider, or are mistyped",
            Self::Merchant => "the merchant's code, category or name is none that the bank can take",
            Self::Unavailable => "the processor could not store; nothing was changed, try again later",
        }
    }
}

message! {
    /// The processor says no. Signed by it, in the context of the request's hash; of bytes that no request could be read from,
    /// of the envelope's hash.
    pub struct ProcessorRefused kind 69 max 300 {
        /// The processor.
        1 processor: PartyId,
        /// Why.
        2 why: ProcessorRefusal,
        /// When.
        3 at: Time,
    }
}

/// An answer of the processor that its key signed, to exactly one request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum ProcessorAnswer {
    /// To everything.
    Outcome(Verified<Outcome>),
    /// To a [`Clear`] that was done.
    Cleared(Verified<ClearingCompletion>),
    /// To what was refused.
    Refused(Verified<ProcessorRefused>),
}

/// Reads the answer to the request of this hash: signed by the processor's `key`, in that context, and, within a
/// [`ClearingCompletion`], each of the three informations signed by itself. `None` for anything else.
pub fn read_processor_answer(
    bytes: &[u8],
    request: &Hash,
    key: &PublicKey,
    by: &dyn Verifier,
) -> Option<ProcessorAnswer> {
    fn verified<T: Message>(bytes: &[u8], request: &Hash, key: &PublicKey, by: &dyn Verifier) -> Option<Verified<T>> {
        Signed::<T>::decode(bytes).ok()?.verify(key, &request.to_bytes(), by).ok()
    }
    match kind_of(bytes).ok()? {
        Outcome::KIND => verified(bytes, request, key, by).map(ProcessorAnswer::Outcome),
        ProcessorRefused::KIND => verified(bytes, request, key, by).map(ProcessorAnswer::Refused),
        ClearingCompletion::KIND => {
            let cleared: Verified<ClearingCompletion> = verified(bytes, request, key, by)?;
            let informed = [
                (&cleared.for_provider, Audience::Provider),
                (&cleared.for_merchant, Audience::Merchant),
                (&cleared.for_user, Audience::User),
            ];
            let sound = |(information, audience): (&Signed<ClearingInformation>, Audience)| {
                let told = information.clone().verify(key, &[], by);
                told.is_ok_and(|told| {
                    (told.audience, told.clearing, told.amount) == (audience, cleared.clearing, cleared.amount)
                })
            };
            let all = informed.into_iter().all(sound);
            all.then_some(ProcessorAnswer::Cleared(cleared))
        }
        _ => None,
    }
}

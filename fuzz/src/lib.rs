//! What every decoder must keep: it never panics, and what it accepts it writes back byte for byte (R4).
//!
//! [`SIGNED`] and [`UNSIGNED`] list every message of the core; `./check` fails where one is missing. The first byte
//! of an input chooses from the list, so one target serves all of them.

use tegata_core::card::payment::Purse;
use tegata_core::card::ticket::{TicketTerms, Usage, Use};
use tegata_core::card::title::Hop;
use tegata_core::card::{CallReceipt, CardCertificate, CardEvent, Link, Links, Load, Raise, Reversal, Terms, Void};
use tegata_core::talk::buy::{
    Article, Bought, Cancel, Catalogue, CatalogueRequest, Kept, Listing, Purchase, PurchaseAnswer, Refunded, Reserve,
    TemporaryReceipt, Wait,
};
use tegata_core::talk::cards::{
    Activate, Done, InstallReply, InstallRequest, LoadReply, LoadRequest, NumberKey, Order,
};
use tegata_core::talk::call::{Call, CallMessage, CallRequest, Calling, Tariffed, Ticked};
use tegata_core::charging::{CallTariff, Rate, Tariff, WeekTime};
use tegata_core::talk::contract::Contract;
use tegata_core::talk::credit::{
    Agreement, AuthorizationRequest, Authorize, CardDetails, Clear, ClearingCompletion, ClearingInformation,
    ClearingNotification, ClearingRequest, CreditAnswer, CreditOffer, Credited, MerchantDetails, MerchantReceipt,
    OpenAccount, Outcome, PaymentRequest, ProcessorInfo, ProcessorRefused, Query, Refund, RegisterCard, UserReceipt,
    VoidAuthorization,
};
use tegata_core::talk::enter::{
    Admission, Attempt, ByHand, EnterMessage, EntryOver, Member, Listened, PagesAsked, PagesTold, Relay, Examination, LeftBefore, Neighbour, Page, Pass, Presentation, Presented, Setup,
    Shown, Tally, Window, WindowCode, Zone,
};
use tegata_core::talk::event::{
    Change, ChangeAnswer, ChangeReply, Changed, EventPlan, GateInvite, GateOrder, KeptChange, MovedSeat, PlannedDoor, PlannedZone, Seat, SeatMove,
    StaffOrder,
};
use tegata_core::talk::give::{
    Acceptance, Exit, Gift, GiftKept, GiftRequest, GiveMessage, GiveOffer, Given, HandedOver, Register, Reveal, Taken,
    Taking,
};
use tegata_core::talk::join::{JoinReply, JoinRequest, ProviderInfo};
use tegata_core::talk::journal::{Journal, LogEntry, Through};
use tegata_core::talk::pay::{
    Charge, Charged, Checked, Claim, CreditOffered, Offer, Offered, PayMessage, Paying, Receipt, Till, Untouched,
};
use tegata_core::talk::reach::{
    Address, CallAsk, CallNumber, Carry, Delivery, Enclosed, KeptLetter, KeyAnswer, KeyAsk, Letter, Mute, PhoneAt, Reachable, ReceiptName, StandsFor, Unopened,
};
use tegata_core::talk::report::{Refused, Report, ReportRequest};
use tegata_core::talk::update::{Challenge, Command, Restart, UpdateReply, UpdateRequest};
use tegata_core::wire::canonical::{Message, Wire, Writer};
use tegata_core::wire::certificate::{Anchors, Certificate, OperationalKey, RevocationList, SessionProof};
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::Signed;

/// The protected header of an Ed25519 signature: `{1: -19}` (RFC 9864).
const ED25519: [u8; 3] = [0xa1, 0x01, 0x32];

/// Feeds one decoder; whether it accepted.
type Feed = fn(&[u8]) -> bool;

/// Every message that is signed.
pub const SIGNED: &[Feed] = &[
    signed::<Activate>,
    signed::<Admission>,
    signed::<Agreement>,
    signed::<AuthorizationRequest>,
    signed::<Cancel>,
    signed::<Wait>,
    signed::<Catalogue>,
    signed::<CatalogueRequest>,
    signed::<Listing>,
    signed::<Purchase>,
    signed::<PurchaseAnswer>,
    signed::<Refunded>,
    signed::<Reserve>,
    signed::<TemporaryReceipt>,
    signed::<Authorize>,
    signed::<CardCertificate>,
    signed::<CardEvent>,
    signed::<Carry>,
    signed::<Certificate>,
    signed::<Challenge>,
    signed::<Change>,
    signed::<ChangeAnswer>,
    signed::<ChangeReply>,
    signed::<Charge>,
    signed::<Clear>,
    signed::<ClearingCompletion>,
    signed::<ClearingInformation>,
    signed::<ClearingNotification>,
    signed::<ClearingRequest>,
    signed::<CreditAnswer>,
    signed::<CreditOffer>,
    signed::<Clear>,
    signed::<Contract>,
    signed::<ClearingCompletion>,
    signed::<ClearingInformation>,
    signed::<Done>,
    signed::<EventPlan>,
    signed::<GateOrder>,
    signed::<GateInvite>,
    signed::<Tariff>,
    signed::<CallTariff>,
    signed::<CallReceipt>,
    signed::<StaffOrder>,
    signed::<ByHand>,
    signed::<Gift>,
    signed::<GiftRequest>,
    signed::<InstallReply>,
    signed::<InstallRequest>,
    signed::<JoinReply>,
    signed::<JoinRequest>,
    signed::<KeyAnswer>,
    signed::<KeyAsk>,
    signed::<Letter>,
    signed::<Load>,
    signed::<LoadReply>,
    signed::<LoadRequest>,
    signed::<MerchantReceipt>,
    signed::<Mute>,
    signed::<NumberKey>,
    signed::<OpenAccount>,
    signed::<Order>,
    signed::<Outcome>,
    signed::<Page>,
    signed::<Relay>,
    signed::<PaymentRequest>,
    signed::<Presentation>,
    signed::<ProcessorRefused>,
    signed::<Query>,
    signed::<Reachable>,
    signed::<Receipt>,
    signed::<Refund>,
    signed::<Refused>,
    signed::<RegisterCard>,
    signed::<Register>,
    signed::<Report>,
    signed::<ReportRequest>,
    signed::<Reversal>,
    signed::<RevocationList>,
    signed::<SessionProof>,
    signed::<Terms>,
    signed::<Unopened>,
    signed::<PhoneAt>,
    signed::<CallAsk>,
    signed::<CallNumber>,
    signed::<UpdateReply>,
    signed::<UpdateRequest>,
    signed::<UserReceipt>,
    signed::<Void>,
    signed::<VoidAuthorization>,
    signed::<Window>,
];

/// Every message and stored record that is not.
pub const UNSIGNED: &[Feed] = &[
    unsigned::<Acceptance>,
    unsigned::<Address>,
    unsigned::<Anchors>,
    unsigned::<Article>,
    unsigned::<Attempt>,
    unsigned::<Bought>,
    unsigned::<CardDetails>,
    unsigned::<Changed>,
    unsigned::<Kept>,
    unsigned::<KeptChange>,
    unsigned::<Charged>,
    unsigned::<Checked>,
    unsigned::<Claim>,
    unsigned::<Command>,
    unsigned::<CreditOffered>,
    unsigned::<Credited>,
    unsigned::<Delivery>,
    unsigned::<Enclosed>,
    unsigned::<EnterMessage>,
    unsigned::<Examination>,
    unsigned::<Exit>,
    unsigned::<GiftKept>,
    unsigned::<Given>,
    unsigned::<GiveMessage>,
    unsigned::<GiveOffer>,
    unsigned::<HandedOver>,
    unsigned::<Hop>,
    unsigned::<Journal>,
    unsigned::<KeptLetter>,
    unsigned::<LeftBefore>,
    unsigned::<LogEntry>,
    unsigned::<MerchantDetails>,
    unsigned::<Neighbour>,
    unsigned::<Listened>,
    unsigned::<PagesAsked>,
    unsigned::<PagesTold>,
    unsigned::<Offer>,
    unsigned::<Offered>,
    unsigned::<OperationalKey>,
    unsigned::<Member>,
    unsigned::<Rate>,
    unsigned::<WeekTime>,
    unsigned::<EntryOver>,
    unsigned::<Pass>,
    unsigned::<PayMessage>,
    unsigned::<CallMessage>,
    unsigned::<CallRequest>,
    unsigned::<Tariffed>,
    unsigned::<Ticked>,
    unsigned::<Calling>,
    unsigned::<Call>,
    unsigned::<Paying>,
    unsigned::<PlannedDoor>,
    unsigned::<PlannedZone>,
    unsigned::<Presented>,
    unsigned::<ProcessorInfo>,
    unsigned::<ProviderInfo>,
    unsigned::<Purse>,
    unsigned::<Raise>,
    unsigned::<ReceiptName>,
    unsigned::<Restart>,
    unsigned::<Reveal>,
    unsigned::<Sealed>,
    unsigned::<Through>,
    unsigned::<Links>,
    unsigned::<Link>,
    unsigned::<StandsFor>,
    unsigned::<MovedSeat>,
    unsigned::<Seat>,
    unsigned::<SeatMove>,
    unsigned::<Setup>,
    unsigned::<Shown>,
    unsigned::<Tally>,
    unsigned::<Taken>,
    unsigned::<Taking>,
    unsigned::<TicketTerms>,
    unsigned::<Till>,
    unsigned::<Untouched>,
    unsigned::<Usage>,
    unsigned::<Use>,
    unsigned::<WindowCode>,
    unsigned::<Zone>,
];

/// Gives the rest of an input to the decoder that its first byte names.
pub fn choose(from: &[Feed], input: &[u8]) {
    if let Some((first, rest)) = input.split_first() {
        from[usize::from(*first) % from.len()](rest);
    }
}

/// One decoder and its inverse.
pub fn keeps<T, E>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>, encode: impl Fn(&T) -> Vec<u8>) -> bool {
    let Ok(value) = decode(bytes) else { return false };
    assert_eq!(encode(&value), bytes, "accepted, but not in its one form");
    true
}

fn unsigned<T: Wire>(bytes: &[u8]) -> bool {
    keeps(bytes, T::from_bytes, T::to_bytes)
}

/// The bytes as they are, and as the body of a well-formed envelope, which chance would hardly find.
fn signed<T: Message>(bytes: &[u8]) -> bool {
    let mut envelope = Writer::new();
    envelope.array(4);
    envelope.bytes(&ED25519);
    envelope.map(0);
    envelope.bytes(bytes);
    envelope.bytes(&[7; 64]);
    let wrapped = keeps(&envelope.finish(), Signed::<T>::decode, Signed::encode);
    keeps(bytes, Signed::<T>::decode, Signed::encode) || wrapped
}

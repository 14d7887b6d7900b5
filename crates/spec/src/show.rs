//! Decoded fields as JSON, in the names of the CDDL. Every field is named here; the compiler counts them.

use serde_json::{Map, Value, json};
use std::num::NonZeroU64;
use tegata_core::card::payment::{Purse, PurseState};
use tegata_core::card::ticket::{TicketTerms, Usage, Use};
use tegata_core::card::title::Hop;
use tegata_core::card::*;
use tegata_core::card::{CallEnd, CallReceipt};
use tegata_core::charging::{CallTariff, Rate, Tariff, WeekTime};
use tegata_core::talk::call::{
    Call, CallMessage, CallRequest, CallState, Calling, CallingState, ChainSecret, Tariffed, Ticked,
};
use tegata_core::talk::{
    buy::*, cards::*, contract::*, credit::*, enter::*, event::*, give::*, join::*, journal::*, pay::*, reach::*,
    report::*, update::*,
};
use tegata_core::wire::canonical::{Bytes, Extensions, Message, Reader, Wire, Writer};
use tegata_core::wire::certificate::*;
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{
    AccountId, Amount, CardId, ClearingNumber, CustomerNumber, DeviceId, EventId, Handle, Hash, LetterNumber, PartyId,
    RequestNumber, Time, Unit,
};

/// What a decoder found, as JSON.
pub trait Show {
    /// The JSON.
    fn show(&self) -> Value;
    /// Whether a field holding this is shown at all.
    fn is_shown(&self) -> bool {
        true
    }
}

macro_rules! hexed {
    ($($name:ident)*) => {$(
        impl Show for $name {
            fn show(&self) -> Value {
                json!(crate::case::pack(&self.0))
            }
        }
    )*};
}
hexed!(CardId DeviceId PartyId Handle Hash Subject SealingKey Bytes);
hexed!(EventId AccountId RequestNumber ClearingNumber CustomerNumber LetterNumber);

impl Show for ChainSecret {
    fn show(&self) -> Value {
        self.0.show()
    }
}

macro_rules! codes {
    ($($name:ident)*) => {$(
        impl Show for $name {
            fn show(&self) -> Value {
                json!(self.name())
            }
        }
    )*};
}
codes!(Role CardKind EventKind EntryKind CommandKind ProviderRefusal ReportKind Tender Refusal Profile);
codes!(PurseState PayingState ClaimState CallEnd CallingState CallState);
codes!(CreditState PurchaseState PurchaseRefusal CreditRefusal LetterState);
codes!(StaffRole Direction EnterRefusal Admitted GiveRefusal ChangeOutcome);
codes!(OutcomeState DeclineReason Audience ProcessorRefusal);

impl Show for u64 {
    fn show(&self) -> Value {
        json!(self)
    }
}
impl Show for NonZeroU64 {
    fn show(&self) -> Value {
        json!(self.get())
    }
}
impl Show for bool {
    fn show(&self) -> Value {
        json!(self)
    }
}
impl Show for String {
    fn show(&self) -> Value {
        json!(self)
    }
}
impl Show for Time {
    fn show(&self) -> Value {
        json!(self.0)
    }
}
impl Show for Unit {
    fn show(&self) -> Value {
        json!(match *self {
            Self::ENTRIES => "Entries",
            Self::CALL_UNITS => "CallUnits",
            money => money.name(),
        })
    }
}
impl Show for Amount {
    fn show(&self) -> Value {
        json!({ "unit": self.unit().show(), "minor": self.minor() })
    }
}
impl Show for PublicKey {
    fn show(&self) -> Value {
        json!(hex::encode(self.as_bytes()))
    }
}
impl Show for PaymentOption {
    fn show(&self) -> Value {
        json!(self.code())
    }
}
impl Show for CardNumber {
    fn show(&self) -> Value {
        json!(hex::encode(self.reveal()))
    }
}
impl Show for CardExpiry {
    fn show(&self) -> Value {
        let (year, month) = self.year_month();
        json!(u64::from(year) * 100 + u64::from(month))
    }
}
impl Show for DeadCard {
    fn show(&self) -> Value {
        json!({ "card": self.card.show(), "generation": self.generation })
    }
}
impl Show for DeadTicket {
    fn show(&self) -> Value {
        json!({ "card": self.card.show(), "generation": self.generation, "why": self.why.show() })
    }
}
impl Show for SeatRun {
    fn show(&self) -> Value {
        match self.step {
            1 => json!({ "seat": self.seat, "count": self.count, "name": self.name }),
            step => json!({ "seat": self.seat, "count": self.count, "name": self.name, "step": step }),
        }
    }
}
impl Show for SessionSignature {
    fn show(&self) -> Value {
        json!(hex::encode(self.0.0))
    }
}
impl Show for EnterMessage {
    fn show(&self) -> Value {
        match self {
            Self::Examination(body) => json!({ "examination": body.show() }),
            Self::Presented(body) => json!({ "presented": body.show() }),
            Self::Admission(body) => json!({ "admission": body.show() }),
            Self::Refused(why) => json!({ "refused": why.show() }),
        }
    }
}
impl Show for GiveMessage {
    fn show(&self) -> Value {
        match self {
            Self::Offer(body) => json!({ "offer": body.show() }),
            Self::Acceptance(body) => json!({ "acceptance": body.show() }),
            Self::Reveal(body) => json!({ "reveal": body.show() }),
            Self::Given(body) => json!({ "given": body.show() }),
            Self::Taken(body) => json!({ "taken": body.show() }),
            Self::Refused(why) => json!({ "refused": why.show() }),
        }
    }
}
impl<T: Show> Show for Option<T> {
    fn show(&self) -> Value {
        self.as_ref().map_or(Value::Null, Show::show)
    }
    fn is_shown(&self) -> bool {
        self.is_some()
    }
}
impl<T: Show> Show for Vec<T> {
    fn show(&self) -> Value {
        Value::Array(self.iter().map(Show::show).collect())
    }
}
impl<T: Show + Message> Show for Signed<T> {
    fn show(&self) -> Value {
        let bytes = self.encode();
        let signature = &bytes[bytes.len() - 64..];
        let algorithm = if bytes.get(4) == Some(&0x32) { "Ed25519" } else { "P256" };
        json!({ "algorithm": algorithm, "payload": self.claimed().show(), "signature": hex::encode(signature) })
    }
}
impl Show for Raise {
    fn show(&self) -> Value {
        match self {
            Self::Load(load) => json!({ "load": load.show() }),
            Self::Void(terminal, void) => json!({ "void": void.show(), "terminal": terminal.show() }),
            Self::Reversal(reversal) => json!({ "reversal": reversal.show() }),
            Self::Call(switch, receipt) => json!({ "call": receipt.show(), "switch": switch.show() }),
        }
    }
}
impl Show for Address {
    fn show(&self) -> Value {
        match self {
            Self::Customer(customer) => json!({ "customer": customer.show() }),
            Self::Receipt(receipt) => json!({ "receipt": receipt.show() }),
        }
    }
}
impl Show for PayMessage {
    fn show(&self) -> Value {
        match self {
            Self::Offer(body) => json!({ "offer": body.show() }),
            Self::Charged(body) => json!({ "charged": body.show() }),
            Self::Checked(body) => json!({ "checked": body.show() }),
            Self::Receipt(body) => json!({ "receipt": body.show() }),
            Self::Ended(body) => json!({ "ended": body.show() }),
            Self::Refused(why) => json!({ "refused": why.show() }),
            Self::Credit(body) => json!({ "credit": body.show() }),
        }
    }
}

impl Show for CallMessage {
    fn show(&self) -> Value {
        match self {
            Self::Request(body) => json!({ "request": body.show() }),
            Self::Tariffed(body) => json!({ "tariffed": body.show() }),
            Self::Ticked(body) => json!({ "ticked": body.show() }),
            Self::Ask(total) => json!({ "ask": total }),
            Self::NoMore | Self::Stop => json!({}),
            Self::Warned(left) => json!({ "warned": left }),
            Self::Receipt(body) => json!({ "receipt": body.show() }),
            Self::Linked(link) => json!({ "linked": link.show() }),
            Self::Refused(why) => json!({ "refused": why.show() }),
        }
    }
}

/// Fields of a later version: key to the hex of the value's CBOR.
fn extensions(all: &Extensions) -> Value {
    let mut to = Writer::new();
    to.map(all.len() as u64);
    all.write(&mut to);
    let bytes = to.finish();
    let mut from = Reader::new(&bytes);
    let mut shown = Map::new();
    for _ in 0..from.map_len().unwrap_or(0) {
        if let (Ok(key), Ok(value)) = (from.uint(), from.raw()) {
            shown.insert(key.to_string(), json!(crate::case::pack(value)));
        }
    }
    Value::Object(shown)
}

macro_rules! fields {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl Show for $name {
            fn show(&self) -> Value {
                let Self { $($field,)* extensions: later } = self;
                let mut all: Map<String, Value> = Map::new();
                $(if $field.is_shown() {
                    all.insert(stringify!($field).into(), $field.show());
                })*
                if !later.is_empty() {
                    all.insert("extensions".into(), extensions(later));
                }
                Value::Object(all)
            }
        }
    )*
    /// Every message by its name.
    pub const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

fields! {
    Certificate { subject role key sealing from until epoch signer owner name number }
    SessionProof {}
    OperationalKey { number key from until }
    RevocationList { number at signer subjects cards }
    Anchors { provider root sealing epoch keys list }
    Terms {
        issuer kind unit name max_payment offline_limit due_after list_age record_age max_balance handovers refundable
        max_untouched register_within program ticket
    }
    CardCertificate {
        card kind terms face key generation from until epoch signer seq remaining last_load last_received offline_limit
        due seat used given
    }
    Load { card generation number amount at signer }
    Void { transaction check amount at }
    Reversal { card generation check amount at signer }
    CardEvent { event seq tick previous amount remaining links }
    Links { root count }
    Link { index value }
    Offered { kind terms }
    Offer { card checkpoint unknown resume }
    Charge { transaction amount at expires items }
    Charged { charge certificate known session }
    Checked { check certificate raises }
    Receipt { entry at }
    LogEntry {
        kind at transaction terminal charge session card generation event checkpoint raises receipt void sale shown
        title proof hand call through link
    }
    Journal {
        number head acknowledged acknowledged_head archived commands commands_head epoch updated oldest due turns standing
    }
    UpdateRequest {
        device epoch acknowledged acknowledged_head entries number commands commands_head list turn challenge standing
    }
    Challenge { device challenge signer }
    Command { kind card certificate raise keys terms renewed receipt refund letter setup change kept tariff stands generation at seat_name held_back release_at }
    Restart { number head commands commands_head next_transaction turn }
    UpdateReply {
        device epoch recorded recorded_head archived commands checkpoints list due restart at signer standing
    }
    ProviderInfo { provider name root sealing }
    JoinRequest { token role key sealing name }
    JoinReply { certificate keys epoch signer }
    NumberKey { issuer key }
    Order { issuer batch terms face numbers at until seats }
    Activate { issuer batch first last at till }
    Done { at signer }
    InstallRequest { wallet number key slip }
    InstallReply { certificate terms signer seat_name }
    LoadRequest { wallet number card generation slip }
    LoadReply { load signer }
    Refused { why text retry_after signer }
    ReportRequest { report party from until device event }
    Report { report content signer }
    Contract { party tender unit version from at share fixed signer }
    ProcessorInfo { processor name key sealing }
    CardDetails { number expiry provider }
    MerchantDetails { code category name }
    Authorize { provider number at user merchant amount option transaction machine partial }
    Clear { provider number at authorization amount }
    VoidAuthorization { provider number at authorization }
    Refund { provider number at clearing amount }
    Query { provider number at about }
    OpenAccount { provider number at card merchant }
    Outcome { processor number at state about account amount reason answer }
    ClearingCompletion {
        clearing user number amount option merchant transaction for_provider for_merchant for_user processor at
    }
    ProcessorRefused { processor why at }
    Sealed { profile addressee sender header ciphertext }
    Purse { certificate state seq head remaining raises waiting last_load title session seat_name held_back release_at }
    Paying { state terminal merchant charge session card generation check raises receipt }
    Untouched { per_payment cap used }
    Claim {
        state charge session card generation check receipt void offer asked clearing notification
    }
    CreditOffered { offer unknown }
    Credited { state why machine merchant charge request receipt }
    Till { next open }
    CreditOffer { key request provider option at }
    AuthorizationRequest { machine merchant offer charge session at }
    PaymentRequest { wallet offer session agreement at }
    Agreement { machine charge transaction amount }
    CreditAnswer { state why again at signer }
    ClearingRequest { machine merchant offer request charge transaction amount option at }
    ClearingNotification { clearing information customer request service provider at signer }
    MerchantReceipt { item sales clearing charge session offer machine merchant at }
    UserReceipt { user receipt information service provider at signer request }
    RegisterCard { wallet card at }
    Listing { issuer article revision terms face price stock until valid_for clear_after at }
    CatalogueRequest { wallet at }
    Article { issuer issuer_name article revision terms face price left until clear_after }
    Catalogue { articles at signer }
    Reserve { wallet purchase issuer article revision key card at seat }
    Purchase { wallet purchase reserve price option at }
    PurchaseAnswer {
        purchase state why price expires again certificate terms load temporary receipt at signer seat_name
    }
    TemporaryReceipt { user purchase issuer item amount clears provider at signer }
    Cancel { wallet purchase at }
    Wait { wallet reserve at }
    Kept { purchase expires }
    Refunded { wallet card amount left provider at signer }
    Bought { state why article reserve pay expires card temporary receipt }
    ReceiptName { machine transaction charge offer }
    Reachable { device receipt sealing epoch at }
    KeyAsk { device to }
    KeyAnswer { sealing signer }
    Carry { device to number sealed }
    Letter { to number text at }
    Enclosed { letter certificate }
    Mute { wallet merchant muted epoch at }
    Unopened { device merchant number }
    PhoneAt { device switch phone epoch at }
    CallAsk { device to at }
    CallNumber { number switch name until signer }
    StandsFor { number phone until }
    Delivery { number merchant to sealed }
    KeptLetter { state merchant to number at sealed letter carry epoch }
    TicketTerms {
        event place from until zones entries a_day day_begins reentry companions door give_until give_price refund_until
        seating
    }
    Use { entry direction shown gate number at people opening window }
    Usage { generation entry inside day today uses former }
    Examination { certificate proof event zone direction }
    Presentation { entry people at attempt earlier }
    Presented { presentation certificate left title unheard }
    LeftBefore { gate presentation session admission }
    Admission { done number at why }
    Window { entry at people }
    WindowCode { certificate window }
    Shown { presentation window certificate session event zone direction admission title }
    Setup { number event name terms replaced dead door zone direction at gates staff seats unnamed zones door_name }
    Member { number key role until }
    EntryOver { card generation entry }
    ByHand { staff zone direction people over at event }
    Page { gate event after entries number head at }
    Neighbour { number head last heard pages }
    Relay { by certificate page }
    Listened { gate number heard }
    PagesAsked { after others }
    PagesTold { certificate page relay }
    Zone { zone inside came hand_in hand_out }
    Tally { zones }
    Attempt { presentation session gate event zone direction refused }
    Pass { entry inside attempts left generation coded since coded_at }
    Hop { event to until used at }
    GiveOffer { certificate terms title until used at commit seat_name }
    Acceptance { key nonce proof }
    Reveal { nonce }
    Exit { zone left }
    Given { hop exits }
    Taken { proof }
    Register { wallet card generation title proof }
    GiftRequest { wallet card generation event used at }
    Gift { card number until signer }
    HandedOver { generation given taken arrived }
    Taking { generation key taken registers from }
    GiftKept { generation request number until arrived }
    PlannedZone { zone name }
    PlannedDoor { door name zone }
    Seat { seat name article }
    EventPlan { promoter event revision name place zones doors seats at }
    WeekTime { from until }
    Rate { prefix when setup price length minimum setup_kept }
    Tariff { issuer number unit ahead rates at }
    CallTariff { transaction unit setup price length minimum setup_kept tariff called at expires }
    CallReceipt { transaction call check used lasted ended at }
    CallRequest { card checkpoint unknown called }
    Tariffed { tariff certificate known }
    Ticked { tick certificate raises }
    Calling { state switch name tariff session card generation tick raises receipt secret released }
    Call { state tariff session card generation tick checkpoint raises certain receipt through link }
    Through { trunk operator }
    GateOrder { promoter gate event door direction at }
    GateInvite { promoter secret name event door direction until at }
    StaffOrder { promoter event revision staff at }
    SeatMove { from to }
    Change { promoter event before after text answer_until silence_refunds at moves }
    MovedSeat { from to was name }
    Changed { change card after text answer_until silence_refunds seat }
    ChangeAnswer { wallet card change accept at }
    ChangeReply { card change outcome certificate signer }
    KeptChange { changed before answer outcome }
    ClearingInformation { audience clearing amount transaction account option name reference processor at }
}

/// The bytes of anything canonical, as hex.
pub fn hexed(value: &impl Wire) -> Value {
    json!(crate::case::pack(&value.to_bytes()))
}

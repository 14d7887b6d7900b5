//! What issuer, wallet and provider say to each other when a card is bought by credit.
//!
//! ```text
//! issuer      Listing ----------------> what may be sold, how often, until when
//! wallet      CatalogueRequest -------> Catalogue
//!             Reserve ----------------> one is kept for this wallet until `expires`
//!                      <--------------- PurchaseAnswer Reserved
//!             Purchase ---------------> the user agrees to the price; the bank is asked (R26)
//!                      <--------------- PurchaseAnswer Pending ... asked again until it is known
//!                                       authorized, issued, captured, installed
//!                      <--------------- PurchaseAnswer Delivered: the card or load, the receipt [8421]
//! ```
//!
//! Where the issuer clears later ([`Listing::clear_after`]), the card comes with a [`TemporaryReceipt`] as soon as the bank has
//! authorized it, and the receipt \[8421\] when it is captured.

use crate::card::{CardCertificate, Load, Terms};
use crate::id::{CardId, DeviceId, Hash, PartyId, RequestNumber};
use crate::money::{Amount, Time};
use crate::record::{RecordKey, Space};
use crate::talk::credit::{PaymentOption, UserReceipt};
use crate::wire::signed::{PublicKey, Signed};
use crate::{codes, message};
use alloc::{string::String, vec::Vec};

message! {
    /// An issuer offers cards of one sort over the network: its order to the provider to issue up to `stock` of them, each
    /// against its price. Signed by the issuer. A higher revision of the same article replaces it; of what is sold already
    /// nothing changes.
    pub struct Listing kind 80 max 1000 {
        /// The issuer.
        1 issuer: PartyId,
        /// Number of the article at this issuer.
        2 article: u64,
        /// Counts up from 1.
        3 revision: u64,
        /// The terms of its cards.
        4 terms: Terms,
        /// What is on each card.
        5 face: Amount,
        /// What each costs. A card in money costs what is on it; call units and tickets are sold for a price in money.
        6 price: Amount,
        /// How many may be sold in all, by this revision and those before it.
        7 stock: u64,
        /// Until when it is sold.
        8 until: Time,
        /// Seconds from the sale after which a card ends.
        9 valid_for: u64,
        /// Absent: the card is delivered when the money has been captured. Present: it is delivered when the bank has
        /// authorized it, with a temporary receipt, and captured so many seconds later; the issuer bears what the bank then
        /// refuses.
        10 clear_after: Option<u64>,
        /// When it was made.
        11 at: Time,
    }
}

message! {
    /// What is for sale? Signed by the wallet.
    pub struct CatalogueRequest kind 81 max 200 {
        /// The wallet.
        1 wallet: DeviceId,
        /// When, by its clock.
        2 at: Time,
    }
}

message! {
    /// Something for sale.
    pub struct Article {
        /// The issuer.
        1 issuer: PartyId,
        /// What people call it.
        2 issuer_name: String,
        /// Number of the article at this issuer.
        3 article: u64,
        /// The listing's revision: a reservation names it.
        4 revision: u64,
        /// The terms of its cards.
        5 terms: Terms,
        /// What is on each card.
        6 face: Amount,
        /// What each costs.
        7 price: Amount,
        /// How many are left that nobody has bought or reserved.
        8 left: u64,
        /// Until when it is sold.
        9 until: Time,
        /// Seconds after which it is captured; absent: at once.
        10 clear_after: Option<u64>,
    }
}

message! {
    /// What is for sale now. Signed by the provider, in the context of the request's hash.
    pub struct Catalogue kind 82 max 4_000_000 {
        /// By issuer and article.
        1 articles: Vec<Article>,
        /// When.
        2 at: Time,
        /// Number of the operational key that signed.
        3 signer: u64,
    }
}

message! {
    /// A wallet wants one: it is kept for it until the reservation expires. Nothing is paid. Signed by the wallet. The same
    /// number and bytes get the same reservation again; other bytes under the same number are refused.
    pub struct Reserve kind 83 max 500 {
        /// The wallet.
        1 wallet: DeviceId,
        /// Names the purchase; random.
        2 purchase: RequestNumber,
        /// The issuer.
        3 issuer: PartyId,
        /// The article.
        4 article: u64,
        /// The listing's revision, as the user saw it.
        5 revision: u64,
        /// A new card: the key that it shall have.
        6 key: Option<PublicKey>,
        /// A top-up: the card, which has the article's terms. Exactly one of the two is there.
        7 card: Option<CardId>,
        /// When, by the wallet's clock.
        8 at: Time,
        /// A ticket: the seat that is wanted, by its number in the event's plan; absent: any.
        9 seat: Option<u64>,
    }
}

message! {
    /// The user buys what is reserved, by credit. Signed by the wallet. However often it is sent, it is charged once.
    pub struct Purchase kind 84 max 300 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The purchase.
        2 purchase: RequestNumber,
        /// The reservation, by its hash: what is bought.
        3 reserve: Hash,
        /// What the user agreed to pay.
        4 price: Amount,
        /// How the user wants to be charged.
        5 option: PaymentOption,
        /// When, by the wallet's clock.
        6 at: Time,
    }
}

codes! {
    /// How a purchase stands.
    pub enum PurchaseState {
        /// Kept for the wallet; it expires unless it is paid.
        Reserved = 1,
        /// The bank is asked, or what it did is not known yet. Ask again (R26).
        Pending = 2,
        /// Authorized and issued; the capture is asked for.
        Issued = 3,
        /// Delivered with a temporary receipt; it is captured later.
        Provisional = 4,
        /// Delivered and captured.
        Delivered = 5,
        /// Ended without a purchase; nothing is charged.
        Refused = 6,
        /// Captured, could not be delivered, and is being paid back. Ask again.
        Returning = 7,
        /// Captured, could not be delivered, and was paid back.
        Returned = 8,
        /// Delivered, and the bank refused the capture: the card is blocked.
        Unpaid = 9,
        /// All are gone; the wallet stands in the list of those who want one.
        Listed = 10,
    }
}

impl PurchaseState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused | Self::Returned | Self::Unpaid)
    }
    /// Whether the card or load is the wallet's.
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::Provisional | Self::Delivered | Self::Unpaid)
    }
}

codes! {
    /// Why a purchase ended without a card.
    pub enum PurchaseRefusal {
        /// No such article, or not any more.
        NoArticle = 1,
        /// Another revision is on sale now: look again.
        Changed = 2,
        /// All are sold or reserved.
        SoldOut = 3,
        /// The reservation expired before it was paid.
        Expired = 4,
        /// The user agreed to another price or another thing than is reserved.
        Price = 5,
        /// The wallet has no bank card registered.
        NoCard = 6,
        /// The issuer is not enrolled for credit.
        NoIssuer = 7,
        /// The bank declined.
        Declined = 8,
        /// The provider has no processor, or the processor refuses it.
        NoProcessor = 9,
        /// The card cannot be topped up by this: another sort of card, too much on it, blocked, or not this wallet's.
        Card = 10,
        /// The same number was used before for something else.
        Repeated = 11,
        /// Given up by the user.
        Cancelled = 12,
        /// The key is another card's, or no good key.
        Key = 13,
        /// Too many reservations that were not paid; wait until they expire.
        TooMany = 14,
        /// The seat is taken, or is none of this article.
        Seat = 15,
    }
}

impl PurchaseRefusal {
    /// Who is at fault and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoArticle => "this is not for sale, or not any more; look at the catalogue",
            Self::Changed => "the issuer has changed this article; look at the catalogue again",
            Self::SoldOut => "all of them are sold or reserved; some may come back when reservations expire",
            Self::Expired => "the reservation expired before it was paid; nothing was charged, reserve again",
            Self::Price => "the price agreed to is not that of what is reserved; nothing was charged",
            Self::NoCard => "this wallet has no bank card registered; register one first",
            Self::NoIssuer => "this issuer is not enrolled for credit; its provider's operator can do that",
            Self::Declined => "the bank declined; nothing was charged, use another card or ask the bank",
            Self::NoProcessor => "the provider has no processor that clears credit at the moment; ask its operator",
            Self::Card => "that card cannot be topped up by this: another sort, too much on it, or blocked",
            Self::Repeated => "this was asked before with another content; start again",
            Self::Cancelled => "it was given up; nothing was charged",
            Self::Key => "the key is used already; start again",
            Self::TooMany => "too many reservations are unpaid; pay or cancel them, or wait until they expire",
            Self::Seat => "that seat is taken or not sold by this; choose another, or let the system choose",
        }
    }
}

message! {
    /// How a purchase stands. Signed by the provider, in the context of the request's hash.
    pub struct PurchaseAnswer kind 85 max 7000 {
        /// The purchase.
        1 purchase: RequestNumber,
        /// How it stands.
        2 state: PurchaseState,
        /// Why it ended without a card.
        3 why: Option<PurchaseRefusal>,
        /// Reserved: what it costs.
        4 price: Option<Amount>,
        /// Reserved: until when it is kept.
        5 expires: Option<Time>,
        /// Seconds after which to ask again, where it has not ended.
        6 again: Option<u64>,
        /// Delivered, a new card: its certificate.
        7 certificate: Option<Signed<CardCertificate>>,
        /// Delivered, a new card: its terms.
        8 terms: Option<Terms>,
        /// Delivered, a top-up: the load.
        9 load: Option<Signed<Load>>,
        /// Delivered before it is captured.
        10 temporary: Option<Signed<TemporaryReceipt>>,
        /// Captured: the receipt \[8421\].
        11 receipt: Option<Signed<UserReceipt>>,
        /// When, by the provider's clock.
        12 at: Time,
        /// Number of the operational key that signed.
        13 signer: u64,
        /// Delivered, a ticket: what stands on its seat.
        14 seat_name: Option<String>,
    }
}

message! {
    /// Delivered, authorized, and to be captured later: what the user holds until then. Signed by the provider.
    pub struct TemporaryReceipt kind 86 max 500 {
        /// The user, as the wallet is known to the provider.
        1 user: DeviceId,
        /// The purchase.
        2 purchase: RequestNumber,
        /// The issuer.
        3 issuer: PartyId,
        /// What was bought.
        4 item: String,
        /// How much will be captured.
        5 amount: Amount,
        /// When it will be, at the earliest.
        6 clears: Time,
        /// The provider.
        7 provider: PartyId,
        /// When it was issued.
        8 at: Time,
        /// Number of the operational key that signed.
        9 signer: u64,
    }
}

message! {
    /// A reservation is given up before it is paid. Signed by the wallet. Doing it again changes nothing.
    pub struct Cancel kind 87 max 200 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The purchase.
        2 purchase: RequestNumber,
        /// When, by the wallet's clock.
        3 at: Time,
    }
}

message! {
    /// A wallet wants a ticket of what is sold out: it stands in a list, and when one becomes free it is reserved for whoever is first
    /// in it. Where one is free, it is reserved at once. Signed by the wallet. Doing it again changes nothing.
    pub struct Wait kind 58 max 900 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The reservation that it becomes: of any seat, for a new ticket.
        2 reserve: Signed<Reserve>,
        /// When, by the wallet's clock.
        3 at: Time,
    }
}

message! {
    /// What a wallet has waited for is reserved for it now; within a command.
    pub struct Kept {
        /// The purchase.
        1 purchase: RequestNumber,
        /// Until when.
        2 expires: Time,
    }
}

message! {
    /// A card's remainder was given back: how much goes back to the bank card, how much does not. Signed by the provider; a
    /// command of the update brings it.
    pub struct Refunded kind 88 max 400 {
        /// The wallet.
        1 wallet: DeviceId,
        /// The card that was surrendered.
        2 card: CardId,
        /// What was paid back to the bank card it was bought with; never more than was paid by it.
        3 amount: Amount,
        /// What was on the card, in its unit, and was not paid by credit: a person has to look.
        4 left: Amount,
        /// The provider.
        5 provider: PartyId,
        /// When.
        6 at: Time,
        /// Number of the operational key that signed.
        7 signer: u64,
    }
}

impl Refunded {
    /// Where the wallet keeps it.
    pub fn key(card: CardId) -> RecordKey {
        RecordKey::new(Space::Receipt, [b"refund".as_slice(), &card.0].concat())
    }
}

//! The buyer's side: one is reserved, the user agrees to its price, and the provider is asked with the same bytes until the card
//! or load is there or it is known that nothing was charged (R26).

use super::messages::*;
use crate::card::payment::{Purse, PurseState};
use crate::card::{CardCertificate, Raise};
use crate::id::{CardId, DeviceId, Hash, RequestNumber};
use crate::message;
use crate::money::{Amount, Time};
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Effect, Event, Fault, Records, SigningKey, Step, Talk};
use crate::talk::credit::{PaymentOption, UserReceipt};
use crate::talk::event::KeptChange;
use crate::talk::pay::{load_purse, purse_key};
use crate::talk::report::Refused;
use crate::talk::update::{Answered, read_reply};
use crate::wire::canonical::Wire;
use crate::wire::certificate::Anchors;
use crate::wire::signed::{PublicKey, Signed, Unsigned};
use alloc::{vec, vec::Vec};

message! {
    /// A purchase as the wallet keeps it.
    pub struct Bought {
        /// How it stands, as the provider last said.
        1 state: PurchaseState,
        /// Why it ended without a card.
        2 why: Option<PurchaseRefusal>,
        /// What is bought, as the user saw it.
        3 article: Article,
        /// The reservation as sent.
        4 reserve: Signed<Reserve>,
        /// The agreement as sent.
        5 pay: Option<Signed<Purchase>>,
        /// Until when it is kept.
        6 expires: Option<Time>,
        /// The card that was delivered or loaded.
        7 card: Option<CardId>,
        /// What the user holds until it is captured.
        8 temporary: Option<Signed<TemporaryReceipt>>,
        /// The receipt \[8421\].
        9 receipt: Option<Signed<UserReceipt>>,
    }
}

impl Bought {
    /// Where it is stored.
    pub fn key(purchase: RequestNumber) -> RecordKey {
        RecordKey::new(Space::Receipt, purchase.0)
    }
    /// Reads one.
    pub fn load(records: &dyn Records, purchase: RequestNumber) -> Option<Self> {
        Self::from_bytes(&records.get(&Self::key(purchase))?).ok()
    }
    /// Names the purchase.
    pub fn purchase(&self) -> RequestNumber {
        self.reserve.claimed().purchase
    }
    /// Whether the wallet stands in the list for it, or does not know whether it does; it has agreed to nothing.
    pub fn is_waiting(&self) -> bool {
        self.pay.is_none() && matches!(self.state, PurchaseState::Listed | PurchaseState::Pending)
    }
    /// Whether a receipt is for this purchase: the price that the user agreed to, for the user's eyes.
    pub fn is_answered_by(&self, receipt: &UserReceipt) -> bool {
        let information = receipt.information.claimed();
        (receipt.request, information.amount) == (self.purchase(), self.article.price)
            && information.audience == crate::talk::credit::Audience::User
    }
    /// Takes up the receipt.
    pub fn receive(&mut self, receipt: Signed<UserReceipt>) {
        self.receipt = self.receipt.take().or(Some(receipt));
        if self.state == PurchaseState::Provisional {
            self.state = PurchaseState::Delivered;
        }
    }
    fn told(&self) -> BuyNotice {
        match (self.state, self.card) {
            (PurchaseState::Reserved, _) => {
                BuyNotice::Reserved { price: self.article.price, expires: self.expires.unwrap_or(Time(0)) }
            }
            (PurchaseState::Provisional | PurchaseState::Delivered, Some(card)) => {
                let provisional = self.state == PurchaseState::Provisional;
                BuyNotice::Delivered { card, amount: self.article.face, provisional }
            }
            (PurchaseState::Listed, _) => BuyNotice::Listed,
            (PurchaseState::Unpaid, _) => BuyNotice::Unpaid,
            (PurchaseState::Refused, _) => BuyNotice::Ended(self.why.unwrap_or(PurchaseRefusal::Declined)),
            (PurchaseState::Returned, _) => BuyNotice::Returned(self.why.unwrap_or(PurchaseRefusal::Card)),
            _ => BuyNotice::Waiting { again: 1 },
        }
    }
}

/// What a wallet wants to buy.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Names the purchase; random.
    pub purchase: RequestNumber,
    /// As the catalogue has it.
    pub article: Article,
    /// The key that a new card shall have; durable before it is used.
    pub key: Option<PublicKey>,
    /// The card to be topped up.
    pub card: Option<CardId>,
    /// A ticket: the seat that is wanted; absent: any.
    pub seat: Option<u64>,
}

/// What the user sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuyNotice {
    /// Kept for this wallet.
    Reserved {
        /// What it costs.
        price: Amount,
        /// Until when.
        expires: Time,
    },
    /// All are gone; the wallet stands in the list, and hears by an update when one is reserved for it.
    Listed,
    /// It is not known yet. Ask again after so many seconds.
    Waiting {
        /// Seconds.
        again: u64,
    },
    /// The card is here, or the load is kept and will be taken up.
    Delivered {
        /// Which card.
        card: CardId,
        /// How much came.
        amount: Amount,
        /// It is captured later; the receipt is a temporary one.
        provisional: bool,
    },
    /// Nothing was bought, nothing is charged.
    Ended(PurchaseRefusal),
    /// It could not be delivered; what was charged is paid back.
    Returned(PurchaseRefusal),
    /// The bank refused the money after the card was delivered; the card is blocked.
    Unpaid,
    /// The provider does not take this request at all.
    NotAllowed(Refused),
    /// There is no such purchase.
    Unknown,
    /// The answer is not the provider's, or not to this request, or not what was asked for.
    NotTrusted,
    /// The device itself failed; nothing has changed.
    Failed(Fault),
}

/// Who buys.
#[derive(Clone, Debug)]
pub struct Buyer {
    /// The wallet.
    pub wallet: DeviceId,
    /// Its key.
    pub key: PublicKey,
    /// Whom it trusts.
    pub anchors: Anchors,
}

/// A request on its way: the purchase that it is about, and its hash.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    purchase: RequestNumber,
    request: Hash,
}

/// The buyer's side.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // one exists at a time
pub enum Buying {
    /// Reserves one.
    Reserve(Selection, Buyer),
    /// Reserves one, or waits for it in the list.
    Wait(Selection, Buyer),
    /// The user agrees to the price of what is reserved.
    Pay(RequestNumber, PaymentOption, Buyer),
    /// Gives up what is reserved and not paid.
    Cancel(RequestNumber, Buyer),
    /// Asks how it stands, with the bytes of the last request.
    Ask(RequestNumber, Anchors),
    /// Signs the reservation.
    SigningReserve(Selection, Unsigned<Reserve>, Anchors),
    /// Signs the reservation that a wish becomes.
    SigningWish(Selection, Unsigned<Reserve>, Buyer),
    /// Signs the wish.
    SigningWait(Selection, Signed<Reserve>, Unsigned<Wait>, Anchors),
    /// Signs the agreement.
    SigningPay(Bought, Unsigned<Purchase>, Anchors),
    /// Signs that it is given up.
    SigningCancel(Unsigned<Cancel>, Anchors),
    /// Stores the request before it is sent.
    StoringRequest(Sent, Vec<u8>, Anchors),
    /// Waits for the answer.
    Expect(Sent, Anchors),
    /// Stores the answer.
    Storing(BuyNotice),
    /// Ended.
    Over,
}

type Next = Step<Buying, BuyNotice>;

impl Buying {
    fn over(notice: BuyNotice) -> Next {
        Step::new(Self::Over, [Effect::Show(notice)])
    }

    fn drafted(selection: &Selection, buyer: &Buyer, context: &Context<'_>) -> Unsigned<Reserve> {
        let body = Reserve {
            wallet: buyer.wallet,
            purchase: selection.purchase,
            issuer: selection.article.issuer,
            article: selection.article.article,
            revision: selection.article.revision,
            key: selection.key,
            card: selection.card,
            at: context.now,
            seat: selection.seat,
            extensions: Default::default(),
        };
        Unsigned::new(body, buyer.key.algorithm())
    }

    fn reserve(selection: Selection, buyer: Buyer, waits: bool, context: &Context<'_>) -> Next {
        let body = Self::drafted(&selection, &buyer, context);
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        let state = match waits {
            true => Self::SigningWish(selection, body, buyer),
            false => Self::SigningReserve(selection, body, buyer.anchors),
        };
        Step::new(state, [sign])
    }

    fn wait(selection: Selection, reserve: Signed<Reserve>, buyer: Buyer, context: &Context<'_>) -> Next {
        let body =
            Wait { wallet: buyer.wallet, reserve: reserve.clone(), at: context.now, extensions: Default::default() };
        let body = Unsigned::new(body, buyer.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        Step::new(Self::SigningWait(selection, reserve, body, buyer.anchors), [sign])
    }

    /// Stores the reservation before it, or the wish that holds it, is sent.
    fn keep(selection: Selection, reserve: Signed<Reserve>, sent: (Hash, Vec<u8>), anchors: Anchors) -> Next {
        let (request, bytes) = sent;
        let sent = Sent { purchase: selection.purchase, request };
        let record = Bought {
            state: PurchaseState::Pending,
            why: None,
            article: selection.article,
            reserve,
            pay: None,
            expires: None,
            card: None,
            temporary: None,
            receipt: None,
            extensions: Default::default(),
        };
        let mut batch = Batch::default();
        batch.replace(Bought::key(selection.purchase), None, record.to_bytes());
        Step::new(Self::StoringRequest(sent, bytes, anchors), [Effect::Store(batch)])
    }

    fn pay(purchase: RequestNumber, option: PaymentOption, buyer: Buyer, context: &Context<'_>) -> Next {
        let Some(before) = Bought::load(context.records, purchase) else {
            return Self::over(BuyNotice::Unknown);
        };
        // Agreed before: it is asked for, not agreed to again.
        if before.pay.is_some() || before.state != PurchaseState::Reserved {
            return Self::ask(purchase, buyer.anchors, context);
        }
        let body = Purchase {
            wallet: buyer.wallet,
            purchase,
            reserve: before.reserve.hash(&[]),
            price: before.article.price,
            option,
            at: context.now,
            extensions: Default::default(),
        };
        let body = Unsigned::new(body, buyer.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        Step::new(Self::SigningPay(before, body, buyer.anchors), [sign])
    }

    fn agreed(before: &Bought, pay: Signed<Purchase>, anchors: Anchors) -> Next {
        let sent = Sent { purchase: before.purchase(), request: pay.hash(&[]) };
        let bytes = pay.encode();
        let after = Bought { pay: Some(pay), state: PurchaseState::Pending, ..before.clone() };
        let mut batch = Batch::default();
        batch.replace(Bought::key(sent.purchase), Some(before.to_bytes()), after.to_bytes());
        Step::new(Self::StoringRequest(sent, bytes, anchors), [Effect::Store(batch)])
    }

    fn cancel(purchase: RequestNumber, buyer: Buyer, context: &Context<'_>) -> Next {
        let body = Cancel { wallet: buyer.wallet, purchase, at: context.now, extensions: Default::default() };
        let body = Unsigned::new(body, buyer.key.algorithm());
        let sign = Effect::Sign { key: SigningKey::Device, tbs: body.tbs(&[]) };
        Step::new(Self::SigningCancel(body, buyer.anchors), [sign])
    }

    fn ask(purchase: RequestNumber, anchors: Anchors, context: &Context<'_>) -> Next {
        let Some(record) = Bought::load(context.records, purchase) else {
            return Self::over(BuyNotice::Unknown);
        };
        if record.state.is_over() {
            return Self::over(record.told());
        }
        let (request, bytes) = match &record.pay {
            Some(pay) => (pay.hash(&[]), pay.encode()),
            None => (record.reserve.hash(&[]), record.reserve.encode()),
        };
        Step::new(Self::Expect(Sent { purchase, request }, anchors), [Effect::Send(bytes)])
    }

    fn answered(sent: Sent, anchors: &Anchors, bytes: &[u8], context: &Context<'_>) -> Next {
        let answer = match read_reply::<PurchaseAnswer>(bytes, &sent.request, anchors, context) {
            Some(Answered::Reply(answer)) => answer,
            Some(Answered::Refused(refused)) => return Self::over(BuyNotice::NotAllowed(refused)),
            None => return Self::over(BuyNotice::NotTrusted),
        };
        let Some(before) = Bought::load(context.records, sent.purchase) else {
            return Self::over(BuyNotice::Unknown);
        };
        // It has ended: nothing that comes later says otherwise.
        if before.state.is_over() {
            return Self::over(before.told());
        }
        let mut after = Bought { state: answer.state, why: answer.why, ..before.clone() };
        let mut batch = Batch::default();
        match answer.state {
            PurchaseState::Reserved => {
                // Another price than the user saw is no reservation of this; agreed to, it stays agreed to.
                if answer.price != Some(before.article.price) {
                    return Self::over(BuyNotice::NotTrusted);
                }
                after.expires = answer.expires;
            }
            PurchaseState::Pending | PurchaseState::Issued | PurchaseState::Returning => {
                return Self::over(BuyNotice::Waiting { again: answer.again.unwrap_or(1) });
            }
            state if state.is_delivered() => {
                let Some(card) = Self::delivered(&before, &answer, anchors, context, &mut batch) else {
                    return Self::over(BuyNotice::NotTrusted);
                };
                after.card = Some(card);
                after.temporary = after.temporary.or_else(|| answer.temporary.clone());
                let receipt = answer.receipt.clone().filter(|receipt| before.is_answered_by(receipt.claimed()));
                after.receipt = after.receipt.or(receipt);
            }
            _ => {}
        }
        let notice = after.told();
        batch.replace(Bought::key(sent.purchase), Some(before.to_bytes()), after.to_bytes());
        Step::new(Self::Storing(notice), [Effect::Store(batch)])
    }

    /// What was delivered is what was ordered: a card of these terms under our key, or a load of our card.
    fn delivered(
        before: &Bought,
        answer: &PurchaseAnswer,
        anchors: &Anchors,
        context: &Context<'_>,
        batch: &mut Batch,
    ) -> Option<CardId> {
        let (reserve, article) = (before.reserve.claimed(), &before.article);
        if let Some(card) = reserve.card {
            let load = answer.load.as_ref()?;
            let said = load.claimed();
            (said.card == card && said.amount == article.face).then_some(())?;
            let purse = load_purse(context.records, card)?;
            if said.number > purse.last_load {
                let mut after = purse.clone();
                after.keep(Raise::Load(load.clone()));
                batch.replace(purse_key(card), Some(purse.to_bytes()), after.to_bytes());
            }
            return Some(card);
        }
        // Known already: the card may have been used since, and its first certificate be out of date.
        if let Some(card) = before.card {
            return Some(card);
        }
        let (certificate, terms) = answer.certificate.clone().zip(answer.terms.as_ref())?;
        // Blocked before this wallet heard that it has it, or the purchase would never be known (R26).
        let certificate = CardCertificate::certified(certificate, anchors, context.now, context.verifier).ok()?;
        let dead = anchors.is_dead(certificate.card, certificate.generation);
        let ours = Some(certificate.key) == reserve.key
            && certificate.terms == article.terms.handle()
            && terms.handle() == certificate.terms
            && certificate.face == article.face;
        ours.then_some(())?;
        let (card, generation) = (certificate.card, certificate.generation);
        batch.put(RecordKey::new(Space::Terms, certificate.terms.0), terms.to_bytes());
        if context.records.get(&purse_key(card)).is_none() {
            let mut purse = Purse::new(certificate.into_signed()).seated(answer.seat_name.as_ref());
            let stands = KeptChange::state_of(context.records, card, generation);
            purse.state = if dead { PurseState::Blocked } else { stands };
            batch.replace(purse_key(card), None, purse.to_bytes());
        }
        Some(card)
    }
}

impl Talk for Buying {
    type Notice = BuyNotice;

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn step(self, event: Event, context: &Context<'_>) -> Next {
        match (self, event) {
            (Self::Reserve(selection, buyer), Event::Tick) => Self::reserve(selection, buyer, false, context),
            (Self::Wait(selection, buyer), Event::Tick) => Self::reserve(selection, buyer, true, context),
            (Self::SigningWish(selection, body, buyer), Event::Signed(signature)) => {
                Self::wait(selection, body.sign(signature), buyer, context)
            }
            (Self::SigningWait(selection, reserve, body, anchors), Event::Signed(signature)) => {
                let wait = body.sign(signature);
                Self::keep(selection, reserve, (wait.hash(&[]), wait.encode()), anchors)
            }
            (Self::Pay(purchase, option, buyer), Event::Tick) => Self::pay(purchase, option, buyer, context),
            (Self::Cancel(purchase, buyer), Event::Tick) => Self::cancel(purchase, buyer, context),
            (Self::Ask(purchase, anchors), Event::Tick) => Self::ask(purchase, anchors, context),
            (Self::SigningReserve(selection, body, anchors), Event::Signed(signature)) => {
                let reserve = body.sign(signature);
                let sent = (reserve.hash(&[]), reserve.encode());
                Self::keep(selection, reserve, sent, anchors)
            }
            (Self::SigningPay(before, body, anchors), Event::Signed(signature)) => {
                Self::agreed(&before, body.sign(signature), anchors)
            }
            // Nothing is lost with it: it is signed anew whenever it is wanted.
            (Self::SigningCancel(body, anchors), Event::Signed(signature)) => {
                let (purchase, request) = (body.body().purchase, body.hash(&[]));
                let bytes = body.sign(signature).encode();
                Step::new(Self::Expect(Sent { purchase, request }, anchors), [Effect::Send(bytes)])
            }
            (Self::StoringRequest(sent, bytes, anchors), Event::Stored) => {
                Step::new(Self::Expect(sent, anchors), [Effect::Send(bytes)])
            }
            (Self::Expect(sent, anchors), Event::Received(bytes)) => Self::answered(sent, &anchors, &bytes, context),
            (Self::Storing(notice), Event::Stored) => Self::over(notice),
            // What is stored is sent again (R26).
            (_, Event::Lost) => Step::new(Self::Over, vec![]),
            (_, Event::Failed(fault)) => Self::over(BuyNotice::Failed(fault)),
            (state, _) => Step::new(state, vec![]),
        }
    }
}

//! Two lines, one offer (R23): the provider authorizes only what merchant and user both named, and both in time.
//!
//! What each line said is kept apart, by offer and accounting machine. The offer's hash covers the session that carried it,
//! which only wallet and terminal know, and both prove what they say: the terminal by its own key, the user by the offer's.
//! So a stranger can neither match nor mismatch; what a stranger sends stands by itself and changes nothing.

use super::PaymentOption;
use super::messages::{Agreement, CreditOffer};
use crate::codes;
use crate::id::{DeviceId, Hash, PartyId, RequestNumber};
use crate::money::{Amount, Time};
use crate::talk::pay::Charge;
use crate::wire::canonical::{DecodeError, Reader, Wire, Writer};
use crate::wire::signed::{PublicKey, Signed, Verifier};

codes! {
    /// Why a payment by credit ended without a payment.
    pub enum CreditRefusal {
        /// The two lines named different things.
        Mismatch = 1,
        /// One of the two lines asked too late, or never.
        Late = 2,
        /// The bank declined.
        Declined = 3,
        /// The wallet has no bank card registered.
        NoCard = 4,
        /// The merchant takes no credit here.
        NoMerchant = 5,
        /// The terminal ended the charge.
        Closed = 6,
        /// This provider has no processor, or the processor refuses it.
        NoProcessor = 7,
        /// A request for this charge or offer was here before, with another content.
        Repeated = 8,
        /// Nothing was authorized that this could clear.
        NotAuthorized = 9,
        /// The offer is for another provider.
        OtherProvider = 10,
        /// The bank card's details are wrong, or the processor does not take this card.
        Card = 11,
    }
}

impl CreditRefusal {
    /// Who is at fault and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Mismatch => {
                "the merchant asked the provider for something else than you agreed to; nothing was charged"
            }
            Self::Late => "the other side did not ask in time; nothing was charged, start again",
            Self::Declined => "the bank declined; use another card or ask the bank",
            Self::NoCard => "this wallet has no bank card registered; register one first",
            Self::NoMerchant => "this merchant is not enrolled for credit; its provider's operator can do that",
            Self::Closed => "the terminal has ended this charge; nothing was charged, start again",
            Self::NoProcessor => "the provider has no processor that clears credit at the moment; ask its operator",
            Self::Repeated => "this was asked before with another content; start again",
            Self::NotAuthorized => "nothing is authorized that could be cleared",
            Self::OtherProvider => "the offer is for another provider",
            Self::Card => "the card's number or expiry is wrong, or its bank does not take part",
        }
    }
}

/// What one line named. The fields are those that both have to name alike (R23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The charge, by its hash in its session.
    pub charge: Hash,
    /// How much, and in which currency.
    pub amount: Amount,
    /// Number of the sale at its machine.
    pub transaction: u64,
    /// The accounting machine.
    pub machine: DeviceId,
    /// When it arrived, by the provider's clock: what fresh means (R23).
    pub arrived: Time,
}

impl Wire for Line {
    fn write(&self, to: &mut Writer) {
        to.array(5);
        self.charge.write(to);
        self.amount.write(to);
        to.uint(self.transaction);
        self.machine.write(to);
        self.arrived.write(to);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array(5)?;
        Ok(Self {
            charge: Hash::read(from)?,
            amount: Amount::read(from)?,
            transaction: from.uint()?,
            machine: DeviceId::read(from)?,
            arrived: Time::read(from)?,
        })
    }
}

impl Line {
    fn same(&self, other: &Self) -> bool {
        (self.charge, self.amount, self.transaction, self.machine)
            == (other.charge, other.amount, other.transaction, other.machine)
    }
}

/// What is known of one offer at one machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// The merchant's line, with the moment at which its charge expires.
    pub merchant: Option<(Line, Time)>,
    /// The user's line.
    pub user: Option<Line>,
}

/// What follows from the two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// One of them is missing and may still come.
    Wait,
    /// Both named the same in time: ask the processor.
    Authorize,
    /// It ends here; both sides are told.
    Refuse(CreditRefusal),
}

/// How long a user's line waits for a merchant's that names no expiry yet, in seconds.
pub const PATIENCE: u64 = 300;

/// Compares the two lines. `now` is the provider's clock.
pub fn matched(sides: &Sides, now: Time) -> Matched {
    match (&sides.merchant, &sides.user) {
        (Some((merchant, expires)), Some(user)) => {
            if !merchant.same(user) {
                Matched::Refuse(CreditRefusal::Mismatch)
            } else if merchant.arrived >= *expires || user.arrived >= *expires {
                Matched::Refuse(CreditRefusal::Late)
            } else {
                Matched::Authorize
            }
        }
        (Some((_, expires)), None) if now >= *expires => Matched::Refuse(CreditRefusal::Late),
        (None, Some(user)) if now.since(user.arrived) >= PATIENCE => Matched::Refuse(CreditRefusal::Late),
        _ => Matched::Wait,
    }
}

/// What an offer says, once it is known that its own key signed it in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedOffer {
    /// The offer, by its hash.
    pub hash: Hash,
    /// The wallet's number of the request.
    pub request: RequestNumber,
    /// The provider that shall clear it.
    pub provider: PartyId,
    /// How the user is charged.
    pub option: PaymentOption,
}

/// Checks an offer under its own key. `None`: not signed by it, or not in this session.
pub fn offered(offer: &Signed<CreditOffer>, session: &Hash, by: &dyn Verifier) -> Option<NamedOffer> {
    let key = offer.claimed().key;
    let offer = offer.clone().verify(&key, &CreditOffer::context(session), by).ok()?;
    Some(NamedOffer { hash: offer.hash(), request: offer.request, provider: offer.provider, option: offer.option })
}

/// What the merchant's line named: the charge that this terminal signed in this session, and when it expires.
pub fn merchant_line(
    charge: &Signed<Charge>,
    session: &Hash,
    (machine, key): (DeviceId, &PublicKey),
    arrived: Time,
    by: &dyn Verifier,
) -> Option<(Line, Time)> {
    let charge = charge.clone().verify(key, &Charge::context(session, machine), by).ok()?;
    let line = Line {
        charge: Charge::named(session, machine, charge.signed().payload()),
        amount: charge.amount,
        transaction: charge.transaction,
        machine,
        arrived,
    };
    Some((line, charge.expires))
}

/// What the user's line named: what the holder of the offer's key agreed to.
pub fn user_line(
    offer: &Signed<CreditOffer>,
    hash: &Hash,
    agreement: &Signed<Agreement>,
    arrived: Time,
    by: &dyn Verifier,
) -> Option<Line> {
    let key = offer.claimed().key;
    let agreed = agreement.clone().verify(&key, &Agreement::context(hash), by).ok()?;
    let Agreement { machine, charge, transaction, amount, .. } = (*agreed).clone();
    Some(Line { charge, amount, transaction, machine, arrived })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    fn line(minor: u64, arrived: u64) -> Line {
        let amount = Amount::new(Unit::USD, minor).expect("small");
        let machine = DeviceId([3; 16]);
        Line { charge: Hash::of(b"charge"), amount, transaction: 7, machine, arrived: Time(arrived) }
    }

    #[test]
    fn only_two_lines_that_name_the_same_in_time_are_authorized() {
        let merchant = |minor, arrived| Some((line(minor, arrived), Time(100)));
        let both = |merchant, user| Sides { merchant, user };
        assert_eq!(matched(&both(merchant(500, 10), Some(line(500, 20))), Time(20)), Matched::Authorize);
        // In time is when it arrived (R23): both did, however late it is looked at.
        assert_eq!(matched(&both(merchant(500, 10), Some(line(500, 99))), Time(500)), Matched::Authorize);
        for (other, why) in [
            (Line { amount: Amount::new(Unit::USD, 501).expect("small"), ..line(500, 20) }, CreditRefusal::Mismatch),
            (Line { amount: Amount::new(Unit::EUR, 500).expect("small"), ..line(500, 20) }, CreditRefusal::Mismatch),
            (Line { transaction: 8, ..line(500, 20) }, CreditRefusal::Mismatch),
            (Line { machine: DeviceId([4; 16]), ..line(500, 20) }, CreditRefusal::Mismatch),
            (Line { charge: Hash::of(b"other"), ..line(500, 20) }, CreditRefusal::Mismatch),
            (line(500, 100), CreditRefusal::Late),
        ] {
            assert_eq!(matched(&both(merchant(500, 10), Some(other)), Time(20)), Matched::Refuse(why), "{other:?}");
        }
    }

    #[test]
    fn a_partner_that_never_comes_ends_it() {
        let merchant = Sides { merchant: Some((line(500, 10), Time(100))), user: None };
        assert_eq!(matched(&merchant, Time(99)), Matched::Wait);
        assert_eq!(matched(&merchant, Time(100)), Matched::Refuse(CreditRefusal::Late));
        let user = Sides { merchant: None, user: Some(line(500, 10)) };
        assert_eq!(matched(&user, Time(10 + PATIENCE - 1)), Matched::Wait);
        assert_eq!(matched(&user, Time(10 + PATIENCE)), Matched::Refuse(CreditRefusal::Late));
    }
}

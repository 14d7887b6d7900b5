//! An issuer over its vault.

use crate::moves::MovesError;
use crate::seats::SeatError;
use tegata_core::card::Terms;
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::cards::{Activate, Done, NumberKey, Order};
use tegata_core::talk::event::PlanError;
use tegata_core::talk::report::ReportKind;
use tegata_core::wire::canonical::Bytes;
use tegata_core::wire::signed::{Signed, Verified};
use tegata_core::{Amount, Hash, PartyId, Time};
use tegata_crypto_native::number::InstallationNumber;
use tegata_crypto_native::primitive;
use tegata_device::{Device, Now, Post, RequestError};
use tegata_vault::{Vault, VaultError};

/// Most numbers in one batch.
const MAX_BATCH: u64 = 100_000;

/// Why the issuer did not do it.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// Not joined.
    #[error("this issuer has not joined a provider yet; ask its operator for a token and join")]
    NotJoined,
    /// Too few or too many.
    #[error("a batch holds from 1 to {MAX_BATCH} numbers")]
    BatchSize,
    /// The face value does not fit the terms.
    #[error("the face value is zero, in another currency than the terms, or above what a card may hold")]
    Face,
    /// No such batch.
    #[error("there is no batch {0}; `batches` lists them")]
    NoBatch(u64),
    /// A tariff that says nothing certain.
    #[error(transparent)]
    Tariff(#[from] tegata_core::charging::TariffError),
    /// No such article.
    #[error("there is no article {0}; `articles` lists them")]
    NoArticle(u64),
    /// No such serials.
    #[error("batch {0} has no serials {1} to {2}")]
    NoSerials(u64, u64, u64),
    /// No such event.
    #[error("there is no event '{0}'; `event show` lists them")]
    NoEvent(String),
    /// Several of that name.
    #[error("several events are called '{0}'; name it by its id, as `event show` lists it")]
    SameEvent(String),
    /// No such door.
    #[error("'{0}' is no door of this event; `event show` lists them")]
    NoDoor(String),
    /// Nobody of that name.
    #[error("'{0}' is nobody of this event's staff whose badge counts; `event staff` lists it")]
    NoStaff(String),
    /// Several of that name.
    #[error("several of the staff are called '{0}'; say the number, `event staff` lists them")]
    SeveralStaff(String),
    /// All numbers are given.
    #[error("this event has had 200 badges, and no more can be given")]
    TooManyStaff,
    /// No such zone.
    #[error("zone '{0}' is none of this event; `event show` lists them")]
    NoZone(String),
    /// The category has neither numbered seats nor a number of tickets.
    #[error("category '{0}' has no numbered seats; say how many tickets of it there are")]
    NoStock(String),
    /// A count, where each seat is one ticket.
    #[error(
        "category '{0}' has {1} numbered seats, and each of them is one ticket: leave its count away; to sell fewer of them, `restock` its \
         article"
    )]
    Counted(String, u64),
    /// More tickets than seats.
    #[error(
        "article {0} has {1} numbered seats, and each of them is one ticket: list at most {1}, or read more seats into the plan first \
         (`event seats`)"
    )]
    FewerSeats(u64, u64),
    /// No such category.
    #[error("there is no category '{0}' of this event; `event show` lists them")]
    NoCategory(String),
    /// No such seat.
    #[error("'{0}' is no numbered seat of category '{1}'; `event show EVENT --seats` lists them")]
    NoSeat(String, String),
    /// One seat for two numbers.
    #[error("seat '{0}' is named twice; each seat has one ticket")]
    SeatTwice(String),
    /// Not so many seats are left.
    #[error("category '{0}' has {1} numbered seats that are in no batch yet; ask for no more")]
    FewSeats(String, u64),
    /// It ends before it begins.
    #[error("category '{0}' lets in until before it lets in from")]
    Backwards(String),
    /// The plan is none.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file is no seat plan.
    #[error(transparent)]
    Seats(#[from] SeatError),
    /// The file does not say how seats are moved.
    #[error(transparent)]
    Moves(#[from] MovesError),
    /// Somebody could buy a seat while it is moved.
    #[error(
        "'{1}' is on sale: take it off sale before its seats are moved, so that nobody buys one of them meanwhile (`restock {0} 0`), and \
         put it back when that is done"
    )]
    OnSale(u64, String),
    /// The new tickets would let nobody in.
    #[error(
        "the new tickets for '{0}' would let nobody in, since the last moment of admission that they name is over; say dates that lie \
         ahead, or cancel the event"
    )]
    Past(String),
    /// Something else was signed about these tickets first, and may be on its way.
    #[error(
        "another change of '{0}' was signed before and may be under way, so that this one was not: say that one again, the same way, \
         to bring it to its end, then change what the tickets have become"
    )]
    OtherChange(String),
    /// No tickets that could be changed.
    #[error("these are no tickets, or nothing was changed of them yet")]
    NoTickets,
    /// The provider did not do what was asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// One number, to be printed and sold. Whoever reads it before it is installed can take the card.
pub struct Printed {
    /// Its serial within the batch, from 1; what a till scans to activate it.
    pub serial: u64,
    /// The number.
    pub number: InstallationNumber,
    /// What it will be worth.
    pub face: Amount,
    /// What stands on the seat that it is for; absent: free seating, or no ticket.
    pub seat: Option<String>,
}

/// A batch as it is listed.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// Its number at this issuer.
    pub batch: u64,
    /// What they are for, as its terms call it: of tickets the event and the category.
    pub name: String,
    /// Whether they are tickets.
    pub tickets: bool,
    /// What stands on the seats that they are for, in the order of the numbers; none: free seating, or no tickets.
    pub seats: Vec<String>,
    /// How many numbers.
    pub count: u64,
    /// Face value of each.
    pub face: Amount,
    /// When it was ordered.
    pub at: Time,
}

/// An issuer.
pub struct Issuer<V> {
    /// Its records and keys.
    pub device: Device<V>,
}

fn batch_key(batch: u64) -> RecordKey {
    RecordKey::numbered(Space::Receipt, batch)
}

impl<V: Vault> Issuer<V> {
    /// Over this device.
    pub fn new(device: Device<V>) -> Self {
        Self { device }
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`IssuerError::NotJoined`].
    pub fn party(&self) -> Result<PartyId, IssuerError> {
        Ok(self.device.certificate().ok_or(IssuerError::NotJoined)?.claimed().subject.party())
    }

    /// 32 secret bytes for a purpose, derived from the issuer's own key: its signatures (Ed25519) never vary.
    fn secret(&self, purpose: &str) -> Result<[u8; 32], IssuerError> {
        let key = self.device.ring.device_key().ok_or(IssuerError::NotJoined)?;
        let signature = self.device.ring.sign(&key, b"tegata issuer secret").ok_or(IssuerError::NotJoined)?;
        Ok(primitive::mac(&Hash::of(&signature.0).0, purpose, &[]))
    }

    fn number(&self, batch: u64, serial: u64) -> Result<InstallationNumber, IssuerError> {
        let seed = self.secret("numbers")?;
        let drawn = primitive::mac(&seed, "number", &[&batch.to_be_bytes(), &serial.to_be_bytes()]);
        Ok(InstallationNumber::generate(drawn))
    }

    /// Orders a batch; the order is stored before it is sent, and sent again unchanged by [`Issuer::resend`].
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn order(
        &mut self,
        post: &mut dyn Post,
        terms: Terms,
        face: Amount,
        (count, until): (u64, Time),
        now: Now,
    ) -> Result<u64, IssuerError> {
        self.ordered(post, (terms, face), (count, None, until), now)
    }

    /// Orders a batch, each number for its seat where it has one.
    pub(crate) fn ordered(
        &mut self,
        post: &mut dyn Post,
        (terms, face): (Terms, Amount),
        (count, seats, until): (u64, Option<Vec<u64>>, Time),
        now: Now,
    ) -> Result<u64, IssuerError> {
        if count == 0 || count > MAX_BATCH {
            return Err(IssuerError::BatchSize);
        }
        if face.is_zero() || face.unit() != terms.unit || face.minor() > terms.max_balance {
            return Err(IssuerError::Face);
        }
        let issuer = self.party()?;
        // Also those that were refused: an order that was on its way may still arrive, and no two have one number.
        let stored = self.device.vault.scan(Space::Receipt, &[], usize::MAX)?;
        let ordered = stored.iter().filter(|(name, _)| name.len() == batch_key(0).name.len()).count();
        let batch = ordered as u64 + 1;
        let hash_key = self.secret("number key")?;
        let numbers: Result<Vec<_>, _> =
            (1..=count).map(|serial| self.number(batch, serial).map(|number| number.keyed_hash(&hash_key))).collect();
        let numbers = numbers?;
        let at = now.time;
        let body = Order { issuer, batch, terms, face, numbers, at, until, seats, extensions: Default::default() };
        let order = self.device.signed(body)?;
        let mut record = Batch::default();
        record.replace(batch_key(batch), None, order.encode());
        self.device.vault.commit(&record)?;
        match self.send(post, &order, now) {
            // Refused for good: nothing of it stays but its number.
            Err(IssuerError::Request(RequestError::Refused(refused))) if !refused.why.is_transient() => {
                let mut record = Batch::default();
                record.put(batch_key(batch), Vec::new());
                self.device.vault.commit(&record)?;
                Err(RequestError::Refused(refused).into())
            }
            sent => sent.map(|()| batch),
        }
    }

    fn send(&mut self, post: &mut dyn Post, order: &Signed<Order>, now: Now) -> Result<(), IssuerError> {
        let key = Bytes(self.secret("number key")?.to_vec());
        let issuer = self.party()?;
        let shared = self.device.signed(NumberKey { issuer, key, extensions: Default::default() })?;
        let _: Verified<Done> = self.device.request(post, &shared, now)?;
        let again = Now { entropy: Hash::of(&now.entropy).0, ..now };
        let _: Verified<Done> = self.device.request(post, order, again)?;
        Ok(())
    }

    fn stored(&self, batch: u64) -> Result<Signed<Order>, IssuerError> {
        let bytes = self.device.vault.get(&batch_key(batch))?.filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or(IssuerError::NoBatch(batch))?;
        Signed::decode(&bytes).map_err(|_| VaultError::Damaged.into())
    }

    /// Sends an order again whose answer was lost; the same order twice is one order.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn resend(&mut self, post: &mut dyn Post, batch: u64, now: Now) -> Result<(), IssuerError> {
        let order = self.stored(batch)?;
        self.send(post, &order, now)
    }

    /// The batches, oldest first.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn batches(&self) -> Result<Vec<Numbered>, IssuerError> {
        let found = self.device.vault.scan(Space::Receipt, &[], usize::MAX)?;
        let orders = found.iter().filter_map(|(_, bytes)| Signed::<Order>::decode(bytes).ok());
        orders.map(|order| self.numbered(order.claimed())).collect()
    }

    fn numbered(&self, order: &Order) -> Result<Numbered, IssuerError> {
        Ok(Numbered {
            batch: order.batch,
            name: order.terms.name.clone(),
            tickets: order.terms.ticket.is_some(),
            seats: self.seat_names(order)?,
            count: order.numbers.len() as u64,
            face: order.face,
            at: order.at,
        })
    }

    /// One batch.
    ///
    /// # Errors
    /// [`IssuerError::NoBatch`].
    pub fn batch(&self, batch: u64) -> Result<Numbered, IssuerError> {
        self.numbered(self.stored(batch)?.claimed())
    }

    /// The numbers of a batch, to be printed.
    ///
    /// # Errors
    /// [`IssuerError::NoBatch`].
    pub fn print(&self, batch: u64) -> Result<Vec<Printed>, IssuerError> {
        let order = self.stored(batch)?;
        let (count, face) = (order.claimed().numbers.len() as u64, order.claimed().face);
        let mut seats = self.seat_names(order.claimed())?.into_iter();
        (1..=count)
            .map(|serial| Ok(Printed { serial, number: self.number(batch, serial)?, face, seat: seats.next() }))
            .collect()
    }

    /// Activates the serials that were sold: they are value from now on (R10).
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn activate(
        &mut self,
        post: &mut dyn Post,
        batch: u64,
        (first, last): (u64, u64),
        now: Now,
    ) -> Result<(), IssuerError> {
        let count = self.stored(batch)?.claimed().numbers.len() as u64;
        if first == 0 || first > last || last > count {
            return Err(IssuerError::NoSerials(batch, first, last));
        }
        let issuer = self.party()?;
        let body = Activate { issuer, batch, first, last, at: now.time, till: None, extensions: Default::default() };
        let slip = self.device.signed(body)?;
        let _: Verified<Done> = self.device.request(post, &slip, now)?;
        Ok(())
    }

    /// The issuer's statement of a time, as JSON.
    ///
    /// # Errors
    /// [`IssuerError::Request`].
    pub fn statement(&mut self, post: &mut dyn Post, span: (Time, Time), now: Now) -> Result<String, IssuerError> {
        Ok(self.device.report(post, ReportKind::IssuerStatement, span, now)?)
    }
}

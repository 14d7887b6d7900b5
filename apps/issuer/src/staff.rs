//! The staff at an event's gates: each gets a badge that is shown once. Names stay with the promoter; gates and provider know numbers.

use crate::issuer::{Issuer, IssuerError};
use tegata_core::record::{Batch, RecordKey, Space};
use tegata_core::talk::enter::{Member, StaffRole};
use tegata_core::talk::event::{MAX_STAFF, StaffOrder};
use tegata_core::wire::signed::Signed;
use tegata_core::{EventId, Time};
use tegata_crypto_native::Badge;
use tegata_device::{Now, Post};
use tegata_vault::{Vault, VaultError};

fn order_key(event: EventId) -> RecordKey {
    RecordKey::new(Space::Event, [b"staff".as_slice(), &event.0].concat())
}

fn name_key(event: EventId, number: u64) -> RecordKey {
    RecordKey::new(Space::Event, [b"called".as_slice(), &event.0, &number.to_be_bytes()].concat())
}

impl<V: Vault> Issuer<V> {
    /// Takes somebody into the staff of an event; gives the number and the badge, which is nowhere else.
    ///
    /// # Errors
    /// [`IssuerError::TooManyStaff`] and others.
    pub fn take_on(
        &mut self,
        post: &mut dyn Post,
        (event, name): (&str, &str),
        role: StaffRole,
        now: Now,
    ) -> Result<(u64, Badge), IssuerError> {
        let event = self.event(event)?.event;
        let badge = Badge::generate(now.entropy);
        let mut staff = self.members(event)?;
        if staff.len() >= MAX_STAFF {
            return Err(IssuerError::TooManyStaff);
        }
        let number = staff.len() as u64 + 1;
        staff.push(Member { number, key: badge.key().public(), role, until: None, extensions: Default::default() });
        let mut named = Batch::default();
        named.put(name_key(event, number), name.as_bytes().to_vec());
        self.device.vault.commit(&named)?;
        self.order_staff(post, event, staff, now)?;
        Ok((number, badge))
    }
    /// Somebody's badge counts from now on no more; what it has signed stands.
    ///
    /// # Errors
    /// [`IssuerError::NoStaff`] and others.
    pub fn let_go(&mut self, post: &mut dyn Post, (event, name): (&str, &str), now: Now) -> Result<u64, IssuerError> {
        let event = self.event(event)?.event;
        let called = self.staff(event)?.into_iter();
        let mut found = called
            .filter(|(member, called)| member.until.is_none() && (called == name || member.number.to_string() == name));
        let number = match (found.next(), found.next()) {
            (Some((member, _)), None) => member.number,
            (Some(_), Some(_)) => return Err(IssuerError::SeveralStaff(name.to_owned())),
            (None, _) => return Err(IssuerError::NoStaff(name.to_owned())),
        };
        let mut staff = self.members(event)?;
        staff.iter_mut().filter(|member| member.number == number).for_each(|member| member.until = Some(now.time));
        self.order_staff(post, event, staff, now)?;
        Ok(number)
    }
    /// Who is or was of the staff, with the names that the promoter gave.
    ///
    /// # Errors
    /// The vault cannot be read.
    pub fn staff(&self, event: EventId) -> Result<Vec<(Member, String)>, IssuerError> {
        let named = |member: Member| {
            let name = self.device.vault.get(&name_key(event, member.number))?.unwrap_or_default();
            Ok((member, String::from_utf8_lossy(&name).into_owned()))
        };
        self.members(event)?.into_iter().map(named).collect()
    }
    fn members(&self, event: EventId) -> Result<Vec<Member>, IssuerError> {
        Ok(self.last_order(event)?.map_or_else(Vec::new, |order| order.claimed().staff.clone()))
    }
    fn last_order(&self, event: EventId) -> Result<Option<Signed<StaffOrder>>, IssuerError> {
        let stored = self.device.vault.get(&order_key(event))?;
        Ok(stored.map(|bytes| Signed::decode(&bytes)).transpose().map_err(|_| VaultError::Damaged)?)
    }
    fn order_staff(
        &mut self,
        post: &mut dyn Post,
        event: EventId,
        staff: Vec<Member>,
        now: Now,
    ) -> Result<(), IssuerError> {
        let last = self.last_order(event)?;
        let at = Time(now.time.0.max(last.as_ref().map_or(0, |last| last.claimed().at.0)));
        let order = StaffOrder {
            promoter: self.party()?,
            event,
            revision: last.as_ref().map_or(0, |last| last.claimed().revision) + 1,
            staff,
            at,
            extensions: Default::default(),
        };
        // What was kept and perhaps never arrived goes first; the provider takes the same order again.
        if let Some(last) = &last {
            let _: tegata_core::wire::signed::Verified<tegata_core::talk::cards::Done> =
                self.device.request(post, last, now)?;
        }
        let old = self.device.vault.get(&order_key(event))?;
        self.keep_and_send(post, (order_key(event), old), order, now).map(drop)
    }
}

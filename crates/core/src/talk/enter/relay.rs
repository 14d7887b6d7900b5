//! What gates kept of a neighbour that has fallen silent, told on by those who heard it: a gate that begins anew at a lost gate's door
//! learns what that one has let in (R22). Every page goes on as its gate signed it; whoever tells it on signs that it took it itself,
//! so that it counts also when the lost gate was revoked since.

use super::gate::Door;
use super::share::{Neighbour, Page, PageError, follow};
use crate::id::DeviceId;
use crate::message;
use crate::record::{Batch, RecordKey, Space};
use crate::step::{Context, Records};
use crate::wire::certificate::{Certificate, Role, Untrusted};
use crate::wire::signed::{Signed, Verified};
use alloc::vec::Vec;

message! {
    /// How far one gate has heard another.
    pub struct Listened {
        /// The other.
        1 gate: DeviceId,
        /// Number of the last entry heard.
        2 number: u64,
        /// Whether it hears it now.
        3 heard: bool,
    }
}

message! {
    /// What one gate asks another on the venue's own network.
    pub struct PagesAsked {
        /// What follows this entry of your log? 0: from the beginning.
        1 after: u64,
        /// And what follows these entries of others, where I cannot hear them?
        2 others: Option<Vec<Listened>>,
    }
}

message! {
    /// The answer.
    pub struct PagesTold {
        /// Who answers.
        1 certificate: Signed<Certificate>,
        /// A page of its own log.
        2 page: Signed<Page>,
        /// A page of another's.
        3 relay: Option<Signed<Relay>>,
    }
}

message! {
    /// A page of a neighbour that has fallen silent, as it was heard. Signed by the gate that heard it.
    pub struct Relay kind 89 max 510_000 {
        /// The gate that heard it.
        1 by: DeviceId,
        /// The neighbour's certificate.
        2 certificate: Signed<Certificate>,
        /// The page.
        3 page: Signed<Page>,
    }
}

fn certificate_key(gate: DeviceId) -> RecordKey {
    RecordKey::new(Space::Event, [b"q".as_slice(), &gate.0].concat())
}

fn page_key(gate: DeviceId, number: u64) -> RecordKey {
    RecordKey::new(Space::Event, [b"p".as_slice(), &gate.0, &number.to_be_bytes()].concat())
}

/// Keeps a page that has brought something new, as the next of its gate's; gives how many there are then.
pub(super) fn keep(
    records: &dyn Records,
    kept: u64,
    (certificate, page): (&Signed<Certificate>, &Signed<Page>),
    batch: &mut Batch,
) -> u64 {
    let gate = page.claimed().gate;
    let key = certificate_key(gate);
    batch.replace(key.clone(), records.get(&key), certificate.encode());
    batch.put(page_key(gate, kept + 1), page.encode());
    kept + 1
}

/// The page of a neighbour that goes on after this entry, if this gate has heard more of it: to be signed.
pub fn relay(door: &Door, gate: DeviceId, after: u64, records: &dyn Records) -> Option<Relay> {
    let (known, _) = Neighbour::load(records, gate);
    if known.number <= after {
        return None;
    }
    let page = |number| Signed::<Page>::decode(&records.get(&page_key(gate, number))?).ok();
    // The last page that begins at or before that entry.
    let (mut first, mut last) = (1, known.pages?);
    while first < last {
        let middle = last - (last - first) / 2;
        if page(middle)?.claimed().after <= after { first = middle } else { last = middle - 1 }
    }
    Some(Relay {
        by: door.certificate.claimed().subject.device(),
        certificate: Signed::decode(&records.get(&certificate_key(gate))?).ok()?,
        page: page(first)?,
        extensions: Default::default(),
    })
}

/// Takes a page that a neighbour tells on. That its gate is heard now it does not say.
///
/// # Errors
/// [`PageError`].
pub fn take_relay(
    door: &Door,
    by: Signed<Certificate>,
    relay: Signed<Relay>,
    context: &Context<'_>,
) -> Result<(Batch, Neighbour), PageError> {
    let teller = door.anchors.accept(by, Role::Gate, context.now, context.verifier)?;
    let relay = relay.verify(&teller.key, &[], context.verifier).map_err(Untrusted::from)?;
    let own = door.certificate.claimed();
    let gate: Verified<Certificate> =
        door.anchors.certified(relay.certificate.clone(), Role::Gate, context.now, context.verifier)?;
    let (of_teller, of_gate) = (teller.subject.device(), gate.subject.device());
    if teller.owner != own.owner || relay.by != of_teller || of_gate == own.subject.device() {
        return Err(PageError::OtherEvent);
    }
    follow(door, &gate, relay.page.clone(), context, false)
}

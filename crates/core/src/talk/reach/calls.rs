//! Calls between merchants and users: where a device is called, a number that stands for it, and the switch's word for that.

use super::messages::Address;
use crate::id::DeviceId;
use crate::message;
use crate::money::Time;
use crate::record::{Batch, RecordKey, Space};
use crate::step::Records;
use crate::wire::canonical::Wire;
use alloc::string::String;

/// How numbers begin that stand for somebody: what calls to them cost is the rate of this prefix.
pub const STANDS_FOR: &str = "0021";
/// How many digits follow: more than any number abroad has that begins in the same way (E.164, 6.1).
pub const STANDS_FOR_DIGITS: usize = 12;

/// Whether a number can only stand for somebody: where a switch does not know it, it leads nowhere.
pub fn is_stand_in(number: &str) -> bool {
    number
        .strip_prefix(STANDS_FOR)
        .is_some_and(|rest| rest.len() == STANDS_FOR_DIGITS && rest.bytes().all(|digit| digit.is_ascii_digit()))
}

message! {
    /// Where this device is called. Signed by the device; the newest by its time counts.
    pub struct PhoneAt kind 97 max 300 {
        /// The wallet or terminal.
        1 device: DeviceId,
        /// The switch at which its phone registers; absent: it is not called any more.
        2 switch: Option<DeviceId>,
        /// The number or name of that phone there.
        3 phone: Option<String>,
        /// The provider's epoch as the device last heard it (R15): told again in another one.
        4 epoch: u64,
        /// When, by the device's clock, and later than the one before.
        5 at: Time,
    }
}

message! {
    /// Asks for a number by which this address is called. Signed by the wallet or terminal whose owner will call.
    pub struct CallAsk kind 98 max 300 {
        /// The wallet or terminal.
        1 device: DeviceId,
        /// Who is called.
        2 to: Address,
        /// When, by the device's clock: the same again gets the same number.
        3 at: Time,
    }
}

message! {
    /// The number. Signed by the provider, in the context of the request's hash. It says nothing about who is called.
    pub struct CallNumber kind 23 max 300 {
        /// To be dialled, with any wallet, for one call that is answered.
        1 number: String,
        /// The switch that knows whom it stands for.
        2 switch: DeviceId,
        /// What people call that switch.
        3 name: String,
        /// It stands for nobody from then on.
        4 until: Time,
        /// Number of the operational key that signed.
        5 signer: u64,
    }
}

message! {
    /// For a switch: whom a number stands for.
    pub struct StandsFor {
        /// The number.
        1 number: String,
        /// The phone that rings; absent: nobody, and whoever dials it cannot tell that from a phone that is off.
        2 phone: Option<String>,
        /// From then on nobody.
        3 until: Time,
    }
}

impl StandsFor {
    /// Where a switch keeps it.
    pub fn key(number: &str) -> RecordKey {
        RecordKey::new(Space::StandsFor, number.as_bytes())
    }
    /// What is known of this number now.
    pub fn load(records: &dyn Records, number: &str, now: Time) -> Option<Self> {
        let held = Self::from_bytes(&records.get(&Self::key(number))?).ok()?;
        (now < held.until).then_some(held)
    }
    /// Keeps what the provider says.
    pub(crate) fn take_in(&self, batch: &mut Batch) {
        batch.put(Self::key(&self.number), self.to_bytes());
    }
}

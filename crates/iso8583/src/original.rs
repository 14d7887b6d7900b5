//! What a reversal says about what it undoes: original data elements (field 90) and replacement amounts (field 95).

use crate::element::{AcquirerId, Element, Stan, number};
use crate::key::Key;
use crate::kind::MessageType;
use crate::moment::Transmitted;

/// Original data elements (field 90), 42 digits: the original's message type (4), trace number (6), transmission date and time
/// (10), acquirer (11) and forwarding institution (11), the last two filled up with zeros from the left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OriginalData {
    /// The original's message type.
    pub kind: MessageType,
    /// Its trace number.
    pub stan: Stan,
    /// Its transmission date and time.
    pub transmitted: Transmitted,
    acquirer: u64,
    forwarder: u64,
}

impl OriginalData {
    /// Eleven digits.
    const MOST: u64 = 99_999_999_999;

    /// What names a request of this type, trace number, time and acquirer, which nobody forwarded.
    pub fn of(kind: MessageType, stan: Stan, transmitted: Transmitted, acquirer: AcquirerId) -> Self {
        Self { kind, stan, transmitted, acquirer: acquirer.number(), forwarder: 0 }
    }
    /// Whether that request is the one of this type and key. The reference is not among the original data elements.
    pub fn names(&self, kind: MessageType, key: &Key) -> bool {
        let same = (self.kind, self.stan, self.transmitted) == (kind, key.stan, key.transmitted);
        same && self.acquirer == key.acquirer.number()
    }
}

impl Element for OriginalData {
    const FIELD: u8 = 90;
    fn read(value: &[u8]) -> Option<Self> {
        let (kind, value) = value.split_at_checked(4)?;
        let (stan, value) = value.split_at_checked(6)?;
        let (transmitted, value) = value.split_at_checked(10)?;
        let (acquirer, forwarder) = value.split_at_checked(11)?;
        let institution = |digits: &[u8]| number(digits).filter(|number| *number <= Self::MOST);
        (forwarder.len() == 11).then_some(Self {
            kind: MessageType::from_code(kind)?,
            stan: Stan::read(stan)?,
            transmitted: Transmitted::read(transmitted)?,
            acquirer: institution(acquirer)?,
            forwarder: institution(forwarder)?,
        })
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        let Self { kind, stan, transmitted, acquirer, forwarder } = self;
        to(format!("{}{stan}{transmitted}{acquirer:011}{forwarder:011}", kind.code()).as_bytes());
    }
}

/// Replacement amounts (field 95), 42 characters: what really is to be charged, in the transaction's (12) and the settlement
/// currency (12), and the fees in both (x+n 8 each). We know the first one only: the others are zeros and `C00000000`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReplacementAmounts {
    minor: u64,
}

impl ReplacementAmounts {
    const ZEROS: &'static [u8; 30] = b"000000000000C00000000C00000000";
    /// Twelve digits.
    const MOST: u64 = 999_999_999_999;

    /// So many minor units of the transaction's currency remain charged, 1 to 999999999999; `None` outside. If nothing is to
    /// remain, the reversal is a full one and carries no field 95.
    pub fn new(minor: u64) -> Option<Self> {
        (1..=Self::MOST).contains(&minor).then_some(Self { minor })
    }
    /// What remains charged, in minor units of the transaction's currency.
    pub fn minor(self) -> u64 {
        self.minor
    }
}

impl Element for ReplacementAmounts {
    const FIELD: u8 = 95;
    fn read(value: &[u8]) -> Option<Self> {
        let (minor, rest) = value.split_at_checked(12)?;
        if rest != Self::ZEROS { None } else { Self::new(number(minor)?) }
    }
    fn write(&self, to: &mut dyn FnMut(&[u8])) {
        let zeros = std::str::from_utf8(Self::ZEROS).unwrap_or_default();
        to(format!("{:012}{zeros}", self.minor).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tegata_core::money::Time;

    fn written(element: &impl Element) -> String {
        let mut text = String::new();
        element.write(&mut |value| text = String::from_utf8_lossy(value).into_owned());
        text
    }

    #[test]
    fn original_data_name_one_request() {
        let acquirer = AcquirerId::new("00456").expect("digits");
        let stan = Stan::new(7).expect("in range");
        let transmitted = Transmitted::at(Time(1_795_500_000));
        let original = OriginalData::of(MessageType::FinancialRequest, stan, transmitted, acquirer);
        let text = written(&original);
        assert_eq!(text, "020000000711240600000000000045600000000000");
        assert_eq!(OriginalData::read(text.as_bytes()), Some(original));
        let key = Key { stan, transmitted, acquirer, reference: None };
        assert!(original.names(MessageType::FinancialRequest, &key));
        assert!(!original.names(MessageType::AuthorizationRequest, &key));
        assert!(!original.names(MessageType::FinancialRequest, &Key { stan: stan.next(), ..key }));
        for (at, story) in [(1, "a type nobody speaks"), (10, "month 2x"), (25, "a letter")] {
            let mut bent = text.clone().into_bytes();
            bent[at] = if at == 25 { b'A' } else { b'9' };
            assert_eq!(OriginalData::read(&bent), None, "{story}");
        }
        for len in 0..text.len() {
            assert_eq!(OriginalData::read(&text.as_bytes()[..len]), None, "{len}");
        }
    }

    #[test]
    fn replacement_amounts_say_what_remains() {
        let some = ReplacementAmounts::new(800).expect("in range");
        assert_eq!(written(&some), "000000000800000000000000C00000000C00000000");
        assert_eq!(ReplacementAmounts::read(written(&some).as_bytes()), Some(some));
        for wrong in [
            "000000000000000000000000C00000000C00000000",
            "000000000800000000000001C00000000C00000000",
            "000000000800000000000000C00000005C00000000",
            "00000000080A000000000000C00000000C00000000",
            "000000000800",
        ] {
            assert_eq!(ReplacementAmounts::read(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!((ReplacementAmounts::new(0), ReplacementAmounts::new(1_000_000_000_000)), (None, None));
    }
}

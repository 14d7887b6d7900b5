//! Message types: four digits that say version, class, function and origin. Here 1987 (`0`), and nine of its types.

/// A message type that is spoken here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MessageType {
    /// 0100: may this card be charged? Nothing is posted.
    AuthorizationRequest,
    /// 0110: the answer to 0100.
    AuthorizationAnswer,
    /// 0200: post this: the capture of an authorization, or a refund.
    FinancialRequest,
    /// 0210: the answer to 0200.
    FinancialAnswer,
    /// 0400: undo a request, whole or in part, whether it was carried out or not.
    ReversalRequest,
    /// 0401: 0400 said again, because no answer came.
    ReversalRepeat,
    /// 0410: the answer to 0400 and 0401.
    ReversalAnswer,
    /// 0800: sign-on, sign-off, echo.
    NetworkRequest,
    /// 0810: the answer to 0800.
    NetworkAnswer,
}

impl MessageType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::AuthorizationRequest,
        Self::AuthorizationAnswer,
        Self::FinancialRequest,
        Self::FinancialAnswer,
        Self::ReversalRequest,
        Self::ReversalRepeat,
        Self::ReversalAnswer,
        Self::NetworkRequest,
        Self::NetworkAnswer,
    ];

    /// The four digits.
    pub fn code(self) -> &'static str {
        match self {
            Self::AuthorizationRequest => "0100",
            Self::AuthorizationAnswer => "0110",
            Self::FinancialRequest => "0200",
            Self::FinancialAnswer => "0210",
            Self::ReversalRequest => "0400",
            Self::ReversalRepeat => "0401",
            Self::ReversalAnswer => "0410",
            Self::NetworkRequest => "0800",
            Self::NetworkAnswer => "0810",
        }
    }
    /// The type of four digits; `None` if it is not spoken here.
    pub fn from_code(code: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code().as_bytes() == code)
    }
    /// The type that answers this one; `None` of answers.
    pub fn answer(self) -> Option<Self> {
        match self {
            Self::AuthorizationRequest => Some(Self::AuthorizationAnswer),
            Self::FinancialRequest => Some(Self::FinancialAnswer),
            Self::ReversalRequest | Self::ReversalRepeat => Some(Self::ReversalAnswer),
            Self::NetworkRequest => Some(Self::NetworkAnswer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_and_every_answer_answers_something() {
        for kind in MessageType::ALL {
            assert_eq!(MessageType::from_code(kind.code().as_bytes()), Some(kind));
            let asked = MessageType::ALL.into_iter().any(|request| request.answer() == Some(kind));
            assert_eq!(kind.answer().is_none(), asked, "{kind:?}");
        }
        for code in ["0101", "0120", "0420", "1100", "01 0", "010", "01000", ""] {
            assert_eq!(MessageType::from_code(code.as_bytes()), None, "{code}");
        }
    }
}

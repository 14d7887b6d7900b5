//! Messages that are not fit for the stack, and what is answered to them. The stack drops what it cannot read; a phone
//! that is answered nothing sends it for half a minute again.

use crate::reason::phrase;
use rsipstack::sip::{
    Header, HeadersExt as _, Method, Request, Response, SipMessage, Version, prelude::ToTypedHeader as _,
};

/// Why a message goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Nothing can be answered to it.
    Drop,
    /// This status and text.
    Answer(u16, String),
}

fn answer(status: u16, text: &str) -> Unfit {
    Unfit::Answer(status, text.to_owned())
}

/// Looks at what the stack could read. `datagram` says that the body ends where the packet does.
pub(crate) fn screen(message: &SipMessage, datagram: bool) -> Result<(), Unfit> {
    match message {
        SipMessage::Request(request) => match screen_request(request, datagram) {
            Err(_) if request.method == Method::Ack => Err(Unfit::Drop),
            judged => judged,
        },
        SipMessage::Response(response) => screen_response(response).ok_or(Unfit::Drop),
    }
}

fn screen_request(request: &Request, datagram: bool) -> Result<(), Unfit> {
    let bad = |what: &str| answer(400, &format!("Bad Request: {what}"));
    if request.version != Version::V2 {
        return Err(answer(505, "Version Not Supported"));
    }
    for (name, header) in [("From", 0), ("To", 1), ("Call-ID", 2), ("CSeq", 3)] {
        let same = |one: &&Header| match header {
            0 => matches!(one, Header::From(_)),
            1 => matches!(one, Header::To(_)),
            2 => matches!(one, Header::CallId(_)),
            _ => matches!(one, Header::CSeq(_)),
        };
        match request.headers.iter().filter(same).count() {
            1 => {}
            0 => return Err(bad(&format!("{name} is missing"))),
            _ => return Err(bad(&format!("{name} is there twice"))),
        }
    }
    let via = request.top_via_header().and_then(|via| via.typed()).map_err(|_| Unfit::Drop)?;
    if via.branch().is_some_and(|branch| branch.value().len() > 200) {
        return Err(bad("branch is too long"));
    }
    let from = request.from_header().and_then(|from| from.typed()).map_err(|_| bad("From cannot be read"))?;
    if from.tag().is_none_or(|tag| tag.value().is_empty()) {
        return Err(bad("From has no tag"));
    }
    request.to_header().and_then(|to| to.typed()).map_err(|_| bad("To cannot be read"))?;
    if request.call_id_header().is_ok_and(|id| id.value().is_empty() || id.value().contains(char::is_whitespace)) {
        return Err(bad("Call-ID cannot be read"));
    }
    let cseq = request.cseq_header().and_then(|cseq| cseq.typed()).map_err(|_| bad("CSeq cannot be read"))?;
    if cseq.method != request.method {
        return Err(bad("CSeq names another method"));
    }
    if let Ok(hops) = request.max_forwards_header() {
        hops.value().trim().parse::<u8>().map_err(|_| bad("Max-Forwards cannot be read"))?;
    }
    let length = request.headers.iter().find_map(|header| match header {
        Header::ContentLength(length) => Some(length.value().trim().parse::<usize>()),
        _ => None,
    });
    match length {
        Some(Err(_)) => Err(bad("Content-Length cannot be read")),
        Some(Ok(said)) if said > request.body.len() && datagram => Err(bad("Content-Length is longer than the body")),
        _ => Ok(()),
    }
}

fn screen_response(response: &Response) -> Option<()> {
    response.top_via_header().ok()?.typed().ok()?;
    response.from_header().ok()?.tag().ok()??;
    response.to_header().ok()?.tag().ok()?;
    response.call_id_header().ok()?;
    response.cseq_header().ok()?.typed().ok()?;
    (100..700).contains(&response.status_code.code()).then_some(())
}

/// What to answer to a packet that the stack cannot read at all, ready to be sent back to where it came from.
pub(crate) fn unreadable(packet: &[u8]) -> Option<Vec<u8>> {
    let end = packet.windows(4).position(|four| four == b"\r\n\r\n");
    let text = String::from_utf8_lossy(&packet[..end.unwrap_or(packet.len())]).into_owned();
    let mut lines = text.split("\r\n");
    let start: Vec<&str> = lines.next()?.split(' ').collect();
    let method = *start.first()?;
    let token = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
    };
    if !token(method) || method == "ACK" || text.starts_with("SIP/") {
        return None;
    }
    let mut copied = String::new();
    let (mut via, mut others) = (false, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let full = match name.trim().to_ascii_lowercase().as_str() {
            "via" | "v" => "Via",
            "from" | "f" => "From",
            "to" | "t" => "To",
            "call-id" | "i" => "Call-ID",
            "cseq" => "CSeq",
            _ => continue,
        };
        if full == "Via" {
            via = true
        } else {
            others += 1
        }
        copied.push_str(&format!("{full}: {}\r\n", value.trim()));
    }
    if !via || others == 0 || copied.len() > 4096 {
        return None;
    }
    let version = start.get(2).copied().unwrap_or_default();
    let (status, words) = if end.is_none() {
        (400, "Bad Request: no end of the headers")
    } else if version.starts_with("SIP/") && version != "SIP/2.0" {
        (505, "Version Not Supported")
    } else if start.len() != 3 || version != "SIP/2.0" {
        (400, "Bad Request: the first line cannot be read")
    } else if method.parse::<Method>().is_err() {
        (501, "Not Implemented: no such method here")
    } else {
        (400, "Bad Request: the address cannot be read")
    };
    Some(format!("SIP/2.0 {status} {}\r\n{copied}Content-Length: 0\r\n\r\n", phrase(words)).into_bytes())
}

/// All that is judged of a packet before the stack has it; for the fuzzer.
pub(crate) fn judge(packet: &[u8]) -> bool {
    match SipMessage::try_from(packet) {
        Ok(message) => screen(&message, true).is_ok(),
        Err(_) => unreadable(packet).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "INVITE sip:bob@town SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n\
        From: <sip:alice@town>;tag=1\r\nTo: <sip:bob@town>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
        Content-Length: 0\r\n\r\n";

    fn judged(text: &str) -> Result<(), Unfit> {
        screen(&SipMessage::try_from(text.as_bytes()).expect("the stack reads it"), true)
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(judged(GOOD), Ok(()));
        let cases = [
            ("From: <sip:alice@town>;tag=1\r\n", "", "From is missing"),
            (";tag=1", "", "From has no tag"),
            ("Call-ID: a@b\r\n", "Call-ID: a@b\r\ni: c\r\n", "Call-ID is there twice"),
            ("CSeq: 1 INVITE", "CSeq: 1 BYE", "CSeq names another method"),
            ("CSeq: 1 INVITE", "CSeq: x INVITE", "CSeq cannot be read"),
            ("Max-Forwards: 70", "Max-Forwards: 700", "Max-Forwards cannot be read"),
            ("Content-Length: 0", "Content-Length: -1", "Content-Length cannot be read"),
            ("Content-Length: 0", "Content-Length: 5", "Content-Length is longer than the body"),
        ];
        for (good, bad, text) in cases {
            assert_eq!(judged(&GOOD.replace(good, bad)), Err(answer(400, &format!("Bad Request: {text}"))));
        }
        assert_eq!(judged(&GOOD.replace("INVITE", "ACK").replace(";tag=1", "")), Err(Unfit::Drop));
    }

    #[test]
    fn packets_that_cannot_be_read_are_answered_all_the_same() {
        let status = |packet: &str| {
            unreadable(packet.as_bytes()).map(|answer| String::from_utf8_lossy(&answer)[8..11].to_owned())
        };
        assert_eq!(status(&GOOD.replace("INVITE", "JUMP")).as_deref(), Some("501"));
        assert_eq!(status(&GOOD.replace("SIP/2.0\r\n", "SIP/9.0\r\n")).as_deref(), Some("505"));
        assert_eq!(judged(&GOOD.replace("SIP/2.0\r\n", "SIP/9.0\r\n")), Err(answer(505, "Version Not Supported")));
        assert_eq!(status(&GOOD.replace(" sip:bob@town", "")).as_deref(), Some("400"));
        assert_eq!(status(GOOD.trim_end()).as_deref(), Some("400"));
        assert_eq!(status("SIP/2.0 200 OK\r\nVia: x\r\n\r\n"), None);
        assert_eq!(status("hello"), None);
        assert_eq!(status(&GOOD.replace("Via:", "Vi:").replace("INVITE", "JUMP")), None);
    }

    proptest! {
        #[test]
        fn any_packet_is_answered_or_dropped(packet in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = unreadable(&packet);
        }

        #[test]
        fn any_change_of_a_good_packet_is_judged(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
            let mut packet = GOOD.as_bytes().to_vec();
            packet[at] = byte;
            packet.truncate(GOOD.len().max(cut));
            judge(&packet);
        }
    }
}

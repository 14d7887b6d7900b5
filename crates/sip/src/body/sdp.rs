//! What an offer or answer says about who wrote it, taken out. The address that media are sent to stays here, and tells the other
//! side where the phone is in the network. Whoever must hide that too relays the media (`Config::relay`, `audio`).

/// The same session without user name, host name, titles, addresses of people and pages (RFC 8866, 5.2-5.6), and without the attributes
/// that say by whom or with what it was written.
///
/// `origin` stands in for the host of `o=`; session number and version stay, since re-offers are told apart by them. Candidates (RFC 8839)
/// stay as addresses do, also those with a host's name: they may be the only way between two phones.
pub fn hide(sdp: &[u8], origin: &str) -> Vec<u8> {
    let mut hidden = Vec::with_capacity(sdp.len());
    for line in sdp.split_inclusive(|byte| *byte == b'\n') {
        let (content, ending) =
            line.split_at(line.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(line.len()));
        match content {
            [b'o', b'=', rest @ ..] => hidden.extend_from_slice(own(rest, origin).as_bytes()),
            [b's', b'=', ..] => hidden.extend_from_slice(b"s=-"),
            [b'i' | b'u' | b'e' | b'p', b'=', ..] => continue,
            _ if tells_by_whom(content) => continue,
            _ => match before_cname(content) {
                Some(before) => hidden.extend_from_slice(&[before, b"-"].concat()),
                None => hidden.extend_from_slice(content),
            },
        }
        hidden.extend_from_slice(ending);
    }
    hidden
}

/// Which program wrote it (RFC 8866, 6.4), and a proof of who did (RFC 8827, 5.1): neither is needed to be heard.
fn tells_by_whom(line: &[u8]) -> bool {
    matches!(line.split(|byte| *byte == b':').next(), Some(b"a=tool" | b"a=identity"))
}

/// `a=ssrc:ID cname:NAME` up to the name, which is often a user's at a host (RFC 5576, 6.1). Sources of one phone that had one name have
/// one all the same.
fn before_cname(line: &[u8]) -> Option<&[u8]> {
    let (source, word) = (b"a=ssrc:", b" cname:");
    let id = line.strip_prefix(source)?.iter().position(|byte| *byte == b' ')?;
    line.get(..source.len() + id + word.len()).filter(|before| before.ends_with(word))
}

fn own(rest: &[u8], origin: &str) -> String {
    let text = String::from_utf8_lossy(rest);
    let mut words = text.split_ascii_whitespace().skip(1);
    let mut number = || words.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or("0");
    let (session, version) = (number(), number());
    let family = if origin.contains(':') { "IP6" } else { "IP4" };
    format!("o=- {session} {version} IN {family} {origin}")
}

/// A session in which nobody is heard, for a phone without media: an offer, or the answer to one (RFC 3264, 6). Audio is inactive,
/// everything else is not wanted.
pub fn quiet(offer: Option<&[u8]>, address: std::net::IpAddr) -> Vec<u8> {
    let family = if address.is_ipv6() { "IP6" } else { "IP4" };
    let mut session = format!("v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n");
    let text = String::from_utf8_lossy(offer.unwrap_or(b"m=audio 9 RTP/AVP 0")).into_owned();
    for line in text.lines() {
        let Some(media) = line.strip_prefix("m=") else { continue };
        let mut words = media.split_ascii_whitespace();
        let (Some(kind), Some(_), Some(protocol), Some(format)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let audio = kind == "audio";
        session.push_str(&format!("m={kind} {} {protocol} {format}\r\n", if audio { 9 } else { 0 }));
        if audio {
            session.push_str("a=inactive\r\n");
        }
    }
    session.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_offer_keeps_its_media_and_loses_its_name() {
        let offer = "v=0\r\no=alice 53655765 2353687637 IN IP4 alice.example\r\ns=Alice's phone\r\ni=hello\r\n\
                     e=alice@example.org\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n";
        let hidden = "v=0\r\no=- 53655765 2353687637 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
                      m=audio 6000 RTP/AVP 0\r\n";
        assert_eq!(String::from_utf8(hide(offer.as_bytes(), "198.51.100.1")).expect("text"), hidden);
        assert_eq!(hide(hide(offer.as_bytes(), "198.51.100.1").as_slice(), "198.51.100.1"), hidden.as_bytes());
    }

    #[test]
    fn attributes_keep_the_media_and_lose_whose_they_are() {
        let offer = "v=0\r\na=tool:Alice's softphone 1.2\r\na=identity:eyJpZHAi\r\nm=audio 6000 RTP/AVP 0\r\n\
                     a=ssrc:314159 cname:alice@alice.example\r\na=ssrc:314159 msid:a b\r\na=ssrc:271828 cname:\r\n\
                     a=rtcp:6001 IN IP4 192.0.2.7\r\na=candidate:1 1 UDP 2130706431 192.0.2.7 6000 typ host\r\na=toolbox\r\n";
        let hidden = "v=0\r\nm=audio 6000 RTP/AVP 0\r\na=ssrc:314159 cname:-\r\na=ssrc:314159 msid:a b\r\na=ssrc:271828 cname:-\r\n\
                      a=rtcp:6001 IN IP4 192.0.2.7\r\na=candidate:1 1 UDP 2130706431 192.0.2.7 6000 typ host\r\na=toolbox\r\n";
        assert_eq!(String::from_utf8(hide(offer.as_bytes(), "::1")).expect("text"), hidden);
        assert_eq!(hide(hidden.as_bytes(), "::1"), hidden.as_bytes());
    }

    #[test]
    fn a_quiet_answer_has_the_media_of_its_offer() {
        let address = std::net::IpAddr::from([192, 0, 2, 7]);
        let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n";
        let offer = String::from_utf8(quiet(None, address)).expect("text");
        assert_eq!(offer, format!("{head}m=audio 9 RTP/AVP 0\r\na=inactive\r\n"));
        let two = b"v=0\r\nm=audio 6000 RTP/SAVP 8 0\r\nm=video 6002 RTP/AVP 31\r\nm=\r\n";
        let answer = String::from_utf8(quiet(Some(two), address)).expect("text");
        assert_eq!(answer, format!("{head}m=audio 9 RTP/SAVP 8\r\na=inactive\r\nm=video 0 RTP/AVP 31\r\n"));
    }

    proptest! {
        #[test]
        fn any_offer_has_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            quiet(Some(&bytes), std::net::Ipv6Addr::LOCALHOST.into());
        }

        #[test]
        fn any_bytes_come_out(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            hide(&bytes, "::1");
        }
    }
}

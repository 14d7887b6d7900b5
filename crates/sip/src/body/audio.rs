//! The one stream of voice in an offer or answer, where media go through the switch: its reader finds the switch's address and port, and
//! the switch learns where its writer hears, and what it understands.
//!
//! The first audio stream that is not off is relayed; each other one gets port 0, which is a refusal (RFC 3264, 5.1 and 6), since its
//! address cannot stay. What else tells an address goes: candidates of ICE, where RTCP goes, names of sources. Nothing here fails: what
//! cannot be read is passed on without an address, so that its reader judges it, and no media follow. A hold that is said by the
//! address 0.0.0.0 stays one.

use crate::media::tone::Codec;
use std::net::{IpAddr, SocketAddr};

/// What somebody says of the voice that it wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audio {
    /// Where it hears RTP and RTCP; `None`: nowhere that could be sent to.
    pub at: [Option<SocketAddr>; 2],
    /// Those that the tone is known in, the preferred one first. None where the voice is encrypted.
    pub codecs: [Option<Codec>; 2],
    /// It wants to hear: not `sendonly`, not `inactive`.
    pub listens: bool,
}

impl Audio {
    /// Whether it understands this one.
    pub(crate) fn knows(&self, codec: Codec) -> bool {
        self.codecs.contains(&Some(codec))
    }
}

/// Where in the text a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before all streams: counts for each.
    Session,
    /// The stream that is relayed.
    Relayed,
    /// One that is not.
    Other,
}

/// What lines of the session, and then of the stream, say.
struct Reader {
    relay: SocketAddr,
    section: Section,
    host: Option<IpAddr>,
    /// Of the stream that is relayed.
    port: Option<u16>,
    rtcp: Option<u16>,
    codecs: [Option<Codec>; 2],
    encrypted: bool,
    listens: bool,
}

/// The same session with its media at `relay`, and where they were.
pub(crate) fn through(sdp: &[u8], relay: SocketAddr) -> (Vec<u8>, Audio) {
    let mut reader = Reader {
        relay,
        section: Section::Session,
        host: None,
        port: None,
        rtcp: None,
        codecs: [None; 2],
        encrypted: false,
        listens: true,
    };
    let text = String::from_utf8_lossy(sdp);
    let mut written = String::with_capacity(text.len());
    for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        match line.split_at_checked(2) {
            Some(("c=", rest)) => written.push_str(&reader.connection(line, rest)),
            Some(("m=", rest)) => written.push_str(&reader.stream(line, rest)),
            Some(("a=", rest)) if !reader.attribute(rest) => continue,
            _ => written.push_str(line),
        }
        written.push_str("\r\n");
    }
    (written.into_bytes(), reader.audio())
}

impl Reader {
    /// `c=IN IP4 192.0.2.7`.
    fn connection(&mut self, line: &str, rest: &str) -> String {
        let host = host_of(rest);
        if self.section != Section::Other {
            self.host = host;
        }
        match host {
            Some(held) if held.is_unspecified() => line.to_owned(),
            _ => {
                let own = self.relay.ip();
                format!("c=IN {} {own}", if own.is_ipv6() { "IP6" } else { "IP4" })
            }
        }
    }

    /// `m=audio 6000 RTP/AVP 0 8`, with another port.
    fn stream(&mut self, line: &str, rest: &str) -> String {
        self.section = Section::Other;
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        let [kind, port, more @ ..] = words.as_slice() else { return line.to_owned() };
        let first_port = port.split('/').next().and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
        let protocol = more.first().copied().unwrap_or_default();
        let voice = *kind == "audio" && protocol.split('/').any(|part| part == "RTP") && more.len() > 1;
        let port = match first_port.filter(|_| voice && self.port.is_none()) {
            Some(port) => {
                self.section = Section::Relayed;
                (self.port, self.rtcp) = (Some(port), port.checked_add(1));
                self.encrypted |= !["RTP/AVP", "RTP/AVPF"].contains(&protocol);
                self.codecs = codecs(more);
                self.relay.port()
            }
            None => 0,
        };
        format!("m={kind} {port} {}", more.join(" ")).trim_ascii_end().to_owned()
    }

    /// Whether an attribute may be seen by the other side.
    fn attribute(&mut self, rest: &str) -> bool {
        let (name, value) = rest.split_once(':').unwrap_or((rest, ""));
        if self.section != Section::Other {
            match name.trim_end() {
                "sendrecv" | "recvonly" => self.listens = true,
                "sendonly" | "inactive" => self.listens = false,
                "crypto" | "fingerprint" | "key-mgmt" => self.encrypted = true,
                "rtcp" if self.section == Section::Relayed => {
                    let port = value.split_ascii_whitespace().next().and_then(|port| port.parse::<u16>().ok());
                    self.rtcp = port.filter(|port| *port > 0).or(self.rtcp);
                }
                _ => {}
            }
        }
        let tells = ["rtcp", "candidate", "remote-candidates", "end-of-candidates", "source-filter", "ssrc", "alt"];
        !(tells.contains(&name.trim_end()) || name.starts_with("ice-"))
    }

    fn audio(self) -> Audio {
        let host = self.host.filter(|host| is_fit(*host, self.relay.ip()));
        let at = |port: Option<u16>| Some(SocketAddr::new(host?, port?));
        Audio {
            // Without a stream there is no RTCP either.
            at: [at(self.port), at(self.rtcp)],
            codecs: if self.encrypted { [None; 2] } else { self.codecs },
            listens: self.listens,
        }
    }
}

/// The formats of a stream that the tone is known in, as it prefers them. The first word is the protocol.
fn codecs(words: &[&str]) -> [Option<Codec>; 2] {
    let mut known = words.iter().skip(1).filter_map(|format| format.parse::<u8>().ok().and_then(Codec::of));
    let first = known.next();
    [first, known.find(|codec| Some(*codec) != first)]
}

/// Whether media may be sent there from `own`. Not to this machine itself: two calls that name each other's ports would send one packet
/// round for ever, and whatever else listens here would be sent what a stranger says. Where the switch itself is found at such an
/// address, so is everybody else.
pub(crate) fn is_fit(host: IpAddr, own: IpAddr) -> bool {
    let to_all = host == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    // An IPv4 address in IPv6's clothes would pass for none of these.
    host.to_canonical() == host
        && host.is_ipv4() == own.is_ipv4()
        && !host.is_unspecified()
        && !host.is_multicast()
        && !to_all
        && !is_here(host, own)
}

/// Whether an address is this machine's, and not also everybody else's.
pub(crate) fn is_here(host: IpAddr, own: IpAddr) -> bool {
    !own.is_loopback() && (host.is_loopback() || host == own)
}

/// The host in `IN IP4 192.0.2.7`, which may have a time to live behind it; `None`: it is a name, or damaged.
fn host_of(connection: &str) -> Option<IpAddr> {
    connection.split_ascii_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RELAY: &str = "198.51.100.1:40000";
    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\n";

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// What comes of these lines, and what is learnt of them.
    fn passed(lines: &str) -> (String, Audio) {
        let (written, audio) = through(format!("{HEAD}{lines}").as_bytes(), address(RELAY));
        let written = String::from_utf8(written).expect("text");
        (written.strip_prefix(HEAD).expect("the head stays").to_owned(), audio)
    }

    fn at(rtp: &str, rtcp: &str) -> [Option<SocketAddr>; 2] {
        [Some(address(rtp)), Some(address(rtcp))]
    }

    const BOTH: [Option<Codec>; 2] = [Some(Codec::Pcma), Some(Codec::Pcmu)];

    #[test]
    fn an_offer_is_seen_at_the_switch_and_heard_at_the_phone() {
        let lines = "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-mux\r\n";
        let seen = "c=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-mux\r\n";
        let audio = Audio { at: at("192.0.2.7:6000", "192.0.2.7:6001"), codecs: BOTH, listens: true };
        assert_eq!(passed(lines), (seen.to_owned(), audio));
        assert!(audio.knows(Codec::Pcmu));
        // Seen again, it is the same; but the switch does not send to itself.
        assert_eq!(passed(seen), (seen.to_owned(), Audio { at: [None; 2], ..audio }));
    }

    #[test]
    fn one_stream_of_voice_is_relayed_and_each_other_one_refused() {
        let lines = "c=IN IP4 192.0.2.9\r\nm=audio 0 RTP/AVP 8\r\nm=video 5000 RTP/AVP 31\r\nc=IN IP4 192.0.2.8\r\na=inactive\r\n\
                     m=audio 6000/2 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\na=rtcp:7001 IN IP4 192.0.2.7\r\na=candidate:1 1 UDP 1 192.0.2.7 6000 typ host\r\n\
                     a=ice-ufrag:x\r\na=ssrc:1 cname:alice@192.0.2.7\r\na=recvonly\r\nm=audio 8000 RTP/AVP 8\r\na=sendonly\r\n";
        let seen = "c=IN IP4 198.51.100.1\r\nm=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 31\r\nc=IN IP4 198.51.100.1\r\na=inactive\r\n\
                    m=audio 40000 RTP/AVP 0\r\nc=IN IP4 198.51.100.1\r\na=recvonly\r\nm=audio 0 RTP/AVP 8\r\na=sendonly\r\n";
        let codecs = [Some(Codec::Pcmu), None];
        let audio = Audio { at: at("192.0.2.7:6000", "192.0.2.7:7001"), codecs, listens: true };
        assert_eq!(passed(lines), (seen.to_owned(), audio));
    }

    #[test]
    fn holds_stay_holds() {
        for (line, listens) in
            [("a=sendonly", false), ("a=inactive", false), ("a=recvonly", true), ("a=sendrecv", true)]
        {
            let lines = format!("c=IN IP4 192.0.2.7\r\nm=audio 6000 RTP/AVP 0\r\n{line}\r\n");
            let (seen, audio) = passed(&lines);
            assert!(seen.ends_with(&format!("{line}\r\n")));
            assert_eq!((audio.listens, audio.at), (listens, at("192.0.2.7:6000", "192.0.2.7:6001")), "{line}");
            // Said for the session, it counts as well.
            let lines = format!("{line}\r\nc=IN IP4 192.0.2.7\r\nm=audio 6000 RTP/AVP 0\r\n");
            assert_eq!(passed(&lines).1.listens, listens, "{line}");
        }
        let (seen, audio) = passed("c=IN IP4 0.0.0.0\r\nm=audio 6000 RTP/AVP 0\r\n");
        assert_eq!(seen, "c=IN IP4 0.0.0.0\r\nm=audio 40000 RTP/AVP 0\r\n");
        assert_eq!(audio.at, [None; 2]);
    }

    #[test]
    fn what_cannot_be_sent_to_is_not() {
        for (line, own) in [
            ("c=IN IP4 phone.example", RELAY),
            ("c=IN IP4 224.0.0.1/127", RELAY),
            ("c=IN IP4 224.0.0.1", RELAY),
            ("c=IN IP4 255.255.255.255", RELAY),
            ("c=IN IP4 127.0.0.1", RELAY),
            ("c=IN IP4 198.51.100.1", RELAY),
            ("c=IN IP6 2001:db8::7", RELAY),
            ("c=IN IP4 192.0.2.7", "[2001:db8::1]:40000"),
            ("c=IN IP4", RELAY),
            ("c=", RELAY),
            ("b=AS:64", RELAY),
        ] {
            let lines = format!("{line}\r\nm=audio 6000 RTP/AVP 0\r\n");
            let (written, audio) = through(lines.as_bytes(), address(own));
            assert_eq!(audio.at, [None; 2], "{line}");
            let written = String::from_utf8(written).expect("text");
            let own = address(own).ip();
            assert!(line.starts_with("b=") || written.contains(&own.to_string()), "{line}: {written}");
            assert!(written.ends_with("m=audio 40000 RTP/AVP 0\r\n"), "{line}: {written}");
        }
        // Where all are on one machine, its own address is as good as any.
        let (_, audio) = through(b"c=IN IP4 127.0.0.3\r\nm=audio 6000 RTP/AVP 0\r\n", address("127.0.0.1:40000"));
        assert_eq!(audio.at, at("127.0.0.3:6000", "127.0.0.3:6001"));
        let six = through(b"c=IN IP6 2001:db8::7\r\nm=audio 65535 RTP/AVP 0\r\n", address("[2001:db8::1]:40000"));
        assert_eq!(six.0, b"c=IN IP6 2001:db8::1\r\nm=audio 40000 RTP/AVP 0\r\n");
        assert_eq!(six.1.at, [Some(address("[2001:db8::7]:65535")), None]);
    }

    #[test]
    fn damaged_streams_have_no_port() {
        for (line, seen) in [
            ("m=audio", "m=audio"),
            ("m=", "m="),
            ("m=audio 6000", "m=audio 0"),
            ("m=audio 6000 RTP/AVP", "m=audio 0 RTP/AVP"),
            ("m=audio 99999 RTP/AVP 0", "m=audio 0 RTP/AVP 0"),
            ("m=audio x RTP/AVP 0", "m=audio 0 RTP/AVP 0"),
            ("m=audio 6000 udptl t38", "m=audio 0 udptl t38"),
            ("m=image 6000 udptl t38", "m=image 0 udptl t38"),
        ] {
            let (written, audio) = passed(&format!("c=IN IP4 192.0.2.7\n{line}\n"));
            assert_eq!(written, format!("c=IN IP4 198.51.100.1\r\n{seen}\r\n"));
            assert_eq!((audio.at, audio.codecs), ([None; 2], [None; 2]), "{line}");
        }
    }

    #[test]
    fn nothing_is_put_into_voice_that_is_encrypted_or_not_understood() {
        for (stream, codecs) in [
            ("m=audio 6000 RTP/AVP 8 0", BOTH),
            ("m=audio 6000 RTP/AVPF 8 8 0", BOTH),
            ("m=audio 6000 RTP/AVP 18 9", [None; 2]),
            ("m=audio 6000 RTP/SAVP 0", [None; 2]),
            ("m=audio 6000 UDP/TLS/RTP/SAVPF 0", [None; 2]),
            ("m=audio 6000 RTP/AVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x", [None; 2]),
            ("m=audio 6000 RTP/AVP 0\r\na=fingerprint:sha-256 00", [None; 2]),
        ] {
            let (_, audio) = passed(&format!("c=IN IP4 192.0.2.7\r\n{stream}\r\n"));
            assert_eq!(audio, Audio { at: at("192.0.2.7:6000", "192.0.2.7:6001"), codecs, listens: true }, "{stream}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_out_and_again_as_they_came(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (once, _) = through(&bytes, address(RELAY));
            prop_assert_eq!(&through(&once, address(RELAY)).0, &once);
        }

        #[test]
        fn no_lines_tell_an_address_or_a_port(
            lines in proptest::collection::vec(
                "(c=IN IP4 192\\.0\\.2\\.7|c=IN IP4 0\\.0\\.0\\.0|m=(audio|video) 6000 RTP/AVP 0|a=candidate:1 1 UDP 1 192\\.0\\.2\\.7 6000|a=rtcp:6000 IN IP4 192\\.0\\.2\\.7|a=ice-pwd:x|a=[a-z]{1,8}|[\r\n ])",
                0..12,
            )
        ) {
            let (written, audio) = through(lines.join("\n").as_bytes(), address(RELAY));
            let written = String::from_utf8_lossy(&written).into_owned();
            prop_assert!(!written.contains("192.0.2.7") && !written.contains("6000"), "{}", written);
            prop_assert!(written.matches("40000").count() <= 1);
            prop_assert!(audio.at[0].is_none() || written.contains("m=audio 40000"));
        }
    }
}

#![no_main]
//! What phones and trunks send: bodies, reasons, numbers and whole packets are refused or taken, never a panic, and what
//! is taken is written so that it reads the same.
use tegata_sip::body::{Parts, sdp};
use tegata_sip::reason::Reason;
use tegata_sip::{Number, is_fit};

const INVITE: &[u8] = b"INVITE sip:bob@town SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n\
    From: <sip:alice@town>;tag=1\r\nTo: <sip:bob@town>\r\nCall-ID: a@b\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
    Contact: <sip:alice@192.0.2.1>\r\nSession-Expires: 600;refresher=uac\r\nContent-Length: 0\r\n\r\n";
const MIXED: &[u8] = b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\n\
    Content-Type: application/tegata\r\n\r\nword\r\n--b--\r\n";

fn changed(sample: &[u8], input: &[u8]) -> Vec<u8> {
    let [high, low, out, put @ ..] = input else { return sample.to_vec() };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % sample.len();
    let end = (at + usize::from(*out)).min(sample.len());
    [&sample[..at], put, &sample[end..]].concat()
}

fn body(kind: &str, bytes: &[u8]) {
    let Ok(parts) = Parts::read(Some(kind), bytes) else { return };
    // An empty part is nothing to write.
    let empty = |part: Option<&Vec<u8>>| part.is_some_and(Vec::is_empty);
    let other = parts.other.as_ref().map(|other| &other.bytes);
    if empty(parts.sdp.as_ref()) || empty(parts.tegata.as_ref().map(|word| &word.0)) || empty(other) {
        return;
    }
    if let Some(written) = parts.write() {
        assert_eq!(Parts::read(Some(&written.kind), &written.bytes), Ok(parts));
    }
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    is_fit(input);
    is_fit(&changed(INVITE, input));
    body("multipart/mixed;boundary=b", input);
    body("multipart/mixed;boundary=b", &changed(MIXED, input));
    sdp::hide(input, "::1");
    let Ok(text) = std::str::from_utf8(input) else { return };
    body(text, MIXED);
    if let Ok(number) = Number::read(text) {
        assert_eq!(Number::read(number.as_str()), Ok(number));
    }
    if let Some(reason) = Reason::read(text) {
        assert_eq!(Reason::read(&reason.to_string()), Some(reason));
    }
});

//! What is wrong is answered with the right status and a text, over real sockets; and nothing brings the switch down.

use crate::support;
use crate::support::town::{Town, next, trunk};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tegata_sip::{Body, Command, Event};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A name, whom it calls, what is changed, and how the answer begins.
type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, &'a str);

/// A peer that writes its messages by hand.
struct Peer {
    socket: UdpSocket,
    switch: SocketAddr,
}

impl Peer {
    fn new(switch: SocketAddr) -> Self {
        Self::at(0, switch)
    }

    fn at(port: u16, switch: SocketAddr) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time-out");
        Self { socket, switch }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    fn send(&self, packet: &[u8]) {
        self.socket.send_to(packet, self.switch).expect("sent");
    }

    fn receive(&self) -> String {
        let mut packet = [0; 9000];
        let (length, _) = self.socket.recv_from(&mut packet).expect("an answer in time");
        String::from_utf8_lossy(&packet[..length]).into_owned()
    }

    /// The status line of the final answer to this message; what is said again to others is passed over.
    fn answer(&self, name: &str) -> String {
        loop {
            let message = self.receive();
            let ours = message.contains(&format!("Call-ID: {name}@peer"));
            if ours && message.starts_with("SIP/2.0 ") && !message.starts_with("SIP/2.0 1") {
                return message.lines().next().unwrap_or_default()[8..].to_owned();
            }
        }
    }

    /// An INVITE to this address, with these changes of its lines.
    fn invite(&self, to: &str, name: &str, changes: &[(&str, &str)]) -> String {
        let port = self.port();
        let mut text = format!(
            "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{name}\r\nMax-Forwards: 70\r\n\
             From: <sip:0800@127.0.0.1:{port}>;tag=t{name}\r\nTo: <{to}>\r\nCall-ID: {name}@peer\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:127.0.0.1:{port}>\r\nContent-Length: 0\r\n\r\n"
        );
        for (old, new) in changes {
            assert!(text.contains(old), "{old} is not in the message");
            text = text.replace(old, new);
        }
        text
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_answered_with_its_status() {
    let at = support::free_port();
    let (town, control) = Town::charged(false, |config| {
        config.trunks.push(trunk("peer", "07", at, false));
        config.limits.asking = Duration::from_millis(300);
    })
    .await;
    let peer = Peer::at(at, town.switch.address());
    let host = town.switch.address();
    let to = |user: &str| format!("sip:{user}@{host}");
    let body = |kind: &str, body: &str| format!("{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    let (isup, none) = (body("Content-Type: application/isup\r\n", "x"), body("", "x"));
    let mixed = body("Content-Type: multipart/mixed;boundary=x\r\n", "--x\r\n\r\nx");
    let end = "Content-Length: 0\r\n\r\n";
    let cases: &[Case] = &[
        ("hops", to("0912345"), vec![("Max-Forwards: 70", "Max-Forwards: 0")], "483"),
        ("require", to("0912345"), vec![("Contact", "Require: 100rel\r\nContact")], "420"),
        ("body", to("0912345"), vec![(end, &isup)], "415 Body type application/isup is not understood"),
        ("untyped", to("0912345"), vec![(end, &none)], "400 Body is malformed: Content-Type is missing"),
        ("mixed", to("0912345"), vec![(end, &mixed)], "400 Body is malformed: multipart without an end"),
        ("zipped", to("0912345"), vec![("Contact", "Content-Encoding: gzip\r\nContact")], "415"),
        ("timer", to("0912345"), vec![("Contact", "Supported: timer\r\nSession-Expires: 30\r\nContact")], "422"),
        ("contact", to("0912345"), vec![("Contact", "X-Contact")], "400 Bad Request: Contact is missing"),
        ("nobody", format!("sip:{host}"), vec![], "484 Address incomplete"),
        ("name", to("a%20b"), vec![], "404 No such number"),
        ("scheme", "sips:0912345@127.0.0.1".to_owned(), vec![], "416"),
        ("tag", to("0912345"), vec![(";tag=ttag", "")], "400 Bad Request: From has no tag"),
        ("length", to("0912345"), vec![(end, "Content-Length: 9\r\n\r\n")], "400 Bad Request: Content-Length"),
        ("dialog", to("0912345"), vec![(">\r\nCall-ID", ">;tag=old\r\nCall-ID")], "481"),
        ("method", to("0912345"), vec![("INVITE", "JUMP")], "501 Not Implemented"),
        ("version", to("0912345"), vec![(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia")], "505"),
        ("subscribe", to("0912345"), vec![("INVITE", "SUBSCRIBE")], "405"),
        ("bye", to("0912345"), vec![("INVITE", "BYE")], "481"),
        ("nowhere", to("0912345"), vec![], "503 Charging does not answer"),
    ];
    for (name, to, changes, expected) in cases {
        eprintln!("{name}");
        peer.send(peer.invite(to, name, changes).as_bytes());
        let answer = peer.answer(name);
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }

    // Charging lets through what leads nowhere, or is too short.
    tokio::spawn(tegata_sip::policy::free_calls(control));
    for (name, number, expected) in [("unknown", "1234567", "404"), ("short", "091", "484"), ("dead", "0912345", "408")]
    {
        let begun = Instant::now();
        if name == "dead" {
            // Nobody is there: 32 seconds of waiting are not for a test, and the caller does not wait either.
            peer.send(peer.invite(&to(number), name, &[]).as_bytes());
            let cancel = peer.invite(&to(number), name, &[("INVITE", "CANCEL")]);
            while !peer.receive().starts_with("SIP/2.0 100") {}
            peer.send(cancel.as_bytes());
            let answers = [peer.answer(name), peer.answer(name)];
            assert!(answers.iter().any(|answer| answer.starts_with("487")), "{answers:?}");
            assert!(begun.elapsed() < Duration::from_secs(5));
            continue;
        }
        peer.send(peer.invite(&to(number), name, &[]).as_bytes());
        let answer = peer.answer(name);
        assert!(answer.starts_with(expected), "{name}: {answer}");
    }

    // Somebody who is neither trunk nor phone.
    let stranger = Peer::new(host);
    stranger.send(stranger.invite(&to("0912345"), "stranger", &[]).as_bytes());
    assert!(stranger.answer("stranger").starts_with("407"));
    stranger.send(stranger.invite(&to("x"), "options", &[("INVITE", "OPTIONS")]).as_bytes());
    assert!(stranger.answer("options").starts_with("200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_call_on_another_way_is_a_loop() {
    let port = support::free_port();
    let (town, mut control) = Town::charged(false, |config| config.trunks.push(trunk("peer", "07", port, false))).await;
    let peer = Peer::at(port, town.switch.address());
    let to = format!("sip:0912345@{}", town.switch.address());
    peer.send(peer.invite(&to, "one", &[]).as_bytes());
    let Event::Asked { call, .. } = next(&mut control).await else { panic!("asked") };
    peer.send(peer.invite(&to, "one", &[("branch=z9hG4bKone", "branch=z9hG4bKtwo")]).as_bytes());
    assert!(peer.answer("one").starts_with("482"));

    // A word before the answer is said again until the caller says something.
    control.commands.send(Command::Tell { call, body: Body(b"tariff".to_vec()) }).expect("the switch runs");
    let mut told: Vec<String> = Vec::new();
    while told.len() < 3 {
        told.push(peer.receive());
        told.retain(|message| message.starts_with("SIP/2.0 183"));
    }
    let line = told[0].lines().find(|line| line.starts_with("To:")).expect("a To").to_owned();
    let info = peer.invite(
        &to,
        "one",
        &[("INVITE", "INFO"), ("CSeq: 1", "CSeq: 2"), ("branch=z9hG4bKone", "branch=z9hG4bKi")],
    );
    let old = info.lines().find(|line| line.starts_with("To:")).expect("a To").to_owned();
    let info =
        info.replace(&old, &line).replace("Content-Length: 0", "Content-Type: application/tegata\r\nContent-Length: 1")
            + "x";
    peer.send(info.as_bytes());
    // The 482 is said again meanwhile.
    while !peer.answer("one").starts_with("200") {}
    assert!(matches!(next(&mut control).await, Event::Body { body, .. } if body.0 == b"x"));
    peer.socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a time-out");
    let mut more = [0; 9000];
    let until = Instant::now() + Duration::from_secs(3);
    while let (true, Ok((length, _))) = (Instant::now() < until, peer.socket.recv_from(&mut more)) {
        assert!(!more[..length].starts_with(b"SIP/2.0 183"), "the 183 is said again although it was heard");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_does_not_bring_the_switch_down() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let (town, _control) = Town::charged(false, |_| {}).await;
    let peer = Peer::new(town.switch.address());
    let good = peer.invite("sip:0912345@127.0.0.1", "seed", &[]) + "trailing";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut draw = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % most
    };
    let mut stream = tokio::net::TcpStream::connect(town.switch.address()).await.expect("TCP");
    for round in 0..20_000 {
        let mut packet = good.clone().into_bytes();
        for _ in 0..=draw(6) {
            let at = draw(packet.len());
            match draw(4) {
                0 => packet[at] = u8::try_from(draw(256)).unwrap_or_default(),
                1 => packet.truncate(at.max(1)),
                2 => packet.insert(at, b"\r\n:;,<>\"=@ "[draw(11)]),
                _ => {
                    let end = (at + draw(40)).min(packet.len());
                    let copied = packet[at..end].to_vec();
                    packet.splice(at..at, copied);
                }
            }
        }
        peer.send(&packet);
        if round % 20 == 0 && stream.write_all(&packet).await.is_err() {
            stream = tokio::net::TcpStream::connect(town.switch.address()).await.expect("TCP");
        }
        if round % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // A length that no buffer has, and headers without an end.
    for nonsense in
        ["OPTIONS sip:x SIP/2.0\r\nContent-Length: 18446744073709551615\r\n\r\n".to_owned(), "A".repeat(200_000)]
    {
        let mut stream = tokio::net::TcpStream::connect(town.switch.address()).await.expect("TCP");
        let _ = stream.write_all(nonsense.as_bytes()).await;
        let _ = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut [0; 100])).await;
    }
    let alive = Peer::new(town.switch.address());
    let options = alive.invite("sip:127.0.0.1", "alive", &[("INVITE", "OPTIONS")]);
    alive.send(options.as_bytes());
    assert!(alive.answer("alive").starts_with("200"));
    let mut stream = tokio::net::TcpStream::connect(town.switch.address()).await.expect("TCP");
    let options = options.replace("UDP", "TCP").replace("z9hG4bKalive", "z9hG4bKtcp");
    stream.write_all(options.as_bytes()).await.expect("sent");
    let mut answer = [0; 2000];
    let length = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    assert!(length.is_ok_and(|length| length.is_ok_and(|length| answer[..length].starts_with(b"SIP/2.0 200"))));
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
}

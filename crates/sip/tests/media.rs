//! Media through the switch: what one side sends the other one hears from the switch's own ports, the caller hears the warning, and
//! nothing stays open afterwards.

use crate::support::town::{OnePhone, Town, next, trunk};
use crate::support::{Sipp, Start, free_port, sipp_is_missing};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tegata_sip::reason::Reason;
use tegata_sip::{Announcement, By, CallId, Command, Config, Control, Event, Shown, StartError, Switch};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Head of an RTP packet, and what is said in 20 ms.
const HEAD: usize = 12;
const SAMPLES: usize = 160;
/// What people say: no sample of the tone's silence.
const SPOKEN: u8 = 0x55;
/// Samples of the whole warning, and of each of its five parts: beep, silence, beep, silence, beep.
const WARNING: usize = 4_800;
const PART: usize = WARNING / 5;
/// Sources of the two voices.
const OF_CALLER: u32 = 8;
const OF_CALLEE: u32 = 7;

/// A phone's socket for voice, at an address that its SIP does not come from, and its port.
async fn voice(host: u8) -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, host), 0)).await.expect("a port");
    let port = socket.local_addr().expect("bound").port();
    (socket, port)
}

/// A packet of PCMU.
fn packet(source: u32, number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend([SPOKEN; SAMPLES]);
    packet
}

fn number_of(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

fn source_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]])
}

fn is_speech(packet: &[u8]) -> bool {
    packet[HEAD..] == [SPOKEN; SAMPLES]
}

/// The next packet, if one comes in time.
async fn heard(socket: &UdpSocket, longest: Duration) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 2_048];
    let (length, from) = timeout(longest, socket.recv_from(&mut buffer)).await.ok()?.ok()?;
    Some((buffer[..length].to_vec(), from))
}

/// All that has come until now.
fn all_heard(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let mut packets = Vec::new();
    while let Ok((length, _)) = socket.try_recv_from(&mut buffer) {
        packets.push(buffer[..length].to_vec());
    }
    packets
}

/// Three beeps of 1,400 Hz. In PCMU the highest bit is the sign.
fn is_warning(samples: &[u8]) {
    assert_eq!(samples.len(), WARNING);
    for (part, samples) in samples.chunks(PART).enumerate() {
        let crossings = samples.windows(2).filter(|pair| (pair[0] ^ pair[1]) & 0x80 != 0).count();
        let expected = if part.is_multiple_of(2) { 335..=337 } else { 0..=0 };
        assert!(expected.contains(&crossings), "part {part}: {crossings} crossings");
    }
}

/// The port that the other side's SDP named to this one, by what it wrote down.
async fn named_to(sipp: &Sipp, own: u16) -> u16 {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let text = std::fs::read_to_string(sipp.file("messages")).unwrap_or_default();
        let mut ports =
            text.lines().filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse::<u16>().ok());
        if let Some(port) = ports.rfind(|port| *port != own) {
            return port;
        }
        assert!(Instant::now() < until, "no other port\n{}", sipp.story());
        sleep(Duration::from_millis(20)).await;
    }
}

/// A call through a relay, answered.
struct Connected {
    town: Town,
    control: Control,
    call: CallId,
    caller: Sipp,
    callee: Sipp,
    caller_voice: UdpSocket,
    callee_voice: UdpSocket,
    /// Where the caller hears the switch, and where the callee does.
    at_caller: SocketAddr,
    at_callee: SocketAddr,
}

impl Connected {
    /// A caller and a callee, each of which says where it hears and sees the switch alone.
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::placed("127.0.0.3", voice(3).await, change).await
    }

    /// The same; the caller hears with this voice, and calls its place so.
    async fn placed(
        place: &str,
        (caller_voice, caller_port): (UdpSocket, u16),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (town, mut control) = Town::charged(false, |config| {
            config.relay = Some(HERE);
            change(config);
        })
        .await;
        let (callee_voice, callee_port) = voice(4).await;
        let (caller_key, callee_key) = (caller_port.to_string(), callee_port.to_string());
        let callee = town.callee("callee_relayed", 1, &["-key", "voice", &callee_key]);
        let caller = town.caller("caller_relayed", 1, &["-key", "voice", &caller_key, "-key", "place", place]);
        let Event::Asked { call, called, route, .. } = next(&mut control).await else { panic!("asked") };
        assert_eq!(town.switch.sizes().relays, 0, "nobody rings yet");
        let proceed = Command::Proceed { call, to: called, route, shown_as: Shown::Anonymous };
        control.commands.send(proceed).expect("the switch runs");
        while !matches!(next(&mut control).await, Event::Answered { .. }) {}
        assert_eq!(town.switch.sizes().relays, 1);
        let at_caller = SocketAddr::new(HERE, named_to(&caller, caller_port).await);
        let at_callee = SocketAddr::new(HERE, named_to(&callee, callee_port).await);
        Self { town, control, call, caller, callee, caller_voice, callee_voice, at_caller, at_callee }
    }

    fn warn(&self, left: Duration) {
        let warn = Command::Warn { call: self.call, left, body: None };
        self.control.commands.send(warn).expect("the switch runs");
    }

    async fn hang_up(&mut self) {
        let reason = Reason::new(402, "Paid time is over");
        let hang_up = Command::HangUp { call: self.call, reason, body: None };
        self.control.commands.send(hang_up).expect("the switch runs");
        loop {
            if let Event::Ended { by, .. } = next(&mut self.control).await {
                assert_eq!(by, By::Control);
                break;
            }
        }
    }

    /// Both phones are content, and nothing is left.
    async fn ends(self) {
        self.caller.succeeds().await;
        self.callee.succeeds().await;
        self.town.is_empty(Duration::from_secs(5)).await;
        for at in [self.at_caller, self.at_callee] {
            for port in [at.port(), at.port() + 1] {
                std::net::UdpSocket::bind((HERE, port)).expect("nobody has it any more");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voices_pass_through_the_switch_and_the_caller_hears_the_warning() {
    if sipp_is_missing() {
        return;
    }
    let mut connected = Connected::with(|_| {}).await;
    let Connected { caller_voice, callee_voice, at_caller, at_callee, .. } = &connected;
    let (at_caller, at_callee) = (*at_caller, *at_callee);

    // Each side hears the other one from where it sends to.
    let second = Duration::from_secs(1);
    callee_voice.send_to(&packet(OF_CALLEE, 1), at_callee).await.expect("sent");
    assert_eq!(heard(caller_voice, second).await, Some((packet(OF_CALLEE, 1), at_caller)));
    caller_voice.send_to(&packet(OF_CALLER, 1), at_caller).await.expect("sent");
    assert_eq!(heard(callee_voice, second).await, Some((packet(OF_CALLER, 1), at_callee)));

    // Neither a stranger is heard, nor another port of a phone that was heard before.
    for (stranger, _) in [voice(5).await, voice(3).await] {
        stranger.send_to(&packet(9, 1), at_caller).await.expect("sent");
        assert_eq!(heard(callee_voice, Duration::from_millis(200)).await, None);
    }

    // The warning stands in what the callee says.
    connected.warn(Duration::from_secs(10));
    let (mut to_caller, mut to_callee) = (Vec::new(), Vec::new());
    for number in 2..80 {
        callee_voice.send_to(&packet(OF_CALLEE, number), at_callee).await.expect("sent");
        caller_voice.send_to(&packet(OF_CALLER, number), at_caller).await.expect("sent");
        sleep(Duration::from_millis(20)).await;
        to_caller.extend(all_heard(caller_voice));
        to_callee.extend(all_heard(callee_voice));
    }
    sleep(Duration::from_millis(200)).await;
    to_caller.extend(all_heard(caller_voice));
    to_callee.extend(all_heard(callee_voice));
    let warning: Vec<u8> =
        to_caller.iter().filter(|packet| !is_speech(packet)).flat_map(|packet| &packet[HEAD..]).copied().collect();
    is_warning(&warning);
    // Where this machine was busy and nobody spoke for a moment, there are packets of the switch among them.
    for heard in to_caller.iter().filter(|packet| source_of(packet) == OF_CALLEE) {
        assert_eq!(heard[..HEAD], packet(OF_CALLEE, number_of(heard))[..HEAD], "number, time and source stay");
    }
    assert!(to_caller.iter().filter(|packet| is_speech(packet)).count() > 20, "speech goes on afterwards");
    assert!(to_callee.iter().all(|packet| is_speech(packet)), "who does not pay is not disturbed");
    assert!(to_callee.len() > 70, "{} packets", to_callee.len());

    // Where nobody speaks, it is a stream of its own.
    connected.warn(Duration::from_millis(900));
    let (mut warning, mut last): (Vec<u8>, Option<(u16, u32)>) = (Vec::new(), None);
    while warning.len() < WARNING {
        let (packet, from) = heard(caller_voice, second).await.expect("the tone");
        assert_eq!((packet.len(), from), (HEAD + SAMPLES, at_caller));
        let (number, source) = (number_of(&packet), source_of(&packet));
        assert!(
            last.is_none_or(|last| last == (number.wrapping_sub(1), source)),
            "{last:?}, then {number} of {source}"
        );
        last = Some((number, source));
        warning.extend(&packet[HEAD..]);
    }
    is_warning(&warning);
    assert_eq!(heard(caller_voice, Duration::from_millis(200)).await, None);
    assert_eq!(all_heard(callee_voice), Vec::<Vec<u8>>::new());

    connected.hang_up().await;
    connected.ends().await;
}

/// What is said in the test, of mu-law: no sample of speech, and none of silence.
fn spoken(at: usize) -> u8 {
    0x20 + u8::try_from(at % 32).expect("little")
}

/// A WAV file of mu-law.
fn wav(samples: &[u8]) -> Vec<u8> {
    let length = u32::try_from(samples.len()).expect("short").to_le_bytes();
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0".to_vec();
    file.extend(8_000_u32.to_le_bytes());
    file.extend(8_000_u32.to_le_bytes());
    file.extend(b"\x01\0\x08\0data");
    file.extend(length);
    file.extend(samples);
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_alone_hears_the_announcement_and_nobody_after_the_end() {
    if sipp_is_missing() {
        return;
    }
    // A second.
    let said: Vec<u8> = (0..8_000).map(spoken).collect();
    let announcement = Announcement::read(&wav(&said)).expect("a file that is whole");
    let mut connected = Connected::with(|config| config.announcement = Some(announcement)).await;
    let Connected { caller_voice, callee_voice, at_caller, at_callee, .. } = &connected;
    caller_voice.send_to(&packet(OF_CALLER, 1), *at_caller).await.expect("sent");
    assert!(heard(callee_voice, Duration::from_secs(1)).await.is_some());

    // It stands in what the callee says, after the beeps and a tenth of a second.
    connected.warn(Duration::from_secs(10));
    let mut to_caller = Vec::new();
    for number in 1..120 {
        callee_voice.send_to(&packet(OF_CALLEE, number), *at_callee).await.expect("sent");
        sleep(Duration::from_millis(20)).await;
        to_caller.extend(all_heard(caller_voice));
    }
    sleep(Duration::from_millis(200)).await;
    to_caller.extend(all_heard(caller_voice));
    let played: Vec<u8> =
        to_caller.iter().filter(|packet| !is_speech(packet)).flat_map(|packet| &packet[HEAD..]).copied().collect();
    is_warning(&played[..WARNING]);
    assert_eq!(played[WARNING..WARNING + 800], [0xff; 800], "silence");
    assert_eq!(played[WARNING + 800..], said);
    assert!(to_caller.iter().filter(|packet| is_speech(packet)).count() > 5, "speech goes on afterwards");
    assert_eq!(all_heard(callee_voice), Vec::<Vec<u8>>::new(), "who does not pay is not disturbed");

    // Where the call ends meanwhile, it ends.
    connected.warn(Duration::from_millis(900));
    let mut played = Vec::new();
    while played.len() < WARNING + 1_600 {
        played.extend_from_slice(&heard(caller_voice, Duration::from_secs(1)).await.expect("the warning").0[HEAD..]);
    }
    assert_eq!(played[WARNING + 800..WARNING + 1_600], said[..800]);
    connected.hang_up().await;
    connected.town.is_empty(Duration::from_secs(5)).await;
    let after: usize = all_heard(&connected.caller_voice).iter().map(|packet| packet.len() - HEAD).sum();
    assert!(played.len() + after < WARNING + 800 + said.len(), "it was not said to its end");
    assert_eq!(heard(&connected.caller_voice, Duration::from_millis(200)).await, None);
    assert_eq!(all_heard(&connected.callee_voice), Vec::<Vec<u8>>::new());
    connected.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_behind_a_translator_is_heard_from_where_its_sip_comes() {
    if sipp_is_missing() {
        return;
    }
    // What the translator makes of 192.168.7.7, and of that phone's port: its SIP comes from 127.0.0.1.
    let outside = UdpSocket::bind((HERE, 0)).await.expect("a port");
    let mut connected = Connected::placed("192.168.7.7", (outside, 6_000), |_| {}).await;
    let Connected { caller_voice, callee_voice, at_caller, at_callee, .. } = &connected;
    let second = Duration::from_secs(1);
    let (stranger, _) = voice(5).await;
    stranger.send_to(&packet(9, 1), *at_caller).await.expect("sent");
    assert_eq!(heard(callee_voice, Duration::from_millis(200)).await, None, "a stranger");
    caller_voice.send_to(&packet(OF_CALLER, 1), *at_caller).await.expect("sent");
    assert_eq!(heard(callee_voice, second).await, Some((packet(OF_CALLER, 1), *at_callee)));
    callee_voice.send_to(&packet(OF_CALLEE, 1), *at_callee).await.expect("sent");
    assert_eq!(heard(caller_voice, second).await, Some((packet(OF_CALLEE, 1), *at_caller)));

    // Its scenario waits for both warnings.
    connected.warn(Duration::from_secs(10));
    connected.warn(Duration::from_secs(1));
    assert!(heard(caller_voice, second).await.is_some(), "it hears the tone, too");
    sleep(Duration::from_millis(300)).await;
    connected.hang_up().await;
    connected.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_through_a_relay_as_they_go_without() {
    if sipp_is_missing() {
        return;
    }
    let town = Town::free(false, |config| config.relay = Some(HERE)).await;
    for (caller, callee) in [
        ("caller", "callee"),
        ("caller_busy", "callee_busy"),
        ("caller_cancels", "callee_rings"),
        ("caller_early", "callee_early"),
        ("caller_reinvites", "callee_reinvited"),
        ("caller_late", "callee_late"),
    ] {
        eprintln!("{caller} calls {callee}");
        town.call(caller, callee).await;
    }
}

/// The ports of voice in all that it has sent and heard.
fn ports_in(sipp: &Sipp) -> BTreeSet<u16> {
    let text = std::fs::read_to_string(sipp.file("messages")).expect("its messages");
    text.lines().filter_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok()).collect()
}

/// Lets the next call proceed, and waits until it is answered.
async fn answered(control: &mut Control) {
    loop {
        match next(control).await {
            Event::Asked { call, called, route, .. } => {
                let proceed = Command::Proceed { call, to: called, route, shown_as: Shown::Anonymous };
                control.commands.send(proceed).expect("the switch runs");
            }
            Event::Answered { .. } => return,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_what_can_be_relayed_go_from_end_to_end() {
    if sipp_is_missing() {
        return;
    }
    let (town, mut control) = Town::charged(false, |config| {
        (config.relay, config.relay_all, config.most_relayed) = (Some(HERE), false, Some(2));
    })
    .await;
    assert_eq!(town.switch.most_relayed(), 2);
    let callee = town.callee("callee", 3, &["-mp", "17000"]);
    let caller = town.caller("caller", 3, &["-mp", "18000", "-r", "10", "-d", "3000"]);
    for _ in 0..3 {
        answered(&mut control).await;
    }
    let sizes = town.switch.sizes();
    assert_eq!((sizes.calls, sizes.relays), (3, 2), "the third one goes without");
    let (caller, callee) = (caller.watch(|| {}).await, callee.watch(|| {}).await);
    // Each side has its own port and one of the switch for each relayed call; in the third call each sees the other's.
    let (at_caller, at_callee) = (ports_in(&caller), ports_in(&callee));
    let own: BTreeSet<u16> = at_caller.intersection(&at_callee).copied().collect();
    assert_eq!((own.len(), at_caller.len(), at_callee.len()), (2, 4, 4), "{at_caller:?} {at_callee:?}");
    town.is_empty(Duration::from_secs(5)).await;
    // There is room again.
    let callee = town.callee("callee", 1, &[]);
    let caller = town.caller("caller", 1, &["-d", "1000"]);
    answered(&mut control).await;
    assert_eq!(town.switch.sizes().relays, 1);
    caller.succeeds().await;
    callee.succeeds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_what_can_be_relayed_are_refused_where_all_are_to_be() {
    if sipp_is_missing() {
        return;
    }
    let others = free_port();
    let (town, mut control) = Town::charged(false, |config| {
        (config.relay, config.most_relayed) = (Some(HERE), Some(1));
        config.trunks.push(trunk("others", "07", others, false));
    })
    .await;
    let callee = town.callee("callee", 1, &[]);
    let caller = town.caller("caller", 1, &["-d", "5000"]);
    answered(&mut control).await;
    let to = Some((town.switch.address(), "0912345"));
    let refused = Start { scenario: "caller_no_line", port: others, to, ..Start::default() }.run();
    let by = loop {
        match next(&mut control).await {
            Event::Asked { call, called, route, .. } => {
                let proceed = Command::Proceed { call, to: called, route, shown_as: Shown::Anonymous };
                control.commands.send(proceed).expect("the switch runs");
            }
            Event::Ended { by, .. } => break by,
            _ => {}
        }
    };
    assert_eq!(by, By::Switch("no ports for media"));
    refused.succeeds().await;
    assert_eq!(town.switch.sizes().relays, 1, "the first one goes on");
    caller.succeeds().await;
    callee.succeeds().await;
}

/// An address of this machine that others can send to; `None`: it has none but the loopback's.
fn outer() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nothing is sent: the system says from where it would be.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    socket.local_addr().ok().map(|at| at.ip()).filter(|own| !own.is_loopback())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_on_the_switchs_own_machine_is_heard_from_end_to_end() {
    if sipp_is_missing() {
        return;
    }
    let Some(own) = outer() else {
        eprintln!("SKIPPED: this machine has no address but the loopback's");
        return;
    };
    for (relay_all, relays) in [(false, 0), (true, 1)] {
        let (town, mut control) =
            Town::charged(false, |config| (config.relay, config.relay_all) = (Some(own), relay_all)).await;
        let callee = town.callee("callee", 1, &["-mp", "17000"]);
        let caller = town.caller("caller", 1, &["-mp", "18000", "-d", "1000"]);
        answered(&mut control).await;
        assert_eq!(town.switch.sizes().relays, relays);
        let (caller, callee) = (caller.watch(|| {}).await, callee.watch(|| {}).await);
        let (at_caller, at_callee) = (ports_in(&caller), ports_in(&callee));
        assert_eq!(at_caller == at_callee, relays == 0, "each sees the other: {at_caller:?} {at_callee:?}");
        town.is_empty(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn media_are_relayed_at_an_address_of_this_machine_only() {
    for nowhere in ["0.0.0.0", "192.0.2.1"] {
        let mut config = Config::new(SocketAddr::new(HERE, 0), "town");
        config.relay = Some(nowhere.parse().expect("an address"));
        let refused = Switch::start(config, OnePhone).await;
        assert!(matches!(refused, Err(StartError::Relay(..))), "{nowhere}");
    }
}

//! Two phones and a switch between them, over loopback: what each is told, in which order.

use crate::support::town::next;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tegata_sip::config::Transport;
use tegata_sip::phones::digest::secret;
use tegata_sip::reason::Reason;
use tegata_sip::{
    Algorithm, Body, By, CallId, Caller, Command, Config, Control, Event, Line, Number, Passwords, Phone, PhoneCommand,
    PhoneConfig, PhoneEvent, Route, Shown, Side, Switch,
};

/// Everybody's password is the number, backwards.
struct Everybody;

impl Passwords for Everybody {
    fn secret(&self, name: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        Some(secret(name, realm, &password(name), algorithm))
    }
}

fn password(name: &str) -> String {
    name.chars().rev().collect()
}

fn number(text: &str) -> Number {
    Number::read(text).expect("a number")
}

fn word(text: &str) -> Body {
    Body(text.as_bytes().to_vec())
}

async fn switch(change: impl FnOnce(&mut Config)) -> (Switch, Control) {
    let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), "town");
    change(&mut config);
    Switch::start(config, Everybody).await.expect("the switch starts")
}

async fn free(change: impl FnOnce(&mut Config)) -> Switch {
    let (switch, control) = switch(change).await;
    tokio::spawn(tegata_sip::policy::free_calls(control));
    switch
}

/// A phone and its line.
struct One {
    phone: Phone,
    line: Line,
}

impl One {
    async fn start(switch: &Switch, name: &str, change: impl FnOnce(&mut PhoneConfig)) -> Self {
        let mut config = PhoneConfig::new(switch.address(), number(name), &password(name));
        change(&mut config);
        let (phone, line) = Phone::start(config).await.expect("the phone starts");
        Self { phone, line }
    }
    async fn registered(switch: &Switch, name: &str) -> Self {
        let mut one = Self::start(switch, name, |_| {}).await;
        assert!(matches!(one.next().await, PhoneEvent::Registered(_)));
        one
    }
    async fn next(&mut self) -> PhoneEvent {
        let event = tokio::time::timeout(Duration::from_secs(20), self.line.events.recv()).await;
        event.expect("an event in time").expect("the phone runs")
    }
    fn does(&self, command: PhoneCommand) {
        self.line.commands.send(command).expect("the phone runs");
    }
    async fn dials(&mut self, to: &str, body: Option<Body>) -> CallId {
        self.does(PhoneCommand::Dial { to: number(to), body });
        match self.next().await {
            PhoneEvent::Dialled { call, .. } => call,
            other => panic!("{other:?}"),
        }
    }
    async fn rings(&mut self) -> (CallId, Option<Number>) {
        match self.next().await {
            PhoneEvent::Incoming { call, from } => (call, from),
            other => panic!("{other:?}"),
        }
    }
    async fn hears(&mut self, event: PhoneEvent) {
        assert_eq!(self.next().await, event);
    }
    async fn ends(&mut self, cause: u16, text: &str) {
        match self.next().await {
            PhoneEvent::Ended { reason, .. } => assert_eq!(reason, Reason::new(cause, text)),
            other => panic!("{other:?}"),
        }
    }
}

async fn is_empty(switch: &Switch) {
    let until = Instant::now() + Duration::from_secs(10);
    while switch.sizes().calls + switch.sizes().legs > 0 {
        assert!(Instant::now() < until, "something is left: {:?}", switch.sizes());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn talk(transport: Transport, digest: Algorithm) {
    let switch = free(|config| config.digests = vec![digest]).await;
    let over = |config: &mut PhoneConfig| config.transport = transport;
    let mut alice = One::start(&switch, "0300", over).await;
    assert!(matches!(alice.next().await, PhoneEvent::Registered(_)));
    let mut bob = One::start(&switch, "+49 30 5", over).await;
    // Not with this password: it is of another spelling.
    assert!(matches!(bob.next().await, PhoneEvent::NotRegistered(Reason { cause: 403, .. })));
    bob.phone.stop().await;
    let mut bob = One::start(&switch, "0301", over).await;
    assert!(matches!(bob.next().await, PhoneEvent::Registered(_)));

    let call = alice.dials("0301", None).await;
    let (rung, from) = bob.rings().await;
    assert_eq!(from, Some(number("0300")));
    alice.hears(PhoneEvent::Ringing { call }).await;
    bob.does(PhoneCommand::Answer { call: rung });
    bob.hears(PhoneEvent::Answered { call: rung }).await;
    alice.hears(PhoneEvent::Answered { call }).await;
    alice.does(PhoneCommand::HangUp { call, body: None });
    alice.ends(200, "Hung up").await;
    bob.ends(200, "The other side hung up").await;

    // The other way round, and the callee hangs up.
    let call = bob.dials("0300", None).await;
    let (rung, _) = alice.rings().await;
    alice.does(PhoneCommand::Answer { call: rung });
    alice.hears(PhoneEvent::Answered { call: rung }).await;
    bob.hears(PhoneEvent::Ringing { call }).await;
    bob.hears(PhoneEvent::Answered { call }).await;
    alice.does(PhoneCommand::HangUp { call: rung, body: None });
    alice.ends(200, "Hung up").await;
    bob.ends(200, "The call has ended").await;
    is_empty(&switch).await;

    assert_eq!(switch.sizes().phones, 2);
    alice.phone.stop().await;
    assert_eq!(switch.sizes().phones, 1, "a phone that is stopped is not there any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_phones_talk_over_datagrams() {
    talk(Transport::Udp, Algorithm::Sha256).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_phones_talk_over_streams() {
    talk(Transport::Tcp, Algorithm::Md5).await;
}

async fn said(control: &mut Control) -> Body {
    match next(control).await {
        Event::Body { from: Side::Caller, body, .. } => body,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_paid_warned_and_cut_off_with_a_receipt() {
    let (switch, mut control) = switch(|_| {}).await;
    let mut alice = One::registered(&switch, "0300").await;
    let mut bob = One::registered(&switch, "0301").await;
    let call = alice.dials("0301", Some(word("offer"))).await;
    let Event::Asked { call: asked, caller, body, .. } = next(&mut control).await else { panic!("asked") };
    assert_eq!((caller, body), (Caller::Phone(number("0300")), Some(word("offer"))));
    let commands = control.commands.clone();
    let command = |command| commands.send(command).expect("the switch runs");

    // Said again until the caller speaks, and told once.
    command(Command::Tell { call: asked, body: word("tariff") });
    alice.hears(PhoneEvent::Word { call, body: word("tariff") }).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    alice.does(PhoneCommand::Say { call, body: word("check one") });
    alice.does(PhoneCommand::Say { call, body: word("and more") });
    assert_eq!(said(&mut control).await, word("check one"));
    assert_eq!(said(&mut control).await, word("and more"));
    command(Command::Proceed {
        call: asked,
        to: number("0301"),
        route: Route::Phone { contacts: 1 },
        shown_as: Shown::Anonymous,
    });
    let (rung, from) = bob.rings().await;
    assert_eq!(from, None);
    alice.hears(PhoneEvent::Ringing { call }).await;
    assert!(matches!(next(&mut control).await, Event::Ringing { .. }));
    bob.does(PhoneCommand::Answer { call: rung });
    assert!(matches!(next(&mut control).await, Event::Answered { .. }));
    alice.hears(PhoneEvent::Answered { call }).await;
    for turn in 0..20 {
        command(Command::Tell { call: asked, body: word(&format!("ask {turn}")) });
    }
    for turn in 0..20 {
        alice.hears(PhoneEvent::Word { call, body: word(&format!("ask {turn}")) }).await;
        alice.does(PhoneCommand::Say { call, body: word(&format!("check {turn}")) });
    }
    for turn in 0..20 {
        assert_eq!(said(&mut control).await, word(&format!("check {turn}")));
    }
    command(Command::Warn { call: asked, left: Duration::from_secs(10), body: Some(word("warned")) });
    alice.hears(PhoneEvent::Word { call, body: word("warned") }).await;
    alice.hears(PhoneEvent::Text { call, text: "Paid time ends in 10 seconds.".into() }).await;
    let reason = Reason::new(402, "What was paid for is over");
    command(Command::HangUp { call: asked, reason, body: Some(word("receipt")) });
    alice.hears(PhoneEvent::Word { call, body: word("receipt") }).await;
    alice.ends(402, "What was paid for is over").await;
    bob.hears(PhoneEvent::Answered { call: rung }).await;
    bob.ends(200, "The call has ended").await;
    is_empty(&switch).await;
}

/// A charged call of two phones, answered; both lines, and its name at the switch.
async fn charged(switch: &Switch, control: &mut Control) -> (One, One, CallId, CallId) {
    let (mut alice, mut bob) = (One::registered(switch, "0300").await, One::registered(switch, "0301").await);
    let call = alice.dials("0301", Some(word("offer"))).await;
    let Event::Asked { call: asked, called, route, .. } = next(control).await else { panic!("asked") };
    let proceed = Command::Proceed { call: asked, to: called, route, shown_as: Shown::Anonymous };
    control.commands.send(proceed).expect("the switch runs");
    let (rung, _) = bob.rings().await;
    bob.does(PhoneCommand::Answer { call: rung });
    bob.hears(PhoneEvent::Answered { call: rung }).await;
    alice.hears(PhoneEvent::Ringing { call }).await;
    alice.hears(PhoneEvent::Answered { call }).await;
    while !matches!(next(control).await, Event::Answered { .. }) {}
    (alice, bob, rung, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callee_that_hangs_up_leaves_charging_a_moment_for_the_receipt() {
    let (switch, mut control) = switch(|_| {}).await;
    let (mut alice, mut bob, rung, asked) = charged(&switch, &mut control).await;
    // A word is still under way: the receipt comes after it.
    control.commands.send(Command::Tell { call: asked, body: word("ask") }).expect("the switch runs");
    bob.does(PhoneCommand::HangUp { call: rung, body: None });
    let Event::Ending { call, at, .. } = next(&mut control).await else { panic!("ending") };
    assert_eq!(call, asked);
    let reason = Reason::new(200, "The call has ended");
    let receipt = Command::HangUp { call, reason, body: Some(word("receipt")) };
    control.commands.send(receipt).expect("the switch runs");
    assert!(matches!(alice.next().await, PhoneEvent::Word { body, .. } if body == word("ask")));
    assert!(matches!(alice.next().await, PhoneEvent::Word { body, .. } if body == word("receipt")));
    alice.ends(200, "The call has ended").await;
    bob.ends(200, "Hung up").await;
    let Event::Ended { by, at: later, .. } = next(&mut control).await else { panic!("ended") };
    assert_eq!(by, By::Callee { refused: None });
    assert!(later.0 - at.0 < 400, "it was not waited for longer than needed");
    is_empty(&switch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charging_that_says_nothing_holds_up_nobody_for_long() {
    let (switch, mut control) = switch(|_| {}).await;
    let (mut alice, bob, rung, asked) = charged(&switch, &mut control).await;
    bob.does(PhoneCommand::HangUp { call: rung, body: None });
    let Event::Ending { call, at, .. } = next(&mut control).await else { panic!("ending") };
    alice.ends(200, "The other side hung up").await;
    let Event::Ended { by, at: later, .. } = next(&mut control).await else { panic!("ended") };
    assert_eq!((call, by), (asked, By::Callee { refused: None }));
    assert!((400..1500).contains(&(later.0 - at.0)), "{} ms", later.0 - at.0);
    is_empty(&switch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_why_and_has_a_last_word() {
    let (switch, mut control) = switch(|_| {}).await;
    let mut alice = One::registered(&switch, "0300").await;
    let call = alice.dials("0301", Some(word("offer"))).await;
    let Event::Asked { call: asked, .. } = next(&mut control).await else { panic!("asked") };
    let refused = Command::Refuse { call: asked, status: 402, text: "No card".into(), body: Some(word("no")) };
    control.commands.send(refused).expect("the switch runs");
    alice.hears(PhoneEvent::Word { call, body: word("no") }).await;
    alice.ends(402, "No card").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_declined_cancelled_and_unanswered_calls_say_so() {
    let switch = free(|config| config.limits.ringing = Duration::from_secs(2)).await;
    let mut alice = One::registered(&switch, "0300").await;
    let mut bob = One::registered(&switch, "0301").await;
    let mut carol = One::registered(&switch, "0302").await;

    // Busy.
    let first = alice.dials("0301", None).await;
    let (rung, _) = bob.rings().await;
    alice.hears(PhoneEvent::Ringing { call: first }).await;
    carol.dials("0301", None).await;
    carol.ends(486, "Busy Here").await;
    // Its own line is taken, too.
    alice.dials("0302", None).await;
    alice.ends(486, "This phone is in another call").await;
    // Declined.
    bob.does(PhoneCommand::Decline { call: rung });
    bob.ends(603, "Declined").await;
    alice.ends(603, "Decline").await;
    // Cancelled.
    let call = alice.dials("0301", None).await;
    bob.rings().await;
    alice.hears(PhoneEvent::Ringing { call }).await;
    alice.does(PhoneCommand::HangUp { call, body: Some(word("never mind")) });
    alice.ends(487, "Given up").await;
    bob.ends(487, "The caller gave up").await;
    // Nobody answers.
    let call = alice.dials("0301", None).await;
    bob.rings().await;
    alice.hears(PhoneEvent::Ringing { call }).await;
    alice.ends(480, "No answer").await;
    bob.ends(487, "The caller gave up").await;
    // Nobody is there.
    alice.dials("0999", None).await;
    alice.ends(404, "No such number, or nobody there").await;
    is_empty(&switch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_registers_nobody_and_calls_nobody() {
    let switch = free(|_| {}).await;
    let mut thief = One::start(&switch, "0300", |config| config.password = "guess".into()).await;
    let wrong = Reason::new(403, "The number or its password is wrong");
    thief.hears(PhoneEvent::NotRegistered(wrong.clone())).await;
    let call = thief.dials("0300", None).await;
    loop {
        match thief.next().await {
            // It goes on trying.
            PhoneEvent::NotRegistered(why) => assert_eq!(why, wrong),
            event => break assert_eq!(event, PhoneEvent::Ended { call, reason: wrong.clone() }),
        }
    }
    assert_eq!(switch.sizes().phones, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_and_a_call_are_kept_alive() {
    let (switch, mut control) = switch(|config| {
        config.limits.shortest_registration = Duration::from_secs(1);
        config.limits.registration = Duration::from_secs(2);
        config.limits.session = Duration::from_secs(2);
        config.limits.shortest_session = Duration::from_secs(1);
    })
    .await;
    let quick = |config: &mut PhoneConfig| config.session = Duration::from_secs(2);
    let (mut alice, mut bob) = (One::start(&switch, "0300", quick).await, One::start(&switch, "0301", quick).await);
    assert_eq!(alice.next().await, PhoneEvent::Registered(Duration::from_secs(2)));
    assert!(matches!(bob.next().await, PhoneEvent::Registered(_)));
    let call = alice.dials("0301", None).await;
    let Event::Asked { call: asked, called, route, .. } = next(&mut control).await else { panic!("asked") };
    let proceed = Command::Proceed { call: asked, to: called, route, shown_as: Shown::Anonymous };
    control.commands.send(proceed).expect("the switch runs");
    let (rung, _) = bob.rings().await;
    bob.does(PhoneCommand::Answer { call: rung });
    // Twice as long as any of the timers.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!((switch.sizes().calls, switch.sizes().phones), (1, 2));
    let mut refreshed = 0;
    while let Ok(event) = alice.line.events.try_recv() {
        refreshed += u32::from(matches!(event, PhoneEvent::Registered(_)));
        assert!(!matches!(event, PhoneEvent::Ended { .. }), "{event:?}");
    }
    assert!(refreshed >= 3, "{refreshed}");

    // A phone that dies is noticed by the switch.
    drop(alice);
    let _ = call;
    loop {
        if let Event::Ended { by, .. } = next(&mut control).await {
            break assert!(matches!(by, By::Switch(_)), "{by:?}");
        }
    }
    is_empty(&switch).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_that_dies_is_noticed_in_time() {
    let switch = free(|config| {
        config.limits.session = Duration::from_secs(2);
        config.limits.shortest_session = Duration::from_secs(1);
    })
    .await;
    let quick = |config: &mut PhoneConfig| {
        config.session = Duration::from_secs(2);
        config.patience = Duration::from_secs(2);
    };
    let (mut alice, mut bob) = (One::start(&switch, "0300", quick).await, One::start(&switch, "0301", quick).await);
    assert!(matches!(alice.next().await, PhoneEvent::Registered(_)));
    assert!(matches!(bob.next().await, PhoneEvent::Registered(_)));
    alice.dials("0301", None).await;
    let (rung, _) = bob.rings().await;
    bob.does(PhoneCommand::Answer { call: rung });
    while !matches!(alice.next().await, PhoneEvent::Answered { .. }) {}
    bob.hears(PhoneEvent::Answered { call: rung }).await;
    drop(switch);
    let died = Instant::now();
    alice.ends(408, "The switch is gone").await;
    bob.ends(408, "The switch is gone").await;
    assert!(died.elapsed() < Duration::from_secs(8), "{:?}", died.elapsed());
    // Who calls then hears it as well.
    alice.dials("0301", None).await;
    alice.ends(408, "The switch does not answer").await;
    // A phone that leaves does not wait for ever.
    let leaves = Instant::now();
    alice.phone.stop().await;
    assert!(leaves.elapsed() < Duration::from_secs(5));
}

/// A switch that has hung up knows the call no more, and says so to what crosses its BYE. Which of the two is heard first is chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_goodbye_is_heard_that_comes_after_the_switch_knows_no_such_call() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let own = socket.local_addr().expect("an address");
    let (phone, line) = Phone::start(PhoneConfig::new(own, number("0300"), "sesame")).await.expect("the phone starts");
    let mut alice = One { phone, line };
    let at = alice.phone.address();
    let says = async |method: &str, count: u32, tag: &str, rest: &str| {
        let text = format!(
            "{method} sip:0300@{at} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{count}\r\nFrom: <sip:x@y>;tag=1\r\n\
             To: <sip:0300@y>{tag}\r\nCall-ID: a\r\nCSeq: {count} {method}\r\nContact: <sip:x@{own}>\r\nMax-Forwards: 70\r\n{rest}"
        );
        socket.send_to(text.as_bytes(), at).await.expect("sent");
    };
    // The next message that begins so; whatever else it says, such as a REGISTER, waits for ever.
    let hears = async |begins: &str| {
        let mut heard = [0; 4000];
        loop {
            let length = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut heard)).await;
            let text = String::from_utf8_lossy(&heard[..length.expect("in time").expect("a message")]).into_owned();
            if text.starts_with(begins) {
                break text;
            }
        }
    };
    let field =
        |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).expect("the field").to_owned();
    const NOTHING: &str = "Content-Length: 0\r\n\r\n";

    says("INVITE", 1, "", NOTHING).await;
    let (call, _) = alice.rings().await;
    alice.does(PhoneCommand::Answer { call });
    let accepted = hears("SIP/2.0 200").await;
    let tag = field(&accepted, "To:").split_once(';').map(|(_, tag)| format!(";{tag}")).expect("a tag");
    alice.hears(PhoneEvent::Answered { call }).await;
    says("ACK", 1, &tag, NOTHING).await;

    alice.does(PhoneCommand::Say { call, body: word("a check") });
    let info = hears("INFO").await;
    let same = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(|name| field(&info, name)).join("\r\n");
    let unknown = format!("SIP/2.0 481 Unknown\r\n{same}\r\nContent-Length: 0\r\n\r\n");
    socket.send_to(unknown.as_bytes(), at).await.expect("sent");
    // It has been heard when so much that was sent after it is answered: the two take different ways within the phone, too.
    for count in 2..50 {
        says("OPTIONS", count, &tag, NOTHING).await;
        hears("SIP/2.0 200").await;
    }
    let goodbye = "Reason: SIP;cause=503;text=\"The switch has been stopped\"\r\n\
                   Content-Type: application/tegata\r\nContent-Length: 9\r\n\r\na receipt";
    says("BYE", 50, &tag, goodbye).await;
    alice.hears(PhoneEvent::Word { call, body: word("a receipt") }).await;
    alice.ends(503, "The switch has been stopped").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_leaves_hangs_up() {
    let switch = free(|_| {}).await;
    let (mut alice, mut bob) = (One::registered(&switch, "0300").await, One::registered(&switch, "0301").await);
    alice.dials("0301", None).await;
    let (rung, _) = bob.rings().await;
    bob.does(PhoneCommand::Answer { call: rung });
    bob.hears(PhoneEvent::Answered { call: rung }).await;
    alice.phone.stop().await;
    bob.ends(200, "The other side hung up").await;
    // Whoever drops the line leaves, too.
    drop(bob.line);
    let until = Instant::now() + Duration::from_secs(5);
    while switch.sizes().phones > 0 {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_switch_reaches_a_phone() {
    let switch = free(|_| {}).await;
    let alice = One::registered(&switch, "0300").await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let own = socket.local_addr().expect("an address");
    let invite = format!(
        "INVITE sip:0300@{} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK1\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:0300@y>\r\n\
         Call-ID: a\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{own}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        alice.phone.address()
    );
    socket.send_to(invite.as_bytes(), alice.phone.address()).await.expect("sent");
    let mut answer = [0; 2000];
    let heard = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut answer)).await;
    let length = heard.expect("an answer").expect("an answer");
    assert!(answer[..length].starts_with(b"SIP/2.0 403 "), "{}", String::from_utf8_lossy(&answer[..length]));
}

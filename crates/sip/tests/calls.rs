//! Calls through a switch with sipp on both sides.

mod support;

use std::net::SocketAddr;
use support::{Start, free_port, sipp_is_missing};
use tegata_sip::config::{Transport, Trunk};
use tegata_sip::{Algorithm, Config, Control, Passwords, Switch};

struct NoPhones;

impl Passwords for NoPhones {
    fn secret(&self, _: &str, _: &str, _: Algorithm) -> Option<String> {
        None
    }
}

fn trunk(name: &str, prefix: &str, port: u16) -> Trunk {
    Trunk {
        name: name.into(),
        prefixes: vec![prefix.into()],
        least_digits: 3,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        transport: Transport::Udp,
    }
}

async fn switch(callers: u16, callees: u16) -> (Switch, Control) {
    let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), "town");
    config.trunks = vec![trunk("callers", "08", callers), trunk("callees", "09", callees)];
    Switch::start(config, NoPhones).await.expect("the switch starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_call_goes_through() {
    if sipp_is_missing() {
        return;
    }
    let (callers, callees) = (free_port(), free_port());
    let (switch, control) = switch(callers, callees).await;
    tokio::spawn(tegata_sip::policy::free_calls(control));
    let callee = Start { port: callees, ..Start::default() }.run();
    let to = Some((switch.address(), "0912345"));
    let caller = Start { scenario: "caller", port: callers, to, ..Start::default() }.run();
    caller.succeeds().await;
    callee.succeeds().await;
}

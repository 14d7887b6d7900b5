//! A switch with two trunks and one phone, and a call through it.

use super::{Sipp, Start, free_port};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tegata_sip::config::{Transport, Trunk};
use tegata_sip::phones::digest::secret;
use tegata_sip::{Algorithm, Config, Control, Event, Passwords, Switch};

/// One phone: 0300.
pub struct OnePhone;

impl Passwords for OnePhone {
    fn secret(&self, name: &str, realm: &str, algorithm: Algorithm) -> Option<String> {
        (name == "0300").then(|| secret(name, realm, "sesame", algorithm))
    }
}

pub fn trunk(name: &str, prefix: &str, port: u16, tcp: bool) -> Trunk {
    Trunk {
        name: name.into(),
        prefixes: vec![prefix.into()],
        least_digits: 4,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        transport: if tcp { Transport::Tcp } else { Transport::Udp },
    }
}

pub struct Town {
    pub switch: Switch,
    /// Where the trunk of callers is.
    pub callers: u16,
    /// Where the trunk of callees is, for numbers that begin with 09.
    pub callees: u16,
    pub tcp: bool,
}

impl Town {
    /// A switch, and the end of its seam.
    pub async fn charged(tcp: bool, change: impl FnOnce(&mut Config)) -> (Self, Control) {
        let (callers, callees) = (free_port(), free_port());
        let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), "town");
        // sipp knows MD5 only.
        config.digests = vec![Algorithm::Md5];
        config.trunks = vec![trunk("callers", "08", callers, tcp), trunk("callees", "09", callees, tcp)];
        change(&mut config);
        let (switch, control) = Switch::start(config, OnePhone).await.expect("the switch starts");
        (Self { switch, callers, callees, tcp }, control)
    }

    /// A switch where calls are free.
    pub async fn free(tcp: bool, change: impl FnOnce(&mut Config)) -> Self {
        let (town, control) = Self::charged(tcp, change).await;
        tokio::spawn(tegata_sip::policy::free_calls(control));
        town
    }

    pub fn callee(&self, scenario: &str, calls: usize, more: &[&str]) -> Sipp {
        Start { scenario, port: self.callees, to: None, calls, tcp: self.tcp, more }.run()
    }

    pub fn caller(&self, scenario: &str, calls: usize, more: &[&str]) -> Sipp {
        let to = Some((self.switch.address(), "0912345"));
        Start { scenario, port: self.callers, to, calls, tcp: self.tcp, more }.run()
    }

    /// One call, as both scenarios say; afterwards the switch holds nothing of it.
    pub async fn call(&self, caller: &str, callee: &str) {
        let callee = self.callee(callee, 1, &[]);
        let caller = self.caller(caller, 1, &[]);
        caller.succeeds().await;
        callee.succeeds().await;
        self.is_empty(Duration::from_secs(10)).await;
    }

    /// Waits until no call, no leg and no relay of media is left.
    pub async fn is_empty(&self, longest: Duration) {
        let until = Instant::now() + longest;
        let left = |sizes: tegata_sip::Sizes| sizes.calls + sizes.legs + sizes.relays;
        while left(self.switch.sizes()) > 0 {
            assert!(Instant::now() < until, "something is left: {:?}", self.switch.sizes());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// The next event; there must be one.
pub async fn next(control: &mut Control) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(30), control.events.recv()).await;
    event.expect("an event in time").expect("the switch runs")
}

//! A switch through which voice goes: what it costs to relay a packet, against a loop that only takes packets and sends them on.
#![allow(clippy::float_arithmetic)] // microseconds, never money

use crate::measure::{rounded, thread_nanoseconds};
use crate::screen::{Failure, Screen, fail};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};
use tegata_sip::RelayAlone;
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What a packet holds; each side of a call sends fifty of them a second.
const PACKET: Duration = Duration::from_millis(20);
/// Packets that each side sends: five seconds of talk.
const PACKETS: u16 = 250;
/// Packets of a second of a call, both sides together.
const A_SECOND: f64 = 100.0;

/// Where caller and callee of each call are, or where they send to.
type Places = Vec<[SocketAddr; 2]>;
/// What passes packets between these, says where they are taken, and goes on until it is stopped; gives the CPU nanoseconds of its
/// thread.
type Passer = fn(&[[SocketAddr; 2]], &Sender<Places>, Receiver<()>) -> Result<u64, Failure>;

/// What was measured.
pub struct Measured {
    calls: usize,
    relayed_us: f64,
    floor_us: f64,
    packets: u64,
}

impl Measured {
    fn ratio(&self) -> f64 {
        self.relayed_us / self.floor_us
    }
    fn call_second_ms(&self) -> f64 {
        self.relayed_us * A_SECOND / 1_000.0
    }
    /// In words.
    pub fn text(&self) -> String {
        format!(
            "relay: {:.1} us CPU a relayed packet, {:.2} times a bare loop over the same sockets ({:.1} us); {:.2} ms a second of a call; \
             {} calls at once",
            self.relayed_us,
            self.ratio(),
            self.floor_us,
            self.call_second_ms(),
            self.calls
        )
    }
    /// Figures.
    pub fn json(&self) -> Value {
        json!({ "calls": self.calls, "packets": self.packets, "packet_us": rounded(self.relayed_us, 2),
            "floor_us": rounded(self.floor_us, 2), "ratio": rounded(self.ratio(), 2),
            "call_second_ms": rounded(self.call_second_ms(), 3) })
    }
}

/// So many calls at once, both sides of which speak for five seconds.
pub fn measure(screen: Screen, calls: usize) -> Result<Measured, Failure> {
    screen.say(format!("relay: {calls} calls, both sides speaking, through the switch and through a bare loop"));
    let (relayed_us, packets) = spoken(calls, relayed)?;
    let (floor_us, _) = spoken(calls, bare)?;
    Ok(Measured { calls, relayed_us, floor_us, packets })
}

/// What each packet that was heard cost, in microseconds, and how many were.
fn spoken(calls: usize, passer: Passer) -> Result<(f64, u64), Failure> {
    let people = (0..calls).map(|_| Ok([socket()?, socket()?])).collect::<std::io::Result<Vec<_>>>()?;
    let places = places(&people)?;
    let ((told, at), (stop, stopped)) = (channel(), oneshot::channel());
    let passing = std::thread::spawn(move || passer(&places, &told, stopped));
    // Where it could not begin, it says why as it ends.
    let heard = at.recv().map_or(0, |at: Places| speak(&people, &at));
    drop(stop);
    let Ok(nanoseconds) = passing.join() else { return fail("whoever passed the packets on has stopped") };
    let (nanoseconds, sent) = (nanoseconds?, calls as u64 * 2 * u64::from(PACKETS));
    if heard < sent / 10 * 9 {
        return fail(format!("only {heard} of {sent} packets were passed on: this machine is too busy to measure it"));
    }
    Ok((nanoseconds as f64 / 1_000.0 / heard as f64, heard))
}

/// Everybody says a packet each 20 ms and hears what has come. How many were heard.
fn speak(people: &[[UdpSocket; 2]], at: &[[SocketAddr; 2]]) -> u64 {
    let (begun, mut buffer, mut heard) = (Instant::now(), [0; 2_048], 0);
    for number in 0..PACKETS {
        let packet = packet(number);
        for (socket, to) in people.iter().flatten().zip(at.iter().flatten()) {
            let _ = socket.send_to(&packet, to);
            heard += all(socket, &mut buffer);
        }
        let next = begun + PACKET * (u32::from(number) + 1);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    std::thread::sleep(PACKET * 5);
    heard + people.iter().flatten().map(|socket| all(socket, &mut buffer)).sum::<u64>()
}

/// Takes what has come, and counts it.
fn all(socket: &UdpSocket, buffer: &mut [u8]) -> u64 {
    let mut heard = 0;
    while socket.recv_from(buffer).is_ok() {
        heard += 1;
    }
    heard
}

/// By the switch's own relays, on a runtime of one thread.
fn relayed(people: &[[SocketAddr; 2]], told: &Sender<Places>, stop: Receiver<()>) -> Result<u64, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let relays = people.iter().map(|[caller, callee]| RelayAlone::between(HERE, *caller, *callee));
        let relays = relays.collect::<std::io::Result<Vec<_>>>()?;
        let before = thread_nanoseconds();
        // Nobody hears it where nobody speaks any more.
        let _ = told.send(relays.iter().map(RelayAlone::at).collect());
        let _ = stop.await;
        Ok::<_, Failure>(thread_nanoseconds() - before)
    })
}

/// The floor: takes what has come each 20 ms, and sends it on.
fn bare(people: &[[SocketAddr; 2]], told: &Sender<Places>, mut stop: Receiver<()>) -> Result<u64, Failure> {
    let ends = people.iter().map(|_| Ok([socket()?, socket()?])).collect::<std::io::Result<Vec<_>>>()?;
    let (places, mut buffer) = (places(&ends)?, [0; 2_048]);
    let before = thread_nanoseconds();
    let _ = told.send(places);
    while stop.try_recv() == Err(TryRecvError::Empty) {
        std::thread::sleep(PACKET);
        for ([caller, callee], [to_caller, to_callee]) in ends.iter().zip(people) {
            pass((caller, callee), *to_callee, &mut buffer);
            pass((callee, caller), *to_caller, &mut buffer);
        }
    }
    Ok(thread_nanoseconds() - before)
}

fn pass((from, by): (&UdpSocket, &UdpSocket), to: SocketAddr, buffer: &mut [u8]) {
    while let Ok((length, _)) = from.recv_from(buffer) {
        let _ = buffer.get(..length).map(|packet| by.send_to(packet, to));
    }
}

fn socket() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((HERE, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn places(sockets: &[[UdpSocket; 2]]) -> std::io::Result<Places> {
    sockets.iter().map(|[caller, callee]| Ok([caller.local_addr()?, callee.local_addr()?])).collect()
}

/// A packet of PCMU: 172 bytes.
fn packet(number: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(number.to_be_bytes());
    packet.extend((u32::from(number) * 160).to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend([0x55; 160]);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_through_both() {
        for passer in [relayed as Passer, bare] {
            let (us, heard) = spoken(2, passer).expect("measured");
            assert!(us > 0.0 && heard <= 2 * 2 * u64::from(PACKETS), "{us} us, {heard} packets");
        }
    }
}

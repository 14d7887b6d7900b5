//! Gates of one venue over its own network (R22): real sockets, gates lost and replaced.

use crate::concert::*;
use crate::world;
use crate::world::blank;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tegata_core::Time;
use tegata_core::talk::enter::{Direction, EnterRefusal, PageError, Setup};
use tegata_core::wire::certificate::Untrusted;
use tegata_device::Now;
use tegata_gate::GateError;
use tegata_gate::lan::Shared;
use tegata_vault::MemoryVault;

type Listening = Arc<Shared<MemoryVault>>;

/// The evening, and entropy that nothing here depends on.
fn evening() -> Now {
    Now { time: world::START.after(10 * Time::DAY + 60), entropy: [7; 32] }
}

/// Puts a gate on the network; gives it and its address.
fn online(gate: Door) -> (Listening, std::net::SocketAddr) {
    let shared = Shared::new(gate, evening);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = shared.serve(listener).expect("serves");
    (shared, address)
}

/// Waits until it is so; the network's threads do the work.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_gate_at_a_lost_gates_door_learns_what_that_one_had_told_its_neighbours() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let lost = concert.gates[0].device.id().expect("joined");
    // Its neighbours hear it over the network, and it is lost with its store.
    let (first, address) = online(concert.gates.remove(0));
    let (second, second_at) = online(concert.gates.remove(0));
    let mut exit = concert.gates.remove(0);
    second.listen_to(address);
    until("the second gate has heard", || second.with(|gate, _| gate.tally().inside(1)) == 1);
    first.stop();
    drop(first);
    // Revoked, it is waited for no more, also by those who had heard it.
    concert.world.provider.revoke(lost.into(), concert.world.now).expect("revoked");
    let new = concert.gate_of(111, 1, Direction::In);
    let mut wire = concert.world.wire(evening(), false);
    second.with(|gate, now| gate.update(&mut wire, now)).expect("updated");
    exit.update(&mut wire, evening()).expect("updated");
    let setup = Setup::load(&new.device).expect("set up");
    assert_eq!((setup.gates.len(), setup.gates.contains(&lost)), (3, false));
    assert_eq!(new.tally().inside(1), 0, "it knows nothing yet");
    let (new, _) = online(new);
    let (exit, exit_at) = online(exit);
    new.listen_to(second_at);
    new.listen_to(exit_at);
    until("the new gate has heard of the lost one's admission", || new.with(|gate, _| gate.tally().inside(1)) == 1);
    until("it hears all", || new.hears_all());
    let mut gate = Door::new(blank(250));
    new.with(|own, _| std::mem::swap(own, &mut gate));
    [second, exit, new].iter().for_each(|gate| gate.stop());
    concert.gates.push(gate);
    assert_eq!(concert.refused(card, 0), EnterRefusal::Inside);
}

#[test]
fn what_is_told_on_counts_only_as_its_gate_signed_it_and_a_gate_of_the_event_heard_it() {
    let mut concert = Concert::new();
    let card = concert.buys();
    concert.doors_open();
    concert.enters(card, 0);
    let now = concert.world.moment();
    let (certificate, page) = concert.gates[0].page(0, now).expect("signed");
    concert.gates[1].take(certificate, page, now).expect("heard");
    let (own, _) = concert.gates[1].page(0, now).expect("signed");
    let relay = concert.gates[1].relay(&[], &[]).expect("read").expect("the first gate is silent");
    let first = concert.gates[0].device.id().expect("joined");
    assert_eq!(concert.gates[1].relay(&[], &[first]).expect("read"), None);
    // Told on under another gate's name; by a gate about itself.
    let (other, _) = concert.gates[2].page(0, now).expect("signed");
    let wrong = concert.gates[2].take_relay(other, relay.clone(), now);
    assert!(matches!(wrong, Err(GateError::Neighbour(PageError::Untrusted(Untrusted::Forged)))), "{wrong:?}");
    let wrong = concert.gates[0].take_relay(own.clone(), relay.clone(), now);
    assert!(matches!(wrong, Err(GateError::Neighbour(PageError::OtherEvent))), "{wrong:?}");
    assert_eq!(concert.gates[2].tally().inside(1), 0);
    let known = concert.gates[2].take_relay(own.clone(), relay.clone(), now).expect("taken");
    assert_eq!((known.number, known.heard), (1, Time(0)), "that it is there now nobody has said");
    assert_eq!(concert.gates[2].tally().inside(1), 1);
    concert.gates[2].take_relay(own, relay, now).expect("again");
    assert_eq!(concert.gates[2].tally().inside(1), 1);
}

//! The venue's own network: each gate answers who asks for its log, and asks its neighbours for theirs (R22). What travels is
//! signed by gates and tickets; nothing here is believed.
//!
//! One question a frame (length in four bytes, then CBOR): "what follows entry N?" It is answered at once where there is more, else
//! when there is, or after [`HOLD`]: so a neighbour knows of an admission as soon as it is stored.

use crate::{Gate, GateError};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tegata_core::DeviceId;
use tegata_core::talk::enter::{Listened, PagesAsked, PagesTold};
use tegata_core::talk::journal::Journal;
use tegata_core::wire::canonical::Wire;
use tegata_device::Now;
use tegata_vault::Vault;

/// How long a question is held while there is nothing new.
pub const HOLD: Duration = Duration::from_millis(1_000);
/// After how long without a word a neighbour is not heard any more.
pub const SILENCE: Duration = Duration::from_millis(3_000);
/// How long a connection is waited for, and how long until the next try.
const PATIENCE: Duration = Duration::from_millis(500);
/// Largest frame, in bytes.
const FRAME: usize = 600_000;

/// A neighbour as the screen shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ear {
    /// Where it answers.
    pub address: SocketAddr,
    /// Who it is, once it has answered.
    pub gate: Option<DeviceId>,
    /// Whether all that it has is known, as of a moment ago.
    pub heard: bool,
    /// What is wrong, if something is.
    pub trouble: Option<String>,
}

struct Line {
    ear: Ear,
    last: Option<Instant>,
}

/// A gate that many threads use: its door, its neighbours.
pub struct Shared<V> {
    gate: Mutex<Gate<V>>,
    changed: Condvar,
    /// Told when it is stopped.
    ended: Condvar,
    lines: Mutex<Vec<Line>>,
    stopped: AtomicBool,
    now: fn() -> Now,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V: Vault + Send + 'static> Shared<V> {
    /// Shares a gate; `now` gives time and fresh entropy.
    pub fn new(gate: Gate<V>, now: fn() -> Now) -> Arc<Self> {
        let (changed, ended, lines) = (Condvar::new(), Condvar::new(), Mutex::default());
        Arc::new(Self { gate: Mutex::new(gate), changed, ended, lines, stopped: AtomicBool::new(false), now })
    }
    /// Does something with the gate; neighbours that wait are told what it has then.
    pub fn with<R>(&self, work: impl FnOnce(&mut Gate<V>, Now) -> R) -> R {
        let mut gate = locked(&self.gate);
        let hears = self.is_hearing(&mut gate);
        gate.hear(hears);
        let result = work(&mut gate, (self.now)());
        drop(gate);
        self.changed.notify_all();
        result
    }
    /// Its neighbours.
    pub fn ears(&self) -> Vec<Ear> {
        let fresh = |line: &Line| line.last.is_some_and(|last| last.elapsed() < SILENCE);
        let lines = locked(&self.lines);
        lines.iter().map(|line| Ear { heard: line.ear.heard && fresh(line), ..line.ear.clone() }).collect()
    }
    /// Whether it hears all gates of its event; else it is alone (R22).
    pub fn hears_all(&self) -> bool {
        let mut gate = locked(&self.gate);
        self.is_hearing(&mut gate)
    }
    fn is_hearing(&self, gate: &mut Gate<V>) -> bool {
        let Ok(door) = gate.door() else { return false };
        let own = door.certificate.claimed().subject.device();
        let heard = self.heard();
        door.setup.gates.iter().all(|one| *one == own || heard.contains(one))
    }
    /// Whom it hears.
    fn heard(&self) -> Vec<DeviceId> {
        self.ears().into_iter().filter(|ear| ear.heard).filter_map(|ear| ear.gate).collect()
    }
    /// How far it has heard each gate, itself included; of those that it `refused` to hear of it wants no more.
    fn listened(&self, refused: &[DeviceId]) -> Result<Vec<Listened>, GateError> {
        let heard = self.heard();
        let gate = locked(&self.gate);
        let one = |gate, number, heard| Listened { gate, number, heard, extensions: Default::default() };
        let enough = refused.iter().copied().chain(gate.device.id()).map(|gate| one(gate, 0, true));
        let others = gate.neighbours()?.into_iter().map(|(gate, known)| one(gate, known.number, heard.contains(&gate)));
        Ok(enough.chain(others).collect())
    }
    /// Ends its threads within [`HOLD`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.ended.notify_all();
    }
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Answers neighbours on this listener until it is stopped.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub fn serve(self: &Arc<Self>, listener: TcpListener) -> io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(false)?;
        let shared = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.is_stopped() {
                    return;
                }
                if let Ok(stream) = stream {
                    let shared = shared.clone();
                    std::thread::spawn(move || shared.answer(stream));
                }
            }
        });
        Ok(address)
    }
    /// Answers one neighbour until it goes. What it sends that cannot be read ends the line.
    fn answer(&self, mut stream: TcpStream) {
        let quiet = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(SILENCE)));
        while quiet.is_ok() && !self.is_stopped() {
            let Some(asked) = read(&mut stream).ok().and_then(|bytes| PagesAsked::from_bytes(&bytes).ok()) else {
                return;
            };
            let told = self.told(&asked);
            if told.is_none_or(|told| write(&mut stream, &told.to_bytes()).is_err()) {
                return;
            }
        }
    }
    fn told(&self, asked: &PagesAsked) -> Option<PagesTold> {
        let (until, after) = (Instant::now() + HOLD, asked.after);
        let heard = self.heard();
        let mut gate = locked(&self.gate);
        let relay = asked.others.as_ref().map(|others| gate.relay(others, &heard)).transpose().ok()?.flatten();
        while relay.is_none() {
            let number = Journal::load(&gate.device)?.number;
            let left = until.saturating_duration_since(Instant::now());
            if number > after || left.is_zero() || self.is_stopped() {
                break;
            }
            gate = self.changed.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (certificate, page) = gate.page(after, (self.now)()).ok()?;
        Some(PagesTold { certificate, page, relay, extensions: Default::default() })
    }

    /// Listens to a neighbour from now on, in a thread of its own.
    pub fn listen_to(self: &Arc<Self>, address: SocketAddr) {
        let ear = Ear { address, gate: None, heard: false, trouble: None };
        let line = {
            let mut lines = locked(&self.lines);
            lines.push(Line { ear, last: None });
            lines.len() - 1
        };
        let shared = self.clone();
        std::thread::spawn(move || {
            while !shared.is_stopped() {
                if let Err(error) = shared.hear(address, line) {
                    shared.note(line, |line| (line.ear.heard, line.ear.trouble) = (false, Some(error.to_string())));
                }
                // Until the next try.
                let waiting = locked(&shared.gate);
                drop(shared.ended.wait_timeout(waiting, PATIENCE));
            }
        });
    }
    fn note(&self, line: usize, change: impl FnOnce(&mut Line)) {
        if let Some(line) = locked(&self.lines).get_mut(line) {
            change(line);
        }
    }
    /// Asks one neighbour again and again until the line breaks.
    fn hear(&self, address: SocketAddr, line: usize) -> Result<(), LanError> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut known: Option<(DeviceId, u64)> = None;
        let mut refused = Vec::new();
        while !self.is_stopped() {
            let after = known.map_or(0, |(_, number)| number);
            // With the first question of a line it does not know yet who answers.
            let others = known.map(|_| self.listened(&refused)).transpose()?;
            write(&mut stream, &PagesAsked { after, others, extensions: Default::default() }.to_bytes())?;
            let told = PagesTold::from_bytes(&read(&mut stream)?).map_err(|_| LanError::Odd)?;
            let gate = told.certificate.claimed().subject.device();
            let before = locked(&self.gate).heard(gate);
            if known.is_none() && before.number > 0 {
                // It was heard before: only what is new is asked for.
                known = Some((gate, before.number));
                continue;
            }
            let by = told.certificate.clone();
            let heard = self.with(|own, now| own.take(told.certificate, told.page, now))?;
            if let Some(relay) = told.relay {
                // What is told on and does not fit is not asked for again; the teller itself is heard all the same.
                let of = relay.claimed().page.claimed().gate;
                if let Err(error) = self.with(|own, now| own.take_relay(by, relay, now)) {
                    tracing::warn!(%error, "a page of {of} that {gate} tells on is not taken");
                    refused.push(of);
                }
            }
            known = Some((gate, heard.number));
            self.note(line, |line| {
                line.ear.gate = Some(gate);
                line.ear.heard = heard.number >= heard.last;
                line.ear.trouble = None;
                line.last = Some(Instant::now());
            });
        }
        Ok(())
    }
}

/// Why a neighbour is not heard.
#[derive(Debug, thiserror::Error)]
enum LanError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it answers something that cannot be read")]
    Odd,
    #[error(transparent)]
    Gate(#[from] GateError),
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), bytes].concat())
}

fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

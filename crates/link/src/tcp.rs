//! The link over TCP: counters on a LAN, and tests. Blocking, without delay, and with a deadline for each frame.
//!
//! A deadline covers a whole frame, so that a peer that sends a byte now and then holds nobody up.

use crate::frame::{self, FrameError, HEAD};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a connection was not made or ended.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    /// Somebody else listens there.
    #[error(
        "port {0} is already in use; stop the program that uses it, or choose another port (0 lets the system choose)"
    )]
    PortTaken(u16),
    /// The system does not let us listen there.
    #[error("port {0} is not allowed for this user; choose one from 1024 up (0 lets the system choose)")]
    PortForbidden(u16),
    /// The address names no place.
    #[error("the address could not be resolved or used: {0}")]
    Address(io::Error),
    /// Nobody answered there.
    #[error("no connection to {0}: {1}; is the terminal running, and the address right?")]
    Unreachable(SocketAddr, io::Error),
    /// Nothing came in time; the connection is as it was, waiting again is fine.
    #[error("the other side has sent nothing in time")]
    Idle,
    /// A frame was not through in time; the connection is closed.
    #[error("the other side was too slow in the middle of a frame; connect again")]
    TooSlow,
    /// This side has closed the listener or the connection, now or after an earlier error.
    #[error("the connection is closed")]
    Closed,
    /// The frame was not sent or received.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// What went over a wire, frames' lengths included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames received.
    pub frames_received: u64,
}

/// Connects; `timeout` holds for connecting and then for each frame.
///
/// # Errors
/// [`TcpError::Address`]; [`TcpError::Unreachable`] for the last of the addresses tried.
pub fn connect(addr: impl ToSocketAddrs, timeout: Duration) -> Result<Wire, TcpError> {
    let mut failed = TcpError::Address(ErrorKind::NotFound.into());
    for addr in addr.to_socket_addrs().map_err(TcpError::Address)? {
        match TcpStream::connect_timeout(&addr, timeout) {
            Ok(stream) => return Wire::new(stream, timeout),
            Err(error) => failed = TcpError::Unreachable(addr, error),
        }
    }
    Err(failed)
}

/// Listens; port 0 lets the system choose, [`Listener::addr`] tells which.
///
/// # Errors
/// [`TcpError::PortTaken`], [`TcpError::PortForbidden`] or [`TcpError::Address`].
pub fn listen(addr: impl ToSocketAddrs) -> Result<Listener, TcpError> {
    let addrs: Vec<SocketAddr> = addr.to_socket_addrs().map_err(TcpError::Address)?.collect();
    let port = addrs.first().map_or(0, SocketAddr::port);
    let listener = TcpListener::bind(&addrs[..]).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => TcpError::PortTaken(port),
        ErrorKind::PermissionDenied => TcpError::PortForbidden(port),
        _ => TcpError::Address(error),
    })?;
    let addr = listener.local_addr().map_err(TcpError::Address)?;
    Ok(Listener { listener, addr, closed: Arc::default() })
}

/// Accepts connections until closed.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    addr: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Listener {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
    /// Waits for the next connection; `timeout` holds for each of its frames.
    ///
    /// # Errors
    /// [`TcpError::Closed`] after [`Closer::close`]; [`TcpError::Address`] when the system gives no more sockets.
    pub fn accept(&self, timeout: Duration) -> Result<Wire, TcpError> {
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return Err(TcpError::Closed);
            }
            match self.listener.accept() {
                Ok(_) if self.closed.load(Ordering::SeqCst) => return Err(TcpError::Closed),
                Ok((stream, _)) => return Wire::new(stream, timeout),
                // A peer that hung up before we came to it is no reason to stop.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => return Err(TcpError::Address(error)),
            }
        }
    }
    /// Ends [`Listener::accept`] from another thread.
    pub fn closer(&self) -> Closer {
        Closer { addr: self.addr, closed: Arc::clone(&self.closed) }
    }
}

/// Closes a [`Listener`] that waits in another thread.
#[derive(Clone, Debug)]
pub struct Closer {
    addr: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Closer {
    /// Closes it, now and for good.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let mut addr = self.addr;
        match addr.ip() {
            ip if !ip.is_unspecified() => {}
            ip if ip.is_ipv4() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            _ => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
        // A connection of our own wakes the thread that waits; if none waits, nothing is lost.
        drop(TcpStream::connect_timeout(&addr, Duration::from_secs(1)));
    }
}

/// One connection, carrying frames.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    timeout: Duration,
    traffic: Traffic,
    closed: bool,
}

impl Wire {
    fn new(stream: TcpStream, timeout: Duration) -> Result<Self, TcpError> {
        stream.set_nodelay(true).map_err(TcpError::Address)?;
        Ok(Self { stream, timeout, traffic: Traffic::default(), closed: false })
    }
    /// Sends one frame.
    ///
    /// # Errors
    /// [`FrameError::Unsendable`], which changes nothing; [`TcpError::Closed`], [`TcpError::TooSlow`] or
    /// [`FrameError::Io`], after which it is closed. Part of the frame may have arrived.
    pub fn send(&mut self, body: &[u8]) -> Result<(), TcpError> {
        if self.closed {
            return Err(TcpError::Closed);
        }
        let frame = frame::encode(body)?;
        let sent = Timed::new(&self.stream, self.timeout).write_all(&frame);
        sent.map_err(|error| self.fail(error.into()))?;
        self.traffic.bytes_sent += frame.len() as u64;
        self.traffic.frames_sent += 1;
        Ok(())
    }
    /// Receives one frame's body.
    ///
    /// # Errors
    /// [`TcpError::Idle`], which changes nothing; any other, after which it is closed.
    pub fn recv(&mut self) -> Result<Vec<u8>, TcpError> {
        if self.closed {
            return Err(TcpError::Closed);
        }
        let mut timed = Timed::new(&self.stream, self.timeout);
        let read = frame::read(&mut timed);
        let untouched = !timed.moved;
        match read {
            Ok(body) => {
                self.traffic.bytes_received += (HEAD + body.len()) as u64;
                self.traffic.frames_received += 1;
                Ok(body)
            }
            Err(FrameError::Io(error)) if untouched && is_timeout(&error) => Err(TcpError::Idle),
            Err(error) => Err(self.fail(error)),
        }
    }
    /// What went over it so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }
    /// The other end.
    ///
    /// # Errors
    /// [`TcpError::Address`] when it is gone.
    pub fn peer(&self) -> Result<SocketAddr, TcpError> {
        self.stream.peer_addr().map_err(TcpError::Address)
    }
    /// Changes how long each frame may take from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    fn fail(&mut self, error: FrameError) -> TcpError {
        self.closed = true;
        // It may be down already; either way nothing goes over it any more.
        let _ = self.stream.shutdown(Shutdown::Both);
        match error {
            FrameError::Io(error) if is_timeout(&error) => TcpError::TooSlow,
            error => TcpError::Frame(error),
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// A stream with a deadline for all that is read or written through it.
struct Timed<'a> {
    stream: &'a TcpStream,
    until: Option<Instant>,
    /// Whether any byte went through.
    moved: bool,
}

impl<'a> Timed<'a> {
    fn new(stream: &'a TcpStream, timeout: Duration) -> Self {
        // A timeout beyond what the clock can tell is none.
        Self { stream, until: Instant::now().checked_add(timeout), moved: false }
    }
    fn left(&self) -> io::Result<Option<Duration>> {
        let Some(until) = self.until else {
            return Ok(None);
        };
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        let len = self.stream.read(to)?;
        self.moved |= len > 0;
        Ok(len)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        let len = self.stream.write(from)?;
        self.moved |= len > 0;
        Ok(len)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::MAX_FRAME;
    use crate::session::{WalletHello, accept};
    use std::thread;

    const SOON: Duration = Duration::from_millis(60);
    const LONG: Duration = Duration::from_secs(20);

    fn pair(timeout: Duration) -> (Wire, Wire) {
        let listener = listen("127.0.0.1:0").expect("listens");
        let near = connect(listener.addr(), timeout).expect("connects");
        (near, listener.accept(timeout).expect("accepts"))
    }

    #[test]
    fn a_tap_over_loopback_is_counted_to_the_byte() {
        let listener = listen("127.0.0.1:0").expect("listens");
        let addr = listener.addr();
        assert_ne!(addr.port(), 0);
        let terminal = thread::spawn(move || {
            let mut wire = listener.accept(LONG).expect("accepts");
            let (pending, _) = accept([2; 32], &wire.recv().expect("hello")).expect("accepts");
            let (reply, mut session) = pending.reply(&[7; 72]).expect("replies");
            wire.send(&reply).expect("sends");
            let asked = session.open(&wire.recv().expect("asks")).expect("opens");
            wire.send(&session.seal(&asked).expect("seals")).expect("sends");
            assert!(matches!(wire.recv(), Err(TcpError::Frame(FrameError::Closed))));
            wire.traffic()
        });
        let mut wire = connect(addr, LONG).expect("connects");
        let (hello, bytes) = WalletHello::new([1; 32]).expect("greets");
        wire.send(&bytes).expect("sends");
        let (mut session, _, proof) = hello.finish(&wire.recv().expect("reply")).expect("finishes");
        assert_eq!(proof, [7; 72]);
        wire.send(&session.seal(b"echo").expect("seals")).expect("sends");
        assert_eq!(session.open(&wire.recv().expect("echo")).as_deref(), Ok(&b"echo"[..]));
        let near = wire.traffic();
        drop(wire);
        let far = terminal.join().expect("ends");
        let sent = (33 + 2) + (4 + 16 + 2);
        let received = (32 + 72 + 16 + 2) + (4 + 16 + 2);
        let expected = Traffic { bytes_sent: sent, bytes_received: received, frames_sent: 2, frames_received: 2 };
        assert_eq!(near, expected);
        let mirrored = Traffic { bytes_sent: received, bytes_received: sent, ..expected };
        assert_eq!(far, mirrored);
    }

    #[test]
    fn the_largest_frame_goes_through_and_larger_ones_change_nothing() {
        let (mut near, mut far) = pair(LONG);
        assert!(matches!(near.send(&[0; MAX_FRAME + 1]), Err(TcpError::Frame(FrameError::Unsendable(_)))));
        near.send(&[9; MAX_FRAME]).expect("sends");
        assert_eq!(far.recv().expect("receives"), [9; MAX_FRAME]);
        assert_eq!(near.traffic().frames_sent, 1);
    }

    #[test]
    fn a_taken_port_is_named() {
        let listener = listen("127.0.0.1:0").expect("listens");
        let port = listener.addr().port();
        let error = listen(listener.addr()).expect_err("taken");
        assert!(matches!(error, TcpError::PortTaken(found) if found == port));
        assert!(error.to_string().contains(&port.to_string()));
    }

    #[test]
    fn nobody_there_is_said_with_the_address() {
        let addr = listen("127.0.0.1:0").expect("listens").addr();
        let error = connect(addr, LONG).expect_err("nobody listens any more");
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        assert!(matches!(listen("not an address"), Err(TcpError::Address(_))));
    }

    #[test]
    fn waiting_in_vain_is_harmless_but_half_a_frame_closes() {
        let (mut near, mut far) = pair(SOON);
        assert!(matches!(near.recv(), Err(TcpError::Idle)));
        far.send(b"late").expect("sends");
        near.set_timeout(LONG);
        assert_eq!(near.recv().expect("receives"), b"late");
        near.set_timeout(SOON);
        (&far.stream).write_all(&[0]).expect("sends half a length");
        assert!(matches!(near.recv(), Err(TcpError::TooSlow)));
        assert!(matches!(near.recv(), Err(TcpError::Closed)));
        assert!(matches!(near.send(b"x"), Err(TcpError::Closed)));
        assert_eq!(near.traffic().frames_received, 1);
    }

    #[test]
    fn a_dripping_peer_does_not_hold_us_up() {
        let (mut near, far) = pair(SOON);
        let dripping = thread::spawn(move || {
            for byte in [0, 200].into_iter().chain([1; 198]) {
                if (&far.stream).write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(SOON / 4);
            }
        });
        let started = Instant::now();
        assert!(matches!(near.recv(), Err(TcpError::TooSlow)));
        assert!(started.elapsed() < SOON * 20);
        dripping.join().expect("ends");
    }

    #[test]
    fn an_oversized_announcement_closes() {
        let (mut near, far) = pair(LONG);
        (&far.stream).write_all(&[0xff, 0xff]).expect("sends");
        assert!(matches!(near.recv(), Err(TcpError::Frame(FrameError::Announced(65535)))));
        assert!(matches!(near.recv(), Err(TcpError::Closed)));
    }

    #[test]
    fn a_waiting_listener_can_be_closed() {
        for addr in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = listen(addr).expect("listens");
            let closer = listener.closer();
            let waiting = thread::spawn(move || listener.accept(LONG).map(drop));
            thread::sleep(SOON);
            closer.close();
            assert!(matches!(waiting.join().expect("ends"), Err(TcpError::Closed)));
        }
    }
}

//! The bank on the network: one thread a connection, over one set of books.

use super::Bank;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tegata_iso8583::frame::{FrameReader, encode};

/// How often a thread looks whether it shall end.
const LOOK: Duration = Duration::from_millis(20);

/// How the bank is served.
#[derive(Clone, Copy, Debug)]
pub struct HostConfig {
    /// Where; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How late its late answers are, in milliseconds.
    pub late: u64,
}

/// A bank that is being served, until it is dropped.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    bank: Arc<Mutex<Bank>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Host {
    /// Serves a new bank.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(config: HostConfig) -> std::io::Result<Self> {
        Self::over(Arc::new(Mutex::new(Bank::new(config.late))), config.listen)
    }
    /// Serves these books; another host may have served them before.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn over(bank: Arc<Mutex<Bank>>, listen: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (books, ended) = (bank.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut all = Vec::new();
            while !ended.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let (books, ended) = (books.clone(), ended.clone());
                        // A connection that breaks is the other side's to make again.
                        all.push(std::thread::spawn(move || drop(serve(stream, &books, &ended))));
                    }
                    Err(_) => std::thread::sleep(LOOK),
                }
            }
            // A connection's thread that panicked has said why.
            all.into_iter().for_each(|thread| drop(thread.join()));
        });
        Ok(Self { address, bank, stop, thread: Some(thread) })
    }
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// Its books.
    pub fn bank(&self) -> MutexGuard<'_, Bank> {
        self.bank.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Its books, to be served by another host.
    pub fn books(&self) -> Arc<Mutex<Bank>> {
        self.bank.clone()
    }
    /// Breaks every connection, and serves the same books at the same address anew: a bank goes down, and forgets nothing.
    ///
    /// # Errors
    /// The address cannot be listened on any more.
    pub fn restart(&mut self) -> std::io::Result<()> {
        self.end();
        *self = Self::over(self.books(), self.address)?;
        Ok(())
    }
    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // What went wrong there was said there.
            let _ = thread.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

fn serve(mut stream: TcpStream, bank: &Arc<Mutex<Bank>>, stop: &AtomicBool) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_nodelay(true)?;
    let (mut reader, mut signed_on, mut buffer) = (FrameReader::new(), false, [0; 4096]);
    let mut later: Vec<(std::time::Instant, zeroize::Zeroizing<Vec<u8>>)> = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let now = std::time::Instant::now();
        let (due, still): (Vec<_>, Vec<_>) = later.into_iter().partition(|(at, _)| *at <= now);
        later = still;
        for (_, body) in due {
            send(&mut stream, &body)?;
        }
        let len = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                continue;
            }
            Err(error) => return Err(error),
        };
        let mut from = &buffer[..len];
        while let Some(body) = reader.next(&mut from).map_err(std::io::Error::other)? {
            let outs = bank.lock().unwrap_or_else(PoisonError::into_inner).take(&body, &mut signed_on);
            for out in outs {
                match out.after {
                    0 => send(&mut stream, &out.body)?,
                    after => later.push((now + Duration::from_millis(after), out.body)),
                }
            }
        }
    }
    Ok(())
}

fn send(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(&encode(body).map_err(std::io::Error::other)?)
}

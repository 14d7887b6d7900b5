//! The local link between a wallet and a terminal that stand beside each other: an ephemeral session without I/O
//! ([`session`]), frames ([`frame`]) and the TCP adapter for counters on a LAN and for tests ([`tcp`]).
//!
//! The session hides and protects what crosses the tap and names it by its transcript hash, which is the charge's
//! nonce (R5). It proves nobody's identity: that does the terminal's signature over the transcript, which travels
//! as the opaque proof payload before the wallet says anything (R17).

pub mod frame;
pub mod session;
pub mod tcp;

pub use frame::{FrameError, MAX_FRAME};
pub use session::{LinkError, Session, TerminalPending, WalletHello, accept};
pub use tcp::{Closer, Listener, TcpError, Traffic, Wire, connect, listen};

//! A tap: a conversation of the core inside the link's session, frame by frame, whatever carries the frames.

use crate::drive::{Device, Now, Out, Talking};
use tegata_core::step::{Event, Talk};
use tegata_core::talk::pay::{Payer, Sale, TerminalPay, WalletPay};
use tegata_link::{LinkError, Session, TerminalPending, WalletHello};
use tegata_vault::Vault;

/// Why a tap broke off. What both sides stored stays; touch again.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// A frame did not fit the session.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A side spoke before the session stood.
    #[error("the other side broke off before it was authenticated; touch again")]
    NoSession,
}

/// What came of a frame: frames for the other side, notices for this side's people.
pub struct Step<N> {
    /// Frames to send, in order.
    pub frames: Vec<Vec<u8>>,
    /// What to show.
    pub notices: Vec<N>,
}

/// Seals what goes out, keeps what is to be shown.
fn sealed<N>(outs: Vec<Out<N>>, session: Option<&mut Session>) -> Result<Step<N>, TapError> {
    let mut step = Step { frames: Vec::new(), notices: Vec::new() };
    let mut session = session;
    for out in outs {
        match out {
            Out::Send(bytes) => {
                let session = session.as_deref_mut().ok_or(TapError::NoSession)?;
                step.frames.push(session.seal(&bytes)?);
            }
            Out::Show(notice) => step.notices.push(notice),
            Out::WaitUntil(_) => {}
        }
    }
    Ok(step)
}

/// The wallet's side of a tap: by a card, or by another conversation that begins with a session.
pub struct WalletTap<T = WalletPay> {
    hello: Option<WalletHello>,
    session: Option<Session>,
    talking: Talking<T>,
}

impl WalletTap {
    /// Touches to pay with a card; gives the first frame.
    ///
    /// # Errors
    /// [`TapError`]: the cryptographic library failed.
    pub fn start(payer: Payer, entropy: [u8; 32]) -> Result<(Self, Vec<u8>), TapError> {
        Self::touch(WalletPay::new(payer), entropy)
    }
}

impl<T: Talk> WalletTap<T> {
    /// Touches; gives the first frame.
    ///
    /// # Errors
    /// [`TapError`]: the cryptographic library failed.
    pub fn touch(talk: T, entropy: [u8; 32]) -> Result<(Self, Vec<u8>), TapError> {
        let (hello, frame) = WalletHello::new(entropy)?;
        Ok((Self { hello: Some(hello), session: None, talking: Talking::new(talk) }, frame))
    }
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.talking.is_over()
    }
    /// The conversation, to be told what is no event.
    pub fn talking(&mut self) -> &mut Talking<T> {
        &mut self.talking
    }
    /// A frame came.
    ///
    /// # Errors
    /// [`TapError`].
    pub fn receive<V: Vault>(
        &mut self,
        frame: &[u8],
        now: Now,
        device: &mut Device<V>,
    ) -> Result<Step<T::Notice>, TapError> {
        let plain = match (self.hello.take(), &mut self.session) {
            (Some(hello), _) => {
                let (session, transcript, proof) = hello.finish(frame)?;
                self.session = Some(session);
                self.talking.deliver(Event::Opened(transcript), now, device);
                proof
            }
            (None, Some(session)) => session.open(frame)?,
            (None, None) => return Err(TapError::NoSession),
        };
        self.event(Event::Received(plain), now, device)
    }
    /// The user answered, or the link was lost.
    ///
    /// # Errors
    /// [`TapError`].
    pub fn event<V: Vault>(
        &mut self,
        event: Event,
        now: Now,
        device: &mut Device<V>,
    ) -> Result<Step<T::Notice>, TapError> {
        sealed(self.talking.deliver(event, now, device), self.session.as_mut())
    }
}

/// The terminal's side: it charges, or it has another conversation that begins with its proof.
pub struct TerminalTap<T = TerminalPay> {
    session: Option<Session>,
    talking: Talking<T>,
}

impl TerminalTap {
    /// Waits with this to charge.
    pub fn new(sale: Sale) -> Self {
        Self::waiting(TerminalPay::new(sale))
    }
}

impl<T: Talk> TerminalTap<T> {
    /// Waits to be touched.
    pub fn waiting(talk: T) -> Self {
        Self { session: None, talking: Talking::new(talk) }
    }
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.talking.is_over()
    }
    /// The conversation, to be told what is no event.
    pub fn talking(&mut self) -> &mut Talking<T> {
        &mut self.talking
    }
    /// A frame came.
    ///
    /// # Errors
    /// [`TapError`].
    pub fn receive<V: Vault>(
        &mut self,
        frame: &[u8],
        now: Now,
        device: &mut Device<V>,
    ) -> Result<Step<T::Notice>, TapError> {
        if let Some(session) = &mut self.session {
            let plain = session.open(frame)?;
            return self.event(Event::Received(plain), now, device);
        }
        let (pending, transcript) = tegata_link::accept(now.entropy, frame)?;
        let outs = self.talking.deliver(Event::Opened(transcript), now, device);
        self.prove(pending, outs)
    }
    /// The first thing a terminal sends is its proof, inside the session's reply (R17).
    fn prove(&mut self, pending: TerminalPending, outs: Vec<Out<T::Notice>>) -> Result<Step<T::Notice>, TapError> {
        let mut step = Step { frames: Vec::new(), notices: Vec::new() };
        let mut pending = Some(pending);
        for out in outs {
            match (out, pending.take()) {
                (Out::Send(proof), Some(unanswered)) => {
                    let (frame, session) = unanswered.reply(&proof)?;
                    self.session = Some(session);
                    step.frames.push(frame);
                }
                (Out::Show(notice), unanswered) => {
                    pending = unanswered;
                    step.notices.push(notice);
                }
                (_, unanswered) => pending = unanswered,
            }
        }
        Ok(step)
    }
    /// Time passed, or the link was lost.
    ///
    /// # Errors
    /// [`TapError`].
    pub fn event<V: Vault>(
        &mut self,
        event: Event,
        now: Now,
        device: &mut Device<V>,
    ) -> Result<Step<T::Notice>, TapError> {
        sealed(self.talking.deliver(event, now, device), self.session.as_mut())
    }
}

//! The switch: its sockets, what comes in from nowhere, and the list of what is going on.

use crate::call::{self, Common, Input, Setup};
use crate::config::{Config, Proof, Transport, Trunk};
use crate::leg::{self, Destination, Home, LegId, LegKey};
use crate::media;
use crate::phones::Phones;
use crate::phones::digest::Passwords;
use crate::seam::{At, CallId, Caller, Clock, Command, Control, Event, Route};
use crate::wire::transaction::{Asked, Way, answer};
use crate::wire::{self, Reply};
use crate::{Number, setup};
use rsipstack::sip::{self, Header, HeadersExt as _, Method, Uri};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transport::{SipAddr, SipConnection};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;

/// How often what has run out is forgotten.
const TIDY: Duration = Duration::from_secs(30);

/// Why a switch does not start; the operator is to blame.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is taken, or is not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The address for media is not ours, or none that others can send to.
    #[error("media cannot be relayed at {0}: {1}")]
    Relay(IpAddr, std::io::Error),
    /// The stack does not want to.
    #[error("SIP does not start: {0}")]
    Stack(#[from] rsipstack::Error),
    /// An emergency way that is not among the trunks.
    #[error("no trunk {0}")]
    NoTrunk(String),
}

/// What goes on, by name.
#[derive(Default)]
pub(crate) struct Registry {
    pub calls: HashMap<CallId, UnboundedSender<Input>>,
    pub legs: HashMap<LegKey, (LegId, UnboundedSender<Input>)>,
    /// INVITEs that set up a call now: Call-ID, tag and number. The same one on another way is a loop or a fork's echo.
    pub setups: HashSet<(String, String, u32)>,
}

/// What all tasks of a switch share.
pub(crate) struct Shared {
    pub config: Config,
    pub home: Arc<Home>,
    pub endpoint: EndpointInnerRef,
    pub phones: Phones,
    pub clock: Clock,
    pub relays: media::Count,
    registry: Mutex<Registry>,
    events: UnboundedSender<Event>,
    charging: AtomicBool,
    calls: AtomicU64,
    local: SocketAddr,
    pub stop: CancellationToken,
}

/// How much a switch holds; all of it but phones goes back to nothing when nobody calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Calls, also those that wait for a cancelled contact's last word.
    pub calls: usize,
    /// Dialogs.
    pub legs: usize,
    /// Calls whose media go through the switch; each has four sockets.
    pub relays: usize,
    /// Phones that are registered.
    pub phones: usize,
    /// Transactions under way.
    pub transactions: usize,
    /// Transactions that are remembered for half a minute to answer repetitions.
    pub finished: usize,
}

/// A running switch. Dropping it ends it and its calls, without a word to any phone.
pub struct Switch {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Switch {
    /// Listens, and answers from now on. Must be called inside a tokio runtime. Lets this process have as many files open as the system
    /// allows: calls whose media are relayed need four each.
    pub async fn start(config: Config, passwords: impl Passwords) -> Result<(Self, Control), StartError> {
        if let Some(missing) = config.emergency.trunks.iter().find(|name| config.trunk(name).is_none()) {
            return Err(StartError::NoTrunk(missing.clone()));
        }
        if let Some(address) = config.relay {
            media::check(address).map_err(|error| StartError::Relay(address, error))?;
        }
        let most_relayed = config.most_relayed.unwrap_or(usize::MAX).min(media::files::calls(media::files::raise()));
        let stop = CancellationToken::new();
        let (endpoint, local) = wire::open(config.listen, config.external, config.tcp, None, &stop).await?;
        let incoming = endpoint.incoming_transactions()?;
        let (told, events) = mpsc::unbounded_channel();
        let (commands, commanded) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            home: Arc::new(Home {
                endpoint: endpoint.inner.clone(),
                address: config.external.unwrap_or(local),
                user: None,
                allow: wire::ALLOW,
            }),
            config,
            endpoint: endpoint.inner.clone(),
            phones: Phones::new(Box::new(passwords)),
            clock: Clock::new(),
            relays: media::Count::up_to(most_relayed),
            registry: Mutex::default(),
            events: told,
            charging: AtomicBool::new(true),
            calls: AtomicU64::new(0),
            local,
            stop: stop.clone(),
        });
        let serving = endpoint.inner.clone();
        tokio::spawn(async move { serving.serve().await });
        if shared.config.tcp {
            listening(local).await.map_err(|error| StartError::Listen(local, error))?;
        }
        tokio::spawn(until(stop.clone(), shared.clone().take_requests(incoming)));
        tokio::spawn(until(stop.clone(), shared.clone().take_commands(commanded)));
        tokio::spawn(until(stop.clone(), shared.clone().tidy()));
        Ok((Self { shared, stop }, Control { events, commands }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.local
    }

    /// Calls whose media can go through it at once, at most; 0: they go from end to end.
    pub fn most_relayed(&self) -> usize {
        let config = &self.shared.config;
        config.relay.map_or(0, |_| self.shared.relays.most().min(config.most_calls))
    }

    /// Now, by the clock of its events.
    pub fn now(&self) -> At {
        self.shared.clock.now()
    }

    /// How much it holds.
    pub fn sizes(&self) -> Sizes {
        let stack = self.shared.endpoint.get_stats();
        let registry = self.shared.registry();
        Sizes {
            calls: registry.calls.len(),
            legs: registry.legs.len(),
            relays: self.shared.relays.now(),
            phones: self.shared.phones.count(),
            transactions: stack.running_transactions,
            finished: stack.finished_transactions,
        }
    }
}

/// Waits until the stack has bound its stream socket, which it does in its own time.
async fn listening(at: SocketAddr) -> Result<(), std::io::Error> {
    let mut tries = 0;
    loop {
        match tokio::net::TcpStream::connect(at).await {
            Ok(_) => return Ok(()),
            Err(error) if tries == 200 => return Err(error),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl Shared {
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell(&self, event: Event) {
        if self.events.send(event).is_err() {
            self.charging_is_gone();
        }
    }

    /// Somebody is there to say what calls cost.
    pub(crate) fn is_charged(&self) -> bool {
        self.charging.load(Ordering::Relaxed) && !self.events.is_closed()
    }

    fn charging_is_gone(&self) {
        // A switch that ends misses nothing.
        if self.stop.is_cancelled() {
            return;
        }
        if self.charging.swap(false, Ordering::Relaxed) {
            tracing::warn!("charging has gone: calls end, and only emergency calls are taken");
            for inputs in self.registry().calls.values() {
                let _ = inputs.send(Input::ControlGone);
            }
        }
    }

    /// What the switch is called in addresses.
    pub(crate) fn host(&self) -> String {
        self.home.host()
    }

    async fn take_requests(self: Arc<Self>, mut incoming: rsipstack::transaction::TransactionReceiver) {
        while let Some(tx) = incoming.recv().await {
            self.take(tx);
        }
    }

    async fn take_commands(self: Arc<Self>, mut commands: UnboundedReceiver<Command>) {
        while let Some(command) = commands.recv().await {
            if let Some(inputs) = self.registry().calls.get(&command.call()) {
                let _ = inputs.send(Input::Command(command));
            }
        }
        self.charging_is_gone();
    }

    async fn tidy(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TIDY).await;
            self.phones.tidy(self.clock.now().0 / 1000);
        }
    }

    fn take(self: &Arc<Self>, tx: Transaction) {
        let request = &tx.original;
        let tag = request.to_header().ok().and_then(|to| to.tag().ok().flatten());
        if let Some(tag) = tag.filter(|tag| !tag.value().is_empty()) {
            let call = request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default();
            let key: LegKey = (call, tag.value().to_owned());
            let found = self.registry().legs.get(&key).map(|(leg, inputs)| (*leg, inputs.clone()));
            return match found {
                Some((leg, inputs)) => {
                    if let Some(asked) = Asked::take(tx, key.1, Common::hear(&inputs, leg)) {
                        let _ = inputs.send(Input::Request { leg, asked: Box::new(asked) });
                    }
                }
                None => answer(tx, Reply::new(481, "")),
            };
        }
        match request.method {
            Method::Invite => setup::invite(self, tx),
            Method::Register => {
                let now_s = self.clock.now().0 / 1000;
                let reply = match &tx.connection {
                    Some(connection) => self.phones.register(&self.config, request, connection, now_s),
                    None => Reply::new(500, ""),
                };
                answer(tx, reply);
            }
            Method::Options => answer(tx, Reply::new(200, "").header(Header::Allow(wire::ALLOW.into()))),
            Method::Bye | Method::Info | Method::Update | Method::PRack => answer(tx, Reply::new(481, "")),
            _ => answer(tx, Reply::new(405, "").header(Header::Allow(wire::ALLOW.into()))),
        }
    }

    /// Begins a call.
    pub(crate) fn begin(self: &Arc<Self>, make: impl FnOnce(CallId, &UnboundedSender<Input>) -> Option<Setup>) {
        let id = CallId(self.calls.fetch_add(1, Ordering::Relaxed) + 1);
        let (inputs, heard) = mpsc::unbounded_channel();
        self.registry().calls.insert(id, inputs.clone());
        match make(id, &inputs) {
            Some(setup) => {
                tokio::spawn(call::run(self.clone(), id, setup, inputs, heard));
            }
            None => {
                self.registry().calls.remove(&id);
            }
        }
    }

    /// Where a number leads.
    pub(crate) fn route(&self, number: &Number) -> Route {
        match self.phones.contacts(number).len() {
            0 => self.config.way_to(number).map_or(Route::Unknown, |trunk| Route::Trunk(trunk.name.clone())),
            contacts => Route::Phone { contacts },
        }
    }

    /// Whom to ring for a number that leads this way, or why nobody.
    pub(crate) fn destinations(&self, number: &Number, route: &Route) -> Result<Vec<Destination>, Reply> {
        match route {
            Route::Phone { .. } => {
                let to = |contact: crate::phones::Contact| Destination {
                    number: number.clone(),
                    uri: contact.uri,
                    way: Way { address: contact.source, stream: contact.stream },
                    translated: true,
                };
                let contacts: Vec<_> = self.phones.contacts(number).into_iter().map(to).collect();
                if contacts.is_empty() { Err(Reply::new(480, "Nobody is there")) } else { Ok(contacts) }
            }
            Route::Trunk(name) => {
                let trunk = self.config.trunk(name).ok_or_else(|| Reply::new(404, "No such trunk"))?;
                if number.as_str().len() < trunk.least_digits {
                    return Err(Reply::new(484, "Address incomplete"));
                }
                Ok(vec![through(trunk, number)])
            }
            Route::Unknown => Err(Reply::new(404, "No such number, or nobody there")),
        }
    }

    /// Whose call it is, by where it comes from and whom it names.
    pub(crate) fn caller(&self, tx: &Transaction, connection: &SipConnection) -> Result<Caller, Reply> {
        let from = tx.original.from_header().and_then(|from| from.uri()).map_err(|_| Reply::new(400, ""))?;
        let number = wire::dialled(&from);
        let source = connection.get_remote_addr().ok_or_else(|| Reply::new(500, ""))?;
        if let Some(trunk) = self.config.trunk_at(source) {
            return Ok(Caller::Trunk { trunk: trunk.name.clone(), number: number.ok() });
        }
        let name = number.map_err(|_| Reply::new(403, "Who calls?"))?;
        if self.config.proof == Proof::EachCall || !self.phones.is_at(&name, source) {
            self.phones.prove(&self.config, &tx.original, &name, true, self.clock.now().0 / 1000)?;
        }
        Ok(Caller::Phone(name))
    }

    /// The number of whoever calls from there, as far as it is known without asking: a trunk's word, or a phone where it has registered.
    pub(crate) fn known_at(&self, tx: &Transaction, connection: &SipConnection) -> Option<Number> {
        let from = tx.original.from_header().and_then(|from| from.uri()).ok()?;
        let (name, source) = (wire::dialled(&from).ok()?, connection.get_remote_addr()?);
        (self.config.trunk_at(source).is_some() || self.phones.is_at(&name, source)).then_some(name)
    }
}

/// A number through a trunk.
pub(crate) fn through(trunk: &Trunk, number: &Number) -> Destination {
    let transport = match trunk.transport {
        Transport::Udp => sip::Transport::Udp,
        Transport::Tcp => sip::Transport::Tcp,
    };
    let suffix = if trunk.transport == Transport::Tcp { ";transport=tcp" } else { "" };
    let uri = format!("{}{suffix}", leg::address(number, &trunk.address.to_string()));
    Destination {
        number: number.clone(),
        uri: Uri::try_from(uri.as_str()).unwrap_or_default(),
        way: Way { address: SipAddr { r#type: Some(transport), addr: trunk.address.into() }, stream: None },
        translated: false,
    }
}

impl Config {
    fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }

    fn trunk_at(&self, source: &SipAddr) -> Option<&Trunk> {
        let address = source.get_socketaddr().ok()?;
        let tcp = source.r#type == Some(sip::Transport::Tcp);
        self.trunks.iter().find(|trunk| match trunk.transport {
            Transport::Udp => !tcp && trunk.address == address,
            Transport::Tcp => tcp && trunk.address.ip() == address.ip(),
        })
    }

    fn way_to(&self, number: &Number) -> Option<&Trunk> {
        // A number may be written as one of the whole world (+49...), and so may a prefix.
        let bare = |text: &str| text.strip_prefix('+').unwrap_or(text).to_owned();
        let number = bare(number.as_str());
        let longest = |trunk: &&Trunk| {
            let prefixes = trunk.prefixes.iter().map(|prefix| bare(prefix));
            prefixes.filter(|prefix| number.starts_with(prefix.as_str())).map(|prefix| prefix.len()).max()
        };
        let ways = self.trunks.iter().filter_map(|trunk| longest(&trunk).map(|length| (length, trunk)));
        ways.max_by_key(|(length, _)| *length).map(|(_, trunk)| trunk)
    }

    /// Trunks for emergency calls, in their order.
    pub(crate) fn emergency_ways(&self) -> impl Iterator<Item = &Trunk> {
        self.emergency.trunks.iter().filter_map(|name| self.trunk(name))
    }
}

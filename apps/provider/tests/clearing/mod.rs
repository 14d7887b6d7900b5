//! The real processor and a test bank behind real sockets, for the provider's scripts of credit.

use crate::world::{Person, World};
use std::time::{Duration, Instant};
use tegata_core::PartyId;
use tegata_core::talk::credit::*;
use tegata_core::wire::canonical::{Bytes, Wire as _};
use tegata_core::wire::sealed::Sealed;
use tegata_crypto_native::{entropy, seal_to};
use tegata_iso8583::AcquirerId;
use tegata_ledger::Side;
use tegata_processor::bank::{Host, HostConfig, TestCard};
use tegata_processor::{LineConfig, Now, Processor, http};
use tegata_provider::{Answered, ToProcessor};
use tokio::sync::oneshot;

/// The processor, served, with its bank; dropped, it stops.
pub struct Clearing {
    pub folder: tempfile::TempDir,
    pub bank: Host,
    pub url: String,
    pub client: reqwest::blocking::Client,
    pub info: ProcessorInfo,
    pub running: Option<(oneshot::Sender<()>, std::thread::JoinHandle<Processor>)>,
}

impl Clearing {
    pub fn start(world: &mut World) -> Self {
        let bank = Host::start(HostConfig { listen: "127.0.0.1:0".parse().expect("an address"), late: 700 });
        let bank = bank.expect("a bank");
        let folder = tempfile::tempdir().expect("a folder");
        let client = reqwest::blocking::Client::builder().no_proxy().build().expect("a client");
        let (url, running) = serve(world, &folder, &bank);
        let info = client.get(format!("{url}/v1/processor")).send().expect("asked").bytes().expect("answered");
        let info = ProcessorInfo::from_bytes(&info).expect("a processor");
        let clearing = Self { folder, bank, url, client, info, running: Some(running) };
        let (now, entropy) = (world.now, world.entropy());
        let (info, url) = (clearing.info.clone(), clearing.url.clone());
        world.provider.register_processor(info, url, now, entropy).expect("registered");
        clearing
    }
    pub fn stop(&mut self) -> Processor {
        let (stop, thread) = self.running.take().expect("runs");
        drop(stop);
        thread.join().expect("stops")
    }
    /// Carries what the provider put down to the processor, once.
    pub fn carry(&self, world: &mut World) -> usize {
        let (now, entropy) = (world.now, world.entropy());
        let due = world.provider.to_processor(now, entropy).expect("due");
        let answers: Vec<Answered> = due.iter().filter_map(|request| self.post(request)).collect();
        let entropy = world.entropy();
        world.provider.from_processor(&answers, now, entropy).expect("taken up");
        world.balanced();
        answers.len()
    }
    pub fn post(&self, request: &ToProcessor) -> Option<Answered> {
        let (envelope, channel) = request.seal(None, entropy::fresh()).expect("sealed");
        let body = vec![Bytes(envelope.to_bytes())].to_bytes();
        let sent = self.client.post(format!("{}/v1/messages", self.url)).body(body).send().ok()?;
        let answers = Vec::<Bytes>::from_bytes(&sent.bytes().ok()?).expect("answers");
        let reply = Sealed::from_bytes(&answers[0].0).expect("sealed");
        let answer = channel.open_reply(&envelope, &reply).expect("opens");
        Some(Answered { number: request.number, answer })
    }
    /// Carries until the answer is one of these.
    pub fn until(&self, world: &mut World, mut ask: impl FnMut(&mut World) -> CreditAnswer) -> CreditAnswer {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = ask(world);
            if !matches!(answer.state, CreditState::Pending | CreditState::Waiting) {
                return answer;
            }
            assert!(Instant::now() < patience, "{answer:?}");
            self.carry(world);
            world.now = world.now.after(2);
        }
    }
}

pub fn serve(
    world: &World,
    folder: &tempfile::TempDir,
    bank: &Host,
) -> (String, (oneshot::Sender<()>, std::thread::JoinHandle<Processor>)) {
    let line = LineConfig {
        answer_within: 400,
        repeat_after: 150,
        reconnect_after: 100,
        ..LineConfig::new(AcquirerId::new("00456").expect("digits"))
    };
    let now = Now { time: world.now, ms: 0 };
    let mut processor =
        Processor::open_folder(folder.path(), "Clearing House", line, now, entropy::fresh()).expect("a processor");
    let (provider, key) = (world.provider.info().provider, world.provider.signing_key(world.now));
    processor.admit(provider, key, "Town", now).expect("admitted");
    let (bound, address) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let config = http::Config {
        listen: "127.0.0.1:0".parse().expect("an address"),
        bank: bank.address(),
        operator: None,
        bound: Some(bound),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runs");
    let thread = std::thread::spawn(move || {
        runtime.block_on(http::run(processor, config, async { drop(stopped.await) })).expect("served")
    });
    (format!("http://{}", address.blocking_recv().expect("bound")), (stop, thread))
}

pub fn answer<T: tegata_core::wire::canonical::Message>(
    world: &mut World,
    device: &mut Person,
    body: T,
) -> CreditAnswer {
    world.ask(device, body).expect("answered")
}

pub fn register(world: &mut World, clearing: &Clearing, wallet: &mut Person, card: TestCard) {
    let registration = registration(world, clearing, wallet, card);
    let registered = clearing.until(world, |world| answer(world, wallet, registration.clone()));
    assert_eq!(registered.state, CreditState::Authorized, "{registered:?}");
}

pub fn registration(world: &World, clearing: &Clearing, wallet: &Person, card: TestCard) -> RegisterCard {
    let details = CardDetails {
        number: CardNumber::new(card.number().as_bytes()).expect("digits"),
        expiry: CardExpiry::new(29, 12).expect("a month"),
        provider: world.provider.info().provider,
        extensions: Default::default(),
    };
    let sealed = seal_to(entropy::fresh(), clearing.info.processor, None, &clearing.info.sealing, &details.to_bytes());
    let (wallet, at) = (wallet.id().expect("joined"), world.now);
    RegisterCard { wallet, card: sealed.expect("sealed").0, at, extensions: Default::default() }
}

/// What credit has cleared and owes: the processor's own book.
pub fn credit_sums(world: &World, processor: PartyId) -> [i128; 2] {
    let books = world.provider.books().expect("books");
    let book = books.into_iter().find(|(issuer, ..)| *issuer == processor);
    book.map_or([0, 0], |(.., sums)| [Side::Issued, Side::Payable].map(|side| sums.sum(side)))
}

/// What the auditor finds, from the signed evidence alone.
pub fn audited(world: &World) -> tegata_audit::Audit {
    tegata_audit::audit(world.provider.store().connection(), &tegata_audit::Options::default()).expect("audited")
}

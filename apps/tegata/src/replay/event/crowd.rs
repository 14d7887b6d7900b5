//! The people: a wallet and a ticket each, in memory; they join, register a bank card and buy over real connections, a thread for
//! each line to the provider.

use crate::place::now;
use crate::replay::shop::{device, lock};
use crate::rig::ProviderProcess;
use crate::screen::{Failure, fail};
use indicatif::ProgressBar;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::talk::buy::{Article, BuyNotice, PurchaseRefusal};
use tegata_core::talk::credit::{CardExpiry, CardNumber, CreditNotice, PaymentOption};
use tegata_core::talk::join::ProviderInfo;
use tegata_core::wire::certificate::Role;
use tegata_core::wire::signed::Algorithm;
use tegata_device::{HttpPost, Joining, Post, PostError, fetch_processor, update_all};
use tegata_processor::bank::TestCard;
use tegata_vault::MemoryVault;
use tegata_wallet::Wallet;

/// How many wallets' messages one POST carries at most.
const CHUNK: usize = 250;
/// How many lines to the provider.
pub const LINES: usize = 12;
/// How long a line waits until it asks again while the provider is away, and a person while a gate or the bank is; and how often.
pub const PATIENCE: Duration = Duration::from_millis(20);
const TRIES: usize = 1_500;

/// One of the crowd.
pub struct Person {
    /// The wallet.
    pub wallet: Wallet<MemoryVault>,
    /// Its ticket, once it is bought.
    pub ticket: Option<CardId>,
}

/// All of them.
pub struct Crowd {
    /// The people.
    pub people: Vec<Mutex<Person>>,
    /// How many are through with what they do at the moment.
    pub through: AtomicUsize,
    bought_again: AtomicU64,
    url: String,
    info: ProviderInfo,
}

/// A line to the provider that asks again until it is answered (R26).
pub struct Line(HttpPost);

impl Line {
    /// To this provider.
    pub fn open(url: &str) -> Result<Self, Failure> {
        Ok(Self(HttpPost::new(url)?))
    }
}

impl Post for Line {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        let mut tries = 0;
        loop {
            match self.0.post(envelopes.clone()) {
                Err(PostError::Away(_)) if tries < TRIES => {
                    tries += 1;
                    std::thread::sleep(PATIENCE);
                }
                answered => return answered,
            }
        }
    }
}

impl Crowd {
    /// So many wallets, joined.
    pub fn gather(provider: &ProviderProcess, count: usize, bar: &ProgressBar) -> Result<Self, Failure> {
        let person = |_| {
            let wallet = Wallet::new(device(Algorithm::Ed25519), Algorithm::Ed25519);
            Mutex::new(Person { wallet, ticket: None })
        };
        let crowd = Self {
            people: (0..count).map(person).collect(),
            through: AtomicUsize::new(0),
            bought_again: AtomicU64::new(0),
            url: provider.url(),
            info: provider.info()?,
        };
        let chunks: Vec<usize> = (0..count).step_by(CHUNK).collect();
        for first in chunks {
            let some = &crowd.people[first..(first + CHUNK).min(count)];
            let names: Vec<String> = (first..).take(some.len()).map(|number| format!("visitor {number}")).collect();
            let tokens = provider.invite("wallet", &names, None)?;
            let mut line = Line::open(&crowd.url)?;
            let mut people: Vec<_> = some.iter().map(lock).collect();
            let mut sent = Vec::new();
            for (person, (token, name)) in people.iter_mut().zip(tokens.iter().zip(&names)) {
                let device = &mut person.wallet.device;
                sent.push(Joining::start(device, &crowd.info, token, Role::Wallet, name, now())?);
            }
            let answers = line.post(sent.iter().map(Joining::envelope).collect())?;
            for ((person, joining), answer) in people.iter_mut().zip(sent).zip(answers) {
                joining.finish(&mut person.wallet.device, &answer, now())?;
            }
            bar.inc(some.len() as u64);
        }
        Ok(crowd)
    }

    /// Does something with everyone of these, on [`LINES`] threads with a line each, in this order.
    pub fn each(
        &self,
        of: &[usize],
        bar: &ProgressBar,
        work: impl Fn(&mut Person, usize, &mut Line) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let (next, work) = (AtomicUsize::new(0), &work);
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..LINES)
                .map(|_| {
                    scope.spawn(|| -> Result<(), Failure> {
                        let mut line = Line::open(&self.url)?;
                        while let Some(number) = of.get(next.fetch_add(1, Ordering::SeqCst)) {
                            work(&mut lock(&self.people[*number]), *number, &mut line)?;
                            self.through.fetch_add(1, Ordering::SeqCst);
                            bar.inc(1);
                        }
                        Ok(())
                    })
                })
                .collect();
            all.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => fail("somebody of the crowd stopped unexpectedly"),
            })
        })
    }

    /// Everyone registers a bank card and buys a ticket.
    pub fn buy(&self, of: &[usize], bar: &ProgressBar) -> Result<(), Failure> {
        let Some(certificate) = fetch_processor(&self.url)? else {
            return fail("the provider has no processor");
        };
        let Some(first) = of.first() else { return Ok(()) };
        let article = {
            let mut person = lock(&self.people[*first]);
            person.wallet.catalogue(&mut Line::open(&self.url)?, now())?.into_iter().next()
        };
        let Some(article) = article else { return fail("no tickets are for sale") };
        self.each(of, bar, |person, _, line| {
            register(person, &certificate, line)?;
            for _ in 0..TRIES {
                person.ticket = bought(person, &article, line)?;
                if person.ticket.is_some() {
                    return Ok(());
                }
                self.bought_again.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(PATIENCE);
            }
            fail("the bank cannot be asked")
        })
    }

    /// How often somebody bought anew, since the processor could not ask the bank, or did not hear what it said.
    pub fn bought_again(&self) -> u64 {
        self.bought_again.load(Ordering::SeqCst)
    }

    /// Everyone of these updates.
    pub fn update(&self, of: &[usize], bar: &ProgressBar) -> Result<(), Failure> {
        let mut line = Line::open(&self.url)?;
        for some in of.chunks(CHUNK) {
            let mut people: Vec<_> = some.iter().map(|number| lock(&self.people[*number])).collect();
            let devices = people.iter_mut().map(|person| &mut person.wallet.device).collect();
            update_all(devices, &mut line, now())?;
            bar.inc(some.len() as u64);
        }
        Ok(())
    }
}

/// Registers a bank card that is always approved.
fn register(person: &mut Person, certificate: &[u8], line: &mut Line) -> Result<(), Failure> {
    let card = CardNumber::new(TestCard::Approved.number().as_bytes()).zip(CardExpiry::new(99, 12));
    let Some(card) = card else { return fail("the test card is none") };
    let sealed = person.wallet.seal_card(certificate, card, now())?;
    loop {
        match person.wallet.register_card(line, sealed.clone(), now())? {
            CreditNotice::Authorized => return Ok(()),
            CreditNotice::Waiting { .. } => {}
            other => return fail(format!("a bank card was not registered: {other:?}")),
        }
    }
}

/// Buys one and asks until it is known. `None`: nothing was bought or charged, since the processor could not ask the bank, or did not
/// hear what it said; it is bought anew.
fn bought(person: &mut Person, article: &Article, line: &mut Line) -> Result<Option<CardId>, Failure> {
    let (purchase, kept) = person.wallet.reserve(line, article.clone(), None, now())?;
    if !matches!(kept, BuyNotice::Reserved { .. }) {
        return fail(format!("no ticket was reserved: {kept:?}"));
    }
    let mut notice = person.wallet.buy(line, purchase, PaymentOption::Once, now())?;
    loop {
        match notice {
            BuyNotice::Delivered { card, .. } => return Ok(Some(card)),
            BuyNotice::Ended(PurchaseRefusal::Declined) => return Ok(None),
            BuyNotice::Waiting { .. } => notice = person.wallet.purchase(line, purchase, now())?,
            other => return fail(format!("a ticket was not sold: {other:?}")),
        }
    }
}

//! The town's telephone exchange: alice calls bob from her wallet, by a telephone card whose end ends the call. The switch and both
//! phones are opened as processes of the same folder would be, over sockets.

use crate::commands::{self, phone, switch};
use crate::flags::{IssuerCommand, OrderFlags, TermsFlags};
use crate::operator::Operator;
use crate::place::{Opened, Place, Sort, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::{Value, json};
use std::path::PathBuf;
use tegata_core::Unit;
use tegata_core::charging::Rate;
use tegata_core::talk::call::CallerNotice;
use tegata_core::wire::signed::Algorithm;
use tegata_sip::{Number, Phone, PhoneConfig};
use tegata_switch::Switch;
use tegata_switch::desk::Desk;
use tegata_vault::{PartFolder, SqliteVault};
use tegata_wallet::{Heard, Person, Speaker};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Who sells telephone cards and sets what calls cost.
const ISSUER: &str = "townphone";
/// The switch, and the merchant who runs it.
const SWITCH: &str = "exchange";
/// Whose phone has which number.
const NUMBERS: [(&str, &str); 2] = [("alice", "03001"), ("bob", "03002")];
/// A unit: 5 cents for 0.3 seconds, so that a newcomer sees a card end without waiting for it.
const PRICE: u64 = 5;
const LENGTH: u64 = 300;
/// What a card holds.
const FACE: &str = "0.50";

/// The switch, connecting calls.
struct Exchange {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    desk: JoinHandle<Result<Desk<SqliteVault>, Failure>>,
    folder: PartFolder,
}

impl Exchange {
    fn open(place: &Place, runtime: &Runtime) -> Result<Self, Failure> {
        let Opened { part, folder } = place.switch(SWITCH)?;
        let config = switch::config("127.0.0.1:0", &[], &[], 100)?;
        let phones = switch::Phones::read(folder.path())?;
        let (sip, mut control) = runtime.block_on(tegata_sip::Switch::start(config, phones))?;
        let address = sip.address();
        write_address(folder.path(), &address.to_string())?;
        let (stop, stopped) = watch::channel(false);
        let desk = runtime.spawn(async move {
            let mut desk = Desk::new(part);
            let served = desk.run(&sip, &mut control, stopped, now).await;
            // Before its charging goes, which it would take for a fault.
            drop(sip);
            served?;
            Ok(desk)
        });
        Ok(Self { address, stop, desk, folder })
    }

    /// Closes it; its calls are logged.
    fn close(self, runtime: &Runtime) -> Result<Switch<SqliteVault>, Failure> {
        // Gone already is as good as stopped.
        let _ = self.stop.send(true);
        forget_address(self.folder.path());
        let Ok(desk) = runtime.block_on(self.desk) else { return fail("the switch stopped unexpectedly") };
        let mut switch = desk?.switch;
        switch.recover(now())?;
        Ok(switch)
    }
}

/// Bob takes the call, and says nothing more.
struct Bob;

impl Person for Bob {
    fn told(&mut self, _: &CallerNotice) -> bool {
        false
    }
    fn ends(&mut self) -> bool {
        false
    }
}

impl Speaker for Bob {
    fn hears(&mut self, _: &Heard) {}
}

/// Plays it, and says what everybody sees.
pub fn play(place: &Place, screen: Screen, operator: &Operator) -> Result<Value, Failure> {
    screen.say(bold("15. Telephone cards: alice calls bob from her wallet; what her card pays for ends the call."));
    let passwords = set_up(place, operator)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exchange = Exchange::open(place, &runtime)?;
    for ((name, number), password) in NUMBERS.iter().zip(&passwords) {
        phone::keep(place, name, number, (Some(password.clone()), Some(SWITCH.to_owned())))?;
    }
    let called = talk(place, screen, &runtime, (&exchange, &passwords[1]));
    let mut switch = exchange.close(&runtime)?;
    let called = called?;
    screen.say(format!("  alice's screen: {}", called.text));
    switch.update(&mut place.post()?, now())?;
    let mut alice = place.wallet("alice")?;
    alice.part.update(&mut place.post()?, now())?;
    screen.say(phone::calls(&alice.part)?.text);
    Ok(called.json)
}

/// Issuer, card and switch, which knows what calls cost; gives the phones' passwords.
fn set_up(place: &Place, operator: &Operator) -> Result<Vec<String>, Failure> {
    let token = |role: &str, name: &str, owner: Option<&str>| -> Result<String, Failure> {
        let answer = operator.ask(&json!({ "do": "invite", "role": role, "names": [name], "owner": owner }))?;
        Ok(answer.pointer("/tokens/0").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let join = |sort, role, name, owner: Option<&str>| -> Result<String, Failure> {
        let joined = commands::join_part(place, sort, name, &token(role, name, owner)?, Algorithm::Ed25519)?;
        Ok(joined.json.get("id").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    join(Sort::Issuer, "issuer", ISSUER, None)?;
    let owner = join(Sort::Merchant, "merchant", SWITCH, None)?;
    let rate = Rate {
        prefix: "0300".into(),
        when: None,
        setup: 0,
        price: PRICE,
        length: LENGTH,
        minimum: 1,
        setup_kept: None,
        extensions: Default::default(),
    };
    place.issuer(ISSUER)?.part.set_tariff(&mut place.post()?, (Unit::USD, 0), vec![rate], now())?;
    let terms = TermsFlags { telephone: true, card_name: "Town telephone card".into(), ..super::town_terms() };
    let run = |command| commands::issuer::run(place, Screen { json: true }, ISSUER, command);
    run(IssuerCommand::Order(OrderFlags { count: 2, face: FACE.into(), terms }))?;
    run(IssuerCommand::Activate { batch: 1, first: 1, last: Some(2) })?;
    let number = match place.issuer(ISSUER)?.part.print(1)?.first() {
        Some(printed) => printed.number.to_string(),
        None => return fail("the issuer printed no number"),
    };
    commands::wallet::install(place, "alice", &number, None)?;
    // The switch comes last: joining, it fetches tariffs and terms.
    join(Sort::Switch, "switch", SWITCH, Some(&owner))?;
    let folder: PathBuf = place.switch(SWITCH)?.folder.path().to_owned();
    let random = || tegata_crypto_native::entropy::fresh().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let passwords: Vec<String> = NUMBERS.iter().map(|_| random()).collect();
    for ((_, number), password) in NUMBERS.iter().zip(&passwords) {
        let Ok(number) = Number::read(number) else { return fail("no number") };
        switch::Phones::add(&folder, &number, password)?;
    }
    Ok(passwords)
}

/// Bob waits by his phone, and alice calls.
fn talk(
    place: &Place,
    screen: Screen,
    runtime: &Runtime,
    (exchange, password): (&Exchange, &str),
) -> Result<Answer, Failure> {
    let Ok(number) = Number::read(NUMBERS[1].1) else { return fail("no number") };
    let config = PhoneConfig::new(exchange.address, number, password);
    let (phone, mut line) = runtime.block_on(async {
        let (phone, mut line) = Phone::start(config).await?;
        tegata_wallet::registered(&mut line).await?;
        Ok::<_, Failure>((phone, line))
    })?;
    let bob = runtime.spawn(async move {
        let taken = tegata_wallet::answer(&mut line, &mut Bob).await;
        phone.stop().await;
        taken
    });
    let wanted = phone::Wanted { number: NUMBERS[1].1, at: None, card: None, most: None, seconds: None, yes: true };
    let called = phone::call(place, screen, "alice", &wanted);
    if called.is_err() {
        bob.abort();
    } else if let Ok(Ok(Some(taken))) = runtime.block_on(bob) {
        let from = taken.from.map_or_else(|| "somebody".to_owned(), |number| number.to_string());
        screen.say(format!("  bob's screen: {from} called. {}.", taken.reason.text));
    }
    called
}

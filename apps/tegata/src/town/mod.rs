//! The town: every part on one data folder, each over real connections, with a first walk that a newcomer can watch.

mod calls;
mod concert;
mod gifts;

use crate::commands::{self, provider::Serving, terminal, wallet};
use crate::flags::{IssuerCommand, OrderFlags, SellFlags, TermsFlags};
use crate::operator::Operator;
use crate::place::{Opened, Place, Sort, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, width};
use serde_json::{Value, json};
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::wire::signed::Algorithm;
use tegata_iso8583::AcquirerId;
use tegata_processor as processor;
use tegata_processor::bank::{Host, HostConfig, TestCard};
use tegata_terminal::{Terminal, listen};
use tegata_vault::SqliteVault;
use tegata_wallet::{Answer as Consent, pay};
use tokio::sync::oneshot;

/// The sample wallets' code number.
const CODE: &str = "1234";
/// Sample merchants, each with one terminal of the same name.
const MERCHANTS: [&str; 2] = ["cafe", "kiosk"];
/// Sample wallets: the second one's keys are as a phone's secure element makes them.
const WALLETS: [(&str, Algorithm); 2] = [("alice", Algorithm::Ed25519), ("bob", Algorithm::P256)];
/// The sample issuer.
const ISSUER: &str = "townbank";

/// Runs it.
pub fn run(mut place: Place, screen: Screen, listen: &str, once: bool) -> Result<Answer, Failure> {
    place.code.get_or_insert_with(|| CODE.to_owned());
    let serving = Serving::start(&place, listen, "Tegata Town", None)?;
    screen.say(format!(
        "The provider listens on {}, its data are in {}.",
        serving.address,
        place.folder.path().display()
    ));
    let credit = Credit::open(&place, screen)?;
    let new = !place.folder.path().join("issuers").join(ISSUER).exists();
    let walked = if new {
        settle_in(&place, screen)?;
        let mut walked = walk(&place, screen)?;
        walked["credit"] = credit.walk(&place, screen)?;
        walked
    } else {
        screen.say("This town was built before; its cards and merchants are as they were left.");
        Value::Null
    };
    let printed = place.issuer(ISSUER)?.part.print(1)?;
    let next = printed.get(1).map(|printed| printed.number.to_string()).unwrap_or_default();
    let json = json!({ "provider": serving.address.to_string(), "walk": walked, "next_number": next });
    if once {
        serving.stop()?;
        credit.close()?;
        return Ok(Answer::new("", json));
    }
    screen.say(what_next(&place, &next));
    crate::on_interrupt(&place.folder.path().join("provider"), &serving.address.to_string())?;
    serving.wait()?;
    credit.close()?;
    Ok(Answer::new("The town is closed; start it again where you left it.", json))
}

/// The credit side of the town: a bank for tests and a processor, each behind its own socket.
struct Credit {
    _bank: Host,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<Result<(), Failure>>,
}

impl Credit {
    /// Starts both; the provider clears with the processor from now on.
    fn open(place: &Place, screen: Screen) -> Result<Self, Failure> {
        let bank = Host::start(HostConfig { listen: ([127, 0, 0, 1], 0).into(), late: 3_000 })?;
        let Some(acquirer) = AcquirerId::new("1") else { return fail("1 is no acquirer code") };
        let lock = place.folder.processor()?;
        let moment = processor::Now { time: now().time, ms: 0 };
        let config = processor::LineConfig::new(acquirer);
        let mut clearing =
            processor::Processor::open_folder(lock.path(), "Town Clearing", config, moment, now().entropy)?;
        let operator = Operator::connect(&place.folder.path().join("provider"), &place.provider_url()?)?;
        let key = operator.ask(&json!({ "do": "key" }))?;
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
        let admitted =
            json!({ "do": "admit", "provider": text("provider"), "key": text("key"), "name": "Tegata Town" });
        if let Some(error) = processor::operator::answer(&mut clearing, &admitted, moment).get("error") {
            return fail(format!("the processor does not admit the town's provider: {error}"));
        }
        let (bound, address) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let config = processor::http::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            bank: bank.address(),
            operator: Some(processor::operator::key(lock.path())?),
            bound: Some(bound),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let thread = std::thread::spawn(move || -> Result<(), Failure> {
            // The folder stays locked while it runs. That whoever stops it is gone stops it, too.
            let _lock = lock;
            runtime.block_on(processor::http::run(clearing, config, async { drop(stopped.await) }))?;
            Ok(())
        });
        let Ok(address) = address.blocking_recv() else {
            return fail("the processor did not start");
        };
        write_address(&place.folder.path().join("processor"), &address.to_string())?;
        let found = commands::provider::clear_with(&format!("http://{address}"), |question| operator.ask(&question))?;
        let name = found.get("name").and_then(Value::as_str).unwrap_or_default();
        screen.say(format!("{name} clears credit on {address}, with a bank for tests behind it."));
        Ok(Self { _bank: bank, stop, thread })
    }

    /// The cafe takes credit, alice registers a bank card and pays with it.
    fn walk(&self, place: &Place, screen: Screen) -> Result<Value, Failure> {
        screen.say(bold("7. Alice registers a bank card; its number is sealed to the processor, nobody else sees it."));
        let operator = Operator::connect(&place.folder.path().join("provider"), &place.provider_url()?)?;
        let merchant = commands::merchant::id(place, "cafe")?;
        operator.ask(&json!({
            "do": "enrol", "merchant": merchant, "code": "CAFE", "category": 5814, "name": "CAFE TEGATA TOWN",
        }))?;
        let number = TestCard::Approved.number().to_owned();
        let registered = commands::credit::register(place, "alice", Some(number), "12/29")?;
        screen.say(format!("  {}", registered.text));
        screen.say(bold(
            "8. She pays 12.00 by credit. Cafe and wallet each ask the provider; it pays only what both named.",
        ));
        let paid = by_credit(place, screen)?;
        // The cafe's log brings its receipt to alice.
        place.terminal("cafe")?.part.update(&mut place.post()?, now())?;
        let mut alice = place.wallet("alice")?;
        alice.part.update(&mut place.post()?, now())?;
        screen.say(commands::credit::list(&alice.part)?.text);
        drop(alice);
        let bought = by_network(place, screen, &operator)?;
        let opened = opened(place, screen, &operator)?;
        let letters = letters(place, screen)?;
        let concert = concert::play(place, screen, &operator)?;
        let calls = calls::play(place, screen, &operator)?;
        let settled = operator.ask(&json!({ "do": "settle" }))?;
        screen.say(commands::provider::settlement(&settled));
        let audited = crate::audit::run(&place.folder.path().join("provider").join("provider.db"))?;
        screen.say(format!("The auditor: {}", audited.text));
        let json = json!({
            "paid": paid, "opened": opened, "letters": letters, "bought": bought, "concert": concert,
            "calls": calls, "settled": settled, "audit": audited.json,
        });
        Ok(json)
    }

    /// Stops the processor: what it was about to do is durable.
    fn close(self) -> Result<(), Failure> {
        drop(self.stop);
        match self.thread.join() {
            Ok(ended) => ended,
            Err(_) => fail("the processor stopped unexpectedly"),
        }
    }
}

/// The four messages of the payment, side by side where the screen is wide enough, and the command that opens them.
fn opened(place: &Place, screen: Screen, operator: &Operator) -> Result<Value, Failure> {
    let listed = operator.ask(&json!({ "do": "credits" }))?;
    let request = listed.pointer("/credits/0/request").and_then(Value::as_str).unwrap_or_default();
    let found = operator.ask(&json!({ "do": "credit", "request": request }))?;
    let shown = commands::opened::side_by_side(&found, width());
    if shown.contains('│') {
        screen.say(shown);
    }
    screen.say("  What processor, provider, cafe and wallet told each other, opened side by side on a wide screen:");
    screen.say(format!("  {} provider credits --open {request}", program(place)));
    Ok(found)
}

/// The cafe writes to its customer, alice asks about her receipt.
fn letters(place: &Place, screen: Screen) -> Result<Value, Failure> {
    screen.say(bold(
        "10. The cafe writes to its customer, whom it knows by a number only; alice asks about her receipt.",
    ));
    let customer = place.terminal("cafe")?.part.payments()?.into_iter().find_map(|paid| paid.customer);
    let Some(customer) = customer else { return fail("the cafe knows no customer") };
    let recall = "The cake may hold nuts; please bring it back";
    commands::reach::terminal_writes(place, "cafe", &customer.to_string(), recall)?;
    let receipt = place.wallet("alice")?.part.receipts()?.pop();
    let Some(receipt) = receipt else { return fail("alice has no receipt") };
    let number = receipt.name.handle().to_string();
    commands::reach::wallet_writes(place, "alice", &number, "Did I leave my bag at your place?")?;
    let alice = commands::reach::wallet_messages(place, "alice")?;
    let cafe = commands::reach::terminal_messages(place, "cafe")?;
    screen.say(format!("alice reads:\n{}\nthe cafe reads:\n{}", alice.text, cafe.text));
    Ok(json!({ "customer": customer.to_string(), "alice": alice.json, "cafe": cafe.json }))
}

/// One payment by credit over a socket, and both lines to the provider.
fn by_credit(place: &Place, screen: Screen) -> Result<Value, Failure> {
    let Opened { part: mut till, folder } = place.terminal("cafe")?;
    let counter = listen("127.0.0.1:0")?;
    write_address(folder.path(), &counter.address().to_string())?;
    let amount = commands::amount("12.00", "USD")?;
    let told = std::thread::scope(|scope| -> Result<(Answer, Answer), Failure> {
        let waiting = scope.spawn(|| -> Result<Answer, Failure> {
            let charged = charge(&counter, &mut till, amount)?;
            terminal::settled(place, screen, &mut till, &charged)
        });
        let users = commands::credit::pay(place, screen, "alice", "cafe", (PaymentOption::Once, true));
        match waiting.join() {
            Ok(merchants) => Ok((users?, merchants?)),
            Err(_) => fail("the terminal stopped unexpectedly"),
        }
    });
    forget_address(folder.path());
    let (users, merchants) = told?;
    screen.say(format!("  the cafe's screen: {}", merchants.text));
    screen.say(format!("  alice's screen: {}", users.text));
    Ok(users.json)
}

/// A card bought by credit over the network, and a payment with it.
fn by_network(place: &Place, screen: Screen, operator: &Operator) -> Result<Value, Failure> {
    screen.say(bold("9. The issuer sells cards over the network; alice buys one by her bank card and pays with it."));
    let issuer = place.issuer(ISSUER)?.part.party()?.to_string();
    operator.ask(&json!({
        "do": "enrol", "merchant": issuer, "code": "TOWNBANK", "category": 6012, "name": "TOWN BANK CARDS",
    }))?;
    let sell = SellFlags {
        article: 1,
        face: "20.00".into(),
        stock: 100,
        sold_days: 365,
        clear_after_hours: None,
        units: None,
        price: None,
        terms: town_terms(),
    };
    commands::issuer::run(place, screen, ISSUER, IssuerCommand::Sell(sell))?;
    screen.say(commands::buy::catalogue(place, "alice")?.text);
    let wanted = commands::buy::Wanted {
        article: 1,
        issuer: None,
        card: None,
        seat: None,
        wait: false,
        option: PaymentOption::Once,
        yes: true,
    };
    let bought = commands::buy::buy(place, screen, "alice", &wanted)?;
    screen.say(format!("  {}", bought.text));
    let card = bought.json.get("card").and_then(Value::as_str).and_then(CardId::parse);
    let mut alice = place.wallet("alice")?;
    let paid = offline(place, screen, &mut alice, card)?;
    // Both sides' records reach the provider: the auditor sees what the card paid.
    alice.part.update(&mut place.post()?, now())?;
    place.terminal("cafe")?.part.update(&mut place.post()?, now())?;
    Ok(json!({ "card": bought.json, "paid": paid }))
}

/// Issuer, merchants, terminals and wallets join, each with a token of its own.
fn settle_in(place: &Place, screen: Screen) -> Result<(), Failure> {
    let operator = Operator::connect(&place.folder.path().join("provider"), &place.provider_url()?)?;
    let token = |role: &str, name: &str, owner: Option<&str>| -> Result<String, Failure> {
        let answer = operator.ask(&json!({ "do": "invite", "role": role, "names": [name], "owner": owner }))?;
        Ok(answer.pointer("/tokens/0").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let join = |sort, name: &str, token: &str, algorithm| -> Result<Answer, Failure> {
        let answer = commands::join_part(place, sort, name, token, algorithm)?;
        screen.say(format!("  {}", answer.text));
        Ok(answer)
    };
    screen.say(bold("1. Everybody joins with a one-time token."));
    join(Sort::Issuer, ISSUER, &token("issuer", ISSUER, None)?, Algorithm::Ed25519)?;
    for name in MERCHANTS {
        let merchant = join(Sort::Merchant, name, &token("merchant", name, None)?, Algorithm::Ed25519)?;
        let owner = merchant.json.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        join(Sort::Terminal, name, &token("terminal", name, Some(&owner))?, Algorithm::Ed25519)?;
    }
    for (name, algorithm) in WALLETS {
        join(Sort::Wallet, name, &token("wallet", name, None)?, algorithm)?;
    }
    Ok(())
}

/// The terms of the town's cards.
fn town_terms() -> TermsFlags {
    TermsFlags {
        telephone: false,
        currency: "USD".into(),
        card_name: "Town card".into(),
        max_payment: "100.00".into(),
        offline_limit: "200.00".into(),
        max_balance: "1000.00".into(),
        due_days: 30,
        list_days: 7,
        record_days: 7,
        years: 5,
    }
}

/// A card is bought, paid with offline, and settled.
fn walk(place: &Place, screen: Screen) -> Result<Value, Failure> {
    screen.say(bold("2. The issuer prints numbers; the till sells and activates them."));
    let flags = OrderFlags { count: 10, face: "50.00".into(), terms: town_terms() };
    commands::issuer::run(place, screen, ISSUER, IssuerCommand::Order(flags))?;
    let activate = IssuerCommand::Activate { batch: 1, first: 1, last: Some(10) };
    screen.say(format!("  {}", commands::issuer::run(place, screen, ISSUER, activate)?.text));
    // The terminals learn the terms of the new cards.
    for name in MERCHANTS {
        place.terminal(name)?.part.update(&mut place.post()?, now())?;
    }
    let number = match place.issuer(ISSUER)?.part.print(1)?.first() {
        Some(printed) => printed.number.to_string(),
        None => return fail("the issuer printed no number"),
    };
    screen.say(bold("3. Alice buys the first number and installs the card."));
    let mut alice = place.wallet("alice")?;
    let card = alice.part.install(&mut place.post()?, &number, None, now())?;
    alice.part.update(&mut place.post()?, now())?;
    screen.say(format!("  {number} is now {card} with 50.00 USD."));

    screen.say(bold("4. She pays 4.50 at the cafe. Neither side asks the provider."));
    let paid = offline(place, screen, &mut alice, Some(card))?;
    drop(alice);

    screen.say(bold("5. At night both update: the provider has both sides and compares them."));
    let mut cafe = place.terminal("cafe")?;
    let till = cafe.part.update(&mut place.post()?, now())?;
    let mut alice = place.wallet("alice")?;
    let purse = alice.part.update(&mut place.post()?, now())?;
    screen.say(format!("  {}", commands::updated("cafe", &till).text));
    screen.say(format!("  {}", commands::updated("alice", &purse).text));

    screen.say(bold("6. The provider settles."));
    let operator = Operator::connect(&place.folder.path().join("provider"), &place.provider_url()?)?;
    let settled = operator.ask(&json!({ "do": "settle" }))?;
    screen.say(commands::provider::settlement(&settled));
    let audited = crate::audit::run(&place.folder.path().join("provider").join("provider.db"))?;
    screen.say(format!("The auditor, from the signed evidence alone: {}", audited.text));
    Ok(json!({ "card": card.to_string(), "paid": paid, "settled": settled, "audit": audited.json }))
}

/// One payment over a socket, the terminal waiting, the wallet touching.
fn offline(
    place: &Place,
    screen: Screen,
    alice: &mut Opened<tegata_wallet::Wallet<SqliteVault>>,
    card: Option<CardId>,
) -> Result<Value, Failure> {
    let Opened { part: mut till, folder } = place.terminal("cafe")?;
    let counter = listen("127.0.0.1:0")?;
    write_address(folder.path(), &counter.address().to_string())?;
    let address = counter.address();
    let waiting = std::thread::spawn(move || -> Result<Answer, Failure> {
        let amount = commands::amount("4.50", "USD")?;
        let charged = charge(&counter, &mut till, amount)?;
        terminal::outcome(&charged)
    });
    let card = card.or(alice.part.cards()?.first().map(|held| held.card));
    let Some(card) = card else {
        return fail("alice has no card");
    };
    let shown = |notice: &tegata_core::talk::pay::WalletNotice| {
        if let tegata_core::talk::pay::WalletNotice::Consent { merchant, amount, .. } = notice {
            screen.say(format!("  alice's screen: {merchant} asks for {amount}. She agrees."));
        }
        Consent::Agree
    };
    let paid = pay(&mut alice.part, address, card, shown, now)?;
    let bytes = paid.traffic.bytes_sent + paid.traffic.bytes_received;
    let told = wallet::outcome(&paid.notices, bytes)?;
    forget_address(folder.path());
    screen.say(format!("  alice's screen: {}", told.text));
    match waiting.join() {
        Ok(answer) => screen.say(format!("  the cafe's screen: {}  ({bytes} bytes over the link)", answer?.text)),
        Err(_) => return fail("the terminal stopped unexpectedly"),
    }
    Ok(told.json)
}

fn charge(
    counter: &tegata_terminal::Waiting,
    till: &mut Terminal<SqliteVault>,
    amount: tegata_core::Amount,
) -> Result<Vec<tegata_core::talk::pay::TerminalNotice>, Failure> {
    let sale = till.sale(amount, Some("coffee and cake".into()))?;
    match counter.charge(till, &sale, Duration::from_secs(30), now)? {
        tegata_terminal::Charged::Notices(notices) => Ok(notices),
        tegata_terminal::Charged::Nobody => fail("nobody touched"),
    }
}

/// The program on this data folder, as it is typed.
fn program(place: &Place) -> String {
    let program = std::env::current_exe().map_or_else(|_| "tegata".into(), |path| path.display().to_string());
    format!("{program} --data {}", place.folder.path().display())
}

/// What to try, in commands that can be pasted.
fn what_next(place: &Place, number: &str) -> String {
    let t = program(place);
    format!(
        "\n{}\nIn another window (the sample wallets' code number is {CODE}):\n\n  \
         export TEGATA_CODE={CODE}\n  \
         {t} wallet bob install {number}\n  \
         {t} wallet bob cards\n  \
         {t} terminal kiosk charge 3.20 --items newspaper &\n  \
         {t} wallet bob pay kiosk --yes\n  \
         {t} terminal kiosk void 1        # undo it: the money goes back with bob's next update\n  \
         {t} terminal kiosk update\n  \
         {t} wallet bob update\n  \
         {t} terminal cafe charge 7.00 --items cake &\n  \
         {t} wallet alice pay cafe --credit --yes     # by her bank card\n  \
         {t} wallet alice credits\n  \
         {t} wallet alice catalogue\n  \
         {t} wallet alice buy 1 --issuer ISSUER --yes # a card over the network; `catalogue --json` shows the ids\n  \
         {t} wallet alice purchases\n  \
         {t} wallet alice tickets\n  \
         {t} wallet alice buy 1 --issuer ID --yes     # another seat; `catalogue --json` shows the town hall's id\n  \
         {t} wallet alice give TICKET --yes &          # `tickets` shows it; needs no network\n  \
         {t} wallet bob take alice\n  \
         {t} gate door1 run < /dev/null &             # needs no network; in a window of its own it also takes what staff types\n  \
         {t} wallet bob enter door1 --ticket TICKET\n  \
         {t} switch exchange run --listen 127.0.0.1:5060 &    # connects calls\n  \
         {t} issuer townphone print 1                 # the second number is another telephone card\n  \
         {t} wallet alice install NUMBER\n  \
         {t} wallet bob answer &\n  \
         {t} wallet alice call 03002\n  \
         {t} wallet alice mute cafe        # what the cafe writes is dropped, and it is not told\n  \
         {t} terminal cafe messages\n  \
         {t} provider credits              # --open REQUEST shows what all four told each other\n  \
         {t} provider settle\n  \
         {t} provider owed\n  \
         {t} merchant kiosk statement\n  \
         {t} audit\n\n\
         Charging and paying go on while the town is stopped: try it after Ctrl-C. `--help` explains every command.",
        bold("The town is open. What to try next:"),
    )
}

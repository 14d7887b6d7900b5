//! A way to the network that a telephone card pays for, on the command line: who opens it, and who goes through it.

use super::phone::{at_least, clock, span, yet};
use super::switch::{brought_up, who_has_records};
use crate::place::{Opened, Place, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tegata_core::card::payment::PurseState;
use tegata_core::card::{CallEnd, CallReceipt, CardKind};
use tegata_core::charging::{CallTariff, digits};
use tegata_core::talk::call::{Caller, CallerNotice};
use tegata_core::talk::pay::load_purse;
use tegata_core::{Amount, CardId};
use tegata_device::{hang_up_all, take_up_all};
use tegata_switch::Switch;
use tegata_switch::hotspot::Hotspot;
use tegata_vault::SqliteVault;
use tegata_wallet::{Person, Wallet, service, surf};

/// Opens the way for whoever pays, until it is stopped.
pub fn open(
    place: &Place,
    screen: Screen,
    name: &str,
    (listen, number): (&str, &str),
    (update_every, keep): (u64, u64),
) -> Result<Answer, Failure> {
    let Some(dialled) = digits(number) else {
        return fail(format!("'{number}' is no service number: digits only, at most 24, as a tariff's prefixes are"));
    };
    let Opened { part: mut switch, folder } = place.switch(name)?;
    let rated = switch.exchange()?.tariffs.iter().any(|(_, tariff)| tariff.rate(&dialled, now().time).is_some());
    if !rated {
        return fail(format!(
            "no tariff has a rate for {number} at this hour; an issuer of telephone cards sets one, then update this switch once"
        ));
    }
    let recovered = switch.recover(now())?;
    let before = switch.records()?.iter().map(|record| record.number).max().unwrap_or(0);
    while switch.prune(now().time, keep)? > 0 {}
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let hotspot = Hotspot::new(switch, &dialled, now);
    runtime.block_on(async {
        let Ok(listener) = tokio::net::TcpListener::bind(listen).await else {
            return fail(format!("'{listen}' cannot be listened at; write it like 0.0.0.0:8080, with a port that is free"));
        };
        let address = listener.local_addr()?.to_string();
        write_address(folder.path(), &address)?;
        let text = format!(
            "{} opens the way to the network at {address}, by the rate of {dialled}. Now pay with a wallet, in another window:\n  \
             tegata wallet alice surf --at {name}",
            bold(name)
        );
        let json = json!({ "listening": address, "service": dialled, "recovered": recovered });
        screen.show(&Answer::new(text, json));
        let updating = async {
            if update_every == 0 {
                return std::future::pending().await;
            }
            loop {
                tokio::time::sleep(Duration::from_secs(update_every)).await;
                // With no network it goes on; what waits goes up with the next try.
                let brought = tokio::task::block_in_place(|| {
                    Ok::<_, Failure>(hotspot.update(&mut place.brief_post()?, keep)?)
                });
                if let Err(failure) = brought {
                    tracing::info!("the log waits: {}", failure.0);
                }
            }
        };
        // Sessions end as it is stopped, also while an answer of the provider is awaited.
        let serving = tokio::spawn(hotspot.clone().serve(listener, crate::interrupted()));
        let served = tokio::select! {
            served = serving => served.map_err(std::io::Error::from).and_then(|served| served),
            () = updating => Ok(()),
        };
        forget_address(folder.path());
        served.map_err(Failure::from)
    })?;
    hotspot.switch(|switch| closed(place, screen, (name, switch), (before, update_every > 0)))
}

/// What could not be ended is cut off with the hotspot; what that costs is logged now. Then its records are brought up once.
fn closed(
    place: &Place,
    screen: Screen,
    (name, switch): (&str, &mut Switch<SqliteVault>),
    (before, updates): (u64, bool),
) -> Result<Answer, Failure> {
    let cut = switch.recover(now())?;
    let sessions = switch.records()?.iter().filter(|record| record.number > before).count();
    let left = brought_up(place, screen, switch, updates);
    let text = format!(
        "The hotspot is closed. {sessions} sessions were asked for since it was opened; {cut} were cut off. {}",
        who_has_records(name, left)
    );
    Ok(Answer::new(text, json!({ "closed": true, "sessions": sessions, "cut": cut, "waiting": left })))
}

/// Whom a wallet pays at a hotspot, and how long it stays.
pub struct Wish<'a> {
    /// The hotspot: a name on this data folder, or a URL.
    pub at: &'a str,
    /// Seconds; `None`: until it is stopped or the card is empty.
    pub seconds: Option<u64>,
    /// Which card; `None`: the telephone card that can spend most.
    pub card: Option<&'a str>,
    /// Agree without being asked.
    pub yes: bool,
}

/// Pays for the way as long as it is wished.
pub fn through(place: &Place, screen: Screen, name: &str, wish: &Wish<'_>) -> Result<Answer, Failure> {
    let url = place.hotspot(wish.at)?;
    let mut opened = place.wallet(name)?;
    let wallet = &mut opened.part;
    // What an earlier call or session has left open ends first.
    hang_up_all(&mut wallet.device, now())?;
    let card = telephone(wallet, wish.card)?;
    take_up_all(&mut wallet.device, card, now())?;
    let called = service(&url)?;
    let caller = Caller { payer: wallet.payer(card)?, called, limit: None };
    let stopped = Arc::new(AtomicBool::new(false));
    let mut user =
        User { screen, yes: wish.yes, seconds: wish.seconds, since: None, stopped: stopped.clone(), why: None };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(crate::interrupted());
            stopped.store(true, Ordering::Relaxed);
        }
    });
    let receipt = surf(&mut wallet.device, caller, &url, now, &mut user);
    // Broken off or not: what was paid is logged, and what came back is taken up.
    hang_up_all(&mut wallet.device, now())?;
    take_up_all(&mut wallet.device, card, now())?;
    let receipt = receipt?;
    if let (None, Some(why)) = (&receipt, user.why) {
        return fail(why);
    }
    let left = load_purse(&wallet.device, card)
        .and_then(|purse| Amount::new(purse.certificate.claimed().face.unit(), purse.remaining));
    Ok(told(card, receipt.as_ref(), left))
}

/// How it ended, for people and programs.
fn told(card: CardId, receipt: Option<&CallReceipt>, left: Option<Amount>) -> Answer {
    let remain = left.map_or_else(String::new, |left| format!(" {left} remain."));
    let text = match receipt {
        Some(receipt) => {
            let lasted = clock(receipt.lasted.unwrap_or(0));
            let why = match receipt.ended {
                CallEnd::CardBlocked => " It ended since the card is blocked: update the wallet and ask the provider.",
                CallEnd::SwitchRestarted => " It ended since the hotspot was stopped.",
                _ => "",
            };
            format!("{lasted} on the network cost {}.{remain} The receipt is kept.{why}", bold(receipt.used))
        }
        None => format!("It has ended; what it cost comes with the next update.{remain}"),
    };
    let json = json!({
        "card": card.to_string(),
        "used": receipt.map(|receipt| receipt.used.decimal().to_string()),
        "currency": left.map(|left| left.unit().name()),
        "lasted_ms": receipt.and_then(|receipt| receipt.lasted),
        "ended": receipt.map(|receipt| receipt.ended.name()),
        "remaining": left.map(|left| left.decimal().to_string()),
    });
    Answer::new(text, json)
}

/// The card that pays.
fn telephone(wallet: &Wallet<SqliteVault>, named: Option<&str>) -> Result<CardId, Failure> {
    let held: Vec<_> = wallet.cards()?.into_iter().filter(|held| held.kind == CardKind::Telephone).collect();
    // A card that is blocked or over may still hold much, and pays nothing.
    let best = held.iter().max_by_key(|held| (held.state == PurseState::Active, held.spendable.minor()));
    match (named, best) {
        (Some(named), _) => match held.iter().find(|held| held.card.to_string() == named) {
            Some(held) => Ok(held.card),
            None => fail(format!("this wallet holds no telephone card {named}; `cards` lists what it holds")),
        },
        (None, Some(held)) => Ok(held.card),
        (None, None) => fail("this wallet holds no telephone card yet; install one: tegata wallet NAME install NUMBER"),
    }
}

/// Whoever sits before the screen.
struct User {
    screen: Screen,
    yes: bool,
    seconds: Option<u64>,
    /// Since when the way is open.
    since: Option<Instant>,
    stopped: Arc<AtomicBool>,
    /// Why there is no way.
    why: Option<String>,
}

impl User {
    fn agrees(&self, by: &str, tariff: &CallTariff, units: u64) -> bool {
        let amount =
            |minor| Amount::new(tariff.unit, minor).map_or_else(|| minor.to_string(), |amount| amount.to_string());
        let setup = if tariff.setup > 0 { format!("{} once and ", amount(tariff.setup)) } else { String::new() };
        let lasts = if tariff.price == 0 {
            String::new()
        } else {
            format!("; the card lasts for {}", clock(units.saturating_mul(tariff.length)))
        };
        let least = at_least(tariff).map_or_else(String::new, |least| format!(", {least}"));
        self.screen.say(format!(
            "{} asks for {setup}{} for each {} ({}){least}{lasts}.",
            bold(by),
            bold(amount(tariff.price)),
            span(tariff.length),
            tariff.called
        ));
        if self.yes {
            return true;
        }
        if !std::io::stdin().is_terminal() {
            return false;
        }
        print!("Go on? [y/N] ");
        let mut line = String::new();
        let read = std::io::stdout().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line));
        read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
    }
}

impl Person for User {
    fn told(&mut self, notice: &CallerNotice) -> bool {
        match notice {
            CallerNotice::Consent { by, tariff, units } => {
                let agrees = self.agrees(by, tariff, *units);
                if !agrees {
                    self.why = Some("not agreed to, and nothing was paid; agree with --yes".to_owned());
                }
                return agrees;
            }
            CallerNotice::Dialled => {
                self.since = Some(Instant::now());
                self.screen.say("The way is open; Ctrl-C ends it.");
            }
            CallerNotice::Warned(left) => {
                self.screen.say(format!("It ends in {}, by what is paid or left on the card.", yet(*left)));
            }
            CallerNotice::Ending { why: Some(why) } => self.screen.say(format!("No more is paid: {why}.")),
            CallerNotice::Refused(why) => {
                self.why.get_or_insert(format!("no way to the network: {}", why.advice()));
            }
            CallerNotice::Cannot(why) => {
                self.why.get_or_insert(format!("no way to the network: {why}"));
            }
            CallerNotice::Failed(fault) => {
                self.why.get_or_insert(format!("no way to the network: {fault}"));
            }
            CallerNotice::Ending { why: None } | CallerNotice::Paid { .. } | CallerNotice::Over { .. } => {}
        }
        false
    }
    fn ends(&mut self) -> bool {
        let over = |since: Instant| self.seconds.is_some_and(|seconds| since.elapsed() >= Duration::from_secs(seconds));
        self.stopped.load(Ordering::Relaxed) || self.since.is_some_and(over)
    }
}

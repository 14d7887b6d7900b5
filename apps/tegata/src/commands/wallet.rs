//! What a wallet does on the command line.

use super::{buy, change, credit, give, hotspot, phone, reach, ticket};
use crate::flags::WalletCommand;
use crate::place::{Place, Sort, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use tegata_core::card::CardKind;
use tegata_core::card::payment::PurseState;
use tegata_core::record::Batch;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::pay::{Untouched, WalletNotice};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{Algorithm, Signed};
use tegata_core::{Amount, CardId, DeviceId, Unit};
use tegata_crypto_native::number::InstallationNumber;
use tegata_vault::{SqliteVault, Vault};
use tegata_wallet::{Answer as Consent, ChangedTicket, Held, Wallet, pay};

/// Does it.
pub fn run(place: &Place, screen: Screen, name: &str, command: WalletCommand) -> Result<Answer, Failure> {
    match command {
        WalletCommand::Join { token, p256 } => {
            let algorithm = if p256 { Algorithm::P256 } else { Algorithm::Ed25519 };
            super::join_part(place, Sort::Wallet, name, &token, algorithm)
        }
        WalletCommand::Install { number, slip } => install(place, name, &number, slip.as_deref()),
        WalletCommand::Load { number, card } => load(place, name, &number, card.as_deref()),
        WalletCommand::Cards => cards(&place.wallet(name)?.part),
        WalletCommand::Tickets => ticket::list(place, name),
        WalletCommand::Changes => change::list_changes(place, name),
        WalletCommand::Accept { ticket } => change::answer(place, name, &ticket, true),
        WalletCommand::Decline { ticket } => change::answer(place, name, &ticket, false),
        WalletCommand::Enter { gate, ticket, people } => {
            ticket::enter(place, screen, name, (&gate, ticket.as_deref(), people))
        }
        WalletCommand::Show { ticket, zone, came_in: true, went_out, yes, .. } => {
            ticket::came_in(place, screen, name, (ticket.as_deref(), zone.as_deref()), (went_out, yes))
        }
        WalletCommand::Show { ticket, zone, people, .. } => {
            ticket::show(place, name, (ticket.as_deref(), zone.as_deref(), people))
        }
        WalletCommand::Give { ticket, listen, wait, yes } => {
            give::give(place, screen, name, (&ticket, yes), (&listen, wait))
        }
        WalletCommand::Take { from, yes } => give::take(place, screen, name, &from, yes),
        WalletCommand::Register { ticket } => give::register(place, name, ticket.as_deref()),
        WalletCommand::Gift { ticket } => give::gift(place, name, &ticket),
        WalletCommand::Pay { terminal, yes, credit: true, instalments, .. } => {
            let option = instalments.map_or(PaymentOption::Once, PaymentOption::Instalments);
            credit::pay(place, screen, name, &terminal, (option, yes))
        }
        WalletCommand::Pay { terminal, card, yes, .. } => touch(place, screen, name, &terminal, (card.as_deref(), yes)),
        WalletCommand::Surf { at, seconds, card, yes } => {
            let wish = hotspot::Wish { at: &at, seconds, card: card.as_deref(), yes };
            hotspot::through(place, screen, name, &wish)
        }
        WalletCommand::RegisterCard { number, expiry } => credit::register(place, name, number, &expiry),
        WalletCommand::Catalogue => buy::catalogue(place, name),
        WalletCommand::Buy { article, issuer, card, seat, wait, yes, instalments } => {
            let option = instalments.map_or(PaymentOption::Once, PaymentOption::Instalments);
            let (issuer, card) = (issuer.as_deref(), card.as_deref());
            buy::buy(place, screen, name, &buy::Wanted { article, issuer, card, seat, wait, option, yes })
        }
        WalletCommand::BuyKept { purchase, yes, instalments } => {
            let option = instalments.map_or(PaymentOption::Once, PaymentOption::Instalments);
            buy::agree(place, screen, name, (&purchase, option, yes))
        }
        WalletCommand::Purchases => buy::list(place, name),
        WalletCommand::Refund { card, yes } => buy::refund(place, screen, name, &card, yes),
        WalletCommand::Credits => credit::list(&place.wallet(name)?.part),
        WalletCommand::Agree { terminal, transaction } => {
            let Some(device) = DeviceId::parse(&terminal) else {
                return fail("name the terminal by its id: dev- and 32 digits, as `payments` shows it");
            };
            place.wallet(name)?.part.agree(device, transaction)?;
            let text = "Agreed. Touch the terminal again, and it is paid.";
            Ok(Answer::new(text, json!({ "agreed": transaction })))
        }
        WalletCommand::Messages => reach::wallet_messages(place, name),
        WalletCommand::Write { receipt, text } => reach::wallet_writes(place, name, &receipt, &text),
        WalletCommand::CalledAt { phone, switch, .. } => {
            let mut opened = place.wallet(name)?;
            let mut post = place.line(&mut opened.part)?;
            reach::called_at(&mut opened.part.device, &mut post, (phone, switch))
        }
        WalletCommand::CallNumber { receipt } => reach::wallet_calls(place, name, &receipt),
        WalletCommand::Mute { merchant } => reach::mute(place, name, &merchant, true),
        WalletCommand::Unmute { merchant } => reach::mute(place, name, &merchant, false),
        WalletCommand::Phone { number: None, .. } => phone::show(place, name),
        WalletCommand::Phone { number: Some(number), password, at } => {
            phone::keep(place, name, &number, (password, at))
        }
        WalletCommand::Call { number, at, card, most, seconds, yes } => {
            let (at, card, most) = (at.as_deref(), card.as_deref(), most.as_deref());
            phone::call(place, screen, name, &phone::Wanted { number: &number, at, card, most, seconds, yes })
        }
        WalletCommand::Answer { at, seconds } => phone::answer(place, screen, name, (at.as_deref(), seconds)),
        WalletCommand::Calls => phone::calls(&place.wallet(name)?.part),
        WalletCommand::Payments => payments(&place.wallet(name)?.part),
        WalletCommand::Update => {
            let (mut opened, mut post) = place.online(name)?;
            let before = opened.part.changes()?;
            let summary = opened.part.update(&mut post, now())?;
            news(name, &opened.part, &before, super::updated(name, &summary))
        }
        WalletCommand::Untouched { per_payment, cap } => untouched(place, name, &per_payment, &cap),
        WalletCommand::Code { new } => change_code(place, name, new),
    }
}

/// What the update has brought: tickets that were changed, or are over, since `before`, and what waits for an answer.
fn news(
    name: &str,
    wallet: &Wallet<SqliteVault>,
    before: &[ChangedTicket],
    updated: Answer,
) -> Result<Answer, Failure> {
    let (changed, mut changes) = change::news(name, wallet, before)?;
    let (kept, purchases) = buy::kept(name, wallet)?;
    changes.extend(purchases);
    let Answer { mut text, mut json } = updated;
    for line in changed.into_iter().chain(kept) {
        text.push('\n');
        text.push_str(&line);
    }
    json["news"] = Value::Array(changes);
    Ok(Answer::new(text, json))
}

/// The card of that name; of those of this kind else the one that can spend most at the moment, call units before money, which neither is
/// more than the other.
pub(super) fn chosen(wallet: &Wallet<SqliteVault>, named: Option<&str>, kind: CardKind) -> Result<CardId, Failure> {
    let held = wallet.cards()?;
    if let Some(named) = named {
        return match held.iter().find(|held| held.card.to_string() == named) {
            Some(held) => Ok(held.card),
            None => fail(format!("this wallet holds no card {named}; `cards` lists what it holds")),
        };
    }
    // A card that is blocked or over may still hold much, and pays nothing.
    let pays = |held: &&Held| {
        let (unit, spendable) = (held.spendable.unit(), held.spendable.minor());
        (held.state == PurseState::Active, spendable > 0, unit == Unit::CALL_UNITS, spendable)
    };
    let best = held.iter().filter(|held| held.kind == kind).max_by_key(pays);
    match best {
        Some(best) => Ok(best.card),
        None if kind == CardKind::Telephone => {
            fail("this wallet holds no telephone card yet; install one: tegata wallet NAME install NUMBER")
        }
        None => fail("this wallet holds no card yet; install one: tegata wallet NAME install NUMBER"),
    }
}

fn slip(text: Option<&str>) -> Result<Option<Signed<tegata_core::talk::cards::Activate>>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    match hex::decode(text).ok().and_then(|bytes| Signed::decode(&bytes).ok()) {
        Some(slip) => Ok(Some(slip)),
        None => fail("this is no till's slip; copy all of what `terminal NAME activate --slip` printed"),
    }
}

/// Installs what a number stands for.
pub fn install(place: &Place, name: &str, number: &str, shown: Option<&str>) -> Result<Answer, Failure> {
    // A mistyped number is told before anybody is asked.
    InstallationNumber::parse(number)?;
    let (mut opened, mut post, before) = place.abreast(name)?;
    let card = opened.part.install(&mut post, number, slip(shown)?, now())?;
    opened.part.update(&mut post, now())?;
    let held = opened.part.cards()?.into_iter().find(|held| held.card == card);
    let ticket = opened.part.ticket(card).ok();
    let bound = ticket.as_ref().map_or_else(String::new, |ticket| give::at_most(give::price(ticket)));
    let most = ticket.as_ref().and_then(give::price).map(|most| most.decimal().to_string());
    let seat = ticket.as_ref().and_then(|ticket| ticket.purse.seat_name.clone());
    let placed = seat.as_ref().map_or_else(String::new, |seat| format!(" The seat: {seat}."));
    let ticket = ticket.map(|ticket| ticket.terms.name);
    let remaining = held.as_ref().map_or_else(String::new, |held| format!(" with {}", bold(held.remaining)));
    let called = ticket.as_ref().map_or_else(String::new, |name| format!(": {}", bold(name)));
    let restored = if before.restarted { super::RESTORED } else { "" };
    // What is installed late may have been changed or called off before.
    let changed = change::of_ticket(name, &opened.part, card).map_or_else(String::new, |told| format!("\n{told}"));
    let text = format!("Installed {card}{remaining}{called}.{placed}{bound}{restored}{changed}");
    let json = json!({
        "installed": card.to_string(),
        "restarted": before.restarted,
        "remaining": held.map(|held| held.remaining.decimal().to_string()),
        "ticket": ticket,
        "seat_name": seat,
        "most": most,
    });
    Ok(Answer::new(text, json))
}

fn load(place: &Place, name: &str, number: &str, named: Option<&str>) -> Result<Answer, Failure> {
    InstallationNumber::parse(number)?;
    let (mut opened, mut post, before) = place.abreast(name)?;
    let card = match (named, opened.part.cards()?.as_slice()) {
        (None, [only]) => only.card,
        _ => chosen(&opened.part, named, CardKind::Payment)
            .or_else(|_| chosen(&opened.part, named, CardKind::Telephone))?,
    };
    let amount = opened.part.load(&mut post, card, number, None, now())?;
    let restored = if before.restarted { super::RESTORED } else { "" };
    let text = format!("Loaded {amount} onto {card}.{restored}");
    let json =
        json!({ "loaded": amount.decimal().to_string(), "card": card.to_string(), "restarted": before.restarted });
    Ok(Answer::new(text, json))
}

fn cards(wallet: &Wallet<SqliteVault>) -> Result<Answer, Failure> {
    let held = wallet.cards()?;
    let rows: Vec<Vec<String>> = held
        .iter()
        .map(|held: &Held| {
            vec![
                held.card.to_string(),
                held.name.clone(),
                held.remaining.to_string(),
                held.spendable.to_string(),
                super::moment(held.due),
                if is_lost(held) { "key lost".to_owned() } else { held.state.name().to_lowercase() },
            ]
        })
        .collect();
    let json = held
        .iter()
        .map(|held| {
            json!({
                "card": held.card.to_string(),
                "name": held.name,
                "remaining": held.remaining.decimal().to_string(),
                "spendable_offline": held.spendable.decimal().to_string(),
                "currency": held.remaining.unit().name(),
                "due": held.due.0,
                "until": held.until.0,
                "state": held.state.name(),
                "waiting": held.waiting.decimal().to_string(),
                "held_back": held.held_back.map(|(amount, _)| amount.decimal().to_string()),
                "release_at": held.held_back.map(|(_, at)| at.0),
                "has_key": held.has_key,
            })
        })
        .collect::<Vec<_>>();
    let text = if rows.is_empty() {
        "No cards yet. Install one: tegata wallet NAME install NUMBER".to_owned()
    } else {
        let table = table(&["card", "name", "remaining", "offline", "update by", "state"], &rows);
        [table].into_iter().chain(held.iter().filter_map(note)).collect::<Vec<_>>().join("\n")
    };
    Ok(Answer::new(text, json!({ "cards": json })))
}

/// A card that this wallet could use, if it had its key.
fn is_lost(held: &Held) -> bool {
    held.state == PurseState::Active && !held.has_key
}

/// What an older copy of the wallet, put back, has made of a card.
fn note(held: &Held) -> Option<String> {
    let card = held.card;
    if is_lost(held) {
        return Some(format!(
            "{card} cannot pay: an older copy of this wallet was put back, and its key was not in it. Ask who sold it what becomes of \
             what it holds."
        ));
    }
    let (amount, at) = held.held_back?;
    Some(format!(
        "{card}: {amount} are held back, because an older copy of this wallet was put back and payments since may not be known yet; an update \
         after {} brings what is left of it.",
        super::moment(at)
    ))
}

fn touch(
    place: &Place,
    screen: Screen,
    name: &str,
    terminal: &str,
    (named, yes): (Option<&str>, bool),
) -> Result<Answer, Failure> {
    let address = place.counter(terminal)?;
    let mut opened = place.wallet(name)?;
    let card = chosen(&opened.part, named, CardKind::Payment)?;
    let asked = |notice: &WalletNotice| ask(screen, notice, yes);
    let paid = pay(&mut opened.part, address.as_str(), card, asked, now)?;
    let bytes = paid.traffic.bytes_sent + paid.traffic.bytes_received;
    outcome(&paid.notices, bytes)
}

fn ask(screen: Screen, notice: &WalletNotice, yes: bool) -> Consent {
    match notice {
        WalletNotice::Consent { merchant, amount, items } => consent(screen, merchant, *amount, items.as_ref(), yes),
        _ => Consent::Decline,
    }
}

/// Shows merchant and amount; the user answers.
pub(super) fn consent(screen: Screen, merchant: &str, amount: Amount, items: Option<&String>, yes: bool) -> Consent {
    let items = items.map_or_else(String::new, |items| format!(" for {items}"));
    screen.say(format!("{} asks for {}{items}.", bold(merchant), bold(amount)));
    if yes {
        return Consent::Agree;
    }
    if !std::io::stdin().is_terminal() {
        return Consent::Decline;
    }
    print!("Pay? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdout().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line));
    if read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes") { Consent::Agree } else { Consent::Decline }
}

/// What the user is told after a touch.
pub fn outcome(notices: &[WalletNotice], bytes: u64) -> Result<Answer, Failure> {
    for notice in notices {
        match notice {
            WalletNotice::Paid { merchant, amount, remaining } => {
                let left =
                    Amount::new(amount.unit(), *remaining).map_or_else(String::new, |left| format!(" {left} remain."));
                let text = format!("{} {amount} to {merchant}.{left} The receipt is kept.", bold("Paid"));
                let json = json!({
                    "paid": amount.decimal().to_string(),
                    "merchant": merchant,
                    "remaining_minor": remaining,
                    "bytes": bytes,
                });
                return Ok(Answer::new(text, json));
            }
            WalletNotice::Returning { amount } => {
                let text = format!("That charge had ended: {amount} are back on the card. Touch again to pay.");
                return Ok(Answer::new(text, json!({ "returned": amount.decimal().to_string() })));
            }
            WalletNotice::Refused { why, spent: true } => {
                return fail(format!(
                    "the check is signed and the terminal has not confirmed it ({}); touch again or update: you pay once, or \
                     it comes back",
                    why.advice()
                ));
            }
            WalletNotice::Refused { why, spent: false } => return fail(format!("not paid: {}", why.advice())),
            WalletNotice::Cannot(why) => return fail(format!("not paid: {why}")),
            WalletNotice::Failed(fault) => return fail(format!("not paid: {fault}")),
            WalletNotice::Consent { .. } => {}
        }
    }
    fail("the terminal broke off; touch again")
}

fn payments(wallet: &Wallet<SqliteVault>) -> Result<Answer, Failure> {
    let made = wallet.payments()?;
    let rows: Vec<Vec<String>> = made
        .iter()
        .map(|made| {
            vec![
                super::moment(made.at),
                made.merchant.clone(),
                made.amount.to_string(),
                made.state.name().to_lowercase(),
                if made.receipted { made.receipt.to_string() } else { String::new() },
                made.items.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let json = made
        .iter()
        .map(|made| {
            json!({
                "at": made.at.0,
                "merchant": made.merchant,
                "terminal": made.terminal.to_string(),
                "transaction": made.transaction,
                "amount": made.amount.decimal().to_string(),
                "currency": made.amount.unit().name(),
                "state": made.state.name(),
                "receipted": made.receipted,
                "receipt_number": made.receipt.to_string(),
                "items": made.items,
                "card": made.card.to_string(),
            })
        })
        .collect::<Vec<_>>();
    let text = if rows.is_empty() {
        "No payments yet.".to_owned()
    } else {
        table(&["at", "merchant", "amount", "state", "receipt", "items"], &rows)
    };
    Ok(Answer::new(text, json!({ "payments": json })))
}

fn untouched(place: &Place, name: &str, per_payment: &str, cap: &str) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let currency = opened.part.cards()?.first().map_or("USD", |held| held.remaining.unit().name());
    let (each, all) = (super::amount(per_payment, currency)?, super::amount(cap, currency)?);
    let mut batch = Batch::default();
    if each.is_zero() {
        batch.remove(Untouched::key());
    } else {
        let (per_payment, cap) = (each.minor(), all.minor().max(each.minor()));
        batch.put(Untouched::key(), Untouched { per_payment, cap, used: 0, extensions: Default::default() }.to_bytes());
    }
    opened.part.device.vault.commit(&batch)?;
    let text = if each.is_zero() {
        "Every payment asks again.".to_owned()
    } else {
        format!("Payments up to {each} go without asking, up to {all} in a row, where the card's issuer allows it.")
    };
    Ok(Answer::new(text, json!({ "per_payment": each.minor(), "cap": all.minor() })))
}

fn change_code(place: &Place, name: &str, new: Option<String>) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let new = match new {
        Some(new) => new,
        None => rpassword::prompt_password("New code number: ")?,
    };
    if new.chars().count() < 4 {
        return fail("a code number has at least 4 characters");
    }
    place.change_code(&mut opened, &new)?;
    Ok(Answer::new("The code number is changed.", json!({ "changed": true })))
}

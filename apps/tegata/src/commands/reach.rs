//! Letters and calls between merchants and users on the command line: a merchant writes to a customer, a user asks about a receipt,
//! mutes and unmutes; either gets a number to call the other at.

use crate::place::{Place, now};
use crate::screen::{Answer, Failure, bold, fail, table};
use serde_json::{Value, json};
use tegata_core::talk::pay::Claim;
use tegata_core::talk::reach::{Address, CallNumber, KeptLetter, LetterState, NotShown, ReceiptHeld, Whose};
use tegata_core::talk::report::ProviderRefusal;
use tegata_core::{CustomerNumber, DeviceId, PartyId};
use tegata_device::{Device, LettersError, Post};
use tegata_terminal::Terminal;
use tegata_vault::{SqliteVault, Vault};
use tegata_wallet::Wallet;

/// What a user reads, after sending what waits and fetching what came.
pub fn wallet_messages(place: &Place, name: &str) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let part = &mut opened.part;
    let exchanged = place.line(part).and_then(|mut post| Ok(part.exchange_letters(&mut post, now())?));
    let purchases = opened.part.receipts()?;
    let mut shown = Vec::new();
    for read in opened.part.letters(now())? {
        let about = read.kept.to.receipt().and_then(|receipt| {
            let purchase = purchases.iter().find(|purchase| purchase.name == *receipt)?;
            Some((receipt.handle().to_string(), purchase.amount.to_string()))
        });
        shown.push(line(&read.kept, &read.shop, about, &read.text));
    }
    listed(shown, exchanged)
}

/// What a merchant reads, at one of its terminals.
pub fn terminal_messages(place: &Place, name: &str) -> Result<Answer, Failure> {
    let mut opened = place.terminal(name)?;
    let exchanged = place.post().and_then(|mut post| Ok(opened.part.exchange_letters(&mut post, now())?));
    let mut shown = Vec::new();
    for read in opened.part.letters(now())? {
        let with = read.customer.map_or_else(|| "who paid by card".to_owned(), |customer| customer.to_string());
        let about = read.kept.to.receipt().map(|receipt| {
            let amount = read.claim.as_ref().map(|claim| claim.charge.claimed().amount.to_string());
            (receipt.handle().to_string(), amount.unwrap_or_default())
        });
        shown.push(line(&read.kept, &with, about, &read.text));
    }
    listed(shown, exchanged)
}

/// One letter: a row for people, an object for programs.
fn line(
    kept: &KeptLetter,
    with: &str,
    about: Option<(String, String)>,
    text: &Result<String, NotShown>,
) -> (Vec<String>, Value) {
    let (state, from) = match (kept.whose(), kept.state) {
        (Whose::Theirs, _) => ("", true),
        (Whose::Ours, LetterState::Waiting) => ("waits", false),
        (Whose::Ours, LetterState::Refused) => ("refused", false),
        (Whose::Ours, _) => ("sent", false),
    };
    let (receipt, amount) = about.unwrap_or_default();
    let said = match text {
        Ok(text) => text.clone(),
        Err(why) => format!("(not shown: {why})"),
    };
    let way = if from { format!("from {with}") } else { format!("to {with}") };
    let for_what = if amount.is_empty() { receipt.clone() } else { format!("{receipt} ({amount})") };
    let row = vec![super::moment(kept.at), way, for_what, state.to_owned(), said];
    let json = json!({
        "at": kept.at.0,
        "number": kept.number.to_string(),
        "from": from.then_some(with),
        "to": (!from).then_some(with),
        "merchant": kept.merchant.to_string(),
        "receipt": (!receipt.is_empty()).then_some(receipt),
        "state": kept.state.name(),
        "text": text.as_ref().ok(),
        "not_shown": text.as_ref().err().map(ToString::to_string),
    });
    (row, json)
}

/// What is there is shown also where the provider is away; that is said, too.
fn listed(shown: Vec<(Vec<String>, Value)>, exchanged: Result<(), Failure>) -> Result<Answer, Failure> {
    let (rows, json): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    let mut text = match rows.is_empty() {
        true => "No messages yet.".to_owned(),
        false => table(&["at", "with", "receipt", "", "message"], &rows),
    };
    let failed = exchanged.err().map(|failure| failure.0);
    if let Some(failed) = &failed {
        text.push_str(&format!("\nNot everything could be sent and fetched: {failed}"));
    }
    Ok(Answer::new(text, json!({ "messages": json, "failed": failed })))
}

/// A user asks about a receipt.
pub fn wallet_writes(place: &Place, name: &str, receipt: &str, text: &str) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let purchase = &held(&opened.part, receipt)?;
    let mut post = place.line(&mut opened.part)?;
    let number = opened.part.write(&mut post, purchase, text, now())?;
    let told = format!("Written to {}. The answer comes with an update: tegata wallet {name} messages", purchase.shop);
    Ok(Answer::new(told, json!({ "written": number.to_string(), "merchant": purchase.merchant.to_string() })))
}

/// The receipt of this number.
fn held(wallet: &Wallet<SqliteVault>, receipt: &str) -> Result<ReceiptHeld, Failure> {
    let mut found = wallet.receipts()?;
    found.retain(|purchase| named(&purchase.name.handle().to_string(), receipt));
    match found.pop() {
        Some(purchase) if found.is_empty() => Ok(purchase),
        last => fail(format!(
            "'{receipt}' names {} receipts of this wallet; `payments` and `credits` show each receipt's number",
            found.len() + usize::from(last.is_some())
        )),
    }
}

/// A user gets a number to call the merchant of a receipt at.
pub fn wallet_calls(place: &Place, name: &str, receipt: &str) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let purchase = held(&opened.part, receipt)?;
    let mut post = place.line(&mut opened.part)?;
    let asked = opened.part.device.ask_to_call(&mut post, Address::Receipt(purchase.name), now());
    let first = || {
        "The merchant must first say, at the terminal that took the payment, where it is called (tegata terminal NAME called-at \
         PHONE --switch SWITCH), and send that terminal's log (tegata terminal NAME update)"
            .to_owned()
    };
    Ok(to_dial(&asked.map_err(|error| not_called(error, first))?, &purchase.shop))
}

/// A merchant gets a number to call a customer at.
pub fn terminal_calls(place: &Place, name: &str, to: &str) -> Result<Answer, Failure> {
    let mut opened = place.terminal(name)?;
    let address = address(&opened.part, to)?;
    let by_card = address.receipt().is_some_and(|receipt| receipt.offer.is_none());
    let asked = opened.part.device.ask_to_call(&mut place.post()?, address, now());
    let first = || {
        // Whoever paid by credit is reachable by the payment (flow 21); a card names nobody.
        let writes = match by_card {
            true => format!(
                "must first write about it (tegata wallet NAME write {to} TEXT), since a card names nobody, and"
            ),
            false => "must first".to_owned(),
        };
        format!(
            "Whoever paid {writes} say where to call (tegata wallet NAME called-at PHONE --switch SWITCH) and update; \
             this terminal must have sent its log (tegata terminal {name} update)"
        )
    };
    Ok(to_dial(&asked.map_err(|error| not_called(error, first))?, to))
}

/// Why there is no number to call. A provider says of nobody what is missing, so all is told that must be done first, and by whom.
fn not_called(error: LettersError, first: impl FnOnce() -> String) -> Failure {
    let unknown = matches!(&error, LettersError::Refused(refused) if refused.why == ProviderRefusal::Unknown);
    if unknown { Failure(format!("{error}. {}", first()), None) } else { error.into() }
}

fn to_dial(number: &CallNumber, who: &str) -> Answer {
    let text = format!(
        "Dial {} at switch {} before {}, with any wallet, to call {who}. It is good for one call; what it costs is shown before it rings.",
        bold(&number.number),
        number.name,
        super::moment(number.until)
    );
    let json = json!({
        "number": number.number, "switch": number.switch.to_string(), "name": number.name, "until": number.until.0,
    });
    Answer::new(text, json)
}

/// Where a device is called from now on.
pub fn called_at<V: Vault>(
    device: &mut Device<V>,
    post: &mut dyn Post,
    (phone, switch): (Option<String>, Option<String>),
) -> Result<Answer, Failure> {
    let at = match (phone, switch) {
        (Some(phone), Some(switch)) => match DeviceId::parse(&switch) {
            Some(switch) => Some((switch, phone)),
            None => {
                return fail(format!(
                    "'{switch}' is no switch; name it by its id: dev- and 32 digits, as it has joined"
                ));
            }
        },
        _ => None,
    };
    device.be_called_at(post, at.clone(), now())?;
    let text = match &at {
        Some((_, phone)) => {
            format!("Whoever may write to you may call you now, at {phone}, and does not learn where that is.")
        }
        None => "You are not called any more.".to_owned(),
    };
    let (switch, phone) = at.map(|(switch, phone)| (switch.to_string(), phone)).unzip();
    Ok(Answer::new(text, json!({ "switch": switch, "phone": phone })))
}

/// Whom a merchant means.
fn address(terminal: &Terminal<SqliteVault>, to: &str) -> Result<Address, Failure> {
    match (CustomerNumber::parse(to), terminal.device.id()) {
        (Some(customer), _) => Ok(Address::Customer(customer)),
        (None, Some(machine)) => {
            let claims = terminal.claims()?;
            let names = |claim: &Claim| claim.receipt_name(machine);
            let found: Vec<_> = claims.iter().map(names).filter(|name| named(&name.handle().to_string(), to)).collect();
            let [receipt] = found.as_slice() else {
                return fail(format!(
                    "'{to}' is no customer number (customer- and 32 digits) and names {} receipts of this terminal; \
                     `payments` shows both",
                    found.len()
                ));
            };
            Ok(Address::Receipt(receipt.clone()))
        }
        (None, None) => fail("this terminal has not joined a provider yet"),
    }
}

/// A merchant writes to a customer, or answers about a receipt.
pub fn terminal_writes(place: &Place, name: &str, to: &str, text: &str) -> Result<Answer, Failure> {
    let mut opened = place.terminal(name)?;
    let address = address(&opened.part, to)?;
    let number = opened.part.write(&mut place.post()?, address, text, now())?;
    let told = "Written. It comes with the wallet's next update, unless its user does not want to hear from you.";
    Ok(Answer::new(told, json!({ "written": number.to_string() })))
}

/// Enough of a receipt's digits.
fn named(handle: &str, digits: &str) -> bool {
    digits.len() >= 4 && handle.starts_with(digits)
}

/// A user mutes a merchant or wants its letters again.
pub fn mute(place: &Place, name: &str, merchant: &str, muted: bool) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let purchases = opened.part.receipts()?;
    let mut found: Vec<(PartyId, String)> = purchases
        .into_iter()
        .filter(|purchase| purchase.shop == merchant || purchase.merchant.to_string() == merchant)
        .map(|purchase| (purchase.merchant, purchase.shop))
        .collect();
    found.sort();
    found.dedup_by_key(|(merchant, _)| *merchant);
    let [(party, shop)] = found.as_slice() else {
        let ids: Vec<String> = found.iter().map(|(party, _)| party.to_string()).collect();
        return fail(format!(
            "'{merchant}' names {} merchants that this wallet has paid; name it as `payments` shows it, or by its id {}",
            found.len(),
            ids.join(" or ")
        ));
    };
    let mut post = place.line(&mut opened.part)?;
    opened.part.mute(&mut post, *party, muted, now())?;
    let told = match muted {
        true => format!("{shop} is muted: what it writes is dropped, also what waits, and it is not told."),
        false => format!("{shop} can write again, from now on."),
    };
    Ok(Answer::new(told, json!({ "merchant": party.to_string(), "muted": muted })))
}

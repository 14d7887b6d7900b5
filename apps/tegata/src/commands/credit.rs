//! What a wallet does with a bank card on the command line.

use crate::place::{Place, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::time::Duration;
use tegata_core::talk::credit::{CardExpiry, CardNumber, CreditNotice, CreditRefusal, Credited, PaymentOption};
use tegata_core::talk::pay::Charge;
use tegata_core::{Amount, Handle, RequestNumber};
use tegata_device::{HttpPost, fetch_processor};
use tegata_vault::SqliteVault;
use tegata_wallet::{Wallet, offer_credit};
use zeroize::Zeroizing;

/// Registers a bank card.
pub fn register(place: &Place, name: &str, number: Option<String>, expiry: &str) -> Result<Answer, Failure> {
    let number = match number {
        Some(number) => Zeroizing::new(number),
        None => Zeroizing::new(rpassword::prompt_password("Number of the bank card: ")?),
    };
    let digits = Zeroizing::new(number.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    let card = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| CardNumber::new(digits.as_bytes())).flatten();
    let Some(card) = card else {
        return fail("a bank card's number has 12 to 19 digits; check it");
    };
    let month = expiry
        .split_once('/')
        .and_then(|(month, year)| CardExpiry::new(year.trim().parse::<u8>().ok()?, month.trim().parse::<u8>().ok()?));
    let Some(month) = month else {
        return fail("write the expiry as it stands on the card: MM/YY");
    };
    let Some(certificate) = fetch_processor(&place.provider_url()?)? else {
        return fail(
            "this provider clears no credit yet; its operator registers a processor: tegata provider processor URL",
        );
    };
    let mut opened = place.wallet(name)?;
    let sealed = opened.part.seal_card(&certificate, (card, month), now())?;
    let mut post = place.line(&mut opened.part)?;
    loop {
        match opened.part.register_card(&mut post, sealed.clone(), now())? {
            CreditNotice::Waiting { again } => wait(again),
            CreditNotice::Authorized => {
                let text = "The bank card is registered. Pay with it: tegata wallet NAME pay TERMINAL --credit";
                return Ok(Answer::new(text, json!({ "registered": true })));
            }
            CreditNotice::Ended(why) => return fail(format!("the card was not registered: {}", why.advice())),
            other => return fail(format!("the card was not registered: {other:?}")),
        }
    }
}

/// The provider says when to ask again.
pub(super) fn wait(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds.clamp(1, 60)));
}

/// Pays by credit: at the counter, then over the wallet's own line until it is known (R26).
pub fn pay(
    place: &Place,
    screen: Screen,
    name: &str,
    terminal: &str,
    (option, yes): (PaymentOption, bool),
) -> Result<Answer, Failure> {
    let address = place.counter(terminal)?;
    let (mut opened, mut post) = place.online(name)?;
    let asked = |notice: &CreditNotice| match notice {
        CreditNotice::Consent { merchant, amount, items } => {
            super::wallet::consent(screen, merchant, *amount, items.as_ref(), yes)
        }
        _ => tegata_wallet::Answer::Decline,
    };
    let notices = offer_credit(&mut opened.part, address.as_str(), option, asked, now)?;
    settle(&mut opened.part, &mut post, &notices)
}

/// What the user is told once it is known.
pub fn settle(
    wallet: &mut Wallet<SqliteVault>,
    post: &mut HttpPost,
    notices: &[CreditNotice],
) -> Result<Answer, Failure> {
    let mut request = None;
    for notice in notices {
        match notice {
            CreditNotice::Ready(ready) => request = Some(*ready),
            CreditNotice::Refused(why) => return fail(format!("nothing was paid: {}", why.advice())),
            CreditNotice::Failed(fault) => return fail(format!("nothing was paid: {fault}")),
            _ => {}
        }
    }
    let Some(request) = request else {
        return fail("the terminal broke off; nothing was paid, touch again");
    };
    loop {
        match wallet.credit(post, request, now())? {
            CreditNotice::Waiting { again } => wait(again),
            // Authorized: the merchant takes it now.
            CreditNotice::Authorized => wait(1),
            CreditNotice::Cleared => return cleared(wallet, post, request),
            CreditNotice::Ended(why) => return fail(format!("nothing was paid: {}", why.advice())),
            other => return fail(format!("nothing is known yet ({other:?}); ask again: tegata wallet NAME credits")),
        }
    }
}

/// The receipt comes with the update.
fn cleared(wallet: &mut Wallet<SqliteVault>, post: &mut HttpPost, request: RequestNumber) -> Result<Answer, Failure> {
    wallet.update(post, now())?;
    let paid = wallet.credits()?.into_iter().find(|paid| paid.request.claimed().offer.claimed().request == request);
    let Some(paid) = paid else {
        return fail("the payment is not in this wallet; it was put back from a copy");
    };
    let amount: Amount = paid.charge.claimed().amount;
    let text = format!("{} {amount} to {} by credit. The receipt is kept.", bold("Paid"), paid.merchant);
    Ok(Answer::new(text, json!({ "paid": amount.decimal().to_string(), "credit": shown(&paid) })))
}

/// Payments by credit, with what their receipts say.
pub fn list(wallet: &Wallet<SqliteVault>) -> Result<Answer, Failure> {
    let mut all = wallet.credits()?;
    all.sort_by_key(|paid| paid.charge.claimed().at);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|paid| {
            let charge = paid.charge.claimed();
            let receipt = match paid.receipt.as_ref().map(|receipt| receipt.claimed().receipt.is_some()) {
                Some(true) => "whole",
                Some(false) => "without the merchant's part yet",
                None => "none",
            };
            let state = paid.why.map_or_else(
                || paid.state.name().to_lowercase(),
                |why: CreditRefusal| format!("ended ({})", why.name().to_lowercase()),
            );
            let number = number(paid);
            let at = super::moment(charge.at);
            vec![at, paid.merchant.clone(), charge.amount.to_string(), state, number, receipt.to_owned()]
        })
        .collect();
    let text = if rows.is_empty() {
        "No payments by credit at a counter yet; `purchases` lists what was bought over the network.".to_owned()
    } else {
        table(&["at", "merchant", "amount", "state", "number", "receipt"], &rows)
    };
    Ok(Answer::new(text, json!({ "credits": all.iter().map(shown).collect::<Vec<_>>() })))
}

/// What names the receipt: the first digits of the charge's hash.
fn number(paid: &Credited) -> String {
    let session = paid.request.claimed().session;
    Handle::of(&Charge::named(&session, paid.machine, paid.charge.payload())).to_string()
}

fn shown(paid: &Credited) -> Value {
    let charge = paid.charge.claimed();
    let receipt = paid.receipt.as_ref().map(|receipt| {
        let said = receipt.claimed();
        let information = said.information.claimed();
        json!({
            "clearing": information.clearing.to_string(),
            "name": information.name,
            "at": said.at.0,
            "item": said.receipt.as_ref().map(|merchants| merchants.claimed().item.clone()),
            "sales": said.receipt.as_ref().and_then(|merchants| merchants.claimed().sales.clone()),
        })
    });
    json!({
        "merchant": paid.merchant,
        "amount": charge.amount.decimal().to_string(),
        "currency": charge.amount.unit().name(),
        "at": charge.at.0,
        "items": charge.items,
        "state": paid.state.name(),
        "why": paid.why.map(CreditRefusal::name),
        "receipt_number": number(paid),
        "receipt": receipt,
    })
}

//! Buying cards over the network on the command line, and giving a card back.

use crate::place::{Place, now};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal, Write};
use tegata_core::card::payment::PurseState;
use tegata_core::talk::buy::{Article, Bought, BuyNotice, PurchaseState, Refunded};
use tegata_core::talk::credit::PaymentOption;
use tegata_core::{CardId, RequestNumber, Unit};
use tegata_device::HttpPost;
use tegata_vault::SqliteVault;
use tegata_wallet::{Since, Wallet};

/// What is for sale.
pub fn catalogue(place: &Place, name: &str) -> Result<Answer, Failure> {
    let (mut opened, mut post) = place.online(name)?;
    let articles = opened.part.catalogue(&mut post, now())?;
    let rows: Vec<Vec<String>> = articles
        .iter()
        .map(|article| {
            let cleared = article.clear_after.map_or("at once".to_owned(), |after| format!("{} h later", after / 3600));
            vec![
                article.article.to_string(),
                article.terms.name.clone(),
                article.issuer_name.clone(),
                article.face.to_string(),
                article.price.to_string(),
                article.left.to_string(),
                cleared,
            ]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => "Nothing is for sale here at the moment.".to_owned(),
        rows => format!(
            "{}\nBuy one: tegata wallet {name} buy ARTICLE",
            table(&["article", "card", "issuer", "with", "price", "left", "charged"], rows)
        ),
    };
    Ok(Answer::new(text, json!({ "articles": articles.iter().map(listed).collect::<Vec<_>>() })))
}

fn listed(article: &Article) -> Value {
    json!({
        "article": article.article,
        "issuer": article.issuer.to_string(),
        "issuer_name": article.issuer_name,
        "name": article.terms.name,
        "face": article.face.decimal().to_string(),
        "face_unit": article.face.unit().name(),
        "price": article.price.decimal().to_string(),
        "currency": article.price.unit().name(),
        "left": article.left,
        "until": article.until.0,
        "clear_after": article.clear_after,
    })
}

/// What to buy, and how.
pub struct Wanted<'a> {
    /// The article's number.
    pub article: u64,
    /// Its issuer.
    pub issuer: Option<&'a str>,
    /// The card to top up.
    pub card: Option<&'a str>,
    /// How the user is charged.
    pub option: PaymentOption,
    /// The seat, by its number in the event's plan.
    pub seat: Option<u64>,
    /// Waits in the list where all are gone.
    pub wait: bool,
    /// Agreed beforehand.
    pub yes: bool,
}

/// Reserves, shows the price, pays, and waits until it is known.
pub fn buy(place: &Place, screen: Screen, name: &str, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    let (mut opened, mut post, _) = place.abreast(name)?;
    let articles = opened.part.catalogue(&mut post, now())?;
    let article = chosen(articles, wanted)?;
    let card = wanted.card.map(card_of).transpose()?;
    let what = format!("{} with {} from {}", article.terms.name, article.face, article.issuer_name);
    let (purchase, notice) = match (wanted.wait, wanted.seat) {
        (true, _) => opened.part.wait_for(&mut post, article, now())?,
        (false, Some(seat)) => opened.part.reserve_seat(&mut post, article, seat, now())?,
        (false, None) => opened.part.reserve(&mut post, article, card, now())?,
    };
    let price = match notice {
        BuyNotice::Reserved { price, .. } => price,
        other => return ended(&other),
    };
    screen.say(format!("{what} costs {}, charged to your bank card.", bold(price)));
    if !wanted.yes && !agreed("Buy? [y/N] ") {
        opened.part.cancel(&mut post, purchase, now())?;
        return fail("not bought; nothing was charged. Without a terminal, say --yes");
    }
    let notice = opened.part.buy(&mut post, purchase, wanted.option, now())?;
    settle(&mut opened.part, &mut post, purchase, notice)
}

fn chosen(articles: Vec<Article>, wanted: &Wanted<'_>) -> Result<Article, Failure> {
    let fits = |article: &Article| {
        article.article == wanted.article && wanted.issuer.is_none_or(|issuer| article.issuer.to_string() == issuer)
    };
    let mut found: Vec<_> = articles.into_iter().filter(fits).collect();
    match (found.pop(), found.is_empty()) {
        (Some(article), true) => Ok(article),
        (Some(_), false) => fail("several issuers sell an article of that number; name one with --issuer"),
        (None, _) => fail(format!("there is no article {} for sale; `catalogue` lists them", wanted.article)),
    }
}

fn card_of(name: &str) -> Result<CardId, Failure> {
    match CardId::parse(name) {
        Some(card) => Ok(card),
        None => fail("a card's id is card- and 32 digits; `cards` shows it"),
    }
}

/// Asks a person; whoever is none says no.
pub(super) fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print!("{question}");
    let mut line = String::new();
    let read = std::io::stdout().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line));
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

/// Asks until it is known (R26).
fn settle(
    wallet: &mut Wallet<SqliteVault>,
    post: &mut HttpPost,
    purchase: RequestNumber,
    mut notice: BuyNotice,
) -> Result<Answer, Failure> {
    while let BuyNotice::Waiting { again } = notice {
        super::credit::wait(again);
        notice = wallet.purchase(post, purchase, now())?;
    }
    let BuyNotice::Delivered { card, amount, provisional } = notice else {
        return ended(&notice);
    };
    wallet.update(post, now())?;
    let later =
        if provisional { " The bank has agreed; it is charged later, the receipt is a temporary one." } else { "" };
    let seat = wallet.ticket(card).ok().and_then(|ticket| ticket.purse.seat_name);
    let seat = seat.map_or_else(String::new, |seat| format!(" The seat: {seat}."));
    let text = format!("{} {amount} on {card}.{seat}{later}", bold("Bought:"));
    let json = json!({
        "card": card.to_string(),
        "amount": amount.decimal().to_string(),
        "currency": amount.unit().name(),
        "purchase": purchase.to_string(),
        "provisional": provisional,
    });
    Ok(Answer::new(text, json))
}

fn ended(notice: &BuyNotice) -> Result<Answer, Failure> {
    match notice {
        BuyNotice::Ended(why) => fail(format!("not bought: {}", why.advice())),
        BuyNotice::Returned(why) => fail(format!("not bought, and what was charged is paid back: {}", why.advice())),
        BuyNotice::Listed => Ok(Answer::new(
            "All are gone. You stand in the list: when one is kept for you, your wallet's next update says so, and `purchases` shows it.",
            json!({ "listed": true }),
        )),
        BuyNotice::Unpaid => fail("the bank refused the money afterwards; the card is blocked, ask its issuer"),
        other => fail(format!("nothing is known yet ({other:?}); ask again: tegata wallet NAME purchases")),
    }
}

/// Agrees to what is kept: what was waited for, or what was reserved before the line broke.
pub fn agree(
    place: &Place,
    screen: Screen,
    name: &str,
    (purchase, option, yes): (&str, PaymentOption, bool),
) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let named =
        |bought: &Bought| bought.state == PurchaseState::Reserved && bought.purchase().to_string().contains(purchase);
    let mut found: Vec<_> = opened.part.purchases()?.into_iter().filter(named).collect();
    let (Some(bought), true) = (found.pop(), found.is_empty()) else {
        return fail("that names no purchase, or several, that is kept for you; `purchases` lists them");
    };
    let (mut post, number) = (place.line(&mut opened.part)?, bought.purchase());
    // As for what is chosen now: an older copy is known as one before the card comes (R14).
    opened.part.update(&mut post, now())?;
    screen.say(format!(
        "{} costs {}, charged to your bank card.",
        bought.article.terms.name,
        bold(bought.article.price)
    ));
    if !yes && !agreed("Buy? [y/N] ") {
        return fail("not bought; nothing was charged. Without a terminal, say --yes");
    }
    let notice = opened.part.buy(&mut post, number, option, now())?;
    settle(&mut opened.part, &mut post, number, notice)
}

/// What was bought; what was cut off goes on, if the provider can be reached.
pub fn list(place: &Place, name: &str) -> Result<Answer, Failure> {
    let mut opened = place.wallet(name)?;
    let open = opened.part.purchases()?.iter().any(|bought| !bought.state.is_over());
    let mut note = String::new();
    let part = &mut opened.part;
    if open && let Err(error) = place.line(part).and_then(|mut post| Ok(part.resume_purchases(&mut post, now())?)) {
        note = format!("\nAs last known; what is open could not be asked for: {}", error.0);
    }
    let all = opened.part.purchases()?;
    let waits: String = kept(name, &opened.part)?.0.iter().map(|line| format!("\n{line}")).collect();
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|bought| {
            let mut state = bought.state.name().to_lowercase();
            if let Some(why) = bought.why {
                state = format!("{state} ({})", why.name().to_lowercase());
            }
            if let Some(since) = opened.part.since(bought) {
                state = format!("{state}; since then {}", told_since(&since));
            }
            let receipt = match (&bought.receipt, &bought.temporary) {
                (Some(_), _) => "receipt",
                (None, Some(_)) => "temporary",
                _ => "",
            };
            let card = bought.card.map_or(String::new(), |card| card.to_string());
            let at = super::moment(bought.reserve.claimed().at);
            vec![at, bought.article.terms.name.clone(), bought.article.price.to_string(), state, receipt.into(), card]
        })
        .collect();
    let text = match rows.as_slice() {
        [] => format!("Nothing was bought over the network yet. Look: tegata wallet {name} catalogue"),
        rows => format!("{}{waits}{note}", table(&["at", "card", "price", "state", "", "onto"], rows)),
    };
    let json = all.iter().map(|bought| {
        let mut json = shown(bought);
        json["since"] = opened.part.since(bought).map_or(Value::Null, |since| shown_since(&since));
        json
    });
    Ok(Answer::new(text, json!({ "purchases": json.collect::<Vec<_>>() })))
}

/// What became of a purchase after it was delivered, for people.
fn told_since(since: &Since) -> String {
    match since {
        Since::GivenBack => "given back, and the money is on its way".to_owned(),
        Since::Declined => "changed and not taken, and the money is on its way".to_owned(),
        Since::Cancelled => "its event is cancelled, and the money is on its way".to_owned(),
        Since::Settled(refunded) => came_back(refunded),
    }
}

/// The same for programs.
fn shown_since(since: &Since) -> Value {
    match since {
        Since::GivenBack => json!({ "is": "given back" }),
        Since::Declined => json!({ "is": "declined" }),
        Since::Cancelled => json!({ "is": "cancelled" }),
        Since::Settled(refunded) => json!({
            "is": "settled",
            "paid_back": refunded.amount.decimal().to_string(),
            "currency": refunded.amount.unit().name(),
            "left": refunded.left.decimal().to_string(),
            "left_unit": refunded.left.unit().name(),
        }),
    }
}

/// What came back for a card that is over, and what a person has to pay by hand.
fn came_back(refunded: &Refunded) -> String {
    match (refunded.amount.is_zero(), refunded.left.is_zero()) {
        (false, true) => format!("{} paid back to the bank card", refunded.amount),
        (false, false) => format!(
            "{} paid back to the bank card; {} did not go back by itself, ask its issuer",
            refunded.amount, refunded.left
        ),
        (true, false) => {
            format!("over; what it was worth ({}) did not go back by itself, ask whoever sold it", refunded.left)
        }
        (true, true) => "over; there was nothing to pay back".to_owned(),
    }
}

/// What is kept for a while, and waits for a yes.
pub(super) fn kept(name: &str, wallet: &Wallet<SqliteVault>) -> Result<(Vec<String>, Vec<Value>), Failure> {
    let kept = |bought: &Bought| {
        bought.state == PurchaseState::Reserved && bought.expires.is_none_or(|until| now().time < until)
    };
    let all: Vec<Bought> = wallet.purchases()?.into_iter().filter(kept).collect();
    let line = |bought: &Bought| {
        let until = bought.expires.map_or_else(String::new, |until| format!(" until {}", super::moment(until)));
        let (article, purchase) = (&bought.article, bought.purchase());
        format!(
            "{} is kept for you{until}, for {}: tegata wallet {name} buy-kept {purchase}",
            bold(&article.terms.name),
            article.price
        )
    };
    Ok((all.iter().map(line).collect(), all.iter().map(shown).collect()))
}

fn shown(bought: &Bought) -> Value {
    json!({
        "purchase": bought.purchase().to_string(),
        "at": bought.reserve.claimed().at.0,
        "article": listed(&bought.article),
        "state": bought.state.name(),
        "why": bought.why.map(|why| why.name()),
        "card": bought.card.map(|card| card.to_string()),
        "temporary": bought.temporary.as_ref().map(|receipt| receipt.claimed().clears.0),
        "clearing": bought.receipt.as_ref().map(|receipt| receipt.claimed().information.claimed().clearing.to_string()),
    })
}

/// Gives a card back by its own key, and tells the provider.
pub fn refund(place: &Place, screen: Screen, name: &str, card: &str, yes: bool) -> Result<Answer, Failure> {
    let card = card_of(card)?;
    let (mut opened, mut post) = place.online(name)?;
    let ticket = opened.part.ticket(card).ok().map(|ticket| ticket.terms.name);
    let held = opened.part.cards()?.into_iter().find(|held| held.card == card);
    let what = match (ticket, held) {
        (Some(ticket), _) => ticket,
        (None, Some(held)) if held.state == PurseState::Ended => {
            return fail(format!(
                "{} is over, nothing of it is given back any more; `purchases` says what came back for it",
                held.name
            ));
        }
        (None, Some(held)) => format!("{} and its {}", held.name, bold(held.remaining)),
        (None, None) => return fail("this wallet holds no such card; `cards` and `tickets` list what it holds"),
    };
    // The provider has to hear of it: nothing is ended that nobody can be told.
    opened.part.update(&mut post, now())?;
    screen.say(format!("To be given back: {what}. It cannot be undone."));
    if !yes && !agreed("Give it back? [y/N] ") {
        return fail("nothing was given back. Without a terminal, say --yes");
    }
    let amount = opened.part.surrender(card, now())?;
    if let Err(error) = opened.part.update(&mut post, now()) {
        return fail(format!(
            "{what} is given back, but the provider has not heard of it ({error}); an update tells it: tegata wallet {name} update"
        ));
    }
    let bought = |bought: &Bought| bought.card == Some(card) && bought.state.is_delivered();
    let money = match opened.part.refunded(card) {
        Some(refunded) => format!("The provider says: {}.", came_back(&refunded)),
        None if amount.unit() == Unit::CALL_UNITS && opened.part.purchases()?.iter().any(bought) => {
            "What you paid by bank card for the units that are left goes back to that card once nothing of them can still be on its way; \
             `purchases` says so after an update."
                .to_owned()
        }
        None if opened.part.purchases()?.iter().any(bought) => {
            "What you paid for it by bank card goes back to that card once nothing of it can still be on its way; `purchases` says so after \
             an update."
                .to_owned()
        }
        None => "This wallet has not paid for it: what somebody else paid by bank card goes back there, and what was paid at a counter is \
                 paid back there, by hand."
            .to_owned(),
    };
    let text = format!("{} {what}. {money}", bold("Given back:"));
    Ok(Answer::new(text, json!({ "card": card.to_string(), "given_back": amount.decimal().to_string() })))
}

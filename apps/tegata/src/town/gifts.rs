//! What becomes of tickets in the town: one is handed on at the door, one goes to bob by a number, an event is moved and one of its
//! holders goes along, the other does not, and one ticket is given back.

use super::concert::{Hall, PROMOTER, plan};
use crate::commands::{self, give};
use crate::flags::{ChangeCommand, ChangeFlags, Silence};
use crate::hand;
use crate::place::{Place, now};
use crate::screen::{Failure, bold, fail};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tegata_core::{CardId, Time};

/// How long the bank may take to pay back.
const PATIENCE: Duration = Duration::from_secs(20);

/// Alice hands a ticket to bob before the door; a copy of her phone from before is refused, and bob comes in.
pub fn hand_on(hall: &Hall<'_>, card: CardId) -> Result<Value, Failure> {
    let (place, screen) = (hall.place, hall.screen);
    screen.say(bold("12. Alice hands her other ticket to bob, before the door. Nobody else is asked."));
    let copy = Copy::of(place, "alice")?;
    let code = {
        let (mut alice, mut bob) = (place.wallet("alice")?, place.wallet("bob")?);
        hand::over(&mut alice.part, &mut bob.part, card)?
    };
    screen.say(format!("  Both screens show {}; both agree. Bob's tickets:", bold(&code)));
    screen.say(commands::ticket::list(place, "bob")?.text);
    hall.passes("bob", card, 0)?;
    screen.say("  A copy of alice's phone from before is no use any more, at any door:");
    let Err(refused) = hall.touch(copy.name, card, 1)? else { return fail("a ticket came in twice") };
    drop(copy);
    let registered = give::register(place, "bob", None)?;
    screen.say(format!("  {}", registered.text));
    Ok(json!({ "ticket": card.to_string(), "code": code, "copy_refused": refused, "registered": registered.json }))
}

/// A wallet's folder, copied.
struct Copy<'a> {
    place: &'a Place,
    name: &'static str,
}

impl<'a> Copy<'a> {
    fn of(place: &'a Place, of: &str) -> Result<Self, Failure> {
        let copy = Self { place, name: "alices-copy" };
        let to = place.folder.path().join("wallets").join(copy.name);
        std::fs::create_dir_all(&to)?;
        // Nobody writes into it meanwhile.
        let held = place.folder.wallet(of)?;
        for file in std::fs::read_dir(held.path())? {
            let file = file?;
            std::fs::copy(file.path(), to.join(file.file_name()))?;
        }
        Ok(copy)
    }
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        // What cannot be removed is a wallet that nobody asks for.
        let _ = std::fs::remove_dir_all(self.place.folder.path().join("wallets").join(self.name));
    }
}

/// Three tickets of another event: one is given to bob by a number, one is given back, then the event is moved.
pub fn changed(hall: &Hall<'_>) -> Result<Value, Failure> {
    let (place, screen) = (hall.place, hall.screen);
    screen.say(bold("13. A matinee next month: alice buys three tickets, sends one to bob and gives one back."));
    let from = now().time.after(30 * Time::DAY);
    let article = plan(place, "Matinee", (from, from.after(6 * 3600)))?;
    let (sent, back, kept) = (hall.buys(article)?, hall.buys(article)?, hall.buys(article)?);
    let gift = give::gift(place, "alice", &sent.to_string())?;
    screen.say(format!("  {}", gift.text));
    let number = gift.json.get("number").and_then(Value::as_str).unwrap_or_default();
    screen.say(format!("  bob: {}", give::take(place, screen, "bob", number, true)?.text));
    screen.say(format!("  alice: {}", commands::buy::refund(place, screen, "alice", &back.to_string(), true)?.text));
    screen.say(bold("14. The matinee is moved by a week. Bob goes along, alice has her money back."));
    let moved = ChangeFlags {
        event: "Matinee".into(),
        article: None,
        from: Some(commands::minute(from.after(7 * Time::DAY))),
        until: None,
        place: None,
        called: None,
        zones: None,
        seats: None,
        again: None,
        text: "The matinee is a week later".into(),
        answer_days: 7,
        silence: Silence::Accepts,
        dry_run: false,
    };
    screen.say(commands::change::run(place, PROMOTER, &ChangeCommand::Change(moved))?.text);
    told(place, "bob", sent)?;
    told(place, "alice", kept)?;
    screen.say(commands::change::list_changes(place, "bob")?.text);
    let accepted = commands::change::answer(place, "bob", &sent.to_string(), true)?;
    let declined = commands::change::answer(place, "alice", &kept.to_string(), false)?;
    screen.say(format!("  bob: {}\n  alice: {}", accepted.text, declined.text));
    for card in [back, kept] {
        paid_back(place, card)?;
    }
    let report = ChangeCommand::Changes { csv: false, retry: false };
    screen.say(commands::change::run(place, PROMOTER, &report)?.text);
    Ok(
        json!({ "gift": sent.to_string(), "accepted": accepted.json, "declined": declined.json, "given_back": back.to_string() }),
    )
}

/// Waits until a wallet has heard of the change.
fn told(place: &Place, who: &str, card: CardId) -> Result<(), Failure> {
    until(|| {
        let mut wallet = place.wallet(who)?.part;
        wallet.update(&mut place.post()?, now())?;
        Ok(wallet.change(card).is_some())
    })
}

/// Waits until alice has heard that it is paid back.
fn paid_back(place: &Place, card: CardId) -> Result<(), Failure> {
    until(|| {
        let mut wallet = place.wallet("alice")?.part;
        wallet.update(&mut place.post()?, now())?;
        Ok(wallet.refunded(card).is_some())
    })
}

fn until(done: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let end = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() > end {
            return fail("the provider has not said in time what became of a ticket");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

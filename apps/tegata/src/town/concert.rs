//! The town's concert: alice buys tickets by credit, comes in, goes out, comes in again, and is refused in the end; gates are
//! opened as processes of the same folder would be, over sockets.

use super::{CODE, gifts};
use crate::commands::{self, buy::Wanted, ticket};
use crate::operator::Operator;
use crate::place::{Opened, Place, Sort, now};
use crate::screen::{Answer, Failure, Screen, bold, fail};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tegata_core::talk::credit::PaymentOption;
use tegata_core::talk::enter::{Direction, GateNotice};
use tegata_core::wire::signed::Algorithm;
use tegata_core::{Amount, CardId, DeviceId, Time, Unit};
use tegata_gate::lan::Shared;
use tegata_gate::{Gate, serve};
use tegata_issuer::{Category, Draft, Passes};
use tegata_vault::{PartFolder, SqliteVault};
use tegata_wallet::enter_at;

/// The promoter.
pub const PROMOTER: &str = "townhall";
/// The gates: two doors in, one out.
const GATES: [(&str, Direction); 3] = [("door1", Direction::In), ("door2", Direction::In), ("exit", Direction::Out)];
/// How many seats there are.
const SEATS: u64 = 20;

/// A gate that is open.
struct Open {
    gate: Arc<Shared<SqliteVault>>,
    address: String,
    lan: std::net::SocketAddr,
    shown: Receiver<GateNotice>,
    _folder: PartFolder,
}

impl Open {
    fn new(place: &Place, name: &str) -> Result<Self, Failure> {
        let Opened { part, folder } = place.gate(name)?;
        let gate: Arc<Shared<SqliteVault>> = Shared::new(Gate::new(part.device), now);
        let listener = tegata_link::listen("127.0.0.1:0")?;
        let (address, lan) = (listener.addr().to_string(), gate.serve(TcpListener::bind("127.0.0.1:0")?)?);
        let (notices, shown) = channel();
        serve(&gate, listener, notices);
        Ok(Self { gate, address, lan, shown, _folder: folder })
    }
    fn told(&self) -> Result<String, Failure> {
        match self.shown.recv_timeout(Duration::from_secs(10)) {
            Ok(notice) => Ok(commands::gate::told(&notice).text),
            Err(_) => fail("the gate saw nobody"),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gate.stop();
    }
}

/// The hall with its gates, which need no network any more.
pub struct Hall<'a> {
    /// The town.
    pub place: &'a Place,
    /// Who watches.
    pub screen: Screen,
    gates: Vec<Open>,
    promoter: String,
}

impl Hall<'_> {
    /// A wallet touches a gate: what its holder is told, or why not; both screens are shown.
    pub fn touch(&self, who: &str, card: CardId, at: usize) -> Result<Result<Answer, String>, Failure> {
        let mut wallet = self.place.wallet(who)?;
        let notices = enter_at(&mut wallet.part, self.gates[at].address.as_str(), (card, 1), now)?;
        let told = ticket::told(&notices, card).map_err(|failure| failure.0);
        let shown = match &told {
            Ok(answer) => answer.text.clone(),
            Err(why) => why.clone(),
        };
        self.screen.say(format!("  {}: {}\n  {who}: {shown}", GATES[at].0, self.gates[at].told()?));
        Ok(told)
    }
    /// The same, by somebody who has to be let pass.
    pub fn passes(&self, who: &str, card: CardId, at: usize) -> Result<(), Failure> {
        match self.touch(who, card, at)? {
            Ok(_) => Ok(()),
            Err(why) => fail(format!("{who} was not let pass: {why}")),
        }
    }
    /// Alice buys a ticket of this article.
    pub fn buys(&self, article: u64) -> Result<CardId, Failure> {
        let wanted = Wanted {
            article,
            issuer: Some(&self.promoter),
            card: None,
            seat: None,
            wait: false,
            option: PaymentOption::Once,
            yes: true,
        };
        let bought = commands::buy::buy(self.place, self.screen, "alice", &wanted)?;
        match bought.json.get("card").and_then(Value::as_str).and_then(CardId::parse) {
            Some(card) => Ok(card),
            None => fail("alice got no ticket"),
        }
    }
}

/// Plays it, and says what everybody sees.
pub fn play(place: &Place, screen: Screen, operator: &Operator) -> Result<Value, Failure> {
    screen.say(bold(
        "11. A concert: the town hall sells seats and opens three gates, which need no network from then on.",
    ));
    let token = |role: &str, name: &str, owner: Option<&str>| -> Result<String, Failure> {
        let answer = operator.ask(&json!({ "do": "invite", "role": role, "names": [name], "owner": owner }))?;
        Ok(answer.pointer("/tokens/0").and_then(Value::as_str).unwrap_or_default().to_owned())
    };
    let promoter =
        commands::join_part(place, Sort::Issuer, PROMOTER, &token("issuer", PROMOTER, None)?, Algorithm::Ed25519)?;
    let id = promoter.json.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    operator.ask(&json!({
        "do": "enrol", "merchant": id, "code": "TOWNHALL", "category": 7922, "name": "TOWN HALL TICKETS",
    }))?;
    let at = now().time;
    let article = plan(place, "Concert", (Time(at.0 - 3600), at.after(12 * 3600)))?;
    for (name, direction) in GATES {
        let joined =
            commands::join_part(place, Sort::Gate, name, &token("gate", name, Some(&id))?, Algorithm::Ed25519)?;
        let gate = joined.json.get("id").and_then(Value::as_str).and_then(DeviceId::parse);
        let Some(gate) = gate else { return fail("a gate has no id") };
        place.issuer(PROMOTER)?.part.gate(&mut place.post()?, (gate, "Concert", name), direction, now())?;
    }
    for (name, _) in GATES {
        place.gate(name)?.part.update(&mut place.post()?, now())?;
    }
    let gates: Vec<Open> = GATES.iter().map(|(name, _)| Open::new(place, name)).collect::<Result<_, _>>()?;
    for one in &gates {
        gates.iter().filter(|other| other.lan != one.lan).for_each(|other| one.gate.listen_to(other.lan));
    }
    let hall = Hall { place, screen, gates, promoter: id };
    let (card, other) = (hall.buys(article)?, hall.buys(article)?);
    screen.say(ticket::list(place, "alice")?.text);
    screen.say(bold("  She enters, goes out, and comes in again by another door, which has heard of it."));
    for at in [0, 2, 1, 2] {
        hall.passes("alice", card, at)?;
    }
    screen.say(bold("  The ticket's two entries are used: the third is refused, on both screens."));
    let Err(refused) = hall.touch("alice", card, 1)? else { return fail("alice came in once too often") };
    let given = gifts::hand_on(&hall, other)?;
    let changed = gifts::changed(&hall)?;
    for one in &hall.gates {
        one.gate.with(|gate, at| gate.update(&mut place.post()?, at).map_err(Failure::from))?;
    }
    place.wallet("alice")?.part.update(&mut place.post()?, now())?;
    let inside = hall.gates[0].gate.with(|gate, _| gate.tally().inside(1));
    Ok(json!({
        "ticket": card.to_string(), "refused": refused, "inside": inside, "given": given, "changed": changed, "code": CODE,
    }))
}

/// An event with its seats on sale, open in these hours; gives the article.
pub fn plan(place: &Place, name: &str, (from, until): (Time, Time)) -> Result<u64, Failure> {
    let seats: Vec<String> = (1..=SEATS).map(|seat| format!("\"Row 1, {seat}\",Stalls")).collect();
    let draft = Draft {
        name: name.into(),
        place: "Town hall".into(),
        zones: vec!["hall".into()],
        doors: GATES.iter().map(|(name, _)| ((*name).into(), None)).collect(),
        seats: Some(format!("seat,category\n{}\n", seats.join("\n"))),
    };
    let passes = Passes {
        from,
        until,
        zones: Vec::new(),
        entries: 2,
        a_day: None,
        reentry: true,
        companions: 0,
        refund_until: None,
        refundable: true,
        handovers: 2,
        give_until: None,
        give_price: Amount::new(Unit::USD, 4_500),
    };
    let Some(price) = Amount::new(Unit::USD, 4_500) else { return fail("no price") };
    let category = Category { name: "Stalls".into(), price, stock: None, sold_until: until, passes };
    let (_, listed) = place.issuer(PROMOTER)?.part.plan(&mut place.post()?, &draft, &[category], now())?;
    match listed.first() {
        Some(listed) => Ok(listed.article),
        None => fail("nothing is for sale"),
    }
}

//! What a switching center does on the command line.

use crate::csv;
use crate::flags::SwitchCommand;
use crate::place::{ANSWER_WITHIN, Opened, Place, Sort, forget_address, now, write_address};
use crate::screen::{Answer, Failure, Screen, bold, fail, table};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tegata_core::card::CallEnd;
use tegata_core::talk::journal::Journal;
use tegata_core::wire::signed::Algorithm;
use tegata_core::{PartyId, Time};
use tegata_device::{HttpPost, Post, PostError};
use tegata_sip::config::{Transport, Trunk};
use tegata_sip::phones::digest::secret;
use tegata_sip::{Algorithm as Digest, Announcement, AnnouncementError, Config, Number, Passwords};
use tegata_switch::desk::Desk;
use tegata_switch::{CallRecord, Courier, Switch, TrunkKey, TrunkTotal, by_trunk};
use tegata_vault::SqliteVault;

/// The realm of phones' passwords.
pub const REALM: &str = "tegata";
/// How long a switch that ends begins to send what waits, and how long it waits for each answer.
const HASTE: Duration = Duration::from_secs(3);

/// Said to whoever starts a switch that could connect more calls than it can relay.
const MORE_FILES: &str = " (more, four files each, with a higher hard limit of open files: ulimit -Hn)";

/// Does it.
pub fn run(place: &Place, screen: Screen, name: &str, command: SwitchCommand) -> Result<Answer, Failure> {
    match command {
        SwitchCommand::Join { token } => super::join_part(place, Sort::Switch, name, &token, Algorithm::Ed25519),
        SwitchCommand::Phone { number, remove } => phone(place.switch(name)?.folder.path(), &number, remove),
        SwitchCommand::Phones => phones(&place.look(Sort::Switch, name)?.1),
        SwitchCommand::Run {
            listen,
            trunk,
            operator,
            emergency,
            most_calls,
            relay,
            end_to_end,
            announcement,
            update_every,
            keep_days,
        } => {
            let plain = config(&listen, &trunk, &emergency, most_calls)?;
            let voice = if end_to_end { None } else { relay.or_else(|| own_voice(&plain)) };
            if announcement.is_some() && voice.is_none() {
                return fail(
                    "an announcement is heard where voice goes through the switch: name an address of it (--relay)",
                );
            }
            let announcement = announced(announcement.as_deref())?;
            let config = Config { relay: voice, relay_all: relay.is_some(), announcement, ..plain };
            let operators = operators(&operator, &config)?;
            open(place, screen, name, (config, operators), (update_every, keep_days.saturating_mul(Time::DAY)))
        }
        SwitchCommand::Hotspot { listen, service, update_every, keep_days } => {
            let keep = keep_days.saturating_mul(Time::DAY);
            super::hotspot::open(place, screen, name, (&listen, &service), (update_every, keep))
        }
        SwitchCommand::Status => status(&mut looked(place, name)?),
        SwitchCommand::Update => {
            let summary = place.switch(name)?.part.update(&mut place.post()?, now())?;
            Ok(super::updated(name, &summary))
        }
        SwitchCommand::Calls { csv, by_trunk: false } => Ok(calls(&looked(place, name)?.records()?, csv)),
        SwitchCommand::Calls { csv, by_trunk: true } => Ok(totals(&looked(place, name)?.records()?, csv)),
    }
}

/// Its records, also while it connects calls.
fn looked(place: &Place, name: &str) -> Result<Switch<SqliteVault>, Failure> {
    Ok(Switch::new(place.look(Sort::Switch, name)?.0))
}

/// The phones that may register: digests of their passwords, in the switch's folder.
#[derive(Default)]
pub struct Phones(BTreeMap<String, [String; 2]>);

impl Phones {
    fn file(folder: &Path) -> PathBuf {
        folder.join("phones.csv")
    }
    /// Reads them.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let text = match std::fs::read_to_string(Self::file(folder)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let line = |line: &str| {
            let mut fields = line.split(',').map(str::to_owned);
            Some((fields.next()?, [fields.next()?, fields.next()?]))
        };
        match text.lines().skip(1).map(line).collect() {
            Some(known) => Ok(Self(known)),
            None => fail("phones.csv in the switch's folder is damaged: a line has number, sha256 and md5"),
        }
    }
    fn write(&self, folder: &Path) -> Result<(), Failure> {
        let lines = self.0.iter().map(|(number, [sha256, md5])| format!("{number},{sha256},{md5}\n"));
        let written = folder.join("phones.new");
        // What stands there is as good as a password.
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        file.write_all(format!("number,sha256,md5\n{}", lines.collect::<String>()).as_bytes())?;
        Ok(std::fs::rename(written, Self::file(folder))?)
    }
    /// Lets a phone register with this password.
    pub fn add(folder: &Path, number: &Number, password: &str) -> Result<(), Failure> {
        let mut phones = Self::read(folder)?;
        let of = |digest| secret(number.as_str(), REALM, password, digest);
        phones.0.insert(number.as_str().to_owned(), [of(Digest::Sha256), of(Digest::Md5)]);
        phones.write(folder)
    }
}

impl Passwords for Phones {
    fn secret(&self, name: &str, realm: &str, algorithm: Digest) -> Option<String> {
        let [sha256, md5] = self.0.get(name).filter(|_| realm == REALM)?;
        match algorithm {
            Digest::Sha256 => Some(sha256.clone()),
            Digest::Md5 => Some(md5.clone()),
        }
    }
}

fn phone(folder: &Path, number: &str, remove: bool) -> Result<Answer, Failure> {
    let number = match Number::read(number) {
        Ok(number) => number,
        Err(_) => return fail(format!("'{number}' is no number or name of a phone")),
    };
    if remove {
        let mut phones = Phones::read(folder)?;
        if phones.0.remove(number.as_str()).is_none() {
            return fail(format!("there is no phone {number}; `phones` lists them"));
        }
        phones.write(folder)?;
        return Ok(Answer::new(format!("{number} cannot register any more."), json!({ "removed": number.as_str() })));
    }
    let password: String =
        tegata_crypto_native::entropy::fresh().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Phones::add(folder, &number, &password)?;
    let text = format!(
        "{number} may register, with this password, which is shown this once: {password}\n\
         With a wallet: tegata wallet NAME phone {number} --password {password}; a running switch knows it after a restart."
    );
    Ok(Answer::new(text, json!({ "phone": number.as_str(), "password": password })))
}

fn phones(folder: &Path) -> Result<Answer, Failure> {
    let phones = Phones::read(folder)?;
    let rows: Vec<Vec<String>> = phones.0.keys().map(|number| vec![number.clone()]).collect();
    let text =
        if rows.is_empty() { "No phone may register yet: phone NUMBER".to_owned() } else { table(&["phone"], &rows) };
    Ok(Answer::new(text, json!({ "phones": phones.0.keys().collect::<Vec<_>>() })))
}

/// What the flags say.
pub fn config(listen: &str, trunks: &[String], emergency: &[String], most_calls: usize) -> Result<Config, Failure> {
    let Ok(listen) = listen.parse() else {
        return fail(format!("'{listen}' is no address; write it like 0.0.0.0:5060"));
    };
    let trunks = trunks.iter().map(|text| trunk(text)).collect::<Result<Vec<_>, _>>()?;
    let is_twice = |trunk: &Trunk| trunks.iter().filter(|other| other.name == trunk.name).count() > 1;
    if let Some(twice) = trunks.iter().find(|trunk| is_twice(trunk)) {
        return fail(format!(
            "two trunks are called '{}': give each a name of its own, its operator is paid by it",
            twice.name
        ));
    }
    let mut config = Config::new(listen, REALM);
    config.most_calls = most_calls;
    if !trunks.is_empty() {
        config.emergency.numbers = emergency.to_vec();
        config.emergency.trunks = trunks.iter().map(|trunk| trunk.name.clone()).collect();
    }
    config.trunks = trunks;
    Ok(config)
}

/// Where voice goes through the switch if nobody says otherwise: at the address that it is found at. `None`: that is not one address, or a trunk
/// is on the same machine, to which no voice is relayed.
fn own_voice(config: &Config) -> Option<IpAddr> {
    let own = config.listen.ip();
    let is_here = |trunk: &Trunk| trunk.address.ip() == own || trunk.address.ip().is_loopback();
    let unheard = !own.is_loopback() && config.trunks.iter().any(is_here);
    (!own.is_unspecified() && !unheard).then_some(own)
}

/// What is said before paid time ends: this file, nothing, or what the switch has of its own.
fn announced(file: Option<&Path>) -> Result<Option<Announcement>, Failure> {
    let Some(file) = file else { return Ok(Some(Announcement::usual()?)) };
    if file == Path::new("none") {
        return Ok(None);
    }
    let shown = file.display();
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return fail(format!("the announcement {shown} cannot be read: {error}")),
    };
    match Announcement::read(&bytes) {
        Ok(announcement) => Ok(Some(announcement)),
        Err(error) => fail(format!(
            "the announcement {shown} cannot be played: {error}. {}",
            match &error {
                AnnouncementError::Damaged | AnnouncementError::Empty => "Record it again, or copy it again".to_owned(),
                AnnouncementError::TooLong =>
                    format!("SoX keeps its beginning: sox {shown} -r 8000 -c 1 -e mu-law ready.wav trim 0 9"),
                _ => format!("SoX makes one that can: sox {shown} -r 8000 -c 1 -e mu-law ready.wav"),
            }
        )),
    }
}

/// `NAME=ADDRESS/PREFIX,PREFIX`.
fn trunk(text: &str) -> Result<Trunk, Failure> {
    let parts = text.split_once('=').map(|(name, rest)| (name, rest.split_once('/').unwrap_or((rest, ""))));
    match parts.map(|(name, (address, prefixes))| (name, address.parse::<SocketAddr>(), prefixes)) {
        Some((name, Ok(address), prefixes)) => Ok(Trunk {
            name: name.to_owned(),
            prefixes: prefixes.split(',').map(str::to_owned).collect(),
            least_digits: 3,
            address,
            transport: Transport::Udp,
        }),
        _ => fail(format!("'{text}' is no trunk; write it like carrier=192.0.2.7:5060/49,1")),
    }
}

/// `NAME=PARTY`, of trunks that there are.
fn operators(texts: &[String], config: &Config) -> Result<HashMap<String, PartyId>, Failure> {
    let one = |text: &String| {
        let (name, party) = text.split_once('=').unwrap_or((text, ""));
        match PartyId::parse(party) {
            _ if !config.trunks.iter().any(|trunk| trunk.name == name) => {
                fail(format!("there is no trunk '{name}'; name one of those that --trunk gives"))
            }
            Some(party) => Ok((name.to_owned(), party)),
            None => fail(format!("'{text}' names no operator; write it like carrier=party-..., a merchant's id")),
        }
    };
    texts.iter().map(one).collect()
}

/// Who is paid by trunk, for whoever starts the switch: it cannot know who has joined, and a name that is mistyped pays its owner.
fn paid_by_trunk(operators: &HashMap<String, PartyId>) -> String {
    let mut lines: Vec<_> = operators.iter().map(|(trunk, party)| format!("{party} for {trunk}")).collect();
    lines.sort();
    match lines.as_slice() {
        [] => String::new(),
        lines => format!(
            "Paid for calls through trunks: {}. If no merchant of that id has joined, the switch's owner is: see `provider trunks`. ",
            lines.join(", ")
        ),
    }
}

/// Connects calls until it is stopped.
fn open(
    place: &Place,
    screen: Screen,
    name: &str,
    (config, operators): (Config, HashMap<String, PartyId>),
    (update_every, keep): (u64, u64),
) -> Result<Answer, Failure> {
    let Opened { part: mut switch, folder } = place.switch(name)?;
    switch.exchange()?;
    let recovered = switch.recover(now())?;
    while switch.prune(now().time, keep)? > 0 {}
    let phones = Phones::read(folder.path())?;
    let known = phones.0.keys().cloned().collect();
    let (emergency, relay, most_calls) = (config.emergency.numbers.clone(), config.relay, config.most_calls);
    let paid = paid_by_trunk(&operators);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut desk = Desk::new(switch);
    desk.operators = operators;
    desk.phones = known;
    desk.keep = Some(keep);
    if update_every > 0 {
        let (url, every) = (place.provider_url()?, Duration::from_secs(update_every));
        desk.courier = Some(Courier::new(every, move || HttpPost::within(&url, ANSWER_WITHIN)));
    }
    let served = runtime.block_on(async {
        let (sip, mut control) = tegata_sip::Switch::start(config, phones).await?;
        let address = sip.address();
        write_address(folder.path(), &address.to_string())?;
        let text = format!(
            "{} connects calls at {address}. {}{}{}{paid}Now dial with a wallet, in another window:\n  tegata wallet alice call NUMBER --at {name}",
            bold(name),
            if recovered == 0 { String::new() } else { format!("{recovered} calls that were cut off have ended. ") },
            // Whoever runs it must know that before somebody needs help.
            if emergency.is_empty() { "It takes no calls for help, since it has no trunk for them (--trunk). " } else { "" },
            match relay {
                Some(at) => format!(
                    "Voice goes through it at {at}, of {} calls at once{}, and callers hear it before paid time ends. ",
                    sip.most_relayed(),
                    if sip.most_relayed() == most_calls { "" } else { MORE_FILES }
                ),
                None => "Voice goes from end to end: callers hear nothing before paid time ends, and are warned by a text alone \
                         (--relay ADDRESS). "
                    .to_owned(),
            }
        );
        let json = json!({ "listening": address.to_string(), "recovered": recovered, "emergency": emergency,
            "relay": relay.map(|at| at.to_string()), "relayed_at_once": sip.most_relayed() });
        screen.show(&Answer::new(text, json));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            crate::interrupted().await;
            stop.send(true)
        });
        let served = desk.run(&sip, &mut control, stopped, now).await;
        // Before its charging goes, which it would take for a fault.
        drop(sip);
        forget_address(folder.path());
        served.map_err(Failure::from)
    });
    served?;
    // What could not be ended is cut off with the switch; what that costs is logged now.
    let cut = desk.switch.recover(now())?;
    let done = desk.done();
    let left = brought_up(place, screen, &mut desk.switch, update_every > 0);
    let text = format!(
        "The switch is closed. {} calls asked for a tariff, {} have ended and are logged, {cut} were cut off. {}",
        done.asked,
        done.ended,
        who_has_records(name, left)
    );
    let json = json!({ "closed": true, "asked": done.asked, "ended": done.ended, "refused": done.refused, "cut": cut,
        "waiting": left });
    Ok(Answer::new(text, json))
}

/// Where its records are, of which so many wait, and what to do about these.
pub(super) fn who_has_records(name: &str, left: u64) -> String {
    match left {
        0 => "The provider has all its records.".to_owned(),
        1 => format!("1 record waits for the provider; bring it up: tegata switch {name} update"),
        left => format!("{left} records wait for the provider; bring them up: tegata switch {name} update"),
    }
}

/// A switch that ends tries once more to bring its records up, for some seconds; says how many are left. Whoever wants it to update only
/// when asked is not surprised.
pub(super) fn brought_up(place: &Place, screen: Screen, switch: &mut Switch<SqliteVault>, tries: bool) -> u64 {
    let waits = waiting(switch);
    if !tries || waits == 0 {
        return waits;
    }
    screen.say(format!("All has ended. Brings what waits ({waits}) up to the provider, for some seconds at most."));
    let brought = Hasty::open(place).and_then(|mut post| Ok(switch.update(&mut post, now())?));
    if let Err(failure) = brought {
        tracing::info!("the log waits: {}", failure.0);
    }
    waiting(switch)
}

/// A line to the provider that is used for [`HASTE`] and no longer.
struct Hasty {
    post: HttpPost,
    url: String,
    until: Instant,
}

impl Hasty {
    fn open(place: &Place) -> Result<Self, Failure> {
        let url = place.provider_url()?;
        let post = HttpPost::within(&url, HASTE)?.impatient();
        Ok(Self { post, url, until: Instant::now() + HASTE })
    }
}

impl Post for Hasty {
    fn post(&mut self, envelopes: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, PostError> {
        if Instant::now() >= self.until {
            return Err(PostError::Away(self.url.clone()));
        }
        self.post.post(envelopes)
    }
}

/// Records that the provider has not acknowledged.
fn waiting(switch: &Switch<SqliteVault>) -> u64 {
    Journal::load(&switch.device).map_or(0, |journal| journal.number.saturating_sub(journal.acknowledged))
}

fn status(switch: &mut Switch<SqliteVault>) -> Result<Answer, Failure> {
    let exchange = switch.exchange()?;
    let waiting = waiting(switch);
    let tariffs: Vec<Value> = exchange
        .tariffs
        .iter()
        .map(|(_, tariff)| json!({ "issuer": tariff.issuer.to_string(), "unit": tariff.unit.name(), "tariff": tariff.number, "rates": tariff.rates.len() }))
        .collect();
    let records = switch.records()?;
    let paid = last_paid(&records);
    let operators: Vec<Value> = paid
        .iter()
        .map(|(trunk, operator)| json!({ "trunk": trunk, "operator": operator.map(|party| party.to_string()) }))
        .collect();
    let text = format!(
        "Charges by {} tariffs, for {} sorts of telephone card. {waiting} records wait for the provider.{}",
        exchange.tariffs.len(),
        exchange.terms.len(),
        in_words(&paid)
    );
    let json = json!({ "tariffs": tariffs, "cards": exchange.terms.len(), "waiting": waiting, "operators": operators });
    Ok(Answer::new(text, json))
}

/// Whom the last call through each trunk pays; `None`: the switch's owner.
fn last_paid(records: &[CallRecord]) -> BTreeMap<&str, Option<PartyId>> {
    let mut last: Vec<&CallRecord> = records.iter().collect();
    last.sort_by_key(|record| record.number);
    last.into_iter().filter_map(|record| Some((record.trunk.as_deref()?, record.operator))).collect()
}

fn in_words(paid: &BTreeMap<&str, Option<PartyId>>) -> String {
    let owner = || "the switch's owner".to_owned();
    let who = |(trunk, operator): (&&str, &Option<PartyId>)| {
        format!("{} for {trunk}", operator.map_or_else(owner, |party| party.to_string()))
    };
    let lines: Vec<String> = paid.iter().map(who).collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!(" By the last call through each trunk it pays {}.", lines.join(", "))
    }
}

fn calls(records: &[CallRecord], as_csv: bool) -> Answer {
    let seconds = |lasted: Option<u64>| {
        lasted.map_or_else(String::new, |lasted| format!("{}.{:03}", lasted / 1000, lasted % 1000))
    };
    let row = |record: &CallRecord| {
        vec![
            record.number.to_string(),
            super::moment(record.at),
            record.called.clone(),
            seconds(record.lasted),
            record.paid.decimal().to_string(),
            record.used.decimal().to_string(),
            record.used.unit().name().to_owned(),
            record.ended.name().to_owned(),
            record.card.map_or_else(String::new, |card| card.to_string()),
            record.evidence.to_string(),
            record.trunk.clone().unwrap_or_default(),
            record.operator.map_or_else(String::new, |party| party.to_string()),
        ]
    };
    let rows: Vec<Vec<String>> = records.iter().map(row).collect();
    let head =
        ["number", "at", "called", "seconds", "paid", "used", "unit", "ended", "card", "evidence", "trunk", "operator"];
    let json: Vec<Value> = records
        .iter()
        .map(|record| {
            json!({ "number": record.number, "at": record.at.0, "called": record.called, "lasted_ms": record.lasted,
                "paid": record.paid.minor(), "used": record.used.minor(), "unit": record.used.unit().name(),
                "ended": record.ended.name(), "card": record.card.map(|card| card.to_string()),
                "evidence": record.evidence.to_string(), "trunk": record.trunk,
                "operator": record.operator.map(|party| party.to_string()) })
        })
        .collect();
    let text = match (as_csv, rows.is_empty()) {
        (true, _) => csv::csv(&head, &rows),
        (false, true) => "No call has ended yet.".to_owned(),
        (false, false) => {
            let short = |(row, record): (&Vec<String>, &CallRecord)| -> Vec<String> {
                row.iter().take(7).cloned().chain([how(record).to_owned()]).collect()
            };
            let short: Vec<Vec<String>> = rows.iter().zip(records).map(short).collect();
            table(head.get(..8).unwrap_or_default(), &short)
        }
    };
    Answer::new(text, json!({ "calls": json }))
}

/// How a call ended, for whoever runs the switch. Programs read the names that the protocol has.
fn how(record: &CallRecord) -> &'static str {
    match record.ended {
        CallEnd::HungUp => "caller hung up",
        CallEnd::CalledHungUp => "other side hung up",
        CallEnd::Busy => "busy",
        CallEnd::NoAnswer => "no answer",
        CallEnd::Cancelled => "caller gave up",
        CallEnd::Failed if record.lasted.is_none() => "not connected",
        CallEnd::Failed => "connection broke",
        CallEnd::PaidTimeOver => "paid time over",
        CallEnd::SwitchRestarted => "switch stopped or restarted",
        CallEnd::NotAgreed => "not agreed",
        CallEnd::CardBlocked => "card blocked",
    }
}

/// What went through each trunk, by the switch's own records.
fn totals(records: &[CallRecord], as_csv: bool) -> Answer {
    let totals = by_trunk(records);
    let own = |words: &str| if as_csv { String::new() } else { words.to_owned() };
    let row = |((trunk, operator, unit), total): (&TrunkKey, &TrunkTotal)| {
        vec![
            trunk.clone().unwrap_or_else(|| own("own phones")),
            operator.map_or_else(|| own("owner of the switch"), |party| party.to_string()),
            total.calls.to_string(),
            total.answered.to_string(),
            format!("{}.{:03}", total.lasted / 1000, total.lasted % 1000),
            total.used.decimal().to_string(),
            unit.name().to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = totals.iter().map(row).collect();
    let json = |((trunk, operator, unit), total): (&TrunkKey, &TrunkTotal)| {
        json!({ "trunk": trunk, "operator": operator.map(|party| party.to_string()), "calls": total.calls,
            "answered": total.answered, "lasted_ms": total.lasted, "used": total.used.minor(), "unit": unit.name() })
    };
    let head = ["trunk", "operator", "calls", "answered", "seconds", "used", "unit"];
    let text = match (as_csv, rows.is_empty()) {
        (true, _) => csv::csv(&head, &rows),
        (false, true) => "No call has ended yet.".to_owned(),
        (false, false) => table(&head, &rows),
    };
    Answer::new(text, json!({ "trunks": totals.iter().map(json).collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_words_and_programs_names() {
        use tegata_core::{Amount, CardId, Hash, Unit};
        let amount = |minor| Amount::new(Unit::USD, minor).expect("in range");
        let record = CallRecord {
            number: 17,
            at: Time(1_800_000_000),
            called: "0301".to_owned(),
            card: Some(CardId([1; 16])),
            lasted: Some(61_500),
            paid: amount(30),
            used: amount(25),
            ended: CallEnd::CalledHungUp,
            trunk: None,
            operator: None,
            evidence: Hash::of(b"a call"),
        };
        let party = PartyId([7; 16]);
        let through =
            |number, operator| CallRecord { number, operator, trunk: Some("carrier".to_owned()), ..record.clone() };
        let several = [through(19, Some(party)), record.clone(), through(18, None)];
        let paid = last_paid(&several);
        assert_eq!(paid, BTreeMap::from([("carrier", Some(party))]), "the last one counts");
        assert_eq!(in_words(&paid), format!(" By the last call through each trunk it pays {party} for carrier."));
        assert!(in_words(&last_paid(&several[2..])).contains("the switch's owner for carrier"));
        assert_eq!(in_words(&last_paid(&several[1..2])), "", "own phones");
        let records = [record];
        let (listed, as_csv) = (calls(&records, false), calls(&records, true));
        assert!(listed.text.contains("other side hung up") && !listed.text.contains("CalledHungUp"), "{}", listed.text);
        assert!(as_csv.text.contains(",CalledHungUp,"), "{}", as_csv.text);
        assert_eq!(listed.json["calls"][0]["ended"], "CalledHungUp");
        let through = totals(&records, false).text;
        assert!(through.contains("own phones") && through.contains("owner of the switch"), "{through}");
        assert!(!totals(&records, true).text.contains("own"), "a name that no trunk has");
    }

    #[test]
    fn voice_goes_through_a_switch_unless_that_would_silence_somebody() {
        let own = |listen, trunk: &str| own_voice(&config(listen, &[trunk.to_owned()], &[], 10).expect("a switch"));
        let address = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        assert_eq!(own("127.0.0.1:5060", "carrier=127.0.0.1:5070"), address("127.0.0.1"));
        assert_eq!(own("192.0.2.1:5060", "carrier=192.0.2.7:5060"), address("192.0.2.1"));
        assert_eq!(own("0.0.0.0:5060", "carrier=192.0.2.7:5060"), None, "nobody can send there");
        for here in ["carrier=192.0.2.1:5070", "carrier=127.0.0.1:5070"] {
            assert_eq!(own("192.0.2.1:5060", here), None, "a gateway beside it");
        }
    }

    #[test]
    fn an_announcement_is_the_usual_one_none_or_a_file_that_can_be_played() {
        let read = |file: Option<&Path>| announced(file).map_err(|failure| failure.0);
        assert_eq!(read(None), Ok(Announcement::usual().ok()), "the usual one");
        assert_eq!(read(Some(Path::new("none"))), Ok(None));
        let folder = tempfile::TempDir::new().expect("a folder");
        let song = folder.path().join("song.mp3");
        // What cannot help is not recommended: a longer one stays longer, a damaged one damaged.
        std::fs::write(&song, b"RIFF\x24\0\0\0WAVEfmt ").expect("written");
        let damaged = read(Some(song.as_path())).expect_err("a piece of a WAV file");
        assert!(damaged.contains("damaged") && !damaged.contains("SoX"), "{damaged}");
        std::fs::remove_file(&song).expect("removed");
        let missing = read(Some(song.as_path())).expect_err("no such file");
        assert!(missing.contains("song.mp3 cannot be read"), "{missing}");
        std::fs::write(&song, "ID3").expect("written");
        let refused = read(Some(song.as_path())).expect_err("no WAV file");
        assert!(refused.contains("song.mp3 cannot be played: it is no WAV file."), "{refused}");
    }
}

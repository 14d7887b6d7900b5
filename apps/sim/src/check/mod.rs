//! What must never happen (SYSTEM.md), checked when all is quiet, from the devices' own records, the provider's books and
//! what the town saw.

mod buying;
mod calls;
mod changes;
mod credit;
mod given;
mod lost;
mod queue;
mod reach;
mod ring;
mod settle;
mod staff;
mod tickets;

use crate::template::template;
use crate::town::{Person, Till, Town};
use std::collections::{BTreeMap, BTreeSet};
use tegata_core::card::payment::PurseState;
use tegata_core::card::{CardCertificate, CardEvent};
use tegata_core::record::Space;
use tegata_core::talk::contract::Tender;
use tegata_core::talk::journal::LogEntry;
use tegata_core::talk::pay::{Charge, Claim, ClaimState, Paying, PayingState, load_purse};
use tegata_core::wire::canonical::Wire;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{CardId, DeviceId, Hash, Time, Unit};
use tegata_crypto_native::NativeVerifier;
use tegata_ledger::Side;
use tegata_store::{ClaimState as Recorded, EventState, ExceptionKind, ExceptionRow, StoreError};
use tegata_vault::Vault;

/// A position in a card's chain.
type Position = (CardId, u64, u64);

/// What the devices' records say, put side by side.
#[derive(Default)]
struct Evidence {
    /// Claims of all terminals.
    claims: BTreeMap<(DeviceId, u64), Claim>,
    /// Checks by position: what different devices hold.
    checks: BTreeMap<Position, BTreeSet<Hash>>,
}

impl Town {
    /// Everything that is wrong, in words; empty if nothing is.
    pub fn judge(&mut self) -> Vec<String> {
        let mut wrong = std::mem::take(&mut self.wrong);
        match self.evidence(&mut wrong) {
            Ok(evidence) => {
                let judged = [
                    self.equation(&mut wrong),
                    self.till_side(&evidence, &mut wrong),
                    self.wallet_side(&evidence, &mut wrong),
                    self.merchants(&mut wrong),
                    self.credit(&evidence, &mut wrong),
                    self.buying(&evidence, &mut wrong),
                    self.settlement(&mut wrong),
                    self.tickets(&mut wrong),
                    self.by_hands(&mut wrong),
                    self.lost_gates(&mut wrong),
                    self.queues(&mut wrong),
                    self.slips(&mut wrong),
                    self.given(&mut wrong),
                    self.changed(&mut wrong),
                    self.calls(&mut wrong),
                    self.numbers_ring(&mut wrong),
                    self.exceptions(&evidence, &mut wrong),
                ];
                wrong.extend(judged.into_iter().filter_map(Result::err).map(|error| format!("the store: {error}")));
            }
            Err(error) => wrong.push(format!("a device: {error}")),
        }
        if let Err(error) = self.letters_arrive(&mut wrong) {
            wrong.push(format!("the store: {error}"));
        }
        self.goods_have_evidence(&mut wrong);
        if let Err(difference) = self.center.audit() {
            wrong.push(format!("audit: {difference}"));
        }
        wrong.sort();
        wrong.dedup();
        wrong
    }

    fn evidence(&self, wrong: &mut Vec<String>) -> Result<Evidence, tegata_vault::VaultError> {
        let mut evidence = Evidence::default();
        for (at, till) in self.tills.iter().enumerate() {
            let vault = &till.terminal.device.vault;
            for (_, bytes) in vault.scan(Space::Charge, &[], usize::MAX)? {
                let Ok(claim) = Claim::from_bytes(&bytes) else {
                    continue;
                };
                if let (Some(hash), Some(card), Some(generation), Some(check)) =
                    (claim.check_hash(till.id), claim.card, claim.generation, &claim.check)
                {
                    let key = self.card_key(card, generation, till);
                    if !is_signed(&claim, till, key.as_ref()) {
                        wrong.push(format!("R3: terminal {at} holds a check or charge that nobody signed"));
                    }
                    evidence.checks.entry((card, generation, check.claimed().seq)).or_default().insert(hash);
                }
                evidence.claims.insert((till.id, claim.charge.claimed().transaction), claim);
            }
        }
        for person in &self.people {
            for paying in payings(person)? {
                if let (Some(hash), Some(check)) = (paying.check_hash(), &paying.check) {
                    let position = (paying.card, paying.generation, check.claimed().seq);
                    evidence.checks.entry(position).or_default().insert(hash);
                }
            }
        }
        Ok(evidence)
    }

    /// The key of a card's generation: as the provider certified it, or as the terminal saw it.
    fn card_key(&self, card: CardId, generation: u64, till: &Till) -> Option<PublicKey> {
        if let Ok(Some(row)) = self.center.store().and_then(|store| store.generation(card, generation)) {
            return Some(row.key);
        }
        let found = till.terminal.device.vault.scan(Space::Certificate, &[], usize::MAX).ok()?;
        found.iter().find_map(|(_, bytes)| {
            let certificate = Signed::<CardCertificate>::decode(bytes).ok()?;
            let said = certificate.claimed();
            (said.card == card && said.generation == generation).then_some(said.key)
        })
    }

    fn equation(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        for (issuer, unit) in store.books()? {
            let equation = store.equation(issuer, unit)?;
            if let Err(unbalanced) = equation.check() {
                wrong.push(format!("R10: {unbalanced}"));
            }
            if self.is_processor(issuer) {
                continue;
            }
            let numbers = self.numbers.iter().filter(|number| number.sold && unit == Unit::USD);
            let telephone = if self.lines.is_some() && unit == Unit::USD { crate::act::PRINTED } else { 0 };
            let by_number = if unit == Unit::ENTRIES { self.sold_by_number() } else { telephone };
            let sold = numbers.map(|number| number.face).sum::<u64>() + self.sold_by_credit(unit)? + by_number;
            let issued = equation.sum(Side::Issued);
            if issued > i128::from(sold) {
                wrong.push(format!("R10: {issued} issued where numbers for {sold} were sold"));
            }
        }
        Ok(())
    }

    /// Goods only with the check durably stored.
    fn goods_have_evidence(&self, wrong: &mut Vec<String>) {
        let mut handed = BTreeSet::new();
        for goods in &self.goods {
            let Some(till) = self.tills.get(goods.till).filter(|till| till.tampered.is_none()) else {
                continue;
            };
            if !handed.insert((goods.till, goods.transaction)) {
                wrong.push(format!("R7: terminal {} handed goods over twice for {}", goods.till, goods.transaction));
            }
            let claim = till.terminal.claim(goods.transaction);
            let stored = claim.is_some_and(|claim| {
                let evidence = claim.check.is_some() || claim.notification.is_some();
                evidence && matches!(claim.state, ClaimState::Paid | ClaimState::Voided)
            });
            if !stored {
                let (at, transaction) = (goods.till, goods.transaction);
                wrong.push(format!("terminal {at} handed goods over for {transaction} without stored evidence"));
            }
        }
    }

    /// Every end of every honest terminal's charge is recorded, once, and as it was.
    fn till_side(&self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        for (at, till) in self.tills.iter().enumerate() {
            let revoked = self.causes.revoked.get(&till.id);
            if till.tampered.is_some() || (revoked.is_some() && self.causes.clocks) {
                continue;
            }
            for ((_, transaction), claim) in evidence.claims.range((till.id, 0)..=(till.id, u64::MAX)) {
                if claim.card.is_some_and(|card| self.is_lost(card)) {
                    continue;
                }
                // What credit paid is no claim on a card: it stands among the payments by credit.
                if claim.offer.is_some() && claim.state != ClaimState::Closed {
                    continue;
                }
                // What a terminal did before it was revoked counts, whenever it arrives (R16).
                let at_its_place = |since: &Time| claim.charge.claimed().at < *since && claim.state != ClaimState::Open;
                if !revoked.is_none_or(at_its_place) {
                    continue;
                }
                let charge = Charge::named(&claim.session, till.id, claim.charge.payload());
                let recorded = store.claim(till.id, *transaction, &charge)?;
                let state = recorded.as_ref().map(|row| row.state);
                let fits = match claim.state {
                    ClaimState::Open | ClaimState::Clearing => false,
                    ClaimState::Paid => matches!(state, Some(Recorded::Paid | Recorded::Refused)),
                    ClaimState::Closed => state == Some(Recorded::Closed),
                    ClaimState::Voided => matches!(state, Some(Recorded::Voided | Recorded::Refused)),
                };
                let undone_later = revoked.is_some() && (state.is_some() || claim.state == ClaimState::Closed);
                if !fits && !undone_later {
                    let ours = claim.state.name();
                    wrong.push(format!("terminal {at}: {transaction} is {ours} there and {state:?} at the provider"));
                }
                if let (Some(row), Some(hash)) = (&recorded, claim.check_hash(till.id))
                    && row.check.is_some_and(|(.., check, _)| check != hash)
                {
                    wrong.push(format!("terminal {at}: {transaction} is recorded with another check"));
                }
            }
        }
        Ok(())
    }

    /// No honest wallet loses anything, and every one knows what it has.
    fn wallet_side(&self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        for (at, person) in self.people.iter().enumerate() {
            if person.tampered.is_some() || self.causes.revoked.contains_key(&person.id) {
                continue;
            }
            let device = &person.wallet.device;
            let mut answered: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
            for (_, name) in device.vault.scan(Space::Check, &[], usize::MAX).unwrap_or_default() {
                *answered.entry(name).or_default() += 1;
            }
            if answered.values().any(|checks| *checks > 1) {
                wrong.push(format!("R2: wallet {at} answered one charge with two checks"));
            }
            for paying in payings(person).unwrap_or_default() {
                self.payment(at, person, &paying, evidence, wrong)?;
            }
            for row in store.cards_of(person.id)? {
                if load_purse(device, row.card).is_none() {
                    wrong.push(format!("wallet {at} was sold {} and never got it", row.card));
                }
            }
            for card in device.cards().unwrap_or_default() {
                if self.is_lost(card) {
                    continue;
                }
                let (Some(purse), Some(row)) = (load_purse(device, card), store.card(card)?) else {
                    wrong.push(format!("wallet {at} holds {card}, which the provider does not know"));
                    continue;
                };
                // What was given is another's; whose, is looked at elsewhere.
                if row.wallet != person.id || self.is_given_on(person, &purse) {
                    continue;
                }
                let unpaid = self.unpaid_on(card)? > 0;
                let undone = self.is_undone(card);
                if self.causes.blocked.contains(&card) || self.is_given_back(card) || unpaid || undone {
                    continue;
                }
                if (purse.state != PurseState::Active || row.blocked.is_some()) && self.is_honest_card(card) {
                    wrong.push(format!("wallet {at} is honest, and {card} is blocked"));
                }
                let waiting = tegata_core::talk::pay::waiting(&purse, device);
                let owed = row.held - row.held_back.min(row.held);
                if purse.remaining + waiting != owed || row.in_flight != self.stuck(person, card) {
                    wrong.push(format!(
                        "wallet {at}: {} + {waiting} on {card}, the provider holds {} ({} held back, {} in flight)",
                        purse.remaining, row.held, row.held_back, row.in_flight
                    ));
                }
            }
        }
        Ok(())
    }

    /// In flight from an honest wallet to terminals that never say how it ended.
    fn stuck(&self, person: &Person, card: CardId) -> u64 {
        let Ok(store) = self.center.store() else {
            return 0;
        };
        let out = payings(person).unwrap_or_default().into_iter().filter(|paying| paying.card == card);
        let stuck = out.filter(|paying| {
            let till = self.tills.iter().find(|till| till.id == paying.terminal);
            let silent = till.is_none_or(|till| till.tampered.is_some() || self.causes.revoked.contains_key(&till.id));
            let hash = paying.check_hash();
            let event = hash.and_then(|hash| store.event_by_hash(card, paying.generation, &hash).ok().flatten());
            silent && event.is_some_and(|event| matches!(event.state, EventState::InFlight | EventState::Refused))
        });
        let paid: u64 = stuck.map(|paying| paying.charge.claimed().amount.minor()).sum();
        paid + self.stuck_in_calls(card)
    }

    fn payment(
        &self,
        at: usize,
        person: &Person,
        paying: &Paying,
        evidence: &Evidence,
        wrong: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let Some(hash) = paying.check_hash().filter(|_| !self.is_lost(paying.card)) else {
            return Ok(());
        };
        let transaction = paying.charge.claimed().transaction;
        if !person.sessions.contains(&paying.session) {
            wrong.push(format!("R5: wallet {at} answered a charge of a session that it was not in"));
        }
        let till = self.tills.iter().find(|till| till.id == paying.terminal);
        let honest = till.is_some_and(|till| till.tampered.is_none() && !self.causes.revoked.contains_key(&till.id));
        let event = self.center.store()?.event_by_hash(paying.card, paying.generation, &hash)?;
        let state = event.as_ref().map(|event| event.state);
        if !honest {
            return Ok(());
        }
        let claim = evidence.claims.get(&(paying.terminal, transaction));
        let claimed = claim.is_some_and(|claim| claim.check_hash(paying.terminal) == Some(hash));
        let fits = match (paying.state, claim.map(|claim| claim.state)) {
            (PayingState::Paid | PayingState::Spent, Some(ClaimState::Paid)) => {
                claimed && matches!(state, Some(EventState::Claimed | EventState::Refused))
            }
            (PayingState::Returned, Some(ClaimState::Closed | ClaimState::Voided)) => {
                state == Some(EventState::Returned)
            }
            (PayingState::Returning, Some(ClaimState::Closed | ClaimState::Voided)) => true,
            // A card that was given back takes nothing up any more: it is paid back with the rest.
            (_, Some(ClaimState::Closed | ClaimState::Voided)) if self.is_given_back(paying.card) => {
                state == Some(EventState::Returned)
            }
            // A void that the wallet has not been told of yet cannot be: all is quiet.
            _ => false,
        };
        if !fits {
            wrong.push(format!(
                "wallet {at}: its payment {transaction} at {} is {}, the terminal says {:?}, the provider {state:?}",
                paying.terminal,
                paying.state.name(),
                claim.map(|claim| claim.state.name())
            ));
        }
        Ok(())
    }

    /// What merchants are owed and were paid is what their claims that stand add up to.
    fn merchants(&self, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let store = self.center.store()?;
        for merchant in &template().merchants {
            let issuer = template().issuer_party;
            let stands = self.stands(*merchant, Tender::Cards)?;
            let stand = stands.amount - stands.fees;
            let payable = store.balance(issuer, Unit::USD, Side::Payable, *merchant)?;
            let paid = store.balance(issuer, Unit::USD, Side::Paid, *merchant)?;
            if payable + paid != i64::try_from(stand).unwrap_or(i64::MAX) {
                wrong.push(format!(
                    "{merchant}: {payable} payable, {paid} paid, and claims for {stand} stand after fees"
                ));
            }
        }
        Ok(())
    }

    /// Every exception has a cause that the seed put there, and every cheat is named.
    fn exceptions(&mut self, evidence: &Evidence, wrong: &mut Vec<String>) -> Result<(), StoreError> {
        let rows = self.center.store()?.exceptions(None, Time(0), Time(u64::MAX >> 1))?;
        for row in &rows {
            let (kind, bearer, amount) = (row.kind, row.bearer, row.amount);
            let about = (row.device, row.card, row.generation, row.seq);
            if let Some(story) = &mut self.story {
                story.push(format!(
                    "exception {kind:?}, borne by {bearer}, {amount:?}, about {about:?}, open {}",
                    row.open
                ));
            }
        }
        for row in rows.iter().filter(|row| !self.explained(row)) {
            wrong.push(format!("an exception without a cause: {:?} about {:?} {:?}", row.kind, row.card, row.device));
        }
        let store = self.center.store()?;
        for ((card, generation, seq), hashes) in &evidence.checks {
            let known: Vec<_> = hashes.iter().filter(|hash| is_recorded(store, *card, *generation, hash)).collect();
            if known.len() < 2 {
                continue;
            }
            let named = rows.iter().any(|row| {
                row.kind == ExceptionKind::Fork
                    && (row.card, row.generation, row.seq) == (Some(*card), Some(*generation), Some(*seq))
                    && row.wallet_record.is_some()
                    && row.terminal_record.is_some()
            });
            if !named {
                wrong.push(format!("R9: {card} signed two events {seq}, and no exception shows both"));
            }
        }
        for person in &self.people {
            for card in person.wallet.device.cards().unwrap_or_default() {
                let accused =
                    self.is_honest_card(card) && rows.iter().any(|row| row.card == Some(card) && accuses(row));
                if person.tampered.is_none() && accused {
                    wrong.push(format!("R9: the holder of {card} is honest and was convicted"));
                }
            }
        }
        Ok(())
    }

    fn explained(&self, row: &ExceptionRow) -> bool {
        // What only looked wrong until the other side was heard is resolved by now.
        let silent = |device: Option<DeviceId>| device.is_some_and(|id| self.causes.silent.contains(&id));
        let wallet = row.card.and_then(|card| self.wallet_of(card)).map(|person| person.id);
        let passing = match row.kind {
            ExceptionKind::Overspent => self.repaid(row),
            ExceptionKind::MissingTerminalRecord => silent(row.device),
            ExceptionKind::MissingWalletRecord => silent(wallet),
            // By whom was unknown to a provider that was put back, until the promoter said so again.
            ExceptionKind::Malformed => self.causes.restored,
            _ => false,
        };
        if passing && !row.open {
            return true;
        }
        let tampered_wallet = row.card.is_some_and(|card| !self.is_honest_card(card));
        let till = self.tills.iter().find(|till| Some(till.id) == row.device);
        let lied = |device| self.lines.as_ref().is_some_and(|lines| lines.id == device && lines.tampered.is_some());
        let tampered_till = till.is_some_and(|till| till.tampered.is_some()) || row.device.is_some_and(lied);
        let any_till = self.tills.iter().any(|till| till.tampered.is_some()) || row.device.is_some_and(lied);
        let revoked = !self.causes.revoked.is_empty();
        let tampered_gate = self.venue.iter().flat_map(|venue| &venue.gates);
        let tampered_gate =
            tampered_gate.into_iter().any(|gate| Some(gate.id) == row.device && gate.tampered.is_some());
        let wallet_by_device = tampered_gate
            || self.people.iter().any(|person| Some(person.id) == row.device && person.tampered.is_some());
        match row.kind {
            ExceptionKind::MissingTerminalRecord => any_till || tampered_wallet || revoked,
            ExceptionKind::MissingWalletRecord => tampered_wallet || revoked || any_till,
            ExceptionKind::Fork | ExceptionKind::Altered => tampered_wallet || wallet_by_device,
            ExceptionKind::Overspent => tampered_wallet || wallet_by_device || tampered_till,
            ExceptionKind::Late => self.causes.late || tampered_till || self.given_late(row, tampered_wallet),
            ExceptionKind::AfterBlock => revoked || tampered_wallet || tampered_till,
            ExceptionKind::OverLimit => tampered_wallet || tampered_till,
            ExceptionKind::Restored => self.causes.restored,
            ExceptionKind::DoubleClaim | ExceptionKind::Malformed => {
                // What a processor says whose key was revoked is kept as malformed.
                let revoked = self.center.processor_revoked.is_some() && row.bearer == "processor";
                let let_go = self.was_let_go(row);
                tampered_till || tampered_wallet || wallet_by_device || revoked || let_go || self.shows_lost(row)
            }
            ExceptionKind::Unpaid => self.was_refused(row),
            ExceptionKind::Unreturned => {
                let used = self.was_shown(row);
                tampered_wallet || wallet_by_device || self.is_of_numbers(row) || self.was_refused(row) || used
            }
            ExceptionKind::Cloned => tampered_wallet,
            ExceptionKind::CameTwice | ExceptionKind::BeyondTerms => tampered_wallet || self.let_in_badly(row),
            ExceptionKind::GivenTwice | ExceptionKind::UsedAfterGiven => tampered_wallet,
            // Of what was on a disk that lied nothing is known.
            ExceptionKind::Mispriced => {
                let lied = self.lines.as_ref().is_some_and(|lines| lines.tampered.is_some());
                lied || self.is_of_a_dearer_call(row)
            }
        }
    }

    /// A card that a provider put back from a backup does not know: it was installed since (ARCHITECTURE, limits).
    pub fn is_lost(&self, card: CardId) -> bool {
        self.causes.restored && self.center.store().is_ok_and(|store| matches!(store.card(card), Ok(None)))
    }

    /// Whether the entry that an exception shows is about such a card.
    fn shows_lost(&self, row: &ExceptionRow) -> bool {
        shown_in(row).any(|card| self.is_lost(card))
    }

    /// Whether value came back to this card, or came late, that it had spent elsewhere before.
    fn repaid(&self, row: &ExceptionRow) -> bool {
        let (Some(card), Some(generation), Ok(store)) = (row.card, row.generation, self.center.store()) else {
            return false;
        };
        let events = store.events(card, generation, 0, u64::MAX >> 1).unwrap_or_default();
        events.iter().any(|event| matches!(event.state, EventState::Returned | EventState::TakenUp))
    }

    /// Whose card this is.
    fn wallet_of(&self, card: CardId) -> Option<&Person> {
        self.people.iter().find(|person| load_purse(&person.wallet.device, card).is_some())
    }
}

/// The cards that the entries of an exception name.
fn shown_in(row: &ExceptionRow) -> impl Iterator<Item = CardId> {
    let records = [&row.wallet_record, &row.terminal_record];
    records.into_iter().flatten().filter_map(|bytes| LogEntry::from_bytes(bytes).ok()?.card)
}

fn accuses(row: &ExceptionRow) -> bool {
    given::convicts(row.kind)
}

fn is_recorded(store: &tegata_store::Store, card: CardId, generation: u64, hash: &Hash) -> bool {
    store.event_by_hash(card, generation, hash).ok().flatten().is_some()
}

fn payings(person: &Person) -> Result<Vec<Paying>, tegata_vault::VaultError> {
    let found = person.wallet.device.vault.scan(Space::Charge, &[], usize::MAX)?;
    Ok(found.iter().filter_map(|(_, bytes)| Paying::from_bytes(bytes).ok()).collect())
}

/// The user's key signed this check, for exactly this charge, which the terminal's key signed.
fn is_signed(claim: &Claim, till: &Till, card: Option<&PublicKey>) -> bool {
    let (Some(check), Some(id), Some(generation), Some(key)) = (&claim.check, claim.card, claim.generation, card)
    else {
        return false;
    };
    let context = CardEvent::context(id, generation, &claim.counterpart(till.id));
    let terminal = till.terminal.device.key();
    let charge = Charge::context(&claim.session, till.id);
    check.clone().verify(key, &context, &NativeVerifier).is_ok()
        && terminal.is_some_and(|key| claim.charge.clone().verify(&key, &charge, &NativeVerifier).is_ok())
}

//! The four messages of one payment by credit, opened side by side for the operator: [8417], [8418], [8419], [8421], each
//! field as SYSTEM.md names it, who signed what, and whether that signature holds. Only what the messages say: nothing is added
//! from elsewhere.

use crate::ProviderError;
use crate::shared::Shared;
use serde_json::{Map, Value, json};
use tegata_core::talk::credit::{
    ClearingCompletion, ClearingInformation, ClearingNotification, ClearingRequest, CreditOffer, MerchantReceipt,
    PaymentOption, UserReceipt,
};
use tegata_core::talk::pay::Charge;
use tegata_core::talk::update::Command;
use tegata_core::wire::canonical::{Message, Wire};
use tegata_core::wire::certificate::Certificate;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{DeviceId, Hash, RequestNumber};
use tegata_store::{CreditRow, Store, StoreError};

/// Every payment by credit, by the number that opens it.
pub(crate) fn list(store: &Store) -> Result<Value, ProviderError> {
    let shown = |row: &CreditRow| {
        let line = row.merchant.as_ref().map(|(side, _)| side.line);
        json!({
            "request": row.request.to_string(),
            "at": row.at.0,
            "machine": row.machine.to_string(),
            "merchant": row.merchant.as_ref().map(|(side, _)| side.who.to_string()),
            "amount": line.map(|line| line.amount.to_string()),
            "state": row.state.name(),
        })
    };
    let mut rows = store.credits()?;
    rows.sort_by_key(|row| row.at);
    Ok(json!({ "credits": rows.iter().map(shown).collect::<Vec<_>>() }))
}

/// One payment, opened; `None`: there is none of this number.
pub(crate) fn open(store: &Store, shared: &Shared, request: RequestNumber) -> Result<Option<Value>, ProviderError> {
    let Some(row) = store.credits()?.into_iter().find(|row| row.request == request) else {
        return Ok(None);
    };
    let opening = Opening { store, shared, row: &row };
    let messages = [
        opening.completion()?.unwrap_or_else(|| missing("8417")),
        opening.notification()?.unwrap_or_else(|| missing("8418")),
        opening.merchant_receipt()?.unwrap_or_else(|| missing("8419")),
        opening.user_receipt()?.unwrap_or_else(|| missing("8421")),
    ];
    Ok(Some(json!({ "request": request.to_string(), "state": row.state.name(), "messages": messages })))
}

const TITLES: [(&str, &str, &str); 4] = [
    ("8417", "clearing completion notification", "processor → provider"),
    ("8418", "clearing completion notification", "provider → merchant"),
    ("8419", "receipt", "merchant → provider"),
    ("8421", "receipt", "provider → user"),
];

fn titled(sign: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for (_, name, way) in TITLES.iter().filter(|(known, ..)| *known == sign) {
        all.insert("sign".into(), sign.into());
        all.insert("name".into(), (*name).into());
        all.insert("way".into(), (*way).into());
    }
    all
}

/// One that has not come yet, or never will.
fn missing(sign: &str) -> Value {
    let mut all = titled(sign);
    all.insert("here".into(), false.into());
    all.into()
}

/// Fields in the order in which they are shown.
#[derive(Default)]
struct Fields(Vec<Value>);

impl Fields {
    /// A field with its value.
    fn say(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push(json!({ "field": name, "value": value.to_string() }));
        self
    }
    /// One that may be left out.
    fn may(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.say(name, value),
            None => self,
        }
    }
    /// A moment, in UTC seconds.
    fn at(mut self, at: tegata_core::Time) -> Self {
        self.0.push(json!({ "field": "issue time", "time": at.0 }));
        self
    }
    /// A signed part.
    fn part(mut self, name: &str, part: Part) -> Self {
        let Part { signed_by, verified, fields } = part;
        let fields = fields.0;
        self.0.push(json!({ "field": name, "signed_by": signed_by, "verified": verified, "fields": fields }));
        self
    }
    fn may_part(mut self, name: &str, part: Option<Part>, otherwise: &str) -> Self {
        match part {
            Some(part) => self.part(name, part),
            None => {
                self.0.push(json!({ "field": name, "value": otherwise }));
                self
            }
        }
    }
}

/// A signed message, opened.
struct Part {
    signed_by: String,
    verified: bool,
    fields: Fields,
}

impl Part {
    /// As one of the four.
    fn titled(self, sign: &str) -> Value {
        let mut all = titled(sign);
        all.insert("here".into(), true.into());
        all.insert("signed_by".into(), self.signed_by.into());
        all.insert("verified".into(), self.verified.into());
        all.insert("fields".into(), self.fields.0.into());
        all.into()
    }
}

fn read<T: Message>(bytes: &[u8]) -> Result<Signed<T>, ProviderError> {
    Ok(Signed::decode(bytes).map_err(|_| StoreError::Damaged)?)
}

fn header<T: Message>() -> Fields {
    Fields::default().say("message kind", T::KIND)
}

fn option(option: PaymentOption) -> String {
    match option {
        PaymentOption::Once => "10: at once".to_owned(),
        PaymentOption::Bonus => "21: with the next bonus".to_owned(),
        PaymentOption::Instalments(count) => format!("{}: in {count} instalments", option.code()),
    }
}

struct Opening<'a> {
    store: &'a Store,
    shared: &'a Shared,
    row: &'a CreditRow,
}

impl Opening<'_> {
    /// Opens one message: its fields, and whether this key signed it in this context.
    fn part<T: Message + Clone>(
        &self,
        signed: &Signed<T>,
        (who, key): (String, Option<PublicKey>),
        context: &[u8],
        fields: Fields,
    ) -> Part {
        let verified = key.is_some_and(|key| signed.clone().verify(&key, context, self.shared.verifier()).is_ok());
        Part { signed_by: who, verified, fields }
    }
    fn processor(&self) -> Result<(String, Option<PublicKey>), ProviderError> {
        let row = self.store.processor()?;
        let name = row.as_ref().map_or_else(String::new, |row| row.info.name.clone());
        Ok((format!("processor {name}"), row.map(|row| row.info.key)))
    }
    /// The operational key of this number, as the root certified it.
    fn provider(&self, number: u64) -> Result<(String, Option<PublicKey>), ProviderError> {
        let (root, by) = (self.shared.info.root, self.shared.verifier());
        let certified = |body: Vec<u8>| Signed::<Certificate>::decode(&body).ok()?.verify(&root, &[], by).ok();
        let keys = self.store.operational_keys()?.into_iter().filter_map(certified);
        let key = keys.filter(|key| key.number == Some(number)).map(|key| key.key).next();
        Ok((format!("provider {}, key {number}", self.shared.info.name), key))
    }
    fn machine(&self, machine: DeviceId) -> Result<(String, Option<PublicKey>), ProviderError> {
        let row = self.store.participant(machine.into())?;
        let name = row.as_ref().map_or_else(String::new, |row| row.name.clone());
        Ok((format!("terminal {name}"), row.map(|row| row.key)))
    }

    /// [8417].
    fn completion(&self) -> Result<Option<Value>, ProviderError> {
        let (Some(done), Some(asked)) = (&self.row.completed, &self.row.clearing) else {
            return Ok(None);
        };
        let signed = read::<ClearingCompletion>(&done.completion)?;
        let said = signed.claimed();
        // It is signed in the context of what the processor was asked.
        let context = self.store.asked(asked.number)?.map_or(Hash::ZERO, |asked| asked.hash).to_bytes();
        let fields = header::<ClearingCompletion>()
            .say("clearing number", said.clearing)
            .say("user clearing account", said.user)
            .say("request number", said.number)
            .say("amount", said.amount)
            .say("payment option", option(said.option))
            .say("merchant clearing account", said.merchant)
            .say("transaction number", said.transaction)
            .part("clearing information for the provider", self.information(&said.for_provider)?)
            .part("clearing information for the merchant", self.information(&said.for_merchant)?)
            .part("clearing information for the user", self.information(&said.for_user)?)
            .say("processor id", said.processor)
            .at(said.at);
        Ok(Some(self.part(&signed, self.processor()?, &context, fields).titled("8417")))
    }

    fn information(&self, signed: &Signed<ClearingInformation>) -> Result<Part, ProviderError> {
        let said = signed.claimed();
        let fields = header::<ClearingInformation>()
            .say("for", said.audience.name().to_lowercase())
            .say("clearing number", said.clearing)
            .say("amount", said.amount)
            .say("transaction number", said.transaction)
            .may("clearing account", said.account)
            .may("payment option", said.option.map(option))
            .may("name on the statement", said.name.as_ref())
            .may("bank's reference", said.reference.as_ref())
            .say("processor id", said.processor)
            .at(said.at);
        Ok(self.part(signed, self.processor()?, &[], fields))
    }

    /// [8418].
    fn notification(&self) -> Result<Option<Value>, ProviderError> {
        let (Some(done), Some(asked)) = (&self.row.completed, &self.row.clearing) else {
            return Ok(None);
        };
        let signed = read::<ClearingNotification>(&done.notification)?;
        let said = signed.claimed();
        let fields = header::<ClearingNotification>()
            .say("clearing number", said.clearing)
            .part("merchant's clearing information", self.information(&said.information)?)
            .say("customer number", said.customer)
            .part("merchant's own clearing request [13550]", self.clearing_request(&said.request)?)
            .may("provided service information", said.service.as_ref())
            .say("provider id", said.provider)
            .at(said.at);
        let by = self.provider(said.signer)?;
        Ok(Some(self.part(&signed, by, &asked.hash.to_bytes(), fields).titled("8418")))
    }

    fn clearing_request(&self, signed: &Signed<ClearingRequest>) -> Result<Part, ProviderError> {
        let said = signed.claimed();
        let fields = header::<ClearingRequest>()
            .say("accounting machine id", said.machine)
            .say("merchant id", said.merchant)
            .say("payment offer, by its hash", said.offer)
            .say("request number", said.request)
            .say("charge, by its hash", said.charge)
            .say("transaction number", said.transaction)
            .say("amount", said.amount)
            .say("payment option", option(said.option))
            .at(said.at);
        Ok(self.part(signed, self.machine(said.machine)?, &[], fields))
    }

    /// [8419].
    fn merchant_receipt(&self) -> Result<Option<Value>, ProviderError> {
        let Some(body) = &self.row.receipt else {
            return Ok(None);
        };
        Ok(Some(self.receipt(&read(body)?)?.titled("8419")))
    }

    fn receipt(&self, signed: &Signed<MerchantReceipt>) -> Result<Part, ProviderError> {
        let said = signed.claimed();
        let fields = header::<MerchantReceipt>()
            .say("item name", &said.item)
            .may("sales information", said.sales.as_ref())
            .say("clearing number", said.clearing)
            .part("transaction information", self.charge(said)?)
            .part("payment offer [8405]", self.offer(said))
            .say("accounting machine id", said.machine)
            .say("merchant id", said.merchant)
            .at(said.at);
        Ok(self.part(signed, self.machine(said.machine)?, &[], fields))
    }

    fn charge(&self, receipt: &MerchantReceipt) -> Result<Part, ProviderError> {
        let said = receipt.charge.claimed();
        let fields = header::<Charge>()
            .say("transaction number", said.transaction)
            .say("amount", said.amount)
            .may("items", said.items.as_ref())
            .at(said.at);
        let context = Charge::context(&receipt.session, receipt.machine);
        Ok(self.part(&receipt.charge, self.machine(receipt.machine)?, &context, fields))
    }

    /// The offer is signed by a key that it brings along, made for this payment: it names nobody.
    fn offer(&self, receipt: &MerchantReceipt) -> Part {
        let said = receipt.offer.claimed();
        let fields = header::<CreditOffer>()
            .say("request number", said.request)
            .say("payment option", option(said.option))
            .say("provider id", said.provider)
            .at(said.at);
        let by = ("the offer's own key".to_owned(), Some(said.key));
        self.part(&receipt.offer, by, &CreditOffer::context(&receipt.session), fields)
    }

    /// [8421], the last one that went to the user: with the merchant's part, once that was here.
    fn user_receipt(&self) -> Result<Option<Value>, ProviderError> {
        let Some(user) = &self.row.user else {
            return Ok(None);
        };
        let commands = self.store.commands_after(user.who, 0, i64::MAX.cast_unsigned())?.into_iter();
        let mut newest_first = commands.rev().filter_map(|body| Command::from_bytes(&body).ok()?.receipt);
        let Some(signed) = newest_first.find(|receipt| receipt.claimed().request == self.row.request) else {
            return Ok(None);
        };
        let said: &UserReceipt = signed.claimed();
        let merchants = said.receipt.as_ref().map(|receipt| self.receipt(receipt)).transpose()?;
        let fields = header::<UserReceipt>()
            .say("user id", said.user)
            .may_part("merchant's receipt [8419]", merchants, "has not come yet")
            .part("user's clearing information", self.information(&said.information)?)
            .may("provided service information", said.service.as_ref())
            .say("provider id", said.provider)
            .say("request number", said.request)
            .at(said.at);
        Ok(Some(self.part(&signed, self.provider(said.signer)?, &[], fields).titled("8421")))
    }
}

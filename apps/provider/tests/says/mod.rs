//! A processor that says whatever a script wants it to.

use crate::world::World;
use tegata_core::talk::credit::*;
use tegata_core::talk::update::kind_of;
use tegata_core::wire::canonical::{Message, Wire as _};
use tegata_core::wire::certificate::SealingKey;
use tegata_core::wire::signed::{Algorithm, Signed, Unsigned};
use tegata_core::{AccountId, ClearingNumber, PartyId};
use tegata_crypto_native::SecretKey;
use tegata_provider::{Answered, ToProcessor};

pub const PROCESSOR: PartyId = PartyId([0x9c; 16]);

pub fn by<T: Message>(key: &SecretKey, body: T, context: &[u8]) -> Signed<T> {
    let unsigned = Unsigned::new(body, Algorithm::Ed25519);
    let signature = key.sign(&unsigned.tbs(context));
    unsigned.sign(signature)
}

/// A processor that says whatever the script wants.
pub struct Says {
    pub key: SecretKey,
}

impl Says {
    /// Registered at the provider.
    pub fn registered(world: &mut World) -> Self {
        let says = Self { key: SecretKey::from_seed(Algorithm::Ed25519, &[0x9c; 32]) };
        let (now, entropy) = (world.now, world.entropy());
        world.provider.register_processor(says.info(), "http://nowhere".into(), now, entropy).expect("registered");
        says
    }
    pub fn info(&self) -> ProcessorInfo {
        ProcessorInfo {
            processor: PROCESSOR,
            name: "Whatever".into(),
            key: self.key.public(),
            sealing: SealingKey([9; 32]),
            extensions: Default::default(),
        }
    }
    /// Opens the account that is asked for.
    pub fn open(&self, world: &mut World, account: u8) {
        self.say::<OpenAccount>(world, |outcome| {
            (outcome.state, outcome.account) = (OutcomeState::Opened, Some(AccountId([account; 16])));
        });
    }
    /// Answers an authorization that is due: approved, over what was asked for.
    pub fn approve(&self, world: &mut World) -> Authorize {
        let asked = self.one::<Authorize>(world);
        let authorize = asked.1.claimed().clone();
        let outcome =
            Outcome { state: OutcomeState::Approved, amount: Some(authorize.amount), ..self.outcome(world, &asked.0) };
        self.answer(world, &asked, outcome);
        authorize
    }
    /// Clears what is due of this authorization.
    pub fn clear(&self, world: &mut World, authorize: &Authorize, clearing: u8) {
        let asked = self.one::<Clear>(world);
        let (clearing, at, amount) = (ClearingNumber([clearing; 16]), world.now, asked.1.claimed().amount);
        let informed = |audience| {
            let body = ClearingInformation {
                audience,
                clearing,
                amount,
                transaction: authorize.transaction,
                account: None,
                option: None,
                name: None,
                reference: None,
                processor: PROCESSOR,
                at,
                extensions: Default::default(),
            };
            by(&self.key, body, &[])
        };
        let completion = ClearingCompletion {
            clearing,
            user: authorize.user,
            number: asked.0.number,
            amount,
            option: authorize.option,
            merchant: authorize.merchant,
            transaction: authorize.transaction,
            for_provider: informed(Audience::Provider),
            for_merchant: informed(Audience::Merchant),
            for_user: informed(Audience::User),
            processor: PROCESSOR,
            at,
            extensions: Default::default(),
        };
        self.answer(world, &asked, completion);
    }
    pub fn one<T: Message>(&self, world: &mut World) -> (ToProcessor, Signed<T>) {
        let due = self.due(world);
        let asked = due.into_iter().find(|request| kind_of(&request.body) == Ok(T::KIND));
        let asked = asked.unwrap_or_else(|| panic!("nothing of kind {} is due", T::KIND));
        let signed = Signed::decode(&asked.body).expect("a request");
        (asked, signed)
    }
    pub fn outcome(&self, world: &World, asked: &ToProcessor) -> Outcome {
        Outcome {
            processor: PROCESSOR,
            number: asked.number,
            at: world.now,
            state: OutcomeState::Declined,
            about: None,
            account: None,
            amount: None,
            reason: None,
            answer: None,
            extensions: Default::default(),
        }
    }
    pub fn answer<T: Message, A: Message>(&self, world: &mut World, asked: &(ToProcessor, Signed<T>), body: A) {
        let answer = by(&self.key, body, &asked.1.hash(&[]).to_bytes()).encode();
        let (now, entropy) = (world.now, world.entropy());
        let answered = [Answered { number: asked.0.number, answer }];
        world.provider.from_processor(&answered, now, entropy).expect("heard");
        world.balanced();
    }
    pub fn due(&self, world: &mut World) -> Vec<ToProcessor> {
        world.now = world.now.after(2);
        let (now, entropy) = (world.now, world.entropy());
        world.provider.to_processor(now, entropy).expect("due")
    }
    /// Answers the first request that is due and of this kind.
    pub fn say<T: Message>(&self, world: &mut World, change: impl FnOnce(&mut Outcome)) {
        let asked = self.one::<T>(world);
        let mut outcome = self.outcome(world, &asked.0);
        change(&mut outcome);
        self.answer(world, &asked, outcome);
    }
    /// Refuses it.
    pub fn refuse<T: Message>(&self, world: &mut World, why: ProcessorRefusal) {
        let asked = self.one::<T>(world);
        let refused = ProcessorRefused { processor: PROCESSOR, why, at: world.now, extensions: Default::default() };
        self.answer(world, &asked, refused);
    }
    pub fn asks<T: Message>(&self, world: &mut World) -> bool {
        self.due(world).iter().any(|request| kind_of(&request.body) == Ok(T::KIND))
    }
}

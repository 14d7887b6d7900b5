//! What this implementation makes of a case.

use crate::case::Case;
use crate::show::Show;
use serde_json::{Value, json};
use tegata_core::card::payment::{CannotSpend, accept_check};
use tegata_core::card::{CardCertificate, CardEvent, Counterpart, ForkProof, Position, RaiseError, Terms};
use tegata_core::talk::call::CallMessage;
use tegata_core::talk::enter::{EnterMessage, read_window};
use tegata_core::talk::give::GiveMessage;
use tegata_core::talk::join::operational_keys;
use tegata_core::talk::pay::{Charge, Checked, PayMessage};
use tegata_core::talk::update::Command;
use tegata_core::wire::canonical::{DecodeError, Message, Wire};
use tegata_core::wire::certificate::{Anchors, Certificate, RevocationList, Role, Untrusted};
use tegata_core::wire::sealed::Sealed;
use tegata_core::wire::signed::{PublicKey, Signed};
use tegata_core::{CardId, DeviceId, Hash, Time};
use tegata_crypto_native::{NativeVerifier, SealError, SealingSecret};

/// The decoded fields, or the name of the refusal.
pub type Verdict = Result<Value, String>;

/// The name of a decoder's refusal.
pub fn decode_name(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::Truncated => "Truncated",
        DecodeError::Trailing => "Trailing",
        DecodeError::NotCanonical => "NotCanonical",
        DecodeError::Type => "Type",
        DecodeError::UnknownField(_) => "UnknownField",
        DecodeError::MissingField(_) => "MissingField",
        DecodeError::Value(_) => "Value",
        DecodeError::TooLarge => "TooLarge",
        DecodeError::Kind => "Kind",
    }
}

/// Reads a signed message.
///
/// # Errors
/// The refusal's name.
pub fn decode_signed<T: Message>(bytes: &[u8]) -> Result<Signed<T>, &'static str> {
    Signed::decode(bytes).map_err(|error| decode_name(&error))
}

/// Reads anything else.
///
/// # Errors
/// The refusal's name.
pub fn decode_plain<T: Wire>(bytes: &[u8]) -> Result<T, &'static str> {
    T::from_bytes(bytes).map_err(|error| decode_name(&error))
}

pub(crate) fn key(bytes: &[u8]) -> Result<PublicKey, String> {
    match bytes.len() {
        32 => bytes.try_into().map(PublicKey::Ed25519).map_err(|_| "NoKey".into()),
        33 => bytes.try_into().map(PublicKey::P256).map_err(|_| "NoKey".into()),
        _ => Err("NoKey".into()),
    }
}

/// Reads what came over the link while paying.
pub fn pay_message(case: &Case) -> Verdict {
    let message = PayMessage::received(&case.bytes).map_err(|error| decode_name(&error))?;
    if message.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(message.show())
}

/// Reads what was said about a call.
pub fn call_message(case: &Case) -> Verdict {
    let message = CallMessage::received(&case.bytes).map_err(|error| decode_name(&error))?;
    if message.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(message.show())
}

/// Reads what came over the link at a gate.
pub fn enter_message(case: &Case) -> Verdict {
    let message = EnterMessage::received(&case.bytes).map_err(|error| decode_name(&error))?;
    if message.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(message.show())
}

/// Reads what came over the link from another wallet.
pub fn give_message(case: &Case) -> Verdict {
    let message = GiveMessage::received(&case.bytes).map_err(|error| decode_name(&error))?;
    if message.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(message.show())
}

/// Reads what a gate's camera saw.
pub fn ticket_code(case: &Case) -> Verdict {
    let code = read_window(&case.bytes).map_err(|error| decode_name(&error))?;
    if code.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(code.show())
}

/// Reads a signed message and checks its signature.
pub fn signed<T: Message + Show>(case: &Case) -> Verdict {
    let signed = decode_signed::<T>(&case.bytes)?;
    if signed.encode() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    let shown = signed.show();
    let key = key(case.key.as_deref().unwrap_or_default())?;
    let context = case.context.clone().unwrap_or_default();
    signed.verify(&key, &context, &NativeVerifier).map_err(|_| "BadSignature")?;
    Ok(shown)
}

/// Reads anything else.
pub fn plain<T: Wire + Show>(case: &Case) -> Verdict {
    let body = decode_plain::<T>(&case.bytes)?;
    if body.to_bytes() != case.bytes {
        return Err("does not encode to the same bytes".into());
    }
    Ok(body.show())
}

/// Judges a case as its `judge` says, or by its rule alone.
pub fn judge(case: &Case) -> Verdict {
    match case.given.get("judge").and_then(Value::as_str) {
        Some("participant") => participant(case),
        Some("card") => card(case),
        Some("check") => check(case),
        Some("fork") => fork(case),
        Some("twice") => crate::tickets::judge_twice(case),
        Some("list") => list(case),
        Some("keys") => keys(case),
        Some("open") => open(case),
        Some("link") => crate::sessions::judge_link(case),
        _ => crate::messages::read(case).unwrap_or_else(|| Err(format!("no such rule: {}", case.rule))),
    }
}

fn given<T: Wire>(case: &Case, name: &str) -> Result<T, String> {
    T::from_bytes(&case.hex(name)).map_err(|error| format!("{name}: {error}"))
}

fn untrusted(why: Untrusted) -> String {
    format!("{why:?}")
}

/// Whether a participant's certificate is accepted in a role.
fn participant(case: &Case) -> Verdict {
    let anchors: Anchors = given(case, "anchors")?;
    let wanted = case.given.get("role").and_then(Value::as_str).unwrap_or_default();
    let role = Role::ALL.iter().find(|role| role.name() == wanted).ok_or("no such role")?;
    let signed = decode_signed::<Certificate>(&case.bytes)?;
    let now = Time(case.time.unwrap_or_default());
    let accepted = anchors.accept(signed, *role, now, &NativeVerifier).map_err(untrusted)?;
    Ok(accepted.signed().show())
}

/// Whether a card's certificate is accepted.
fn card(case: &Case) -> Verdict {
    let anchors: Anchors = given(case, "anchors")?;
    let signed = decode_signed::<CardCertificate>(&case.bytes)?;
    let now = Time(case.time.unwrap_or_default());
    let accepted = CardCertificate::accept(signed, &anchors, now, &NativeVerifier).map_err(untrusted)?;
    Ok(accepted.signed().show())
}

/// Whether a terminal takes a check: certificate, signature, raises, bounds, in this order.
fn check(case: &Case) -> Verdict {
    let (anchors, terms): (Anchors, Terms) = (given(case, "anchors")?, given(case, "terms")?);
    let (charge, session): (Charge, Hash) = (given(case, "charge")?, given(case, "session")?);
    let terminal: DeviceId = given(case, "terminal")?;
    let now = Time(case.time.unwrap_or_default());
    let checked: Checked = decode_plain(&case.bytes)?;
    let certificate = checked.certificate.clone().ok_or("CertificateNeeded")?;
    let card = CardCertificate::accept(certificate, &anchors, now, &NativeVerifier).map_err(untrusted)?;
    let bytes = charge.to_bytes();
    let counterpart = Counterpart::Charge { session, terminal, charge: &bytes };
    let context = CardEvent::context(card.card, card.generation, &counterpart);
    let event = checked.check.clone().verify(&card.key, &context, &NativeVerifier).map_err(|_| "BadSignature")?;
    let raises = checked.raises.clone().unwrap_or_default();
    for raise in raises.iter().filter(|raise| raise.is_by_provider()) {
        raise.check_by_provider(card.card, card.generation, &anchors, now, &NativeVerifier).map_err(
            |why| match why {
                RaiseError::Untrusted(why) => untrusted(why),
                RaiseError::OtherCard => "OtherCard".into(),
            },
        )?;
    }
    accept_check(&card, &terms, &raises, &event, charge.amount, now).map_err(|why: CannotSpend| format!("{why:?}"))?;
    Ok(json!({ "accepted": event.hash().show() }))
}

/// Whether two events convict a card. The bytes are the first event, `second` the other.
fn fork(case: &Case) -> Verdict {
    let position = case.given.get("position").ok_or("no position")?;
    let number = |name: &str| position.get(name).and_then(Value::as_u64).unwrap_or_default();
    let card: CardId = {
        let digits = position.get("card").and_then(Value::as_str).unwrap_or_default();
        CardId(hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok()).ok_or("no card")?)
    };
    let position = Position { card, generation: number("generation"), seq: number("seq"), tick: number("tick") };
    let first = decode_signed::<CardEvent>(&case.bytes)?;
    let second = decode_signed::<CardEvent>(&case.hex("second"))?;
    let contexts = (case.context.clone().unwrap_or_default(), case.hex("second_context"));
    let proof = ForkProof { position, events: [(first, contexts.0), (second, contexts.1)] };
    let key = key(case.key.as_deref().unwrap_or_default())?;
    if proof.convicts(&key, &NativeVerifier) { Ok(json!({ "convicts": true })) } else { Err("NoFork".into()) }
}

/// Whether a device takes a revocation list.
fn list(case: &Case) -> Verdict {
    let anchors: Anchors = given(case, "anchors")?;
    let signed = decode_signed::<RevocationList>(&case.bytes)?;
    let now = Time(case.time.unwrap_or_default());
    let key = anchors.signer(signed.claimed().signer, now).map_err(untrusted)?;
    let list = signed.verify(key, &[], &NativeVerifier).map_err(|why| untrusted(why.into()))?;
    if list.is_sorted() { Ok(list.signed().show()) } else { Err("Unsorted".into()) }
}

/// Whether a device takes the operational keys of a command.
fn keys(case: &Case) -> Verdict {
    let command: Command = decode_plain(&case.bytes)?;
    let keys = command.keys.as_deref().ok_or("NotTrusted")?;
    let held = operational_keys(keys, &key(&case.hex("root"))?, &NativeVerifier).ok_or("NotTrusted")?;
    Ok(json!({ "keys": held.show() }))
}

fn seal_name(why: SealError) -> &'static str {
    match why {
        SealError::Key => "Key",
        SealError::Profile => "Profile",
        SealError::Header => "Header",
        SealError::Unopenable => "Unopenable",
        SealError::OtherRequest => "OtherRequest",
        SealError::Library => "Library",
    }
}

/// What is in an envelope: under a secret (HPKE), a channel, or a channel as the reply to `request`.
fn open(case: &Case) -> Verdict {
    let sealed: Sealed = decode_plain(&case.bytes)?;
    let channel = || {
        let secret = case.hex("channel").try_into().map_err(|_| "no channel")?;
        Ok::<_, String>(tegata_crypto_native::Channel::from_bytes(secret))
    };
    let shown = |plain: Vec<u8>| json!({ "plain": hex::encode(plain) });
    if case.given.contains_key("secret") {
        let tagged = [&[3], &case.hex("secret")[..]].concat();
        let secret = SealingSecret::from_secret_bytes(&tagged).map_err(|error| error.to_string())?;
        let (plain, channel) = tegata_crypto_native::open(&secret, &sealed).map_err(seal_name)?;
        return Ok(json!({ "plain": hex::encode(plain), "channel": hex::encode(&channel.to_bytes()[..]) }));
    }
    if case.given.contains_key("request") {
        let request: Sealed = given(case, "request")?;
        return channel()?.open_reply(&request, &sealed).map(shown).map_err(|why| seal_name(why).into());
    }
    channel()?.open(&sealed).map(shown).map_err(|why| seal_name(why).into())
}

//! Vectors of what is not signed but secret: sealed envelopes, and the link's session.

use crate::case::{Case, refusal};
use crate::judge::Verdict;
use crate::samples::{PROVIDER, TERMINAL};
use crate::show::hexed;
use serde_json::{Value, json};
use tegata_core::wire::canonical::{Bytes, Wire};
use tegata_core::wire::sealed::{Profile, Sealed};
use tegata_crypto_native::primitive::mac;
use tegata_crypto_native::{SealingSecret, seal_to};
use tegata_link::session::{LinkError, Session, TerminalPending, WalletHello, accept};

const PLAIN: &[u8] = b"a signed message";

/// What opens and what does not.
pub fn sealed() -> Vec<Case> {
    let secret = SealingSecret::from_seed(&[0x51; 32]);
    let other = SealingSecret::from_seed(&[0x52; 32]);
    let (first, channel) = seal_to([0x53; 32], PROVIDER, None, &secret.public(), PLAIN).expect("seals");
    let request = channel.seal([0x54; 32], PROVIDER, Some(TERMINAL), PLAIN);
    let reply = channel.seal_reply([0x55; 32], &request, b"an answer");
    let to_first = channel.seal_reply([0x56; 32], &first, b"an answer");
    let bare = |secret: &SealingSecret| json!(hex::encode(&secret.to_secret_bytes()[1..]));
    let shared = json!(hex::encode(&channel.to_bytes()[..]));
    let case = |name: &str, sealed: &Sealed, expect: Value| {
        Case::new(name, "Sealed", sealed.to_bytes(), expect).given("judge", "open")
    };
    let by_secret =
        |name: &str, sealed: &Sealed, why: &str| case(name, sealed, refusal(why)).given("secret", bare(&secret));
    let by_channel =
        |name: &str, sealed: &Sealed, why: &str| case(name, sealed, refusal(why)).given("channel", shared.clone());
    let as_reply =
        |name: &str, sealed: &Sealed, to: &Sealed, why: &str| by_channel(name, sealed, why).given("request", hexed(to));
    let plain = |text: &[u8]| json!({ "plain": hex::encode(text) });
    let change = |sealed: &Sealed, change: fn(&mut Sealed)| {
        let mut changed = sealed.clone();
        change(&mut changed);
        changed
    };
    let opened = json!({ "plain": hex::encode(PLAIN), "channel": hex::encode(&channel.to_bytes()[..]) });
    vec![
        case("by HPKE", &first, opened).given("secret", bare(&secret)),
        case("by the channel", &request, plain(PLAIN)).given("channel", shared.clone()),
        case("a reply", &reply, plain(b"an answer")).given("channel", shared.clone()).given("request", hexed(&request)),
        case("a reply to an HPKE envelope", &to_first, plain(b"an answer"))
            .given("channel", shared.clone())
            .given("request", hexed(&first)),
        case("to somebody else", &first, refusal("Unopenable")).given("secret", bare(&other)),
        by_secret("for another addressee", &change(&first, |s| s.addressee.0[0] ^= 1), "Unopenable"),
        by_secret("with a sender added", &change(&first, |s| s.sender = Some(TERMINAL)), "Unopenable"),
        by_secret(
            "with a field of a later version added",
            &change(&first, |s| s.extensions.push(128, vec![0])),
            "Unopenable",
        ),
        by_secret("a bit of the ciphertext flipped", &change(&first, |s| s.ciphertext.0[0] ^= 1), "Unopenable"),
        by_secret("ciphertext cut", &change(&first, |s| s.ciphertext.0.truncate(15)), "Unopenable"),
        by_secret("an encapsulated key of 31 bytes", &change(&first, |s| s.header.0.truncate(31)), "Header"),
        by_secret("an encapsulated key of small order", &change(&first, |s| s.header = Bytes(vec![0; 32])), "Header"),
        by_secret("by the channel, opened with the secret", &request, "Profile"),
        by_channel("by HPKE, opened with the channel", &first, "Profile"),
        by_channel("a nonce of 13 bytes", &change(&request, |s| s.header.0.push(0)), "Header"),
        by_channel("from another device", &change(&request, |s| s.sender = None), "Unopenable"),
        by_channel("named as the other profile", &change(&first, |s| s.profile = Profile::Channel), "Header"),
        by_channel("a reply as a request", &reply, "Unopenable"),
        as_reply("a request as a reply", &request, &request, "Unopenable"),
        as_reply("a reply to another request", &reply, &change(&request, |s| s.header.0[0] ^= 1), "Unopenable"),
        as_reply("a reply to another device", &change(&reply, |s| s.sender = None), &request, "OtherRequest"),
    ]
}

const WALLET: [u8; 32] = [0x61; 32];
const TERMINALS: [u8; 32] = [0x62; 32];
const PROOF: [u8; 72] = [0x63; 72];

fn ephemeral(entropy: [u8; 32], side: &str) -> Value {
    json!(hex::encode(mac(&entropy, "tegata link ephemeral v1", &[side.as_bytes()])))
}

/// A wallet that has greeted, and a terminal that has answered.
fn shake() -> (WalletHello, Session, Vec<u8>, Vec<u8>, String) {
    let (wallet, hello) = WalletHello::new(WALLET).expect("greets");
    let (pending, transcript): (TerminalPending, _) = accept(TERMINALS, &hello).expect("accepts");
    let (reply, terminal) = pending.reply(&PROOF).expect("replies");
    (wallet, terminal, hello, reply, transcript.to_string())
}

/// Greetings, and records in their order.
pub fn link() -> Vec<Case> {
    let (wallet, mut terminal, hello, reply, transcript) = shake();
    let (mut wallet, ..) = wallet.finish(&reply).expect("finishes");
    let to_terminal: Vec<_> = (0..3).map(|number| wallet.seal(&[number; 20]).expect("seals")).collect();
    let to_wallet = terminal.seal(b"to the wallet").expect("seals");
    let base = |name: &str, rule: &str, bytes: &[u8], expect: Value| {
        Case::new(name, rule, bytes.to_vec(), expect)
            .given("judge", "link")
            .given("wallet_secret", ephemeral(WALLET, "wallet"))
            .given("terminal_secret", ephemeral(TERMINALS, "terminal"))
            .given("hello", hex::encode(&hello))
    };
    let greeting = |name: &str, bytes: &[u8], why: &str| base(name, "LinkHello", bytes, refusal(why));
    let answer = |name: &str, bytes: &[u8], why: &str| base(name, "LinkReply", bytes, refusal(why));
    let record = |name: &str, bytes: &[u8], before: &[Vec<u8>], expect: Value| {
        let before: Vec<String> = before.iter().map(hex::encode).collect();
        let case = base(name, "LinkRecord", bytes, expect).given("reply", hex::encode(&reply));
        case.given("before", json!(before))
    };
    let broken = || refusal("Broken");
    let flip = |bytes: &[u8], at: usize| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        changed
    };
    let weak = |bytes: &[u8], at: usize| {
        let mut changed = bytes.to_vec();
        changed[at..at + 32].fill(0);
        changed
    };
    let text = |text: &[u8]| json!({ "plain": hex::encode(text) });
    vec![
        base("a wallet's hello", "LinkHello", &hello, json!({ "transcript": transcript })),
        base(
            "a terminal's reply",
            "LinkReply",
            &reply,
            json!({ "transcript": transcript, "proof": hex::encode(PROOF) }),
        ),
        record("the first record", &to_terminal[0], &[], text(&[0; 20])),
        record("the second record", &to_terminal[1], &to_terminal[..1], text(&[1; 20])),
        record("the third record", &to_terminal[2], &to_terminal[..2], text(&[2; 20])),
        greeting("a hello of version 2", &[&[2], &hello[1..]].concat(), "Version"),
        greeting("a hello cut", &hello[..32], "Malformed"),
        greeting("a hello too long", &[&hello[..], &[0]].concat(), "Malformed"),
        greeting("no hello", &[], "Malformed"),
        greeting("a hello with a key of small order", &weak(&hello, 1), "WeakKey"),
        answer("a reply without a key", &reply[..31], "Malformed"),
        answer("a reply cut", &reply[..reply.len() - 1], "Broken"),
        answer("a reply with another key", &flip(&reply, 0), "Broken"),
        answer("a reply with a key of small order", &weak(&reply, 0), "WeakKey"),
        answer("a reply with its proof changed", &flip(&reply, 40), "Broken"),
        record("a record repeated", &to_terminal[0], &to_terminal[..1], broken()),
        record("a record left out", &to_terminal[1], &[], broken()),
        record("a record changed", &flip(&to_terminal[0], 0), &[], broken()),
        record("a record's tag changed", &flip(&to_terminal[0], 35), &[], broken()),
        record("a record cut", &to_terminal[0][..35], &[], broken()),
        record("an empty record", &[], &[], broken()),
        record("a record of the other direction", &to_wallet, &[], broken()),
    ]
}

fn name(why: LinkError) -> String {
    match why {
        LinkError::Version(_) => "Version".into(),
        other => format!("{other:?}"),
    }
}

/// What this implementation makes of a greeting or record.
pub fn judge_link(case: &Case) -> Verdict {
    match case.rule.as_str() {
        "LinkHello" => {
            let (_, transcript) = accept(TERMINALS, &case.bytes).map_err(name)?;
            Ok(json!({ "transcript": transcript.to_string() }))
        }
        "LinkReply" => {
            let (wallet, ..) = shake();
            let (_, transcript, proof) = wallet.finish(&case.bytes).map_err(name)?;
            Ok(json!({ "transcript": transcript.to_string(), "proof": hex::encode(proof) }))
        }
        _ => {
            let (_, mut terminal, ..) = shake();
            let before = case.given.get("before").and_then(Value::as_array).cloned().unwrap_or_default();
            for record in before {
                let bytes = hex::decode(record.as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
                terminal.open(&bytes).map_err(name)?;
            }
            terminal.open(&case.bytes).map(|plain| json!({ "plain": hex::encode(plain) })).map_err(name)
        }
    }
}

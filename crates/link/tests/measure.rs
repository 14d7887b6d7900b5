use std::time::Instant;
use tegata_core::{DeviceId, PartyId};
use tegata_core::wire::signed::{Algorithm, Verifier};
use tegata_crypto_native::*;
use tegata_crypto_native::code::*;
use tegata_link::*;
fn t(name: &str, n: u32, mut f: impl FnMut()) {
    for _ in 0..n / 10 { f() }
    let mut best = u128::MAX;
    for _ in 0..5 { let s = Instant::now(); for _ in 0..n { f() } best = best.min(s.elapsed().as_nanos()); }
    println!("MEASURE {name}: {:.2} us", best as f64 / f64::from(n) / 1000.0);
}
fn rss() -> u64 { std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096 }
#[test]
fn measure() {
    for a in [Algorithm::Ed25519, Algorithm::P256] {
        let k = SecretKey::from_seed(a, &[1; 32]);
        let tbs = [7u8; 300];
        let s = k.sign(&tbs);
        t(&format!("{a:?} from_seed"), 500, || { SecretKey::from_seed(a, &[1; 32]); });
        t(&format!("{a:?} sign"), 2000, || { k.sign(&tbs); });
        t(&format!("{a:?} verify"), 1000, || assert!(NativeVerifier.verify(&k.public(), &tbs, &s)));
        let before = rss();
        let keys: Vec<_> = (0..20_000u32).map(|n| { let mut s = [0; 32]; s[..4].copy_from_slice(&n.to_be_bytes()); SecretKey::from_seed(a, &s) }).collect();
        let mid = rss();
        for k in &keys { k.sign(&tbs); }
        println!("MEASURE {a:?} bytes a key: {} (after signing {}), struct {}", (mid - before) / 20_000, (rss() - before) / 20_000, size_of::<SecretKey>());
    }
    let secret = SealingSecret::from_seed(&[1; 32]);
    let plain = [5u8; 500];
    let p = PartyId([1; 16]); let d = Some(DeviceId([2; 16]));
    let (sealed, ch) = seal_to([1; 32], p, d, &secret.public(), &plain).unwrap();
    t("SealingSecret from_seed", 1000, || { SealingSecret::from_seed(&[1; 32]); });
    t("hpke seal", 500, || { seal_to([1; 32], p, d, &secret.public(), &plain).unwrap(); });
    t("hpke open", 500, || { open(&secret, &sealed).unwrap(); });
    let req = ch.seal([1; 32], p, d, &plain);
    t("channel seal", 5000, || { ch.seal([1; 32], p, d, &plain); });
    t("channel open", 5000, || { ch.open(&req).unwrap(); });
    let rep = ch.seal_reply([1; 32], &req, &plain);
    t("channel seal_reply", 5000, || { ch.seal_reply([1; 32], &req, &plain); });
    t("channel open_reply", 5000, || { ch.open_reply(&req, &rep).unwrap(); });
    let (_, hello) = WalletHello::new([1; 32]).unwrap();
    let (pending, _) = accept([2; 32], &hello).unwrap();
    let (reply, _) = pending.reply(&[0; 72]).unwrap();
    t("wallet new", 1000, || { WalletHello::new([1; 32]).unwrap(); });
    t("wallet new+finish", 1000, || { WalletHello::new([1; 32]).unwrap().0.finish(&reply).unwrap(); });
    t("terminal accept+reply", 1000, || { accept([2; 32], &hello).unwrap().0.reply(&[0; 72]).unwrap(); });
    let (pending, _) = accept([2; 32], &hello).unwrap();
    let (_, mut s) = pending.reply(&[0; 72]).unwrap();
    t("session seal 300", 10000, || { s.seal(&[1; 300]).unwrap(); });
    t("code default", 2, || { derive(CodeCost::default(), "1", &[0; 16], &[0; 32]).unwrap(); });
    t("code cheap", 200, || { derive(CodeCost::CHEAP, "1", &[0; 16], &[0; 32]).unwrap(); });
}

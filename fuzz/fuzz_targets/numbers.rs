#![no_main]
//! Installation numbers as people type them: what is accepted prints as a number that reads as the same.
use tegata_crypto_native::number::InstallationNumber;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(number) = InstallationNumber::parse(text) else { return };
    let printed = number.to_string();
    let again = InstallationNumber::parse(&printed).expect("what was printed reads back");
    assert_eq!(again.to_string(), printed);
    assert_eq!(again.keyed_hash(&[3; 32]), number.keyed_hash(&[3; 32]));
});

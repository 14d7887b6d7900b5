#![no_main]
//! A stranger's first words on the local link, on either side: refused or accepted, never a panic.
use tegata_link::session::{WalletHello, accept};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Ok((pending, _)) = accept([1; 32], input) {
        let _ = pending.reply(b"proof");
    }
    if let Ok((hello, _)) = WalletHello::new([2; 32]) {
        let _ = hello.finish(input);
    }
});

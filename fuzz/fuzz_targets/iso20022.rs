#![no_main]
//! Files from a bank and to one: refused or taken, never a panic, and what is taken is written so that it reads the same.
//!
//! Chance would hardly find a message, so the input is also a change to a good one: where, how much to take out, and
//! what to put there.
use tegata_iso20022::camt053::Statement;
use tegata_iso20022::pain001::Batch;
use tegata_iso20022::reconcile::reconcile;
use tegata_iso20022::value::Iban;

const ORDER: &[u8] = include_bytes!("../../crates/iso20022/samples/pain001.xml");
const STATEMENTS: [&[u8]; 2] = [
    include_bytes!("../../crates/iso20022/samples/camt053.xml"),
    include_bytes!("../../crates/iso20022/samples/camt053-bank.xml"),
];

fn changed(sample: &[u8], input: &[u8]) -> Vec<u8> {
    let [high, low, out, put @ ..] = input else { return sample.to_vec() };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % sample.len();
    let end = (at + usize::from(*out)).min(sample.len());
    [&sample[..at], put, &sample[end..]].concat()
}

fn order(bytes: &[u8]) {
    let Ok(batch) = Batch::read(bytes) else { return };
    assert_eq!(Batch::read(&batch.write()).as_ref(), Ok(&batch));
}

fn statement(bytes: &[u8], ours: &Iban, sent: &Batch) {
    let Ok(statement) = Statement::read(bytes, ours) else { return };
    assert_eq!(Statement::read(&statement.write(), ours).as_ref(), Ok(&statement));
    let once = reconcile([sent], [&statement]).expect("it is the account that the batch pays from");
    assert_eq!(once.clone().with(&statement), Ok(once));
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let sent = Batch::read(ORDER).expect("a good sample");
    let ours = sent.head().debtor.account.clone();
    order(input);
    order(&changed(ORDER, input));
    statement(input, &ours, &sent);
    for sample in STATEMENTS {
        statement(&changed(sample, input), &ours, &sent);
    }
});

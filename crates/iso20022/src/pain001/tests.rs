//! Batches that are made, written, read and spoilt.

use super::*;
use proptest::prelude::*;

/// Account numbers of several countries, all real in form.
pub(crate) const IBANS: [&str; 4] =
    ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"];

pub(crate) fn head() -> BatchHead {
    BatchHead {
        message: MessageId::new("TEGATA-2026-10-31-1").expect("an id"),
        created: Time(1_793_448_000),
        debtor: Debtor {
            name: Sepa::new("debtor name", "Tegata Clearing").expect("a name"),
            account: Iban::new(IBANS[0]).expect("an account"),
            bank: Bic::new("COBADEFFXXX").expect("a bank"),
        },
        execution: Date::new(2026, 11, 2).expect("a day"),
    }
}

pub(crate) fn transfer(id: &str, unit: Unit, minor: u64) -> Transfer {
    Transfer {
        end_to_end: EndToEndId::new(id).expect("an id"),
        amount: Amount::new(unit, minor).expect("in range"),
        creditor: Creditor {
            name: Sepa::transliterated("creditor name", "B\u{e4}ckerei M\u{fc}ller & Co").expect("a name"),
            account: Iban::new(IBANS[1]).expect("an account"),
            bank: None,
        },
        remittance: None,
    }
}

#[test]
fn transfers_make_a_batch_or_say_why_not() {
    let eur = |id: &str, minor| transfer(id, Unit::EUR, minor);
    let late = BatchHead { created: Time::END, ..head() };
    let over = BatchHead { execution: Date::new(2026, 10, 29).expect("a day"), ..head() };
    let most = (0..10).map(|n| transfer(&format!("J{n}"), Unit::JPY, Amount::MAX)).collect::<Vec<_>>();
    for (head, transfers, says) in [
        (head(), vec![], "without transfers"),
        (head(), (0..50_001).map(|n| eur(&n.to_string(), 1)).collect(), "50001 transfers"),
        (late, vec![eur("A", 1)], "creation time"),
        (over, vec![eur("A", 1)], "2026-10-29 lies before"),
        (head(), vec![eur("A", 1), eur("B", 1), eur("A", 2)], "two transfers are called \"A\""),
        (head(), vec![eur("A", 1), eur("B", 0)], "\"B\" pays nothing"),
        (head(), vec![transfer("A", Unit::CALL_UNITS, 1)], "which no bank knows"),
        (head(), most, "more digits"),
    ] {
        let error = Batch::new(head, transfers).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.blame(), Blame::Caller);
    }
}

#[test]
fn counts_and_sums_are_computed_block_by_block() {
    let transfers = vec![
        transfer("A", Unit::JPY, 1000),
        transfer("B", Unit::EUR, 1050),
        transfer("C", Unit::USD, 1),
        transfer("D", Unit::EUR, 25),
    ];
    let batch = Batch::new(head(), transfers).expect("a batch");
    let blocks: Vec<_> = batch.blocks().map(|block| (block.currency, block.transfers.len())).collect();
    assert_eq!(blocks, [(Unit::EUR, 2), (Unit::JPY, 1), (Unit::USD, 1)]);
    let text = String::from_utf8(batch.write()).expect("UTF-8");
    for (count, sum) in [(4, "1010.76"), (2, "10.75"), (1, "1000.00"), (1, "0.01")] {
        assert!(text.contains(&format!("<NbOfTxs>{count}</NbOfTxs>\n")), "{count}");
        assert!(text.contains(&format!("<CtrlSum>{sum}</CtrlSum>\n")), "{sum}");
    }
    assert_eq!(text.matches("<Cd>SEPA</Cd>").count(), 1);
    assert_eq!(Batch::read(text.as_bytes()), Ok(batch));
}

#[test]
fn a_spoilt_file_is_refused_where_it_is_spoilt() {
    let transfers = vec![transfer("A", Unit::EUR, 1050), transfer("B", Unit::EUR, 25), transfer("C", Unit::JPY, 7)];
    let text = String::from_utf8(Batch::new(head(), transfers).expect("a batch").write()).expect("UTF-8");
    let root = "/Document/CstmrCdtTrfInitn";
    for (old, new, path, says) in [
        ("pain.001.001.09", "pain.001.001.03", "", "another message or version"),
        ("<EndToEndId>B<", "<EndToEndId>A<", "/PmtInf/CdtTrfTxInf[2]", "two transfers are called"),
        ("<EndToEndId>C<", "<EndToEndId>A<", "/PmtInf[2]/CdtTrfTxInf", "two transfers are called"),
        (">0.25<", ">0.26<", "/PmtInf/CtrlSum", "says 10.75 where the transfers make 10.76"),
        (">0.25<", ">0.00<", "/PmtInf/CtrlSum", "says 10.75"),
        ("<NbOfTxs>3<", "<NbOfTxs>2<", "/GrpHdr/NbOfTxs", "says 2"),
        ("<CtrlSum>17.75<", "<CtrlSum>17.7<", "/GrpHdr/CtrlSum", "make 17.75"),
        ("<CtrlSum>17.75<", "<CtrlSum>-17.75<", "/GrpHdr/CtrlSum", "digits"),
        ("\"EUR\">0.25", "\"USD\">0.25", "/PmtInf/CdtTrfTxInf[2]/Amt/InstdAmt", "one currency"),
        ("\"JPY\">7<", "\"EUR\">7<", "/PmtInf[2]", "of this currency already"),
        ("\"JPY\">7<", "\"JPY\">7.0<", "/PmtInf[2]/CdtTrfTxInf/Amt/InstdAmt", "no such small fractions"),
        ("\"JPY\">7<", "\"XAU\">7<", "/PmtInf[2]/CdtTrfTxInf/Amt/InstdAmt", "no currency"),
        ("-JPY</PmtInfId>", "-YEN</PmtInfId>", "/PmtInf[2]/PmtInfId", "called by the message"),
        ("SHAR", "SLEV", "/PmtInf[2]/ChrgBr", "charges"),
        ("SEPA", "URGP", "/PmtInf/PmtTpInf/SvcLvl/Cd", "it should be SEPA"),
        ("<BtchBookg>false</BtchBookg>", "", "/PmtInf", "<BtchBookg> should be here"),
        ("GB82WEST12345698765432", "GB82WEST12345698765433", "/PmtInf/CdtTrfTxInf/CdtrAcct/Id/IBAN", "check digits"),
        ("COBADEFFXXX", "COBADEFFXX", "/PmtInf/DbtrAgt/FinInstnId/BICFI", "BIC"),
        ("2026-11-02", "2026-11-31", "/PmtInf/ReqdExctnDt/Dt", "no such day"),
        ("2026-11-02", "2026-11-02Z</Dt><Dt>2026-11-02", "/PmtInf/ReqdExctnDt", "the end of the element"),
        ("T12:00:00Z", "T25:00:00Z", "/GrpHdr/CreDtTm", "time of day"),
        ("Backerei", "B\u{e4}ckerei", "/PmtInf/CdtTrfTxInf/Cdtr/Nm", "number 2, is not allowed"),
        ("<ChrgBr>", "<UltmtDbtr><Nm>X</Nm></UltmtDbtr><ChrgBr>", "/PmtInf", "<ChrgBr> should be here"),
        ("<InitgPty>", "<Authstn><Cd>AUTH</Cd></Authstn><InitgPty>", "/GrpHdr", "not <Authstn>"),
    ] {
        assert!(text.contains(old), "{old}");
        let spoilt = text.replacen(old, new, 1);
        let error = Batch::read(spoilt.as_bytes()).expect_err(old);
        let whole = if path.is_empty() { "/".to_owned() } else { format!("{root}{path}") };
        assert_eq!(error.path(), whole, "{old} {new}: {error}");
        assert!(error.to_string().contains(says), "{old} {new}: {error}");
        assert_eq!(error.blame(), Blame::Writer);
    }
    let other = text.rsplit_once("Tegata Clearing").map(|(front, back)| format!("{front}Someone{back}"));
    let error = Batch::read(other.unwrap_or_default().as_bytes()).expect_err("two debtors");
    assert_eq!(error.path(), format!("{root}/PmtInf[2]"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let text = Batch::new(head(), vec![transfer("A", Unit::EUR, 1050)]).expect("a batch").write();
    for len in 0..text.len() - 1 {
        assert!(Batch::read(&text[..len]).is_err(), "{len}");
    }
}

pub(crate) fn any_transfer() -> impl Strategy<Value = Transfer> {
    let units = prop::sample::select(vec![Unit::EUR, Unit::USD, Unit::JPY]);
    let iban = prop::sample::select(IBANS.to_vec());
    let bank = proptest::option::of("[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?");
    let name = "[a-zA-Z0-9?:().,'+/-]([a-zA-Z0-9?:().,'+/ -]{0,68}[a-zA-Z0-9?:().,'+/-])?";
    let remittance = proptest::option::of("[a-z]([a-zA-Z0-9?:().,'+/ -]{0,138}[A-Z])?");
    (units, 1..1_000_000_000_000u64, iban, bank, name, remittance).prop_map(
        |(unit, minor, iban, bank, name, remittance)| Transfer {
            end_to_end: EndToEndId::new("X").expect("named later"),
            amount: Amount::new(unit, minor).expect("in range"),
            creditor: Creditor {
                name: Sepa::new("name", &name).expect("of the set"),
                account: Iban::new(iban).expect("an account"),
                bank: bank.map(|bank| Bic::new(&bank).expect("a bank")),
            },
            remittance: remittance.map(|text| Sepa::new("remittance", &text).expect("of the set")),
        },
    )
}

pub(crate) fn any_batch() -> impl Strategy<Value = Batch> {
    (proptest::collection::vec(any_transfer(), 1..12), 0..200_000_000u64).prop_map(|(mut transfers, before)| {
        for (at, transfer) in transfers.iter_mut().enumerate() {
            transfer.end_to_end = EndToEndId::new(&format!("PAYOUT/{at}")).expect("an id");
        }
        let head = head();
        Batch::new(BatchHead { created: Time(head.created.0 - before), ..head }, transfers).expect("a batch")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back(batch in any_batch()) {
        let bytes = batch.write();
        prop_assert_eq!(Batch::read(&bytes), Ok(batch.clone()));
        prop_assert_eq!(Batch::new(batch.head().clone(), batch.transfers().to_vec()).map(|same| same.write()), Ok(bytes));
    }

    #[test]
    fn no_changed_byte_makes_it_panic(batch in any_batch(), at: prop::sample::Index, byte: u8) {
        let mut bytes = batch.write();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Batch::read(&bytes) {
            prop_assert_eq!(Batch::read(&read.write()), Ok(read));
        }
    }
}

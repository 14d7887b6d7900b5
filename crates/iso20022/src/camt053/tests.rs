//! Statements that are made, written, read and spoilt.

use super::*;
use crate::pain001::tests::IBANS;
use proptest::prelude::*;

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new("test", text).expect("a text")
}

fn day(day: u8) -> Date {
    Date::new(2026, 11, day).expect("a day")
}

fn ours() -> Iban {
    Iban::new(IBANS[0]).expect("an account")
}

pub(crate) fn amount(minor: u64) -> Amount {
    Amount::new(Unit::EUR, minor).expect("in range")
}

/// Statement number `sequence` of our account, opening with 100.00 EUR.
pub(crate) fn head(sequence: u64) -> StatementHead {
    StatementHead {
        message: text(&format!("CAMT-{sequence}")),
        id: text(&format!("STMT-{sequence}")),
        sequence,
        created: Time(1_793_664_000),
        account: ours(),
        opening: Balance { amount: amount(10_000), side: Side::Credit, date: day(2) },
    }
}

pub(crate) fn detail(id: &str, side: Side, minor: u64) -> Detail {
    let name = Some(text("\u{682a}\u{5f0f}\u{4f1a}\u{793e} <M\u{fc}ller & Co>"));
    let account = Some(Iban::new(IBANS[1]).expect("an account"));
    Detail {
        end_to_end: Some(text(id)),
        amount: amount(minor),
        side,
        counterparty: Some(Counterparty { name, account }),
        returned: None,
    }
}

pub(crate) fn given_back(id: &str, minor: u64, code: &str) -> Detail {
    let returned = Some(Return { reason: Some(Reason::Code(text(code))), text: Some(text("Konto erloschen")) });
    Detail { returned, ..detail(id, Side::Credit, minor) }
}

pub(crate) fn entry(reference: &str, detail: Detail) -> Entry {
    Entry::of_one(text(reference), day(2), detail)
}

pub(crate) fn statement(sequence: u64, entries: Vec<Entry>) -> Statement {
    Statement::new(head(sequence), day(2), entries).expect("a statement")
}

fn sample() -> Statement {
    let together = vec![detail("C", Side::Debit, 300), detail("D", Side::Debit, 400), detail("E", Side::Credit, 50)];
    statement(
        7,
        vec![
            entry("B-1", detail("A", Side::Debit, 12_000)),
            entry("B-2", given_back("A", 12_000, "AC04")),
            Entry { status: Status::Pending, ..entry("B-3", detail("B", Side::Debit, 99)) },
            Entry {
                amount: amount(650),
                side: Side::Debit,
                details: together,
                ..entry("B-4", detail("C", Side::Debit, 1))
            },
            Entry { is_reversal: true, details: vec![], ..entry("B-5", detail("X", Side::Credit, 25)) },
        ],
    )
}

#[test]
fn booked_entries_alone_make_the_closing_balance() {
    let day_seven = sample();
    assert_eq!(day_seven.closing(), Balance { amount: amount(9_375), side: Side::Credit, date: day(2) });
    assert_eq!(Statement::read(&day_seven.write(), &ours()), Ok(day_seven));
    let owed = statement(1, vec![entry("B-1", detail("A", Side::Debit, 10_001))]);
    assert_eq!((owed.closing().amount, owed.closing().side), (amount(1), Side::Debit));
    assert_eq!(Statement::read(&owed.write(), &ours()), Ok(owed));
}

#[test]
fn entries_make_a_statement_or_say_why_not() {
    let one = || entry("B-1", detail("A", Side::Debit, 1));
    let usd = Amount::new(Unit::USD, 1).expect("in range");
    let tickets = Balance { amount: Amount::zero(Unit::ENTRIES), ..head(1).opening };
    let full = Balance { amount: amount(Amount::MAX), ..head(1).opening };
    for (head, closes, entries, says) in [
        (StatementHead { created: Time::END, ..head(1) }, day(2), vec![], "creation time"),
        (head(10u64.pow(18)), day(2), vec![], "18 digits"),
        (StatementHead { opening: tickets, ..head(1) }, day(2), vec![], "not kept in entries"),
        (head(1), day(2), vec![one(), Entry { amount: usd, ..one() }], "entry 1 is in USD"),
        (head(1), day(2), vec![entry("B", Detail { amount: usd, ..detail("A", Side::Debit, 1) })], "in USD"),
        (head(1), day(2), vec![Entry { amount: amount(2), ..one() }], "do not add up"),
        (head(1), day(2), vec![Entry { side: Side::Credit, ..one() }], "do not add up"),
        (head(1), day(2), vec![one(), one()], "entry 1 has the reference"),
        (head(1), day(1), vec![], "before it opens"),
        (StatementHead { opening: full, ..head(1) }, day(2), vec![entry("B", detail("A", Side::Credit, 1))], "closing"),
    ] {
        let error = Statement::new(head, closes, entries).expect_err(says);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.blame(), Blame::Caller);
    }
}

#[test]
fn a_spoilt_file_is_refused_where_it_is_spoilt() {
    let text = String::from_utf8(sample().write()).expect("UTF-8");
    let root = "/Document/BkToCstmrStmt/Stmt";
    for (old, new, path, says) in [
        ("camt.053.001.08", "camt.053.001.02", "/", "another message or version"),
        (">93.75<", ">93.74<", "/Bal[2]/Amt", "says 9374 where the opening balance and the entries make 9375"),
        ("<Amt Ccy=\"EUR\">120.00<", "<Amt Ccy=\"EUR\">120.01<", "/Ntry", "do not add up"),
        ("<Cd>BOOK<", "<Cd>PDNG<", "/Bal[2]/Amt", "entries make 21375"),
        ("<Cd>BOOK<", "<Cd>OOPS<", "/Ntry/Sts/Cd", "BOOK, PDNG or INFO"),
        ("B-2", "B-1", "/Ntry[2]", "reference of an earlier one"),
        ("<AcctSvcrRef>B-1</AcctSvcrRef>", "", "/Ntry", "<AcctSvcrRef> should be here"),
        ("DE89370400440532013000", "NO9386011117947", "/Acct/Id", "another account than ours"),
        ("<IBAN>DE89370400440532013000</IBAN>", "<Othr><Id>1</Id></Othr>", "/Acct/Id", "another account"),
        ("<Ccy>EUR<", "<Ccy>USD<", "", "not in one currency"),
        ("<Ccy>EUR<", "<Ccy>EURO<", "/Acct/Ccy", "no currency"),
        ("Ccy=\"EUR\">93.75<", "Ccy=\"USD\">93.75<", "", "not in one currency"),
        ("Ccy=\"EUR\">120.00<", "Ccy=\"USD\">120.00<", "/Ntry", "in USD, the account in EUR"),
        ("Ccy=\"EUR\">120.00<", "Ccy=\"JPY\">120.00<", "/Ntry/Amt", "no such small fractions"),
        ("Ccy=\"EUR\">120.00<", ">120.00<", "/Ntry/Amt", "attributes"),
        ("<Cd>OPBD<", "<Cd>CLBD<", "/Bal[2]", "such a balance already"),
        ("<Cd>OPBD<", "<Cd>ITBD<", "", "is missing"),
        ("<Dt>2026-11-02<", "<Dt>2026-11-03<", "", "before it opens"),
        ("<ElctrncSeqNb>7</ElctrncSeqNb>", "", "", "sequence number"),
        ("<ElctrncSeqNb>7<", "<ElctrncSeqNb>-7<", "/ElctrncSeqNb", "digits"),
        (
            "<ElctrncSeqNb>",
            "<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn><ElctrncSeqNb>",
            "/StmtPgntn",
            "a page",
        ),
        ("<RvslInd>true<", "<RvslInd>yes<", "/Ntry[5]/RvslInd", "true or false"),
        ("<RvslInd>true</RvslInd>", "<RvslInd>true</RvslInd><RvslInd>true</RvslInd>", "/Ntry[5]", "not <RvslInd>"),
        ("<BkTxCd>", "<Surprise/><BkTxCd>", "/Ntry", "not <Surprise>"),
        ("<Amt Ccy=\"EUR\">3.00</Amt>", "", "/Ntry[4]", "not all say their amounts"),
        ("<Cd>AC04<", "<Cd>AC004<", "/Ntry[2]/NtryDtls/TxDtls/RtrInf/Rsn/Cd", "5 characters, 4 are allowed"),
        ("</Stmt>", "</Stmt><Stmt></Stmt>", "/..", "several statements"),
    ] {
        assert!(text.contains(old), "{old}");
        let spoilt = text.replacen(old, new, 1);
        let error = Statement::read(spoilt.as_bytes(), &ours()).expect_err(old);
        let whole = match path {
            "/" => "/".to_owned(),
            "/.." => "/Document/BkToCstmrStmt".to_owned(),
            path => format!("{root}{path}"),
        };
        assert_eq!(error.path(), whole, "{old} {new}: {error}");
        assert!(error.to_string().contains(says), "{old} {new}: {error}");
        let picked_wrongly = matches!(error, ReadError::Account { .. });
        assert_eq!(error.blame(), if picked_wrongly { Blame::Caller } else { Blame::Writer });
    }
}

#[test]
fn the_files_moment_serves_where_the_statement_has_none() {
    let text = String::from_utf8(sample().write()).expect("UTF-8");
    let own = "<CreDtTm>2026-11-03T00:00:00Z</CreDtTm>\n      <Acct>";
    assert!(text.contains(own), "{text}");
    let read = Statement::read(text.replace(own, "<Acct>").as_bytes(), &ours());
    assert_eq!(read, Ok(sample()));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = sample().write();
    for len in 0..bytes.len() - 1 {
        assert!(Statement::read(&bytes[..len], &ours()).is_err(), "{len}");
    }
}

#[test]
fn a_banks_own_file_is_read_past_what_is_not_needed() {
    let statement = Statement::read(include_bytes!("../../samples/camt053-bank.xml"), &ours()).expect("a statement");
    assert_eq!(statement.head().sequence, 213);
    assert_eq!(statement.closing(), Balance { amount: amount(123_450), side: Side::Debit, date: day(3) });
    let [fee, returned, sale] = statement.entries() else { panic!("{:?}", statement.entries()) };
    assert!(fee.details.is_empty());
    let [back] = &returned.details[..] else { panic!("{returned:?}") };
    let reason = back.returned.as_ref().and_then(|returned| returned.reason.as_ref());
    assert_eq!(reason.and_then(Reason::meaning), Some("the account is closed"));
    assert_eq!(back.end_to_end, Some(text("PAYOUT-0003")));
    let who = back.counterparty.as_ref().and_then(|party| party.name.as_ref());
    assert_eq!(who, Some(&text("Caf\u{e9} Zentral GmbH")), "the parties are turned round, and the name is folded");
    assert_eq!((sale.booked, sale.details.len()), (day(3), 2));
    assert_eq!(sale.details[1].end_to_end, None);
}

fn any_text<const MAX: usize>() -> impl Strategy<Value = Text<MAX>> {
    "[!-~\u{c0}-\u{24f}\u{4e00}-\u{4eff}]{1,30}".prop_filter_map("fits", |any| {
        let cut: String = any.chars().take(MAX).collect();
        Text::new("any", &cut).ok().filter(|text| text.as_str() != "NOTPROVIDED")
    })
}

fn any_detail() -> impl Strategy<Value = Detail> {
    let side = prop::sample::select(vec![Side::Credit, Side::Debit]);
    let iban = prop::sample::select(IBANS.to_vec()).prop_map(|iban| Iban::new(iban).expect("an account"));
    let party = (proptest::option::of(any_text()), proptest::option::of(iban));
    let party = party
        .prop_map(|(name, account)| (name.is_some() || account.is_some()).then_some(Counterparty { name, account }));
    let reason = prop_oneof![any_text().prop_map(Reason::Code), any_text().prop_map(Reason::Own)];
    let returned = (proptest::option::of(reason), proptest::option::of(any_text()));
    let returned = proptest::option::of(returned.prop_map(|(reason, text)| Return { reason, text }));
    (proptest::option::of(any_text()), 0..1_000_000u64, side, party, returned).prop_map(
        |(end_to_end, minor, side, counterparty, returned)| Detail {
            end_to_end,
            amount: amount(minor),
            side,
            counterparty,
            returned,
        },
    )
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let status = prop::sample::select(vec![Status::Booked, Status::Booked, Status::Pending, Status::Told]);
    (proptest::collection::vec(any_detail(), 0..4), status, any::<bool>()).prop_map(|(details, status, is_reversal)| {
        let total: i128 = details.iter().map(|detail| detail.side.signed(detail.amount)).sum();
        let side = if total < 0 { Side::Debit } else { Side::Credit };
        let whole = amount(u64::try_from(total.unsigned_abs()).expect("small"));
        Entry { amount: whole, side, status, is_reversal, details, ..entry("later", detail("A", Side::Credit, 1)) }
    })
}

pub(crate) fn any_statement() -> impl Strategy<Value = Statement> {
    proptest::collection::vec(any_entry(), 0..6).prop_map(|mut entries| {
        for (at, entry) in entries.iter_mut().enumerate() {
            entry.reference = text(&format!("REF/{at}"));
        }
        statement(1, entries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back(statement in any_statement()) {
        prop_assert_eq!(Statement::read(&statement.write(), &ours()), Ok(statement));
    }

    #[test]
    fn no_changed_byte_makes_it_panic(statement in any_statement(), at: prop::sample::Index, byte: u8) {
        let mut bytes = statement.write();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Statement::read(&bytes, &ours()) {
            prop_assert_eq!(Statement::read(&read.write(), &ours()), Ok(read));
        }
    }
}

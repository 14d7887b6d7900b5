//! The program as people type it: real processes, real sockets, real folders.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, json, run, tegata, text};
use std::path::Path;
use std::process::{Child, Stdio};

/// A charge that waits for a wallet; read until it has said where.
fn charge(data: &Path, terminal: &str, amount: &str) -> Child {
    let child = tegata(data)
        .args(["terminal", terminal, "charge", amount])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = data.join("terminals").join(terminal).join("address");
    while !address.exists() {
        std::thread::yield_now();
    }
    child
}

#[test]
fn the_town_walks_a_card_from_printing_to_a_clean_audit() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let walked = good(data, "town --once");
    assert_eq!(walked["walk"]["paid"]["paid"], "4.50");
    assert_eq!(walked["walk"]["audit"]["clean"], true);
    let credit = &walked["walk"]["credit"];
    assert_eq!(credit["paid"]["paid"], "12.00");
    assert_eq!(credit["audit"]["clean"], true);
    let payouts = credit["settled"]["payouts"].as_array().unwrap();
    let mut paid_out: Vec<_> = payouts.iter().map(|payout| payout["amount"].as_str().unwrap()).collect();
    paid_out.sort_unstable();
    let why = "the exchange for a call, the town hall for five tickets less the two paid back, the cafe by credit and by the card sold, \
               the issuer for it";
    assert_eq!(paid_out, ["0.50", "135.00", "16.50", "20.00"], "{why}");
    let call = &credit["calls"];
    assert_eq!((&call["used"], &call["ended"]), (&"0.50".into(), &"PaidTimeOver".into()), "{call}");
    assert_eq!((&call["remaining"], &call["receipted"]), (&"0.00".into(), &true.into()), "{call}");
    assert_eq!(good(data, "wallet alice calls")["calls"][0]["called"], "03002");
    let (given, changed) = (&credit["concert"]["given"], &credit["concert"]["changed"]);
    assert_eq!(given["copy_refused"].as_str().map(|why| why.contains("given")), Some(true), "{given}");
    assert_eq!(given["registered"]["registered"][0], given["ticket"]);
    assert_eq!((&changed["accepted"]["stands"], &changed["declined"]["stands"]), (&"Taken".into(), &"Refunded".into()));
    let held = good(data, "wallet bob tickets");
    let states: Vec<_> = held["tickets"].as_array().unwrap().iter().map(|held| held["state"].clone()).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&"inside".into()) && states.contains(&"valid".into()), "{held}");
    assert!(!data.join("wallets/alices-copy").exists(), "a copy that was played with is gone");
    assert_eq!(credit["concert"]["refused"].as_str().map(|why| why.contains("no entries are left")), Some(true));
    assert_eq!(credit["bought"]["card"]["amount"], "20.00");
    let receipt = &good(data, "wallet alice credits")["credits"][0]["receipt"];
    assert_eq!(receipt["item"], "coffee and cake");
    no_card_number(data);
    // With the provider gone, cards and terminals go on.
    let waiting = charge(data, "kiosk", "2.25");
    let paid = good(data, "wallet alice pay kiosk --yes");
    assert_eq!(paid["paid"], "2.25");
    let told = waiting.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&told.stdout).contains("Hand over the goods"), "{told:?}");
    bad(data, "wallet alice update", "no provider runs");
    bad(data, "--provider http://127.0.0.1:1 wallet alice update", "cannot be reached");
    // It comes back, and both sides agree.
    let provider = Running::start(data, "provider run --listen 127.0.0.1:0");
    good(data, "terminal kiosk update");
    good(data, "wallet alice update");
    let settled = good(data, "provider settle");
    assert_eq!(settled["payouts"][0]["amount"], "2.25");
    assert_eq!(good(data, "merchant kiosk statement")["payments"][0]["state"], "paid");
    good(data, "terminal kiosk void 1");
    good(data, "terminal kiosk update");
    assert_eq!(good(data, "wallet alice update")["taken_up"], 1);
    let cards = good(data, "wallet alice cards");
    let mut left: Vec<_> = cards["cards"].as_array().unwrap().iter().map(|card| card["remaining"].clone()).collect();
    left.sort_by_key(ToString::to_string);
    assert_eq!(left, ["0.00", "15.50", "45.50"]);
    drop(provider);
    assert_eq!(good(data, "audit")["clean"], true);
}

/// The bank card's number stands nowhere in the clear: not at the provider, not in a wallet, not in the processor's own files.
fn no_card_number(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            no_card_number(&entry.path());
        } else {
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(16).any(|window| window == b"4111111111111111");
            assert!(!found, "{}", entry.path().display());
        }
    }
}

#[test]
fn what_people_do_wrong_is_told_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    bad(data, "terminal cafe charge 0", "zero");
    bad(data, "terminal cafe charge 4.505", "decimals");
    bad(data, "terminal cafe charge 1 --wait 1", "no wallet touched");
    bad(data, "terminal cafe charge 1 --items bell\u{7}", "cannot be shown");
    bad(data, "wallet alice pay market", "there is no terminal");
    bad(data, "wallet alice code --new 12", "at least 4");
    bad(data, "wallet alice register-card --number 12 --expiry 12/29", "12 to 19 digits");
    bad(data, "wallet alice register-card --number 4111111111111111 --expiry 13/29", "MM/YY");
    bad(data, "terminal cafe charge 99999999999999999999", "no amount");
    bad(data, "terminal cafe charge 1 --currency XYZ", "no currency");
    bad(data, "terminal cafe void 99", "no charge 99");
    bad(data, "terminal nowhere payments", "join first");
    bad(data, "wallet alice pay cafe", "not waiting");
    bad(data, "wallet alice pay 127.0.0.1:1", "127.0.0.1:1");
    bad(data, "wallet alice install ABCD", "characters");
    bad(data, "wallet ../alice cards", "name");
    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    bad(data, "issuer townbank activate 1 9 99", "no serials");
    drop(running);
    bad(data, "sim --seeds 5..1", "range");
    bad(data, "replay sales nowhere.txt", "cannot be read");
}

#[test]
fn a_code_number_typed_wrong_too_often_blocks_the_wallet() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    for left in (1..5).rev() {
        bad(data, "--code 0000 wallet bob cards", &format!("{left} tries left"));
    }
    bad(data, "--code 0000 wallet bob cards", "too often");
    bad(data, "wallet bob cards", "too often");
    good(data, "wallet alice cards");
}

#[test]
fn locked_copied_newer_and_half_made_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    bad(data, "provider run", "another process");
    let second = tempfile::tempdir().unwrap();
    let taken = format!("provider run --listen {}", running.address);
    bad(second.path(), &taken, &running.address);
    drop(running);
    // A vault without its device key is a copy.
    let key = data.join("wallets/bob/device.key");
    std::fs::rename(&key, data.join("kept")).unwrap();
    bad(data, "wallet bob cards", "device.key is missing");
    std::fs::rename(data.join("kept"), &key).unwrap();
    // A vault cut off in the middle.
    let vault = data.join("wallets/bob/vault.db");
    let whole = std::fs::read(&vault).unwrap();
    std::fs::write(&vault, &whole[..100]).unwrap();
    assert!(!run(data, "wallet bob cards").status.success());
    std::fs::write(&vault, &whole).unwrap();
    good(data, "wallet bob cards");
    let version = std::fs::read_to_string(data.join("VERSION")).unwrap();
    let newer = version.replace(|c: char| c.is_ascii_digit(), "9");
    std::fs::write(data.join("VERSION"), newer).unwrap();
    bad(data, "wallet bob cards", "newer");
}

#[test]
fn an_older_copy_of_a_vault_is_set_right_by_the_next_update() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    good(data, "town --once");
    let vault = data.join("wallets/alice/vault.db");
    let before = std::fs::read(&vault).unwrap();
    let waiting = charge(data, "kiosk", "10.00");
    good(data, "wallet alice pay kiosk --yes");
    waiting.wait_with_output().unwrap();
    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    good(data, "terminal kiosk update");
    good(data, "wallet alice update");
    std::fs::write(&vault, before).unwrap();
    let updated = good(data, "wallet alice update");
    assert_eq!(updated["restarted"], true);
    let cards = good(data, "wallet alice cards")["cards"].as_array().expect("cards").clone();
    assert!(cards.iter().all(|card| card["remaining"] != "45.50"), "what was spent stays spent: {cards:?}");
    let held = cards.into_iter().find(|card| !card["held_back"].is_null()).expect("the card that paid");
    assert!(held["held_back"].is_string() && held["release_at"].is_u64(), "what is held back, and until when: {held}");
    drop(running);
    assert_eq!(good(data, "audit")["clean"], true);
}

#[test]
fn a_provider_that_lost_its_disk_is_put_back_from_a_backup_and_hears_what_it_has_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let number = good(data, "town --once")["next_number"].as_str().unwrap().to_owned();
    let backup = data.join("of-last-night");
    let (backup, database) = (backup.to_str().unwrap(), data.join("provider/provider.db"));
    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    good(data, ["provider", "backup", backup].as_slice());
    bad(data, ["provider", "backup", backup].as_slice(), "already");
    let waiting = charge(data, "kiosk", "10.00");
    good(data, "wallet alice pay kiosk --yes");
    waiting.wait_with_output().unwrap();
    good(data, "terminal kiosk update");
    bad(data, ["provider", "put-back", backup].as_slice(), "stop it");
    running.close();

    std::fs::remove_file(&database).unwrap();
    bad(data, "provider run --listen 127.0.0.1:0", "restore it from a backup");
    let letter = data.join("letter");
    std::fs::write(&letter, "no backup").unwrap();
    bad(data, ["provider", "put-back", letter.to_str().unwrap()].as_slice(), "another program");
    let put = good(data, ["provider", "put-back", backup].as_slice());
    assert_eq!((&put["epoch"], &put["kept"]), (&2.into(), &serde_json::Value::Null), "{put}");

    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    assert!(text(data, "provider status").contains("A backup was put back"));
    bad(data, format!("wallet alice install {number}").as_str(), "backup");
    // Once everybody was heard, nothing waits any more, and what was paid since the backup is known.
    for part in ["wallet alice", "wallet bob", "terminal cafe", "terminal kiosk"] {
        good(data, format!("{part} update").as_str());
    }
    assert_eq!(good(data, "provider exceptions")["exceptions"].as_array().unwrap().len(), 0);
    let left = good(data, "wallet alice cards");
    assert!(left["cards"].as_array().unwrap().iter().any(|card| card["remaining"] == "35.50"), "{left}");
    bad(data, "provider compared", "still hearing");
    drop(running);
    let put = good(data, ["provider", "put-back", backup].as_slice());
    assert!(Path::new(put["kept"].as_str().unwrap()).exists(), "what was there is kept: {put}");
    assert_eq!(good(data, "audit")["clean"], true);
}

#[test]
fn a_card_that_an_older_copy_installs_is_spent_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let number = good(data, "town --once")["next_number"].as_str().unwrap().to_owned();
    let vault = data.join("wallets/alice/vault.db");
    let before = std::fs::read(&vault).unwrap();
    let waiting = charge(data, "kiosk", "10.00");
    good(data, "wallet alice pay kiosk --yes");
    waiting.wait_with_output().unwrap();
    let running = Running::start(data, "provider run --listen 127.0.0.1:0");
    good(data, "terminal kiosk update");
    good(data, "wallet alice update");
    std::fs::write(&vault, before).unwrap();
    // The provider hears that it is a copy before the new card is there: nobody else can have spent of that (R11, R14).
    let installed = good(data, format!("wallet alice install {number}").as_str());
    assert_eq!((&installed["restarted"], &installed["remaining"]), (&true.into(), &"50.00".into()), "{installed}");
    assert_eq!(good(data, "wallet alice update")["restarted"], false);
    let cards = good(data, "wallet alice cards");
    let new = cards["cards"].as_array().unwrap().iter().find(|card| card["card"] == installed["installed"]).unwrap();
    assert_eq!(new["remaining"], "50.00", "{cards}");
    drop(running);
    assert_eq!(good(data, "audit")["clean"], true);
}

#[test]
fn the_sample_of_real_sales_comes_out_to_the_cent_also_when_the_provider_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/sales.txt");
    for kill in ["", " --kill"] {
        let line = format!("replay sales {}{kill} --terminals 4", sample.display());
        let played = good(folder.path(), &line);
        assert_eq!(played["payments"], 399, "{played}");
        assert_eq!(played["refused"]["zero amount"], 3);
        assert_eq!(played["unexplained"], 0);
        assert_eq!(played["audit"]["clean"], true);
        assert_eq!(played["cleared"], cleared(&sample));
    }
}

/// The sum of the sample's last column, in cents, by another way than the program's.
fn cleared(sample: &Path) -> String {
    let text = std::fs::read_to_string(sample).unwrap();
    let cents: u64 = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().last())
        .map(|dollars| dollars.replace('.', "").parse::<u64>().unwrap())
        .sum();
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[test]
fn completions_and_help_name_every_part() {
    let folder = tempfile::tempdir().unwrap();
    let help = tegata(folder.path()).arg("--help").output().unwrap();
    let bash = tegata(folder.path()).args(["completions", "bash"]).output().unwrap();
    for part in ["town", "provider", "issuer", "merchant", "terminal", "wallet", "replay", "audit", "sim", "bench"] {
        assert!(String::from_utf8_lossy(&help.stdout).contains(part), "help lacks {part}");
        assert!(String::from_utf8_lossy(&bash.stdout).contains(part), "completions lack {part}");
    }
}

#[test]
fn nothing_secret_is_printed_or_logged_however_talkative_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let number = good(data, "town --once")["next_number"].as_str().unwrap().to_owned();
    let log = data.join("provider.log");
    let mut command = tegata(data);
    command.args(["--json", "provider", "run", "--listen", "127.0.0.1:0"]).env("TEGATA_LOG", "trace");
    let provider = Running::of(command.stderr(std::fs::File::create(&log).unwrap()));
    let mut seen = String::new();
    let mut talk = |code: &str, line: &str| {
        let mut command = tegata(data);
        command.env("TEGATA_LOG", "trace").env("TEGATA_CODE", code).args(line.split_whitespace());
        let output = command.output().unwrap();
        seen.push_str(&String::from_utf8_lossy(&output.stdout));
        seen.push_str(&String::from_utf8_lossy(&output.stderr));
        output
    };
    let invited = json(&run(data, "provider invite wallet Carol"));
    let token = invited["token"].as_str().unwrap();
    assert!(talk("90417263", &format!("wallet carol join {token}")).status.success());
    assert!(talk("90417263", &format!("wallet carol install {number}")).status.success());
    assert!(!talk("55555501", &format!("wallet carol install {number}")).status.success());
    assert!(!talk("90417263", &format!("wallet carol join {token}")).status.success());
    for line in
        ["wallet carol cards", "wallet carol update", "provider settle", "provider status", "terminal cafe update"]
    {
        talk(if line.contains("carol") { "90417263" } else { "1234" }, line);
    }
    drop(provider);
    seen.push_str(&std::fs::read_to_string(&log).unwrap());
    assert!(seen.contains("TRACE") && seen.len() > 10_000, "the log is not talkative: {}", seen.len());

    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let listed = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    let operator = std::fs::read_to_string(data.join("provider/operator.key")).unwrap();
    let mut secrets = vec![
        ("code number", "90417263".to_owned()),
        ("wrong code number", "55555501".to_owned()),
        ("join token", token.to_owned()),
        ("installation number", number.clone()),
        ("installation number", number.replace('-', "")),
        ("operator's key", operator.trim().to_owned()),
    ];
    for file in ["provider/keys", "wallets/carol/device.key"] {
        let bytes = std::fs::read(data.join(file)).unwrap();
        for piece in bytes.chunks_exact(16) {
            secrets.extend([(file, hex(piece)), (file, listed(piece))]);
        }
    }
    for (what, secret) in secrets {
        assert!(!seen.contains(&secret), "the {what} is in what was printed or logged");
    }
}

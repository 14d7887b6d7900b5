//! Buying over the network as people type it: provider, processor and bank as processes of their own, SIGKILL in between.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, tegata, text, token};
use std::path::Path;
use std::process::Stdio;

#[test]
fn a_card_is_bought_topped_up_and_given_back_while_provider_and_processor_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let bank = Running::start(data, "bank run");
    good(data, "processor init");
    let processor = Running::start(data, &format!("processor run --bank {}", bank.address));
    let provider = Running::start(data, "provider run");
    let key = good(data, "provider key");
    let (party, key) = (key["provider"].as_str().unwrap(), key["key"].as_str().unwrap());
    good(data, &format!("processor admit {party} {key}"));
    good(data, &format!("provider processor http://{}", processor.address));
    let issuer = good(data, &format!("issuer mint join {}", token(data, "issuer", "mint", &[])));
    let issuer = issuer["id"].as_str().unwrap().to_owned();
    good(data, &format!("wallet ann join {}", token(data, "wallet", "ann", &[])));
    good(data, &format!("provider enrol {issuer} --code MINT --category 6012 --name MINT"));

    bad(data, "wallet ann buy 7 --yes", "no article 7");
    good(data, "issuer mint sell 7 --face 25.00 --stock 2");
    assert_eq!(good(data, "wallet ann catalogue")["articles"][0]["left"], 2);
    bad(data, "wallet ann buy 7 --yes", "no bank card registered");
    good(data, "wallet ann register-card --number 4111111111111111 --expiry 12/29");
    bad(data, "wallet ann buy 7", "nothing was charged");
    // What was not agreed to is for others again.
    assert_eq!(good(data, "wallet ann catalogue")["articles"][0]["left"], 2);

    // The processor dies; the purchase stands, and goes on when it is back, also after the provider died, too.
    let address = processor.address.clone();
    drop(processor);
    let buying =
        tegata(data).args(["--json", "wallet", "ann", "buy", "7", "--yes"]).stdout(Stdio::piped()).spawn().unwrap();
    let database = data.join("provider").join("provider.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = rusqlite::Connection::open_with_flags(database, flags).unwrap();
    let pending = || {
        let count = reader.query_row("SELECT count(*) FROM purchase WHERE state = 2", [], |row| row.get::<_, i64>(0));
        count.unwrap()
    };
    while pending() == 0 {
        std::thread::yield_now();
    }
    let at = provider.address.clone();
    drop(provider);
    // Whoever waited for it may have been told that the provider is away; nothing is lost with that.
    drop(buying.wait_with_output().unwrap());
    let _processor = Running::start(data, &format!("processor run --bank {} --listen {address}", bank.address));
    let _provider = Running::start(data, &format!("provider run --listen {at}"));
    let delivered = || {
        let all = good(data, "wallet ann purchases");
        let all = all["purchases"].as_array().unwrap().clone();
        assert_eq!(all.iter().filter(|one| one["state"] == "Refused").count(), 2, "those before: {all:?}");
        all.iter().any(|one| one["state"] == "Delivered")
    };
    while !delivered() {}
    let cards = good(data, "wallet ann cards");
    assert_eq!(cards["cards"].as_array().unwrap().len(), 1);
    assert_eq!(cards["cards"][0]["remaining"], "25.00");
    let balance = |data: &Path| good(data, "processor balances")["balances"][0]["amount"].clone();
    assert_eq!(balance(data), "25.00", "charged once");

    let card = cards["cards"][0]["card"].as_str().unwrap().to_owned();
    let topped = good(data, &format!("wallet ann buy 7 --card {card} --yes --instalments 3"));
    assert_eq!(topped["amount"], "25.00");
    assert_eq!(good(data, "wallet ann cards")["cards"][0]["remaining"], "50.00");
    bad(data, "wallet ann buy 7 --yes", "no article 7");
    good(data, "issuer mint restock 7 3");
    assert_eq!(good(data, "issuer mint articles")["articles"][0]["stock"], 3);
    bad(data, &format!("wallet ann refund {card}"), "nothing was given back");
    assert_eq!(good(data, &format!("wallet ann refund {card} --yes"))["given_back"], "50.00");
    assert_eq!(good(data, "wallet ann cards")["cards"][0]["state"], "Ended");
    // What was bought is told as before, and what became of it since.
    let bought = good(data, "wallet ann purchases");
    let since = bought["purchases"].as_array().unwrap().iter().filter(|one| one["since"]["is"] == "given back");
    assert_eq!(since.count(), 2, "bought, and topped up: {bought}");
    assert!(
        text(data, "wallet ann purchases").contains("delivered; since then given back, and the money is on its way")
    );
    bad(data, &format!("wallet ann refund {card} --yes"), "is over, nothing of it");
    // It is paid back when nothing that it spent can come any more; until then the issuer has it.
    assert_eq!(balance(data), "50.00");
    // A telephone card is sold in the same way.
    good(data, "issuer mint sell 8 --telephone --face 10.00 --stock 1");
    assert_eq!(good(data, "wallet ann buy 8 --yes")["amount"], "10.00");
    bad(data, "wallet ann buy 8 --yes", "no article 8");
    assert_eq!(balance(data), "60.00");
    // So is one of call units, at a price for all of them.
    bad(data, "issuer mint sell 9 --telephone --currency units --face 60", "a price in money");
    bad(data, "issuer mint sell 9 --units 60", "--price");
    good(data, "issuer mint sell 9 --units 60 --price 9.99 --stock 1");
    let listed = good(data, "issuer mint articles");
    let listed = listed["articles"].as_array().unwrap().iter().find(|one| one["article"] == 9).unwrap().clone();
    assert_eq!(
        (&listed["face"], &listed["face_unit"], &listed["price"]),
        (&"60".into(), &"units".into(), &"9.99".into())
    );
    let bought = good(data, "wallet ann buy 9 --yes");
    assert_eq!((&bought["amount"], &bought["currency"]), (&"60".into(), &"units".into()));
    assert_eq!(balance(data), "69.99");
    assert_eq!(good(data, "audit")["clean"], true);
}

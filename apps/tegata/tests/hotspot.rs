//! A way to the network as people type it: a hotspot opened, paid for by a telephone card, left again and paid out.
#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use crate::typed::{Running, bad, good, tegata, token};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

/// The number by whose rate the hotspot charges: 0.05 for each half second.
const SERVICE: &str = "09430001";

#[test]
fn a_telephone_card_pays_for_a_way_to_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _provider = Running::start(&data, &["provider", "run", "--listen", "127.0.0.1:0"]);
    good(&data, &["issuer", "calls", "join", &token(&data, "issuer", "Calls Inc", &[])]);
    let merchant = token(&data, "merchant", "Cafe", &[]);
    let owner = good(&data, &["merchant", "cafe", "join", &merchant])["id"].as_str().unwrap().to_owned();
    good(&data, &["switch", "cafe", "join", &token(&data, "switch", "cafe", &["--owner", &owner])]);
    let rates = folder.path().join("rates.csv");
    std::fs::write(&rates, "prefix,setup,price,seconds\n0943,0.00,0.05,0.5\n").unwrap();
    good(&data, &["issuer", "calls", "tariff", rates.to_str().unwrap()]);
    let ordered = good(&data, &["issuer", "calls", "order", "--telephone", "--count", "1", "--face", "10.00"]);
    let batch = ordered["batch"].to_string();
    good(&data, &["issuer", "calls", "activate", &batch, "1"]);
    let number =
        good(&data, &["issuer", "calls", "print", &batch])["numbers"][0]["number"].as_str().unwrap().to_owned();
    good(&data, &["wallet", "alice", "join", &token(&data, "wallet", "Alice", &[])]);

    bad(&data, &["wallet", "alice", "surf", "--at", "cafe", "--yes"], "'cafe' opens no way here");
    let open = ["switch", "cafe", "hotspot", "--listen", "127.0.0.1:0", "--update-every", "0"];
    bad(&data, &[&open[..], &["--service", SERVICE]].concat(), "knows no tariff yet");
    good(&data, &["switch", "cafe", "update"]);
    bad(&data, &[&open[..], &["--service", "09x"]].concat(), "'09x' is no service number");
    bad(&data, &[&open[..], &["--service", "4930"]].concat(), "no tariff has a rate for 4930");
    bad(
        &data,
        &["switch", "cafe", "hotspot", "--listen", "nowhere", "--service", SERVICE],
        "'nowhere' cannot be listened at",
    );
    let hotspot = Running::start(&data, &[&open[..], &["--service", SERVICE]].concat());
    assert_eq!(hotspot.said["service"], SERVICE);

    bad(&data, &["wallet", "alice", "surf", "--at", "cafe", "--yes"], "holds no telephone card yet");
    good(&data, &["wallet", "alice", "install", &number]);
    // Nobody is there to agree.
    bad(&data, &["wallet", "alice", "surf", "--at", "cafe"], "not agreed to, and nothing was paid");
    bad(&data, &["wallet", "alice", "surf", "--at", "http://127.0.0.1:9", "--yes"], "cannot be reached");
    let surfed = good(&data, &["wallet", "alice", "surf", "--at", "cafe", "--seconds", "2", "--yes"]);
    let cents = |value: &Value| value.as_str().unwrap().replace('.', "").parse::<u64>().unwrap();
    let (used, left) = (cents(&surfed["used"]), cents(&surfed["remaining"]));
    // Two seconds and a moment; each half begun is paid for.
    assert!((20..=60).contains(&used) && used % 5 == 0 && used + left == 1_000, "{surfed}");
    assert_eq!(surfed["ended"], "HungUp", "{surfed}");

    let closed = hotspot.close();
    // One that nobody agreed to, and one that was paid.
    assert_eq!((&closed["sessions"], &closed["cut"]), (&2.into(), &0.into()), "{closed}");
    // It was told to update only when asked.
    assert!(closed["waiting"].as_u64().unwrap() > 0, "{closed}");
    good(&data, &["switch", "cafe", "update"]);
    good(&data, &["wallet", "alice", "update"]);
    let calls = good(&data, &["switch", "cafe", "calls"]);
    let paid = calls["calls"].as_array().unwrap().last().unwrap();
    assert_eq!((paid["used"].as_u64(), &paid["called"]), (Some(used), &SERVICE.into()), "{calls}");
    // By trunk, as the switch counts it and as the provider pays it: through none.
    let by_trunk = good(&data, &["switch", "cafe", "calls", "--by-trunk"])["trunks"][0].clone();
    assert_eq!((&by_trunk["trunk"], &by_trunk["answered"]), (&Value::Null, &1.into()), "{by_trunk}");
    let trunks = good(&data, &["provider", "trunks"]);
    let paid = &trunks["trunks"][0];
    assert_eq!(
        (cents(&paid["used"]), &paid["calls"], &paid["operator"]),
        (used, &1.into(), &owner.as_str().into()),
        "{trunks}"
    );
    let statement = good(&data, &["merchant", "cafe", "statement"]);
    assert_eq!(cents(&statement["payable"][0]["amount"]), used, "{statement}");
    assert_eq!(good(&data, &["audit"])["clean"], true);

    // Stopped while somebody is on the way: that one pays until then and is told, and nobody has to think of the records.
    let open = ["switch", "cafe", "hotspot", "--listen", "127.0.0.1:0", "--update-every", "3600", "--service", SERVICE];
    let hotspot = Running::start(&data, &open);
    let surf = ["wallet", "alice", "surf", "--at", "cafe", "--yes"];
    let mut surfing = tegata(&data).args(surf).stdout(Stdio::piped()).spawn().unwrap();
    let (mut heard, mut out) = (String::new(), BufReader::new(surfing.stdout.take().unwrap()));
    out.read_line(&mut heard).unwrap();
    assert!(heard.contains("asks for"), "{heard}");
    out.read_line(&mut heard).unwrap();
    assert!(heard.contains("The way is open"), "{heard}");
    let closed = hotspot.close();
    assert_eq!(
        (&closed["sessions"], &closed["cut"], &closed["waiting"]),
        (&1.into(), &0.into(), &0.into()),
        "{closed}"
    );
    out.read_to_string(&mut heard).unwrap();
    assert!(surfing.wait().unwrap().success() && heard.contains("It ended since the hotspot was stopped"), "{heard}");
    good(&data, &["wallet", "alice", "update"]);
    assert_eq!(good(&data, &["audit"])["clean"], true);
}

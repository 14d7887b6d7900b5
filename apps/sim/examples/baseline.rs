//! How many of 200 seeds fail under a mix of one misfortune, with no rule broken.
use tegata_sim::{Mix, Options, run_many};

fn main() {
    for (name, mix) in [
        ("terminal cheats", Mix { terminal_cheats: 400, ..Mix::CALM }),
        ("wallet cheats", Mix { wallet_cheats: 200, ..Mix::CALM }),
        ("clone", Mix { clone: 80, ..Mix::CALM }),
        ("restore", Mix { restore: 60, ..Mix::CALM }),
        ("revoke", Mix { revoke: 60, ..Mix::CALM }),
        ("rollback", Mix { rollback: 60, ..Mix::CALM }),
        ("frames", Mix { frames: 400, ..Mix::CALM }),
        ("network", Mix { network: 300, ..Mix::CALM }),
        ("power", Mix { power: 300, ..Mix::CALM }),
    ] {
        let summary = run_many(0..200, &Options { mix: Some(mix), ..Options::default() }, 0, |_| {});
        let first = summary
            .failures
            .first()
            .map(|(seed, wrong)| format!("{seed}: {}", wrong.chars().take(190).collect::<String>()));
        println!("{name}: {} of 200 fail; {first:?}", summary.failures.len());
    }
}

//! Which broken rules are found within how many seeds.
use tegata_core::step::{Break, Broken};
use tegata_sim::{Options, run_many};

fn main() {
    let most: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(300);
    for which in Break::ALL {
        let options = Options { broken: Broken::only(*which), ..Options::default() };
        let mut found = None;
        let mut from = 0;
        while from < most && found.is_none() {
            let summary = run_many(from..from + 50, &options, 0, |_| {});
            found = summary.failures.into_iter().next();
            from += 50;
        }
        match found {
            Some((seed, wrong)) => {
                println!("{:?}: seed {seed}: {}", which, wrong.chars().take(150).collect::<String>().replace('\n', " "))
            }
            None => println!("{which:?}: NOT FOUND in {most}"),
        }
    }
}

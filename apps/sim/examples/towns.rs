//! Runs a range of seeds whose towns all have what is named, and not what has a minus, or tells the story of one: `towns
//! credit,buying,-letters 0 100`.
use tegata_sim::{Options, run_many, trace};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let named = arguments.next().unwrap_or_default();
    let has = |name: &str| {
        named.split(',').find_map(|part| match part.strip_prefix('-') {
            Some(part) => (part == name).then_some(false),
            None => (part == name).then_some(true),
        })
    };
    let options = Options {
        restoring: has("restoring"),
        credit: has("credit"),
        buying: has("buying"),
        refusing: has("refusing"),
        letters: has("letters"),
        settling: has("settling"),
        tickets: has("tickets"),
        giving: has("giving"),
        changing: has("changing"),
        staff: has("staff"),
        losing: has("losing"),
        booth: has("booth"),
        queue: has("queue"),
        calls: has("calls"),
        ..Options::PLAIN
    };
    let numbers: Vec<u64> = arguments.filter_map(|text| text.parse().ok()).collect();
    match numbers[..] {
        [seed] => println!("{}", trace(seed, &options)),
        [from, to] => {
            let started = std::time::Instant::now();
            let summary = run_many(from..to, &options, 0, |_| {});
            for (seed, wrong) in summary.failures.iter().take(400) {
                println!("{seed}: {wrong}");
            }
            println!(
                "{} seeds, {} failed, {} payments, {} faults, {:?}, {:?}",
                summary.seeds,
                summary.failures.len(),
                summary.payments,
                summary.faults,
                summary.figures,
                started.elapsed()
            );
        }
        _ => {}
    }
}

//! Runs a range of seeds, or tells the story of one.
use tegata_sim::{Options, run_many, trace};

fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    match arguments[..] {
        [seed] => println!("{}", trace(seed, &Options::default())),
        [from, to] => {
            let started = std::time::Instant::now();
            let summary = run_many(from..to, &Options::default(), 0, |_| {});
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

use tegata_sim::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut o = Options { tickets: Some(true), ..Options::PLAIN };
    if a.get(3).is_some_and(|x| x == "plain") {
        o.tickets = None
    }
    let (f, t): (u64, u64) = (a[1].parse().unwrap(), a[2].parse().unwrap());
    if t == 0 {
        println!("{}", trace(f, &o));
        return;
    }
    let s = run_many(f..t, &o, 2, |_| {});
    for (n, w) in &s.failures {
        println!("{n}: {}", w.chars().take(600).collect::<String>())
    }
    println!(
        "{} failures of {}, payments {}, faults {}, {:?}",
        s.failures.len(),
        s.seeds,
        s.payments,
        s.faults,
        s.figures
    );
}

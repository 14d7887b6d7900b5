//! `tegata-spec write` writes the vectors anew; `tegata-spec count` counts what is there.

use std::process::ExitCode;
use tegata_spec::{case, files, folder};

fn main() -> ExitCode {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let (mut accepted, mut refused) = (0, 0);
    for (name, cases) in files() {
        let no = cases.iter().filter(|case| case.refusal().is_some()).count();
        println!("{name}: {} accepted, {no} refused", cases.len() - no);
        (accepted, refused) = (accepted + cases.len() - no, refused + no);
        if asked == "write"
            && let Err(error) = std::fs::write(folder().join("vectors").join(name), case::to_text(&cases))
        {
            eprintln!("spec/vectors/{name} could not be written: {error}; check the folder's permissions");
            return ExitCode::FAILURE;
        }
    }
    println!("{accepted} accepted, {refused} refused");
    match asked.as_str() {
        "write" | "count" => ExitCode::SUCCESS,
        _ => {
            eprintln!("use: tegata-spec write | count");
            ExitCode::FAILURE
        }
    }
}

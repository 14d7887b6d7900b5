//! Prints the fault matrix.
use tegata_core::step::Broken;
use tegata_sim::{matrix, table};

fn main() {
    let cells = matrix(Broken::NONE);
    println!("{}", table(&cells));
    for cell in cells.iter().filter(|cell| !cell.wrong.is_empty()) {
        println!("{:?} {} {}: {:?}", cell.conversation, cell.step, cell.fault, cell.wrong);
        if std::env::args().count() > 1 {
            cell.story.iter().for_each(|line| println!("   {line}"));
        }
    }
}

//! The binary: flags and screens over the parts.
fn main() {}

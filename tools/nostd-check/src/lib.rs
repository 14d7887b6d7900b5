//! Proof that the core needs no std: a program has one panic handler, std brings one, and here is another. If
//! anything below brings std in, the compiler refuses (E0152, duplicate lang item `panic_impl`).
#![no_std]

use core::panic::PanicInfo;
pub use tegata_core as core_of_tegata;

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {}
}

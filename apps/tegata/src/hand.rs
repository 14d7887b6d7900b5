//! One wallet hands a ticket to another over a socket, with nobody else asked: what the town and the replayed evening play.

use crate::place::now;
use crate::screen::{Failure, fail};
use std::time::Duration;
use tegata_core::CardId;
use tegata_core::talk::give::{GiverNotice, ReceiverNotice};
use tegata_vault::Vault;
use tegata_wallet::{Answer, Meeting, Wallet, take_from};

/// How long the giver waits for the receiver, who is at hand.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hands it over; both people agree to one code, which is given.
pub fn over<V: Vault + Send>(giver: &mut Wallet<V>, receiver: &mut Wallet<V>, card: CardId) -> Result<String, Failure> {
    let meeting = Meeting::at("127.0.0.1:0")?;
    let address = meeting.address();
    std::thread::scope(|scope| {
        let giving = scope.spawn(move || {
            let asked = |notice: &GiverNotice| matches!(notice, GiverNotice::Consent { .. }).then_some(Answer::Agree);
            meeting.give(giver, card, PATIENCE, asked, now)
        });
        let asked = |notice: &ReceiverNotice| matches!(notice, ReceiverNotice::Consent { .. }).then_some(Answer::Agree);
        let took = take_from(receiver, address, asked, now);
        let Ok(gave) = giving.join() else { return fail("the giver stopped unexpectedly") };
        let (gave, took) = (gave?, took?);
        let said = gave.iter().find_map(|notice| match notice {
            GiverNotice::Consent { code } => Some(code.clone()),
            _ => None,
        });
        let here = took.iter().any(|notice| matches!(notice, ReceiverNotice::Taken { .. }));
        match said {
            Some(code)
                if here && gave.contains(&GiverNotice::Taken) && took.contains(&ReceiverNotice::Code(code.clone())) =>
            {
                Ok(code)
            }
            _ => fail(format!("a ticket was not handed over: {gave:?}, {took:?}")),
        }
    })
}

//! Why calls fail, as one side tells the other: statuses that say something about the callee pass, those that are about
//! the switch's own leg do not.

use crate::body::{ACCEPT, BodyError};
use crate::wire::Reply;
use rsipstack::sip::Header;

/// What the caller hears of a callee's final status.
pub(super) fn for_caller(status: u16) -> Reply {
    let (status, text) = match status {
        // Where else the callee could be reached is not what was agreed to be paid.
        300..=399 => (480, "Moved"),
        // It wants a password of the switch.
        401 | 407 => (503, "The way there is not open"),
        // About our request, not about the caller's.
        400 | 402 | 405 | 406 | 413..=417 | 420 | 421 | 423 | 481 | 489 | 493 | 494 => {
            (502, "The other side cannot take this call")
        }
        482 | 483 => (482, "The call runs in a circle"),
        487 => (480, "The call was given up"),
        known @ (403
        | 404
        | 408
        | 410
        | 433
        | 480
        | 484..=486
        | 488
        | 491
        | 500..=504
        | 513
        | 580
        | 600
        | 603
        | 604
        | 606..=608) => (known, ""),
        400..=499 => (480, ""),
        500..=599 => (500, "The other side failed"),
        _ => (603, ""),
    };
    Reply::new(status, text)
}

/// The better one to tell of two failures, by RFC 3261, 16.7: a word of the person before one of the network.
pub(super) fn rank(status: u16) -> u16 {
    match status {
        600..=699 => 0,
        486 | 480 => 1,
        401 | 407 | 408 => 4,
        400..=499 => 2,
        300..=399 => 3,
        _ => 5,
    }
}

/// Another way may serve where this one did not.
pub(super) fn is_of_the_way(status: u16) -> bool {
    matches!(status, 408 | 500..=599)
}

/// What the sender of a body hears.
pub(crate) fn of_body(error: &BodyError) -> Reply {
    match error {
        BodyError::Unsupported(_) => Reply::new(415, &error.to_string()).header(Header::Accept(ACCEPT.into())),
        BodyError::Malformed(_) => Reply::new(400, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_final_status_becomes_one_that_a_caller_may_get() {
        for status in 300..700 {
            let told = for_caller(status);
            assert!((400..700).contains(&told.status), "{status}");
            assert!(![401, 407].contains(&told.status), "{status}");
        }
        let same = [403, 404, 408, 410, 480, 484, 486, 488, 503, 600, 603, 604, 606];
        assert!(same.iter().all(|status| for_caller(*status).status == *status));
        assert!(rank(603) < rank(486) && rank(486) < rank(404) && rank(404) < rank(408) && rank(408) < rank(503));
    }
}

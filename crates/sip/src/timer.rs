//! Session timers (RFC 4028): each leg has its own, so that a phone that died is noticed whether media pass here or not.

use crate::wire::lists;
use rsipstack::sip::{HeadersExt, Request};
use std::time::{Duration, Instant};

/// What a leg has agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub interval: Duration,
    /// The switch refreshes; else the peer.
    pub ours: bool,
    /// Last refresh.
    pub since: Instant,
}

/// What is due of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Refresh,
    Expire,
}

impl Session {
    /// Next thing due, and when: a refresh at half the interval, the end a third (32 s at most) before it runs out.
    pub(crate) fn next(&self) -> (Instant, Due) {
        if self.ours {
            (self.since + self.interval / 2, Due::Refresh)
        } else {
            (self.since + self.interval - (self.interval / 3).min(Duration::from_secs(32)), Due::Expire)
        }
    }

    /// The `Session-Expires` of a request that the switch sends.
    pub(crate) fn in_request(&self) -> String {
        format!("{};refresher={}", self.interval.as_secs(), if self.ours { "uac" } else { "uas" })
    }

    /// The `Session-Expires` of an answer that the switch sends.
    pub(crate) fn in_answer(&self) -> String {
        format!("{};refresher={}", self.interval.as_secs(), if self.ours { "uas" } else { "uac" })
    }
}

/// Seconds and refresher of a `Session-Expires`.
fn read(message: &impl HeadersExt) -> Option<(Duration, Option<String>)> {
    let value = message.header_value("Session-Expires")?;
    let mut fields = value.split(';');
    let seconds: u32 = fields.next()?.trim().parse().ok()?;
    let refresher = fields.find_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim().to_ascii_lowercase())
    });
    Some((Duration::from_secs(seconds.into()), refresher))
}

/// The `Min-SE` of a message that has one.
fn shortest(message: &impl HeadersExt) -> Duration {
    let value = message.header_value("Min-SE").unwrap_or_default();
    let seconds = value.split(';').next().and_then(|seconds| seconds.trim().parse::<u32>().ok());
    Duration::from_secs(seconds.unwrap_or(0).into())
}

/// The peer wants refreshes more often than the switch does: 422 with `Min-SE`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooSmall;

/// What a request of the peer (INVITE, UPDATE) makes of its leg's timer.
pub(crate) fn asked(request: &Request, longest: Duration, least: Duration) -> Result<Session, TooSmall> {
    let knows = lists(request, "Supported", "timer") || lists(request, "Require", "timer");
    let (interval, refresher) = match read(request) {
        Some((interval, _)) if interval < least && knows => return Err(TooSmall),
        Some((interval, refresher)) => (interval.min(longest).max(shortest(request)).max(least), refresher),
        None => (longest.max(shortest(request)), None),
    };
    // A phone that can refresh and says so does; else the switch does, also for phones that know no timers.
    let ours = !(knows && refresher.as_deref() == Some("uac"));
    Ok(Session { interval, ours, since: Instant::now() })
}

/// What the peer's 2xx makes of the timer that the switch offered.
pub(crate) fn answered(response: &impl HeadersExt, offered: Duration) -> Session {
    let (interval, refresher) = read(response).unwrap_or((offered, None));
    let interval = if interval.is_zero() { offered } else { interval };
    Session { interval, ours: refresher.as_deref() != Some("uas"), since: Instant::now() }
}

/// The interval that a 422 asks for.
pub(crate) fn at_least(response: &impl HeadersExt) -> Duration {
    shortest(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const LEAST: Duration = Duration::from_secs(90);

    fn request(headers: &str) -> Request {
        let text = format!("UPDATE sip:a@b SIP/2.0\r\n{headers}\r\n\r\n");
        Request::try_from(text.as_bytes()).expect("a request")
    }

    #[test]
    fn the_side_that_can_refresh_does() {
        let cases = [
            ("Supported: timer\r\nSession-Expires: 600;refresher=uac", Ok((600, false))),
            ("Supported: timer\r\nSession-Expires: 600;refresher=uas", Ok((600, true))),
            ("Supported: 100rel, timer\r\nx: 600", Ok((600, true))),
            ("Session-Expires: 600;refresher=uac", Ok((600, true))),
            ("Supported: timer\r\nSession-Expires: 60", Err(TooSmall)),
            ("Supported: timer\r\nMin-SE: 7200", Ok((7200, true))),
            ("Session-Expires: 99999", Ok((3600, true))),
            ("Session-Expires: none", Ok((3600, true))),
            ("Subject: nothing", Ok((3600, true))),
        ];
        for (headers, expected) in cases {
            let agreed =
                asked(&request(headers), HOUR, LEAST).map(|session| (session.interval.as_secs(), session.ours));
            assert_eq!(agreed, expected, "{headers}");
        }
    }

    #[test]
    fn the_end_comes_before_the_interval_is_over() {
        let since = Instant::now();
        let at = |ours, seconds| {
            let (when, due) = Session { interval: Duration::from_secs(seconds), ours, since }.next();
            ((when - since).as_secs(), due)
        };
        assert_eq!(at(true, 1800), (900, Due::Refresh));
        assert_eq!(at(false, 1800), (1768, Due::Expire));
        assert_eq!(at(false, 90), (60, Due::Expire));
    }
}

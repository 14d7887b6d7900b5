//! Files that this process may have open, and how many of them may carry voice. A relayed call takes four; a switch that has none left hears nobody
//! over TCP any more and does not reach its provider, so that some are kept back.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sockets of a relayed call: RTP and RTCP, towards each side.
const OF_A_CALL: u64 = 4;
/// Files that voice never takes, at least: records, the provider's line, phones over TCP.
const RESERVE: u64 = 256;

/// Raises how many files this process may have open to what the system lets it; says how many these are. `None`: there is no limit.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised; it stays {:?}", limit.current);
            limit.current
        }
    }
}

/// Calls whose voice may be relayed at once by a process that may have so many files: a quarter of them is kept back, and no less than
/// [`RESERVE`].
pub(crate) fn calls(files: Option<u64>) -> usize {
    let Some(files) = files else { return usize::MAX };
    usize::try_from(files.saturating_sub(RESERVE.max(files / 4)) / OF_A_CALL).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_back() {
        for (files, relayed) in [(0, 0), (256, 0), (1_024, 192), (5_336, 1_000), (20_000, 3_750)] {
            assert_eq!(calls(Some(files)), relayed, "{files}");
        }
        assert_eq!(calls(None), usize::MAX);
    }

    #[test]
    fn the_limit_is_raised_to_what_the_system_allows() {
        let most = getrlimit(Resource::Nofile).maximum;
        assert_eq!(raise(), most);
        assert_eq!(getrlimit(Resource::Nofile).current, most);
        assert_eq!(raise(), most, "again changes nothing");
    }
}

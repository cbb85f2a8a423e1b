//! What became of a request, by what Envoy knows when it is over.
//!
//! A status alone does not say: an answer cut short and a timeout after the headers both carry 200. Bits of
//! `response.flags` as Envoy defines them (`StreamInfo::CoreResponseFlag`).

/// No healthy upstream (UH), upstream timeout (UT), local reset (LR), upstream reset (UR), connection failure (UF),
/// connection termination (UC), overflow (UO), longest duration reached (UMSDR), protocol error (UPE): the upstream's
/// answer is missing or cut short.
const NO_ANSWER: u64 = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x8_0000 | 0x80_0000;
/// Idle for too long (SI): the upstream's silence, unless the client never finished its request, which is a 408.
const IDLE: u64 = 0x1_0000;
/// Retries exhausted (URX): the last attempt may have been answered.
const RETRIES_EXHAUSTED: u64 = 0x8000;
/// Delay by fault injection (DI): the answer is the upstream's, its age is not.
const DELAYED: u64 = 0x200;
/// Abort by fault injection (FI): somebody asked for it, and no version ever saw the request.
const ABORTED: u64 = 0x400;
/// The client went away (DC).
const CLIENT_GONE: u64 = 0x4000;

/// What Envoy says of a request that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// `response.code`; none where no answer began.
    pub code: Option<u64>,
    /// `response.flags`.
    pub flags: u64,
    /// `grpc-status`, where requests may be gRPC and the answer carries one.
    pub grpc: Option<u32>,
}

/// The verdict on one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, and not with an error of the server's.
    Succeeded,
    /// Answered with an error of the server's.
    Failed,
    /// Failed without a complete answer: no connection, a reset, a timeout.
    Reset,
    /// The client gave it up before it was over.
    Abandoned,
    /// Became a connection of another kind (101).
    Upgraded,
    /// Aborted by fault injection: says nothing of any version, and counts as nothing.
    Excluded,
}

impl Ending {
    /// Whether a delay was injected, so that its age says nothing of any version.
    pub fn is_delayed(self) -> bool {
        self.flags & DELAYED != 0
    }
}

impl Outcome {
    /// Judges an ending.
    pub fn of(ending: Ending) -> Self {
        let Ending { code, flags, grpc } = ending;
        let has = |bits: u64| flags & bits != 0;
        if code == Some(101) {
            // Whatever ends such a connection, often a reset, is no error.
            return Self::Upgraded;
        }
        if has(ABORTED) {
            return Self::Excluded;
        }
        if has(CLIENT_GONE) && code.is_none() {
            // What its leaving does to the attempt at the upstream is no failure of anybody's.
            return Self::Abandoned;
        }
        if has(NO_ANSWER) || (has(IDLE) && code != Some(408)) {
            return Self::Reset;
        }
        match code {
            Some(code) if code >= 500 || has(RETRIES_EXHAUSTED) => Self::Failed,
            _ if grpc.is_some_and(is_grpc_failure) => Self::Failed,
            _ if has(CLIENT_GONE) => Self::Abandoned,
            Some(_) => Self::Succeeded,
            None => Self::Reset,
        }
    }

    /// Whether it counts as a failure.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Reset)
    }
}

/// The `grpc-status` values that are the server's fault: unknown, deadline exceeded, unimplemented, internal,
/// unavailable, data loss (OpenTelemetry's convention for servers).
fn is_grpc_failure(status: u32) -> bool {
    matches!(status, 2 | 4 | 12 | 13 | 14 | 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: Option<u64>, flags: u64) -> Outcome {
        Outcome::of(Ending { code, flags, grpc: None })
    }

    /// The rows are measurements of Envoy 1.40.
    #[test]
    fn endings_are_judged_by_code_and_flags() {
        for (name, code, flags, expected) in [
            ("answered", Some(200), 0, Outcome::Succeeded),
            ("answered with the client's error", Some(404), 0, Outcome::Succeeded),
            ("answered with the server's error", Some(500), 0, Outcome::Failed),
            ("upstream timeout", Some(504), 0x4, Outcome::Reset),
            ("connection refused", Some(503), 0x20, Outcome::Reset),
            ("reset before headers", Some(503), 0x40, Outcome::Reset),
            ("bad protocol", Some(502), 0x80_0000, Outcome::Reset),
            ("retries exhausted by resets", Some(503), 0x8040, Outcome::Reset),
            ("retries exhausted by answers", Some(503), 0x8000, Outcome::Failed),
            ("retries exhausted by refusals", Some(429), 0x8000, Outcome::Failed),
            ("no healthy upstream", Some(503), 0x2, Outcome::Reset),
            ("truncated body", Some(200), 0x80_0000, Outcome::Reset),
            ("timeout after headers", Some(200), 0x4, Outcome::Reset),
            ("client abort", None, 0x4000, Outcome::Abandoned),
            ("client abort after headers", Some(200), 0x4000, Outcome::Abandoned),
            ("refused by a filter", Some(403), 0, Outcome::Succeeded),
            ("websocket", Some(101), 0x40, Outcome::Upgraded),
            ("no answer, nobody left", None, 0, Outcome::Reset),
        ] {
            assert_eq!(outcome(code, flags), expected, "{name}");
        }
    }

    #[test]
    fn an_injected_abort_is_nobodys_and_a_delay_hides_nothing() {
        for (name, code, flags, expected) in [
            ("injected abort", Some(503), 0x400, Outcome::Excluded),
            ("injected abort, client gone", Some(503), 0x4400, Outcome::Excluded),
            ("injected delay and abort", Some(503), 0x600, Outcome::Excluded),
            ("injected delay", Some(200), 0x200, Outcome::Succeeded),
            ("injected delay, then an error", Some(500), 0x200, Outcome::Failed),
            ("injected delay, then a reset", Some(503), 0x240, Outcome::Reset),
            ("injected delay, client gone", None, 0x4200, Outcome::Abandoned),
        ] {
            assert_eq!(outcome(code, flags), expected, "{name}");
            let ending = Ending { code, flags, grpc: None };
            assert_eq!(ending.is_delayed(), flags & 0x200 != 0, "{name}");
        }
    }

    #[test]
    fn silence_is_the_upstreams_and_leaving_the_clients() {
        for (name, code, flags, expected) in [
            ("longest duration reached", Some(200), 0x8_0000, Outcome::Reset),
            ("idle after headers", Some(200), 0x1_0000, Outcome::Reset),
            ("idle before headers", Some(504), 0x1_0000, Outcome::Reset),
            ("request never finished", Some(408), 0x1_0000, Outcome::Succeeded),
            ("client gone while connecting", None, 0x4020, Outcome::Abandoned),
            ("client gone after a timeout", Some(504), 0x4004, Outcome::Reset),
        ] {
            assert_eq!(outcome(code, flags), expected, "{name}");
        }
    }

    #[test]
    fn grpc_fails_by_the_servers_fault_only() {
        let failing: Vec<u32> = (0..20)
            .filter(|status| {
                Outcome::of(Ending { code: Some(200), flags: 0, grpc: Some(*status) }).is_failure()
            })
            .collect();
        assert_eq!(failing, [2, 4, 12, 13, 14, 15]);
    }

    #[test]
    fn failures_are_those_two() {
        assert!(Outcome::Failed.is_failure() && Outcome::Reset.is_failure());
        let others = [Outcome::Succeeded, Outcome::Abandoned, Outcome::Upgraded, Outcome::Excluded];
        assert!(!others.iter().any(|fine| fine.is_failure()));
    }
}

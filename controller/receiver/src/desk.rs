//! Who may report, and what becomes of a report.

use hyper::StatusCode;
use serin_route::Report;
use tokio::time::Instant;

use crate::Peer;

/// Decides on reports. It is asked by many connections at once, and must not wait for anybody.
pub trait Desk: Send + Sync + 'static {
    /// What a token entitles to.
    type Pass: Send;

    /// By the token alone, before anything is read of the report.
    fn admit(&self, token: Option<&str>) -> Result<Self::Pass, Denial>;

    /// A report, whole. Once this has agreed, its sender forgets what it has counted.
    fn take(&self, pass: Self::Pass, arrival: Arrival) -> Result<(), Denial>;

    /// A request was answered, whatever it was.
    fn answered(&self, _status: StatusCode) {}
}

/// A report, and what is known of its coming.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When its last byte came.
    pub at: Instant,
    /// Who sent it, where a proxy of ours in front of us knows.
    pub peer: Option<Peer>,
    /// The report.
    pub report: Report,
}

/// Why a report is not taken; its sender sends the same counts again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
}

impl Denial {
    /// 401: nobody knows the token.
    pub fn stranger(why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, why)
    }

    /// 403: the sender is known, and may not say this.
    pub fn forbidden(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, why)
    }

    /// 503: not now, or not here.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why)
    }

    pub(crate) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

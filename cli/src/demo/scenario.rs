//! The releases of the demo: what the new version does wrong, and how its release should end.

use std::time::Duration;

use super::app::Fault;
use crate::local::Ending;

/// A release of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Nothing is wrong.
    Healthy,
    /// 30 % of requests fail.
    Errors,
    /// Every answer takes 300 ms longer.
    Slow,
}

impl Scenario {
    /// Its name in the summary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Errors => "errors",
            Self::Slow => "slow",
        }
    }

    /// What is wrong with the new version, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Healthy => "nothing is wrong with it",
            Self::Errors => "30 % of its requests fail",
            Self::Slow => "its answers take 300 ms longer",
        }
    }

    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::Healthy => Fault::None,
            Self::Errors => Fault::Errors(0.3),
            Self::Slow => Fault::Delay(Duration::from_millis(300)),
        }
    }

    /// How the release should end.
    pub(crate) fn expected(self) -> Ending {
        match self {
            Self::Healthy => Ending::Promoted,
            Self::Errors | Self::Slow => Ending::RolledBack,
        }
    }
}

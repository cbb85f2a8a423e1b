//! The faults that all requests meet, and how they change while the app runs.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::args::TIME_MAX;
use crate::quantity::{Share, Time};

/// How many codes may alternate.
const CODES_MAX: usize = 32;

/// What requests meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// This share of requests fails.
    #[arg(long, value_name = "SHARE", default_value = "0", env = "FAULTY_FAIL")]
    pub fail: Share,
    /// With one of these statuses, each as likely.
    #[arg(
        long,
        value_name = "CODES",
        value_delimiter = ',',
        default_value = "500",
        env = "FAULTY_CODES"
    )]
    pub codes: Vec<u16>,
    /// This share of requests is not answered: the connection is closed (HTTP/2: the stream reset).
    #[arg(long, value_name = "SHARE", default_value = "0", env = "FAULTY_RESET")]
    pub reset: Share,
    /// Answers come this much later.
    #[arg(long, value_name = "TIME", default_value = "0", env = "FAULTY_DELAY")]
    pub delay: Time,
    /// The share of requests that the delay befalls.
    #[arg(long, value_name = "SHARE", default_value = "100%", env = "FAULTY_DELAY_SHARE")]
    pub delay_share: Share,
    /// Whether it is ready.
    #[arg(long, value_enum, default_value_t, env = "FAULTY_READINESS")]
    pub readiness: Readiness,
    /// The time between two changes of a readiness that flaps.
    #[arg(long, value_name = "TIME", default_value = "5s", env = "FAULTY_FLAP")]
    pub flap: Time,
    /// The faults befall /healthz and /readyz, too.
    #[arg(long, env = "FAULTY_PROBES")]
    pub probes: bool,
}

/// Whether the app is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// Once it has started, until it ends.
    #[default]
    Steady,
    /// Never.
    Never,
    /// For a while it is, for as long it is not, and so on.
    Flap,
}

impl Faults {
    /// Whether they fit together; the error says what does not.
    pub fn check(&self) -> Result<(), String> {
        if self.fail.get() + self.reset.get() > 1.0 {
            return Err(format!(
                "fail and reset: no request can meet both, so they must be at most 100% \
                 together, not {} and {}",
                self.fail, self.reset
            ));
        }
        if self.codes.is_empty() || self.codes.len() > CODES_MAX {
            let count = self.codes.len();
            return Err(format!("codes: must be 1 to {CODES_MAX} statuses, not {count}"));
        }
        for code in &self.codes {
            status(*code).map_err(|error| format!("codes: {error}"))?;
        }
        if self.delay.0 > TIME_MAX {
            let max = Time(TIME_MAX);
            return Err(format!("delay: must be at most {max}, not {}", self.delay));
        }
        if self.flap.0.as_millis() < 10 || self.flap.0 > TIME_MAX {
            let max = Time(TIME_MAX);
            return Err(format!("flap: must be from 10ms to {max}, not {}", self.flap));
        }
        Ok(())
    }

    /// With some of them changed, as `POST /faults` says.
    pub fn changed(&self, change: &[u8]) -> Result<Self, String> {
        let change: Map<String, Value> = serde_json::from_slice(change)
            .map_err(|error| format!("must be a JSON object of faults: {error}"))?;
        let Ok(Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err("these faults cannot be written".to_owned());
        };
        let mut changed = self.clone();
        for (name, value) in change {
            if !all.contains_key(&name) {
                let known = all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(format!("{name}: there is no such fault; there are {known}"));
            }
            all.insert(name.clone(), value);
            changed = serde_json::from_value(Value::Object(all.clone()))
                .map_err(|error| format!("{name}: {error}"))?;
        }
        changed.check()?;
        Ok(changed)
    }
}

/// A status that may be ordered: one that ends a request.
pub(super) fn status(code: u16) -> Result<hyper::StatusCode, String> {
    let wrong = || format!("must be a status from 200 to 599, not {code}");
    if !(200..600).contains(&code) {
        return Err(wrong());
    }
    hyper::StatusCode::from_u16(code).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn faults() -> Faults {
        crate::faulty::Args::try_parse_from(["faulty"]).unwrap().faults
    }

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let faults = faults().changed(br#"{"fail": "10%", "codes": [503, 429]}"#).unwrap();
        assert_eq!((faults.fail.get(), &faults.codes[..]), (0.1, &[503, 429][..]));
        let faults = faults.changed(br#"{"delay": "20ms", "readiness": "flap"}"#).unwrap();
        assert_eq!((faults.fail.get(), faults.delay.0.as_millis()), (0.1, 20));
        assert_eq!(faults.readiness, Readiness::Flap);
    }

    #[test]
    fn a_wrong_change_is_told_by_its_name() {
        for (change, told) in [
            ("[]", "must be a JSON object of faults: "),
            (r#"{"fial": 1}"#, "fial: there is no such fault; there are codes, delay, "),
            (r#"{"fail": 2}"#, "fail: must be a share like 5% or 0.05, from 0 to 1, not 2"),
            (r#"{"codes": []}"#, "codes: must be 1 to 32 statuses, not 0"),
            (r#"{"codes": [99]}"#, "codes: must be a status from 200 to 599, not 99"),
            (r#"{"delay": "1h"}"#, "delay: must be at most 10m, not 1h"),
            (r#"{"fail": 0.6, "reset": 0.6}"#, "fail and reset: no request can meet both"),
            (r#"{"readiness": "no"}"#, "readiness: unknown variant `no`"),
            (r#"{"flap": "0"}"#, "flap: must be from 10ms to 10m, not 0s"),
        ] {
            let error = faults().changed(change.as_bytes()).unwrap_err();
            assert!(error.starts_with(told), "{change}: {error}");
        }
    }
}

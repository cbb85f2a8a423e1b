//! Quantities as people write them, on the command line and in JSON: times like `30s`, shares like `5%` or `0.05`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use serin_api::{parse_duration, show_duration};

/// A time: `300ms`, `1m30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Duration);

/// A share of requests, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "f64")]
pub struct Share(f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl Share {
    /// None of them.
    pub const NONE: Self = Self(0.0);
    /// All of them.
    pub const ALL: Self = Self(1.0);

    /// A share, if it is one.
    pub fn new(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self(share))
        } else {
            Err(format!("must be a share like 5% or 0.05, from 0 to 1, not {share}"))
        }
    }

    /// As a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be a share like 5% or 0.05, not {text:?}");
        let (number, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent, 100.0),
            None => (text, 1.0),
        };
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        Self::new(number / scale).map_err(|_| format!("{}, from 0 to 1", wrong()))
    }
}

impl TryFrom<Written> for Share {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(number) => Self::new(number),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0 * 100.0)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text).map(Self).map_err(|error| error.to_string())
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_duration(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_or_fractions() {
        assert_eq!("5%".parse(), Share::new(0.05));
        assert_eq!("0.05".parse(), Share::new(0.05));
        assert_eq!("100%".parse(), Ok(Share::ALL));
        for wrong in ["", "5", "-1%", "101%", "NaN", "five"] {
            let told = wrong.parse::<Share>().unwrap_err();
            assert!(told.starts_with("must be a share like 5% or 0.05, not "), "{told}");
        }
    }

    #[test]
    fn json_has_both_as_people_write_them() {
        let read = |text| serde_json::from_str::<(Share, Time)>(text);
        let (share, time) = read(r#"["30%", "1m30s"]"#).unwrap();
        assert_eq!((share.get(), time.0), (0.3, Duration::from_secs(90)));
        assert_eq!(serde_json::to_string(&(share, time)).unwrap(), r#"[0.3,"1m30s"]"#);
        assert!(read("[2, \"1s\"]").unwrap_err().to_string().contains("from 0 to 1, not 2"));
        assert!(read("[0, \"1\"]").unwrap_err().to_string().contains("must name a unit"));
    }
}

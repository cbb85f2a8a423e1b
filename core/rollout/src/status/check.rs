//! What a status read from a file or an object must be before a step takes it up: what nobody's step has ever written
//! is refused with its field, rather than carried out.

use jiff::Timestamp;

use super::{Phase, Run, Status};

/// Numbers beyond are exact in no JSON reader.
const COUNT_MAX: u64 = 1 << 53;

/// A status that no step can have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsound {
    /// The field's path, as it is spelled in JSON.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

type Checked = Result<(), Unsound>;

impl Status {
    /// Whether a step can have written this, at `written` or before. The types see to the rest.
    pub fn check(&self, written: Timestamp) -> Checked {
        self.since.map_or(Ok(()), |since| past("since", since, written))?;
        match &self.run {
            Some(run) => {
                self.agrees(run)?;
                run.check(written)
            }
            None if self.phase <= Phase::Waiting => Ok(()),
            None => unsound("run", format!("is missing, while the phase is {:?}", self.phase)),
        }
    }
}

impl Status {
    fn agrees(&self, run: &Run) -> Checked {
        let analysing = matches!(self.phase, Phase::Progressing | Phase::WaitingPromotion);
        if analysing && run.is_over() {
            let (phase, stage) = (self.phase, run.stage);
            return unsound("run.stage", format!("is {stage:?}, while the phase is {phase:?}"));
        }
        Ok(())
    }
}

impl Run {
    fn check(&self, written: Timestamp) -> Checked {
        digits("run.id", &self.id, 16)?;
        digits("run.salt", &self.salt, 32)?;
        digits("run.nonce", &self.nonce, 16)?;
        if self.revision.is_empty() {
            return unsound("run.revision", "must not be empty".to_owned());
        }
        count("run.generation", self.generation)?;
        count("run.round", self.round)?;
        past("run.started", self.started, written)?;
        past("run.stepSince", self.step_since, written)?;
        self.round_since.map_or(Ok(()), |since| past("run.roundSince", since, written))?;
        if let Some(quarantine) = &self.quarantine {
            past("run.quarantine.since", quarantine.since, written)?;
            past("run.quarantine.peakAt", quarantine.peak_at, written)?;
        }
        Ok(())
    }
}

fn unsound(field: &'static str, problem: String) -> Checked {
    Err(Unsound { field, problem })
}

fn digits(field: &'static str, text: &str, digits: usize) -> Checked {
    if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    unsound(field, format!("must be {digits} hexadecimal digits"))
}

fn count(field: &'static str, count: u64) -> Checked {
    if count <= COUNT_MAX { Ok(()) } else { unsound(field, format!("must be at most {COUNT_MAX}")) }
}

fn past(field: &'static str, time: Timestamp, written: Timestamp) -> Checked {
    if time <= written {
        return Ok(());
    }
    unsound(field, format!("{time} lies after {written}, when all this was written"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stage;
    use crate::fixture::{Drill, at, plan};

    fn written() -> (Status, Timestamp) {
        let mut drill = Drill::new(plan());
        drill.pass(12);
        (drill.status.clone(), at(drill.ms))
    }

    #[test]
    fn what_steps_write_is_sound() {
        let mut drill = Drill::new(plan());
        for _ in 0..60 {
            assert_eq!(drill.status.check(at(drill.ms)), Ok(()));
            drill.pass(1);
        }
        assert_eq!(drill.status.phase, Phase::Succeeded);
    }

    #[test]
    fn what_was_mangled_is_named() {
        type Mangle = fn(&mut Run);
        let cases: [(&str, Mangle); 8] = [
            ("run.stage", |run| run.stage = Stage::Settled),
            ("run.id", |run| run.id.push('0')),
            ("run.salt", |run| run.salt.clear()),
            ("run.nonce", |run| run.nonce = "0123456789abcdeg".into()),
            ("run.revision", |run| run.revision.clear()),
            ("run.generation", |run| run.generation = u64::MAX),
            ("run.started", |run| run.started = Timestamp::MAX),
            ("run.stepSince", |run| run.step_since = Timestamp::MAX),
        ];
        for (field, mangle) in cases {
            let (mut status, at) = written();
            mangle(status.run.as_mut().unwrap());
            assert_eq!(status.check(at).unwrap_err().field, field);
        }
        let (mut status, at) = written();
        status.run = None;
        assert_eq!(status.check(at).unwrap_err().field, "run");
    }
}

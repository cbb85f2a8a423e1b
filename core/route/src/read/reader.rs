//! A cursor over JSON that collects problems instead of stopping at the first.
//!
//! What a method returns after a problem is a placeholder; whoever collects a problem throws the whole away.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::text::Text;
use crate::matcher::Patterns;
use crate::problem::{Problems, shown};

pub(super) type Object = Map<String, Value>;

/// Where the cursor stands, and what it met so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    path: Vec<Step>,
    pub(super) problems: Problems,
    pub(super) patterns: Patterns,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Field(&'static str),
    Element(usize),
}

impl Reader {
    /// Something is wrong here.
    pub(super) fn problem(&mut self, message: impl Into<String>) {
        let place = self.place();
        self.problems.push(place, message.into());
    }

    /// Where the cursor stands, as a person would write it.
    pub(super) fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            let dot = if place.is_empty() { "" } else { "." };
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Field(name) => write!(place, "{dot}{name}"),
                Step::Element(index) => write!(place, "[{index}]"),
            };
        }
        place
    }

    /// Something is wrong with a field.
    pub(super) fn problem_at(&mut self, name: &'static str, message: impl Into<String>) {
        self.path.push(Step::Field(name));
        self.problem(message);
        self.path.pop();
    }

    /// A field that must be there.
    pub(super) fn required<T: Default>(
        &mut self,
        object: &Object,
        name: &'static str,
        read: impl FnOnce(&mut Self, &Value) -> T,
    ) -> T {
        let Some(value) = present(object, name) else {
            self.problem_at(name, "is missing");
            return T::default();
        };
        self.path.push(Step::Field(name));
        let read = read(self, value);
        self.path.pop();
        read
    }

    /// A field that may be left out, or null.
    pub(super) fn optional<T: Default>(
        &mut self,
        object: &Object,
        name: &'static str,
        read: impl FnOnce(&mut Self, &Value) -> T,
    ) -> Option<T> {
        present(object, name).map(|_| self.required(object, name, read))
    }

    /// A string that must be there.
    #[inline(never)]
    pub(super) fn required_text(
        &mut self,
        object: &Object,
        name: &'static str,
        rule: &Text,
    ) -> String {
        self.required(object, name, |reader, value| reader.text(value, rule))
    }

    /// A string that may be left out.
    #[inline(never)]
    pub(super) fn optional_text(
        &mut self,
        object: &Object,
        name: &'static str,
        rule: &Text,
    ) -> Option<String> {
        present(object, name).map(|_| self.required_text(object, name, rule))
    }

    /// A whole number that must be there.
    #[inline(never)]
    pub(super) fn required_integer(
        &mut self,
        object: &Object,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> u64 {
        self.required(object, name, |reader, value| reader.integer(value, range))
    }

    /// A whole number of 32 bits that may be left out.
    #[inline(never)]
    pub(super) fn optional_u32(
        &mut self,
        object: &Object,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        let number = present(object, name).map(|_| self.required_integer(object, name, range))?;
        u32::try_from(number).ok()
    }

    /// True or false, where a field may be left out.
    #[inline(never)]
    pub(super) fn flag(&mut self, object: &Object, name: &'static str, otherwise: bool) -> bool {
        let Some(value) = present(object, name) else { return otherwise };
        value.as_bool().unwrap_or_else(|| {
            self.problem_at(name, format!("must be true or false, not {}", described(value)));
            otherwise
        })
    }

    /// An object.
    pub(super) fn object<'v>(&mut self, value: &'v Value) -> Option<&'v Object> {
        if value.as_object().is_none() {
            self.problem(format!("must be an object, not {}", described(value)));
        }
        value.as_object()
    }

    /// A list of at most `max` elements.
    pub(super) fn list<T>(
        &mut self,
        value: &Value,
        max: usize,
        mut read: impl FnMut(&mut Self, &Value) -> Option<T>,
    ) -> Vec<T> {
        let Some(elements) = value.as_array() else {
            self.problem(format!("must be a list, not {}", described(value)));
            return Vec::new();
        };
        if elements.len() > max {
            self.problem(format!("at most {max} are allowed, not {}", elements.len()));
            return Vec::new();
        }
        let mut list = Vec::with_capacity(elements.len());
        for (index, value) in elements.iter().enumerate() {
            self.path.push(Step::Element(index));
            list.extend(read(self, value));
            self.path.pop();
        }
        list
    }

    /// A whole number. It may come as a float without a fraction: Kubernetes' `Struct` knows no others.
    pub(super) fn integer(&mut self, value: &Value, range: RangeInclusive<u64>) -> u64 {
        let number = value.as_u64().or_else(|| whole(value.as_f64()?));
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return number;
        }
        let (low, high) = range.into_inner();
        let given = described(value);
        self.problem(format!("must be a whole number from {low} to {high}, not {given}"));
        low
    }

    /// A string that keeps a rule.
    pub(super) fn text(&mut self, value: &Value, rule: &Text) -> String {
        let Some(text) = value.as_str() else {
            self.problem(if rule.is_secret() {
                "must be a string".to_owned()
            } else {
                format!("must be a string, not {}", described(value))
            });
            return String::new();
        };
        if let Err(message) = rule.check(text) {
            self.problem(message);
        }
        text.to_owned()
    }

    /// One word of a few.
    pub(super) fn word<T: Copy + Default>(&mut self, value: &Value, words: &[(&str, T)]) -> T {
        let found = value.as_str().and_then(|word| words.iter().find(|(name, _)| *name == word));
        if let Some((_, meaning)) = found {
            return *meaning;
        }
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        self.problem(format!("must be one of {}, not {}", names.join(", "), described(value)));
        T::default()
    }

    /// One of several kinds: a bare word, or an object whose only field is the kind.
    pub(super) fn kind<'v>(&mut self, value: &'v Value) -> Option<(&'v str, &'v Value)> {
        match value {
            Value::String(word) => return Some((word, &Value::Null)),
            Value::Object(object) if object.len() == 1 => {
                return object.iter().next().map(|(kind, value)| (kind.as_str(), value));
            }
            Value::Object(object) => {
                self.problem(format!("must have exactly one field, not {}", object.len()));
            }
            _ => self.problem(format!("must be a word or an object, not {}", described(value))),
        }
        None
    }
}

/// Names that may occur once, and where each did.
#[derive(Debug, Default)]
pub(super) struct Unique {
    seen: BTreeMap<String, String>,
}

impl Unique {
    pub(super) fn check(&mut self, reader: &mut Reader, name: &str) {
        let place = reader.place();
        if let Some(first) = self.seen.get(name) {
            reader.problem(format!("{} is already at {first}", shown(name)));
        } else {
            self.seen.insert(name.to_owned(), place);
        }
    }
}

/// A value as a problem mentions it: small ones themselves, others by their kind.
pub(super) fn described(value: &Value) -> String {
    let kind = match value {
        Value::String(text) => return shown(text),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => return number.to_string(),
            (_, Some(number)) => return number.to_string(),
            // Printing floats would cost the module 10 KiB.
            _ => "a fraction",
        },
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::Null => "null",
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
    };
    kind.to_owned()
}

#[inline(never)]
fn present<'v>(object: &'v Object, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// The whole number that a float is, if it is one: floats hold those below 2^53 exactly.
fn whole(number: f64) -> Option<u64> {
    let exact = (0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    exact.then_some(number as u64)
}

//! Rules for the strings of a table: how long they are, and of which bytes.

use crate::problem::shown;

/// A rule for a string.
#[derive(Debug)]
pub(super) struct Text {
    min: usize,
    max: usize,
    of: fn(u8) -> bool,
    what: &'static str,
    /// Problems go to logs and reports: a secret's name the rule, and never the value.
    secret: bool,
}

impl Text {
    const fn new(min: usize, max: usize, of: fn(u8) -> bool, what: &'static str) -> Self {
        Self { min, max, of, what, secret: false }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Whether problems must not show the value.
    pub(super) fn is_secret(&self) -> bool {
        self.secret
    }

    /// Whether a string keeps the rule; the error says how it does not.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        if text.is_empty() && self.min > 0 {
            return Err("must not be empty".to_owned());
        }
        if text.len() > self.max {
            return Err(format!("at most {} bytes are allowed, not {}", self.max, text.len()));
        }
        if text.len() < self.min {
            return Err(format!("at least {} bytes are needed, not {}", self.min, text.len()));
        }
        if !text.bytes().all(self.of) {
            let rule = format!("must consist of {}", self.what);
            return Err(if self.secret { rule } else { format!("{rule}, not {}", shown(text)) });
        }
        Ok(())
    }
}

const VISIBLE: &str = "visible ASCII characters";

/// Free text for people and comparisons.
pub(super) static ANY: Text = Text::new(0, 4096, |_| true, "anything");
/// The same, not empty.
pub(super) static NAMED: Text = Text::new(1, 320, |_| true, "anything");
/// What is sent as a header's value, or as a word within one.
pub(super) static VALUE: Text = Text::new(1, 512, visible, VISIBLE);
/// A secret sent as a header's value; without one nothing is sent.
pub(super) static TOKEN: Text = Text::new(0, 4096, visible, VISIBLE).secret();
/// What steers to the canary: whoever knows it can.
pub(super) static NONCE: Text = Text::new(1, 128, visible, VISIBLE).secret();
/// A run's identity.
pub(super) static WORD: Text = Text::new(1, 128, visible, VISIBLE);
/// A scope's name.
pub(super) static SCOPE: Text = Text::new(1, 253, visible, VISIBLE);
/// A rollout's name: part of route names, where `/` ends it.
pub(super) static NAME: Text =
    Text::new(1, 253, |byte| visible(byte) && byte != b'/', "visible ASCII characters without /");
/// A rollout's namespace: what follows the last dot of a route name's middle.
pub(super) static NAMESPACE: Text = Text::new(
    1,
    63,
    |byte| visible(byte) && !matches!(byte, b'/' | b'.'),
    "visible ASCII characters without / and .",
);
/// 32 hexadecimal digits.
pub(super) static SALT: Text =
    Text::new(32, 32, |it| it.is_ascii_hexdigit(), "hexadecimal digits").secret();
/// A header's name, as Envoy holds it.
pub(super) static HEADER: Text =
    Text::new(1, 256, lower_token, "the lower-case characters of a header's name");
/// A cookie's name.
pub(super) static COOKIE: Text = Text::new(1, 128, token, "the characters of a cookie's name");
/// A cookie's `Domain`.
pub(super) static DOMAIN: Text = Text::new(
    1,
    253,
    |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'),
    "letters, digits, dots and hyphens",
);
/// A cookie's `Path`.
pub(super) static COOKIE_PATH: Text =
    Text::new(1, 1024, |byte| visible(byte) && byte != b';', "visible ASCII characters without ;");
/// A pattern, before it is compiled.
pub(super) static PATTERN: Text = Text::new(0, 1024, |_| true, "anything");

fn visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// RFC 9110, section 5.6.2.
fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn lower_token(byte: u8) -> bool {
    token(byte) && !byte.is_ascii_uppercase()
}

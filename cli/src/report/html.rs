//! Text made safe for a page, and numbers as people read them.

use std::fmt::{Display, Formatter, Result};

/// Text that may hold anything, safe as content and within quotes. What XML forbids becomes U+FFFD.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        use std::fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                other if other.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A share of one as percent, with as many decimals as tell something: `0 %`, `0.04 %`, `3.1 %`, `31 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p <= 0.0 => "0 %".to_owned(),
        p if p < 0.1 => format!("{p:.2} %"),
        p if p < 9.95 && (p.round() - p).abs() > 0.04 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// Milliseconds: `0.4 ms`, `12 ms`, `340 ms`, `1.2 s`.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms if ms < 9_995.0 => format!("{} s", (ms / 100.0).round() / 10.0),
        ms => format!("{:.0} s", ms / 1000.0),
    }
}

/// Seconds: `2.1 s`, `43 s`, `3 min 20 s`, `1 h 5 min`.
pub(crate) fn seconds(s: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = s.round() as u64;
    match whole {
        0..=9 => format!("{s:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7199 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A count with thin spaces between thousands.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// E from its natural logarithm: `0.5`, `3.4`, `120`, `3.2 × 10⁴`.
pub(crate) fn evidence(ln_e: f64) -> String {
    let log10 = ln_e / std::f64::consts::LN_10;
    match log10 {
        x if x.is_nan() => "–".to_owned(),
        x if x < -2.0 => "below 0.01".to_owned(),
        x if x < 1.0 => format!("{:.1}", ln_e.exp()),
        x if x < 4.0 => count_of(ln_e.exp()),
        x => {
            let exponent = x.floor();
            format!("{:.1} × {}", 10_f64.powf(x - exponent), power_of_ten(exponent))
        }
    }
}

/// A power of ten: `0.1`, `1`, `1000`, `10⁶`.
pub(crate) fn power_of_ten(exponent: f64) -> String {
    if (-3.0..=3.0).contains(&exponent) {
        return format!("{}", 10_f64.powf(exponent));
    }
    let raised = format!("{exponent:.0}");
    let superscript = raised.chars().map(|digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => digit.to_digit(10).and_then(|n| char::from_u32(0x2070 + n)).unwrap_or(digit),
    });
    format!("10{}", superscript.collect::<String>())
}

fn count_of(value: f64) -> String {
    format!("{value:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_only_text() {
        let hostile = "<script>alert('x')</script> & \"q\" \u{0}\u{1b}[31m\u{ffff}";
        let safe = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot; \
                    \u{fffd}\u{fffd}[31m\u{fffd}";
        assert_eq!(Escaped(hostile).to_string(), safe);
    }

    #[test]
    fn numbers_have_the_decimals_that_tell_something() {
        assert_eq!(
            [0.0, 0.0004, 0.031, 0.1, 0.3, 1.0].map(percent).join(", "),
            "0 %, 0.04 %, 3.1 %, 10 %, 30 %, 100 %"
        );
        assert_eq!(
            [0.44, 12.3, 999.0, 1234.0, 60_000.0].map(milliseconds).join(", "),
            "0.4 ms, 12 ms, 999 ms, 1.2 s, 60 s"
        );
        assert_eq!(
            [2.14, 43.4, 200.0, 180.0, 3900.0 * 2.0].map(seconds).join(", "),
            "2.1 s, 43 s, 3 min 20 s, 3 min, 2 h 10 min"
        );
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count).join(", "),
            "0, 999, 1\u{202f}000, 1\u{202f}234\u{202f}567"
        );
        assert_eq!(
            [0.0, -9.0, 7.0, 10.0].map(evidence).join(", "),
            "1.0, below 0.01, 1097, 2.2 × 10⁴"
        );
        assert_eq!(
            [-1.0, 0.0, 3.0, 6.0, 12.0].map(power_of_ten).join(", "),
            "0.1, 1, 1000, 10⁶, 10¹²"
        );
    }
}

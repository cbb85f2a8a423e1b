//! Parts of a request inside its headers: cookies, query parameters, the bare path. Whatever bytes come, there is an
//! answer; nothing is allocated but for a parameter that must be decoded.

use std::borrow::Cow;

/// The value of the first cookie of that name in a `cookie` header. Quotes around it are dropped, as servers do;
/// pairs without `=` are skipped.
pub(crate) fn cookie<'h>(header: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    header.split(|byte| *byte == b';').find_map(|pair| {
        let (key, value) = split_at_byte(pair, b'=')?;
        (key.trim_ascii() == name).then(|| unquoted(value.trim_ascii()))
    })
}

/// The value of the first query parameter of that name, decoded. A parameter without `=` is there, and empty.
pub(crate) fn query<'p>(path: &'p [u8], name: &[u8]) -> Option<Cow<'p, [u8]>> {
    let (_, query) = split_at_byte(without_fragment(path), b'?')?;
    query.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).find_map(|pair| {
        let (key, value) = split_at_byte(pair, b'=').unwrap_or((pair, b""));
        (*decoded(key) == *name).then(|| decoded(value))
    })
}

/// The path without query and fragment.
pub(crate) fn bare_path(path: &[u8]) -> &[u8] {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    end.and_then(|end| path.get(..end)).unwrap_or(path)
}

fn without_fragment(path: &[u8]) -> &[u8] {
    split_at_byte(path, b'#').map_or(path, |(before, _)| before)
}

fn split_at_byte(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at.checked_add(1)?..)?))
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Percent-decoded, `+` as a space. A `%` that no two hexadecimal digits follow stands for itself.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(*first),
        }
    }
    Cow::Owned(out)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_as_browsers_send_them() {
        for (header, expected) in [
            ("id=1", Some("1")),
            ("a=b; id=1", Some("1")),
            ("a=b;id=1;c=d", Some("1")),
            ("  id = 1 ; x=y", Some("1")),
            ("id=\"quoted\"", Some("quoted")),
            ("id=\"", Some("\"")),
            ("id=a=b==", Some("a=b==")),
            ("id=", Some("")),
            ("id=1; id=2", Some("1")),
            ("id", None),
            ("xid=1", None),
            ("idx=1", None),
            ("ID=1", None),
            (";;;=;", None),
            ("", None),
        ] {
            let found = cookie(header.as_bytes(), b"id");
            assert_eq!(found, expected.map(str::as_bytes), "{header:?}");
        }
        assert_eq!(cookie(b"\xff=\x00; id=\xfe\xff", b"id"), Some(&b"\xfe\xff"[..]));
    }

    #[test]
    fn query_parameters_are_decoded_and_the_first_wins() {
        for (path, expected) in [
            ("/?a b=1", None),
            ("/?a=1", Some("1")),
            ("/x?b=2&a=1&a=3", Some("1")),
            ("/?a", Some("")),
            ("/?a=", Some("")),
            ("/?a=x=y", Some("x=y")),
            ("/?a=x%20y+z", Some("x y z")),
            ("/?%61=1", Some("1")),
            ("/?a=%2", Some("%2")),
            ("/?a=%zz%", Some("%zz%")),
            ("/?a=%25%32%30", Some("%20")),
            ("/?a=1#a=2", Some("1")),
            ("/#?a=1", None),
            ("/?&&a=1", Some("1")),
            ("/?b=1?a=2", None),
            ("/a=1", None),
            ("", None),
        ] {
            let found = query(path.as_bytes(), b"a");
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{path:?}");
        }
        assert_eq!(query(b"/?a=%ff", b"a").as_deref(), Some(&b"\xff"[..]));
        assert_eq!(query(b"/?=1", b"").as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn only_what_needs_decoding_is_copied() {
        assert!(matches!(query(b"/?a=plain", b"a"), Some(Cow::Borrowed(b"plain"))));
        assert!(matches!(query(b"/?a=pl+in", b"a"), Some(Cow::Owned(_))));
    }

    #[test]
    fn the_bare_path_ends_before_query_and_fragment() {
        for (path, expected) in
            [("/a", "/a"), ("/a?b", "/a"), ("/a#b?c", "/a"), ("?", ""), ("*", "*"), ("", "")]
        {
            assert_eq!(bare_path(path.as_bytes()), expected.as_bytes());
        }
    }
}

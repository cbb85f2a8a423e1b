//! Who sent a report, as the sidecar in front of us has verified it: Envoy's `x-forwarded-client-cert`, whose last
//! element is the connection to that sidecar. Whatever stands before it, others have claimed.

use hyper::HeaderMap;

use crate::Denial;

const HEADER: &str = "x-forwarded-client-cert";
const SPIFFE: &str = "spiffe://";

/// Whether peers are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Nobody stands before us: the header is anybody's, and nothing is read from it.
    #[default]
    Unknown,
    /// A sidecar does, which removes the header of whoever shows no certificate.
    BySidecar,
}

/// A workload of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub account: String,
}

impl Peers {
    /// Who sent a request; none in plain text.
    pub(crate) fn of(self, headers: &HeaderMap) -> Result<Option<Peer>, Denial> {
        let last = headers.get_all(HEADER).iter().next_back();
        let (Self::BySidecar, Some(value)) = (self, last) else { return Ok(None) };
        let peer = value.to_str().ok().and_then(Peer::last_in);
        peer.map(Some).ok_or_else(|| {
            Denial::forbidden(format!("{HEADER} does not end with a workload of the mesh"))
        })
    }
}

impl Peer {
    /// The last element's identity.
    fn last_in(header: &str) -> Option<Self> {
        let element = parts(header, ',').pop()?;
        let pairs = parts(element, ';').into_iter().filter_map(|pair| pair.split_once('='));
        let mut uris = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case("uri"));
        let (_, uri) = uris.next()?;
        // Several would leave open which one was verified as what.
        if uris.next().is_some() { None } else { Self::of(uri.trim().trim_matches('"')) }
    }

    /// `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    fn of(uri: &str) -> Option<Self> {
        let parts: Vec<&str> = uri.strip_prefix(SPIFFE)?.split('/').collect();
        let [_, "ns", namespace, "sa", account] = parts[..] else { return None };
        let named = !namespace.is_empty() && !account.is_empty();
        named.then(|| Self { namespace: namespace.to_owned(), account: account.to_owned() })
    }
}

/// Splits at a character that does not stand within quotes, where a backslash takes the next one along.
fn parts(text: &str, at: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let split = |c: char| {
        let here = c == at && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        here
    };
    text.split(split).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(header: &str) -> Result<Option<String>, Denial> {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), header.parse().unwrap())]);
        Ok(Peers::BySidecar
            .of(&headers)?
            .map(|peer| format!("{}/{}", peer.namespace, peer.account)))
    }

    const SHOP: &str = "By=spiffe://cluster.local/ns/serin-system/sa/serin;Hash=1f;Subject=\"\";\
                        URI=spiffe://cluster.local/ns/shop/sa/default";

    #[test]
    fn the_last_element_counts_whatever_was_claimed_before() {
        assert_eq!(read(SHOP), Ok(Some("shop/default".into())));
        let forged = format!("URI=spiffe://cluster.local/ns/bank/sa/root,{SHOP}");
        assert_eq!(read(&forged), Ok(Some("shop/default".into())));
        // A subject that looks like another element.
        let tricky = SHOP.replace("\"\"", r#""O=a\",b,URI=spiffe://c/ns/bank/sa/root;x""#);
        assert_eq!(read(&tricky), Ok(Some("shop/default".into())));
        assert_eq!(read(r#"URI="spiffe://c/ns/shop/sa/a""#), Ok(Some("shop/a".into())));
    }

    #[test]
    fn what_names_no_workload_is_refused() {
        for header in [
            "",
            "Hash=1f",
            "URI=https://elsewhere",
            "URI=spiffe://c/ns//sa/a",
            "URI=spiffe://c/ns/a/sa/b;URI=spiffe://c/ns/d/sa/e",
            "URI=spiffe://c/ns/shop/sa/a,",
        ] {
            assert!(read(header).is_err(), "{header}");
        }
    }

    #[test]
    fn without_a_sidecar_nothing_is_believed() {
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), SHOP.parse().unwrap())]);
        assert_eq!(Peers::Unknown.of(&headers), Ok(None));
        assert_eq!(Peers::BySidecar.of(&HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(text in "[ -~]{0,80}") {
            let _ = read(&text);
        }
    }
}

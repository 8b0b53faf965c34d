//! Does a certificate bear a name, by the rules of whoever asks.

use std::net::IpAddr;

use super::Cert;
use crate::model::Verifier;

/// Whether the certificate bears this name.
pub(in crate::probe) fn bears(cert: &Cert, name: &str, verifier: Verifier) -> bool {
    let alternatives = &cert.extensions.dns_names;
    let of_alternatives = || alternatives.iter().any(|pattern| matches(pattern, name, verifier));
    let of_subject = || cert.subject.common_names().any(|pattern| matches(pattern, name, verifier));
    match verifier {
        // X509_check_host(3): the CN counts only where there is no DNS name among the alternatives.
        Verifier::Openssl => {
            if alternatives.is_empty() {
                of_subject()
            } else {
                of_alternatives()
            }
        }
        Verifier::Apache => of_alternatives() || of_subject(),
        Verifier::Go => match name.parse::<IpAddr>() {
            Ok(address) => cert.extensions.addresses.contains(&address),
            Err(_) => of_alternatives(),
        },
    }
}

/// Whether a name of the certificate, perhaps with a wildcard, covers this one (RFC 6125 section 6.4).
fn matches(pattern: &str, name: &str, verifier: Verifier) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.trim_end_matches('.').to_ascii_lowercase());
    let pattern = pattern.strip_suffix('.').filter(|_| verifier == Verifier::Go).unwrap_or(&pattern);
    if pattern == name {
        return !name.is_empty();
    }
    let Some((head, tail)) = pattern.split_once('*') else { return false };
    let Some((label, rest)) = tail.split_once('.') else { return false };
    // One label, which a wildcard must be left of all others in; an address has no labels.
    if tail.contains('*') || head.contains('.') || name.parse::<IpAddr>().is_ok() {
        return false;
    }
    // Go takes whole labels only; OpenSSL parts of one, too (valid_star), but then neither IDNA nor fewer than two labels after it.
    let whole = head.is_empty() && label.is_empty();
    if verifier == Verifier::Go && !whole || verifier != Verifier::Go && !rest.contains('.') {
        return false;
    }
    let Some((first, others)) = name.split_once('.') else { return false };
    let covers = first.len() > head.len() + label.len() || whole && !first.is_empty();
    others == rest && first.starts_with(head) && first.ends_with(label) && covers && (whole || !first.starts_with("xn--"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_those_of_the_library() {
        for (pattern, name, openssl, go) in [
            ("app.test", "APP.test", true, true),
            ("*.app.test", "a.app.test", true, true),
            ("*.app.test", "app.test", false, false),
            ("*.app.test", "a.b.app.test", false, false),
            ("*.test", "app.test", false, true),
            ("*", "app", false, false),
            ("w*.app.test", "www.app.test", true, false),
            ("w*w.app.test", "w.app.test", false, false),
            ("a.*.test", "a.b.test", false, false),
            ("*.0.0.1", "127.0.0.1", false, false),
            ("127.0.0.1", "127.0.0.1", true, true),
            ("", "", false, false),
            ("*.app.test", ".app.test", false, false),
        ] {
            assert_eq!(matches(pattern, name, Verifier::Openssl), openssl, "OpenSSL: {pattern} {name}");
            assert_eq!(matches(pattern, name, Verifier::Go), go, "Go: {pattern} {name}");
        }
    }
}

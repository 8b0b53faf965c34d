//! Cipher suites, and lists of them in OpenSSL's words (ciphers(1)).

/// Suites up to TLS 1.2 by OpenSSL's name and number, in its order of preference (`openssl ciphers -V ALL:@SECLEVEL=0`, with those
/// that only older builds have at the end). `true`: in the list DEFAULT of OpenSSL 1.1.1 and later.
const SUITES: &[(u16, &str, bool)] = &[
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", true),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384", true),
    (0x009f, "DHE-RSA-AES256-GCM-SHA384", true),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305", true),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", true),
    (0xccaa, "DHE-RSA-CHACHA20-POLY1305", true),
    (0xc0ad, "ECDHE-ECDSA-AES256-CCM", false),
    (0xc09f, "DHE-RSA-AES256-CCM", false),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", true),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", true),
    (0x009e, "DHE-RSA-AES128-GCM-SHA256", true),
    (0xc0ac, "ECDHE-ECDSA-AES128-CCM", false),
    (0xc09e, "DHE-RSA-AES128-CCM", false),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384", true),
    (0xc028, "ECDHE-RSA-AES256-SHA384", true),
    (0x006b, "DHE-RSA-AES256-SHA256", true),
    (0xc077, "ECDHE-RSA-CAMELLIA256-SHA384", false),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256", true),
    (0xc027, "ECDHE-RSA-AES128-SHA256", true),
    (0x0067, "DHE-RSA-AES128-SHA256", true),
    (0xc076, "ECDHE-RSA-CAMELLIA128-SHA256", false),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA", true),
    (0xc014, "ECDHE-RSA-AES256-SHA", true),
    (0x0039, "DHE-RSA-AES256-SHA", true),
    (0x0038, "DHE-DSS-AES256-SHA", false),
    (0x0088, "DHE-RSA-CAMELLIA256-SHA", false),
    (0xc009, "ECDHE-ECDSA-AES128-SHA", true),
    (0xc013, "ECDHE-RSA-AES128-SHA", true),
    (0x0033, "DHE-RSA-AES128-SHA", true),
    (0x0032, "DHE-DSS-AES128-SHA", false),
    (0x0045, "DHE-RSA-CAMELLIA128-SHA", false),
    (0x009d, "AES256-GCM-SHA384", true),
    (0xc09d, "AES256-CCM", false),
    (0x009c, "AES128-GCM-SHA256", true),
    (0xc09c, "AES128-CCM", false),
    (0x003d, "AES256-SHA256", true),
    (0x003c, "AES128-SHA256", true),
    (0x0035, "AES256-SHA", true),
    (0x0084, "CAMELLIA256-SHA", false),
    (0x002f, "AES128-SHA", true),
    (0x0041, "CAMELLIA128-SHA", false),
    (0xc019, "AECDH-AES256-SHA", false),
    (0x00a7, "ADH-AES256-GCM-SHA384", false),
    (0xc012, "ECDHE-RSA-DES-CBC3-SHA", false),
    (0xc008, "ECDHE-ECDSA-DES-CBC3-SHA", false),
    (0x0016, "DHE-RSA-DES-CBC3-SHA", false),
    (0x000a, "DES-CBC3-SHA", false),
    (0xc011, "ECDHE-RSA-RC4-SHA", false),
    (0x0005, "RC4-SHA", false),
    (0x0004, "RC4-MD5", false),
    (0x003b, "NULL-SHA256", false),
    (0x0002, "NULL-SHA", false),
];

/// Those of TLS 1.3 (RFC 8446 appendix B.4); OpenSSL offers the first three unless told otherwise.
const SUITES13: &[(u16, &str)] = &[
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
];

/// Suites of a list that are read: more are no configuration.
const TOKENS: usize = 200;

/// The name of a suite, or its number.
pub(super) fn name(number: u16) -> String {
    let old = SUITES.iter().find(|(known, ..)| *known == number).map(|(_, name, _)| *name);
    let new = || SUITES13.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    old.or_else(new).map_or_else(|| format!("suite {number:04x}"), str::to_owned)
}

/// Every suite that we know: to learn what a peer speaks at all.
pub(super) fn all() -> Vec<u16> {
    SUITES13.iter().map(|(number, _)| *number).chain(SUITES.iter().map(|(number, ..)| *number)).collect()
}

/// Of TLS 1.3, by a list of names; OpenSSL's default without one. `None`: a name that we don't know.
pub(super) fn of_tls13(list: Option<&str>) -> Option<Vec<u16>> {
    let Some(list) = list else { return Some(SUITES13.iter().take(3).map(|(number, _)| *number).collect()) };
    let number = |wanted: &str| SUITES13.iter().find(|(_, name)| *name == wanted).map(|(number, _)| *number);
    list.split(':').filter(|name| !name.is_empty()).take(TOKENS).map(number).collect()
}

/// Of a list in OpenSSL's words, or with IANA's names, as Go wants them; without one, the list DEFAULT. `None`: a word that we
/// don't know, so that nothing can be said.
pub(super) fn of_list(list: Option<&str>) -> Option<Vec<u16>> {
    let mut chosen: Vec<&(u16, &str, bool)> = Vec::new();
    let mut killed: Vec<u16> = Vec::new();
    let list = list.unwrap_or("DEFAULT");
    for token in list.split([':', ',', ' ', ';']).filter(|token| !token.is_empty()).take(TOKENS) {
        if token.starts_with('@') {
            continue;
        }
        let (sign, words) = match token.as_bytes()[0] {
            sign @ (b'!' | b'-' | b'+') => (sign, &token[1..]),
            _ => (b' ', token),
        };
        // Old builds know more names than we do: one that only takes away changes nothing for us.
        let meant = match select(words) {
            Some(meant) => meant,
            None if matches!(sign, b'!' | b'-') => Vec::new(),
            None => return None,
        };
        match sign {
            b'!' | b'-' => {
                chosen.retain(|one| !meant.contains(one));
                if sign == b'!' {
                    killed.extend(meant.iter().map(|(number, ..)| *number));
                }
            }
            b'+' => {
                let (moved, stay) = chosen.into_iter().partition::<Vec<_>, _>(|one| meant.contains(one));
                chosen = stay.into_iter().chain(moved).collect();
            }
            _ => {
                let new: Vec<_> = meant.into_iter().filter(|one| !chosen.contains(one) && !killed.contains(&one.0)).collect();
                chosen.extend(new);
            }
        }
    }
    Some(chosen.into_iter().map(|(number, ..)| *number).collect())
}

/// The suites of one element of a list: a name, a keyword, or several that all must hold.
fn select(words: &str) -> Option<Vec<&'static (u16, &'static str, bool)>> {
    let plain = iana(words);
    if let Some(one) = SUITES.iter().find(|(_, name, _)| *name == plain) {
        return Some(vec![one]);
    }
    // Names of TLS 1.3 may stand in a list, where they do nothing.
    if SUITES13.iter().any(|(_, name)| *name == words) {
        return Some(Vec::new());
    }
    let words: Vec<&str> = words.split('+').collect();
    words
        .iter()
        .all(|word| holds(word, &SUITES[0]).is_some())
        .then(|| SUITES.iter().filter(|suite| words.iter().all(|word| holds(word, suite) == Some(true))).collect())
}

/// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` in OpenSSL's words; others as they are.
fn iana(name: &str) -> String {
    let Some((keys, rest)) = name.strip_prefix("TLS_").and_then(|rest| rest.split_once("_WITH_")) else {
        return name.to_owned();
    };
    let keys = if keys == "RSA" { String::new() } else { format!("{}-", keys.replace('_', "-")) };
    let rest = rest
        .replace("AES_", "AES")
        .replace("CAMELLIA_", "CAMELLIA")
        .replace("3DES_EDE_CBC", "DES-CBC3")
        .replace("RC4_128", "RC4")
        .replace("_CBC", "")
        .replace("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305")
        .replace('_', "-");
    format!("{keys}{rest}")
}

/// Whether a keyword of ciphers(1) holds for a suite. `None`: no such keyword is known here.
fn holds(word: &str, (_, name, default): &(u16, &'static str, bool)) -> Option<bool> {
    let has = |part: &str| name.contains(part);
    let ecdhe = has("ECDHE-") || name.starts_with("AECDH-");
    let dhe = name.starts_with("DHE-") || name.starts_with("ADH-");
    let anonymous = name.starts_with("AECDH-") || name.starts_with("ADH-");
    let (ecdsa, dss) = (has("ECDSA"), has("DSS"));
    let aead = has("GCM") || has("CCM") || has("CHACHA20");
    let null = has("NULL");
    let (rc4, triple) = (has("RC4"), has("DES-CBC3"));
    let long_mac = name.ends_with("SHA256") || name.ends_with("SHA384");
    Some(match word {
        "ALL" | "COMPLEMENTOFALL" => null == (word == "COMPLEMENTOFALL"),
        "DEFAULT" => *default,
        "COMPLEMENTOFDEFAULT" => !*default && !null,
        "HIGH" => !null && !rc4 && !triple,
        "MEDIUM" => rc4 || triple,
        "LOW" | "EXP" | "EXPORT" | "EXPORT40" | "EXPORT56" | "DES" | "IDEA" | "SEED" | "PSK" | "SRP" | "kPSK" | "kECDHEPSK"
        | "kDHEPSK" | "kRSAPSK" | "aPSK" | "kSRP" | "aSRP" | "RC2" | "kDHr" | "kDHd" | "kECDHr" | "kECDHe" | "aDH" | "aECDH"
        | "KRB5" | "SSLv2" | "ARIA" | "ARIA128" | "ARIA256" | "ARIAGCM" | "GOST" | "kGOST" | "aGOST" | "FIPS_" => false,
        "eNULL" | "NULL" => null,
        "aNULL" => anonymous,
        "ADH" => name.starts_with("ADH-"),
        "AECDH" => name.starts_with("AECDH-"),
        "ECDHE" | "EECDH" => ecdhe && !anonymous,
        "kECDHE" | "kEECDH" | "ECDH" => ecdhe,
        "DHE" | "EDH" => dhe && !anonymous,
        "kDHE" | "kEDH" | "DH" => dhe,
        "kRSA" | "RSA" => !ecdhe && !dhe,
        "aRSA" => !ecdsa && !dss && !anonymous,
        "aECDSA" | "ECDSA" => ecdsa,
        "aDSS" | "DSS" => dss,
        "AES" => has("AES"),
        "AES128" => has("AES128"),
        "AES256" => has("AES256"),
        "AESGCM" => has("AES") && has("GCM"),
        "AESCCM" => has("CCM"),
        "AESCCM8" => has("CCM8"),
        "CHACHA20" => has("CHACHA20"),
        "CAMELLIA" => has("CAMELLIA"),
        "CAMELLIA128" => has("CAMELLIA128"),
        "CAMELLIA256" => has("CAMELLIA256"),
        "3DES" => triple,
        "RC4" => rc4,
        "MD5" => name.ends_with("MD5"),
        "SHA" | "SHA1" => name.ends_with("-SHA"),
        "SHA256" => name.ends_with("SHA256") && !aead,
        "SHA384" => name.ends_with("SHA384") && !aead,
        "TLSv1.2" => aead || long_mac,
        "SSLv3" | "TLSv1" | "TLSv1.0" => !aead && !long_mac,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        of_list(Some(list)).expect("known words").into_iter().map(name).collect()
    }

    #[test]
    fn lists_are_read_as_openssl_reads_them() {
        assert_eq!(names("ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA"), ["ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"]);
        assert_eq!(
            names("TLS_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
            ["AES128-SHA", "ECDHE-RSA-CHACHA20-POLY1305"]
        );
        assert_eq!(names("kRSA+AESGCM"), ["AES256-GCM-SHA384", "AES128-GCM-SHA256"]);
        assert_eq!(names("kRSA+AES:!SHA256:!SHA384:-AESGCM:!AESCCM:+AES256:@SECLEVEL=1"), ["AES128-SHA", "AES256-SHA"]);
        assert!(names("HIGH:!aNULL:!MD5").iter().all(|name| !name.starts_with('A') || name.starts_with("AES")));
        assert!(names("DEFAULT:!NOSUCH").contains(&"DHE-RSA-AES128-SHA".to_owned()));
        assert_eq!(of_list(Some("FANCY")), None, "nothing can be said of a list that we can't read");
        assert_eq!(of_list(None), of_list(Some("DEFAULT")));
    }

    /// What the host's own OpenSSL makes of the same lists, where it is installed.
    #[test]
    fn openssl_agrees() {
        for list in [
            "DEFAULT",
            "HIGH:!aNULL:!MD5",
            "ECDHE+AESGCM:DHE+AESGCM",
            "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH",
            "kRSA:!aNULL:!eNULL",
        ] {
            let asked = std::process::Command::new("openssl").args(["ciphers", "-tls1_2", list]).output();
            let Some(output) = asked.ok().filter(|output| output.status.success()) else { return };
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            // Keys by password, ARIA and short CCM tags are no part of the table: nobody configures them.
            let theirs: Vec<&str> = said
                .trim()
                .split(':')
                .filter(|name| {
                    !["PSK", "SRP", "ARIA", "CCM8", "DSS", "CAMELLIA", "TLS_", "ADH", "AECDH"]
                        .iter()
                        .any(|part| name.contains(part))
                })
                .collect();
            let ours = names(list);
            let missing: Vec<_> = theirs.iter().filter(|name| !ours.contains(&(**name).to_owned())).collect();
            assert!(missing.is_empty(), "{list}: {missing:?}");
        }
    }
}

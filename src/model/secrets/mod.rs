//! Secrets in configurations and in foreign text, replaced by stable placeholders before anything is recorded: `secret#3f2a91`. Equal secrets have equal
//! placeholders, so that it can still be seen whether one changed.
//!
//! It is better to conceal too much than too little: what follows a word that names a secret is one. To add a word: a line in [`NAMES`].

mod mask;
mod text;

pub use mask::Mask;
pub use text::{concealed, query, text};

use super::{ConfigEdit, Gateway, Route, Setting, Settings, WayBack};

/// Words in the name of a directive, header or parameter whose value is a secret. In lower case, without `-` and `_`.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "authorization",
    "credential",
    "cookie",
    "basicauth",
    "signingkey",
    "encryptionkey",
    "authkey",
    "dburl",
    "databaseurl",
    "dsn",
];
/// What names of files, realms and switches have beside those words: their values are none.
const HARMLESS: &[&str] = &["file", "path", "realm", "tokens", "cookieflags", "cookiedomain", "cookiepath"];
/// How hashes of passwords begin (crypt(5)).
const HASHES: &[&str] = &["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$7$", "$apr1$", "$argon2", "{SHA}", "{SSHA}"];

/// What placeholders begin with.
const PLACEHOLDER: &str = "secret#";

/// What is told of a secret: the same for the same text, and nothing else of it: 24 bits of FNV-1a.
fn hash(secret: &str) -> String {
    let hash = secret.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:06x}", hash >> 40)
}

/// A placeholder that is the same for the same text.
fn placeholder(secret: &str) -> String {
    format!("{PLACEHOLDER}{}", hash(secret))
}

/// Whether this is the name of something secret.
fn names_secret(word: &str) -> bool {
    let plain: String = word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    // HAProxy's `stats auth USER:PASSWORD`; `auth_basic` has a realm.
    plain == "auth" || NAMES.iter().any(|name| plain.contains(name)) && !HARMLESS.iter().any(|name| plain.contains(name))
}

/// A value without its secrets, for something of this name. `None`: it has none.
pub fn value(name: &str, value: &str) -> Option<String> {
    if names_secret(name) && !value.is_empty() {
        return Some(placeholder(value));
    }
    line(value)
}

/// The value of something of this name in foreign data (a header, an option, a field), without its secret. `None`: it has none.
pub fn value_of(name: &str, value: &str) -> Option<String> {
    let secret = text::names_secret(name) && !value.is_empty() && !value.starts_with(PLACEHOLDER);
    secret.then(|| placeholder(value))
}

/// Characters that end a word of any of the configuration languages.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '{' | '}' | ',' | '[' | ']' | '=' | ':' | '(' | ')')
}

/// A line of a configuration without its secrets. `None`: it has none.
pub fn line(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while !rest.is_empty() {
        // `https://user:password@host/`: the user information of a URL (RFC 3986 section 3.2.1).
        if let Some(after) = rest.strip_prefix("://") {
            out.push_str("://");
            let authority =
                &after[..after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ';')).unwrap_or(after.len())];
            match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?, host))) {
                Some(((user, password), host)) if !password.starts_with(PLACEHOLDER) => {
                    out.push_str(&format!("{user}:{}@{host}", placeholder(password)));
                    changed = true;
                    rest = &after[authority.len()..];
                }
                // Its placeholder would be taken for a word that names a secret.
                Some(_) => {
                    out.push_str(authority);
                    rest = &after[authority.len()..];
                }
                None => rest = after,
            }
            continue;
        }
        let length = rest.find(ends_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        if HASHES.iter().any(|begin| word.starts_with(begin)) {
            out.push_str(&placeholder(word));
            changed = true;
            rest = after;
            continue;
        }
        out.push_str(word);
        rest = after;
        if names_secret(word) {
            // All that follows on the line, but for what only ends it.
            let begin = rest.len() - rest.trim_start_matches(ends_word).len();
            let end = rest.trim_end_matches(ends_word).len();
            if begin < end {
                let secret = &rest[begin..end];
                let already = secret.starts_with(PLACEHOLDER) && !secret.contains(char::is_whitespace);
                out.push_str(&rest[..begin]);
                out.push_str(&if already { secret.to_owned() } else { placeholder(secret) });
                out.push_str(&rest[end..]);
                changed |= !already;
                rest = "";
            }
            continue;
        }
        if let Some(c) = rest.chars().next()
            && !rest.starts_with("://")
        {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    changed.then_some(out)
}

/// Replaces the secrets of a configuration's text of several lines; whether there were any.
fn replace(all: &mut String) -> bool {
    let concealed = |one: &str| line(one).or_else(|| text(one));
    if !all.lines().any(|one| concealed(one).is_some()) {
        return false;
    }
    let lines: Vec<String> = all.split('\n').map(|one| concealed(one).unwrap_or_else(|| one.to_owned())).collect();
    *all = lines.join("\n");
    true
}

/// Takes the secrets out of an edit. A way back that would write placeholders is none.
pub fn conceal_edit(edit: &mut ConfigEdit) {
    for line in &mut edit.diff {
        replace(line);
    }
    let concealed = match &mut edit.back {
        WayBack::Patch { diff, .. } => diff.iter_mut().fold(false, |any, line| replace(line) | any),
        WayBack::Write { text, .. } => replace(text),
        WayBack::AsFound | WayBack::Copy { .. } | WayBack::Remove { .. } | WayBack::Link { .. } | WayBack::None { .. } => false,
    };
    if concealed {
        edit.back = WayBack::None { why: "the text holds secrets, which are not recorded".to_owned() };
    }
}

/// Takes the secrets out of what is known of a gateway.
pub fn conceal_gateway(gateway: &mut Gateway) {
    let conceal = |name: &str, setting: &mut Setting| {
        if let Some(concealed) = value(name, &setting.value) {
            setting.value = concealed.into();
        }
    };
    // A configuration of 20,000 sites is shared by all who hold it, and copied only where something has to be taken out.
    let open = |name: &str, text: &str| value(name, text).is_some();
    let told = |settings: &Settings| settings.iter().any(|(name, setting)| open(name, &setting.value));
    let pools = gateway.pools.iter().any(|pool| told(&pool.settings));
    for pool in pools.then(|| gateway.pools.own()).into_iter().flatten() {
        pool.settings.iter_mut().for_each(|(name, setting)| conceal(name, setting));
    }
    let of_route = |route: &Route| told(&route.settings) || route.params.iter().any(|(name, text)| open(name, text));
    let sites = gateway.sites.iter().flat_map(|site| &site.routes).any(of_route);
    for route in sites.then(|| gateway.sites.own()).into_iter().flatten().flat_map(|site| &mut site.routes) {
        route.settings.iter_mut().for_each(|(name, setting)| conceal(name, setting));
        for (name, text) in &mut route.params {
            if let Some(concealed) = value(name, text) {
                *text = concealed;
            }
        }
    }
    for (_, problem) in &mut gateway.problems {
        replace(problem);
    }
    if let Some(test) = &mut gateway.test {
        replace(&mut test.message);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::FileFate;

    #[test]
    fn what_names_a_secret_is_followed_by_one() {
        for (text, secret) in [
            ("    proxy_set_header Authorization \"Basic aHVudGVyMg==\";", "aHVudGVyMg"),
            ("proxy_set_header X-Api-Key hunter2;", "hunter2"),
            ("fastcgi_param DB_PASSWORD hunter2;", "hunter2"),
            ("    user admin password $5$abc$def", "$5$abc$def"),
            ("    user admin insecure-password hunter2", "hunter2"),
            ("    stats auth admin:hunter2", "hunter2"),
            ("RequestHeader set Authorization \"Bearer hunter2\"", "hunter2"),
            ("BalancerMember ajp://10.0.0.2:8009 secret=hunter2", "hunter2"),
            ("    bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG", "Zkx19XLiW6VYouLHR5"),
            ("reverse_proxy https://bob:hunter2@10.0.0.2:8000/x", "hunter2"),
            ("{\"password\": \"hunter2\"}", "hunter2"),
            ("export APP_SECRET_TOKEN='hunter2'", "hunter2"),
            ("# old password was hunter2", "hunter2"),
            ("-  http-request set-header Cookie session=hunter2", "hunter2"),
        ] {
            let concealed = line(text).unwrap_or_else(|| panic!("nothing found in {text}"));
            assert!(!concealed.contains(secret) && concealed.contains("secret#"), "{concealed}");
            assert_eq!(line(&concealed), None, "once is enough: {concealed}");
        }
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "    auth_basic \"Staff only\";",
            "    auth_basic_user_file /etc/nginx/htpasswd;",
            "    proxy_pass http://127.0.0.1:8080;",
            "server_tokens off;",
            "    server a 10.0.0.2:8000 check",
            "ssl_certificate_key /etc/ssl/private/shop.key;",
            "http://shop.test:8080 {",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }

    #[test]
    fn equal_secrets_stay_equal_and_a_way_back_never_writes_a_placeholder() {
        let mut edit = ConfigEdit {
            kind: "nginx".to_owned(),
            config: "/c".into(),
            file: "/c".into(),
            fate: FileFate::Changed,
            modified: None,
            diff: vec!["-  set $token abc;".to_owned(), "+  set $token abc; # x".to_owned(), "   set $token abc;".to_owned()],
            left_out: 0,
            opaque: None,
            back: WayBack::Patch { diff: vec!["-password abc".to_owned()], bytes: false, to: "/c".into() },
        };
        conceal_edit(&mut edit);
        assert_eq!(edit.diff[0].get(1..), edit.diff[2].get(1..));
        assert!(edit.diff.iter().all(|line| !line.contains("abc")), "{:?}", edit.diff);
        assert_eq!(edit.back.command(), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            if let Some(concealed) = line(&text) {
                prop_assert!(concealed.contains("secret#"));
            }
        }
    }
}

//! What HAProxy's `show stat` tells of a check that failed: `check result: layer-seven STS 404`.

use super::{Carried, Dialect, Entry, trace::first_line};

/// Reads a line of it.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    // What else is shown of the server stands below it.
    statistics(first_line(carried.text).trim_end())
}

/// Results of checks that failed (doc/management.txt, section 9.1, field 36).
const CHECKS_FAILED: [&str; 10] =
    ["L4TOUT", "L4CON", "L6TOUT", "L6RSP", "L7TOUT", "L7RSP", "L7STS", "SOCKERR", "PROCERR", "PROCTOUT"];

/// `show stat`, as a table of comma-separated values, as its typed form (`S.3.1.37.check_status.1:MGP:str:L7STS`), or as somebody's
/// script shows it (`check_status: L7STS`): what a check found last. The message is `check result: layer-seven STS 404`.
fn statistics(text: &str) -> Option<Entry<'_>> {
    // Places of fields.
    const STATUS: usize = 17;
    const CHECK: usize = 36;
    let found = |result: &str, upstream: Option<String>| {
        // Numbers do not part groups, and the layer does.
        let layer = [("L4", "layer-four "), ("L6", "layer-six "), ("L7", "layer-seven ")];
        let layered = layer.iter().find_map(|(code, words)| Some(format!("{words}{}", result.strip_prefix(code)?)));
        let message = format!("check result: {}", layered.as_deref().unwrap_or(result)).into();
        Entry { dialect: Dialect::Haproxy, message, upstream: upstream.map(Into::into), ..Entry::default() }
    };
    let failed = |word: &str| CHECKS_FAILED.contains(&word.trim_start_matches("* "));
    let trimmed = text.trim_start();
    if let Some(result) = trimmed.strip_prefix("check_status: ") {
        return failed(result).then(|| found(result, None));
    }
    if let Some((_, rest)) = trimmed.split_once(".check_status.").filter(|_| trimmed.starts_with("S.")) {
        let result = rest.rsplit(':').next()?;
        return failed(result).then(|| found(result, None));
    }
    let fields: Vec<&str> = text.splitn(CHECK + 3, ',').collect();
    let (backend, server) = (*fields.first()?, *fields.get(1)?);
    let (status, check, code) = (*fields.get(STATUS)?, *fields.get(CHECK)?, *fields.get(CHECK + 1)?);
    if !status.starts_with("DOWN") || !failed(check) || backend.contains([' ', '"']) {
        return None;
    }
    let result = format!("{} {code}", check.trim_start_matches("* "));
    Some(found(result.trim_end(), Some(format!("{backend}/{server}"))))
}

/// Whether this is a line of what was made of `show stat`.
pub(super) fn is_listed(line: &str) -> bool {
    line.trim_start().starts_with("check_status: ") && statistics(line.trim_end()).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, read};

    #[test]
    fn statistics_tell_what_a_check_found() {
        let row = "shop,app1,0,0,0,1,,7,0,0,,0,,0,0,0,0,DOWN,1,1,0,1,1,32796,32796,,1,3,1,,7,,2,0,,1,L7STS,404,1,0,0,0,0,0,0";
        let entry = read(row);
        assert_eq!(
            (entry.dialect, &*entry.message, entry.upstream.as_deref()),
            (Dialect::Haproxy, "check result: layer-seven STS 404", Some("shop/app1"))
        );
        for line in ["  check_status: L7STS", "S.3.1.37.check_status.1:MGP:str:L7STS"] {
            assert_eq!(read(line).message, "check result: layer-seven STS", "{line}");
        }
        for other in [
            &row.replace("DOWN", "UP"),
            "check_status: L7OK",
            "check_status: pending",
            "S.3.1.37.check_status.1:MGP:str:L4OK",
            "a,b,c",
        ] {
            assert_ne!(read(other).dialect, Dialect::Haproxy, "{other}");
        }
    }
}

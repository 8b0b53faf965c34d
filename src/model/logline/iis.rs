//! Internet Information Services: requests, in the form of [`super::access_key`].
//!
//! - Its own access log, W3C extended format (`#Fields: date time s-ip cs-method cs-uri-stem ... sc-status sc-substatus
//!   sc-win32-status time-taken`): `502 GET iis sub=3 win32=12002`. With Application Request Routing in front of another server
//!   the substatus 3 is WinHTTP's failure, whose number is the last of the three.
//! - The log of the kernel's driver (`httperr1.log`, "Error logging in HTTP API"): `503 GET httpsys up=ShopPool reason=AppOffline`.
//!   Most of its reasons are of clients that leave or that scan.

use super::{Carried, Dialect, Entry, TimeShape, access_key::request_form, go_error::authority};

/// Fields of one line that are looked at: sites log some thirty at most.
const FIELDS: usize = 48;
/// What Windows puts around an error of its own to make an HRESULT of it (`HRESULT_FROM_WIN32`, winerror.h).
const HRESULT_WIN32: u32 = 0x8007_0000;
/// Bytes of the name of an application pool, at most (`applicationHost.config`, name of `applicationPools/add`: 64 characters).
const POOL_BYTES: usize = 64 * 4;

/// Reads a line of either log, or an event.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    if let Some(entry) = event(carried.text).or_else(|| shown_event(carried.text)).or_else(|| named(carried.text)) {
        return Some(entry);
    }
    let (time, rest) = TimeShape::W3c.leading(carried.text).or_else(|| TimeShape::Dashed.leading(carried.text))?;
    let fields: Vec<&str> = rest.strip_prefix([' ', '\t'])?.split_ascii_whitespace().take(FIELDS).collect();
    let entry = Entry { dialect: Dialect::Iis, time: Some(time), ..Entry::default() };
    driver(&fields, &entry).or_else(|| request(&fields, &entry))
}

/// An event of failed request tracing (`MODULE_SET_RESPONSE_ERROR_STATUS` of iisfreb.xsd), which tells of a request what the access log
/// does: `<Data Name="HttpStatus">502</Data> ... <Data Name="HttpSubStatus">3</Data> <Data Name="ErrorCode">2147954402</Data>`. The error
/// is a number, or words with the number in parentheses.
fn event(text: &str) -> Option<Entry<'_>> {
    let data = |name: &str| {
        let (_, rest) = text.split_once(&format!("Name=\"{name}\">")).or_else(|| text.split_once(&format!("Name='{name}'>")))?;
        Some(rest.split('<').next().unwrap_or_default().trim())
    };
    let status = status(data("HttpStatus")?)?;
    let mut form = request_form(Some(status), None);
    form.push_str(" iis");
    if status >= 500 {
        let error = data("ErrorCode").unwrap_or_default();
        let hexadecimal = error.rsplit_once("(0x").and_then(|(_, rest)| u32::from_str_radix(rest.split(')').next()?, 16).ok());
        let error = error.parse().ok().or(hexadecimal).unwrap_or(0);
        let sub: u16 = data("HttpSubStatus").and_then(|sub| sub.parse().ok()).unwrap_or(0);
        form.push_str(&format!(" sub={sub} win32={}", own_error(error)));
    }
    Some(Entry { dialect: Dialect::Iis, status: Some(status), message: form.into(), ..Entry::default() })
}

/// The same as the browser shows it (freb.xsl): `ModuleName="AspNetCoreModule", ... HttpStatus="502", HttpSubStatus="3", ErrorCode="2147954402"`.
fn shown_event(text: &str) -> Option<Entry<'_>> {
    let rest = text.get(text.find("ModuleName=\"")?..)?;
    let value = |name: &str| rest.split_once(&format!("{name}=\""))?.1.split('"').next();
    let status = status(value("HttpStatus")?).filter(|status| *status >= 500)?;
    let error = value("ErrorCode").and_then(|error| error.parse().ok()).unwrap_or(0);
    let sub: u16 = value("HttpSubStatus").and_then(|sub| sub.parse().ok()).unwrap_or(0);
    Some(of_error(status, sub, own_error(error)))
}

/// WinHTTP's errors by name (winhttp.h), as proxies on it log them: Service Fabric's says `... forward url = http://10.0.0.4:33604/x, ...
/// internal error = ERROR_WINHTTP_CANNOT_CONNECT`.
fn named(text: &str) -> Option<Entry<'_>> {
    const NAMES: [(&str, u32); 7] = [
        ("TIMEOUT", 12002),
        ("NAME_NOT_RESOLVED", 12007),
        ("CANNOT_CONNECT", 12029),
        ("CONNECTION_ERROR", 12030),
        ("INVALID_SERVER_RESPONSE", 12152),
        ("SECURE_FAILURE", 12175),
        ("HEADER_SIZE_OVERFLOW", 12182),
    ];
    let (before, rest) = text.split_once("internal error = ERROR_WINHTTP_")?;
    let name = rest.split(|c: char| !(c.is_ascii_uppercase() || c == '_')).next()?;
    let (_, error) = NAMES.iter().find(|(known, _)| *known == name)?;
    // The client's own address stands before it.
    let upstream = before.split_once("forward url = ").and_then(|(_, url)| authority(url.split([',', ' ']).next()?));
    Some(Entry { upstream, ..of_error(502, 3, *error) })
}

fn of_error<'a>(status: u16, sub: u16, error: u32) -> Entry<'a> {
    let form = format!("{} iis sub={sub} win32={error}", request_form(Some(status), None));
    Entry { dialect: Dialect::Iis, status: Some(status), message: form.into(), ..Entry::default() }
}

/// The number that Windows has for an error, of that or of the HRESULT made of it.
fn own_error(error: u32) -> u32 {
    error.checked_sub(HRESULT_WIN32).filter(|own| u16::try_from(*own).is_ok()).unwrap_or(error)
}

/// A line of the access log. Which fields there are is the administrator's choice, their order is not.
fn request<'a>(fields: &[&'a str], entry: &Entry<'a>) -> Option<Entry<'a>> {
    let is_method = |word: &str| (3..=16).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase());
    // Site, computer and address of the server may stand before it.
    let at = (0..4).find(|at| {
        fields.get(*at).is_some_and(|word| is_method(word)) && fields.get(at + 1).is_some_and(|path| path.starts_with('/'))
    })?;
    let (method, path) = (*fields.get(at)?, *fields.get(at + 1)?);
    let rest = fields.get(at + 2..)?;
    // Status, substatus, Windows' own error, and behind them bytes or the time that it took.
    let place = (0..rest.len()).find(|place| {
        let number = |word: Option<&&str>| word.is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        status(rest[*place]).is_some()
            && rest.get(place + 1).is_some_and(|sub| sub.len() <= 3)
            && (1..=3).all(|behind| number(rest.get(place + behind)))
    })?;
    let status = status(rest[place])?;
    let mut form = request_form(Some(status), Some(method));
    form.push_str(" iis");
    // Of what was served it is the client's who left.
    if status >= 500 {
        let error: u32 = rest[place + 2].parse().ok()?;
        let own = own_error(error);
        form.push_str(&format!(" sub={} win32={own}", rest[place + 1]));
    }
    // `... cs-uri-query s-port cs-username c-ip ...`
    let client = rest.get(3).filter(|word| word.parse::<std::net::IpAddr>().is_ok());
    Some(Entry {
        status: Some(status),
        message: form.into(),
        client: client.map(|client| (*client).into()),
        request: Some(format!("{method} {path}").into()),
        ..entry.clone()
    })
}

/// `c-ip c-port s-ip s-port cs-version cs-method cs-uri [streamid] sc-status s-siteid s-reason s-queuename`; `-`: there is none.
fn driver<'a>(fields: &[&'a str], entry: &Entry<'a>) -> Option<Entry<'a>> {
    let [client, client_port, _, port, version, method, _uri, .., code, site, reason, pool] = fields else { return None };
    let number = |word: &str| word == "-" || word.bytes().all(|byte| byte.is_ascii_digit());
    let word = |c: char| c.is_ascii_alphanumeric() || "_/".contains(c);
    let shaped = (11..=12).contains(&fields.len())
        && [client_port, port, site].into_iter().all(|word| number(word))
        && (*version == "-" || version.starts_with("HTTP/"))
        && (*code == "-" || status(code).is_some())
        && (1..=60).contains(&reason.len())
        && reason.chars().all(word)
        && reason.starts_with(|c: char| c.is_ascii_uppercase());
    if !shaped || client.parse::<std::net::IpAddr>().is_err() {
        return None;
    }
    let status = status(code);
    let mut form = request_form(status, Some(method).filter(|method| **method != "-").copied());
    form.push_str(" httpsys");
    let pool = Some(*pool).filter(|pool| *pool != "-" && pool.len() <= POOL_BYTES);
    if let Some(pool) = pool {
        form.push_str(&format!(" up={pool}"));
    }
    form.push_str(&format!(" reason={reason}"));
    Some(Entry { status, message: form.into(), upstream: pool.map(Into::into), client: Some((*client).into()), ..entry.clone() })
}

fn status(word: &str) -> Option<u16> {
    word.parse().ok().filter(|status| word.len() == 3 && (100..=599).contains(status))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, read};

    const FAILED: &str = "2026-03-12 09:14:02 10.1.0.4 GET /api/orders X-ARR-LOG-ID=8d0c&SERVER-STATUS=502 443 - 81.2.69.142 Mozilla/5.0+(Windows+NT+10.0) https://shop.test/ 502 3 12002 30015";
    const DRIVER: &str = "2026-03-12 09:11:31 81.2.69.17 51730 10.1.0.4 443 HTTP/2 GET /api/basket 3 503 2 AppOffline ShopPool";

    #[test]
    fn requests_of_both_logs() {
        for (line, status, form) in [
            (FAILED.to_owned(), Some(502), "502 GET iis sub=3 win32=12002"),
            // The same number as an HRESULT.
            (FAILED.replace(" 12002 ", " 2147954402 "), Some(502), "502 GET iis sub=3 win32=12002"),
            // With site and computer, with bytes.
            (
                FAILED.replace(" 10.1.0.4 ", " W3SVC2 WEB01 10.1.0.4 ").replace("12002 ", "12002 512 2048 "),
                Some(502),
                "502 GET iis sub=3 win32=12002",
            ),
            (FAILED.replace("502 3 12002 30015", "200 0 64 8120"), Some(200), "200 GET iis"),
            (DRIVER.to_owned(), Some(503), "503 GET httpsys up=ShopPool reason=AppOffline"),
            // Before there were streams.
            (DRIVER.replace("basket 3 503", "basket 503"), Some(503), "503 GET httpsys up=ShopPool reason=AppOffline"),
            (
                "2026-03-12 09:10:44 81.2.69.142 51514 10.1.0.4 443 - - - - - - Timer_ConnectionIdle -".to_owned(),
                None,
                "- - httpsys reason=Timer_ConnectionIdle",
            ),
        ] {
            let entry = read(&line);
            assert_eq!((entry.dialect, entry.status, &*entry.message), (Dialect::Iis, status, form), "{line}");
        }
        assert_eq!(read(DRIVER).upstream.as_deref(), Some("ShopPool"));
        assert_eq!(read(FAILED).client.as_deref(), Some("81.2.69.142"));
    }

    #[test]
    fn an_event_of_a_failed_request_is_told_as_in_the_access_log() {
        let text = "<EventData>\n  <Data Name=\"HttpStatus\">502</Data>\n  <Data Name=\"HttpSubStatus\">3</Data>\n  <Data Name=\"ErrorCode\">2147942413</Data>";
        assert_eq!((read(text).status, &*read(text).message), (Some(502), "502 - iis sub=3 win32=13"));
        let words = text.replace("2147942413", "The operation timed out (0x80072ee2)");
        assert_eq!(read(&words).message, "502 - iis sub=3 win32=12002");
        assert_eq!(read("<Data Name=\"HttpStatus\">200</Data>").message, "200 - iis");
        let shown = "93. | MODULE_SET_RESPONSE_ERROR_STATUSWarning | ModuleName=\"AspNetCoreModule\", Notification=\"EXECUTE_REQUEST_HANDLER\", HttpStatus=\"502\", HttpReason=\"Bad Gateway\", HttpSubStatus=\"3\", ErrorCode=\"2147954402\"";
        assert_eq!(read(shown).message, "502 - iis sub=3 win32=12002");
        let fabric = "ca41 Error while forwarding request to service: request url = https://shop.test/x, forward url = http://10.0.0.4:33604/x, response status code = 500, phase = FinishSendRequest, internal error = ERROR_WINHTTP_CANNOT_CONNECT";
        assert_eq!(
            (&*read(fabric).message, read(fabric).upstream.as_deref()),
            ("502 - iis sub=3 win32=12029", Some("10.0.0.4:33604"))
        );
    }

    #[test]
    fn lines_of_others_are_none_of_its() {
        for other in [
            "2026-03-12 09:14:02 ERROR could not GET /cart 502 3 12 5",
            "2026-03-12 09:14:02 10.1.0.4 GET /cart 502",
            "2026-03-12 09:14:02,123 - app - ERROR - x",
            "#Fields: date time s-ip cs-method",
            "",
        ] {
            assert_ne!(read(other).dialect, Dialect::Iis, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..240, noise in "\\PC{0,30}") {
            for line in [FAILED, DRIVER] {
                let text: String = line.chars().take(cut).chain(noise.chars()).collect();
                let _ = read(&text);
            }
        }
    }
}

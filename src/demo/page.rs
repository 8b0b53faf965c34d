//! The pages and headers that the gateway makes itself, as nginx writes them (`ngx_http_special_response.c`).

use jiff::Timestamp;

use super::SERVER;
use crate::sys::Clock;

/// The words of a status.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Not Allowed",
        408 => "Request Time-out",
        411 => "Length Required",
        413 => "Request Entity Too Large",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => "",
    }
}

/// An error page.
pub(super) fn page(status: u16) -> String {
    let title = format!("{status} {}", reason(status));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>{SERVER}</center>\r\n</body>\r\n</html>\r\n"
    )
}

/// A response header that the gateway makes: its own lines, and these.
pub(super) fn head(status: u16, reason: &str, more: &str) -> String {
    let now = Timestamp::from_millisecond(Clock::system().now().wall_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
    format!("HTTP/1.1 {status} {reason}\r\nServer: {SERVER}\r\nDate: {date}\r\n{more}Connection: close\r\n\r\n")
}

/// Text as a part of an HTML page.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

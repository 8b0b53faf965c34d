//! The page of `SetHandler balancer-manager` (mod_proxy_balancer): which members of its balancers Apache holds for down. It is only read:
//! what it offers to change wants parameters with its nonce, which are never sent.

use super::live::{WORDS, member, status};
use crate::model::LiveServer;

/// The members on the page. `None`: it is another page.
pub fn read(body: &str) -> Option<Vec<LiveServer>> {
    if !body.contains("Load Balancer Manager for") {
        return None;
    }
    let mut members = Vec::new();
    for part in body.split("LoadBalancer Status for ").skip(1) {
        let pool = text(part.split("</h3>").next().unwrap_or_default());
        let pool = pool.trim().trim_start_matches("balancer://").split([' ', '[']).next().unwrap_or_default().to_ascii_lowercase();
        let mut columns: Vec<String> = Vec::new();
        for row in part.split("<tr>").skip(1) {
            if row.contains("<th>") {
                columns = row.split("<th>").skip(1).map(text).collect();
                continue;
            }
            let at = |name: &str| columns.iter().position(|column| column == name);
            let (Some(url), Some(state)) = (at("Worker URL"), at("Status")) else { continue };
            let cells: Vec<String> = row.split("<td>").skip(1).map(text).collect();
            let (Some(url), Some(state)) = (cells.get(url), cells.get(state)) else { continue };
            let name: String = url.trim_end_matches('/').chars().take(WORDS).collect();
            let (health, role) = status(state);
            let busy = at("Busy").and_then(|busy| cells.get(busy)?.parse().ok()).unwrap_or(0);
            members.push(LiveServer { role, health, busy, ..member(pool.clone(), name) });
        }
    }
    Some(members)
}

/// The words of a cell, without its tags: up to where it ends.
fn text(cell: &str) -> String {
    let cell = cell.split("</td>").next().unwrap_or_default().split("</th>").next().unwrap_or_default();
    let mut out = String::new();
    let mut tag = false;
    for c in cell.chars().take(WORDS * 8) {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => out.push(c),
            _ => {}
        }
    }
    out.trim().replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Health;

    #[test]
    fn the_managers_page_is_read() {
        // Of Apache 2.4.71.
        let page = "<body><h1>Load Balancer Manager for 127.0.0.1</h1>\n\
            <h3>LoadBalancer Status for <a href=\"/bm?b=shop&amp;nonce=bd4a\">balancer://Shop</a> [p8df6fda7_shop]</h3>\n\
            <table><tr><th>MaxMembers</th><th>StickySession</th></tr>\n<tr><td>2 [2 Used]</td>\n<td> (None) </td>\n</tr></table>\n\
            <table><tr><th>Worker URL</th><th>Route</th><th>Status</th><th>Elected</th><th>Busy</th></tr>\n\
            <tr>\n<td><a href=\"/bm?b=shop&amp;w=http://127.0.0.1:8001\">http://127.0.0.1:8001</a></td><td></td><td>Init Err </td><td>1</td><td>0</td></tr>\n\
            <tr>\n<td><a href=\"/bm?b=shop\">http://127.0.0.1:8002</a></td><td></td><td>Init Ok </td><td>1</td><td>7</td></tr>\n\
            <tr>\n<td>broken";
        let members = read(page).expect("the page");
        let shown: Vec<_> = members.iter().map(|one| (one.pool.as_str(), one.name.as_str(), one.health, one.busy)).collect();
        assert_eq!(
            shown,
            [("shop", "http://127.0.0.1:8001", Health::Down, 0), ("shop", "http://127.0.0.1:8002", Health::Unchecked, 7)]
        );
        assert_eq!(read("<h1>It works!</h1>"), None);
    }
}

//! What a gateway asks somebody else before it passes a request on: no answer there is none for the client.

use super::target::Target;
use crate::model::{Route, Site};

/// The setting of a route that names a path of the same site whose answer decides whether the request is passed on at all
/// (nginx.org: ngx_http_auth_request_module).
const ASKS_BEFORE: &str = "auth_request";

/// The routes of what the gateway asks before it passes this request on.
pub fn asked<'a>(target: &Target<'a>) -> Vec<(&'a Route, &'a str)> {
    let of = |route: &&'a Route| {
        let holds = |site: &&Site| site.routes.iter().any(|known| std::ptr::eq(known, *route));
        target.gateway.sites.iter().find(holds).and_then(|site| asks(site, route))
    };
    // A large configuration has many sites, and hardly a route that asks.
    let asking = target.routes.iter().filter(|route| route.settings.contains_key(ASKS_BEFORE));
    asking.filter_map(of).collect()
}

/// Where requests of this route are shown before, with the path of that.
pub fn asks<'a>(site: &'a Site, route: &'a Route) -> Option<(&'a Route, &'a str)> {
    let path = route.settings.get(ASKS_BEFORE)?.value.as_str();
    site.route_for(path).filter(|asked| !std::ptr::eq(*asked, route)).map(|asked| (asked, path))
}

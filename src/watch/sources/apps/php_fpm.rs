//! php-fpm: each pool by itself (<https://www.php.net/manual/en/install.fpm.configuration.php>). `request_terminate_timeout` kills a
//! worker that works on one request for longer; `max_execution_time` counts the script's own time only, not what it waits.

use super::{Said, base, served};
use crate::{
    model::AppSettings,
    watch::sources::settings::{Settings, php_fpm},
};

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    settings.service.is("php-fpm").then_some(())?;
    let mut out = Vec::new();
    for section in php_fpm::all_pools(settings) {
        let Some(listen) = section.listen.as_deref() else { continue };
        let serves = served(settings, listen);
        if serves.is_empty() {
            continue;
        }
        let mut app = AppSettings { serves, ..base(settings, &format!("php-fpm pool {}", section.name)) };
        for (name, value, file, line) in &section.told {
            let said = Said::line(name, value, file, *line);
            said.note(&mut app);
            if name == "request_terminate_timeout" {
                app.request_limit = said.seconds().filter(|limit| limit.ms > 0);
            }
            if name == "user" {
                value.clone_into(&mut app.user);
            }
        }
        out.push(app);
    }
    Some(if out.is_empty() { vec![base(settings, "php-fpm")] } else { out })
}

//! What a gateway answers by itself, and by which file that is switched on: keys of what a route has for it.

/// Key in [`super::Route::settings`] of what the gateway answers by itself, with no upstream, as written: `respond 502`, `file_server`.
pub const ANSWERS: &str = "answers";

/// Key in [`super::Route::settings`] of the file that switches [`ANSWERS`] on while it is there, which is asked for with each request.
pub const ANSWERS_WHILE: &str = "answers-while";
/// Key in [`super::Route::settings`] of the file that switches [`ANSWERS`] on while it is not there.
pub const ANSWERS_WITHOUT: &str = "answers-without";
/// Key in [`super::Route::settings`]: since when the file of [`ANSWERS_WHILE`] is there, in seconds since the Unix epoch.
pub const ANSWERS_SINCE: &str = "answers-since";

/// Key in [`super::Route::settings`] of a line by which the gateway makes a failure of another answer of the upstream, as written:
/// `error_page 404 =502 /50x.html`; of a route under a condition, of answers that it alone tells: `http-response deny if { ... }`.
pub const TURNS: &str = "turns";

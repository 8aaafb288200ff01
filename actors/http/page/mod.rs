//! The page in the browser: what runs, what is wrong, and the button that helps.
//!
//! Rendered here, from the state and the tables; a browser without scripts reads and orders all the same. The scripts
//! swap what changed (`assets/page.js` asks for the page's own URL again), draw the charts, and write times in the
//! browser's zone.
//!
//! **What is shown is hostile**: names, errors, payloads and output come from anywhere. Templates escape all values but
//! those of the type [`html::Html`], which only `html.rs` makes, of numbers. There is no `|safe`, no inline script and
//! no inline style: the policy of `guard.rs` would refuse them.
//!
//! # How to add a page
//!
//! 1. A file with a handler, which takes a [`visit::Visit`] and ends with [`visit::Visit::show`]; a template beside it
//!    that begins with `{% extends "layout.html" %}` and has a block `main`; a route in [`add`], and where it stands in
//!    the navigation a line in [`frame::TABS`].
//! 2. Texts in both languages by [`language::texts`], in a file of the page's own; none is written into a template.
//! 3. Orders are [`order::Order`]s, shown by `parts::order`. Their handler takes an `Orderer` and a [`visit::Form`],
//!    gives the order, and ends with [`visit::Visit::answer`]: it leads back to where the button was, with one sentence
//!    of what was done or refused.
//! 4. Filters, searches and places in a list are in the query (`visit.get`, `visit.with`), so that a link shows the
//!    same.
//! 5. Names go into links by [`visit::Visit::link`] or [`visit::query`], never into the path: a name may be `..` or
//!    hold a slash.

mod answer;
mod assets;
mod audit;
mod audit_words;
mod bars;
mod cron;
mod cron_entry;
mod cron_texts;
mod dead;
mod dead_filter;
mod dead_letter;
mod dead_orders;
mod dead_sources;
mod dead_texts;
mod delay;
mod delay_texts;
mod format;
mod frame;
mod html;
mod language;
mod moments;
mod now;
mod now_texts;
mod order;
mod pause_periods;
mod pausing;
mod payload;
mod queue;
mod queue_texts;
mod queues;
mod resize_words;
mod rows;
mod run;
mod run_bars;
mod run_rows;
mod run_texts;
mod spark;
mod task;
#[cfg(test)]
mod tests;
mod texts;
mod trouble;
mod visit;
mod why;
mod why_answer;

use actix_web::web;

pub(super) use self::answer::refused;
pub(super) use self::visit::Place;

pub(super) fn add(routes: &mut web::ServiceConfig) {
    routes
        .route("", web::get().to(now::page))
        .route("/", web::get().to(now::page))
        .route("/queues", web::get().to(queues::page))
        .route("/queue", web::get().to(queue::page))
        .route("/queue/history", web::get().to(queue::history))
        .route("/queue/lag-check", web::post().to(queue::check_lag))
        .route("/cron", web::get().to(cron::page))
        .route("/cron/entry", web::get().to(cron_entry::page))
        .route("/delay", web::get().to(delay::page))
        .route("/task", web::get().to(task::page))
        .route("/task/order", web::post().to(task::order))
        .route("/dead", web::get().to(dead::page))
        .route("/dead/confirm", web::get().to(dead_orders::confirm))
        .route("/dead/all", web::post().to(dead_orders::all))
        .route("/dead/stop", web::post().to(dead_orders::stop))
        .route("/letter", web::get().to(dead_letter::page))
        .route("/letter/payload", web::get().to(dead_letter::payload))
        .route("/letter/headers", web::get().to(dead_letter::headers))
        .route("/letter/order", web::post().to(dead_orders::named))
        .route("/audit", web::get().to(audit::page))
        .route("/cron/run", web::post().to(run::run_now))
        .route("/run", web::get().to(run::page))
        .route("/run/end", web::post().to(run::end))
        .route("/pause", web::post().to(pausing::pause))
        .route("/resume", web::post().to(pausing::resume))
        .route("/assets/{hash}/{name}", web::get().to(assets::asset));
}

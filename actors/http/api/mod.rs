//! Runs, delayed tasks, dead letters and the audit as JSON, and orders about them.
//!
//! A list is a page of bounded size, found by reading a bounded number of rows; it shows where the next one begins.
//! An order is answered after its commit; one about all dead letters that match is answered at once and goes on. What
//! becomes of an order while the database is away, `http/ordering.rs` says.

mod answer;
mod audit;
mod cron;
mod dead;
mod dead_orders;
mod dead_progress;
mod delay;
mod shown;

use actix_web::web;

pub(super) use self::shown::Shown;

pub(super) fn add(routes: &mut web::ServiceConfig) {
    routes
        .route("/api/v1/audit", web::get().to(audit::audit))
        .route("/api/v1/cron/runs", web::get().to(cron::all_runs))
        .route("/api/v1/cron/runs/{uk}/end", web::post().to(cron::end))
        .route("/api/v1/cron/runs/{uk}/log", web::get().to(cron::log))
        .route("/api/v1/cron/{key}/runs", web::get().to(cron::runs))
        .route("/api/v1/cron/{key}/run", web::post().to(cron::run))
        .route("/api/v1/delay/tasks", web::get().to(delay::tasks))
        .route("/api/v1/delay/tasks/{id}", web::get().to(delay::task))
        .route(
            "/api/v1/delay/tasks/{id}/cancel",
            web::post().to(delay::cancel),
        )
        .route("/api/v1/delay/tasks/{id}/run", web::post().to(delay::run))
        .route("/api/v1/dead", web::get().to(dead::dead_letters))
        .route("/api/v1/dead/groups", web::get().to(dead::groups))
        .route("/api/v1/dead/orders", web::get().to(dead_progress::list))
        .route(
            "/api/v1/dead/orders/{order}",
            web::get().to(dead_progress::one),
        )
        .route(
            "/api/v1/dead/orders/{order}/stop",
            web::post().to(dead_progress::stop),
        )
        .route(
            "/api/v1/dead/replay",
            web::post().to(dead_orders::replay_all),
        )
        .route("/api/v1/dead/purge", web::post().to(dead_orders::purge_all))
        .route("/api/v1/dead/{id}", web::get().to(dead::dead_letter))
        .route(
            "/api/v1/dead/{id}/replay",
            web::post().to(dead_orders::replay),
        )
        .route(
            "/api/v1/dead/{id}/purge",
            web::post().to(dead_orders::purge),
        );
}

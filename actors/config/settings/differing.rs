//! What two readings of the settings differ in.

use super::Settings;

impl Settings {
    /// The keys of the file whose values are others, and which only a new start can take over: all but `reload_on_change`.
    /// Values that are written another way, and mean the same, differ in nothing.
    pub(crate) fn differing(&self, other: &Self) -> Vec<&'static str> {
        // Without `..`: a new key is forgotten by nobody.
        let Self {
            database,
            databases,
            redis,
            kafka,
            delayed,
            logger,
            http,
            alert,
            workers,
            lag_check_interval,
            consumer_lease,
            heartbeat_interval,
            delay_concurrency,
            misfire_grace,
            shutdown_deadline,
            cron_command,
            delay_retention,
            crontab_log_retention,
            dead_letter_retention,
            audit_retention,
            idempotency_retention,
            reload_on_change: _,
            app,
            named: _,
        } = self;
        let same = [
            ("database", *database == other.database),
            ("databases", *databases == other.databases),
            ("redis", *redis == other.redis),
            ("kafka", *kafka == other.kafka),
            ("delayed", *delayed == other.delayed),
            ("logger", *logger == other.logger),
            ("http", *http == other.http),
            ("alert", *alert == other.alert),
            ("workers", *workers == other.workers),
            (
                "lag_check_interval",
                *lag_check_interval == other.lag_check_interval,
            ),
            ("consumer_lease", *consumer_lease == other.consumer_lease),
            (
                "heartbeat_interval",
                *heartbeat_interval == other.heartbeat_interval,
            ),
            (
                "delay_concurrency",
                *delay_concurrency == other.delay_concurrency,
            ),
            ("misfire_grace", *misfire_grace == other.misfire_grace),
            (
                "shutdown_deadline",
                *shutdown_deadline == other.shutdown_deadline,
            ),
            ("cron_command", *cron_command == other.cron_command),
            ("delay_retention", *delay_retention == other.delay_retention),
            (
                "crontab_log_retention",
                *crontab_log_retention == other.crontab_log_retention,
            ),
            (
                "dead_letter_retention",
                *dead_letter_retention == other.dead_letter_retention,
            ),
            ("audit_retention", *audit_retention == other.audit_retention),
            (
                "idempotency_retention",
                *idempotency_retention == other.idempotency_retention,
            ),
            ("app", *app == other.app),
        ];
        let differing = same.into_iter().filter(|(_, is_same)| !is_same);
        differing.map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::settings_of;

    #[test]
    fn differing_settings_are_named_by_their_keys() {
        let of = |text: &str| settings_of("dev.json", text).unwrap();
        let before = of("{\"misfire_grace\": \"10s\"}");
        assert_eq!(before.differing(&of("{}")), [""; 0]);
        assert_eq!(
            before.differing(&of("{\"misfire_grace\": \"10000ms\"}")),
            [""; 0]
        );
        let after = of(
            "{\"database\": {\"url\": \"sqlite://data/b.db\"}, \"workers\": 3, \"app\": {\"a\": 1}, \"http\": {\"listen\": null}, \
              \"reload_on_change\": true}",
        );
        assert_eq!(
            before.differing(&after),
            ["database", "http", "workers", "app"]
        );
    }
}

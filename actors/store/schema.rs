//! The tables as diesel sees them. The SQL that makes them is under `migrations/`.

diesel::table! {
    crontab_log (id) {
        id -> BigInt,
        pid -> Integer,
        name -> Text,
        exec_cmd -> Text,
        params -> Text,
        result -> Text,
        status -> Text,
        start_time -> BigInt,
        end_time -> BigInt,
        cost_time -> Integer,
        #[sql_name = "partition"]
        partition_name -> Text,
        uk -> Text,
        create_time -> Nullable<Text>,
        update_time -> Nullable<Text>,
    }
}

diesel::table! {
    delay_queue_log (id) {
        id -> BigInt,
        name -> Text,
        exec_cmd -> Text,
        params -> Text,
        status -> SmallInt,
        result -> Text,
        exec_time -> BigInt,
        create_time -> Nullable<Text>,
        update_time -> Nullable<Text>,
        owner -> Text,
        fence -> BigInt,
        attempts -> Integer,
        due_ms -> Nullable<BigInt>,
        trace -> Nullable<Text>,
    }
}

diesel::table! {
    boot (owner) {
        owner -> Text,
        partition_name -> Text,
        host -> Text,
        pid -> Integer,
        state -> SmallInt,
        started_ms -> BigInt,
        heartbeat_ms -> BigInt,
        interval_ms -> BigInt,
        deaths_counted -> SmallInt,
        version -> Nullable<Text>,
    }
}

diesel::table! {
    queue_message (id) {
        id -> BigInt,
        queue -> Text,
        payload -> Binary,
        msg_key -> Nullable<Binary>,
        headers -> Nullable<Text>,
        due_ms -> BigInt,
        attempts -> Integer,
        deaths -> Integer,
        owner -> Text,
        fence -> BigInt,
        created_ms -> BigInt,
        origin -> Nullable<Text>,
    }
}

diesel::table! {
    dead_letter (id) {
        id -> BigInt,
        kind -> Text,
        source -> Text,
        name -> Text,
        exec_cmd -> Text,
        original_id -> Text,
        payload -> Binary,
        msg_key -> Nullable<Binary>,
        headers -> Nullable<Text>,
        error -> Text,
        attempts -> Integer,
        partition_name -> Text,
        first_ms -> BigInt,
        died_ms -> BigInt,
    }
}

diesel::table! {
    death (kind, source, message_id) {
        kind -> Text,
        source -> Text,
        message_id -> Text,
        attempts -> Integer,
        deaths -> Integer,
        due_ms -> BigInt,
        died_ms -> BigInt,
    }
}

diesel::table! {
    cron_entry (partition_name, entry) {
        partition_name -> Text,
        entry -> Text,
        name -> Text,
        expression -> Text,
        live -> SmallInt,
        live_since_ms -> BigInt,
        last_fire_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    cron_run (id) {
        id -> BigInt,
        partition_name -> Text,
        entry -> Text,
        scheduled_ms -> BigInt,
        uk -> Text,
        name -> Text,
        owner -> Text,
        machine -> Text,
        state -> SmallInt,
        status -> Text,
        pid -> Integer,
        start_ticks -> Nullable<BigInt>,
        timeout_ms -> BigInt,
        started_ms -> BigInt,
        ended_ms -> BigInt,
    }
}

diesel::table! {
    warning_window (id) {
        id -> Text,
        environment -> Text,
        flag -> Text,
        seconds -> BigInt,
        limit_count -> BigInt,
        started_ms -> BigInt,
        ends_ms -> BigInt,
        counted -> BigInt,
        said -> SmallInt,
        earlier -> Text,
        messages -> Text,
    }
}

diesel::table! {
    warning_notice (id) {
        id -> BigInt,
        environment -> Text,
        flag -> Text,
        seconds -> BigInt,
        limit_count -> BigInt,
        started_ms -> BigInt,
        counted -> BigInt,
        messages -> Text,
        host -> Text,
        partition_name -> Text,
        owner -> Text,
        created_ms -> BigInt,
    }
}

diesel::table! {
    warning_sender (owner) {
        owner -> Text,
        environment -> Text,
    }
}

diesel::table! {
    pause (environment, kind, name) {
        environment -> Text,
        kind -> Text,
        name -> Text,
        since_ms -> BigInt,
        until_ms -> Nullable<BigInt>,
        ordered_by -> Text,
    }
}

diesel::table! {
    audit (id) {
        id -> BigInt,
        environment -> Text,
        at_ms -> BigInt,
        ordered_by -> Text,
        action -> Text,
        target -> Text,
        result -> Text,
    }
}

diesel::table! {
    daemon_order (id) {
        id -> BigInt,
        environment -> Text,
        partition_name -> Text,
        kind -> Text,
        name -> Text,
        entry -> Text,
        uk -> Text,
        params -> Nullable<Text>,
        ordered_by -> Text,
        ordered_ms -> BigInt,
        state -> SmallInt,
        owner -> Text,
        ended_ms -> Nullable<BigInt>,
        result -> Text,
    }
}

diesel::table! {
    idempotency_key (key_name) {
        key_name -> Text,
        content -> Text,
        row_id -> Nullable<BigInt>,
        state -> SmallInt,
        owner -> Text,
        claimed_ms -> BigInt,
        created_ms -> BigInt,
    }
}

diesel::table! {
    rate_limit (name) {
        name -> Text,
        shown -> Text,
        free_us -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(boot, cron_run);
diesel::allow_tables_to_appear_in_same_query!(boot, warning_sender);

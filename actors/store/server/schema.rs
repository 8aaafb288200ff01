//! The Go project's two tables as diesel sees them on a server. Texts may be NULL where a person made the table.

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
        create_time -> Nullable<Timestamp>,
        update_time -> Nullable<Timestamp>,
    }
}

diesel::table! {
    delay_queue_log (id) {
        id -> BigInt,
        name -> Nullable<Text>,
        exec_cmd -> Nullable<Text>,
        params -> Nullable<Text>,
        status -> SmallInt,
        result -> Nullable<Text>,
        exec_time -> BigInt,
        create_time -> Nullable<Timestamp>,
        update_time -> Nullable<Timestamp>,
        owner -> Text,
        fence -> BigInt,
        attempts -> Integer,
        due_ms -> Nullable<BigInt>,
        trace -> Nullable<Text>,
    }
}

diesel::table! {
    commit_mark (writer, batch) {
        writer -> Text,
        batch -> BigInt,
        marked_ms -> BigInt,
    }
}

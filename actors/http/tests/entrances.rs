//! The port and the socket: names, the base path, connections that end.

use serde_json::Value;

use super::*;

#[actix_rt::test]
async fn unknown_names_are_not_found_and_orders_need_a_pool() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    for path in [
        "/api/v1/queues/other",
        "/api/v1/cron/other/history",
        "/other",
        "/api",
    ] {
        let (status, body) = ask!(config, Entrance::Socket, TestRequest::get().uri(path));
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert!(fault["error"].is_string());
    }
    let order = |path| TestRequest::post().uri(path);
    for (request, meant) in [
        (TestRequest::get(), "queues/quue%200"),
        (TestRequest::get(), "queues/quue%200/history"),
        (TestRequest::post(), "queues/quue%200/lag-check"),
        (TestRequest::post(), "queues/quue%200/pause"),
        (TestRequest::post(), "queues/quue%200/resume"),
        (TestRequest::get(), "cron/reprot"),
        (TestRequest::get(), "cron/reprot/history"),
        (TestRequest::get(), "cron/reprot/runs"),
        (TestRequest::post(), "cron/reprot/run"),
        (TestRequest::post(), "cron/reprot/pause"),
        (TestRequest::post(), "cron/reprot/resume"),
    ] {
        let path = format!("/api/v1/{meant}");
        let (status, body) = ask!(config, Entrance::Socket, request.uri(&path));
        let name = if meant.starts_with("queues") {
            "queue 0"
        } else {
            "report"
        };
        let why = format!("; did you mean `{name}`?");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(fault["error"].as_str().unwrap().ends_with(&why), "{fault}");
    }
    let (status, _) = ask!(
        config,
        Entrance::Socket,
        order("/api/v1/queues/other/lag-check")
    );
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = ask!(
        config,
        Entrance::Socket,
        order("/api/v1/queues/queue%200/lag-check")
    );
    assert_eq!(
        status,
        StatusCode::SERVICE_UNAVAILABLE,
        "it has not been started"
    );
    let (status, _) = ask!(
        config,
        Entrance::Port,
        order("/api/v1/queues/queue%200/lag-check")
    );
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[actix_rt::test]
async fn only_the_port_answers_below_a_base_path() {
    let db = TestDb::start();
    let settings = HttpSettings {
        base_path: "/scripts".to_owned(),
        ..HttpSettings::default()
    };
    let config = config(&db, 1, settings);
    for (entrance, path, found) in [
        (Entrance::Port, "/scripts/healthz", true),
        (Entrance::Port, "/healthz", false),
        (Entrance::Socket, "/healthz", true),
    ] {
        let (status, _) = ask!(config, entrance, TestRequest::get().uri(path));
        assert_eq!(status == StatusCode::OK, found, "{path}");
    }
}

/// What comes back on a connection on which `sent` was sent, and which is read after `read_after`.
async fn answered(
    config: &Arc<HttpConfig>,
    sent: &str,
    read_after: Duration,
) -> (Vec<u8>, Duration) {
    let begun = tokio::time::Instant::now();
    let (mut ours, theirs) = tokio::io::duplex(512);
    let theirs = std::cell::Cell::new(Some(theirs));
    let accept = async || match theirs.take() {
        Some(stream) => Ok((stream, None)),
        None => std::future::pending().await,
    };
    let stop = StopSignal::new().listen();
    let answers = serve::answer_all(config, &stop, Entrance::Socket, accept, |_| None);
    let asks = async {
        ours.write_all(sent.as_bytes()).await.unwrap();
        tokio::time::sleep(read_after).await;
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.unwrap();
        answer
    };
    tokio::select! {
        () = answers => unreachable!("it serves for ever"),
        answer = asks => (answer, begun.elapsed()),
    }
}

#[actix_rt::test]
async fn a_connection_ends_whatever_its_caller_does() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    tokio::time::pause();
    let whole = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, took) = answered(&config, whole, Duration::ZERO).await;
    assert!(
        answer.len() > 10_000 && took < Duration::from_secs(1),
        "{took:?}"
    );
    // One that reads a little too late has the whole answer, one that reads nothing has lost it.
    let (late, _) = answered(&config, whole, Duration::from_secs(55)).await;
    assert_eq!(late.len(), answer.len());
    let (lost, took) = answered(&config, whole, Duration::from_secs(61)).await;
    assert!(
        lost.len() < 1000 && took < Duration::from_secs(62),
        "{} {took:?}",
        lost.len()
    );
    // The order is answered; the body never comes.
    let half = "POST /api/v1/queues/other/lag-check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
    let (_, took) = answered(&config, half, Duration::ZERO).await;
    assert!(took < Duration::from_secs(61), "{took:?}");
}

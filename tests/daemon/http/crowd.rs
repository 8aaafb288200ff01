//! Callers that take places and give nothing: others are answered all the same.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::get;
use super::{address, world};
use crate::wait::PATIENCE;

/// More than the port has places for.
const CROWD: usize = 150;
/// Alone it takes milliseconds. Less than the daemon's patience with any of the crowd, so that none of them was waited for.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Three times the five seconds in which the head of a request must come.
const CLOSED: Duration = Duration::from_secs(15);

/// A connection on which this was sent.
fn sent(address: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

#[test]
fn callers_that_keep_their_connections_keep_nobody_out() {
    let world = world(json!({}));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let host = format!("Host: {address}\r\n");
    let asked = format!("GET /healthz HTTP/1.1\r\n{host}Connection: keep-alive\r\n\r\n");
    let half_a_head = format!("GET /healthz HTTP/1.1\r\n{host}X: y");
    let half_a_body = format!(
        "POST /api/v1/queues/work/lag-check HTTP/1.1\r\n{host}Sec-Fetch-Site: same-origin\r\nContent-Length: 100\r\n\r\nx"
    );
    let unread = format!("GET /api/v1/openapi.json HTTP/1.1\r\n{host}\r\n");
    for (what, text) in [
        ("one request and then nothing", asked.as_str()),
        ("nothing", ""),
        ("half a head", &half_a_head),
        ("half a body", &half_a_body),
        ("a request whose answer is not read", &unread),
    ] {
        let crowd: Vec<TcpStream> = (0..CROWD).map(|_| sent(&address, text)).collect();
        for path in ["/healthz", "/metrics"] {
            let begun = Instant::now();
            assert_eq!(get(&address, path).status, 200);
            let took = begun.elapsed();
            println!("{CROWD} callers that send {what}: {path} after {took:?}");
            assert!(took < AT_ONCE, "{what}: {path} after {took:?}");
        }
        drop(crowd);
    }
    daemon.stop();
}

#[test]
fn a_connection_is_closed_behind_its_answer_and_a_silent_one_after_a_while() {
    let world = world(json!({}));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let request =
        format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive\r\n\r\n");
    for text in [request.as_str(), "", "GET /hea"] {
        let begun = Instant::now();
        let mut stream = sent(&address, text);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let took = begun.elapsed();
        println!("{text:?}: closed after {took:?}");
        assert!(took < CLOSED, "{text:?}: {took:?}");
    }
    daemon.stop();
}

//! Requests as anybody could write them: a head, byte by byte, and what comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::wait::PATIENCE;

/// What came back.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(mut stream: impl Read) -> Self {
        let mut text = Vec::new();
        stream.read_to_end(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// A header by its name in small letters.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let values = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut values = values.filter(|(known, _)| *known == name);
        values
            .next()
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
            .1
    }

    /// The value of a metric.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let line = self.body.lines().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then_some(value)
        });
        line.unwrap_or_else(|| panic!("no {series} in {}", self.body))
            .parse()
            .unwrap()
    }
}

fn head(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    request(method, path, headers, "")
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let headers = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers: String = headers.collect();
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// With exactly these headers, `Host` among them or not.
pub fn ask_with(address: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(head(method, path, headers).as_bytes())
        .unwrap();
    Answer::read(stream)
}

pub fn get(address: &str, path: &str) -> Answer {
    ask_with(address, "GET", path, &[("Host", address)])
}

/// Over a socket.
pub fn ask_socket(socket: &Path, method: &str, path: &str) -> Answer {
    send_socket(socket, method, path, "")
}

/// Over a socket, with a body.
pub fn send_socket(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(request(method, path, &[("Host", "localhost")], body).as_bytes())
        .unwrap();
    Answer::read(stream)
}

//! An HTTP server that records what it is sent, and answers, delays, hangs and breaks off as a test wants.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    /// With its query.
    pub path: String,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Behaviour {
    Answer(u16, String),
    /// With one header more.
    AnswerWith(u16, &'static str, String),
    Late(Duration, Box<Behaviour>),
    /// For ever.
    Hang,
    /// In the middle of a good answer.
    BreakOff,
    /// A good answer, one byte each half second.
    Drip(String),
    /// A success whose text has no end.
    Endless,
}

impl Behaviour {
    pub fn ok(body: &str) -> Self {
        Self::Answer(200, body.to_owned())
    }
}

type Decide = dyn Fn(&Received) -> Behaviour + Send + Sync;

/// See the module's header. Ends with the test process.
#[derive(Clone)]
pub struct Recorder {
    port: u16,
    scheme: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    decide: Mutex<Arc<Decide>>,
    received: Mutex<Vec<Received>>,
    came: Condvar,
    /// Connections now, and the most that there were at once.
    open: Mutex<(usize, usize)>,
}

impl Recorder {
    /// Does so with each request.
    pub fn start(decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static) -> Self {
        Self::start_with(decide, None)
    }

    /// Over TLS, with the certificate of an authority of its own. Answers that certificate too, as PEM.
    pub fn start_tls(
        decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static,
    ) -> (Self, String) {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = rustls::crypto::ring::default_provider();
        let config = ServerConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let recorder = Self::start_with(decide, Some(Arc::new(config)));
        (recorder, made.cert.pem())
    }

    fn start_with(
        decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            decide: Mutex::new(Arc::new(decide)),
            received: Mutex::default(),
            came: Condvar::new(),
            open: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&serving), tls.clone());
                shared.opened();
                thread::spawn(move || {
                    match tls {
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            shared.serve(&mut StreamOwned::new(connection, stream));
                        }
                        None => shared.serve(&mut { stream }),
                    }
                    shared.open.lock().unwrap().0 -= 1;
                });
            }
        });
        Self {
            port,
            scheme,
            shared,
        }
    }

    /// The same answer to each request.
    pub fn answering(behaviour: Behaviour) -> Self {
        Self::start(move |_| behaviour.clone())
    }

    /// From now on.
    pub fn behave(&self, decide: impl Fn(&Received) -> Behaviour + Send + Sync + 'static) {
        *self.shared.decide.lock().unwrap() = Arc::new(decide);
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}{path}", self.scheme, self.port)
    }

    /// An address at which nothing listens.
    pub fn nobody(path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}{path}", listener.local_addr().unwrap())
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The most connections that were open at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.open.lock().unwrap().1
    }

    /// Waits until this many requests of interest have come.
    #[track_caller]
    pub fn wait_for(&self, count: usize, of_interest: impl Fn(&Received) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        let mut received = self.shared.received.lock().unwrap();
        loop {
            let all: Vec<Received> = received
                .iter()
                .filter(|r| of_interest(r))
                .cloned()
                .collect();
            if all.len() >= count {
                return all;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{count} requests did not come: {received:?}"
            );
            received = self.shared.came.wait_timeout(received, left).unwrap().0;
        }
    }
}

impl Shared {
    fn opened(&self) {
        let mut open = self.open.lock().unwrap();
        open.0 += 1;
        open.1 = open.1.max(open.0);
    }

    fn serve(&self, stream: &mut (impl Read + Write)) {
        let Some(request) = read(stream) else {
            return;
        };
        self.received.lock().unwrap().push(request.clone());
        self.came.notify_all();
        let decide = Arc::clone(&self.decide.lock().unwrap());
        act(stream, decide(&request));
        let _ = stream.flush();
    }
}

fn act(stream: &mut (impl Read + Write), behaviour: Behaviour) {
    let mut write = |status: u16, header: &str, body: &str, length: usize| {
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\n{header}content-length: {length}\r\n\r\n{body}"
        );
        let _ = stream.write_all(head.as_bytes());
    };
    match behaviour {
        Behaviour::Answer(status, body) => write(status, "", &body, body.len()),
        Behaviour::AnswerWith(status, name, value) => {
            write(status, &format!("{name}: {value}\r\n"), "", 0);
        }
        Behaviour::BreakOff => write(200, "", "{\"code\":0,\"errcode\":0,", 500),
        Behaviour::Late(delay, then) => {
            thread::sleep(delay);
            act(stream, *then);
        }
        Behaviour::Drip(body) => {
            write(200, "", "", body.len());
            for byte in body.as_bytes() {
                let sent = stream.write_all(&[*byte]).and_then(|()| stream.flush());
                if sent.is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(500));
            }
        }
        Behaviour::Endless => {
            write(200, "", "", usize::MAX / 4);
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        }
        Behaviour::Hang => {
            // Until the other side has had enough.
            let _ = stream.read(&mut [0; 1]);
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        path,
        headers,
        body,
        at: Instant::now(),
    })
}

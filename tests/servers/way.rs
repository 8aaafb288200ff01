//! A way to a server on this machine that is as slow as one wants, and may lead to another one from some moment on.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes that go on together.
const PORTION: usize = 16 * 1024;

/// See the module's header. Ends with the test process.
pub struct Way {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: AtomicU16,
    /// Of all connections together, from the server; none: as many as there are.
    bytes_per_second: Option<u32>,
    /// When the next portion may go.
    free_at: Mutex<Instant>,
    /// From the server to its clients.
    passed: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Way {
    pub fn to(server: u16) -> Self {
        Self::with(server, None)
    }

    pub fn slow(server: u16, bytes_per_second: u32) -> Self {
        Self::with(server, Some(bytes_per_second))
    }

    fn with(server: u16, bytes_per_second: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: AtomicU16::new(server),
            bytes_per_second,
            free_at: Mutex::new(Instant::now()),
            passed: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = ours.server.load(Ordering::SeqCst);
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    connect(&client, &server, &ours);
                }
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// For Redis.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Cuts all connections; new ones lead there.
    pub fn lead_to(&self, server: u16) {
        self.shared.server.store(server, Ordering::SeqCst);
        for connection in self.shared.open.lock().unwrap().drain(..) {
            // It may have ended.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Bytes that servers have sent.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

fn connect(client: &TcpStream, server: &TcpStream, shared: &Arc<Shared>) {
    // Small answers do not wait for others.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let twice = |stream: &TcpStream| (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    let ((from_client, to_client), (from_server, to_server)) = (twice(client), twice(server));
    let mut open = shared.open.lock().unwrap();
    open.extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
    drop(open);
    thread::spawn(move || pass(from_client, to_server, |_| {}));
    let shared = Arc::clone(shared);
    thread::spawn(move || pass(from_server, to_client, |bytes| shared.take_time(bytes)));
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(usize)) {
    let mut portion = vec![0; PORTION];
    while let Ok(bytes @ 1..) = from.read(&mut portion) {
        before(bytes);
        if to.write_all(&portion[..bytes]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

impl Shared {
    fn take_time(&self, bytes: usize) {
        self.passed.fetch_add(bytes as u64, Ordering::SeqCst);
        let Some(rate) = self.bytes_per_second else {
            return;
        };
        let now = Instant::now();
        let at = {
            let mut free_at = self.free_at.lock().unwrap();
            let at = now.max(*free_at);
            *free_at = at + Duration::from_secs_f64(bytes as f64 / f64::from(rate));
            *free_at
        };
        thread::sleep(at - now);
    }
}

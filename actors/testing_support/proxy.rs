//! A way to a server that can be cut at a chosen moment: before or after a word reaches the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to the next message to the server that has the word in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never gets it.
    Before,
    /// The server gets it, and its answer is lost.
    After,
}

/// See the module's header. Ends with the test process.
pub(crate) struct Proxy {
    port: u16,
    word: &'static [u8],
    armed: Arc<Mutex<Option<Cut>>>,
}

impl Proxy {
    pub(crate) fn to(port: u16, word: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let armed = Arc::new(Mutex::new(None));
        let own_port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&armed);
        thread::spawn(move || {
            for client in listener.incoming() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                pass(client.unwrap(), server, word, &shared);
            }
        });
        Self {
            port: own_port,
            word,
            armed,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Once.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.armed.lock().unwrap() = Some(cut);
    }

    /// Whether the cut is still to come.
    pub(crate) fn is_armed(&self) -> bool {
        assert!(!self.word.is_empty());
        self.armed.lock().unwrap().is_some()
    }
}

fn pass(
    client: TcpStream,
    server: TcpStream,
    word: &'static [u8],
    armed: &Arc<Mutex<Option<Cut>>>,
) {
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut from_server, mut to_client) = (server, client);
    let cut = Arc::new(Mutex::new(false));
    let answers_are_lost = Arc::clone(&cut);
    let armed = Arc::clone(armed);
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_client.read(&mut buffer) {
            let has_word = buffer[..n].windows(word.len()).any(|part| part == word);
            let now = if has_word {
                armed.lock().unwrap().take()
            } else {
                None
            };
            *cut.lock().unwrap() |= now.is_some();
            if now == Some(Cut::Before) || to_server.write_all(&buffer[..n]).is_err() {
                let _ = from_client.shutdown(Shutdown::Both);
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_server.read(&mut buffer) {
            // The server has answered: it has done what reached it.
            if *answers_are_lost.lock().unwrap() || to_client.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
        let _ = from_server.shutdown(Shutdown::Both);
    });
}

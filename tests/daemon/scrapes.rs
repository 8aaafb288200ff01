//! Somebody who reads a daemon's metrics each second while its speed is measured.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::client::ask_socket;
use crate::world::World;

const INTERVAL: Duration = Duration::from_secs(1);
/// A daemon that is scraped has at least this share of the speed of one that is not: the best runs of this machine differ by
/// as much when nothing is different.
const LEAST_SHARE: f64 = 0.9;

/// The reading, until this is dropped. Then it prints how long the answers took.
pub struct Scrapes {
    end: Option<Sender<()>>,
    reading: Option<JoinHandle<Vec<Duration>>>,
}

impl Scrapes {
    pub fn of(world: &World) -> Self {
        let socket = world.path("data/script1.sock");
        let (end, ended) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut took = Vec::new();
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                assert_eq!(ask_socket(&socket, "GET", "/metrics").status, 200);
                took.push(begun.elapsed());
            }
            took
        });
        Self {
            end: Some(end),
            reading: Some(reading),
        }
    }
}

impl Drop for Scrapes {
    fn drop(&mut self) {
        self.end = None;
        let reading = self.reading.take().filter(|_| !thread::panicking());
        let Some(reading) = reading else {
            return;
        };
        let took = reading.join().unwrap();
        let sum: Duration = took.iter().sum();
        println!(
            "{} scrapes, on average {:.1} ms, the slowest {:.1} ms",
            took.len(),
            sum.as_secs_f64() * 1000.0 / took.len().max(1) as f64,
            took.iter().max().map_or(0.0, Duration::as_secs_f64) * 1000.0
        );
    }
}

/// Of the best speeds with and without scrapes.
pub fn compare(scraped: f64, alone: f64) {
    let share = scraped / alone;
    println!("scraped each second: {share:.3} of the speed without");
    assert!(share >= LEAST_SHARE, "{share:.3}");
}

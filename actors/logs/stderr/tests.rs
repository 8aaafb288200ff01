use std::io::{PipeReader, Read};
use std::sync::mpsc;
use std::time::Instant;

use super::super::queue::CAPACITY_BYTES;
use super::*;

/// Far beyond what a test takes; reached only when it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A pipe as standard error, and news of its redirections.
fn piped() -> (Stderr, PipeReader, mpsc::Receiver<bool>) {
    let (reader, writer) = io::pipe().unwrap();
    let (sender, redirected) = mpsc::channel();
    let target = Target {
        fd: writer.into(),
        redirect: Box::new(move |stalled| sender.send(stalled).unwrap()),
    };
    (Stderr::start(target).unwrap(), reader, redirected)
}

/// Makes standard error of this process, a child of a test, a pipe that is full, and starts its writer.
pub(crate) fn with_full_stderr() -> PipeReader {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write_all(&[b'.'; 1024]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    stdio::dup2_stderr(&writer).unwrap();
    start().unwrap();
    reader
}

fn notice(dropped: u64) -> String {
    format!("dropped: {dropped}\n")
}

/// Fills pipe and queue. Answers how many lines were taken before the first that was not.
fn fill(stderr: &Stderr) -> usize {
    let line = format!("{}\n", "x".repeat(1023));
    (0..)
        .find(|_| stderr.push(&line, notice) == Pushed::Full)
        .unwrap()
}

#[test]
fn nobody_waits_for_a_pipe_that_is_not_read() {
    let (stderr, mut reader, redirected) = piped();
    let begun = Instant::now();
    let taken = fill(&stderr);
    assert!(taken >= CAPACITY_BYTES / 1024, "{taken}");
    for _ in 0..9 {
        assert_eq!(stderr.push("more\n", notice), Pushed::Dropped);
    }
    assert!(redirected.recv_timeout(PATIENCE).unwrap(), "stalled");
    let stalled = Instant::now();
    stderr.flush(PATIENCE);
    assert!(stalled.elapsed() < PATIENCE / 2, "a flush waits for nobody");
    assert!(begun.elapsed() < PATIENCE / 2);

    // Somebody reads again.
    let mut text = vec![0; taken * 1024];
    reader.read_exact(&mut text).unwrap();
    assert!(!redirected.recv_timeout(PATIENCE).unwrap(), "read again");
    stderr.flush(PATIENCE);
    assert_eq!(stderr.push("last\n", notice), Pushed::Resumed(10));
    let expected = b"dropped: 10\nlast\n";
    let mut end = vec![0; expected.len()];
    reader.read_exact(&mut end).unwrap();
    assert_eq!(end, expected);
}

#[test]
fn a_flush_returns_when_all_lines_are_written() {
    let (stderr, mut reader, _redirected) = piped();
    for number in 0..100 {
        let pushed = stderr.push(&format!("line {number}\n"), notice);
        assert_eq!(pushed, Pushed::Queued);
    }
    stderr.flush(PATIENCE);
    assert_eq!(stderr.0.pending(), 0);
    let mut first = [0; 7];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"line 0\n");
}

#[test]
fn a_closed_pipe_swallows_lines_without_harm() {
    let (stderr, reader, _redirected) = piped();
    drop(reader);
    assert_eq!(stderr.push("line\n", notice), Pushed::Queued);
    stderr.flush(PATIENCE);
    assert_eq!(stderr.0.pending(), 0);
}

#[test]
fn writes_to_stderr_end_with_lines() {
    let (reader, writer) = io::pipe().unwrap();
    // A pipe that is read only at the end, one write after another.
    let (sender, _redirected) = mpsc::channel::<bool>();
    let target = Target {
        fd: writer.into(),
        redirect: Box::new(move |stalled| sender.send(stalled).unwrap_or_default()),
    };
    let stderr = Stderr::start(target).unwrap();
    let long = format!("{}\n", "y".repeat(2 * CHUNK_BYTES));
    let lines = ["a line\n".repeat(3), long, "the last\n".to_owned()];
    for line in &lines {
        assert_eq!(stderr.push(line, notice), Pushed::Queued);
    }
    stderr.flush(PATIENCE);
    drop(stderr);
    let mut text = vec![0; lines.concat().len()];
    let mut reader = reader;
    reader.read_exact(&mut text).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), lines.concat());
}

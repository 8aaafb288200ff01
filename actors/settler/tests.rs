//! The settler, with a database whose answers a test gives.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::later::{LAST_TRIES, PAUSE};
use super::queue::MAX_WAITING;
use super::*;

#[derive(Debug)]
enum Fault {
    Refused,
    Away,
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Refusal for Fault {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

type Portions = mpsc::UnboundedReceiver<Vec<u32>>;
type Answers = mpsc::Sender<Result<Vec<u32>, Fault>>;

/// Sends each portion to the test, and takes the answer from it.
fn settler() -> (Settler<u32>, Portions, Answers) {
    let (sender, portions) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::channel(1);
    let answers = Arc::new(tokio::sync::Mutex::new(answers));
    let settler = Settler::start(
        &Handle::current(),
        "it".to_owned(),
        GATHERING,
        move |ends| {
            let (sender, answers) = (sender.clone(), Arc::clone(&answers));
            async move {
                sender.send(ends).unwrap();
                answers.lock().await.recv().await.unwrap()
            }
        },
    );
    (settler, portions, answer)
}

#[tokio::test(start_paused = true)]
async fn what_gathers_is_written_together_and_again_after_an_error() {
    let (settler, mut portions, answer) = settler();
    settler.settle(1).await;
    settler.settle(2).await;
    assert_eq!(portions.recv().await.unwrap(), [1, 2]);
    settler.sender().settle(3).await;
    answer.send(Err(Fault::Away)).await.unwrap();
    assert_eq!(portions.recv().await.unwrap(), [1, 2]);
    answer.send(Ok(Vec::new())).await.unwrap();
    assert_eq!(portions.recv().await.unwrap(), [3]);
    answer.send(Ok(Vec::new())).await.unwrap();
    settler.finish().await;
    assert!(portions.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn those_who_run_wait_while_too_much_waits() {
    let (settler, mut portions, answer) = settler();
    settler.settle(0).await;
    assert_eq!(portions.recv().await.unwrap(), [0]);
    for n in 0..u32::try_from(MAX_WAITING).unwrap() {
        settler.settle(n).await;
    }
    let beyond = tokio::spawn({
        let sender = settler.sender();
        async move { sender.settle(7).await }
    });
    tokio::task::yield_now().await;
    assert!(!beyond.is_finished());
    answer.send(Ok(Vec::new())).await.unwrap();
    assert_eq!(portions.recv().await.unwrap().len(), MAX_WAITING);
    beyond.await.unwrap();
    answer.send(Ok(Vec::new())).await.unwrap();
    assert_eq!(portions.recv().await.unwrap(), [7]);
    answer.send(Ok(Vec::new())).await.unwrap();
    settler.finish().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_all_senders() {
    let (settler, mut portions, answer) = settler();
    let other = settler.sender();
    let ended = tokio::spawn(settler.finish());
    other.settle(1).await;
    drop(other);
    assert_eq!(portions.recv().await.unwrap(), [1]);
    answer.send(Ok(Vec::new())).await.unwrap();
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn locked_and_refused_dispositions_block_nobody() {
    let (settler, mut portions, answer) = settler();
    settler.settle(1).await;
    settler.settle(2).await;
    assert_eq!(portions.recv().await.unwrap(), [1, 2]);
    answer.send(Ok(vec![1])).await.unwrap();
    for n in 3..20 {
        settler.settle(n).await;
        assert_eq!(portions.recv().await.unwrap(), [n], "at once");
        answer.send(Ok(Vec::new())).await.unwrap();
    }
    let again = portions.recv().await.unwrap();
    assert_eq!(again, [1]);
    answer.send(Err(Fault::Refused)).await.unwrap();
    let ended = tokio::spawn(settler.finish());
    let begun = Instant::now();
    assert_eq!(portions.recv().await.unwrap(), [1]);
    assert!(begun.elapsed() >= PAUSE / 2, "not without a pause");
    assert!(!ended.is_finished());
    answer.send(Ok(Vec::new())).await.unwrap();
    ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_whose_write_panics_holds_up_no_other() {
    let (sender, mut written) = mpsc::unbounded_channel();
    let panics = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = Arc::clone(&panics);
    let write = move |ends: Vec<u32>| {
        let (sender, panics) = (sender.clone(), Arc::clone(&counted));
        async move {
            if ends.contains(&2) && panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 5 {
                panic!("as the test wants it");
            }
            ends.into_iter().for_each(|end| sender.send(end).unwrap());
            Ok::<_, Fault>(Vec::new())
        }
    };
    let settler = Settler::start(&Handle::current(), "it".to_owned(), GATHERING, write);
    for end in 1..=4 {
        settler.settle(end).await;
    }
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(written.recv().await.unwrap());
    }
    first.sort_unstable();
    assert_eq!(first, [1, 3, 4]);
    assert_eq!(written.recv().await, Some(2), "it is tried again");
    settler.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_refused_ends() {
    let (settler, mut portions, answer) = settler();
    settler.settle(1).await;
    let ended = tokio::spawn(settler.finish());
    let begun = Instant::now();
    for _ in 0..=LAST_TRIES {
        assert_eq!(portions.recv().await.unwrap(), [1]);
        answer.send(Err(Fault::Refused)).await.unwrap();
    }
    ended.await.unwrap();
    assert!(begun.elapsed() <= PAUSE * (LAST_TRIES + 1));
    assert!(portions.recv().await.is_none());
}

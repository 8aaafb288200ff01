//! Groups that end when asked, that must be forced, and that are not ours.

use rustix::process::{Pid, kill_process};

use super::super::ExitStatus;
use super::super::testing::{Running, World};
use super::*;

/// Grace for processes that are known to ignore SIGTERM.
const SHORT: Duration = Duration::from_millis(50);

fn open(pid: i32) -> Watched {
    Watched::open(pid, machine::start_ticks(pid))
        .unwrap()
        .unwrap()
}

async fn ended_by(run: Running) -> ExitStatus {
    run.child.exited().await
}

#[tokio::test]
async fn a_group_ends_with_its_grandchildren() {
    let world = World::new();
    let mut run = world.spawn_shell("sleep 1000 & echo $!; wait").await;
    let grandchild = open(run.line().parse().unwrap());
    let ended = terminate(run.child.pid, run.child.start_ticks)
        .await
        .unwrap();
    assert_eq!(ended, Termination::OnRequest);
    grandchild.ended().await;
    assert_eq!(
        ended_by(run).await,
        ExitStatus::Signaled(libc::SIGTERM, false)
    );
}

#[tokio::test]
async fn a_leader_that_does_not_listen_is_killed() {
    let world = World::new();
    let mut run = world
        .spawn_shell("trap '' TERM; echo up; read x < $GATE")
        .await;
    assert_eq!(run.line(), "up");
    let ended = end(open(run.child.pid), SHORT).await.unwrap();
    assert_eq!(ended, Termination::Forced);
    assert_eq!(
        ended_by(run).await,
        ExitStatus::Signaled(libc::SIGKILL, false)
    );
}

#[tokio::test]
async fn a_stubborn_grandchild_is_killed_after_its_leader() {
    let stubborn = "sh -c 'trap \"\" TERM; echo $$; read x < $GATE' & wait";
    for with_handle in [true, false] {
        let world = World::new();
        let mut run = world.spawn_shell(stubborn).await;
        let grandchild = open(run.line().parse().unwrap());
        let (pid, ticks) = (run.child.pid, run.child.start_ticks);
        let leader = match with_handle {
            true => open(pid),
            false => Watched::without_handle(pid, ticks).unwrap(),
        };
        assert_eq!(end(leader, SHORT).await.unwrap(), Termination::Forced);
        grandchild.ended().await;
        assert_eq!(
            ended_by(run).await,
            ExitStatus::Signaled(libc::SIGTERM, false)
        );
    }
}

#[tokio::test]
async fn a_stopped_process_ends_on_request() {
    let world = World::new();
    let mut run = world.spawn_shell("echo up; read x < $GATE").await;
    assert_eq!(run.line(), "up");
    kill_process(Pid::from_raw(run.child.pid).unwrap(), Signal::STOP).unwrap();
    let leader = Watched::without_handle(run.child.pid, run.child.start_ticks).unwrap();
    assert_eq!(end(leader, GRACE).await.unwrap(), Termination::OnRequest);
}

#[tokio::test]
async fn a_reused_pid_is_not_signalled() {
    let world = World::new();
    let mut run = world.spawn_shell("echo up; read x < $GATE; exit 4").await;
    assert_eq!(run.line(), "up");
    let (pid, ticks) = (run.child.pid, run.child.start_ticks);
    let other = ticks.map(|ticks| ticks + 1);
    assert_eq!(terminate(pid, other).await.unwrap(), Termination::NotThere);
    let error = terminate(pid, None).await.unwrap_err().to_string();
    assert!(error.contains("start time is unknown"), "{error}");
    world.open_gate();
    assert_eq!(ended_by(run).await, ExitStatus::Exited(4));
    assert_eq!(terminate(pid, ticks).await.unwrap(), Termination::NotThere);
}

#[tokio::test]
async fn only_the_leader_of_a_group_stands_for_it() {
    let world = World::new();
    let mut run = world.spawn_shell("sleep 1000 & echo $!; wait").await;
    let member: i32 = run.line().parse().unwrap();
    let error = terminate(member, machine::start_ticks(member))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not lead"), "{error}");
    terminate(run.child.pid, run.child.start_ticks)
        .await
        .unwrap();
}

/// As where there is no `/proc`: nobody knows when the child began.
#[tokio::test]
async fn a_child_of_ours_is_ended_without_the_process_table() {
    let world = World::new();
    let mut run = world.spawn_shell("sleep 1000 & echo $!; wait").await;
    let grandchild = open(run.line().parse().unwrap());
    run.child.start_ticks = None;
    let signals = run.child.signals();
    let ended = end_child(&signals, GRACE).await.unwrap();
    assert_eq!(ended, Termination::OnRequest);
    grandchild.ended().await;
    assert_eq!(
        ended_by(run).await,
        ExitStatus::Signaled(libc::SIGTERM, false)
    );
    assert_eq!(
        end_child(&signals, GRACE).await.unwrap(),
        Termination::NotThere
    );
}

#[tokio::test]
async fn a_stubborn_process_group_is_killed() {
    let world = World::new();
    let mut run = world
        .spawn_shell("trap '' TERM; echo up; read x < $GATE")
        .await;
    assert_eq!(run.line(), "up");
    let signals = run.child.signals();
    let ended = end_child(&signals, SHORT).await.unwrap();
    assert_eq!(ended, Termination::Forced);
    assert_eq!(
        ended_by(run).await,
        ExitStatus::Signaled(libc::SIGKILL, false)
    );
    let stubborn = "sh -c 'trap \"\" TERM; echo $$; read x < $GATE' & wait";
    let mut run = world.spawn_shell(stubborn).await;
    let grandchild = open(run.line().parse().unwrap());
    let ended = end_child(&run.child.signals(), SHORT).await.unwrap();
    assert_eq!(ended, Termination::Forced);
    grandchild.ended().await;
}

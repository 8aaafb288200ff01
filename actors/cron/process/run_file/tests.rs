//! Runs' files, with processes that hold them.

use std::io::ErrorKind;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;

use super::super::run_state::{Liveness, inspect};
use super::super::testing::{Running, World};
use super::super::{ExitStatus, lock};
use super::*;

const NOW: i64 = 1_700_000_000_000;

fn uk(text: &str) -> Uk {
    text.parse().unwrap()
}

fn announcement(key: &str) -> Announcement {
    Announcement {
        uk: uk(key),
        entry: "0 0 4 * * *|Asia/Shanghai|report||0".into(),
        name: "每日报表".into(),
        boot: "b1".into(),
        place: Place::here().clone(),
        scheduled_ms: NOW,
        fired_ms: NOW + 3,
        timeout_ms: None,
        handed: false,
    }
}

fn result() -> RunResult {
    RunResult {
        status: 0,
        data: json!({"rows": 3, "注": "好"}),
        ended_ms: NOW + 9,
    }
}

#[test]
fn a_run_is_announced_begun_and_finished() {
    let world = tempfile::tempdir().unwrap();
    let dir = world.path().join("runs");
    let announced = announce(&dir, &announcement("a-1")).unwrap().unwrap();
    let [path] = list(&dir).unwrap().try_into().unwrap();
    let starting = inspect(&path).unwrap();
    assert_eq!(starting.announcement, Some(announcement("a-1")));
    assert_eq!(
        (starting.alive, starting.head.as_ref()),
        (Liveness::Locked, None)
    );
    lock::unlock(&announced.file()).unwrap();
    let unlocked = inspect(&path).unwrap();
    assert_eq!(unlocked.alive, Liveness::Unlocked);
    assert!(!unlocked.never_started(), "it was handed nothing");
    assert!(unlocked.may_yet_begin(NOW + 30_002));
    assert!(!unlocked.may_yet_begin(NOW + 30_003));

    let head = RunHead::of_this_process(uk("a-1"), NOW + 5);
    let mut run = RunFile::begin(&dir, &head).unwrap();
    assert_eq!(run.announcement(), Some(&announcement("a-1")));
    let running = inspect(&path).unwrap();
    assert_eq!(running.alive, Liveness::Locked);
    assert_eq!(running.head.as_ref(), Some(&head));
    assert!(!running.may_yet_begin(NOW));

    run.finish(&result()).unwrap();
    let finished = inspect(&path).unwrap();
    assert_eq!(
        finished.alive,
        Liveness::Locked,
        "it writes the database yet"
    );
    assert_eq!(finished.result, Some(result()));
    drop(run);
    let over = inspect(&path).unwrap();
    assert_eq!(
        (over.alive, over.result),
        (Liveness::Unlocked, Some(result()))
    );

    remove(&dir, &uk("a-1")).unwrap();
    remove(&dir, &uk("a-1")).unwrap();
    assert!(list(&dir).unwrap().is_empty());
}

#[test]
fn a_run_begins_once_at_a_time_and_is_announced_once() {
    let world = tempfile::tempdir().unwrap();
    let head = RunHead::of_this_process(uk("a"), NOW);
    let run = RunFile::begin(world.path(), &head).unwrap();
    assert_eq!(run.announcement(), None, "nobody announced it");
    let error = RunFile::begin(world.path(), &head).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(error.to_string().contains("still lives"), "{error}");
    assert!(
        announce(world.path(), &announcement("a"))
            .unwrap()
            .is_none()
    );
    drop(run);
    RunFile::begin(world.path(), &head).unwrap();
}

#[test]
fn an_announcement_of_a_dead_daemon_is_taken_over() {
    let world = tempfile::tempdir().unwrap();
    let fire = Announcement {
        handed: true,
        ..announcement("a")
    };
    let path = path_of(world.path(), &uk("a"));
    // It died before it wrote the first line.
    drop(File::create(&path).unwrap());
    assert!(inspect(&path).unwrap().never_started());
    let first = announce(world.path(), &fire).unwrap().unwrap();
    assert!(
        !inspect(&path).unwrap().never_started(),
        "it is about to start"
    );
    assert!(announce(world.path(), &fire).unwrap().is_none());
    // As at its death.
    lock::unlock(&first.file()).unwrap();
    let left = inspect(&path).unwrap();
    assert!(left.never_started() && !left.may_yet_begin(NOW), "at once");
    let second = announce(world.path(), &fire).unwrap().unwrap();
    assert_eq!(inspect(&path).unwrap().alive, Liveness::Locked);
    second.give_up();
    assert!(!path.exists());
    let third = announce(world.path(), &fire).unwrap().unwrap();
    lock::unlock(&third.file()).unwrap();
    drop(RunFile::begin(world.path(), &RunHead::of_this_process(uk("a"), NOW)).unwrap());
    assert!(
        announce(world.path(), &fire).unwrap().is_none(),
        "it has begun"
    );
    // That something else is in the way is no announcement.
    assert!(announce(&path, &fire).is_err());
}

#[tokio::test]
async fn a_process_holds_its_lock_from_the_start() {
    let world = World::new();
    let announced = announce(world.dir.path(), &announcement("a"));
    let announced = announced.unwrap().unwrap();
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = world.own_test(&format!("{module}::a_run_that_stays"));
    command.handed = Some(announced.file());
    command
        .env
        .push(("RUN_DIR".into(), world.dir.path().into()));
    // Its program waits before it begins.
    command
        .env
        .push(("RUN_WAITS".into(), world.path("gate").into()));
    let mut run = world.spawn(command).await;
    drop(announced);
    run.wait_for("waits");
    let path = path_of(world.dir.path(), &uk("a"));
    let state = inspect(&path).unwrap();
    assert_eq!((state.alive, state.head), (Liveness::Locked, None));
    world.open_gate();
    run.wait_for("begun");
    let state = inspect(&path).unwrap();
    assert_eq!(state.alive, Liveness::Locked);
    assert_eq!(state.head.map(|head| head.pid), Some(run.child.pid));
    let pid = Pid::from_raw(run.child.pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    run.child.exited().await;
    assert_eq!(inspect(&path).unwrap().alive, Liveness::Unlocked);
}

#[test]
fn torn_lines_are_passed_over_and_written_behind() {
    let world = tempfile::tempdir().unwrap();
    let announced = announce(world.path(), &announcement("a")).unwrap().unwrap();
    lock::unlock(&announced.file()).unwrap();
    let path = path_of(world.path(), &uk("a"));
    let mut torn = File::options().append(true).open(&path).unwrap();
    torn.write_all(b"{\"event\":\"started\",\"pid\":12,\"na\xe6")
        .unwrap();
    assert_eq!(inspect(&path).unwrap().head, None);
    let head = RunHead::of_this_process(uk("a"), NOW);
    let mut run = RunFile::begin(world.path(), &head).unwrap();
    run.finish(&result()).unwrap();
    let state = inspect(&path).unwrap();
    assert_eq!(state.announcement, Some(announcement("a")));
    assert_eq!((state.head, state.result), (Some(head), Some(result())));
}

#[test]
fn a_removed_file_is_not_the_one_held() {
    let world = tempfile::tempdir().unwrap();
    let path = world.path().join("a.json");
    let held = File::create(&path).unwrap();
    assert!(is_at(&held, &path).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&held, &path).unwrap());
    File::create(&path).unwrap();
    assert!(!is_at(&held, &path).unwrap());
}

#[test]
fn only_files_of_runs_are_listed() {
    let world = tempfile::tempdir().unwrap();
    for name in ["a-1.json", "a_1.json", "a.json~", "b", "任务.json", ".json"] {
        File::create(world.path().join(name)).unwrap();
    }
    assert_eq!(list(world.path()).unwrap(), [world.path().join("a-1.json")]);
    assert!(list(&world.path().join("not there")).unwrap().is_empty());
}

#[test]
fn runs_of_another_machine_or_container_are_not_judged() {
    let world = tempfile::tempdir().unwrap();
    let here = RunHead::of_this_process(uk("a"), NOW);
    let changes: [fn(&mut Place); 3] = [
        |place| {
            place.kernel_boot = Some("another".into());
            place.machine = Some("another".into());
        },
        |place| {
            place.kernel_boot = Some("another".into());
            place.machine = None;
        },
        |place| place.pid_namespace = Some("pid:[1]".into()),
    ];
    for change in changes {
        let mut head = here.clone();
        change(&mut head.place);
        drop(RunFile::begin(world.path(), &head).unwrap());
        let path = path_of(world.path(), &head.uk);
        assert_eq!(inspect(&path).unwrap().alive, Liveness::Elsewhere);
    }
}

#[test]
fn a_run_from_before_a_reboot_is_over() {
    let world = tempfile::tempdir().unwrap();
    let mut head = RunHead::of_this_process(uk("a"), NOW);
    if head.place.machine.is_none() {
        eprintln!("LEFT OUT: this machine has no id");
        return;
    }
    head.place.kernel_boot = Some("an earlier one".into());
    let held = RunFile::begin(world.path(), &head).unwrap();
    let path = path_of(world.path(), &head.uk);
    assert_eq!(
        inspect(&path).unwrap().alive,
        Liveness::Elsewhere,
        "by whom?"
    );
    drop(held);
    assert_eq!(inspect(&path).unwrap().alive, Liveness::Unlocked);
}

/// The process of the next tests: begins a run and stays.
#[test]
#[ignore = "a process that other tests start"]
fn a_run_that_stays() {
    let Ok(dir) = std::env::var("RUN_DIR") else {
        return;
    };
    if let Some(gate) = std::env::var_os("RUN_WAITS") {
        println!("waits");
        let mut line = [0];
        io::Read::read_exact(&mut File::open(gate).unwrap(), &mut line).unwrap();
    }
    let head = RunHead::of_this_process(uk("a"), NOW);
    let run = RunFile::begin(dir.as_ref(), &head).unwrap();
    let flags = rustix::io::fcntl_getfd(&run.file).unwrap();
    assert!(
        flags.contains(rustix::io::FdFlags::CLOEXEC),
        "nothing that it starts holds the lock"
    );
    // SAFETY: between fork and its end the child calls nothing but `pause`.
    if std::env::var_os("RUN_FORKS").is_some() && unsafe { libc::fork() } == 0 {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    println!("begun");
    loop {
        std::thread::park();
    }
}

async fn run_that_stays(world: &World, more: Option<&str>) -> (Running, PathBuf) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = world.own_test(&format!("{module}::a_run_that_stays"));
    command
        .env
        .push(("RUN_DIR".into(), world.dir.path().into()));
    command
        .env
        .extend(more.map(|name| (name.into(), "1".into())));
    let mut run = world.spawn(command).await;
    run.wait_for("begun");
    (run, path_of(world.dir.path(), &uk("a")))
}

#[tokio::test]
async fn a_run_that_was_killed_is_dead() {
    let world = World::new();
    let (run, path) = run_that_stays(&world, None).await;
    let state = inspect(&path).unwrap();
    assert_eq!(state.alive, Liveness::Locked);
    let head = state.head.unwrap();
    assert_eq!(
        (head.pid, head.start_ticks),
        (run.child.pid, run.child.start_ticks)
    );
    kill_process(Pid::from_raw(head.pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(
        run.child.exited().await,
        ExitStatus::Signaled(libc::SIGKILL, false)
    );
    let state = inspect(&path).unwrap();
    assert_eq!((state.alive, state.result), (Liveness::Unlocked, None));
}

#[tokio::test]
async fn a_forked_descendant_does_not_keep_a_run_alive() {
    let world = World::new();
    let (run, path) = run_that_stays(&world, Some("RUN_FORKS")).await;
    let pid = Pid::from_raw(run.child.pid).unwrap();
    assert_eq!(inspect(&path).unwrap().alive, Liveness::Locked);
    kill_process(pid, Signal::KILL).unwrap();
    run.child.exited().await;
    assert!(
        lock::is_locked(&File::open(&path).unwrap()).unwrap(),
        "the descendant has it"
    );
    assert_eq!(inspect(&path).unwrap().alive, Liveness::Unlocked);
    kill_process_group(pid, Signal::KILL).unwrap();
}

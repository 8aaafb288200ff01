//! Bad configurations, each with the report that `check` gives of it.
//!
//! A case is a directory below `tests/refusals` (see `corpus`), `expected.txt` its report. The files of a case whose
//! name begins with `made_` are made here. After a wanted change `UPDATE_EXPECTED=1 cargo test --test refusals` writes
//! the reports anew: read the difference as a user would.

#![expect(clippy::unwrap_used, reason = "a test without its world fails")]

mod corpus;

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use corpus::{World, cases, corpus};

/// The fewest cases; fewer means that the corpus was not found.
const LEAST_CASES: usize = 100;

#[test]
fn each_bad_configuration_gets_its_report() {
    let corpus = corpus("refusals");
    let names = cases(&corpus);
    assert!(names.len() >= LEAST_CASES, "{} cases", names.len());
    let mut wrong = String::new();
    for name in &names {
        if let Err(what) = refused(&corpus.join(name), name) {
            let _ = writeln!(wrong, "--- {name}: {what}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

fn refused(case: &Path, name: &str) -> Result<(), String> {
    if name.contains("_without_tls") && cfg!(feature = "tls-system") {
        eprintln!("{name}: skipped, this build has TLS");
        return Ok(());
    }
    if name.contains("_with_oidc") && !cfg!(feature = "oidc") {
        eprintln!("{name}: skipped, this build cannot ask for tokens");
        return Ok(());
    }
    let world = World::of(case, &[]);
    if name.starts_with("made_") && !make(name, &world.etc()) {
        eprintln!("{name}: skipped, root can read every file");
        return Ok(());
    }
    let output = world.check();
    let report = String::from_utf8(output.stderr).map_err(|error| error.to_string())?;
    if output.status.code() != Some(2) || !output.stdout.is_empty() {
        return Err(format!("{}\n{report}", output.status));
    }
    if !world.written().is_empty() {
        return Err(format!("it wrote {:?}", world.written()));
    }
    well_formed(&report)?;
    let report = shortened(&report);
    let snapshot = case.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&snapshot, &report).unwrap();
    }
    let expected = fs::read_to_string(&snapshot).unwrap_or_default();
    if report != expected {
        return Err(format!("expected:\n{expected}found:\n{report}"));
    }
    Ok(())
}

/// Of a report of thousands of lines the first and the last are kept.
fn shortened(report: &str) -> String {
    const KEPT: usize = 5;
    let lines: Vec<&str> = report.lines().collect();
    let Some(left_out) = lines.len().checked_sub(20 * KEPT) else {
        return report.to_owned();
    };
    let left_out = left_out + 18 * KEPT;
    let (first, last) = (&lines[..KEPT], &lines[lines.len() - KEPT..]);
    format!(
        "{}\n({left_out} lines)\n{}\n",
        first.join("\n"),
        last.join("\n")
    )
}

/// What holds for each report, whatever is wrong.
fn well_formed(report: &str) -> Result<(), String> {
    let refuse = |what: &str| Err(format!("{what}:\n{report}"));
    let lines: Vec<&str> = report.lines().collect();
    let Some((last, faults)) = lines.split_last() else {
        return refuse("no report");
    };
    if !faults.iter().all(|line| line.starts_with("etc")) {
        return refuse("a line without its file");
    }
    let more = faults
        .iter()
        .any(|line| line.ends_with(" more, not listed"));
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    if !more && *last != format!("{count}; nothing was started") {
        return refuse("another number of faults");
    }
    if (1..faults.len()).any(|n| faults[..n].contains(&faults[n])) {
        return refuse("a fault reported twice");
    }
    if report.contains("hunter2") {
        return refuse("a secret");
    }
    if report
        .contains(|c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c))
    {
        return refuse("a character that moves the cursor");
    }
    Ok(())
}

/// Makes what cannot be kept in git; whether it could be made.
fn make(name: &str, etc: &Path) -> bool {
    let settings = etc.join("dev.json");
    let queues = etc.join("queue_script1.json");
    let crontab = etc.join("crontab_script1.json");
    let write = |path: &Path, text: String| fs::write(path, text).unwrap();
    match name {
        // Sparse: it takes no room on the disk.
        "made_dump_of_100_mb" => {
            for path in [&settings, &queues, &crontab] {
                File::create(path).unwrap().set_len(100 << 20).unwrap();
            }
        }
        "made_nesting_of_arrays" => {
            write(&settings, format!("{{\"app\": {}", "[".repeat(10_000)));
            write(&queues, "[".repeat(10_000) + &"]".repeat(10_000));
        }
        "made_nesting_of_objects" => {
            write(
                &settings,
                "{\"app\":".repeat(10_000) + "1" + &"}".repeat(10_000),
            );
            write(&crontab, "[".to_owned() + &"{\"a\":\n".repeat(10_000));
        }
        "made_nesting_of_comments" => {
            write(&settings, "/*".repeat(10_000));
            write(&queues, "// /* ".repeat(10_000) + "\n[ 1 ]");
        }
        "made_unreadable" => {
            fs::set_permissions(&queues, Permissions::from_mode(0o000)).unwrap();
            return File::open(&queues).is_err();
        }
        "made_directory_for_a_file" => {
            fs::remove_file(&queues).unwrap();
            fs::create_dir(&queues).unwrap();
        }
        "made_dangling_link" => {
            fs::remove_file(&crontab).unwrap();
            symlink("../elsewhere/crontab.json", &crontab).unwrap();
        }
        "made_link_to_itself" => {
            fs::remove_file(&crontab).unwrap();
            symlink("crontab_script1.json", &crontab).unwrap();
        }
        "made_device_for_a_file" => {
            fs::remove_file(&settings).unwrap();
            symlink("/dev/zero", &settings).unwrap();
        }
        "made_missing_files" => {
            fs::remove_file(&queues).unwrap();
            fs::rename(&crontab, etc.join("crontab_script2.json")).unwrap();
        }
        "made_missing_directory" => fs::remove_dir_all(etc).unwrap(),
        "made_file_for_a_directory" => {
            fs::remove_dir_all(etc).unwrap();
            fs::write(etc, "{}").unwrap();
        }
        "made_thousands_of_faults" => {
            write(&queues, format!("[{}]", "1,\n".repeat(100_000)));
            write(&crontab, "[{}]".to_owned());
        }
        "made_thousands_of_entries" => {
            let entry = "{\"cron\": \"0 * * * * *\", \"name\": \"好\", \"exec_cmd\": \"noop\", \"status\": 1},";
            write(&crontab, format!("[{}{{}}]", entry.repeat(10_000)));
        }
        name => panic!("`{name}` is made by nobody"),
    }
    true
}

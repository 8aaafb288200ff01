//! The Go in the documents is compiled, against the signatures of the Go project (`go/`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::blocks::blocks;
use crate::root;

/// Packages by the name that code uses, and the path that it imports.
const PACKAGES: [(&str, &str); 6] = [
    ("json", "encoding/json"),
    ("time", "time"),
    ("core", "simplest_script/core"),
    ("logger", "simplest_script/core/logger"),
    ("crontab", "simplest_script/crontab"),
    ("delayqueue", "simplest_script/delay_queue"),
];

/// What a handler's own program has beside it.
const BESIDE: &str = "
type Order struct{ Id int }

func ship(int) error { return nil }
func remind(string) error { return nil }
func report(string) (int, error) { return 0, nil }

var Entry = map[string]interface{ Consume(string, *bool) }{}
";

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("simplest_script_documents_{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        copy(&root().join("tests/documents/go"), &folder.0);
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A block as a package. Statements stand in a function, declarations by themselves.
fn package(block: &str) -> String {
    let is_declaration = |line: &str| line.starts_with("type ") || line.starts_with("func ");
    let body = match block.lines().any(is_declaration) {
        true => block.to_owned(),
        false => format!("func _() {{\n{block}}}\n"),
    };
    let result = match block.contains("crontab.") {
        true => "*crontab.Result",
        false => "core.DelayQueueResult",
    };
    let body = format!(
        "{body}{BESIDE}\nvar HandlerEntry = map[string]interface{{ Handler(string) {result} }}{{}}\n"
    );
    let used = PACKAGES
        .iter()
        .filter(|(name, _)| body.contains(&format!("{name}.")));
    let imports: String = used
        .map(|(name, path)| format!("\t{name} \"{path}\"\n"))
        .collect();
    format!("package shown\n\nimport (\n{imports})\n\n{body}")
}

#[test]
fn each_block_of_go_is_compiled() {
    if Command::new("go").arg("version").output().is_err() {
        println!("LEFT OUT: `go` is not installed here");
        return;
    }
    let folder = Folder::new();
    let blocks = blocks("go");
    for (number, (place, block)) in blocks.iter().enumerate() {
        let package_folder = folder.0.join(format!("shown{number}"));
        fs::create_dir(&package_folder).unwrap();
        let text = package(&block.text).replacen("package", &format!("// {place}\n\npackage"), 1);
        fs::write(package_folder.join("shown.go"), text).unwrap();
    }
    let build = Command::new("go")
        .args(["build", "./..."])
        .current_dir(&folder.0)
        .envs([
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("GOWORK", "off"),
        ])
        .output()
        .unwrap();
    let places: Vec<&String> = blocks.iter().map(|(place, _)| place).collect();
    let said = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "{said}\n{places:#?}");
}

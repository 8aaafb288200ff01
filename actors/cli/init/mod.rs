//! `init`: a new project that builds, and whose tests pass.

mod name;
mod place;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::name::package_name;
use super::print::print;
use crate::bootstrap::failure::Failure;
use crate::bootstrap::version;
use crate::config::{Commands, SchemaFile, SchemaLanguages};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The project's directory, which must be new or empty; its name is the program's
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Depend on the simplest_script of this directory, not on the published one
    #[arg(long, env = "SIMPLEST_SCRIPT_PATH", value_name = "PATH")]
    path: Option<PathBuf>,
}

/// The files, in the order in which they are written.
const FILES: [(&str, &str); 12] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    (".gitignore", include_str!("template/gitignore.in")),
    ("README.md", include_str!("template/README.md.in")),
    (
        ".vscode/settings.json",
        include_str!("template/vscode/settings.json.in"),
    ),
    ("etc/dev.json", include_str!("template/etc/dev.json.in")),
    (
        "etc/queue_script1.json",
        include_str!("template/etc/queue_script1.json.in"),
    ),
    (
        "etc/crontab_script1.json",
        include_str!("template/etc/crontab_script1.json.in"),
    ),
    ("src/main.rs", include_str!("template/src/main.rs.in")),
    (
        "src/handlers/mod.rs",
        include_str!("template/src/handlers/mod.rs.in"),
    ),
    (
        "src/handlers/greet.rs",
        include_str!("template/src/handlers/greet.rs.in"),
    ),
    (
        "src/handlers/remind.rs",
        include_str!("template/src/handlers/remind.rs.in"),
    ),
    (
        "src/handlers/report.rs",
        include_str!("template/src/handlers/report.rs.in"),
    ),
];

/// Writes the project, or nothing.
pub(crate) fn init(args: &InitArgs) -> Result<ExitCode, Failure> {
    let directory = &args.directory;
    place::check_empty(directory).map_err(Failure::misused)?;
    let name = package_name(&place::name(directory));
    let dependency = dependency(args.path.as_deref())?;
    let workspace = match place::inside_workspace(directory) {
        // Cargo refuses a package inside a workspace that does not know it.
        true => "\n# It stands alone, though a directory above has a workspace.\n[workspace]\n",
        false => "",
    };
    let of_template = FILES.iter().map(|(path, text)| {
        let text = text
            .replace("@name@", &name)
            .replace("@dependency@", &dependency)
            .replace("@workspace@\n", workspace);
        ((*path).to_owned(), text)
    });
    // The new program's handlers are those of the template until the schemas are printed anew.
    let schemas = SchemaFile::ALL.into_iter().map(|file| {
        let path = format!("etc/schema/{}.json", file.name());
        (
            path,
            file.schema(&Commands::default(), SchemaLanguages::Both),
        )
    });
    let files: Vec<(String, String)> = of_template.chain(schemas).collect();
    write::all(directory, &files).map_err(Failure::failed)?;
    let shown = directory.display();
    let mut text = format!(
        "`{name}`, a new project in `{shown}`: {} files\n\nnext:\n",
        files.len()
    );
    if directory.as_os_str() != "." {
        // A name that starts with a hyphen would be an option.
        let here = match directory.as_os_str().as_encoded_bytes().starts_with(b"-") {
            true => "./",
            false => "",
        };
        text += &format!("  cd {here}{shown}\n");
    }
    text += "  cargo test\n  cargo run                          # the daemon; the first build takes some minutes\n  \
             cargo run -- send greetings Ann    # in another terminal\n\nREADME.md says how to go on from there\n";
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The line of Cargo.toml.
fn dependency(path: Option<&std::path::Path>) -> Result<String, Failure> {
    let Some(path) = path else {
        let (series, _) = version::VERSION
            .rsplit_once('.')
            .unwrap_or((version::VERSION, ""));
        return Ok(format!("simplest_script = \"{series}\""));
    };
    let refused = |why: String| {
        Failure::misused(format!(
            "`{}` is not the directory of simplest_script: {why}",
            path.display()
        ))
    };
    let path = path
        .canonicalize()
        .map_err(|cause| refused(cause.to_string()))?;
    let manifest = std::fs::read_to_string(path.join("Cargo.toml"))
        .map_err(|cause| refused(format!("its Cargo.toml: {cause}")))?;
    if !manifest.contains("name = \"simplest_script\"") {
        return Err(refused("its Cargo.toml is another package's".to_owned()));
    }
    let text = path
        .to_str()
        .ok_or_else(|| refused("its path is no UTF-8".to_owned()))?;
    // A JSON string is a TOML string.
    Ok(format!(
        "simplest_script = {{ path = {} }}",
        serde_json::Value::from(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Places, load};

    fn args(directory: PathBuf) -> InitArgs {
        InitArgs {
            directory,
            path: None,
        }
    }

    #[test]
    fn the_new_projects_configuration_is_right_and_live() {
        let dir = tempfile::tempdir().unwrap();
        init(&args(dir.path().join("orders"))).unwrap();
        let project = dir.path().join("orders");
        let set = |name: &str| [name.to_owned()].into();
        let commands = Commands {
            consumers: set("greet"),
            delayed: set("remind"),
            cron: set("report"),
            ..Commands::default()
        };
        let places = Places {
            etc: project.join("etc"),
            environment: Environment::Dev,
            partition: "script1".parse().unwrap(),
        };
        let config = load(&places, &commands).unwrap();
        assert_eq!(config.why_not_live(), Vec::<String>::new());
        assert_eq!(config.notes, Vec::<String>::new());
        let manifest = std::fs::read_to_string(project.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("name = \"orders\""), "{manifest}");
        assert!(manifest.contains("simplest_script = \"0.1\""), "{manifest}");
        assert!(!manifest.contains('@'), "{manifest}");
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("notes.txt"), "mine").unwrap();
        let refused = format!("{:?}", init(&args(dir.path().to_owned())).unwrap_err());
        assert!(refused.contains("notes.txt"), "{refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_package_is_not_taken_for_the_library() {
        let dir = tempfile::tempdir().unwrap();
        assert!(dependency(Some(dir.path())).is_err());
        std::fs::write(dir.path().join("Cargo.toml"), "name = \"other\"").unwrap();
        assert!(dependency(Some(dir.path())).is_err());
        let own = dependency(Some(env!("CARGO_MANIFEST_DIR").as_ref())).unwrap();
        assert!(own.starts_with("simplest_script = { path = \"/"), "{own}");
    }
}

//! `generate-model` from outside: a schema with every type on each database; what is written compiles, and a row of every
//! type goes in and comes back equal.
//!
//! The crate that is compiled is `tests/models`, with what is generated, below `target/models`.

#![expect(clippy::unwrap_used, reason = "a test without its world fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use servers::{mariadb, mysql, postgres};

#[path = "servers/mod.rs"]
mod servers;

const PAIR: &str =
    "CREATE TABLE pair (b BIGINT NOT NULL, a VARCHAR(20) NOT NULL, n INTEGER, PRIMARY KEY (b, a));
    CREATE TABLE no_key (n INTEGER);
    CREATE VIEW seen AS SELECT n, a FROM pair;";

const OF_SQLITE: &str = r#"CREATE TABLE every (id INTEGER PRIMARY KEY, a_bool BOOLEAN NOT NULL, a_small SMALLINT NOT NULL,
    a_big BIGINT NOT NULL, a_text TEXT NOT NULL, a_char VARCHAR(9) NOT NULL, a_blob BLOB NOT NULL, a_real REAL NOT NULL,
    a_double DOUBLE NOT NULL, a_decimal DECIMAL(10,2) NOT NULL, a_date DATE NOT NULL, a_time TIME NOT NULL,
    a_datetime DATETIME NOT NULL, a_json JSON NOT NULL, a_jsonb JSONB NOT NULL, type TEXT, "Mixed Case" INT NOT NULL,
    lost MONEY);"#;

const OF_MYSQL: &str = "CREATE TABLE every (id bigint unsigned PRIMARY KEY, a_bool boolean NOT NULL,
    a_tiny tinyint NOT NULL, a_utiny tinyint unsigned NOT NULL, a_small smallint NOT NULL,
    a_usmall smallint unsigned NOT NULL, a_medium mediumint NOT NULL, a_umedium mediumint unsigned NOT NULL,
    a_int int NOT NULL, a_uint int unsigned NOT NULL, a_big bigint NOT NULL, a_year year NOT NULL,
    a_float float NOT NULL, a_double double NOT NULL, a_decimal decimal(10,2) NOT NULL,
    a_udecimal decimal(10,2) unsigned NOT NULL, a_date date NOT NULL, a_time time NOT NULL,
    a_datetime datetime(6) NOT NULL, a_timestamp timestamp NOT NULL, a_char char(3) NOT NULL,
    a_varchar varchar(9) NOT NULL COMMENT 'two\nlines', a_text text NOT NULL, a_longtext longtext NOT NULL,
    a_enum enum('one','two') NOT NULL, a_set set('a','b','c') NOT NULL, a_binary binary(3) NOT NULL,
    a_varbinary varbinary(9) NOT NULL, a_blob blob NOT NULL, a_bit bit(8) NOT NULL, a_json json NOT NULL,
    `type` text, `table` int NOT NULL, lost point MORE);";

const OF_POSTGRES: &str = r#"CREATE TYPE mood AS ENUM ('good', 'so so'); CREATE DOMAIN five AS int4 CHECK (VALUE = 5);
    CREATE TABLE every (id bigint PRIMARY KEY, a_bool bool NOT NULL, a_int2 int2 NOT NULL, a_int4 int4 NOT NULL,
    a_float4 float4 NOT NULL, a_float8 float8 NOT NULL, a_numeric numeric(12,4) NOT NULL, a_text text NOT NULL,
    a_varchar varchar(9) NOT NULL, a_char char(2) NOT NULL, a_name name NOT NULL, a_byte "char" NOT NULL,
    a_bytea bytea NOT NULL, a_date date NOT NULL, a_time time NOT NULL, a_timestamp timestamp NOT NULL,
    a_timestamptz timestamptz NOT NULL, a_json json NOT NULL, a_jsonb jsonb NOT NULL, a_uuid uuid NOT NULL,
    a_inet inet NOT NULL, a_cidr cidr NOT NULL, a_mac macaddr NOT NULL, a_mac8 macaddr8 NOT NULL, a_oid oid NOT NULL,
    a_mood mood NOT NULL, a_mood_or_none mood, a_moods mood[] NOT NULL, a_domain five NOT NULL, an_array int4[] NOT NULL,
    a_matrix_of_text text[] NOT NULL, a_int4range int4range NOT NULL, a_tstzrange tstzrange NOT NULL,
    a_multirange int4multirange NOT NULL, type text, "Mixed Case" int NOT NULL, lost point);
    CREATE TABLE bare (id int PRIMARY KEY, a_money money NOT NULL, a_interval interval, a_lsn pg_lsn NOT NULL);"#;

/// A folder of the test with the file and what is written.
struct World {
    folder: PathBuf,
}

impl World {
    fn generate(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simplest_script"));
        command.current_dir(&self.folder).arg("generate-model");
        command.args(more).output().unwrap()
    }

    /// `pkg`, `link`, `db_name` and `const` of each database.
    fn write(&self, databases: &[(&str, String, &str, &str)]) {
        let list: Vec<String> = databases
            .iter()
            .map(|(pkg, link, name, constant)| {
                format!(r#"{{"pkg": "{pkg}", "link": "{link}", "db_name": "{name}", "table": [], "const": "{constant}"}}"#)
            })
            .collect();
        let text = format!(
            "{{\"module_name\": \"models\", // of the tests\n\"output_dir\": \"./src/model\", \"db_list\": [{}]}}",
            list.join(",\n")
        );
        fs::write(self.folder.join("generateModel.json"), text).unwrap();
    }
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn sqlite(folder: &Path) -> String {
    let file = folder.join("one.db");
    let _ = fs::remove_file(&file);
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection
        .batch_execute(&format!("{OF_SQLITE}{PAIR}"))
        .unwrap();
    file.display().to_string()
}

fn named(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

#[test]
fn a_row_of_every_type_comes_back_equal() {
    let (Some(mariadb), Some(mysql), Some(postgres)) =
        (mariadb::shared(), mysql::shared(), postgres::shared())
    else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target/models");
    let folder = target.join("crate");
    fs::create_dir_all(folder.join("src")).unwrap();
    let _ = fs::remove_dir_all(folder.join("src/model"));
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(root.join("tests/models").join(file), folder.join(file)).unwrap();
    }
    let sqlite = sqlite(&folder);
    let (of_mariadb, of_mysql) = (mariadb.database(), mysql.database());
    let sql = |url: &str, more: &str| {
        format!(
            "USE {}; {}{PAIR}",
            named(url),
            OF_MYSQL.replace(" MORE", more)
        )
    };
    mariadb.execute(&sql(
        &of_mariadb,
        ", a_uuid uuid NOT NULL, a_inet inet6 NOT NULL",
    ));
    mysql.execute(&sql(&of_mysql, ", lost_too vector(3)"));
    postgres.execute(&format!("{OF_POSTGRES}{PAIR}"));
    let of_postgres = format!("postgres://postgres@127.0.0.1:{}/postgres", postgres.port());

    let world = World {
        folder: folder.clone(),
    };
    world.write(&[
        ("sqlite", format!("sqlite://{sqlite}"), "one", "DBOne"),
        ("mariadb", of_mariadb.clone(), named(&of_mariadb), ""),
        ("mysql", of_mysql.clone(), named(&of_mysql), ""),
        ("postgres", of_postgres.clone(), "postgres", "PG"),
    ]);
    let first = world.generate(&[]);
    assert!(first.status.success(), "{}", said(&first));
    let second = said(&world.generate(&[]));
    assert!(second.contains("\n0 of "), "{second}");
    let read = |file: &str| fs::read_to_string(folder.join("src/model").join(file)).unwrap();
    assert!(read("mysql/every.rs").contains("Left out: the column `lost` (`point`)"));
    assert!(read("postgres/no_key.rs").contains("it has no primary key"));

    let mut fetch = Command::new(env!("CARGO"));
    fetch
        .args(["fetch", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"));
    let fetched = fetch.output().unwrap();
    if !fetched.status.success() && std::env::var_os("CI").is_none() {
        eprintln!(
            "LEFT OUT: the crates that models need are not here: {}",
            said(&fetched)
        );
        return;
    }
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"));
    let built = build.arg("--target-dir").arg(&target).output().unwrap();
    assert!(built.status.success(), "{}", said(&built));
    for (backend, url) in [
        ("sqlite", sqlite),
        ("mariadb", of_mariadb),
        ("mysql", of_mysql),
        ("postgres", of_postgres),
    ] {
        let ran = Command::new(target.join("debug/models"))
            .args([backend, &url])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{backend}: {}", said(&ran));
    }
}

#[test]
fn a_changed_file_is_kept_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let world = World {
        folder: dir.path().to_owned(),
    };
    world.write(&[("one", format!("sqlite://{}", sqlite(dir.path())), "one", "")]);
    assert!(world.generate(&[]).status.success());
    let pair = dir.path().join("src/model/one/pair.rs");
    let written = fs::read_to_string(&pair).unwrap();
    fs::write(&pair, format!("{written}// mine\n")).unwrap();
    let refused = world.generate(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("pair.rs") && said(&refused).contains("--force"));
    assert!(fs::read_to_string(&pair).unwrap().ends_with("// mine\n"));
    assert!(world.generate(&["--force"]).status.success());
    assert_eq!(fs::read_to_string(&pair).unwrap(), written);
}

#[test]
fn what_is_wrong_is_reported_and_nothing_written() {
    let dir = tempfile::tempdir().unwrap();
    let world = World {
        folder: dir.path().to_owned(),
    };
    let refused = |status: i32, wanted: &str| {
        let output = world.generate(&[]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!dir.path().join("src").exists());
    };
    refused(2, "there is no such file");
    let file = sqlite(dir.path());
    let link = format!("sqlite://{file}");
    world.write(&[("one", link.clone(), "other", "")]);
    refused(2, "`link` leads to the database `one`");
    world.write(&[("one", "sqlite://none.db".to_owned(), "none", "")]);
    refused(1, "No such file");
    assert!(!dir.path().join("none.db").exists());
    world.write(&[("one", "root:hunter2@tcp(127.0.0.1:1)/a".to_owned(), "a", "")]);
    refused(1, "generateModel.json:2:");
    world.write(&[("one", link, "one", "")]);
    let path = dir.path().join("generateModel.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[], \"const\"", "\"piar\", \"const\"")).unwrap();
    refused(2, "did you mean `pair`?");
}

use diesel::sql_types::Text;

use super::*;
use crate::config::DatabaseUrl;
use crate::servers::mariadb::MariaDb;
use crate::servers::mysql::MySql;

#[derive(diesel::QueryableByName)]
struct Status {
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// The cipher of a connection; empty: clear text.
fn cipher(url: &str) -> Result<String, NoConnection> {
    use diesel_async::RunQueryDsl;

    actix_rt::System::new().block_on(async {
        let mut connection = connect(url).await?;
        let asked: Status = diesel::sql_query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
            .get_result(&mut connection)
            .await
            .unwrap();
        Ok(asked.value)
    })
}

#[track_caller]
fn encrypted(url: &str) {
    let cipher = cipher(url).unwrap_or_else(|why| panic!("{url}: {why}"));
    assert!(!cipher.is_empty(), "{url}");
}

/// As an answer, which is not waited for.
#[track_caller]
fn refused(url: &str, why: &str) {
    match cipher(url) {
        Err(NoConnection::Denied(refusal)) => assert!(refusal.contains(why), "{url}: {refusal}"),
        other => panic!("{url}: {other:?}"),
    }
}

/// The URL that a Go address with this parameter becomes.
fn go(url: &str, parameter: &str) -> String {
    let (login, at) = url
        .strip_prefix("mysql://")
        .unwrap()
        .split_once('@')
        .unwrap();
    let (host, name) = at.split_once('/').unwrap();
    let go = format!("{login}@tcp({host})/{name}?charset=utf8mb4&{parameter}");
    match go.parse().unwrap() {
        DatabaseUrl::Mysql(url) => url.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tls_modes_are_those_of_mysqls_own_clients() {
    for (query, mode) in [
        ("", Mode::Disabled),
        ("?ssl_mode=DISABLED", Mode::Disabled),
        ("?ssl-mode=REQUIRED", Mode::Required),
        ("?ssl_mode=preferred", Mode::Preferred),
        ("?ssl-mode=VERIFY-CA&ssl-ca=/a+b.pem", Mode::Verified),
        ("?ssl_mode=verify_identity", Mode::Verified),
        ("?require_ssl=true", Mode::Verified),
        ("?require_ssl=true&ssl_ca=a.pem", Mode::Verified),
        ("?require_ssl=true&verify_ca=false", Mode::Required),
        ("?require_ssl=false", Mode::Disabled),
    ] {
        let wanted = Wanted::read(&format!("mysql://u@h/d{query}")).unwrap();
        assert_eq!(wanted.mode, mode, "{query}");
        if query.contains("a+b") {
            assert_eq!(wanted.authority.as_deref(), Some("/a+b.pem"));
        }
    }
    for (query, why) in [
        ("ssl_mode=on", "wanted `disabled`"),
        ("ssl_mode=required&require_ssl=true", "says it all"),
        ("ssl_ca=a.pem", "of no use"),
        ("ssl_mode=required&ssl_ca=a.pem", "of no use"),
    ] {
        let refusal = check(&format!("mysql://u@h/d?{query}")).unwrap_err();
        assert!(refusal.contains(why), "{query}: {refusal}");
    }
}

#[test]
fn mariadb_is_encrypted_and_verified_as_the_address_asks() {
    let Some(server) = MariaDb::dedicated() else {
        return;
    };
    let url = server.database();
    assert_eq!(cipher(&url).unwrap(), "");
    assert_eq!(cipher(&format!("{url}?ssl_mode=preferred")).unwrap(), "");
    assert_eq!(cipher(&go(&url, "tls=preferred")).unwrap(), "");
    refused(&format!("{url}?ssl_mode=required"), "SSL");
    refused(&go(&url, "tls=skip-verify"), "SSL");

    is_encrypted_and_verified(&url, |certificate, key| {
        server.start_with_certificate(certificate, key);
    });
}

#[test]
fn mysql_is_encrypted_and_verified_as_the_address_asks() {
    let Some(server) = MySql::dedicated() else {
        return;
    };
    let url = server.database();
    assert_eq!(cipher(&url).unwrap(), "");
    // With the certificate that it made for itself at its first start.
    encrypted(&format!("{url}?ssl_mode=preferred"));
    encrypted(&go(&url, "tls=skip-verify"));
    refused(&go(&url, "tls=true"), "certificate");
    is_encrypted_and_verified(&url, |certificate, key| {
        server.start_with_certificate(certificate, key);
    });
}

/// `caching_sha2_password`: the first login after a start sends the password, by TLS or encrypted with the server's key.
#[test]
fn an_uncached_mysql_password_logs_in_either_way() {
    let Some(server) = MySql::dedicated() else {
        return;
    };
    let url = server.database();
    server.execute("CREATE USER u IDENTIFIED WITH caching_sha2_password BY 'p@ss:w+%/?#'");
    server.execute("GRANT ALL ON *.* TO u");
    let url = url.replace("root@", "u:p%40ss%3Aw%2B%25%2F%3F%23@");
    for mode in ["disabled", "required"] {
        // Empties the cache.
        server.execute("FLUSH PRIVILEGES");
        for _ in 0..2 {
            let cipher = cipher(&format!("{url}?ssl_mode={mode}")).unwrap();
            assert_eq!(cipher.is_empty(), mode == "disabled");
        }
        server.execute("FLUSH PRIVILEGES");
        let wrong = url.replace("ss%3A", "ss");
        refused(&format!("{wrong}?ssl_mode={mode}"), "1045");
    }
}

/// With a certificate for its address, of which it is the authority itself.
fn is_encrypted_and_verified(url: &str, start_with: impl Fn(&str, &str)) {
    let directory = tempfile::tempdir().unwrap();
    let made = |name: &str| {
        let names = vec!["127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let file = directory.path().join(name);
        std::fs::write(&file, made.cert.pem()).unwrap();
        (made, file.to_str().unwrap().to_owned())
    };
    let ((server, known), (_, stranger)) = (made("known.pem"), made("stranger.pem"));
    start_with(&server.cert.pem(), &server.signing_key.serialize_pem());
    assert_eq!(cipher(&format!("{url}?ssl_mode=disabled")).unwrap(), "");
    assert_eq!(cipher(&go(url, "tls=false")).unwrap(), "");
    encrypted(&format!("{url}?ssl_mode=preferred"));
    encrypted(&format!("{url}?ssl_mode=required"));
    encrypted(&format!("{url}?require_ssl=true&verify_ca=false"));
    encrypted(&go(url, "tls=preferred"));
    encrypted(&go(url, "tls=skip-verify"));
    for mode in [
        "ssl_mode=verify_ca",
        "ssl_mode=verify_identity",
        "require_ssl=true",
    ] {
        encrypted(&format!("{url}?{mode}&ssl_ca={known}"));
        refused(&format!("{url}?{mode}&ssl_ca={stranger}"), "certificate");
        refused(&format!("{url}?{mode}"), "certificate");
        refused(&format!("{url}?{mode}&ssl_ca={known}.not"), "ssl_ca");
    }
    refused(&go(url, "tls=true"), "certificate");
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let verified = format!("{elsewhere}?ssl_mode=verify_identity&ssl_ca={known}");
    refused(&verified, "localhost");
}

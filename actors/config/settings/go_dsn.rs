//! The Go project's database addresses, `user:password@tcp(host:port)/db?charset=…`, as URLs.
//!
//! As go-sql-driver/mysql reads them: the last `/` starts the database, the last `@` before it
//! ends the password, which may hold any character.

use url::form_urlencoded::byte_serialize;

use super::database::BadDatabaseUrl;

/// MySQL's port, where none is given.
const DEFAULT_PORT: u16 = 3_306;

/// Parameters without a meaning here: they tell Go how to convert values, or what our drivers do
/// in any case.
const WITHOUT_MEANING: [&str; 18] = [
    "allowCleartextPasswords",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "charset",
    "checkConnLiveness",
    "clientFoundRows",
    "collation",
    "columnsWithAlias",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "timeout",
    "writeTimeout",
];

/// Writes the address as a `mysql://` URL.
pub(super) fn to_url(text: &str) -> Result<String, BadDatabaseUrl> {
    let (server, database) = text.rsplit_once('/').ok_or(BadDatabaseUrl::Form)?;
    let (database, parameters) = database.split_once('?').unwrap_or((database, ""));
    let (login, address) = server.rsplit_once('@').ok_or(BadDatabaseUrl::Form)?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    check(parameters)?;

    let address = address.strip_suffix(')').ok_or(BadDatabaseUrl::Form)?;
    let (protocol, address) = address.split_once('(').ok_or(BadDatabaseUrl::Form)?;
    let (host, query) = match protocol {
        "tcp" => (host(address), String::new()),
        "unix" => (
            "localhost".to_owned(),
            format!("?socket={}", encoded(address)),
        ),
        _ => return Err(BadDatabaseUrl::Form),
    };
    let mut login = encoded(user);
    if !password.is_empty() {
        login.push(':');
        login.push_str(&encoded(password));
    }
    Ok(format!(
        "mysql://{login}@{host}/{}{query}",
        encoded(database)
    ))
}

fn host(address: &str) -> String {
    // The brackets of an IPv6 address hold colons too.
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    if has_port {
        address.to_owned()
    } else {
        format!("{address}:{DEFAULT_PORT}")
    }
}

/// Refuses what would mean something else without the parameter: encryption, session variables.
fn check(parameters: &str) -> Result<(), BadDatabaseUrl> {
    for parameter in parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty())
    {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let plain = name == "tls" && matches!(value, "false" | "preferred");
        if !plain && !WITHOUT_MEANING.contains(&name) {
            return Err(BadDatabaseUrl::GoParameter(name.to_owned()));
        }
    }
    Ok(())
}

fn encoded(text: &str) -> String {
    // Its `+` is a blank of forms, not of URLs; a plus sign itself is `%2B` by then.
    byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_addresses_become_urls() {
        for (go, url) in [
            (
                "root:123456@tcp(127.0.0.1:3306)/console?charset=utf8mb4&parseTime=True&loc=Local",
                "mysql://root:123456@127.0.0.1:3306/console",
            ),
            ("root@tcp(db)/a", "mysql://root@db:3306/a"),
            (
                "u:p@ss/w:rd%+ #?@tcp([::1]:3307)/a",
                "mysql://u:p%40ss%2Fw%3Ard%25%2B%20%23%3F@[::1]:3307/a",
            ),
            ("u:p@tcp([::1])/a?tls=false", "mysql://u:p@[::1]:3306/a"),
            ("u:密@tcp(h:1)/a", "mysql://u:%E5%AF%86@h:1/a"),
            (
                "u:p@unix(/run/m.sock)/a",
                "mysql://u:p@localhost/a?socket=%2Frun%2Fm.sock",
            ),
        ] {
            assert_eq!(to_url(go).as_deref(), Ok(url), "{go}");
            assert!(url::Url::parse(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn what_would_be_lost_is_refused() {
        for parameter in [
            "tls=true",
            "tls=skip-verify",
            "sql_mode=ANSI",
            "time_zone=%27UTC%27",
        ] {
            let name = parameter.split('=').next().unwrap_or_default();
            assert_eq!(
                to_url(&format!("u:p@tcp(h)/a?{parameter}")),
                Err(BadDatabaseUrl::GoParameter(name.to_owned()))
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "/",
            "h/a",
            "u@h/a",
            "u@tcp(h/a",
            "u@udp(h)/a",
            "u@tcp)h(/a",
        ] {
            assert_eq!(to_url(text), Err(BadDatabaseUrl::Form), "{text}");
        }
    }
}

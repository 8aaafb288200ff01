//! The Go project's database addresses, `user:password@tcp(host:port)/db?charset=…`, as URLs.
//!
//! As go-sql-driver/mysql reads them: the last `/` starts the database, the last `@` before it
//! ends the password, which may hold any character.

use url::form_urlencoded::byte_serialize;

use super::database::BadDatabaseUrl;

/// MySQL's port, where none is given.
const DEFAULT_PORT: u16 = 3_306;

/// Parameters without a meaning here: they say how Go converts values, or ask for what our drivers
/// do in any case.
const WITHOUT_MEANING: [&str; 17] = [
    "allowCleartextPasswords",
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
    let mut query = parameters_of(parameters)?;

    let address = address.strip_suffix(')').ok_or(BadDatabaseUrl::Form)?;
    let (protocol, address) = address.split_once('(').ok_or(BadDatabaseUrl::Form)?;
    let host = match protocol {
        "tcp" => host(address),
        "unix" => {
            query.push(format!("socket={}", encoded(address)));
            "localhost".to_owned()
        }
        _ => return Err(BadDatabaseUrl::Form),
    };
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
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

/// Those that mean something here, as those of a URL. What would mean something else without the parameter is refused:
/// session variables, an encryption that the Go program knows by a name.
fn parameters_of(parameters: &str) -> Result<Vec<String>, BadDatabaseUrl> {
    let mut query = Vec::new();
    let (mut tls, mut falls_back) = (None, false);
    let parameters = parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty());
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "tls" => tls = Tls::read(value)?,
            "allowFallbackToPlaintext" => falls_back = is_true(value),
            "allowCleartextPasswords" if is_true(value) => {
                query.push("enable_cleartext_plugin=true".to_owned());
            }
            _ if WITHOUT_MEANING.contains(&name) => {}
            _ => return Err(BadDatabaseUrl::GoParameter(name.to_owned())),
        }
    }
    match tls {
        None => {}
        Some(Tls::SkipVerify) if falls_back => query.push(Tls::Preferred.mode()),
        // Clear text for want of a right certificate: there is no such mode.
        Some(Tls::True) if falls_back => {
            let name = "allowFallbackToPlaintext";
            return Err(BadDatabaseUrl::GoParameter(name.to_owned()));
        }
        Some(tls) => query.push(tls.mode()),
    }
    Ok(query)
}

/// What the parameter `tls` asks for.
#[derive(Debug, Clone, Copy)]
enum Tls {
    True,
    SkipVerify,
    Preferred,
}

impl Tls {
    fn read(value: &str) -> Result<Option<Self>, BadDatabaseUrl> {
        match value.to_lowercase().as_str() {
            "1" | "true" => Ok(Some(Self::True)),
            "0" | "false" => Ok(None),
            "skip-verify" => Ok(Some(Self::SkipVerify)),
            "preferred" => Ok(Some(Self::Preferred)),
            _ => Err(BadDatabaseUrl::GoTls(value.to_owned())),
        }
    }

    fn mode(self) -> String {
        let mode = match self {
            Self::True => "verify_identity",
            Self::SkipVerify => "required",
            Self::Preferred => "preferred",
        };
        format!("ssl_mode={mode}")
    }
}

/// As the Go driver reads a yes.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "true" | "TRUE" | "True")
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
                "u:p@tcp(h)/a?tls=true&charset=utf8mb4",
                "mysql://u:p@h:3306/a?ssl_mode=verify_identity",
            ),
            (
                "u:p@tcp(h)/a?tls=skip-verify&allowCleartextPasswords=true",
                "mysql://u:p@h:3306/a?enable_cleartext_plugin=true&ssl_mode=required",
            ),
            (
                "u:p@tcp(h)/a?tls=Preferred",
                "mysql://u:p@h:3306/a?ssl_mode=preferred",
            ),
            (
                "u:p@tcp(h)/a?allowFallbackToPlaintext=true&tls=skip-verify",
                "mysql://u:p@h:3306/a?ssl_mode=preferred",
            ),
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
        assert_eq!(
            to_url("u:p@tcp(h)/a?tls=ours"),
            Err(BadDatabaseUrl::GoTls("ours".to_owned()))
        );
        for parameter in [
            "allowFallbackToPlaintext=true&tls=true",
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

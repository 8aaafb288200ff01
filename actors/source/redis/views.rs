//! Reads each Sentinel's view of a service, to explain why no primary was found.

use std::collections::HashMap;

use bb8_redis::redis::{Client, ConnectionInfo, ErrorKind, RedisError, Role, cmd};
use futures_util::future::join_all;

/// The view of one Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum View {
    Unreachable(String),
    /// The Sentinel refuses this login.
    Refused(String),
    NoSentinel,
    /// The Sentinel does not know the service. It knows these.
    Unknown(Vec<String>),
    /// The Sentinel considers the primary down, for these reasons.
    Down {
        primary: String,
        flags: String,
    },
    Named {
        primary: String,
    },
}

/// The views of all Sentinels, each with its address.
pub(super) struct Views(Vec<(String, View)>);

impl Views {
    pub(super) async fn ask(each: &[ConnectionInfo], service: &str) -> Self {
        let views = each.iter().map(|info| async move {
            let view = match masters(info).await {
                Ok(Some(masters)) => View::of(masters, service),
                Ok(None) => View::NoSentinel,
                Err(cause) if is_login(&cause) => View::Refused(text(&cause)),
                Err(cause) => View::Unreachable(text(&cause)),
            };
            (info.addr().to_string(), view)
        });
        Self(join_all(views).await)
    }

    /// Why there is no primary, and the remedy. The most specific view decides. `cause`: why the primary that was named
    /// could not be used.
    pub(super) fn explain(&self, service: &str, cause: Option<String>) -> String {
        let first = |wanted: fn(&View) -> bool| self.0.iter().find(|(_, view)| wanted(view));
        if let Some((_, View::Named { primary })) = first(|view| matches!(view, View::Named { .. }))
        {
            let cause = cause.unwrap_or_else(|| "it does not answer".to_owned());
            return format!("its primary {primary}, by the Sentinels: {cause}");
        }
        if let Some((sentinel, View::Down { primary, flags })) =
            first(|view| matches!(view, View::Down { .. }))
        {
            return format!(
                "its primary {primary} is down ({flags}) for the Sentinel {sentinel}, and no replica is promoted yet; where \
                 that lasts, look at the log of the Sentinels: too few of them may see each other, or no replica may be fit"
            );
        }
        if let Some((sentinel, View::Unknown(known))) =
            first(|view| matches!(view, View::Unknown(_)))
        {
            let known = if known.is_empty() {
                "no service".to_owned()
            } else {
                known
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            return format!(
                "the Sentinel {sentinel} does not know the service `{service}`; it knows {known}"
            );
        }
        if let Some((address, _)) = first(|view| matches!(view, View::NoSentinel)) {
            return format!(
                "{address} is no Sentinel; the addresses in `url` must be those of Sentinels, which listen on 26379 as a rule"
            );
        }
        if let Some((sentinel, View::Refused(why))) = first(|view| matches!(view, View::Refused(_)))
        {
            return format!(
                "the Sentinel {sentinel} lets nobody in: {why}; `?sentinel_username=…&sentinel_password=…` at the end of \
                 `url` are its own user and password"
            );
        }
        let each = self.0.iter().map(|(sentinel, view)| match view {
            View::Unreachable(why) => format!("{sentinel}: {why}"),
            _ => sentinel.clone(),
        });
        format!(
            "none of its Sentinels can be reached ({})",
            each.collect::<Vec<_>>().join("; ")
        )
    }
}

impl View {
    fn of(mut masters: Vec<HashMap<String, String>>, service: &str) -> Self {
        let name =
            |master: &HashMap<String, String>| master.get("name").cloned().unwrap_or_default();
        let Some(at) = masters.iter().position(|master| name(master) == service) else {
            return Self::Unknown(masters.iter().map(name).collect());
        };
        let master = masters.swap_remove(at);
        let field = |name: &str| master.get(name).cloned().unwrap_or_default();
        let (primary, flags) = (format!("{}:{}", field("ip"), field("port")), field("flags"));
        if flags.contains("s_down") || flags.contains("o_down") {
            Self::Down { primary, flags }
        } else {
            Self::Named { primary }
        }
    }
}

/// `None`: it is no Sentinel.
async fn masters(
    info: &ConnectionInfo,
) -> Result<Option<Vec<HashMap<String, String>>>, RedisError> {
    let client = Client::open(info.clone())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let role: Result<Role, RedisError> = cmd("ROLE").query_async(&mut connection).await;
    if role.is_ok_and(|role| !matches!(role, Role::Sentinel { .. })) {
        return Ok(None);
    }
    let masters = cmd("SENTINEL")
        .arg("MASTERS")
        .query_async(&mut connection)
        .await?;
    Ok(Some(masters))
}

fn is_login(cause: &RedisError) -> bool {
    cause.kind() == ErrorKind::AuthenticationFailed
        || matches!(cause.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"))
}

fn text(cause: &RedisError) -> String {
    match cause.code() {
        Some(code) => format!("{code} {}", cause.detail().unwrap_or_default()),
        None => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(views: &[View], cause: Option<&str>) -> String {
        let views = views.iter().enumerate();
        let views = views.map(|(number, view)| (format!("s{number}:1"), view.clone()));
        Views(views.collect()).explain("orders", cause.map(str::to_owned))
    }

    #[test]
    fn the_view_that_says_most_decides() {
        let away = View::Unreachable("connection refused".to_owned());
        let unknown = View::Unknown(vec!["a".to_owned(), "b".to_owned()]);
        let down = View::Down {
            primary: "p:1".to_owned(),
            flags: "master,s_down".to_owned(),
        };
        let named = View::Named {
            primary: "p:1".to_owned(),
        };
        for (views, wanted) in [
            (
                vec![away.clone(), away.clone()],
                "none of its Sentinels can be reached (s0:1: connection refused; s1:1: connection refused)",
            ),
            (
                vec![away.clone(), unknown.clone()],
                "the Sentinel s1:1 does not know the service `orders`; it knows `a`, `b`",
            ),
            (
                vec![View::Unknown(Vec::new())],
                "the Sentinel s0:1 does not know the service `orders`; it knows no service",
            ),
            (
                vec![View::NoSentinel, away.clone()],
                "s0:1 is no Sentinel; the addresses in `url` must be those of Sentinels",
            ),
            (
                vec![away.clone(), View::Refused("NOAUTH".to_owned())],
                "the Sentinel s1:1 lets nobody in: NOAUTH; `?sentinel_username",
            ),
            (
                vec![unknown, down.clone()],
                "its primary p:1 is down (master,s_down) for the Sentinel s1:1",
            ),
            (vec![down, named], "its primary p:1, by the Sentinels: gone"),
        ] {
            let text = explained(&views, Some("gone"));
            assert!(text.starts_with(wanted), "{text}");
        }
    }
}

//! How a daemon shows a receiver that it may send.

use crate::config::secret::Secret;
use crate::jsonc::node::Node;
use crate::jsonc::object::Object;
use crate::jsonc::sketch::Form;

/// What goes into the header `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookAuth {
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Bearer(Secret),
}

impl WebhookAuth {
    /// The keys `basic` and `bearer`, of which one may be there.
    pub(super) fn read(o: &Object<'_, '_>) -> Option<Option<Self>> {
        let basic = o.maybe("basic", basic);
        let bearer = o.maybe("bearer", |node| {
            let token = header_text(node, "a token")?;
            Some(Self::Bearer(Secret::new(token)))
        });
        match (basic?, bearer?) {
            (Some(_), Some(_)) => {
                o.place_of("bearer").fault(
                    "`basic` and `bearer` are two ways to do one thing; one of them would be right",
                );
                None
            }
            (basic, bearer) => Some(basic.or(bearer)),
        }
    }
}

fn basic(node: &Node<'_>) -> Option<WebhookAuth> {
    node.object(|o| {
        let user = o.required("user", "the user's name", |node| {
            let user = node.name(LONGEST_USER)?;
            if user.contains(':') {
                node.fault("a user's name cannot have a `:` here");
                return None;
            }
            Some(user)
        });
        let password = o.required("password", "the user's password", |node| {
            node.secret_string().map(Secret::new)
        });
        Some(WebhookAuth::Basic {
            user: user?,
            password: password?,
        })
    })
}

/// No server has longer ones.
const LONGEST_USER: usize = 255;

/// A secret that fits into a header.
fn header_text(node: &Node<'_>, what: &str) -> Option<String> {
    let text = node.secret_string()?;
    node.has_form(|| Form {
        pattern: "^[!-~]+$".to_owned(),
        what: "letters, digits and signs, without blanks",
        chinese: "字母、数字和符号，不含空格",
    });
    let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        node.fault(format!(
            "{what} is made of letters, digits and signs, without blanks; this one is not"
        ));
        return None;
    }
    Some(text)
}

//! English and Chinese. A text is a method of [`Language`] that has both, so one that lacks a language does not compile, and
//! one that no page shows is a warning of the compiler.

use actix_web::HttpRequest;
use actix_web::http::header::{ACCEPT_LANGUAGE, COOKIE};

/// The cookie of the switch.
pub(super) const COOKIE_NAME: &str = "language";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// For `lang`, the cookie and the switch.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    pub(super) fn of_code(code: &str) -> Option<Self> {
        let each = [Self::English, Self::Chinese];
        each.into_iter().find(|language| language.code() == code)
    }

    /// As the switch was set last, else as the browser asks.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let header = |name| {
            let value = request.headers().get(name)?;
            value.to_str().ok()
        };
        let chosen = header(COOKIE).and_then(|cookies| {
            let mut cookies = cookies.split(';').filter_map(|one| one.split_once('='));
            let (_, code) = cookies.find(|(name, _)| name.trim() == COOKIE_NAME)?;
            Self::of_code(code.trim())
        });
        chosen.unwrap_or_else(|| preferred(header(ACCEPT_LANGUAGE).unwrap_or_default()))
    }
}

/// The first of the languages with the highest weight that we have.
fn preferred(accepted: &str) -> Language {
    let mut best = (Language::English, 0.0);
    for one in accepted.split(',') {
        let (tag, weight) = one.split_once(';').unwrap_or((one, "q=1"));
        let weight = weight
            .trim()
            .trim_start_matches("q=")
            .parse()
            .unwrap_or(0.0);
        let primary = tag.trim().split('-').next().unwrap_or_default();
        if let Some(language) = Language::of_code(&primary.to_ascii_lowercase())
            && weight > best.1
        {
            best = (language, weight);
        }
    }
    best.0
}

/// Texts in both languages: `name: "English", "中文";`, and with parts that are filled in `name(part): "… {part} …", "…";`.
macro_rules! texts {
    (@one $name:ident [] $english:literal $chinese:literal) => {
        pub(in crate::http::page) const fn $name(self) -> &'static str {
            match self {
                Self::English => $english,
                Self::Chinese => $chinese,
            }
        }
    };
    (@one $name:ident [$($part:ident),+] $english:literal $chinese:literal) => {
        pub(in crate::http::page) fn $name(self, $($part: impl std::fmt::Display),+) -> String {
            match self {
                Self::English => format!($english),
                Self::Chinese => format!($chinese),
            }
        }
    };
    ($($name:ident $(($($part:ident),+))? : $english:literal, $chinese:literal;)*) => {
        impl $crate::http::page::language::Language {
            $($crate::http::page::language::texts! { @one $name [$($($part),+)?] $english $chinese })*
        }
    };
}
pub(super) use texts;

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_browser_says_which_language_and_the_switch_goes_first() {
        for (accepted, cookie, language) in [
            ("", "", Language::English),
            ("zh-CN,zh;q=0.9,en;q=0.8", "", Language::Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", "", Language::English),
            ("de,zh-Hans;q=0.3", "", Language::Chinese),
            ("de", "", Language::English),
            ("zh", "a=b; language=en", Language::English),
            ("en", "language=zh", Language::Chinese),
            ("zh", "language=<script>", Language::Chinese),
            ("zh;q=x", "xlanguage=en", Language::English),
        ] {
            let request = TestRequest::get()
                .insert_header((ACCEPT_LANGUAGE, accepted))
                .insert_header((COOKIE, cookie))
                .to_http_request();
            assert_eq!(Language::of(&request), language, "{accepted:?} {cookie:?}");
        }
    }
}

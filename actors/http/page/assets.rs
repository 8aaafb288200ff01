//! Scripts and styles, in the program itself. Their URL has their hash, so a browser keeps them for good.

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use sha2::{Digest, Sha256};

use crate::http::answers::refusal;

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Those that are not ours have their licence beside them, in `assets/`.
static ASSETS: [Asset; 6] = [
    Asset {
        name: "style.css",
        kind: STYLE,
        bytes: include_bytes!("assets/style.css"),
    },
    Asset {
        name: "page.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/page.js"),
    },
    // idiomorph 0.8.0: makes a page what another one is, and keeps the focus.
    Asset {
        name: "idiomorph.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/idiomorph.js"),
    },
    // uPlot 1.6.32: charts.
    Asset {
        name: "uplot.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/uplot.js"),
    },
    Asset {
        name: "uplot.css",
        kind: STYLE,
        bytes: include_bytes!("assets/uplot.css"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("assets/icon.svg"),
    },
];

static HASH: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.bytes);
    }
    let bytes = hash.finalize();
    bytes.iter().take(8).map(|b| format!("{b:02x}")).collect()
});

/// That of all of them.
pub(super) fn hash() -> &'static str {
    &HASH
}

/// A page of another release asks for what is not here any more: it loads itself again.
pub(super) async fn asset(path: web::Path<(String, String)>) -> HttpResponse {
    let (hash, name) = path.into_inner();
    let found = ASSETS.iter().find(|asset| asset.name == name);
    match found.filter(|_| hash == *HASH) {
        Some(asset) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, asset.kind))
            .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
            .body(asset.bytes),
        None => refusal(StatusCode::NOT_FOUND, "there is no such script or style"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_have_less_than_150_kilobytes() {
        let bytes: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        println!("scripts and styles: {bytes} bytes");
        assert!(bytes < 150_000, "{bytes}");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in &ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for part in [
                "@import",
                "url(http",
                "src=\"http",
                "fetch(\"http",
                "importScripts",
            ] {
                assert!(!text.contains(part), "{}: {part}", asset.name);
            }
        }
    }
}

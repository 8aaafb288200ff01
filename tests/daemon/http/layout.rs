//! What a page must look like, as far as a program can see: on a phone filters are folded and no list is scrolled
//! sideways, and no ordinary word is broken in the middle.

use fantoccini::Client;
use serde_json::json;

use super::page::Steps;
use super::page::looks::View;

/// Below this width the page is a phone's.
const PHONE: u32 = 640;

/// A word of letters that is no longer than this fits into each cell. Code is left out: it may be broken anywhere.
const SCRIPT: &str = r"
const [isPhone] = arguments, faults = [];
for (const list of document.querySelectorAll('.scroll > table.stack')) {
  const box = list.parentElement;
  if (isPhone && box.scrollWidth > box.clientWidth + 1) faults.push(`scrolls sideways: ${box.getAttribute('aria-label')}`);
}
const filters = document.querySelector('details.filters');
if (filters && !filters.open && filters.querySelector('form').checkVisibility() === isPhone) faults.push('filters');
for (const cell of document.querySelectorAll('tbody td, tbody th')) {
  const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest('code, pre, .hidden')) continue;
    for (const word of text.data.matchAll(/\S+/g)) {
      if (!/^[A-Za-z]{2,14}$/.test(word[0])) continue;
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((rect) => Math.round(rect.top)));
      if (lines.size > 1) faults.push(`broken: ${word[0]}`);
    }
  }
}
return faults;
";

pub async fn faults(page: &Client, view: &View) -> Steps<Vec<String>> {
    let found = page
        .execute(SCRIPT, vec![json!(view.width < PHONE)])
        .await?;
    let found = found.as_array().cloned().unwrap_or_default();
    Ok(found.iter().map(ToString::to_string).collect())
}

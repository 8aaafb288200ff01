"use strict";
// Refreshes the page from its own URL, gives orders without leaving it, draws charts, and writes times in the browser's zone.
// Without it all pages read and order as well.
(() => {
  const body = document.body;
  let busy = false;
  let failedSince = null;

  // Times: the browser's zone in the text, the daemon's on hover.
  const two = (n) => String(n).padStart(2, "0");
  const shown = (at, isWhole) => {
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    const now = new Date();
    if (isWhole) return `${at.getFullYear()}-${day} ${clock}`;
    if (at.toDateString() === now.toDateString()) return clock;
    return at.getFullYear() === now.getFullYear() ? `${day} ${clock}` : `${at.getFullYear()}-${day} ${clock}`;
  };
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (!Number.isNaN(at.getTime())) time.textContent = shown(at, time.hasAttribute("data-whole"));
    }
    for (const note of root.querySelectorAll("[data-zone-note]")) note.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  };

  // Charts. uPlot draws on a canvas: its colours come from the style sheet.
  const charts = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const spans = [[1, 1, "s"], [1e-3, 1e3, "ms"], [0, 1e6, "µs"]];
  const seconds = (value) => {
    if (!value) return value == null ? "–" : "0";
    const [, factor, unit] = spans.find(([least]) => value >= least);
    return `${+(value * factor).toPrecision(3)} ${unit}`;
  };
  const number = (value) => (value == null ? "–" : value >= 100 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3)));
  const chartOf = (figure, data, labels) => {
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--soft"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
    const strokes = [colour("--done"), colour("--failed")];
    const dashed = figure.dataset.chart.startsWith("wanted");
    const say = figure.dataset.chart.endsWith("seconds") ? seconds : number;
    return new uPlot({
      width: figure.clientWidth - 24,
      height: 150,
      cursor: { y: false },
      // The hour, however much of it there is.
      scales: { x: { range: (_, __, last) => [last - 3600, last] }, y: { range: (_, __, top) => [0, top > 0 ? top * 1.1 : 1] } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((s) => { const at = new Date(s * 1000); return `${two(at.getHours())}:${two(at.getMinutes())}`; }) },
        { ...axis, size: 56, values: (_, ticks) => ticks.map(say) },
      ],
      series: [
        { value: (_, s) => (s == null ? "" : shown(new Date(s * 1000))), label: "" },
        ...labels.map((label, at) => ({
          label,
          stroke: strokes[at],
          width: 1.5,
          points: { show: false },
          dash: dashed && at === 0 ? [4, 3] : undefined,
          value: (_, value) => say(value),
        })),
      ],
    }, data, figure);
  };
  const draw = async () => {
    const group = document.querySelector("[data-history]");
    if (!group || typeof uPlot === "undefined") return;
    const answer = await fetch(group.dataset.history);
    if (!answer.ok) return;
    const hour = await answer.json();
    if (hour.last_ms == null) return;
    for (const figure of group.querySelectorAll("figure[data-chart]")) {
      const series = figure.dataset.chart.split(",").map((name) => hour[name]);
      const length = series[0].length;
      const times = Array.from({ length }, (_, at) => hour.last_ms / 1000 - (length - 1 - at) * hour.interval_seconds);
      const rate = figure.dataset.rate ? hour.interval_seconds : 1;
      const data = [times, ...series.map((points) => points.map((value) => (value == null ? null : value / rate)))];
      const known = charts.get(figure);
      if (known) known.setData(data);
      else {
        figure.querySelector("svg")?.remove();
        charts.set(figure, chartOf(figure, data, figure.dataset.labels.split(",")));
      }
    }
  };
  const redraw = () => {
    for (const chart of charts.values()) chart.destroy();
    charts.clear();
    draw().catch(() => {});
  };
  addEventListener("resize", () => {
    for (const [figure, chart] of charts) chart.setSize({ width: figure.clientWidth - 24, height: 150 });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // Copies what a payload's block shows, and reports it to screen readers. A page of plain HTTP at an address that
  // is not this machine's has no clipboard: there the older way is tried, and the text stays selected.
  const enable = (root) => { for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false; };
  const select = (block) => {
    block.closest("details")?.setAttribute("open", "");
    const range = document.createRange();
    range.selectNodeContents(block);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  const copy = async (block) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(block.textContent);
    select(block);
    if (!document.execCommand("copy")) throw new Error("not copied");
    getSelection().removeAllRanges();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    if (!button) return;
    const [block, said] = [document.getElementById(button.dataset.copy), button.nextElementSibling];
    said.textContent = "";
    try {
      await copy(block);
      said.textContent = button.dataset.copied;
    } catch {
      select(block);
      said.textContent = button.dataset.refused;
    }
  });

  // What a person opened, ticked or typed stays as it is, and charts are the scripts' own.
  const swap = (main) => {
    localise(main);
    enable(main);
    const log = document.querySelector("[data-tail]");
    const atEnd = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    Idiomorph.morph(document.getElementById("main"), main, {
      callbacks: {
        beforeNodeMorphed: (old) => !(old.nodeType === 1 && old.matches("figure[data-chart], input:not([type=hidden]), textarea, select")),
        beforeAttributeUpdated: (name, node) => !(name === "open" && node.localName === "details"),
      },
    });
    const after = document.querySelector("[data-tail]");
    if (atEnd && after) after.scrollTop = after.scrollHeight;
  };
  const parse = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");

  const silent = (isSilent) => {
    const note = document.getElementById("silent");
    if (!isSilent) { failedSince = null; note.hidden = true; return; }
    failedSince ??= new Date();
    note.textContent = `${body.dataset.silent} ${shown(failedSince)}`;
    note.hidden = false;
  };
  const own = () => { const url = new URL(location.href); url.searchParams.delete("answer"); url.hash = ""; return url; };
  const refresh = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(own(), { headers: { accept: "text/html" } });
      const page = await parse(answer);
      const main = page.getElementById("main");
      if (!main || !page.body.dataset.assets) throw new Error("no page");
      if (page.body.dataset.assets !== body.dataset.assets) return location.reload();
      body.dataset.refresh = page.body.dataset.refresh;
      swap(main);
      silent(false);
      await draw();
    } catch {
      silent(true);
    } finally {
      busy = false;
    }
  };
  const every = () => Number(body.dataset.refresh) * 1000;
  const again = () => {
    const pause = every();
    if (pause > 0) setTimeout(async () => { await refresh(); again(); }, pause);
  };

  // Orders: the same forms, sent from here, so that the place on the page is kept.
  const flash = (text, isGood) => {
    const note = document.createElement("p");
    note.className = `note ${isGood ? "good" : "bad"}`;
    note.textContent = text;
    document.getElementById("flash").replaceChildren(note);
  };
  const order = async (form, button) => {
    const fields = new URLSearchParams(new FormData(form));
    if (button?.name) fields.append(button.name, button.value);
    const answer = await fetch(button?.getAttribute("formaction") ?? form.action, { method: "POST", body: fields, headers: { accept: "text/html" } });
    const page = await parse(answer);
    const said = page.querySelector("#flash .note");
    if (!said) throw new Error(`${answer.status} ${page.body.textContent.trim().slice(0, 300)}`);
    said.querySelector(".close")?.remove();
    flash(said.textContent.trim(), said.classList.contains("good"));
    form.closest("details.confirm")?.removeAttribute("open");
    const main = page.getElementById("main");
    // Where the order leads to another page, that one is shown.
    const there = new URL(answer.url);
    there.searchParams.delete("answer");
    if (answer.ok && there.pathname !== location.pathname) return location.assign(answer.url);
    if (answer.ok && main) swap(main);
    // Daemons read orders once a second: then the page shows what this one has changed.
    setTimeout(refresh, 1500);
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    // A moment that is typed is meant in the browser's zone, as that was then; the daemon needs to know.
    const zone = form.querySelector("input[data-zone]");
    const typed = form.querySelector("input[type=datetime-local]")?.value;
    if (zone) zone.value = String(-(typed ? new Date(typed) : new Date()).getTimezoneOffset());
    if (form.method !== "post" || form.hasAttribute("data-plain")) return;
    event.preventDefault();
    const buttons = form.querySelectorAll("button");
    const press = (disabled) => buttons.forEach((button) => { button.toggleAttribute("data-busy", disabled); });
    if (form.querySelector("[data-busy]")) return;
    press(true);
    order(form, event.submitter).catch((cause) => flash(String(cause.message ?? cause), false)).finally(() => press(false));
  });
  // A sentence that asks closes by Escape, and returns the focus.
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector("details.confirm[open]");
    if (!open) return;
    open.removeAttribute("open");
    open.querySelector("summary").focus();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

  localise(document);
  enable(document);
  if (location.search.includes("answer=")) history.replaceState(null, "", own());
  draw().catch(() => {});
  again();
})();

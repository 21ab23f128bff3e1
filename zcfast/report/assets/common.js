"use strict";
// What the pages share: the data, texts, tables, plots and the theme.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const views = new Map();

// -- Text ------------------------------------------------------------------------------------------------------------
const UNDEFINED = "–";
const fixed = (value, digits) => (value === null ? UNDEFINED : value.toFixed(digits).replace("-", "−"));
const whole = (value) => (value === null ? UNDEFINED : Math.round(value).toLocaleString("en"));
const percent = (share) => `${+(100 * share).toFixed(2)} %`;

function element(tag, text, properties = {}) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  return made;
}

function fillTable(table, caption, headings, rows) {
  const head = element("thead"), body = element("tbody"), line = element("tr");
  line.append(...headings.map((heading) => element("th", heading, { scope: "col" })));
  head.append(line);
  body.append(...rows);
  table.replaceChildren(head, body);
  table.setAttribute("aria-label", caption);
}

function tableRow(cells, chosen = false) {
  const row = element("tr", undefined, { className: chosen ? "chosen" : "" });
  row.append(element("th", cells[0], { scope: "row" }), ...cells.slice(1).map((cell) => element("td", cell)));
  return row;
}

async function plot(target, specification, renderer) {
  views.get(target)?.finalize();
  views.delete(target);
  const result = await vegaEmbed(target, specification, { actions: false, ast: true, renderer, tooltip: { theme: isDark() ? "dark" : "light" } });
  views.set(target, result);
}

function markTheme() {
  byId("theme").setAttribute("aria-pressed", String(isDark()));
}

// Draw now, and again where the theme or the width changes.
function start(update) {
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    markTheme();
    update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { markTheme(); update(); });
  let width = innerWidth, waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(update, 150);
  });
  markTheme();
  update();
}

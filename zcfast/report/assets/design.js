"use strict";
(() => {
  const PAGE = 50; // rows of the table at once
  const PLACE = -1; // in place of a column
  const count = data.places.length;
  const value = (column, row) => {
    const found = data.columns[column].values[row];
    return typeof found === "string" ? Number(found) : found; // JSON has no infinity
  };
  const written = (number) => {
    if (number === null) return UNDEFINED;
    const text = Number.isInteger(number) ? number.toLocaleString("en") : String(+number.toPrecision(6));
    return text.replace("-", "−").replace("Infinity", "∞");
  };
  const column = (name) => data.columns.findIndex((each) => each.name === name);
  const option = (choice, row) => (choice.of[row] < 0 ? UNDEFINED : choice.options[choice.of[row]]);
  const stateOf = (row) => data.states[data.state[row]];
  const architecture = (row) => data.choices.filter((choice) => choice.of[row] >= 0)
    .map((choice) => (data.choices.length === 1 ? option(choice, row) : `${choice.name} ${option(choice, row)}`)).join(", ");

  // -- What the filters say --------------------------------------------------------------------------------------------
  function fillSelect(id, options) {
    byId(id).append(...options.map(([value, text]) => element("option", text, { value })));
    byId(id).addEventListener("change", update);
  }

  const cost = () => data.costs[Number(byId("cost").value)];
  const against = () => Number(byId("against").value);
  const onFront = () => new Set(data.fronts[cost()] ?? []);

  // -- The plot --------------------------------------------------------------------------------------------------------
  function drawTradeOff() {
    const target = byId("trade-off"), name = cost();
    if (name === undefined) {
      target.replaceChildren(element("p", "The space counts no sizes, and there was no limit: nothing to trade off.", { className: "empty" }));
      return null;
    }
    const front = onFront(), x = column(name), by = against(), finite = (number) => (Number.isFinite(number) ? number : null);
    const values = [];
    for (let row = 0; row < count; row += 1) {
      const at = value(x, row), y = by === PLACE ? data.places[row] : value(by, row);
      if (!Number.isFinite(at)) continue;
      const place = data.places[row] === null ? stateOf(row) : written(data.places[row]);
      values.push({ x: at, y: data.places[row] === null ? null : finite(y), front: front.has(row), place, xText: written(at), yText: written(y), name: architecture(row) });
    }
    const title = by === PLACE ? "place (1 is the best)" : named(by);
    const over = values.filter((each) => each.y === null).length;
    const words = `${title} against ${name}: ${whole(values.length)} architectures, ${whole(front.size)} on the front, ${whole(over)} over a limit or without a score`;
    fillLegend(over, data.limits[name] ?? null);
    const sizes = { words, cost: named(x), against: title, limit: data.limits[name] ?? null, byPlace: by === PLACE, ranked: data.ranked, width: target.clientWidth };
    return plot(target, tradeOff(values, sizes), values.length > 3000 ? "canvas" : "svg");
  }

  const named = (id) => (data.columns[id].unit ? `${data.columns[id].name} (${data.columns[id].unit})` : data.columns[id].name);

  function fillLegend(over, limit) {
    const entries = [["accent", "on the front", ""], ["faint", "ranked", ""]];
    if (over) entries.push(["negative", "over a limit or without a score", ""]);
    if (limit !== null) entries.push(["negative", `limit ${written(limit)}`, "dashed"]);
    byId("legend").replaceChildren(...entries.map(([ink, words, style]) => {
      const entry = element("span"), mark = element("i", undefined, { className: style });
      mark.style.borderColor = colour(ink);
      entry.append(mark, element("span", words));
      return entry;
    }));
  }

  // -- The table -------------------------------------------------------------------------------------------------------
  const headings = [
    { name: "place", key: (row) => data.places[row], text: (row) => written(data.places[row]) },
    { name: "state", key: (row) => data.state[row], text: (row) => stateOf(row) || (onFront().has(row) ? "on the front" : "") },
    ...data.columns.map(({ name }, id) => ({ name, key: (row) => value(id, row), text: (row) => written(value(id, row)) })),
    ...data.choices.map((choice) => ({ name: choice.name, key: (row) => (choice.of[row] < 0 ? null : choice.of[row]), text: (row) => option(choice, row) })),
  ];
  const sorting = { by: 0, down: false, shown: PAGE };
  const SHOWN = [
    ["all", () => true],
    ["on the front", (row) => onFront().has(row)],
    ["ranked", (row) => data.places[row] !== null],
    ["over a limit or without a score", (row) => data.places[row] === null],
  ];

  function sorted() {
    const rows = Array.from({ length: count }, (_, row) => row).filter(SHOWN[Number(byId("show").value)][1]);
    const { key } = headings[sorting.by], sign = sorting.down ? -1 : 1;
    return rows.map((row) => [key(row), row]).sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // what is missing comes last
      return a === b ? i - j : sign * (a < b ? -1 : 1);
    }).map(([, row]) => row);
  }

  function fillTried() {
    const rows = sorted(), shown = rows.slice(0, sorting.shown);
    fillTable(byId("tried"), "Everything that was tried", headings.map(({ name }) => name), shown.map((row) => {
      const made = tableRow(headings.map(({ text }) => text(row)));
      if (data.places[row] === null) made.className = "over";
      return made;
    }));
    byId("tried").querySelectorAll("thead th").forEach((cell, by) => {
      const button = element("button", headings[by].name, { type: "button" });
      button.addEventListener("click", () => {
        Object.assign(sorting, { down: sorting.by === by && !sorting.down, by, shown: PAGE });
        fillTried();
        byId("tried").querySelectorAll("thead button")[by].focus();
      });
      cell.replaceChildren(button);
      if (sorting.by === by) cell.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    });
    byId("rows").textContent = `${whole(shown.length)} of ${whole(rows.length)} rows; a heading sorts by its column.`;
    byId("more").hidden = shown.length === rows.length;
  }

  // -- Together --------------------------------------------------------------------------------------------------------
  async function update() {
    document.body.dataset.drawn = "no";
    fillTried();
    byId("status").textContent = `${whole(count)} architectures, ${whole(onFront().size)} on the front`;
    await drawTradeOff();
    document.body.dataset.drawn = "yes";
  }

  fillSelect("cost", data.costs.map((name, id) => [id, name]));
  fillSelect("against", [[PLACE, "place"], ...data.columns.map(({ name }, id) => [id, name])]);
  fillSelect("show", SHOWN.map(([words], id) => [id, words]));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => { sorting.shown += 4 * PAGE; fillTried(); });
  start(update);
})();

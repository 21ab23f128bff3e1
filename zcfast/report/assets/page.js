"use strict";
(() => {
  function accuracy(value, metric) {
    if (value === null) return UNDEFINED;
    const unit = data.metrics[metric].unit;
    if (unit === "fraction") return `${(100 * value).toFixed(2)} %`;
    return unit === "percent" ? `${value.toFixed(2)} %` : `${+value.toPrecision(6)}${unit ? ` ${unit}` : ""}`;
  }

  // -- Filters ---------------------------------------------------------------------------------------------------------
  function fillSelect(id, options) {
    byId(id).append(...options.map(([value, text]) => element("option", text, { value })));
    byId(id).addEventListener("change", update);
  }

  function state() {
    const [score, metric, fraction] = ["score", "metric", "fraction"].map((id) => Number(byId(id).value));
    return { score, metric, fraction, result: data.results[metric], shown: data.scores.map((_, id) => id).filter((id) => score < 0 || id === score) };
  }

  const partName = (fraction) => (fraction === 1 ? "all" : `most accurate ${percent(fraction)}`);

  // -- Plots -----------------------------------------------------------------------------------------------------------
  function drawScatters({ result, fraction, metric, shown }) {
    const cards = byId("scatters");
    views.forEach((view, target) => {
      if (cards.contains(target)) { view.finalize(); views.delete(target); }
    });
    cards.classList.toggle("one", shown.length === 1);
    cards.replaceChildren();
    return shown.map((id) => {
      const scatter = result.scatters[fraction][id], name = data.scores[id].name;
      const value = fixed(result.statistics[fraction][id].spearman, 3);
      const card = element("figure"), caption = element("figcaption"), target = element("div");
      caption.append(element("b", name), element("span", `${whole(scatter.rows)} · ρ ${value}`));
      card.append(caption, target);
      cards.append(card);
      const words = `${name} against ${data.metrics[metric].name}, ${partName(data.fractions[fraction])}: Spearman ${value} over ${whole(scatter.rows)} architectures`;
      if (!scatter.rows) {
        target.append(element("p", "No architecture has both.", { className: "empty" }));
        return null;
      }
      target.setAttribute("role", "img");
      target.setAttribute("aria-label", words);
      const width = Math.floor(card.clientWidth);
      const label = (row) => ({ name: data.points[row][0], score: data.points[row][1][id] });
      return plot(target, scatter.points ? points(scatter, width, words, label) : density(scatter, width, words), "canvas");
    });
  }

  function drawCurves({ result, fraction, metric, score }) {
    const colours = lineColours();
    const lines = data.scores.map(({ name }, id) => ({
      id, name, steps: result.curves[id], colour: colours[id % LINES], dashed: id >= LINES,
    })).filter((line) => (score < 0 || line.id === score) && line.steps.length);
    lines.push({ name: "random order", steps: result.random, colour: colour("faint"), dashed: true });
    byId("legend").replaceChildren(...lines.map((line) => {
      const entry = element("span"), mark = element("i", undefined, { className: line.dashed ? "dashed" : "" });
      mark.style.borderColor = line.colour;
      entry.append(mark, element("span", line.name));
      return entry;
    }));
    const target = byId("curves");
    target.setAttribute("aria-label", "Best accuracy so far by the number of architectures trained; the table below has the numbers.");
    if (lines.length === 1) return empty(target);
    // Over all architectures the lower half of the accuracies would flatten the curves.
    const floor = result.floors[Math.max(fraction, 1)];
    return plot(target, searchCurves(lines, floor, data.metrics[metric].unit, target.clientWidth, ""), "svg");
  }

  function drawMatrix({ result, fraction, metric }) {
    const names = [...data.scores.map(({ name }) => name), `accuracy ${data.metrics[metric].name}`];
    const matrix = result.correlations[fraction], target = byId("matrix");
    const words = matrix.flatMap((row, i) => row.slice(0, i).map((value, j) => `${names[i]} and ${names[j]} ${fixed(value, 2)}`));
    target.setAttribute("aria-label", `Spearman: ${words.join("; ")}`);
    const room = byId("matrix").parentElement.clientWidth;
    const width = Math.max(Math.min(room, 150 + names.length * 90), 140 + names.length * 40);
    return plot(target, correlationMatrix(matrix, names, width, ""), "svg");
  }

  function empty(target) {
    views.get(target)?.finalize();
    views.delete(target);
    target.replaceChildren(element("p", "No architecture has both a score and an accuracy.", { className: "empty" }));
  }

  // -- Tables ----------------------------------------------------------------------------------------------------------
  function fillRanking({ result, fraction, metric, score }) {
    const rows = data.scores.map(({ name }, id) => {
      const of = result.statistics[fraction][id];
      const shared = of.overlap === null ? UNDEFINED : percent(of.overlap);
      const cells = [name, whole(result.scatters[fraction][id].rows), fixed(of.spearman, 3), fixed(of.kendall, 3), shared, accuracy(of.best, metric)];
      return tableRow(cells, id === score);
    });
    const best = byId("ranking").dataset.best;
    fillTable(byId("ranking"), "How well each score ranks", ["score", "architectures", "Spearman", "Kendall", "shared", best], rows);
  }

  function fillTargets({ result, metric, score }) {
    const columns = result.targets.map((target) => `${target.name} (${accuracy(target.accuracy, metric)})`);
    const rows = data.scores.map(({ name }, id) => tableRow([name, ...result.targets.map((target) => whole(target.trainings[id]))], id === score));
    rows.push(tableRow(["random order", ...result.targets.map((target) => whole(target.random))]));
    fillTable(byId("targets"), "Trainings until a target", ["score", ...columns], rows);
  }

  function fillBest({ metric, score }) {
    const by = Math.max(0, score), { name, unit } = data.scores[by];
    byId("best-by").textContent = name;
    const headings = ["", "cell", unit || "score", data.metrics[metric].name, "place"];
    const rows = data.best[by].map((entry, place) => {
      const template = byId(`cell-${entry.cell}`), [value, rank] = entry.reached[metric];
      const row = tableRow([place + 1, undefined, entry.score, accuracy(value, metric), whole(rank)]);
      headings.forEach((heading, column) => { row.children[column].dataset.heading = heading; });
      row.children[1].append(template.content.cloneNode(true), element("code", template.dataset.name));
      return row;
    });
    fillTable(byId("best"), `The best by ${name}`, headings, rows);
  }

  // -- Together --------------------------------------------------------------------------------------------------------
  async function update() {
    const now = state();
    fillRanking(now);
    fillTargets(now);
    fillBest(now);
    byId("status").textContent = `${now.score < 0 ? "all scores" : data.scores[now.score].name}, ${data.metrics[now.metric].name}, ${partName(data.fractions[now.fraction])}`;
    document.body.dataset.drawn = "no";
    await Promise.all([...drawScatters(now), drawCurves(now), drawMatrix(now)]);
    document.body.dataset.drawn = "yes";
  }

  fillSelect("score", [[-1, "all"], ...data.scores.map(({ name }, id) => [id, name])]);
  fillSelect("metric", data.metrics.map(({ name }, id) => [id, name]));
  fillSelect("fraction", data.fractions.map((fraction, id) => [id, partName(fraction)]));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  start(update);
})();

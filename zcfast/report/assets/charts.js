"use strict";
// Vega-Lite specifications. Names from files are values of the data, never names of fields or parts of an expression.

const LINES = 8;

function colour(variable) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${variable})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function lineColours() {
  return isDark()
    ? ["#6cb2ff", "#ffb454", "#5fd7a7", "#ff8fa3", "#c9a2ff", "#f0e05a", "#59d3e3", "#d0a585"]
    : ["#1f6fc4", "#d9730d", "#15876a", "#c63d5d", "#7a4fc0", "#8a7a00", "#0f7f93", "#7d5a40"];
}

function base(width, height, description) {
  const faint = colour("faint");
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    width, height, description,
    padding: 4,
    autosize: { type: "fit", contains: "padding" },
    background: "transparent",
    config: {
      font: "system-ui, sans-serif",
      view: { stroke: colour("line") },
      axis: {
        labelColor: faint, titleColor: faint, tickColor: colour("line"), domainColor: colour("line"),
        gridColor: colour("grid"), labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal",
      },
      legend: { labelColor: faint, titleColor: faint, titleFontWeight: "normal" },
    },
  };
}

const percentiles = (title) => ({
  type: "quantitative", title, scale: { domain: [0, 100], nice: false }, axis: { values: [0, 25, 50, 75, 100], grid: false },
});

function density(scatter, width, description) {
  const bins = scatter.bins, step = 100 / bins, values = [];
  scatter.counts.forEach((count, place) => {
    if (!count) return;
    const x = (place % bins) * step, y = Math.floor(place / bins) * step;
    const range = (from) => `${from.toFixed(1)} to ${(from + step).toFixed(1)} %`;
    values.push({ x, y, x2: x + step, y2: y + step, count, score: range(x), accuracy: range(y) });
  });
  // Above the 99th percentile all cells look alike, so that a few full cells (ties) do not hide the others.
  const counts = values.map((value) => value.count).sort((a, b) => a - b);
  const most = Math.max(2, counts[Math.floor(0.99 * (counts.length - 1))]);
  const shade = {
    field: "count", type: "quantitative", legend: null,
    scale: { type: "sqrt", domain: [0, most], clamp: true, range: [colour("low"), colour("high")], interpolate: "lab" },
  };
  return {
    ...base(width, width, description),
    data: { values },
    mark: { type: "rect", strokeWidth: 0.7 },
    encoding: {
      x: { field: "x", ...percentiles("percentile by score") }, x2: { field: "x2" },
      y: { field: "y", ...percentiles("percentile by accuracy") }, y2: { field: "y2" },
      color: shade, stroke: shade,
      tooltip: [
        { field: "score", title: "by score" },
        { field: "accuracy", title: "by accuracy" },
        { field: "count", title: "architectures", format: "," },
      ],
    },
  };
}

function points(scatter, width, description, label) {
  const values = scatter.points.map(([x, y, row]) => ({ x, y, ...label(row) }));
  return {
    ...base(width, width, description),
    data: { values },
    mark: { type: "point", filled: true, size: values.length > 500 ? 14 : 30, opacity: 0.6, color: colour("accent") },
    encoding: {
      x: { field: "x", ...percentiles("percentile by score") },
      y: { field: "y", ...percentiles("percentile by accuracy") },
      tooltip: [
        { field: "name", title: "architecture" },
        { field: "score", title: "score" },
        { field: "x", title: "percentile by score", format: ".1f" },
        { field: "y", title: "percentile by accuracy", format: ".1f" },
      ],
    },
  };
}

function searchCurves(lines, floor, unit, width, description) {
  const values = lines.flatMap((line, id) => line.steps.map(([trainings, best]) => ({ id, name: line.name, trainings, best })));
  const ids = lines.map((_, id) => id);
  const top = Math.max(...values.map((value) => value.best));
  const low = floor < top ? floor : top - Math.abs(top) * 0.01 - 1e-9;
  const most = Math.max(2, ...values.map((value) => value.trainings));
  const axes = {
    x: {
      field: "trainings", type: "quantitative", title: "architectures trained",
      scale: { type: "log", domain: [1, most], nice: false },
      axis: { format: "~s", values: Array.from({ length: Math.ceil(Math.log10(most)) + 1 }, (_, power) => 10 ** power) },
    },
    y: {
      field: "best", type: "quantitative", title: unit ? `best accuracy so far (${unit})` : "best accuracy so far",
      scale: { domain: [low, top + (top - low) * 0.04], nice: false, zero: false }, axis: { tickCount: 6 },
    },
    color: { field: "id", type: "ordinal", legend: null, scale: { domain: ids, range: lines.map((line) => line.colour) } },
    strokeDash: {
      field: "id", type: "ordinal", legend: null, scale: { domain: ids, range: lines.map((line) => (line.dashed ? [5, 4] : [1, 0])) },
    },
  };
  // Later lines are thinner, so that one that covers another does not hide it.
  const widths = {
    field: "id", type: "ordinal", legend: null,
    scale: { type: "ordinal", domain: ids, range: ids.map((id) => 4.5 - (2.9 * id) / Math.max(1, ids.length - 1)) },
  };
  return {
    ...base(width, Math.min(400, Math.max(260, width * 0.45)), description),
    data: { values },
    layer: [
      { mark: { type: "line", interpolate: "step-after", clip: true }, encoding: { ...axes, strokeWidth: widths } },
      {
        transform: [{ filter: `datum.id < ${lines.length - 1} && datum.best >= ${low}` }],
        mark: { type: "point", filled: true, size: 34, opacity: 1, clip: true },
        encoding: {
          x: axes.x, y: axes.y, color: axes.color,
          tooltip: [
            { field: "name", title: "score" },
            { field: "trainings", title: "trained", format: "," },
            { field: "best", title: "best so far", format: ".5~g" },
          ],
        },
      },
    ],
  };
}

function correlationMatrix(matrix, names, width, description) {
  const values = matrix.flatMap((row, i) => row.map((value, j) => ({
    i, j, value, first: names[i], second: names[j], text: value === null ? "–" : value.toFixed(2),
    white: value !== null && Math.abs(value) > 0.55,
  })));
  const axis = { labelExpr: "names[datum.value]", labelLimit: 130, domain: false, ticks: false, title: null };
  return {
    ...base(width, names.length * 38 + 110, description),
    params: [{ name: "names", value: names }],
    data: { values },
    encoding: {
      x: { field: "j", type: "ordinal", axis: { ...axis, labelAngle: -40, orient: "bottom" }, scale: { paddingInner: 0.05 } },
      y: { field: "i", type: "ordinal", axis, scale: { paddingInner: 0.08 } },
    },
    layer: [
      {
        mark: { type: "rect", cornerRadius: 3 },
        encoding: {
          color: {
            field: "value", type: "quantitative", legend: null,
            scale: { domain: [-1, 0, 1], range: [colour("negative"), colour("zero"), colour("positive")], interpolate: "rgb" },
          },
          tooltip: [{ field: "first", title: "of" }, { field: "second", title: "and" }, { field: "text", title: "Spearman" }],
        },
      },
      {
        mark: { type: "text", fontSize: 12 },
        encoding: { text: { field: "text" }, color: { condition: { test: "datum.white", value: "#ffffff" }, value: colour("ink") } },
      },
    ],
  };
}

"use strict";

// Places or scores against a cost. Each value has x, y (null below the plot), front and words for its tooltip.
function tradeOff(values, { words, cost, against, limit, byPlace, ranked, width }) {
  const placed = values.filter((value) => value.y !== null), below = values.filter((value) => value.y === null);
  const costs = values.map((value) => value.x).concat(limit === null ? [] : [limit]);
  const least = Math.min(...costs), most = Math.max(...costs);
  const x = {
    field: "x", type: "quantitative", title: cost,
    scale: least > 0 && most / least > 10 ? { type: "log", domain: [least, most], nice: false } : { domain: [least, most], nice: true, zero: false },
    axis: { format: "~s", tickCount: Math.max(3, Math.floor(width / 90)) },
  };
  const powers = Array.from({ length: Math.floor(Math.log10(Math.max(ranked, 1))) + 1 }, (_, power) => 10 ** power);
  const y = {
    field: "y", type: "quantitative", title: against,
    ...(byPlace
      ? { scale: { type: "log", domain: [1, Math.max(ranked, 2)], reverse: true, nice: false }, axis: { values: powers, format: "," } }
      : { scale: { zero: false, nice: true } }),
  };
  const tooltip = [
    { field: "place", title: "place" },
    { field: "xText", title: "cost" },
    { field: "yText", title: "against" },
    { field: "name", title: "architecture" },
  ];
  const front = placed.filter((value) => value.front).sort((a, b) => a.x - b.x);
  const marks = [
    {
      data: { values: below },
      mark: { type: "tick", orient: "vertical", size: 12, thickness: 1, opacity: 0.5, color: colour("negative") },
      encoding: { x, y: { value: "height" }, tooltip },
    },
    {
      data: { values: placed.filter((value) => !value.front) },
      mark: { type: "point", filled: true, size: placed.length > 500 ? 14 : 30, opacity: 0.5, color: colour("faint") },
      encoding: { x, y, tooltip },
    },
  ];
  if (byPlace) {
    marks.push({ data: { values: front }, mark: { type: "line", interpolate: "step-after", color: colour("accent"), strokeWidth: 1.5 }, encoding: { x, y } });
  }
  marks.push({
    data: { values: front },
    mark: { type: "point", filled: true, size: 60, opacity: 1, color: colour("accent") },
    encoding: { x, y, tooltip },
  });
  if (limit !== null) {
    marks.push({ data: { values: [{ x: limit }] }, mark: { type: "rule", strokeDash: [5, 4], color: colour("negative"), strokeWidth: 1.5 }, encoding: { x } });
  }
  return { ...base(width, Math.min(440, Math.max(280, width * 0.5)), words), layer: marks };
}

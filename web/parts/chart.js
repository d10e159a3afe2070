// Lines over time, drawn with SVG.

import { s } from "../lib/dom.js";

/** A line with an area below it; `values` from old to new, at most `length` of them. */
export function sparkline(
  values,
  { length = 60, width = 220, height = 44, label = "", kind = "accent" } = {},
) {
  const known = values.filter(Number.isFinite);
  const top = Math.max(...known, 1e-9) * 1.15;
  const x = (index) => width - ((values.length - 1 - index) * width) / (length - 1);
  const y = (value) => height - 2 - (value / top) * (height - 5);
  const points = values.map((value, index) => (Number.isFinite(value) ? [x(index), y(value)] : null)).filter(
    Boolean,
  );
  const line = points.map(([a, b], index) => `${index ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  const last = points.at(-1);
  return s(
    "svg",
    {
      class: `spark is-${kind}`,
      viewBox: `0 0 ${width} ${height}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    points.length > 1 &&
      s("path", {
        class: "spark-area",
        d: `${line}L${last[0].toFixed(1)} ${height}L${points[0][0].toFixed(1)} ${height}Z`,
      }),
    points.length > 1 && s("path", { class: "spark-line", d: line, "vector-effect": "non-scaling-stroke" }),
  );
}

/** The latency below which `share` of the requests stayed, from cumulative counts at upper bounds. */
export function quantile(bounds, counts, share) {
  const total = counts.at(-1) ?? 0;
  if (!total) return NaN;
  const wanted = total * share;
  for (let index = 0; index < counts.length; index++) {
    if (counts[index] < wanted) continue;
    const below = index ? counts[index - 1] : 0;
    const low = index ? bounds[index - 1] : 0;
    const high = bounds[index] < 0 ? low : bounds[index];
    return counts[index] === below ? high : low + ((high - low) * (wanted - below)) / (counts[index] - below);
  }
  return NaN;
}

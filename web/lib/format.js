// Numbers, times and names as people read them.

const number = new Intl.NumberFormat("en");
export const count = (value) => number.format(value);
export const plural = (value, word, many = `${word}s`) => `${count(value)} ${value === 1 ? word : many}`;

/** 1234.5 → "1.23 k"; three digits that matter. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  if (value !== 0 && Math.abs(value) < 0.1) return "<0.1";
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e3, " k"]]) {
    if (Math.abs(value) >= size) return (value / size).toPrecision(3) + unit;
  }
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}

export const percent = (share) =>
  !Number.isFinite(share)
    ? "–"
    : share === 0
    ? "0 %"
    : share < 0.0001
    ? "<0.01 %"
    : `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} %`;
export const milliseconds = (value) =>
  !Number.isFinite(value)
    ? "–"
    : value >= 1000
    ? `${(value / 1000).toFixed(1)} s`
    : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
export const bytes = (value) =>
  !Number.isFinite(value)
    ? "–"
    : value >= 1 << 30
    ? `${(value / (1 << 30)).toFixed(1)} GiB`
    : `${Math.round(value / (1 << 20))} MiB`;

const units = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60], [
  "second",
  1,
]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

/** "3 min. ago", "in 12 days". */
export function ago(time, now = Date.now()) {
  if (!time) return "never";
  const seconds = (time - now) / 1000;
  if (Math.abs(seconds) < 2) return "just now";
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const time = (value) => (value ? full.format(value) : "never");
const dayFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
});
export const day = (value) => dayFormat.format(value);
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
export const clock = (value) => clockFormat.format(value);

/** Milliseconds since 1970 of whatever the API wrote: milliseconds, seconds, or RFC 3339. */
export function instant(value) {
  if (typeof value === "string") return /^\d+$/.test(value) ? instant(Number(value)) : Date.parse(value) || 0;
  if (!value) return 0;
  return value < 1e11 ? value * 1000 : value;
}

export const shortID = (id) => (id ?? "").slice(0, 8);
export const isID = (text) =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text ?? "");

/** One line for any value. */
export function brief(value) {
  if (value === undefined || value === null) return "—";
  if (Array.isArray(value)) {
    return value.every((one) => typeof one !== "object")
      ? value.join(", ") || "none"
      : plural(value.length, "entry", "entries");
  }
  if (typeof value === "object") return value.id ? value.name || shortID(value.id) : JSON.stringify(value);
  return String(value);
}

// Writes YAML and JSON for people to paste.

const PLAIN = /^[A-Za-z_/.][A-Za-z0-9_/.@+-]*$/;
const WORDS = new Set(["true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"]);

function scalar(value) {
  if (value === null || value === undefined) return "null";
  if (typeof value !== "string") return String(value);
  if (PLAIN.test(value) && !WORDS.has(value.toLowerCase()) && !/^[.\d+-]/.test(value)) return value;
  return JSON.stringify(value);
}

const isEmpty = (value) => typeof value === "object" && value !== null && Object.keys(value).length === 0;
const isLeaf = (value) => value === null || typeof value !== "object" || isEmpty(value);
const leaf = (value) => (isEmpty(value) ? (Array.isArray(value) ? "[]" : "{}") : scalar(value));

function lines(value, indent) {
  const pad = " ".repeat(indent);
  if (Array.isArray(value)) {
    return value.flatMap((one) => {
      if (isLeaf(one)) return [block(`${pad}-`, one, indent)];
      const inner = lines(one, indent + 2);
      return [`${pad}- ${inner[0].trimStart()}`, ...inner.slice(1)];
    });
  }
  return Object.entries(value).filter(([, one]) => one !== undefined).flatMap(([key, one]) =>
    isLeaf(one)
      ? [block(`${pad}${scalar(key)}:`, one, indent)]
      : [`${pad}${scalar(key)}:`, ...lines(one, indent + 2)]
  );
}

function block(head, value, indent) {
  if (typeof value === "string" && value.includes("\n") && !/^\s|[\r\t]/.test(value)) {
    const pad = " ".repeat(indent + 2);
    const text = value.replace(/\n$/, "").split("\n").map((line) => (line ? pad + line : "")).join("\n");
    return `${head} |${value.endsWith("\n") ? "" : "-"}\n${text}`;
  }
  return `${head} ${leaf(value)}`;
}

export const yaml = (value) => (isLeaf(value) ? leaf(value) : lines(value, 0).join("\n")) + "\n";
export const json = (value) => JSON.stringify(value, null, 2) + "\n";

/** RFC 4180, and no cell that a spreadsheet would take for a formula. */
export function csv(rows) {
  const cell = (value) => {
    let text = value === null || value === undefined
      ? ""
      : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
    if (/^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

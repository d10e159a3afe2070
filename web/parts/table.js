// A table of any length: only the rows that can be seen exist. Search and order stand in the address.

import { freshID, h, put, settle } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { icon } from "../lib/icons.js";
import { amend, go, query } from "../lib/router.js";
import { csv, download, json } from "../lib/yaml.js";
import { menu } from "./layers.js";

const ROW = 46;
const SPARE = 8;

/**
 * `columns`: `{ key, title, width, value(row), cell(row)?, rank? }`; `value` sorts, is searched and exported, `cell`
 * draws; columns of rank 2 and 3 go first when the window is narrow.
 * `href(row)`: where Enter and a click lead. `empty`: what is shown when there are no rows at all.
 */
export class Table {
  constructor(
    {
      name,
      columns,
      href,
      open,
      empty,
      searchable = true,
      filters = [],
      height = "fill",
      label,
      order: usual = null,
      export: exports = true,
    },
  ) {
    Object.assign(this, { name, columns, href, open, empty, filters, label: label ?? name });
    this.rows = [];
    this.shown = [];
    this.active = -1;
    this.drawn = new Map();
    this.id = freshID("grid");
    this.complete = false;
    const now = query();
    this.search = searchable ? (now.get("q") ?? "") : "";
    const order = now.get("sort") ?? "";
    this.sort = order
      ? { key: order.replace(/^-/, ""), down: order.startsWith("-") }
      : usual && { key: usual, down: false };
    this.build(searchable, height, exports);
  }

  build(searchable, height, exports) {
    this.counter = h("span", { class: "note", role: "status", "aria-live": "polite" });
    this.header = h("div", { class: "grid-head", role: "rowgroup" });
    this.body = h("div", { class: "grid-body", role: "rowgroup" });
    this.grid = h(
      "div",
      { class: "grid", role: "grid", tabindex: "0", "aria-label": this.label, data: { height } },
      this.header,
      this.body,
    );
    this.message = h("div");
    this.grid.addEventListener("scroll", () => this.draw(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.grid.addEventListener("focus", () => {
      if (this.active < 0 && this.shown.length) this.choose(0, false);
    });
    new ResizeObserver(() => this.draw()).observe(this.grid);
    const template = this.columns.map((column) => column.width ?? "minmax(8rem, 1fr)");
    this.grid.style.setProperty("--columns", template.join(" "));
    this.grid.style.setProperty(
      "--columns-2",
      this.columns.filter((c) => (c.rank ?? 1) < 3).map((c) => c.width ?? "minmax(8rem, 1fr)").join(" "),
    );
    this.grid.style.setProperty(
      "--columns-1",
      this.columns.filter((c) => (c.rank ?? 1) < 2).map((c) => c.width ?? "minmax(0, 1fr)").join(" "),
    );
    this.head();
    const bar = h("div", { class: "table-bar" });
    if (searchable) {
      this.field = h("input", {
        type: "search",
        class: "input",
        placeholder: "Search",
        "aria-label": `Search ${this.label}`,
        value: this.search,
        "aria-keyshortcuts": "/",
        data: { search: true },
        autocomplete: "off",
        spellcheck: "false",
        oninput: settle(() => {
          this.search = this.field.value.trim();
          amend({ q: this.search });
          this.refresh();
        }, 80),
        onkeydown: (event) => {
          if (event.key === "Escape" && this.field.value) {
            this.field.value = "";
            this.field.dispatchEvent(new Event("input"));
            event.stopPropagation();
          }
          if (event.key === "ArrowDown" || event.key === "Enter") {
            event.preventDefault();
            this.grid.focus();
          }
        },
      });
      bar.append(h("div", { class: "search" }, icon("search", 16), this.field, h("kbd", "/")));
    }
    bar.append(...this.filters, h("span", { class: "spring" }), this.counter);
    if (exports) {
      bar.append(menu("Export", [
        {
          text: "As CSV",
          icon: "download",
          action: () => download(`${this.name}.csv`, "text/csv", this.csv()),
        },
        {
          text: "As JSON",
          icon: "download",
          action: () =>
            download(
              `${this.name}.json`,
              "application/json",
              json(this.shown.map((row) => row.exported ?? row)),
            ),
        },
      ]));
    }
    this.element = h("div", { class: "table" }, bar, this.message, this.grid);
  }

  /** `complete`: false while more rows are on their way. */
  set(rows, complete = true) {
    this.rows = rows;
    this.complete = complete;
    this.refresh();
  }

  csv() {
    return csv([
      this.columns.map((c) => c.title),
      ...this.shown.map((row) => this.columns.map((c) => c.value(row))),
    ]);
  }

  refresh() {
    const words = this.search.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (
      row,
    ) => (row._text ??= this.columns.map((c) => searchText(c.value(row))).concat(searchText(row.also)).join(
      " ",
    ).toLowerCase());
    const rows = words.length
      ? this.rows.filter((row) => words.every((word) => text(row).includes(word)))
      : this.rows.slice();
    const column = this.sort && this.columns.find((c) => c.key === this.sort.key);
    if (column) {
      const sign = this.sort.down ? -1 : 1;
      rows.sort((a, b) => sign * compare(column.value(a), column.value(b)));
    }
    const kept = this.shown[this.active];
    this.shown = rows;
    this.active = kept ? rows.findIndex((row) => row === kept || (row.id && row.id === kept.id)) : -1;
    this.counter.textContent = rows.length === this.rows.length
      ? count(rows.length)
      : `${count(rows.length)} of ${count(this.rows.length)}`;
    if (!this.complete) this.counter.textContent += " …";
    this.grid.setAttribute("aria-rowcount", String(rows.length + 1));
    this.body.style.setProperty("height", `${rows.length * ROW}px`);
    const nothing = this.complete && rows.length === 0;
    this.grid.hidden = nothing;
    put(this.message, nothing ? (this.rows.length === 0 ? this.empty?.() : this.none()) : null);
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
    this.draw();
  }

  none() {
    return h(
      "div",
      { class: "empty is-small" },
      h("p", `Nothing matches “${this.search}”.`),
      h("button", {
        class: "button",
        type: "button",
        onclick: () => {
          this.field.value = "";
          this.field.dispatchEvent(new Event("input"));
          this.field.focus();
        },
      }, "Clear the search"),
    );
  }

  head() {
    put(
      this.header,
      h(
        "div",
        { class: "grid-row is-head", role: "row", "aria-rowindex": "1" },
        this.columns.map((column) => {
          const sorted = this.sort?.key === column.key;
          return h(
            "div",
            {
              role: "columnheader",
              class: `cell rank-${column.rank ?? 1}`,
              "aria-sort": sorted ? (this.sort.down ? "descending" : "ascending") : null,
            },
            column.title === "" ? h("span", { class: "away" }, "Actions") : h(
              "button",
              {
                type: "button",
                class: "sorter",
                onclick: () => this.order(column.key),
              },
              column.title,
              sorted && icon(this.sort.down ? "down" : "up", 12),
            ),
          );
        }),
      ),
    );
  }

  order(key) {
    if (this.sort?.key !== key) this.sort = { key, down: false };
    else if (!this.sort.down) this.sort = { key, down: true };
    else this.sort = null;
    amend({ sort: this.sort ? (this.sort.down ? "-" : "") + key : "" });
    this.head();
    this.refresh();
  }

  draw() {
    const top = Math.max(0, Math.floor(this.grid.scrollTop / ROW) - SPARE);
    const bottom = Math.min(
      this.shown.length,
      Math.ceil((this.grid.scrollTop + this.grid.clientHeight) / ROW) + SPARE,
    );
    for (const [index, row] of this.drawn) {
      if (index < top || index >= bottom) {
        row.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = top; index < bottom; index++) {
      if (!this.drawn.has(index)) {
        const row = this.row(index);
        this.drawn.set(index, row);
        // Rows stand in the document in their order, for those who do not see where they are drawn.
        let next = index + 1;
        while (next < bottom && !this.drawn.has(next)) next++;
        this.body.insertBefore(row, this.drawn.get(next) ?? null);
      }
    }
    this.mark();
  }

  row(index) {
    const data = this.shown[index];
    const href = this.href?.(data);
    const row = h(
      "div",
      {
        class: ["grid-row", (href || this.open) && "is-link", data.tone && `tone-${data.tone}`],
        role: "row",
        id: `${this.id}-${index}`,
        "aria-rowindex": String(index + 2),
      },
      this.columns.map((column, place) => {
        const content = column.cell ? column.cell(data) : searchText(column.value(data));
        return h(
          "div",
          { role: "gridcell", class: `cell rank-${column.rank ?? 1}` },
          place === 0 && href ? h("a", { href, tabindex: "-1", class: "row-link" }, content) : content,
        );
      }),
    );
    row.style.setProperty("transform", `translateY(${index * ROW}px)`);
    row.addEventListener("click", (event) => {
      if (event.target.closest("a, button, input, label")) return;
      if (getSelection()?.toString()) return;
      this.choose(index, false);
      this.enter();
    });
    return row;
  }

  enter() {
    const data = this.shown[this.active];
    if (!data) return;
    if (this.open) this.open(data);
    else if (this.href) {
      go(this.href(data).replace(/^\/ui/, "").split("?")[0], {
        query: Object.fromEntries(new URLSearchParams(this.href(data).split("?")[1] ?? "")),
      });
    }
  }

  choose(index, scroll = true) {
    this.active = Math.max(0, Math.min(this.shown.length - 1, index));
    if (scroll) {
      const top = this.active * ROW;
      const room = this.grid.clientHeight - this.header.offsetHeight;
      if (top < this.grid.scrollTop) this.grid.scrollTop = top;
      else if (top + ROW > this.grid.scrollTop + room) this.grid.scrollTop = top + ROW - room;
    }
    this.draw();
  }

  mark() {
    for (const [index, row] of this.drawn) row.setAttribute("aria-selected", String(index === this.active));
    if (this.drawn.has(this.active)) {
      this.grid.setAttribute("aria-activedescendant", `${this.id}-${this.active}`);
    } else this.grid.removeAttribute("aria-activedescendant");
  }

  key(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / ROW) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page }[event.key];
    if (step) this.choose(this.active + step);
    else if (event.key === "Home") this.choose(0);
    else if (event.key === "End") this.choose(this.shown.length - 1);
    else if (event.key === "Enter") this.enter();
    else return;
    event.preventDefault();
  }
}

function searchText(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(searchText).join(", ");
  if (typeof value === "object") {
    return Object.entries(value).map(([key, one]) => `${key}=${searchText(one)}`).join(", ");
  }
  return String(value);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return searchText(a).localeCompare(searchText(b), "en", { numeric: true });
}

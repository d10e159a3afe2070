// One resource: its form, what hangs below it, its history in the address bar of one page.

import { create, may, one, Problem, remove, save, schema as fetchSchema } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { shortID, time } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { byID, forget } from "../lib/resources.js";
import { address, amend, go, guardLeaving, query, reload } from "../lib/router.js";
import { PREPARE, scope } from "../lib/columns.js";
import { pathOf, pluginTitle, titleOf, TYPES } from "../lib/types.js";
import { badge, button, facts, head, notice, snippet, tabs } from "../parts/bits.js";
import { resolve } from "../parts/conflict.js";
import { copyAs, texts } from "../parts/copy_as.js";
import { form, trim } from "../parts/form.js";
import { pairs } from "../parts/fields.js";
import { ask, toast } from "../parts/layers.js";
import { belowTabs } from "../parts/below.js";
import missing from "./missing.js";

/** A plugin's own schema says what differs from that of all plugins: its `config`, its protocols. */
async function schemaOf(type, spec) {
  const schema = await fetchSchema(type);
  if (type !== "plugins" || !spec?.name) return schema;
  const own = new Map(pairs((await fetchSchema(`plugins/${spec.name}`)).fields));
  return { fields: pairs(schema.fields).map(([name, field]) => ({ [name]: own.get(name) ?? field })) };
}

/** Values that links to "new" bring along: `?service=ID`. */
function brought(schema) {
  const out = {};
  const fields = new Map((schema.fields ?? []).map((one) => Object.entries(one)[0]));
  for (const [key, value] of query()) {
    const field = fields.get(key);
    if (field?.type === "foreign") out[key] = { id: value };
    else if (field?.type === "string") out[key] = value;
  }
  return out;
}

export default async function entity(page, { parameters, details, signal, title }) {
  const { type, id } = parameters;
  const about = TYPES[type];
  if (!about) return missing(page);
  if (details.isNew) return create_(page, type, about, title);
  const { data: resource, version } = await one(type, id, { signal });
  resource.version = version ?? resource.version;
  const schema = await schemaOf(type, resource.spec);
  const names = await (PREPARE[type]?.(byID) ?? {});
  const name = type === "plugins" ? pluginTitle(resource) : titleOf(resource);
  title(name);
  const [parent, field] = ownerOf(type, resource.spec);
  const crumbs = [[about.owned || type === "targets" ? "" : about.many, address(`/${type}`)]].filter((
    [text],
  ) => text);
  if (parent) {
    const owner = await one(parent, resource.spec[field].id, { signal }).catch(() => null);
    crumbs.push([TYPES[parent].many, address(`/${parent}`)], [
      owner ? titleOf(owner.data) : shortID(resource.spec[field].id),
      address(pathOf(parent, resource.spec[field].id)),
    ]);
  }
  const changedNote = h("div");
  put(
    page,
    head(name, {
      crumbs,
      badge: resource.spec.enabled === false ? badge("off") : null,
      lead: type === "plugins" ? `Works on ${scope({ ...resource, names })}` : null,
      actions: [
        copyAs(type, () => trim(resource.spec, schema.fields)),
        may("delete", type) && button("Delete", {
          icon: "trash",
          kind: "quiet-danger",
          action: () => delete_(type, resource, name, parent && pathOf(parent, resource.spec[field].id)),
        }),
      ],
    }),
    changedNote,
    tabs(
      [
        ["settings", "Settings", () => editor(type, resource, schema, name)],
        ...belowTabs(type, resource, signal),
        ["yaml", "YAML", () =>
          h(
            "div",
            { class: "stack" },
            h(
              "p",
              { class: "note" },
              "Without what is a default. Ready for ",
              h("code", "seaway apply -f"),
              ".",
            ),
            snippet(texts(type, trim(resource.spec, schema.fields)).yaml),
          )],
        ["facts", "About", () =>
          facts([
            ["ID", h("code", resource.id)],
            [
              "Version",
              h("a", { href: address(`/history/${resource.version}`) }, `revision ${resource.version}`),
            ],
            ["Created", time((resource.spec.created_at ?? 0) * 1000)],
            ["Changed", time((resource.spec.updated_at ?? 0) * 1000)],
          ])],
      ],
      query().get("tab") ?? "",
      (key) => amend({ tab: key }),
      name,
    ),
  );
  listen(signal, async (kind) => {
    if (kind !== "revision" && kind !== "resync" || deleting === resource.id) return;
    try {
      const now = await one(type, resource.id, { signal });
      if ((now.version ?? now.data.version) !== resource.version) {
        put(
          changedNote,
          notice(
            "info",
            "This has been changed elsewhere since you opened it. ",
            h("button", {
              class: "link",
              type: "button",
              onclick: () => {
                forget();
                reload();
              },
            }, "Load it again"),
          ),
        );
      }
    } catch (error) {
      if (error.status === 404) put(changedNote, notice("warning", "This has been deleted elsewhere."));
    }
  });
}

function ownerOf(type, spec) {
  if (type === "targets" && spec.upstream?.id) return ["upstreams", "upstream"];
  if (TYPES[type].owned && spec.consumer?.id) return ["consumers", "consumer"];
  if (type === "snis" && spec.certificate?.id) return ["certificates", "certificate"];
  if (type === "keys" && spec.set?.id) return ["key_sets", "set"];
  return [null, null];
}

function editor(type, resource, schema, name) {
  const fixed = type === "plugins" ? { name: resource.spec.name } : {};
  const bar = h("div", { class: "save-bar" });
  let base = resource.spec;
  const edited = form(type, schema, base, { isNew: false, fixed, changed: () => drawBar() });
  guardLeaving(() => (edited.isChanged() ? "You have changes that are not saved. Leave anyway?" : null));
  const submit = h("button", { class: "button is-primary", type: "submit" }, "Save");
  const isFixed = !may("update", type);
  function drawBar() {
    if (isFixed) {
      return void put(bar, h("span", { class: "note" }, "Your role may read this, not change it."));
    }
    bar.classList.toggle("is-on", edited.isChanged());
    put(
      bar,
      h("span", { class: "note" }, edited.isChanged() ? "Not saved yet" : ""),
      h("span", { class: "spring" }),
      edited.isChanged() && h("button", {
        class: "button",
        type: "button",
        onclick: () => {
          edited.settled();
          reload();
        },
      }, "Discard"),
      submit,
    );
  }
  async function store(spec, version) {
    submit.disabled = true;
    try {
      const { data, version: now } = await save(type, resource.id, { spec }, { version });
      edited.settled();
      forget();
      toast(`Saved ${name}`);
      Object.assign(resource, data, { version: now ?? data?.version });
      reload();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 412) return conflict(spec);
      edited.show(error);
    } finally {
      submit.disabled = false;
    }
  }
  async function conflict(mine) {
    let theirs;
    try {
      theirs = await one(type, resource.id);
    } catch {
      edited.show(
        new Problem(404, {
          title: "Not saved. ",
          detail: "Somebody deleted it meanwhile. Copy what you need, then create it anew.",
        }),
      );
      return;
    }
    const answer = await resolve(base, theirs.data.spec, mine);
    if (answer?.reload) {
      edited.settled();
      reload();
    } else if (answer) {
      base = theirs.data.spec;
      await store(answer.spec, theirs.version ?? theirs.data.version);
    }
  }
  drawBar();
  return h(
    "form",
    {
      novalidate: true,
      "aria-label": `Settings of ${name}`,
      onsubmit: (event) => {
        event.preventDefault();
        store(edited.read(), resource.version);
      },
      onkeydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
      },
    },
    edited.element,
    bar,
  );
}

async function create_(page, type, about, title) {
  const from = query();
  const plugin = type === "plugins" ? from.get("name") : null;
  if (type === "plugins" && !plugin) return go("/plugins/new", { replace: true });
  const schema = await schemaOf(type, { name: plugin });
  const start = brought(schema);
  const fixed = plugin ? { name: plugin } : {};
  const what = plugin ?? about.one;
  title(`New ${what}`);
  const made = form(type, schema, start, { isNew: true, fixed });
  guardLeaving(() => (made.isChanged() ? "What you entered is not saved. Leave anyway?" : null));
  const submit = h("button", { class: "button is-primary", type: "submit" }, `Create ${about.one}`);
  const back = from.get("back") ?? "";
  put(
    page,
    head(`New ${what}`, {
      crumbs: [[about.many, address(`/${type}`)]],
      lead: about.lead,
      actions: [copyAs(type, () => made.minimal())],
    }),
    h(
      "form",
      {
        novalidate: true,
        "aria-label": `New ${what}`,
        onkeydown: (event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
        },
        onsubmit: async (event) => {
          event.preventDefault();
          submit.disabled = true;
          try {
            const { data } = await create(type, { spec: { ...made.minimal(), ...fixed } });
            made.settled();
            guardLeaving(null);
            forget();
            toast(`Created ${titleOf(data) || what}`);
            if (back.startsWith("/")) {
              go(back.split("?")[0], {
                query: Object.fromEntries(new URLSearchParams(back.split("?")[1] ?? "")),
              });
            } else go(pathOf(type, data.id));
          } catch (error) {
            if (!(error instanceof Problem)) throw error;
            made.show(error);
          } finally {
            submit.disabled = false;
          }
        },
      },
      made.element,
      h(
        "div",
        { class: "save-bar is-on" },
        h("span", { class: "spring" }),
        button("Cancel", { href: address(back.startsWith("/") ? back : `/${type}`) }),
        submit,
      ),
    ),
  );
  made.focus();
}

/** The id of what this page is deleting: the news of it are no news here. */
let deleting = null;

async function delete_(type, resource, name, back) {
  const below = TYPES[type].below ?? [];
  const sure = await ask(
    `Delete ${name}?`,
    below.length
      ? `What belongs to it goes too: ${
        below.map(([other]) => TYPES[other].many.toLowerCase()).join(", ")
      }. A rollback in the history brings it back.`
      : "A rollback in the history brings it back.",
    { yes: "Delete", danger: true },
  );
  if (!sure) return;
  deleting = resource.id;
  try {
    await remove(type, resource.id, { version: resource.version });
    forget();
    guardLeaving(null);
    toast(`Deleted ${name}`);
    go(back ?? `/${type}`);
  } catch (error) {
    deleting = null;
    if (error.status === 412) {
      toast("It was changed meanwhile: look at it again before you delete it.", { kind: "error" });
    } else toast(error.message, { kind: "error" });
  }
}

// Certificates and when they end.

import { expiries, list } from "../lib/api.js";
import { h, put } from "../lib/dom.js";
import { day, instant } from "../lib/format.js";
import { listen } from "../lib/live.js";
import { all } from "../lib/resources.js";
import { address } from "../lib/router.js";
import { pathOf, TYPES } from "../lib/types.js";
import { badge, button, chips, empty, head } from "../parts/bits.js";
import { Table } from "../parts/table.js";

const KINDS = {
  certificates: "server",
  ca_certificates: "authority",
  gateways: "gateway",
  authority: "own authority",
};

export default async function certificates(page, { signal }) {
  const table = new Table({
    name: "certificates",
    label: "Certificates",
    href: (row) => row.link,
    order: "ends",
    columns: [
      {
        key: "name",
        title: "For",
        width: "minmax(10rem, 1.5fr)",
        value: (row) => row.title,
        cell: (row) => h("b", row.title),
      },
      { key: "kind", title: "Kind", width: "8rem", rank: 2, value: (row) => KINDS[row.type] ?? row.type },
      {
        key: "snis",
        title: "Server names",
        width: "minmax(10rem, 1.5fr)",
        rank: 2,
        value: (row) => row.snis,
        cell: (row) => chips(row.snis),
      },
      {
        key: "issuer",
        title: "Issuer",
        width: "minmax(8rem, 1fr)",
        rank: 3,
        value: (row) => row.issuer ?? "",
      },
      {
        key: "ends",
        title: "Ends",
        width: "10rem",
        value: (row) => row.ends,
        cell: (
          row,
        ) => (row.ends
          ? h("span", { title: day(row.ends) }, left(row.ends))
          : h("span", { class: "note" }, "not known")),
      },
    ],
    empty: () =>
      empty("No certificates yet", TYPES.certificates.empty, [
        button("New certificate", { icon: "plus", kind: "primary", href: address("/certificates/new") }),
      ], "certificates"),
  });
  page.classList.add("is-full");
  put(
    page,
    head("Certificates", {
      lead: TYPES.certificates.lead,
      actions: [
        button("New CA certificate", { href: address("/ca_certificates/new") }),
        button("New certificate", {
          icon: "plus",
          kind: "primary",
          href: address("/certificates/new"),
          key: "n",
        }),
      ],
    }),
    table.element,
  );
  const load = async () => {
    const [stored, authorities, ends, snis] = await Promise.all([
      list("certificates", { signal }),
      all("ca_certificates").catch(() => []),
      expiries({ signal }).catch(() => []),
      all("snis").catch(() => []),
    ]);
    const known = new Map(ends.map((one) => [one.id, one]));
    const named = (id) => snis.filter((sni) => sni.spec.certificate?.id === id).map((sni) => sni.spec.name);
    const row = (type) => (one) => {
      const about = known.get(one.id);
      known.delete(one.id);
      const names = named(one.id);
      return {
        id: one.id,
        type,
        snis: names,
        title: about?.name || names[0] || one.id.slice(0, 8),
        issuer: about?.issuer,
        ends: instant(about?.notAfter),
        link: address(pathOf(type, one.id)),
        also: one.labels,
      };
    };
    const rows = [...stored.map(row("certificates")), ...authorities.map(row("ca_certificates"))];
    for (const about of known.values()) {
      rows.push({
        id: about.id,
        type: about.type,
        snis: [],
        title: about.name || about.subject,
        issuer: about.issuer,
        ends: instant(about.notAfter),
        link: about.type === "gateways" ? address(`/gateways/${about.id}`) : undefined,
      });
    }
    table.set(rows);
  };
  await load();
  listen(signal, (kind) => {
    if (kind === "revision") load().catch(() => {});
  });
}

function left(ends) {
  const days = (ends - Date.now()) / 86_400_000;
  return badge(
    days < 0
      ? "ended"
      : days < 1
      ? "ends today"
      : `in ${Math.floor(days)} ${Math.floor(days) === 1 ? "day" : "days"}`,
    days < 7 ? "bad" : days < 30 ? "warn" : "good",
  );
}

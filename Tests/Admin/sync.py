"""What a declarative tool does with the Admin API: read all, compare with a file, write the difference, read again.

Defaults come from /schemas, as such tools take them. A second round must find nothing to do, and so must a round of a
file that an export gave back.
"""

import copy
import hashlib
import json
import re
import urllib.parse
import uuid

import yaml

from control_plane import ROOT

FIXTURES = ROOT / "Tests/Dialects/Fixtures"
# Collection, and what a file may say in place of a foreign key's id.
KINDS = {
    "vaults": ("vaults", "prefix"),
    "certificates": ("certificates", None),
    "ca_certificates": ("ca_certificates", None),
    "key_sets": ("key-sets", "name"),
    "keys": ("keys", "name"),
    "consumers": ("consumers", "username"),
    "upstreams": ("upstreams", "name"),
    "services": ("services", "name"),
    "snis": ("snis", "name"),
    "targets": (None, "target"),
    "routes": ("routes", "name"),
    "keyauth_credentials": ("key-auths", "key"),
    "basicauth_credentials": ("basic-auths", "username"),
    "hmacauth_credentials": ("hmac-auths", "username"),
    "jwt_secrets": ("jwts", "key"),
    "oauth2_credentials": ("oauth2", "client_id"),
    "acls": ("acls", None),
    "plugins": ("plugins", "instance_name"),
}
PARENTS = {
    "routes": {"service": "services"},
    "plugins": {"route": "routes", "service": "services", "consumer": "consumers"},
    "targets": {"upstream": "upstreams"},
    "snis": {"certificate": "certificates"},
    "keys": {"set": "key_sets"},
    "services": {"client_certificate": "certificates"},
    "upstreams": {"client_certificate": "certificates"},
    **{kind: {"consumer": "consumers"} for kind in
       ("keyauth_credentials", "basicauth_credentials", "hmacauth_credentials", "jwt_secrets", "oauth2_credentials", "acls")},
}


def expanded(kind: str, entity: dict, document: dict) -> dict:
    """What a tool makes of shorthands: urls, shared plugin configurations, the file's own defaults, ports."""
    defaults = document.get("_info", {}).get("defaults", {}).get(kind.rstrip("s"), {})
    shared = document.get("_plugin_configs", {}).get(entity.get("_config"), {})
    if kind == "plugins" and shared:
        entity["config"] = {**shared, **entity.get("config", {})}
    entity = {**defaults, **{k: v for k, v in entity.items() if not k.startswith("_")}}
    if url := entity.pop("url", None):
        parts = urllib.parse.urlsplit(url)
        port = parts.port or (443 if parts.scheme in ("https", "grpcs") else 80)
        entity |= {"protocol": parts.scheme, "host": parts.hostname, "port": port, "path": parts.path or None}
    if kind == "targets" and not re.search(r":\d+$", entity["target"]):
        entity["target"] += ":8000"
    if kind == "routes" and set(entity.get("protocols", [])) & {"grpc", "grpcs"}:
        entity.setdefault("strip_path", False)
    if kind == "upstreams" and entity.get("hash_on", "none") != "none":
        entity.setdefault("algorithm", "consistent-hashing")
    return entity


def flatten(document: dict) -> list[tuple[str, dict]]:
    """(kind, entity) with parents as {"id": …}, parents first."""
    found = []

    def take(kind, entities, field=None, parent=None):
        for entity in entities or []:
            entity = expanded(kind, copy.deepcopy(entity), document)
            entity.setdefault("id", derived(kind, entity, parent))
            if field:
                entity[field] = {"id": parent["id"]}
            children = [(c, f, entity.pop(c)) for c in KINDS for f, p in PARENTS.get(c, {}).items()
                        if p == kind and c in entity and f != "client_certificate"]
            if kind == "certificates":
                children = [(c, f, v) for c, f, v in children if c != "snis"] + [
                    ("snis", "certificate", [s if isinstance(s, dict) else {"name": s} for s in v])
                    for c, f, v in children if c == "snis"]
            found.append((kind, entity))
            for child, child_field, inner in children:
                take(child, inner, child_field, entity)

    for kind in KINDS:
        take(kind, document.get(kind))
    names = {(k, e.get(KINDS[k][1])): e["id"] for k, e in found if KINDS[k][1]}
    for kind, entity in found:
        for field, parent in PARENTS.get(kind, {}).items():
            value = entity.get(field)
            name = value.get("name") if isinstance(value, dict) else value
            if isinstance(name, str):
                entity[field] = {"id": names.get((parent, name), name)}
    return sorted(found, key=lambda pair: list(KINDS).index(pair[0]))


def derived(kind, entity, parent) -> str:
    """A tool's own id: stable, so that a second round finds the entity again."""
    text = json.dumps([kind, entity, (parent or {}).get("id")], sort_keys=True, default=str)
    return str(uuid.UUID(hashlib.sha256(text.encode()).hexdigest()[:32], version=4))


class Tool:
    def __init__(self, plane, check):
        self.plane, self.check = plane, check
        self.schemas = {}

    def schema(self, path) -> list:
        if path not in self.schemas:
            answer = self.plane.get(path)
            self.check(f"sync: {path}", answer.status == 200, answer.body)
            self.schemas[path] = answer.json["fields"] if answer.status == 200 else []
        return self.schemas[path]

    def complete(self, entity, fields):
        """The entity with the defaults of a schema; what has none is null."""
        whole = {}
        for field in fields:
            (name, facts), = field.items()
            value = entity.get(name)
            if value is None:
                value = copy.deepcopy(facts.get("default"))
            if facts["type"] == "record" and (value is not None or facts.get("fields")):
                value = self.complete(value or {}, facts.get("fields", []))
            whole[name] = value
        return whole

    def wanted(self, kind, entity) -> dict:
        if kind == "plugins":
            fields = self.schema(f"/schemas/plugins/{entity['name']}")
            common = [f for f in self.schema("/schemas/plugins") if not {"config"} & set(f)]
            own = [f for f in fields if "config" in f or "protocols" in f]
            return self.complete(entity, [f for f in common if not set(f) & {n for o in own for n in o}] + own)
        return self.complete(entity, self.schema(f"/schemas/{kind}"))

    def read(self) -> dict:
        """Everything there is: (kind, id) → entity."""
        found = {}
        for kind, (collection, _) in KINDS.items():
            if collection:
                found |= {(kind, e["id"]): e for e in self.plane.all(f"/{collection}")}
        for (kind, identifier) in list(found):
            if kind == "upstreams":
                targets = self.plane.all(f"/upstreams/{identifier}/targets")
                found |= {("targets", e["id"]): e for e in targets}
        return found

    def sync(self, entities) -> int:
        """How many entities were created, changed or deleted."""
        current, changes = self.read(), 0
        for kind, entity in entities:
            there = current.pop((kind, entity["id"]), None)
            if there is not None and not self.differences(kind, entity, there):
                continue
            changes += 1
            collection = KINDS[kind][0]
            path = f"/{collection}" if collection else f"/upstreams/{entity['upstream']['id']}/targets"
            answer = self.plane.request("PUT", f"{path}/{entity['id']}", entity)
            self.check(f"sync: PUT {kind} {entity.get(KINDS[kind][1] or 'id')}", answer.status == 200, answer.body[:500])
        for (kind, identifier), entity in reversed(list(current.items())):
            collection = KINDS[kind][0]
            path = f"/{collection}" if collection else f"/upstreams/{entity['upstream']['id']}/targets"
            answer = self.plane.request("DELETE", f"{path}/{identifier}")
            # Its parent may have taken it along.
            self.check(f"sync: DELETE {kind}", answer.status in (204, 404), answer.body)
            changes += 1
        return changes

    def differences(self, kind, entity, there) -> list[str]:
        wanted = self.wanted(kind, entity)
        ignored = {"created_at", "updated_at", "id", "snis", "url", "cert_digest"}
        if kind == "basicauth_credentials":
            ignored.add("password")
        # Made up by the server when a file does not say them.
        ignored |= {"key", "secret", "client_id", "client_secret"} - set(entity) if kind.endswith(("credentials", "secrets")) else set()
        return [f"{name}: {there.get(name)!r}, not {value!r}" for name, value in wanted.items()
                if name not in ignored and normal(there.get(name)) != normal(value)]


def normal(value):
    if isinstance(value, list):
        return sorted((normal(v) for v in value), key=repr) or None
    if isinstance(value, dict):
        return {k: normal(v) for k, v in value.items() if normal(v) is not None} or None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def test(plane, check):
    for name in ("nested.yml", "flat.yml", "deck-dump.yml", "supabase.yml", "transformers.yml"):
        document = yaml.safe_load((FIXTURES / name).read_text())
        entities = flatten(document)

        def named(what, ok, detail=""):
            check(f"{name}: {what}", ok, detail)

        tool = Tool(plane, named)
        named("something is written", tool.sync(entities) > 0)
        current = tool.read()
        named("as many as in the file", len(current) == len(entities), f"{len(current)} of {len(entities)}")
        for kind, entity in entities:
            there = current.get((kind, entity["id"]))
            named(f"{kind} {entity['id']} is there", there is not None)
            if there is not None:
                named(f"no difference in {kind}", not (d := tool.differences(kind, entity, there)), d)
        named("nothing is left to do", tool.sync(entities) == 0)
        exported = plane.get("/config").json["config"]
        posted = plane.request("POST", "/config?check_hash=1", {"config": exported})
        named("an export, posted, changes nothing", posted.status == 304, (posted.status, posted.body[:500]))
        named("everything goes", tool.sync([]) == len(current) or tool.read() == {}, tool.read())

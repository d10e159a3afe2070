"""aio-kong from PyPI, as it is: every component it has, against the control plane."""

import asyncio

import aiohttp
from kong.client import Kong, KongResponseError

from certificates import pair


async def services(kong, check):
    service = await kong.services.create(name="shop", host="shop.internal", port=8080)
    check("service has defaults", (service["retries"], service["protocol"]) == (5, "http"), service)
    check("service is found by name", (await kong.services.get("shop")).id == service.id)
    check("service is found by id", (await kong.services.get(service.id)).name == "shop")
    check("has", await kong.services.has("shop") and not await kong.services.has("nobody"))
    changed = await kong.services.update("shop", host="other.internal")
    check("update keeps the rest", (changed["host"], changed["port"]) == ("other.internal", 8080), changed)
    route = await service.routes.create(name="front", hosts=["shop.example"], paths=["/a"])
    check("route belongs to its service", route["service"]["id"] == service.id, route)
    check("routes of a service", [r.name for r in await service.routes.get_list()] == ["front"])
    plugin = await service.plugins.create(name="rate-limiting", config={"minute": 10})
    check("plugin has defaults", plugin["config"]["limit_by"] == "consumer", plugin)
    check("plugin belongs to its service", plugin["service"]["id"] == service.id, plugin)
    plugin = await service.plugins.update(plugin.id, name="rate-limiting", config={"minute": 20})
    check("plugin is changed", plugin["config"]["minute"] == 20, plugin)
    try:
        await kong.services.create(name="shop", host="x")
        check("the same name twice", False, "no error")
    except KongResponseError as error:
        check("the same name twice", (error.status, error.message["code"]) == (409, 5), error)
    try:
        await kong.services.get("nobody")
        check("unknown name", False, "no error")
    except KongResponseError as error:
        check("unknown name", (error.status, error.message["message"]) == (404, "Not found"), error)
    for number in range(25):
        await kong.services.create(name=f"many-{number}", host="x", tags=["many"])
    paged = await kong.services.get_full_list(size=4)
    check("pages are followed to the end", len(paged) == 26, len(paged))
    check("tags filter", len(await kong.services.get_full_list(tags="many", size=10)) == 25)
    check("delete takes routes and plugins along", await kong.services.delete("shop") is True)
    check("it is gone", not await kong.services.has("shop"))
    check("delete_all", await kong.services.delete_all() == 25)


async def consumers(kong, check):
    consumer = await kong.consumers.create(username="ada", custom_id="1")
    check("consumer", consumer.username == "ada", consumer)
    await consumer.acls.create(group="admins")
    check("acls", [a["group"] for a in await consumer.acls.get_list()] == ["admins"])
    # The library sends this one as a form.
    basic = await consumer.basicauths.create_or_update_credentials({"username": "ada", "password": "secret"})
    check("basic auth is stored hashed", basic["password"] != "secret", basic)
    again = await consumer.basicauths.create_or_update_credentials({"username": "ada", "password": "other"})
    check("basic auth is updated in place", again.id == basic.id and again["password"] != basic["password"], again)
    key = await consumer.keyauths.create()
    check("a key is made up", len(key["key"]) >= 32, key)
    check("get_or_create", (await consumer.keyauths.get_or_create()).id == key.id)
    jwt = await consumer.jwts.create()
    check("a jwt secret is made up", jwt["key"] and jwt["secret"] and jwt["algorithm"] == "HS256", jwt)
    applied = await kong.consumers.apply_json(
        [{"username": "bob", "groups": ["a", "b"], "auths": [{"type": "key-auth", "config": {"key": "bobs"}}]}])
    check("apply_json", applied[0]["username"] == "bob", applied)
    await kong.consumers.apply_json([{"username": "bob", "groups": ["b", "c"], "auths": []}])
    bob = await kong.consumers.get("bob")
    check("groups follow", sorted(a["group"] for a in await bob.acls.get_list()) == ["b", "c"])
    check("delete_all", await kong.consumers.delete_all() == 2)


async def certificates(kong, check):
    cert, key = pair("shop.example")
    certificate = await kong.certificates.create(cert=cert, key=key, snis=["shop.example"])
    check("certificate shows its names", certificate["snis"] == ["shop.example"], certificate["snis"])
    sni = await kong.snis.get("shop.example")
    check("the name leads to it", sni["certificate"]["id"] == certificate.id, sni)
    applied = await kong.snis.apply_json({"name": "www.shop.example", "certificate": {"id": certificate.id}})
    check("snis.apply_json", applied[0]["name"] == "www.shop.example", applied)
    names = sorted(s.name for s in await certificate.snis.get_list())
    check("names of a certificate", names == ["shop.example", "www.shop.example"], names)
    check("delete_all", await kong.certificates.delete_all() == 1)
    check("its names went along", await kong.snis.get_list() == [])


async def documents(kong, check):
    config = {
        "services": [
            {
                "name": "api", "host": "api.internal",
                "routes": [{"name": "api", "hosts": "api.example", "paths": ["/v1"], "plugins": [{"name": "cors"}]}],
                "plugins": [{"name": "correlation-id", "config": {"header_name": "X-Id"}}],
            }
        ],
        "plugins": [{"name": "prometheus"}],
    }
    for _ in range(2):
        result = await kong.apply_json(config)
        check("apply_json", result["services"][0].data["routes"][0]["name"] == "api", result)
    check("plugins are not doubled", len(await kong.plugins.get_full_list()) == 3)
    await kong.services.apply_json([{"name": "api", "ensure": "absent"}])
    check("absent", not await kong.services.has("api"))
    await kong.delete_all()
    check("all is gone", await kong.plugins.get_list() == [])


async def run(plane, check):
    session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {plane.token}"})
    async with Kong(plane.url, session=session) as kong:
        for part in (services, consumers, certificates, documents):
            try:
                await part(kong, lambda name, ok, detail="": check(f"aio-kong {part.__name__}: {name}", ok, detail))
            except KongResponseError as error:
                check(f"aio-kong {part.__name__}", False, error)
            await kong.delete_all()


def test(plane, check):
    asyncio.run(run(plane, check))

"""How each proxy is configured for the benchmarks, one file each.

Each is set up as well as its manual says for this work; a better setting that is missing here is a fault of ours.
"""

from .base import KINDS, LOAD_CORE, NAME, PROXY_CORE, ROOT, VENV, Peer, Site, free_port
from .envoy import Envoy
from .haproxy import HAProxy
from .nginx import Nginx
from .seaway import Seaway
from .traefik import Traefik

PEERS = {p.name: p for p in (Seaway, Nginx, HAProxy, Envoy, Traefik)}

__all__ = ["KINDS", "LOAD_CORE", "NAME", "PEERS", "PROXY_CORE", "ROOT", "VENV", "Peer", "Site", "free_port"]

"""Who is calling, and what the key allows; a route without a declared scope does not start."""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask, g, request

from services.gateway.context import context
from services.gateway.problems import Problem
from shared.keys import find_key

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
FRESH = 5.0  # seconds a key is believed without a look at the database; a revoked one too
MAX_CACHED = 10_000
UNDECLARED = frozenset({"static", "openapi.spec", "openapi.docs"})  # Flask's and APIFlask's own


@dataclass(frozen=True)
class Caller:
    key_id: int
    tenant: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "*" in self.scopes


def requires(scope: str) -> Callable[[View], View]:
    """Declare the scope a route needs: PUBLIC, or one such as `jobs:read` or `detect:run`."""

    def mark(view: View) -> View:
        view.required_scope = scope  # type: ignore[attr-defined]
        return view

    return mark


def caller() -> Caller:
    return cast(Caller, g.caller)


class Authenticator:
    """Checks the key of every request before anything else happens."""

    def __init__(self, app: Flask) -> None:
        self._cache: dict[str, tuple[float, Caller]] = {}
        self._lock = threading.Lock()
        self._scopes = {name: _scope_of(name, view) for name, view in app.view_functions.items()}
        app.before_request(self.check)

    def check(self) -> None:
        scope = self._scopes.get(request.endpoint or "", PUBLIC)  # unknown address: a 404 follows
        if scope == PUBLIC:
            return
        g.caller = self._identify()
        if not g.caller.may(scope):
            raise scope_missing(scope)

    def _identify(self) -> Caller:
        text = _read_key()
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        known = self._cache.get(digest)
        if known and time.monotonic() - known[0] < FRESH:
            return known[1]
        with context().sessions.read() as session:
            key = find_key(session, text)
        if key is None:
            raise _unauthorized("This API key is unknown, expired or revoked.")
        found = Caller(key.id, key.tenant, frozenset(key.scopes))
        with self._lock:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[digest] = (time.monotonic(), found)
        return found


def scope_missing(scope: str, what: str = "") -> Problem:
    return Problem(
        403,
        "scope-missing",
        f"{what}This key lacks the scope {scope}. Ask for a key that has it "
        "(`atelier keys create --scope`).",
    )


def _scope_of(endpoint: str, view: Callable[..., Any]) -> str:
    if endpoint in UNDECLARED:
        return PUBLIC
    scope = getattr(view, "required_scope", None)
    if not isinstance(scope, str):
        raise RuntimeError(f"{endpoint} declares no scope: decorate it with @requires")
    return scope


def _read_key() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    key = request.headers.get("X-API-Key", "")
    if not key:
        raise _unauthorized("Send your API key as `Authorization: Bearer KEY`.")
    return key


def _unauthorized(detail: str) -> Problem:
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})

"""Where a package's archive can be downloaded, by the settings the user's own pip and npm have."""

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from pydantic import BaseModel, ConfigDict, Field
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.util import Retry

TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds without a byte
TOOL_TIMEOUT = 120.0  # seconds for pip or npm to print a setting


class Unavailable(Exception):
    """A source could not give its file; the text says why."""


class Archive(BaseModel):
    """One file of one release at a package registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    file: str = Field(pattern=r"\.(whl|tar\.gz|tgz)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)


class Logins(AuthBase):
    """Sends a user's name and password to the index they belong to, and to no other host."""

    def __init__(self) -> None:
        self.by_host: dict[str, HTTPBasicAuth] = {}

    def take_from(self, index: str) -> str:
        """Remember the login inside an index URL and return the URL without it."""
        parts = urlsplit(index)
        user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
        host = parts.netloc.rpartition("@")[2]
        if user or colon:
            self.by_host[host] = HTTPBasicAuth(unquote(user), unquote(password))
        return urlunsplit(parts._replace(netloc=host))

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        login = self.by_host.get(urlsplit(request.url or "").netloc)
        return login(request) if login else request


class Registries:
    """The package registries of this machine's user, with one connection pool for all of them."""

    def __init__(self) -> None:
        settings = read_pip_settings()
        logins = Logins()
        main = settings.get("index-url", PYPI_SIMPLE_ENDPOINT)
        extra = settings.get("extra-index-url", "").split()
        # pip can read file:// folders too; they hold the same release or none
        usable = [main, *(index for index in extra if index.startswith("http"))]
        self.indexes = [logins.take_from(index) for index in usable]
        self.session = open_session(settings)
        if logins.by_host:
            self.session.auth = logins

    def locate(self, archive: Archive) -> str:
        """The address of an archive; raises Unavailable."""
        if archive.registry == "npm":
            return find_npm_tarball(archive)
        reasons = []
        for index in self.indexes:
            try:
                return self._find_in_index(archive, index)
            except Unavailable as error:
                reasons.append(str(error))
        raise Unavailable("; ".join(reasons))

    def _find_in_index(self, archive: Archive, index: str) -> str:
        try:
            page = PyPISimple(index, session=self.session).get_project_page(
                archive.package, timeout=TIMEOUT
            )
        except (
            NoSuchProjectError,
            UnsupportedContentTypeError,
            UnsupportedRepoVersionError,
            requests.RequestException,
        ) as error:
            raise Unavailable(f"the package index gave no page: {error}") from error
        for package in page.packages:
            if package.filename == archive.file:
                return package.url
        raise Unavailable(f"{index} has no file {archive.file}")


@lru_cache
def read_pip_settings() -> dict[str, str]:
    """pip's index-url, extra-index-url, cert and proxy, where the user set them."""
    found: dict[str, str] = {}
    try:
        # -I: a file named pip.py in the current folder must not run
        command = [sys.executable, "-I", "-m", "pip", "config", "list"]
        listing = subprocess.run(
            command, capture_output=True, text=True, timeout=TOOL_TIMEOUT, check=False
        ).stdout
    except subprocess.TimeoutExpired as error:
        raise Unavailable("pip did not print its settings") from error
    sections = ("global.", "download.")  # the later one wins, as it does in pip
    for section in sections:
        for line in listing.splitlines():
            if line.startswith(section):
                name, _, value = line.removeprefix(section).partition("=")
                found[name] = str(ast.literal_eval(value))
    for name in ("index-url", "extra-index-url", "cert", "proxy"):
        override = os.environ.get("PIP_" + name.upper().replace("-", "_"))
        if override:
            found[name] = override
    return found


def open_session(settings: dict[str, str]) -> requests.Session:
    """A session that tries again on a dropped connection, with pip's certificates and proxy."""
    session = requests.Session()
    retry = Retry(total=3, backoff_factor=0.5, status_forcelist=(502, 503, 504))
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    if "cert" in settings:
        session.verify = settings["cert"]
    if "proxy" in settings:
        session.proxies = {"http": settings["proxy"], "https": settings["proxy"]}
    return session


def find_npm_tarball(archive: Archive) -> str:
    """The address npm itself would download, so that the user's .npmrc is honoured."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(f"npm is needed to find {archive.package}, and is not installed")
    command = [npm, "view", f"{archive.package}@{archive.version}", "dist.tarball", "--json"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TOOL_TIMEOUT, check=True
        )
        return str(json.loads(answer.stdout))
    except (subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(f"npm did not find {archive.package} {archive.version}") from error

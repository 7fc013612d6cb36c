"""The web page: built with npm from operator/web, and a browser for its tests. All else works without the two."""

from __future__ import annotations

import os
from pathlib import Path

from .compiling import fingerprint
from .layout import CHECKOUT, HOST
from .packages import PAGE_PROGRAMS, install_programs, is_present, missing_packages
from .progress import Failure, output_of, run, say, step

SOURCES = CHECKOUT / "operator" / "web"
BUILT = CHECKOUT / "operator" / "podgraph" / "server" / "static"
OLDEST_NODE = (20, 19)
INSTALL_LIMIT_SECONDS = 600


def build() -> None:
    """Install what is missing where we may, and build the page when its sources changed."""
    if missing_packages(PAGE_PROGRAMS) and os.geteuid() == 0:
        try:
            install_programs(PAGE_PROGRAMS)
        except Failure as failure:
            say(f"note: {failure}")
    if not is_present("chromium"):
        say("note: there is no chromium (apt-get install chromium): the page's tests in a browser will fail")
    if problem := trouble():
        say(f"note: the web page is not built: {problem}")
        return
    stamp, marker = source_stamp(SOURCES), BUILT / ".stamp"
    if marker.is_file() and marker.read_text() == stamp:
        return
    with step("build the web page"):
        log = HOST.cache / "page.log"
        run(["npm", "ci"], "npm ci", log=log, limit=INSTALL_LIMIT_SECONDS, cwd=SOURCES)
        run(["npm", "run", "build"], "npm run build", log=log, limit=INSTALL_LIMIT_SECONDS, cwd=SOURCES)
        marker.write_text(stamp)


def trouble() -> str:
    """What stands in the way of a build, "" when nothing does."""
    if not is_present("npm") or not is_present("node"):
        return "there is no npm; install Node.js 20.19 or newer"
    version = output_of(["node", "--version"]).strip()
    if node_version(version) < OLDEST_NODE:
        return f"node is {version}; it needs 20.19 or newer"
    return ""


def node_version(text: str) -> tuple[int, ...]:
    """`v20.19.2` as its first two numbers."""
    return tuple(int(part) for part in text.removeprefix("v").split(".")[:2])


def source_stamp(sources: Path) -> str:
    """Changes with the content of any file that the page is built from; its tests and lint rules are not among them."""
    apart = {"node_modules", "generated", "tests", "eslint.config.js", ".prettierrc.json", ".prettierignore"}
    files = sorted(
        file for file in sources.rglob("*") if file.is_file() and not apart & set(file.relative_to(sources).parts)
    )
    parts = [part for file in files for part in (str(file.relative_to(sources)).encode(), file.read_bytes())]
    return fingerprint(*parts)

"""Paths of requests: nothing but names gets into one, and nobody makes one in another way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import podgraph
from podgraph.cluster.errors import ApiError
from podgraph.cluster.paths import ApiPath, core, everywhere, in_namespace, of_version, ours

ROOT = Path(podgraph.__file__).parent
HOSTILE = [
    "../../other/configmaps/private", "%2e%2e%2f", "%2e%2e", "..", ".", "a/b", "a?b", "a#b", "", "a\nb", "\x00", "A",
    "a" * 300, "\uff0e\uff0e", "\u2024\u2024", "a\\b", "a;b", "a b",
]  # fmt: skip
_CALLS = ("get", "post", "put", "patch", "delete", "head", "options", "request", "ws_connect", "_request", "call")


def test_a_path_is_its_segments() -> None:
    assert str(core("default", "pods", "p-1", "log")) == "/api/v1/namespaces/default/pods/p-1/log"
    assert str(ours("default", "jobs")) == "/apis/podgraph.dev/v1alpha1/namespaces/default/jobs"
    assert str(ours("default", "jobs") / "a.b") == "/apis/podgraph.dev/v1alpha1/namespaces/default/jobs/a.b"
    assert str(everywhere("v1", "pods")) == "/api/v1/pods"
    assert str(of_version("apps/v1")) == "/apis/apps/v1"
    assert core("default", "pods").url.raw_path == "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_segment_leads_elsewhere(text: str) -> None:
    for make in (
        lambda: ApiPath("api", text),
        lambda: core(text, "pods"),
        lambda: core("default", text),
        lambda: core("default", "pods", text),
        lambda: ours("default", "jobs", "j", text),
        lambda: ours("default", "jobs") / text,
        lambda: in_namespace(text, "default", "pods"),
        lambda: in_namespace(f"{text}/v1", "default", "pods"),
        lambda: everywhere("v1", text),
    ):
        with pytest.raises(ApiError) as refused:
            make()
        assert (refused.value.status, refused.value.reason, refused.value.permanent) == (400, "InvalidName", True)


async def test_a_path_and_its_query_come_as_they_are() -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        seen.append((request.path_qs.partition("?")[0], dict(request.query)))
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    query = {"labelSelector": "a=b,c in (d)", "continue": "x&limit=1#+%2e/..", "fieldSelector": "metadata.name=ä"}
    try:
        async with (
            aiohttp.ClientSession(base_url=f"http://{host}:{port}/") as session,
            session.get(core("default", "pods", "a.b").url, params=query),
        ):
            pass
    finally:
        await runner.cleanup()
    assert seen == [("/api/v1/namespaces/default/pods/a.b", query)]


def _strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of a module but for its docstrings."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def wrong_places(where: str, tree: ast.AST) -> list[str]:
    """Where a module makes a path of a request by itself."""
    found = [
        f"{where}:{line}: {text!r}"
        for line, text in _strings(tree)
        if text.startswith(("/api/v1", "/apis/")) or "namespaces/" in text
    ]
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS):
            continue
        if not ast.unparse(node.func.value).endswith(("session", "client", "self")):
            continue
        by_name = node.func.attr in ("request", "_request", "call")
        target = node.args[1 if by_name else 0] if len(node.args) > by_name else None
        text = isinstance(target, ast.JoinedStr | ast.Constant | ast.BinOp) and not _is_path(target)
        session = ast.unparse(node.func.value).endswith("session")
        if target is not None and (text or (session and not ast.unparse(target).endswith(".url"))):
            found.append(f"{where}:{node.lineno}: {ast.unparse(target)}")
    return found


def _is_path(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)


def test_no_module_makes_a_path_by_itself() -> None:
    others = {"cluster/paths.py", "cluster/http_fetcher.py"}  # the second asks web servers, never the API server
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        if where not in others and where.startswith(("cluster/", "reconcile/", "server/", "scheduling/", "planning/")):
            found += wrong_places(where, ast.parse(path.read_text()))
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "session.get(f'/x/{name}')",
        "self._session.get('/x/' + name)",
        "self.session.request('GET', path)",
        "self._request('GET', f'{base}/{name}')",
        "client.call('GET', f'{base}/{name}')",
        "path = f'/api/v1/namespaces/{namespace}'",
        "where = f'namespaces/{namespace}/pods'",
    ],
)
def test_the_check_finds_them(code: str) -> None:
    assert wrong_places("x.py", ast.parse(code))


def test_a_path_cannot_be_a_text_for_mypy() -> None:
    client = ast.parse((ROOT / "cluster/client.py").read_text())
    functions = {node.name: node for node in ast.walk(client) if isinstance(node, ast.AsyncFunctionDef)}
    for name in ("_request", "call"):
        (path,) = [arg for arg in functions[name].args.args if arg.arg == "path"]
        assert path.annotation is not None
        assert ast.unparse(path.annotation) == "ApiPath"

"""Imports the user's code and finds its job. Errors name the line in that code."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.jobs import JobDefinition
from podgraph.runtime.own_process import only_own_process

__all__ = [
    "CodeRef", "code_error", "find_job", "find_jobs", "import_file", "import_module", "own_frames", "package_root",
    "where",
]  # fmt: skip

_OWN = str(Path(__file__).parents[1]) + os.sep
_BEFORE = ("<frozen ", "<string>", importlib.__file__ or "")
_TAKEN = frozenset(getattr(sys, "stdlib_module_names", sys.builtin_module_names))
_NEEDED = (
    "asyncio", "base64", "concurrent.futures", "copy", "dataclasses", "difflib", "glob", "hashlib", "inspect", "json",
    "logging", "pickle", "queue", "random", "shutil", "signal", "socket", "ssl", "statistics", "subprocess", "tempfile",
    "threading", "traceback", "typing", "urllib.parse", "uuid", "zoneinfo",
)  # fmt: skip
_MOST_CAUSES, _MOST_SAID, _MOST_FRAMES, _MOST_STACK = 20, 900, 50, 64 * 1024
_LIBRARY = str(Path(json.__file__).parents[1]) + os.sep  # the standard library, which often contains site-packages


@dataclass(frozen=True)
class CodeRef:
    """The location of a job: the Python file `file`, or the importable `module`; `job` selects one of several."""

    file: str = ""
    module: str = ""
    job: str = ""

    def load(self) -> JobDefinition:
        """Import the code and return the job. Raises DefinitionError."""
        return find_job(self.module_of(), self.job)

    def module_of(self) -> ModuleType:
        """Import the code, with its folder on `sys.path` as for a script. Raises DefinitionError."""
        folder = str(package_root(Path(self.file).resolve())) if self.file else os.getcwd()
        _keep_own(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        return import_file(self.file) if self.file else import_module(self.module)


def import_file(path: str) -> ModuleType:
    """Import the Python file at `path` as a module named after it, in its package if it has one.

    Raises DefinitionError (`CodeError`) with the user's line if it does not compile or import.
    """
    name = _module_name(path)
    try:
        if "." in name and os.path.isfile(path):
            importlib.import_module(name.rpartition(".")[0])  # as `import` does, for relative imports
            known = sys.modules.get(name)
            if known is not None and os.path.realpath(known.__file__ or "") == os.path.realpath(path):
                return known
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise DefinitionError("CodeError", f"{path!r} is not a Python file; its name must end in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # as `import` does, so that pickle and dataclasses find it
        with only_own_process():
            spec.loader.exec_module(module)
    except FileNotFoundError as error:
        _forget(name)
        if str(error.filename) != path:
            raise code_error(error, path) from error
        raise DefinitionError("CodeError", f"file {path!r} does not exist") from None
    except DefinitionError as error:
        _forget(name)
        raise _located(error) from error
    except (Exception, SystemExit) as error:
        _forget(name)
        raise code_error(error, path) from error
    return module


def import_module(name: str) -> ModuleType:
    """Import the module `name`. Raises DefinitionError (`CodeError`) as :func:`import_file` does."""
    try:
        with only_own_process():
            return importlib.import_module(name)
    except DefinitionError as error:
        raise _located(error) from error
    except (Exception, SystemExit) as error:
        raise code_error(error) from error


def find_jobs(module: ModuleType) -> list[JobDefinition]:
    """Return the jobs of a module, each once, in the order of their definition."""
    return list({id(v): v for v in vars(module).values() if isinstance(v, JobDefinition)}.values())


def find_job(module: ModuleType, name: str = "") -> JobDefinition:
    """Return the only job of a module, or the job named `name`.

    Raises DefinitionError (`NoJob`, `SeveralJobs`, `UnknownJob`).
    """
    jobs = {id(job): job for job in find_jobs(module)}
    named = {job.name: job for job in jobs.values()}
    if name and name not in named:
        raise DefinitionError("UnknownJob", f"the code has no @job named {name!r}{nearest(name, named)}")
    for job in jobs.values():
        if named[job.name] is not job and name in ("", job.name):
            raise DefinitionError("SeveralJobs", f"the code has several jobs named {job.name!r}; names must be unique")
    if name:
        return named[name]
    if not named:
        text = "the code has no @job; it must have one function with that decorator"
        if any(type(value).__module__.startswith("dagster.") for value in list(vars(module).values())):
            text += "; its definitions come from dagster: import op and job from podgraph instead"
        raise DefinitionError("NoJob", text)
    if len(named) > 1:
        listed = ", ".join(sorted(named))
        text = f"the code has {len(named)} jobs ({listed}); select one with --job NAME (-j)"
        raise DefinitionError("SeveralJobs", text)
    return next(iter(named.values()))


def where(error: BaseException) -> str:
    """Return ` (job.py line 5 in divide)`, the innermost line of the user's code in the traceback of an error, or "".

    If the whole traceback is in installed packages, the outermost line counts as the user's.

    >>> where(ValueError("x"))
    ''
    """
    if isinstance(error, SyntaxError) and error.filename and not error.filename.startswith("<"):
        return f" ({Path(error.filename).name} line {error.lineno})"
    frames = traceback.extract_tb(own_frames(error.__traceback__))
    users = [f for f in frames if not _is_library(f.filename)] or frames[:1]
    if not users:
        return ""
    last = users[-1]
    place = "" if last.name == "<module>" else f" in {last.name}"
    return f" ({Path(last.filename).name} line {last.lineno}{place})"


def own_frames(tb: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of podgraph and of the import machinery at its start."""
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not name.startswith(_OWN) and not name.startswith(_BEFORE):
            break
        tb = tb.tb_next
    return tb


def _keep_own(folder: str) -> None:
    """Import the modules that podgraph needs later, if a file next to the code, such as random.py, would hide them."""
    with contextlib.suppress(OSError):
        beside = {name.partition(".")[0] for name in os.listdir(folder)}
        for name in _NEEDED:
            if name.partition(".")[0] in beside:
                importlib.import_module(name)


def package_root(path: Path) -> Path:
    """Return the folder from which a file is imported: the parent of its outermost package, else its own folder."""
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and folder.parent != folder:
        folder = folder.parent
    return folder


def code_error(error: BaseException, path: str = "") -> DefinitionError:
    """Return the error for code that cannot be imported, with the traceback through the user's code as its `stack`."""
    verb = "does not compile" if isinstance(error, SyntaxError) else "cannot be imported"
    chain = _chain(error)
    text = f"the code {verb}: {_said(error)}{where(error)}"
    if len(chain) > 1:
        text += f"; the first error was {_said(chain[-1])}{where(chain[-1])}"
    missing = next((e.name for e in reversed(chain) if isinstance(e, ModuleNotFoundError) and e.name), "")
    if missing and repr(missing) not in text:
        text += f"; the missing module is {missing!r}"
    return DefinitionError("CodeError", text + _hint(chain[-1], missing, path), _stack(error))


def _module_name(path: str) -> str:
    """Return the module name of a file.

    The name does not hide a module of Python or podgraph itself. Its only dots are those of its packages, so that
    pickle finds its classes.
    """
    file = Path(path)
    stem = file.stem.replace(".", "_")
    with contextlib.suppress(OSError):
        file = file.resolve()
    if not (file.parent / "__init__.py").is_file() or not stem.isidentifier():
        return f"user_{stem}" if stem in _TAKEN or stem == "podgraph" else stem
    return ".".join([*file.parent.relative_to(package_root(file)).parts, stem])


def _forget(name: str) -> None:
    """Remove a module whose import failed, as `import` does."""
    sys.modules.pop(name, None)


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and its causes; the original error is last."""
    found = [error]
    while len(found) < _MOST_CAUSES:
        last = found[-1]
        before = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if before is None or any(before is seen for seen in found):
            break
        found.append(before)
    return found


def _said(error: BaseException) -> str:
    """Return the type and message of an error in one line of bounded length."""
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # noqa: BLE001 - the user's own code
        text = ""
    line = " ".join(str(text).split())
    if len(line) > _MOST_SAID:
        line = f"{line[: _MOST_SAID // 3]} ... {line[-_MOST_SAID // 2 :]}"
    return f"{type(error).__name__}: {line}"


def _stack(error: BaseException) -> str:
    """Return the traceback of an error and of its causes, limited to the user's code."""
    parts = []
    chain = _chain(error)
    for at, one in enumerate(reversed(chain)):
        frames = [f for f in traceback.extract_tb(one.__traceback__) if not f.filename.startswith((_OWN, *_BEFORE))]
        lines = traceback.format_list(frames[-_MOST_FRAMES:])
        head = ["Traceback (most recent call last):\n"] if lines else []
        parts.append("".join([*head, *lines, *traceback.format_exception_only(type(one), one)]))
        if at < len(chain) - 1:
            after = chain[len(chain) - 2 - at]
            joint = "The above exception was the direct cause of the following exception:"
            parts.append(joint if after.__cause__ is one else "During handling of it, another exception occurred:")
    if not any(part.startswith("Traceback") for part in parts):
        return ""  # the message has the place
    text = "\n".join(parts)
    return text if len(text) <= _MOST_STACK else f"{text[: _MOST_STACK // 4]}\n...\n{text[-_MOST_STACK // 2 :]}"


def _hint(error: BaseException, missing: str, path: str) -> str:
    if missing.partition(".")[0].startswith("dagster"):
        return "; podgraph does not need Dagster: import op, job and the others from podgraph instead"
    if not isinstance(error, ImportError) or not error.name:
        return ""
    if error.name == "podgraph" and (found := re.search("cannot import name '([^']{1,100})'", str(error))):
        package = sys.modules["podgraph"]
        try:  # `from podgraph import x` omits this message
            getattr(package, found[1])
        except AttributeError as unknown:
            _, is_known, instead = str(unknown).partition(", which is Dagster's: ")
            return f"; it is a name of Dagster: {instead}" if is_known else nearest(found[1], package.__all__)
    if path and error.name in _TAKEN and (Path(path).parent / f"{error.name}.py").is_file():
        return f"; {error.name}.py next to the code has the name of a standard library module: rename it"
    return ""


def _is_library(filename: str) -> bool:
    """Return whether a file belongs to podgraph, Python or an installed package."""
    installed = "site-packages" in filename or "dist-packages" in filename
    return installed or filename.startswith(("<", _OWN, _LIBRARY))


def _located(error: DefinitionError) -> DefinitionError:
    """Add the user's line to an error. CodeError replaces a reason that is not a valid word."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_OWN, *_BEFORE))]
    place = f" ({Path(frames[-1].filename).name} line {frames[-1].lineno})" if frames else ""
    reason = error.reason if re.fullmatch(r"[A-Za-z0-9_]{1,100}", str(error.reason)) else "CodeError"
    return DefinitionError(reason, f"{error.message}{place}")

"""Import a user's code and find the job in it, with errors that point into that code."""

from __future__ import annotations

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

__all__ = ["CodeRef", "find_job", "find_jobs", "import_file", "import_module", "own_frames", "where"]

_OWN = str(Path(__file__).parents[1]) + os.sep
_BEFORE = ("<frozen ", "<string>", importlib.__file__ or "")
_LIBRARY = str(Path(json.__file__).parents[1]) + os.sep  # the standard library, with site-packages often inside it


@dataclass(frozen=True)
class CodeRef:
    """Where a job is: the Python file `file`, or the importable `module`; `job` names one of several."""

    file: str = ""
    module: str = ""
    job: str = ""

    def load(self) -> JobDefinition:
        """Import the code and return the job. Raises DefinitionError."""
        return find_job(self.module_of(), self.job)

    def module_of(self) -> ModuleType:
        """Import the code, with its folder on the path as when Python starts it. Raises DefinitionError."""
        folder = str(Path(self.file).resolve().parent) if self.file else os.getcwd()
        if folder not in sys.path:
            sys.path.insert(0, folder)
        return import_file(self.file) if self.file else import_module(self.module)


def import_file(path: str) -> ModuleType:
    """Import the Python file at `path` as a module named after it.

    Raises DefinitionError (`CodeError`) with the user's line when it does not compile or import.
    """
    name = Path(path).stem
    try:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise DefinitionError("CodeError", f"{path!r} is no Python file; its name must end in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # as `import` does, so that pickle and dataclasses find it
        spec.loader.exec_module(module)
    except FileNotFoundError as error:
        if str(error.filename) != path:
            raise _code_error(error) from error
        raise DefinitionError("CodeError", f"there is no file {path!r}") from None
    except DefinitionError as error:
        raise _located(error) from error
    except (Exception, SystemExit) as error:
        raise _code_error(error) from error
    return module


def import_module(name: str) -> ModuleType:
    """Import the module `name`. Raises DefinitionError (`CodeError`) as :func:`import_file` does."""
    try:
        return importlib.import_module(name)
    except DefinitionError as error:
        raise _located(error) from error
    except (Exception, SystemExit) as error:
        raise _code_error(error) from error


def find_jobs(module: ModuleType) -> list[JobDefinition]:
    """Return the module's jobs, each once, in the order they are defined."""
    return list({id(v): v for v in vars(module).values() if isinstance(v, JobDefinition)}.values())


def find_job(module: ModuleType, name: str = "") -> JobDefinition:
    """Return the module's only job, or the one called `name`.

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
        raise DefinitionError("NoJob", "the code has no @job; it must have one function with that decorator")
    if len(named) > 1:
        listed = ", ".join(sorted(named))
        text = f"the code has {len(named)} jobs ({listed}); say which one to run with --job NAME (-j)"
        raise DefinitionError("SeveralJobs", text)
    return next(iter(named.values()))


def where(error: BaseException) -> str:
    """Return ` (job.py line 5 in divide)`, the innermost line of the user's code an error passed, or "".

    Where all of it lies in installed packages, the user's is the code that was called first.

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
    """Drop the frames of podgraph and of the import machinery at the start of a traceback."""
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if not name.startswith(_OWN) and not name.startswith(_BEFORE):
            break
        tb = tb.tb_next
    return tb


def _code_error(error: BaseException) -> DefinitionError:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    verb = "does not compile" if isinstance(error, SyntaxError) else "cannot be imported"
    return DefinitionError("CodeError", f"the code {verb}: {type(error).__name__}: {text}{where(error)}")


def _is_library(filename: str) -> bool:
    """Whether a frame's code is podgraph's, Python's or an installed package's."""
    installed = "site-packages" in filename or "dist-packages" in filename
    return installed or filename.startswith(("<", _OWN, _LIBRARY))


def _located(error: DefinitionError) -> DefinitionError:
    """Add the user's line; a reason of the user's own making that is no word becomes CodeError."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((_OWN, *_BEFORE))]
    place = f" ({Path(frames[-1].filename).name} line {frames[-1].lineno})" if frames else ""
    reason = error.reason if re.fullmatch(r"[A-Za-z0-9_]{1,100}", str(error.reason)) else "CodeError"
    return DefinitionError(reason, f"{error.message}{place}")

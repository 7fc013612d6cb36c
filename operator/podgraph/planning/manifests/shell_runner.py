"""What runs a script op's shell script: it waits for the inputs where there are none yet, and tells the end by lines.

Only what every shell has is used. A script of another language runs by itself, as any container does.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.spec import ContainerSpec
from podgraph.protocol.step import LINE_MARK, MOUNT, TERMINATION_FILE

__all__ = [
    "INPUTS_FILE",
    "LATE",
    "SCRIPT_FILE",
    "START_FILE",
    "TOKEN_VARIABLE",
    "ended_in",
    "ending",
    "exports",
    "in_shared_pod",
    "is_shell",
    "runner",
]

SCRIPT_FILE, START_FILE, INPUTS_FILE = f"{MOUNT}/in/script", f"{MOUNT}/in/start", f"{MOUNT}/in/inputs"
TOKEN_VARIABLE = "PODGRAPH_TOKEN"
"""Where the runner finds what its lines repeat; the op's own script never sees it."""
OUTPUT_MARK, END_MARK = f"{LINE_MARK}output ", f"{LINE_MARK}end "
KILL_SECONDS = 10
"""How long a script has to end that was told to, as its time is over."""
LATE = 124
"""The exit code that tells that, as timeout(1) does."""
MAX_TOLD = 4_096
"""Most bytes of outputs that are told by lines: the kubelet takes no more either."""

_SHELL = re.compile(r"#!\s*(/\S*/)?(env\s+)?(sh|bash|dash|ash|busybox sh)(\s|$)")


def is_shell(spec: ContainerSpec) -> bool:
    """Whether a script op's image has a shell, as its script is for one."""
    return bool(spec.script) and (not spec.script.startswith("#!") or bool(_SHELL.match(spec.script)))


def runner(seconds: int) -> str:
    """Return the script that runs the op's own; with `seconds` it waits so long for the inputs.

    It reports the end by lines that repeat the token in its environment; without a token by the termination message
    alone.

    It passes SIGTERM on to the op's script. As the first process of the container, the script would ignore the signal.
    """
    wait = f"""
trap 'exit 143' TERM
_podgraph_end=$(($(date +%s) + {seconds})) _podgraph_nap=0.03 _podgraph_looks=0
until [ -s {INPUTS_FILE} ]; do
  [ "$(date +%s)" -lt "$_podgraph_end" ] || exit 75
  sleep "$_podgraph_nap" 2>/dev/null || sleep 1
  _podgraph_looks=$((_podgraph_looks + 1))
  [ "$_podgraph_looks" -lt 400 ] || _podgraph_nap=0.2 # long enough for a poll of 30 times a second to be felt
done
. {INPUTS_FILE}
"""
    return f"""#!/bin/sh
unset _podgraph_token # it may be in the environment, and would be exported
_podgraph_token=${TOKEN_VARIABLE}
unset {TOKEN_VARIABLE}
_podgraph_limit=
{wait if seconds else ""}
_podgraph_late= _podgraph_told= _podgraph_early= _podgraph_pid=
trap '
  _podgraph_told=yes
  if [ -n "$_podgraph_pid" ]; then kill -TERM "$_podgraph_pid" 2>/dev/null; else _podgraph_early=yes; fi
' TERM
trap '_podgraph_told=yes _podgraph_late=yes; kill -TERM "$_podgraph_pid" 2>/dev/null' USR1
# A shell starts background commands with SIGINT and SIGQUIT ignored: bash can reset them, other shells need env.
_podgraph_env=
env --default-signal=INT,QUIT true >/dev/null 2>&1 && _podgraph_env=yes
(
  trap - INT QUIT
  [ -z "$_podgraph_env" ] || exec env --default-signal=INT,QUIT {SCRIPT_FILE} "$@"
  exec {SCRIPT_FILE} "$@"
) &
_podgraph_pid=$!
if [ -n "$_podgraph_early" ]; then # the signal came before the number; the new process needs a moment to be the script
  sleep 0.1 2>/dev/null || sleep 1
  kill -TERM "$_podgraph_pid" 2>/dev/null
fi
if [ -n "$_podgraph_limit" ]; then
  {{ sleep "$_podgraph_limit"; kill -USR1 $$; sleep {KILL_SECONDS}; kill -KILL "$_podgraph_pid"; }} >/dev/null 2>&1 &
fi
wait "$_podgraph_pid"
_podgraph_code=$?
while [ -n "$_podgraph_told" ]; do # the signal ended the wait, not yet the script
  _podgraph_told=
  wait "$_podgraph_pid"
  _podgraph_again=$?
  [ "$_podgraph_again" = 127 ] || _podgraph_code=$_podgraph_again
done
[ -z "$_podgraph_late" ] || exit {LATE}
if [ -n "$_podgraph_token" ] && [ "$_podgraph_code" = 0 ] && [ "$(wc -c < {TERMINATION_FILE})" -lt {MAX_TOLD} ] &&
  [ "$(wc -c < {TERMINATION_FILE})" = "$(tr -d '\\000' < {TERMINATION_FILE} | wc -c)" ]; then # read drops NUL bytes
  _podgraph_count=0
  while IFS= read -r _podgraph_line || [ -n "$_podgraph_line" ]; do
    printf '{OUTPUT_MARK}%s::%s\\n' "$_podgraph_token" "$_podgraph_line"
    _podgraph_count=$((_podgraph_count + 1))
  done < {TERMINATION_FILE}
  printf '{END_MARK}%s::%s\\n' "$_podgraph_token" "$_podgraph_count"
fi
# The kubelet shows the end of the log only if nothing was written.
[ "$_podgraph_code" = 0 ] || {{ true > {TERMINATION_FILE}; }} 2>/dev/null
exit "$_podgraph_code"
"""


def exports(inputs: Mapping[str, str], limit: float | None = None) -> str:
    """Return what the waiting shell reads: the inputs as environment variables, by name, and its time in seconds."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in inputs.items()]
    lines += [f"_podgraph_limit={limit:g}"] if limit is not None else []
    return "\n".join(["# the inputs", *lines, ""])


def ending() -> str:
    """Return what a waiting shell reads that is to end without having done anything."""
    return "exit 0\n"


def in_shared_pod(op: str, spec: ContainerSpec, pod: str) -> ContainerSpec:
    """Return what an op runs in a container that waits for its turn: a command becomes what a shell runs.

    Raises DefinitionError (`InvalidOp`) for one that cannot wait: nobody knows how the image's own command is begun,
    and what Kubernetes puts into args and variables is fixed when the container is made.
    """
    if not (spec.script or spec.command):
        raise DefinitionError(
            "InvalidOp",
            f"op {op!r} shares pod {pod!r}, where its container waits for its turn in a shell: it must set script or "
            "command",
        )
    if any("$(INPUT_" in text for text in (*spec.command, *spec.args, *(value for _, value in spec.env))):
        raise DefinitionError(
            "InvalidOp",
            f"op {op!r} shares pod {pod!r}, so its container is made before its inputs are known, and $(INPUT_...) "
            "cannot stand in its command, args or env; a script, or sh -c, may use $INPUT_...",
        )
    if spec.script:
        return spec
    return replace(spec, script='exec "$@"', command=(), args=(*spec.command, *spec.args))


def ended_in(lines: Iterable[str], token: str) -> str | None:
    """Return what a script op that succeeded has written to its output file, by the lines of its log.

    None while it has not ended, or when a line is missing.

    >>> ended_in(["hello", "::podgraph-output n::a=1", "::podgraph-end n::1"], "n")
    'a=1'
    """
    written: list[str] = []
    for line in lines:
        _, found, text = line.partition(f"{OUTPUT_MARK}{token}::")
        if found:
            written.append(text)
            continue
        _, found, text = line.partition(f"{END_MARK}{token}::")
        if found:
            return "\n".join(written) if text.strip() == str(len(written)) else None
    return None

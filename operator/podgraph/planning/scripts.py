"""What runs a script op's shell script: it waits for the inputs where there are none yet, and tells the end by lines.

Only what every shell has is used. A script of another language runs by itself, as any container does.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from podgraph.planning.spec import ContainerSpec
from podgraph.runtime.protocol import LINE_MARK, MOUNT, TERMINATION_FILE

__all__ = ["INPUTS_FILE", "SCRIPT_FILE", "START_FILE", "ended_in", "exports", "is_shell", "runner"]

SCRIPT_FILE, START_FILE, INPUTS_FILE = f"{MOUNT}/in/script", f"{MOUNT}/in/start", f"{MOUNT}/in/inputs"
OUTPUT_MARK, END_MARK = f"{LINE_MARK}output ", f"{LINE_MARK}end "
MAX_TOLD = 4_096
"""Most bytes of outputs that are told by lines: the kubelet takes no more either."""

_SHELL = re.compile(r"#!\s*(/\S*/)?(env\s+)?(sh|bash|dash|ash|busybox sh)(\s|$)")


def is_shell(spec: ContainerSpec) -> bool:
    """Whether a script op's image has a shell, as its script is for one."""
    return bool(spec.script) and (not spec.script.startswith("#!") or bool(_SHELL.match(spec.script)))


def runner(nonce: str, seconds: int) -> str:
    """Return the script that runs the op's own; with `seconds` it waits so long for the inputs.

    SIGTERM reaches the op's script, which by itself, as the container's first process, would ignore it.
    """
    wait = f"""
trap 'exit 143' TERM
end=$(($(date +%s) + {seconds}))
until [ -s {INPUTS_FILE} ]; do
  [ "$(date +%s)" -lt "$end" ] || exit 75
  sleep 0.03 2>/dev/null || sleep 1
done
. {INPUTS_FILE}
"""
    return f"""#!/bin/sh
{wait if seconds else ""}
trap 'told=yes; kill -TERM "$pid" 2>/dev/null' TERM
{SCRIPT_FILE} "$@" &
pid=$! told=
wait "$pid"
code=$?
while [ -n "$told" ]; do # the signal ended the wait, not yet the script
  told=
  wait "$pid"
  again=$?
  [ "$again" = 127 ] || code=$again
done
if [ "$code" = 0 ] && [ "$(wc -c < {TERMINATION_FILE})" -lt {MAX_TOLD} ]; then
  count=0
  while IFS= read -r line || [ -n "$line" ]; do
    printf '{OUTPUT_MARK}{nonce}::%s\\n' "$line"
    count=$((count + 1))
  done < {TERMINATION_FILE}
  printf '{END_MARK}{nonce}::%s\\n' "$count"
fi
exit "$code"
"""


def exports(inputs: Mapping[str, str]) -> str:
    """Return what the waiting shell reads: the inputs as environment variables, by name."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in inputs.items()]
    return "\n".join(["# the inputs", *lines, ""])


def ended_in(lines: Iterable[str], nonce: str) -> str | None:
    """Return what a script op that succeeded has written to its output file, by the lines of its log.

    None while it has not ended, or when a line is missing.

    >>> ended_in(["hello", "::podgraph-output n::a=1", "::podgraph-end n::1"], "n")
    'a=1'
    """
    written: list[str] = []
    for line in lines:
        _, found, text = line.partition(f"{OUTPUT_MARK}{nonce}::")
        if found:
            written.append(text)
            continue
        _, found, text = line.partition(f"{END_MARK}{nonce}::")
        if found:
            return "\n".join(written) if text.strip() == str(len(written)) else None
    return None

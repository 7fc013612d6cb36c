"""Creates the resources of a process once, and always cleans them up."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

from podgraph.definition.config_read import read_config
from podgraph.definition.resources import ResourceDefinition
from podgraph.protocol.step import StepError
from podgraph.runtime.context import InitResourceContext, Resources
from podgraph.runtime.errors import error_text
from podgraph.runtime.load import where
from podgraph.runtime.own_process import only_own_process

__all__ = ["open_resources"]

Emit = Callable[[str, "dict[str, Any]"], None]


@contextlib.contextmanager
def open_resources(
    definitions: Mapping[str, ResourceDefinition], needed: Iterable[str], configs: Mapping[str, Any], run_id: str,
    emit: Emit,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield the `needed` resources by name; clean them up in reverse order at the end of the block.

    Each of the `definitions` follows those that it requires; `configs` are from run config. Raises StepError
    (`ResourceFailed`) if a resource cannot be created, after the cleanup of the earlier ones. An error in a cleanup is
    logged and emitted; the other resources are still cleaned up.
    """
    wanted, values = set(needed), dict[str, Any]()
    made: list[tuple[str, Any]] = []
    try:
        for name, definition in definitions.items():
            if name not in wanted:
                continue
            try:
                with only_own_process():
                    values[name] = _make(name, definition, configs.get(name), values, run_id, made)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # the user's code may raise anything, SystemExit too
                text = error.message if isinstance(error, StepError) else f"{error_text(error)}{where(error)}"
                emit("RESOURCE_INIT_FAILURE", {"name": name, "error": text})
                raise StepError("ResourceFailed", f"resource {name!r} cannot be created: {text}") from error
            emit("RESOURCE_INIT_SUCCESS", {"name": name})
        yield values
    finally:
        with contextlib.ExitStack() as stack:  # continues with the others after a Ctrl-C
            for name, generator in made:
                stack.callback(_put_away, name, generator, emit)


def _make(
    name: str, definition: ResourceDefinition, config: Any, values: Mapping[str, Any], run_id: str,
    made: list[tuple[str, Any]],
) -> Any:  # fmt: skip
    own = definition.fixed if definition.is_fixed else config
    if definition.config_schema is not None:
        own = read_config(definition.config_schema, own)
    resources = Resources(values, f"resource {name!r}", definition.required_resource_keys)
    lead = [InitResourceContext(name, own, resources, run_id)] if definition.takes_context else []
    result = definition.fn(*lead)
    if isinstance(result, contextlib.AbstractContextManager) and hasattr(result, "gen"):
        result = result.gen  # the function also has @contextmanager, as Dagster's examples do
    if not inspect.isgenerator(result):
        return result
    try:
        value = next(result)
    except StopIteration:
        raise StepError("ResourceFailed", "its function yields nothing; it must yield the resource once") from None
    made.append((name, result))
    return value


def _put_away(name: str, generator: Any, emit: Emit) -> None:
    try:
        with only_own_process():
            next(generator)
        error: BaseException = RuntimeError("its function yields more than once")
    except StopIteration:
        return
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001  the user's code may raise anything; continue with the others
        error = raised
    logging.getLogger(f"podgraph.resource.{name}").error("could not be cleaned up", exc_info=error)
    emit("RESOURCE_TEARDOWN_FAILURE", {"name": name, "error": error_text(error)})

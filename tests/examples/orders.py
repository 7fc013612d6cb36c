"""A job with most features of ops: config, a resource, retries, branches, hooks, tags, and a nested graph.

podgraph job scaffold-config -f orders.py
podgraph job execute -f orders.py -c config/orders.yaml
"""

from dataclasses import dataclass

from podgraph import Backoff, Out, Output, RetryPolicy, failure_hook, graph, job, op, resource, success_hook


@dataclass
class Source:
    """The orders to load."""

    table: str
    limit: int = 100


@resource(config_schema={"url": str})
def database(context):
    """A connection, closed when the process ends."""
    connection = {"url": context.resource_config["url"], "open": True}
    yield connection
    connection["open"] = False


@success_hook
def tell(context):
    context.log.info("%s made %s", context.op_name, ", ".join(context.op_output_values))


@failure_hook
def warn(context):
    context.log.warning("%s failed: %s", context.op_name, context.op_exception)


@op(
    required_resource_keys={"database"},
    retry_policy=RetryPolicy(max_retries=3, delay=0.1, backoff=Backoff.EXPONENTIAL),
    tags={"database": "orders"},
)
def load(context, config: Source) -> list[int]:
    if context.retry_number == 0:
        raise ConnectionError("the database is not there yet")
    assert context.resources.database["open"]
    return list(range(1, config.limit + 1))


@op(out={"small": Out(list, is_required=False), "large": Out(list, is_required=False)})
def split(rows: list[int]):
    small, large = [r for r in rows if r < 1000], [r for r in rows if r >= 1000]
    if small:
        yield Output(small, "small")
    if large:
        yield Output(large, "large")


@op
def total(rows: list) -> int:
    return sum(rows)


@op
def report(totals: list) -> str:
    return f"{sum(totals)} in {len(totals)} part(s)"


@graph
def totals(small, large):
    return report([total.alias("small")(small), total.alias("large")(large)])


@job(resource_defs={"database": database}, hooks={tell, warn}, tags={"team": "sales"})
def orders():
    small, large = split(load())
    totals(small, large)

"""Three ops share the pod "prep" and pass values that JSON cannot represent; the results fan out to other pods.

podgraph job launch -f prep.py --wait
"""

from __future__ import annotations

import sqlite3

from podgraph import Out, job, op


@op(pod="prep")
def load():
    database = sqlite3.connect(":memory:")  # no pod could hand it to another
    database.execute("create table orders (region text, amount int)")
    database.executemany("insert into orders values (?, ?)", [("north", 3), ("south", 4), ("north", 5), ("east", -1)])
    return database


@op(pod="prep")
def clean(database: sqlite3.Connection):
    print("rows with an amount below 0 are left out")
    database.execute("delete from orders where amount < 0")
    return database


@op(pod="prep", out={"north": Out(), "south": Out()})
def part(database: sqlite3.Connection):
    query = "select amount from orders where region = ?"
    north, south = ([amount for (amount,) in database.execute(query, (name,))] for name in ("north", "south"))
    return north, south


@op
def total(amounts: list) -> int:
    return sum(amounts)


@op
def report(totals: list) -> str:
    return f"{sum(totals)} in {len(totals)} regions"


@job
def my_job():
    north, south = part(clean(load()))
    report([total.alias("north")(north), total.alias("south")(south)])


if __name__ == "__main__":
    print(my_job.execute_in_process().output_for_node("report"))

"""Each step in a process of its own, at most four at once, forked from one that has loaded this file.

podgraph job execute -f forkserver_job.py
"""

from my_job import add_two, multi_three, return_one

from podgraph import job


@job(
    config={
        "execution": {
            "config": {
                "multiprocess": {
                    "start_method": {
                        "forkserver": {},
                    },
                    "max_concurrent": 4,
                },
            }
        }
    }
)
def forkserver_job():
    multi_three(add_two(return_one()))

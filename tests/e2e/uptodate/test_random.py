"""Random documents, random edits and random runs: what is ok has made what it had to, and nothing runs twice."""

from __future__ import annotations

from random import Random

import pytest

from fastrun import SpecError
from fastrun.plan.selection import Selection
from tests.support.amounts import many
from tests.support.documents import document, write_json
from tests.support.journals import wait_for_lock
from tests.support.processes import fastrun_process, unmeasured
from tests.support.random_works import RandomWorks

ROUNDS = 6


@pytest.mark.parametrize("seed", range(many("random documents brought up to date", 6, 200)))
def test_what_is_ok_has_made_what_it_had_to(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAGS", "-O0")
    random = Random(seed)
    works = RandomWorks(random)
    edits: list[str] = []
    for _ in range(ROUNDS):
        edits += [works.edit() for _ in range(random.randint(0, 3))]
        options = choose(random, works)
        try:
            works.run(**options)
        except SpecError as error:
            assert "is missing, and no task makes it" in str(error)
            works.restore()
            works.run(**options)
        assert works.wrong() == [], (edits, options)
        settled = {name for name, (status, _) in works.statuses().items() if status == "ok"}
        plain = {task["name"] for task in works.tasks if not task.get("outputs")}
        again = works.run(update=True, select=options.get("select"))
        assert settled.intersection(again) <= plain, (edits, options, works.why)
        assert works.wrong() == []


@pytest.mark.parametrize("seed", range(many("random documents killed and brought up to date", 4, 100)))
def test_what_was_killed_is_not_ok(seed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAGS", "-O0")
    random = Random(seed)
    works = RandomWorks(random)
    for _ in range(ROUNDS // 2):
        for _ in range(random.randint(1, 3)):
            works.edit()
        works.restore()
        path = write_json(tmp_path, {**document(*works.tasks), "pools": works.pools})
        with fastrun_process("-u", "--journal", works.journal, path, env=unmeasured()) as process:
            assert process.stdout is not None
            for _ in range(random.randint(0, len(works.tasks))):
                process.stdout.readline()
            process.kill()
            process.communicate()
        wait_for_lock(works.journal)
        works.run(**({"resume": True} if random.random() < 0.5 else {"update": True}))
        assert works.wrong() == []


def choose(random: Random, works: RandomWorks) -> dict[str, object]:
    """Return how to run."""
    names = [task["name"] for task in works.tasks]
    options: dict[str, object] = {"jobs": random.choice([1, 2, None]), "durable": random.random() < 0.1}
    if random.random() < 0.3:
        options["resume"] = True
    if random.random() < 0.2:
        options["rerun"] = [random.choice(names)]
    elif random.random() < 0.3:
        one = [random.choice(names)]
        options["select"] = random.choice([Selection(one), Selection(only=one), Selection(exclude=one)])
    return options

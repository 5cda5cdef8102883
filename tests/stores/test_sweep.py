"""Clearing a store: only what nobody needs goes, never half of it in a way that looks whole, never under a worker."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import Place

from ticketsmith.experiment.problems import Unavailable
from ticketsmith.experiment.results import (
    CHECKPOINT,
    FINAL,
    MASK,
    METRICS,
    RESULT,
    REWIND,
    SPEC,
    USED,
    WEIGHTS,
)
from ticketsmith.experiment.retention import Claims, Need
from ticketsmith.stores import open_store
from ticketsmith.stores.base import Held, Store, Stored
from ticketsmith.stores.directory import DirectoryStore
from ticketsmith.stores.sweep import Judge, Reason, Swept, survey, sweep

KEY = "0123456789abcdef"
OTHER = "f" * 16
DONE = (SPEC, METRICS, MASK, WEIGHTS, REWIND, RESULT)
LONG_AGO, NOW = 0.0, 1e12


def fill(store: Store, key: str, *names: str) -> None:
    """Files with these names."""
    for name in names:
        file = store.scratch(key) / name
        file.write_bytes(b"x" * 100)
        store.put(key, name, file)


def claims(*needs: Need, key: str = KEY) -> Claims:
    found = Claims()
    for number, need in enumerate(needs):
        found.add(f"trial-{number}", {key: "dense-s0"}, need, "because")
    return found


def carried_out(store: Store, judge: Judge) -> list[Swept]:
    told: list[Swept] = []
    going = [verdict for verdict in survey(store, judge) if verdict.goes]
    sweep(store, judge, going, told.append)
    return told


# --- what every store tells of its files ---------------------------------------------------------
def test_files_are_listed_with_their_sizes_and_times(store: Store) -> None:
    before = time.time()
    fill(store, OTHER, WEIGHTS)
    fill(store, KEY, WEIGHTS, RESULT)
    with store.exclusive(KEY):
        found = list(store.files())
        assert list(store.files(KEY)) == found[:2]
    assert [(file.key, file.name, file.bytes) for file in found] == [
        (KEY, RESULT, 100),
        (KEY, WEIGHTS, 100),
        (OTHER, WEIGHTS, 100),
    ]
    assert all(before - 5 < file.changed_at < time.time() + 5 for file in found)
    assert list(store.files("a" * 16)) == []


def test_touching_makes_a_file_new_and_leaves_the_others(store: Store, place: Place) -> None:
    fill(store, KEY, RESULT)
    (result,) = store.files(KEY)
    store.touch(KEY, USED)
    first = next(file for file in store.files(KEY) if file.name == USED)
    again = {USED: first}
    while again[USED].changed_at <= first.changed_at:  # a file system's clock moves in steps
        store.touch(KEY, USED)
        again = {file.name: file for file in store.files(KEY)}
    assert again[USED].bytes == 0
    assert again[RESULT] == result
    assert place.files(KEY) == [RESULT, USED]


HOLDER = """
import sys
from ticketsmith.stores import open_store
with open_store(sys.argv[1]).exclusive("0123456789abcdef"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(place: Place) -> Iterator[None]:
    """Another process works on KEY."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, place.uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield
    process.kill()
    process.communicate()


def test_who_does_not_wait_is_told_that_a_key_is_held(store: Store, holder: None) -> None:
    with pytest.raises(Held, match=KEY), store.exclusive(KEY, wait=False):
        pass
    with store.exclusive(OTHER, wait=False):
        pass


# --- judging -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("needs", "names", "orphans", "reason", "goes"),
    [
        (("everything",), DONE, True, "needed", ()),
        (("results", "everything"), DONE, True, "needed", ()),
        (("everything",), (CHECKPOINT,), True, "needed", ()),
        (("results",), DONE, False, "weights", (REWIND, WEIGHTS)),
        (("results", "results"), (*DONE, FINAL), False, "weights", (FINAL, REWIND, WEIGHTS)),
        (("results",), (*DONE, CHECKPOINT), False, "weights", (CHECKPOINT, REWIND, WEIGHTS)),
        (("results",), (SPEC, MASK, RESULT), True, "results", ()),
        (("results",), (CHECKPOINT, REWIND), False, "unfinished", (CHECKPOINT, REWIND)),
        ((), DONE, False, "unclaimed", ()),
        ((), (CHECKPOINT,), False, "unclaimed", ()),
        ((), (*DONE, CHECKPOINT), True, "orphan", (RESULT, CHECKPOINT, MASK, METRICS)),
    ],
)
def test_a_round_is_judged_by_who_needs_it(
    needs: tuple[Need, ...],
    names: tuple[str, ...],
    orphans: bool,
    reason: Reason,
    goes: tuple[str, ...],
) -> None:
    files = [Stored(KEY, name, 100, 50.0) for name in sorted(names)]
    verdict = Judge(claims(*needs), 100.0, orphans).judge(KEY, files)
    assert verdict.reason == reason
    assert tuple(file.name for file in verdict.goes)[: len(goes)] == goes
    assert bool(verdict.goes) is bool(goes)
    if reason == "orphan":
        assert verdict.stays == ()
    assert sorted((*verdict.goes, *verdict.stays), key=lambda file: file.name) == files
    young = [*files, Stored(KEY, USED, 0, 101.0)]
    assert Judge(claims(*needs), 100.0, orphans).judge(KEY, young).reason == "young"


# --- removing ------------------------------------------------------------------------------------
def test_only_the_weights_of_a_round_go_and_nothing_of_others(store: Store, place: Place) -> None:
    for key in (KEY, OTHER):
        fill(store, key, *DONE)
    (swept,) = carried_out(store, Judge(claims("results"), NOW))
    assert [file.name for file in swept.verdict.goes] == [REWIND, WEIGHTS]
    assert swept.verdict.bytes == 200
    assert place.files(KEY) == sorted({SPEC, METRICS, MASK, RESULT})
    assert place.files(OTHER) == sorted(DONE)
    assert carried_out(store, Judge(claims("results"), NOW)) == []


def test_of_an_orphan_nothing_is_left(store: Store, place: Place) -> None:
    fill(store, KEY, *DONE)
    carried_out(store, Judge(Claims(), NOW, orphans=True))
    assert place.everything() == []


def test_foreign_files_are_never_touched(store: Store, place: Place) -> None:
    fill(store, KEY, *DONE)
    place.overwrite("notes", "weights.safetensors", b"mine")
    place.overwrite(KEY, ".mine", b"mine")
    carried_out(store, Judge(Claims(), NOW, orphans=True))
    assert place.content("notes", "weights.safetensors") == b"mine"
    assert place.content(KEY, ".mine") == b"mine"


def test_a_round_that_somebody_works_on_is_left_alone(
    store: Store, place: Place, holder: None
) -> None:
    fill(store, KEY, *DONE)
    fill(store, OTHER, *DONE)
    told = carried_out(store, Judge(Claims(), NOW, orphans=True))
    assert [(one.verdict.key, one.held) for one in told] == [(KEY, True), (OTHER, False)]
    assert place.files(KEY) == sorted(DONE)
    assert place.files(OTHER) == []


def test_what_was_used_since_it_was_judged_stays(store: Store, place: Place) -> None:
    """An experiment began between the look and the removal, and found the round done."""
    fill(store, KEY, *DONE)
    filled_at = max(file.changed_at for file in store.files(KEY))
    judge = Judge(Claims(), filled_at, orphans=True)
    going = list(survey(store, judge))
    assert going[0].goes
    # A file system's clock moves in steps.
    while max(file.changed_at for file in store.files(KEY)) <= filled_at:
        store.touch(KEY, USED)
    told: list[Swept] = []
    sweep(store, judge, going, told.append)
    assert (told[0].verdict.reason, told[0].verdict.goes) == ("young", ())
    assert place.files(KEY) == sorted((*DONE, USED))


class Stopped(Exception):
    """The sweep is cut off here."""


@pytest.mark.parametrize("after", range(len(DONE) + 1))
def test_a_sweep_cut_off_anywhere_leaves_no_round_that_looks_done(
    store: Store, place: Place, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fill(store, KEY, *DONE, CHECKPOINT)
    remove, removed = type(store).remove, 0

    def cut_off(self: Store, key: str, name: str) -> None:
        nonlocal removed
        if removed == after:
            raise Stopped
        removed += 1
        remove(self, key, name)

    judge = Judge(Claims(), NOW, orphans=True)
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "remove", cut_off)
        with pytest.raises(Stopped):
            carried_out(store, judge)
    left = set(place.files(KEY))
    assert len(left) == len(DONE) + 1 - after
    assert RESULT not in left or after == 0
    assert CHECKPOINT not in left or {REWIND, WEIGHTS} <= left
    carried_out(store, judge)
    assert place.everything() == []


# --- a folder ------------------------------------------------------------------------------------
RACER = """
import sys
from ticketsmith.stores import open_store
store = open_store(sys.argv[1])
for turn in range(150):
    with store.exclusive("0123456789abcdef"):
        assert store.create_text("0123456789abcdef", "result.json", "x"), "two at one key"
        store.remove("0123456789abcdef", "result.json")
"""


def test_a_folder_that_its_last_holder_removes_is_still_held_by_one_at_a_time(
    tmp_path: Path,
) -> None:
    """Each leaves nothing stored, so that folder and lock come and go under the others."""
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    assert [racer.communicate(timeout=300)[1] for racer in racers] == [b""] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_in_it_stays(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    (tmp_path / KEY).mkdir()
    (tmp_path / KEY / ".mine").write_text("mine")
    with store.exclusive(KEY):
        pass
    assert (tmp_path / KEY / ".mine").exists()


def test_a_store_that_refuses_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, KEY, *DONE)

    def away(self: Store, key: str, name: str) -> None:
        raise Unavailable("the store is away")

    monkeypatch.setattr(type(store), "remove", away)
    with pytest.raises(Unavailable):
        carried_out(open_store(store.uri), Judge(Claims(), NOW, orphans=True))

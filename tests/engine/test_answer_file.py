"""Where a round's answer goes: to a file of its own, or into one that is there and in a folder closed to it."""

import errno
import json
from pathlib import Path

import pytest

from ticketsmith import round as entry


@pytest.mark.parametrize("refusal", [errno.EACCES, errno.EROFS, errno.EBUSY])
def test_a_termination_log_in_a_closed_folder_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    """As in a container whose user is not root: /dev takes no other file, and the log itself is a mount."""

    def refuse(target: Path, text: str) -> None:
        raise OSError(refusal, "refused", str(target))

    monkeypatch.setattr(entry, "write_text", refuse)
    log = tmp_path / "termination-log"
    log.touch()
    code = entry.main(["--store", str(tmp_path / "store"), "--answer", str(log)])
    assert code == 2
    assert json.loads(log.read_text())["exitCode"] == 2


def test_an_answer_that_no_file_takes_ends_the_round_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "termination-log"
    folder.mkdir()
    assert entry.main(["--store", str(tmp_path / "store"), "--answer", str(folder)]) == 2
    assert f"cannot write the answer to {folder}" in capsys.readouterr().err

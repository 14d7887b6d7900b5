"""Holds the samples against ISO 20022 without Rust.

Good files must satisfy the published schemas (pain.001.001.09 from the package sepaxml, camt.053.001.08 from the
package camt053; only their .xsd files are used) and the rules of sense that are written here a second time. Every
spoilt one in refused.json must be refused, and by the layer that it names: XML itself, the schema, or sense. The
lengths of IBANs are compared with schwifty's copy of the registry.
"""

import importlib.util
import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import schwifty
from lxml import etree
from schwifty import registry

SAMPLES = Path("samples")
OURS = "DE89370400440532013000"
FRACTIONS = {"EUR": 2, "USD": 2, "JPY": 0}  # ISO 4217
SEPA = re.compile(r"[a-zA-Z0-9/\-?:().,'+ ]+")


def schema(package, path):
    """A schema out of an installed package, which is not imported."""
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    found = etree.parse(Path(folder) / path)
    return found.getroot().get("targetNamespace"), etree.XMLSchema(found)


SCHEMAS = dict([
    schema("sepaxml", "schemas/pain.001.001.09.xsd"),
    schema("camt053", "xsd/camt.053.001.08.xsd"),
])


def refused_by(bytes_):
    """The layer that refuses a file and why, or None."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(bytes_, parser)
    except etree.XMLSyntaxError as error:
        return "xml", str(error)
    if root.getroottree().docinfo.doctype:
        return "xml", "document type"
    namespace = etree.QName(root).namespace
    if namespace not in SCHEMAS:
        return "schema", f"no schema for {namespace}"
    if not SCHEMAS[namespace].validate(root):
        return "schema", str(SCHEMAS[namespace].error_log.last_error)
    sense = order if "pain.001" in namespace else statement
    try:
        sense(root, {"i": namespace})
    except (AssertionError, schwifty.exceptions.SchwiftyException) as error:
        return "sense", repr(error)
    return None


def amounts(root, ns):
    """Every amount has its currency's digits, every IBAN its country's form."""
    for element in root.iterfind(".//*[@Ccy]"):
        whole, _, part = element.text.strip().partition(".")
        assert len(part) <= FRACTIONS[element.get("Ccy")], element.text
        assert len((whole + part).lstrip("0")) <= 18, element.text
    for element in root.iterfind(".//i:IBAN", ns):
        # Country, length, structure and check digits; the national check digits inside are the bank's own business.
        schwifty.IBAN(element.text)


def order(root, ns):
    amounts(root, ns)
    ids = [element.text for element in root.iterfind(".//i:EndToEndId", ns)]
    assert len(ids) == len(set(ids)), "end-to-end ids are not unique"
    blocks = [element.text for element in root.iterfind(".//i:PmtInfId", ns)]
    assert len(blocks) == len(set(blocks)), "blocks are not unique"
    for id_ in ids + [element.text for element in root.iterfind(".//i:MsgId", ns)]:
        assert not (id_.startswith("/") or id_.endswith("/") or "//" in id_), id_
    for name in ("MsgId", "EndToEndId", "Nm", "Ustrd"):
        for element in root.iterfind(f".//i:{name}", ns):
            assert SEPA.fullmatch(element.text), element.text
    for element in root.iterfind(".//i:Nm", ns):
        assert len(element.text) <= 70, "SEPA's names have 70 characters"
    for parent in root.iterfind(".//i:PmtInf", ns):
        currencies = {element.get("Ccy") for element in parent.iterfind(".//i:InstdAmt", ns)}
        assert len(currencies) == 1, currencies
        totals(parent, parent, ns)
    totals(root.find(".//i:GrpHdr", ns), root, ns)


def totals(says, whole, ns):
    paid = [Decimal(element.text) for element in whole.iterfind(".//i:InstdAmt", ns)]
    assert all(amount > 0 for amount in paid), "a transfer of nothing"
    assert int(says.findtext("i:NbOfTxs", namespaces=ns)) == len(paid), "count"
    assert Decimal(says.findtext("i:CtrlSum", namespaces=ns)) == sum(paid), "sum"


def signed(element, ns, sign=None):
    side = element.findtext("i:CdtDbtInd", sign, namespaces=ns)
    return Decimal(element.findtext("i:Amt", namespaces=ns)) * {"CRDT": 1, "DBIT": -1}[side]


def statement(root, ns):
    amounts(root, ns)
    (one,) = root.iterfind(".//i:Stmt", ns)
    assert one.findtext("i:Acct/i:Id/i:IBAN", namespaces=ns) == OURS, "another account"
    currencies = {element.get("Ccy") for element in one.iterfind("i:Bal/i:Amt", ns)}
    currencies |= {element.get("Ccy") for element in one.iterfind("i:Ntry/i:Amt", ns)}
    currencies |= {element.text for element in one.iterfind("i:Acct/i:Ccy", ns)}
    assert len(currencies) == 1, currencies
    balances = {element.findtext("i:Tp/i:CdOrPrtry/i:Cd", namespaces=ns): signed(element, ns)
                for element in one.iterfind("i:Bal", ns)}
    assert "CLBD" in balances and ("OPBD" in balances or "PRCD" in balances), balances
    total = balances.get("OPBD", balances.get("PRCD"))
    references = []
    for entry in one.iterfind("i:Ntry", ns):
        references.append(entry.findtext("i:AcctSvcrRef", namespaces=ns))
        if entry.findtext("i:Sts/i:Cd", namespaces=ns) == "BOOK":
            total += signed(entry, ns)
        side = entry.findtext("i:CdtDbtInd", namespaces=ns)
        parts = [signed(detail, ns, side) for detail in entry.iterfind("i:NtryDtls/i:TxDtls", ns)]
        assert not parts or sum(parts) == signed(entry, ns), "payments do not add up to their entry"
    assert len(references) == len(set(references)), "references are not unique"
    assert total == balances["CLBD"], f"closing balance: {balances['CLBD']} said, {total} computed"


def lengths():
    """Countries of the registry that have IBANs of their own, with their length."""
    found = []
    for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            try:
                spec = registry.get_iban_spec(a + b)
            except Exception:  # no such country
                continue
            # "aspirational": not in the registry; another country's code: a territory that uses its IBANs.
            if not spec.aspirational and spec.iban_spec.startswith(a + b):
                found.append(f"{a}{b} {spec.iban_length}")
    return found


def main():
    failures = []
    good = sorted(SAMPLES.glob("*.xml")) + [Path(name) for name in sys.argv[1:]]
    for path in good:
        verdict = refused_by(path.read_bytes())
        if verdict:
            failures.append(f"{path}: {verdict}")
    cases = json.loads((SAMPLES / "refused.json").read_text())
    for case in cases:
        text = (SAMPLES / case["of"]).read_text()
        assert case["old"] in text, case
        verdict = refused_by(text.replace(case["old"], case["new"], 1).encode())
        if not verdict or verdict[0] != case["by"]:
            failures.append(f"{case}: {verdict}")
    if (SAMPLES / "iban-lengths.txt").read_text().splitlines() != lengths():
        failures.append("lengths of IBANs are not the registry's")
    for failure in failures:
        print(failure)
    print(f"{len(good)} files taken, {len(cases)} refused, {len(failures)} failures")
    raise SystemExit(bool(failures))


main()

"""Addresses and numbers that belong to nobody: reserved for examples and for fiction by those who give them out."""

from __future__ import annotations

import ipaddress
import re

_DOMAINS = re.compile(r"(?:^|[.@/])(?:example\.(?:com|net|org)|(?:[\w-]+\.)*(?:example|test|invalid|localhost))(?=[/:?#]|$)",
                      re.IGNORECASE)
"""RFC 2606 and RFC 6761."""

_PHONES = re.compile(
    r"1?1234567890"  # no area code begins with 1
    r"|1?[2-9]\d{2}55501\d{2}"  # North America: 555-0100 to 555-0199 (ATIS-0300115)
    r"|(?:44|0)(?:1632960\d{3}|7700900\d{3}|2079460\d{3}|8081570\d{3}|9098790\d{3}|3069990\d{3}|2896496\d{3}|2920180\d{3}"
    r"|1914980\d{3}|1(?:1[3-8]|[2-6]1)4960\d{3})"  # Ofcom
    r"|(?:61|0)(?:[2378](?:5550|7010)\d{4}|4915701(?:10|5[6-9]))"  # ACMA
    r"|(?:49|0)(?:3023125\d{3}|6990009\d{3}|4066969\d{3}|2214710\d{3}|8999998\d{3}|1522881738\d|1522889545\d|1525459937\d"
    r"|1713920\d{3}|17604069\d{3})"  # Bundesnetzagentur
    r"|(?:33|0)(?:19900|26191|35301|46571|53649|63998)\d{4}")  # Arcep
_LOCAL = re.compile(r"55501\d{2}")


def is_fictional(kind: str, value: str) -> bool:
    """Whether what the personal data check found can belong to nobody. `kind` is one of the check's own."""
    if kind == "email":
        return bool(_DOMAINS.search(value.rsplit("@", 1)[-1]))
    if kind == "link_token":
        return bool(_DOMAINS.search(re.sub(r"^\w+://(?:[^/@]*@)?", "", value).split("/")[0].split(":")[0]))
    if kind == "phone":
        digits = re.sub(r"\D", "", re.sub(r"(?:x|ext\.?|extension) ?\d+$", "", value, flags=re.IGNORECASE).replace("(0)", ""))
        digits = re.sub(r"^(?:00|011)(?=[1-9])", "", digits)
        return bool(_PHONES.fullmatch(digits) or _LOCAL.fullmatch(digits))
    if kind == "ip":
        return _is_reserved(value)
    return False


def _is_reserved(value: str) -> bool:
    try:
        return not ipaddress.ip_network(value.strip(), strict=False).is_global
    except ValueError:
        return False

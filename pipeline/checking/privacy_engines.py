"""Microsoft Presidio's recognisers, made once a process and never asked to download anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from pipeline.checking.privacy_hits import words
from pipeline.errors import PipelineError

# Forms with letters and a check stand alone; bare digits (whose check one number in ten or eleven passes), and forms that order
# numbers share, count only after the words for them. Company, licence-plate, bank-routing and prescription numbers are left
# out: they name no person by themselves, and are the noisiest.
OFFICIAL: dict[str, re.Pattern[str] | None] = {
    "ItFiscalCodeRecognizer": None,
    "DeSocialSecurityRecognizer": None,
    "UkDrivingLicenceRecognizer": None,
    "UkNinoRecognizer": None,
    "UsMbiRecognizer": words("medicare", "mbi", "beneficiary", "medicaid"),
    "NhsRecognizer": words("nhs", "national health service"),
    "AuTfnRecognizer": words("tax file number", "tfn"),
    "AuMedicareRecognizer": words("medicare"),
    "CaSinRecognizer": words("social insurance", "sin(?: number| no)", "SIN"),
    "InAadhaarRecognizer": words("aadhaa?r", "uidai"),
    "InPanRecognizer": words("permanent account number", "pan(?: card| number| no)"),
    "SgFinRecognizer": words("nric", "fin(?: number| no)?"),
    "PlPeselRecognizer": words("pesel"),
    "EsNifRecognizer": words("dni", "nif"),
    "EsNieRecognizer": words("nie"),
    "FiPersonalIdentityCodeRecognizer": words("hetu", "henkilötunnus", "personal identity code"),
    "SePersonnummerRecognizer": words("personnummer", "personal identity number"),
    "KrRrnRecognizer": words("rrn", "resident registration"),
    "ThTninRecognizer": words("thai national id", "thai id"),
    "TrNationalIdRecognizer": words("kimlik", "tckn", "turkish id"),
    "ZaIdNumberRecognizer": words("south african id", "rsa id", "id number", "identity number"),
    "NgNinRecognizer": words("nin", "national identification number", "nimc"),
    "DeTaxIdRecognizer": words("steuer-?id", "steueridentifikationsnummer", "idnr"),
    "UsItinRecognizer": words("itin", "taxpayer identification"),
}


class Engines(NamedTuple):
    """Presidio's recognisers, made once a process. `official` pairs a recogniser with the words that must stand before the
    number, or with None where the number's form is proof enough."""

    email: Any
    card: Any
    iban: Any
    ip: Any
    ssn: Any
    official: tuple[tuple[Any, re.Pattern[str] | None], ...]
    domain: Callable[[str], str]


@cache
def engines() -> Engines:
    """Load Presidio (some seconds, spaCy included); raises PipelineError when it is not installed."""
    try:
        import tldextract
        from presidio_analyzer import predefined_recognizers as presidio
    except ImportError as error:
        raise PipelineError(
            "Personal data is found with Microsoft Presidio, and presidio-analyzer is not installed.",
            "Install it with: pip install 'tunewright[checks]'",
        ) from error
    # Presidio asks tldextract's default instance, which downloads the public suffix list; this one reads the packaged copy.
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmail(presidio.EmailRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            return True

    return Engines(
        email=OfflineEmail(),
        card=presidio.CreditCardRecognizer(),
        iban=presidio.IbanRecognizer(exact_match=True),
        ip=presidio.IpRecognizer(),
        ssn=presidio.UsSsnRecognizer(),
        official=tuple((getattr(presidio, name)(), cue) for name, cue in OFFICIAL.items()),
        domain=lambda host: suffixes.extract_str(host).suffix,
    )

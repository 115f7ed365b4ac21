"""Words that decide whether something is a name or a phone number."""

from __future__ import annotations

_ORDINARY = """
will mark may april june august hope grace joy rose bill rob jack art grant chase dawn faith summer autumn iris ivy ruby pearl
amber crystal drew frank gene guy jay pat ray rich rusty skip sue ty van wade wayne max page price young long white black
brown green king cook baker bell best day field fields hall hill hunt lake lane love major marks mason miller moon noble park
parks post power reed rice rivers rush sharp short small stone street swift turner wall ward waters west wise wood woods worth
case cash church cross fox good gray grey hand house law little lord low means miles money moody new night north old order
paid poor pope read sale sales self shipment stock strong sun test true wells win winter so an do in is no on or to we he she
her his you the me my us our
"""
# First and last names that are everyday words: alone they count only where the text itself calls them a name.
ORDINARY = frozenset(_ORDINARY.split())

_NOBODY = """
there all team everyone everybody support customer customers client user sir madam ma'am folks guys friend friends service
services help helpdesk desk agent admin administrator sales billing again and or the a an this that these those it its i we
you he she they my our your please just can could would what where when why how who is are was do does did have has not no yes
ok okay so but for from with to in on at of as if thanks thank regards best kind warm sincerely cheers hi hello hey dear good
morning afternoon evening manager department company representative sirs member valued student colleague concern whom may much
very many sent be being been by order account number name email phone address date subject re fwd ticket case i'm i've i'll
it's what's let sorry great welcome monday tuesday wednesday thursday friday saturday sunday assistant office unknown na none
null test spelled spelt product item wrong under only
"""
# Words that stand where names stand (after a greeting, a title, "name:") and name nobody.
NOBODY = frozenset(_NOBODY.split())
# A word that one of these follows belongs to it: "Hi Orders team".
GROUP = frozenset({"team", "support", "service", "services", "desk", "department"})
TITLES = frozenset({"mr", "mrs", "ms", "mx", "miss", "dr", "prof"})

_PHONE = """
phone phones telephone telephones tel mobile cell cellphone call called calling calls fax contact reach reached dial dialed
dialled dialing dialling text texted sms whatsapp hotline helpline answer answered answering voicemail ring rang message
messages desk handy landline callback ph registered
"""
PHONE_WORDS = frozenset(_PHONE.split())
# "Order number", "card number": the nearest such word before digits says that they are no phone number.
_OTHER = """
order orders invoice invoices tracking ref reference ticket tickets case account acct serial sku model part parts isbn
confirmation parcel shipment policy transaction code codes zip postcode version id ids imei card iban ssn security license
licence passport booking reservation vat tax usd eur batch lot item product receipt payment date born pin build nhs member
membership subscription routing article
"""
OTHER_NUMBERS = frozenset(_OTHER.split())
WHOSE = frozenset({"my", "your", "our", "his", "her", "their", "registered", "new", "old", "this"})

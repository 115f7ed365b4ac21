"""What the people of the made-up shop Fernhill Outfitters say. Words only; `studio/sample.py` puts them together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One kind of ticket: how customers ask, what the good answer acknowledges, its three steps, and a second round."""

    tag: str
    asks: tuple[str, ...]
    acknowledges: str
    steps: tuple[str, str, str]
    follow_up: str
    follow_answer: str


TOPICS = (
    Topic(
        "delivery",
        (
            "Where is my order {order}? It should have been in {city} days ago.",
            "my {product} still hasn't arrived. order {order}",
            "Any news on {order}? Tracking hasn't moved since Monday.",
            "I ordered a {product} two weeks ago and nothing came. Order number {order}.",
            'The tracking page says "delivered" but there is no {product} here in {city}, order {order}',
        ),
        "a parcel that is late is no fun when you want to be outside",
        (
            "Open fernhill.example/track and enter {order}.",
            "If the last scan is older than three days, press Report a delay.",
            "We then send a new {product} the same day and cancel the lost one.",
        ),
        "Thanks, it says last scan was five days ago. What now?",
        "That is past our three days, so a new {product} is on its way to {city} today.",
    ),
    Topic(
        "returns",
        (
            "How do I send back a {product}?",
            "I want to return the {product} from order {order}, it doesn't fit.",
            "Can I return a {product} after 30 days? Bought it in {city}.",
            "return label for {order} please",
            "The {product} is too small. What is the return address?",
        ),
        "finding the right fit can take a second try",
        (
            "Open fernhill.example/returns and enter {order}.",
            "Print the label, or show its code at any parcel shop in {city}.",
            "Your money is back within five working days after the {product} reaches us.",
        ),
        "The label won't print, can you mail it?",
        "Of course: the label for {order} is in your inbox as a picture you can show on a phone.",
    ),
    Topic(
        "refunds",
        (
            "I returned my {product} three weeks ago and still no refund!! Order {order}.",
            "When will I get my money back for {order}?",
            "Refund for the {product} is missing {amount}.",
            "you refunded {amount} too little on order {order}",
            "Is my refund for {order} on its way? My bank sees nothing.",
        ),
        "waiting for money that is yours is tiring",
        (
            "Look at fernhill.example/refunds: it shows the day we paid {order} back.",
            "Banks in {city} take up to three working days from then.",
            "If nothing is there after that, send us the last four digits of the account and we trace it.",
        ),
        "It shows last Friday.",
        "Then {amount} should arrive by Wednesday; if it has not, answer here and we trace it the same day.",
    ),
    Topic(
        "damaged",
        (
            "My {product} arrived broken, see order {order}.",
            "The zip of the {product} ripped on day one.",
            "there's a hole in the {product} i got yesterday (order {order})",
            "Box was soaked and the {product} is ruined. {order}",
            "One buckle of my {product} snapped on the first hike near {city}.",
        ),
        "new gear must not arrive like that",
        (
            "Take one photo of the damage and one of the label.",
            "Send both at fernhill.example/damage with {order}.",
            "We ship a new {product} at once; you do not need to send the old one back.",
        ),
        "Photos are uploaded.",
        "Thank you, we saw them. A new {product} leaves for {city} tomorrow morning.",
    ),
    Topic(
        "sizing",
        (
            "Which size {product} should I get? I'm 178 cm.",
            "Does the {product} run small?",
            "size chart for the {product}?",
            "I'm between M and L for the {product}, what do you suggest?",
            "Are the {product} sizes the same as last year's?",
        ),
        "the right size decides how a day outside feels",
        (
            "Measure around the widest part of your chest and your hips.",
            "Compare with the chart below the {product} on its page.",
            "Between two sizes, take the larger: there is room for a layer, and an exchange is free.",
        ),
        "Chest 101, hips 98.",
        "Then size L of the {product} is yours; if it is not right, the exchange is free.",
    ),
    Topic(
        "warranty",
        (
            "Does the warranty cover a worn sole on my {product}?",
            "My {product} leaks after two years. Warranty?",
            "How long is the guarantee on a {product}",
            "the seam of my {product} opened, bought in {city} last spring",
            "Is {order} still under warranty?",
        ),
        "gear should last as long as the friendship with it",
        (
            "Find the five-digit batch number on the inner label.",
            "Enter it with {order} at fernhill.example/warranty.",
            "Within three years we repair the {product} for free, or replace it when it cannot be mended.",
        ),
        "The batch number is 48213.",
        "That one is covered: send the {product} in with the label we mailed, and it is back in two weeks.",
    ),
    Topic(
        "payment",
        (
            "My card was charged twice for {order}: 2 x {amount}.",
            "payment failed but money is gone, order {order}",
            "Can I pay by invoice for a {product}?",
            "Why was {amount} taken before the {product} shipped?",
            "You charged me {amount} and I never ordered anything!",
        ),
        "money questions deserve a quick and clear word",
        (
            "Look at fernhill.example/payments: each charge has a state.",
            'A charge marked "reserved" is released by itself within two days.',
            'One marked "paid" twice we send back today; answer with {order} and we do it at once.',
        ),
        "Both say paid.",
        "Then one of them, {amount}, went back to your card a minute ago.",
    ),
    Topic(
        "account",
        (
            "I can't log in any more, password reset mail never comes.",
            "How do I change my e-mail address?",
            "please delete my account",
            "Locked out after three tries. I'm in {city} without my laptop.",
            "two accounts by mistake, can you merge them? orders are in both, e.g. {order}",
        ),
        "a locked door helps nobody",
        (
            "Open fernhill.example/account and choose Help me in.",
            "Enter the address you ordered with, and look into the spam folder too.",
            "If no mail comes within ten minutes, answer with {order} and we set the address by hand.",
        ),
        "Nothing in spam either.",
        "We set your address by hand just now; the new link works for one hour.",
    ),
    Topic(
        "exchange",
        (
            "Can I swap the {product} for a bigger one? Order {order}",
            "Exchange {product} blue for green please",
            "I'd like to exchange {order} before it ships.",
            "wrong colour of {product} arrived, want the grey one",
            "How long does an exchange take to {city}?",
        ),
        "a swap should be as easy as the first order",
        (
            "Open fernhill.example/exchange and enter {order}.",
            "Choose the {product} you want instead; we set it aside for you.",
            "Hand the old one to the courier who brings the new one to {city}.",
        ),
        "Can the courier come on Saturday?",
        "Yes: Saturday between nine and noon is booked for {city}.",
    ),
    Topic(
        "stock",
        (
            "When is the {product} back in stock?",
            "Is the {product} available in your {city} shop?",
            "{product} sold out again?? when do you get more",
            "Can you reserve a {product} for me?",
            "Do you still make the old {product}?",
        ),
        "an empty shelf is a pity when the weather is right",
        (
            "Press Tell me on the page of the {product}.",
            "You get a mail the hour it is back, a day before everybody else.",
            "The shop in {city} can set one aside for two days when you answer that mail.",
        ),
        "Done. Will it be before summer?",
        "The next {product} delivery is planned for the second week of next month.",
    ),
    Topic(
        "care",
        (
            "How do I wash a {product}?",
            "Can the {product} go in the dryer?",
            "my {product} smells after the trip, what to do",
            "How to waterproof the {product} again?",
            "Which wax for the {product}?",
        ),
        "a little care gives gear a second life",
        (
            "Brush off the dirt and close every zip of the {product}.",
            "Wash it cold with soap, never with softener.",
            "Dry it in the shade, then renew the coating with our wax while it is a little damp.",
        ),
        "How often should I do that?",
        "Twice a season is enough for a {product}, and after every trip to the sea.",
    ),
    Topic(
        "repair",
        (
            "Do you repair a {product}?",
            "What does it cost to mend the {product} tent pole?",
            "broken zip on {product}, can you fix it in {city}",
            "I need my {product} repaired before {city} in two weeks!",
            "Repair status of {order}?",
        ),
        "mending beats buying, we think so too",
        (
            "Describe the damage at fernhill.example/repair, one photo is enough.",
            "You get a fixed price within a day, most repairs are below {amount}.",
            "Bring the {product} to the shop in {city} or send it in; it is back in ten days.",
        ),
        "Fixed price is fine, go ahead.",
        "It is in the workshop: your {product} comes back to {city} next Thursday.",
    ),
    Topic(
        "invoice",
        (
            "I need an invoice for {order}.",
            "VAT number is missing on the invoice of {order}",
            "Please send the receipt for my {product}",
            "invoice {order} has my old address in {city}",
            "Can I get one invoice for three orders?",
        ),
        "paperwork should take a minute, not a morning",
        (
            "Open fernhill.example/invoices and choose {order}.",
            "Correct the name, the address or the tax number there.",
            "Press Make invoice: the file is yours at once, and ours is the same.",
        ),
        "It shows the wrong tax rate.",
        "You are right; we corrected {order} and the new invoice is there already.",
    ),
    Topic(
        "subscription",
        (
            "How do I cancel the trail box?",
            "stop the monthly box please",
            "Pause my trail box for two months, I'm away in {city}.",
            "I was charged {amount} for a box I cancelled!",
            "Can I change what is in my next trail box?",
        ),
        "plans change, and a box must follow them",
        (
            "Open fernhill.example/box and choose your box.",
            "Press Pause, Change or End; it counts from the next packing day.",
            "A box that is packed already can be refused at the door, and {amount} comes back.",
        ),
        "And the one on its way?",
        "Refuse it at the door in {city}, and {amount} is back within a week.",
    ),
)

PRODUCTS = (
    "Ridge jacket",
    "Tarn tent",
    "Cairn boots",
    "Fell backpack",
    "Beck bottle",
    "Moor sleeping bag",
    "Crag headlamp",
    "Dale stove",
    "Scree poles",
    "Heath fleece",
    "Glen hammock",
    "Brook rain trousers",
)
CITIES = ("Leeds", "Bristol", "Aberdeen", "Cardiff", "Norwich", "Galway", "Exeter", "Dundee", "Durham", "Swansea")
FIRST_NAMES = (
    "Amira",
    "Ben",
    "Chloe",
    "Dev",
    "Elin",
    "Farah",
    "Gareth",
    "Hana",
    "Ivan",
    "Jo",
    "Kofi",
    "Lena",
    "Marek",
    "Nia",
    "Omar",
    "Pia",
)
LAST_NAMES = ("Ashworth", "Bello", "Carter", "Dhillon", "Evans", "Fraser", "Gallagher", "Hughes", "Iqbal", "Jones")
OPENERS = ("", "", "", "Hi, ", "Hello, ", "Hey there! ", "Good morning. ", "Dear team, ")
CLOSERS = (
    "",
    "",
    "",
    " Thanks!",
    " Thank you.",
    " Please help.",
    " 🙏",
    " Regards, {name}",
    " Cheers, {name}",
    "\n\nSent from my phone",
)
WEAK_ANSWERS = (
    "Please check our FAQ.",
    "We are looking into it.",
    "This is not our department.",
    "Done.",
    "You have to wait.",
    "As stated on the website.",
    "Try again later.",
    "Contact the carrier.",
)
SIGN_OFF = "See you outside,\nthe Fernhill team"

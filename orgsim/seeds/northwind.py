"""The rows of the practice pair: made by us from a fixed seed, flawed on purpose.

    Northwind Legacy   4,200 rows in nine objects
    Northwind New      one contact that somebody typed in already

What is wrong with the old data, so that a first migration has something to show: 23 opportunities
close before their contract begins (the new org's validation rule refuses them); Platinum customers
(the new org knows no such tier); names with stray blanks, e-mail addresses in odd case, a customer
group that nobody named in English; parents of parents, contacts that report to each other's
managers, and rows without owner or account. Every person and company is invented.
"""

# ruff: noqa: S311  (invented people, no secrets)

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from orgsim.seeds.tables import Row, Table

#: Rows of each object of the old org; 4,200 together.
COUNTS = {
    "Account": 420, "Contact": 900, "Product2": 60, "Opportunity": 600, "Case": 420, "Asset": 300,
    "Task": 500, "Invoice__c": 400, "Invoice_Line__c": 600,
}  # fmt: skip
#: Opportunities that close before their contract begins.
EARLY_CLOSES = 23
OWNERS = ("vera.holm", "tomas.brandt", "aiko.mori")

_SEED = 20_260_119
_FIRST_DAY = date(2023, 1, 2)
_CITIES = (
    ("Oslo", "Norway"), ("Bergen", "Norway"), ("Malmö", "Sweden"), ("Aarhus", "Denmark"),
    ("Tampere", "Finland"), ("Lübeck", "Germany"), ("Gdańsk", "Poland"), ("Łódź", "Poland"),
    ("Brno", "Czechia"), ("Graz", "Austria"), ("Genève", "Switzerland"), ("Bilbao", "Spain"),
    ("Porto", "Portugal"), ("Cork", "Ireland"), ("Leeds", "United Kingdom"), ("Kyoto", "Japan"),
)  # fmt: skip
_COMPANY_HEADS = (
    "Aldermoor", "Birchgate", "Calder", "Dunmore", "Eastfjord", "Fairholt", "Granholm", "Hollybank",
    "Isbre", "Juniper", "Kestrel", "Lindqvist", "Marsh & Oak", "Nordhavn", "Ostergaard", "Pemberly",
    "Quarry Lane", "Rosenvik", "Saltmarsh", "Tidewater", "Umbra", "Vestergade", "Wrenfield",
    "Yarrow",
    "Zeeland",
)  # fmt: skip
_COMPANY_TAILS = (
    "Foods", "Trading", "Provisions", "Imports", "Market", "Wholesale", "Kitchens", "Fisheries",
    "Bakery", "Cellars", "Delicatessen", "Grocers", "Catering", "Exports", "Supply", "Larder",
    "Tea",
)  # fmt: skip
_FIRST_NAMES = (
    "Ada", "Bjørn", "Chiara", "Dmitri", "Elif", "Farah", "Goran", "Hanna", "Iker", "Jana", "Kofi",
    "Leila", "Mateo", "Noor", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tove", "Uma", "Viktor",
    "Wanda", "Ximena", "Yusuf", "Zofia", "José", "Renée", "Łukasz", "Mei",
)  # fmt: skip
_LAST_NAMES = (
    "Ahlgren", "Baumann", "Castillo", "Dvořák", "Eriksen", "Fontaine", "Grimaldi", "Haraldsen",
    "Ibarra", "Jankowski", "Kowalczyk", "Lefèvre", "Moreau", "Nakamura", "O'Brien", "Petrov",
    "Quist",
    "Romero", "Sandberg", "Takahashi", "Urbański", "Virtanen", "Weiss", "Yılmaz", "Zimmermann",
    "Ng",
    "de la Cruz", "van den Berg", "Østby", "Müller",
)  # fmt: skip
_TITLES = (
    "Buyer",
    "Head of Purchasing",
    "Owner",
    "Accounts Payable",
    "Store Manager",
    "Chef",
    None,
)
_INDUSTRIES = ("Food & Beverage", "Hospitality", "Retail", "Shipping", "Agriculture", None)
_GROUPS = ("Einzelhandel", "Großhandel", "Gastronomie", "Export")
_TIERS = ("Platinum", "Gold", "Gold", "Silver", "Silver", "Bronze", "Bronze", "Bronze")
_GOODS = {
    "Beverages": ("Cold Brew", "Elderflower Cordial", "Green Tea", "Oat Drink", "Spruce Beer"),
    "Confections": ("Almond Nougat", "Cardamom Buns", "Fig Bars", "Liquorice", "Toffee"),
    "Seafood": ("Dried Cod", "Mackerel Fillet", "Pickled Herring", "Smoked Eel", "Trout Roe"),
    "Produce": ("Chanterelles", "Cloudberries", "Kale", "Purple Carrots", "Ramsons"),
}
_STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal/Price Quote", "Closed Won",
           "Closed Lost")  # fmt: skip
_CLOSED = {"Closed Won": 100, "Closed Lost": 0}
_DEALS = ("Renewal", "Season order", "Trial", "Framework")
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Other", None)
_COMPLAINTS = ("Delivery late", "Wrong quantity", "Damaged pallet", "Invoice question",
               "Quality of last batch", "Change of address")  # fmt: skip


def legacy_tables() -> Iterator[Table]:
    """Yield the rows of Northwind Legacy, parents before children; the same every time."""
    yield Table("Account", tuple(_accounts(Random(_SEED))))
    yield Table("Contact", tuple(_contacts(Random(_SEED + 1))))
    yield Table("Product2", tuple(_products()))
    yield Table("Opportunity", tuple(_opportunities(Random(_SEED + 2))))
    yield Table("Case", tuple(_cases(Random(_SEED + 3))))
    yield Table("Asset", tuple(_assets(Random(_SEED + 4))))
    yield Table("Task", tuple(_tasks(Random(_SEED + 5))))
    yield Table("Invoice__c", tuple(_invoices(Random(_SEED + 6))))
    yield Table("Invoice_Line__c", tuple(_lines(Random(_SEED + 7))))
    # She left, and what she owned is still hers.
    yield Table("User", ({"@ref": "User:aiko.mori", "IsActive": False},), update=True)


def new_tables() -> Iterator[Table]:
    """Yield the rows of Northwind New: the first contact of the old org, typed in again by hand."""
    first = next(_contacts(Random(_SEED + 1)))
    yield Table("Contact", ({
        "@ref": "Contact:typed", "FirstName": first["FirstName"], "LastName": first["LastName"],
        "Email": str(first["Email"]).lower(), "Title": "Buyer",
    },))  # fmt: skip


def _accounts(pick: Random) -> Iterator[Row]:
    names = [f"{head} {tail}" for tail in _COMPANY_TAILS for head in _COMPANY_HEADS]
    for number, name in enumerate(names[: COUNTS["Account"]]):
        city, country = pick.choice(_CITIES)
        host = name.lower().replace(" & ", "-").replace(" ", "-")
        phone = f"+{pick.randint(30, 49)} {pick.randint(100, 999)} {pick.randint(100000, 999999)}"
        # Every eighth belongs to one before it, so that parents have parents.
        parent = f"@Account:{pick.randrange(number)}" if number and number % 8 == 0 else None
        yield {
            "@ref": f"Account:{number}",
            "Name": f"  {name} " if number % 97 == 5 else name,  # people paste with blanks around
            "Phone": phone,
            "Website": f"https://{host}.example" if pick.random() < 0.8 else None,
            "Industry": pick.choice(_INDUSTRIES),
            "ParentId": parent,
            "BillingCity": city, "BillingCountry": country, "OwnerId": _owner(pick),
            "Cust_Tier__c": pick.choice(_TIERS), "Kundengruppe__c": pick.choice(_GROUPS),
        }  # fmt: skip


def _contacts(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Contact"]):
        first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
        last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
        email = f"{_ascii(first)}.{_ascii(last)}@customer.example".lower()
        yield {
            "@ref": f"Contact:{number}", "FirstName": first, "LastName": last,
            "Email": email.upper() if number % 53 == 7 else email,
            "Title": pick.choice(_TITLES),
            "AccountId": _maybe(pick, 0.97, "Account"),
            "ReportsToId": f"@Contact:{pick.randrange(number)}" if number % 6 == 5 else None,
            "OwnerId": _owner(pick),
            "Mobile_Nr__c": _mobile(pick),
            "Opt_In__c": pick.random() < 0.4,
        }  # fmt: skip


def _mobile(pick: Random) -> str | None:
    return f"+47 4{pick.randint(1000000, 9999999)}" if pick.random() < 0.7 else None


def _products() -> Iterator[Row]:
    number = 0
    for size in ("500 g", "1 kg", "Case of 12"):
        for family, goods in _GOODS.items():
            for good in goods:
                yield {
                    "@ref": f"Product2:{number}", "Name": f"{good} {size}",
                    "ProductCode": f"NW-{number + 1:03d}", "Family": family,
                    "IsActive": number % 19 != 3,
                    "Description": f"{good}, {size}.\nKeep cool." if number % 4 == 0 else None,
                }  # fmt: skip
                number += 1


def _opportunities(pick: Random) -> Iterator[Row]:
    early = set(pick.sample(range(COUNTS["Opportunity"]), EARLY_CLOSES))
    for number in range(COUNTS["Opportunity"]):
        close = _FIRST_DAY + timedelta(days=pick.randrange(1000))
        begin = (
            close + timedelta(days=pick.randint(5, 60)) if number in early else _begin(pick, close)
        )
        stage = pick.choice(_STAGES)
        yield {
            "@ref": f"Opportunity:{number}",
            "Name": f"{pick.choice(_DEALS)} {close:%Y-%m}",
            "AccountId": _some(pick, "Account"), "StageName": stage,
            "Amount": round(pick.uniform(200, 90_000), 2) if pick.random() < 0.95 else None,
            "CloseDate": close, "Contract_Begin__c": begin, "LeadSource": pick.choice(_SOURCES),
            "Probability": _CLOSED.get(stage, pick.randrange(10, 90, 10)),
            "OwnerId": _owner(pick),
        }  # fmt: skip


def _begin(pick: Random, close: date) -> date | None:
    return None if pick.random() < 0.3 else close - timedelta(days=pick.randrange(90))


def _cases(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Case"]):
        yield {
            "@ref": f"Case:{number}", "Subject": pick.choice(_COMPLAINTS),
            "Status": pick.choice(("New", "Working", "Escalated", "Closed")),
            "Priority": pick.choice(("High", "Medium", "Low")),
            "Origin": pick.choice(("Phone", "Email", "Web")),
            "AccountId": _maybe(pick, 0.9, "Account"), "ContactId": _maybe(pick, 0.8, "Contact"),
            "OwnerId": _owner(pick),
            "Description": "Called twice.\nWants a reply in writing." if number % 3 == 0 else None,
        }  # fmt: skip


def _assets(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Asset"]):
        yield {
            "@ref": f"Asset:{number}", "Name": f"Cooling unit {number + 1}",
            "AccountId": _some(pick, "Account"), "Product2Id": _maybe(pick, 0.6, "Product2"),
            "SerialNumber": f"CU{pick.randrange(16**8):08X}",
            "Status": pick.choice(("Shipped", "Installed", "Registered", "Obsolete")),
            "Price": round(pick.uniform(300, 4000), 2), "OwnerId": _owner(pick),
        }  # fmt: skip


def _tasks(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Task"]):
        what = pick.choice(("Account", "Opportunity", "Case", None))
        yield {
            "@ref": f"Task:{number}", "Subject": pick.choice(("Call", "Send Quote", "Send Letter")),
            "Status": pick.choice(("Not Started", "In Progress", "Completed")),
            "Priority": pick.choice(("High", "Normal", "Low")),
            "ActivityDate": _FIRST_DAY + timedelta(days=pick.randrange(1100)),
            "WhoId": _maybe(pick, 0.8, "Contact"), "WhatId": _some(pick, what) if what else None,
            "OwnerId": _owner(pick),
            "Description": "See the notes of last time 🐟" if number % 25 == 0 else None,
        }  # fmt: skip


def _invoices(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Invoice__c"]):
        status = pick.choice(("Draft", "Sent", "Paid", "Overdue"))
        yield {
            "@ref": f"Invoice__c:{number}", "Account__c": _some(pick, "Account"),
            "Invoice_Date__c": _FIRST_DAY + timedelta(days=pick.randrange(1000)),
            "Inv_Total__c": round(pick.uniform(50, 20_000), 2), "Status__c": status,
            "Paid__c": status == "Paid", "OwnerId": _owner(pick),
        }  # fmt: skip


def _lines(pick: Random) -> Iterator[Row]:
    for number in range(COUNTS["Invoice_Line__c"]):
        yield {
            "@ref": f"Invoice_Line__c:{number}", "Invoice__c": _some(pick, "Invoice__c"),
            "Product__c": _some(pick, "Product2"), "Quantity__c": pick.randint(1, 48),
            "Unit_Price__c": round(pick.uniform(2, 240), 2),
        }  # fmt: skip


def _some(pick: Random, sobject: str) -> str:
    return f"@{sobject}:{pick.randrange(COUNTS[sobject])}"


def _maybe(pick: Random, share: float, sobject: str) -> str | None:
    return _some(pick, sobject) if pick.random() < share else None


def _owner(pick: Random) -> str:
    return f"@User:{pick.choice(OWNERS)}"


def _ascii(name: str) -> str:
    """Return a name as it stands in an e-mail address."""
    table = str.maketrans({"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ü": "u", "é": "e", "è": "e",
                           "ř": "r", "á": "a", "ń": "n", "ı": "i", "'": "", " ": ""})  # fmt: skip
    return name.translate(table).replace("ö", "o").replace("ä", "a")

"""Imports of other tools' files: real ones of each, what is left behind, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.domain.describe import Field, Fields, SObject
from core.domain.plan import (
    ConstantRule,
    CopyRule,
    Operation,
    ValueMapRule,
    Write,
    dump_plan,
    parse_plan,
)
from core.errors import UserError
from core.plans.importers import Imported, read_any, read_cumulusci, read_sdl, read_sfdmu
from core.plans.importers.fitting import fitted


def from_file(path: Path, **more: Any) -> Imported:
    return read_any(path.read_bytes(), file_name=str(path), source="legacy", target="new", **more)


def test_real_sfdmu_files_become_plans(fixtures_dir: Path) -> None:
    found = {
        path.parent.name: from_file(path)
        for path in sorted((fixtures_dir / "B_datasets").glob("rlm_*/export.json"))
    }

    assert {name: len(one.plan.objects) for name, one in found.items()} == {
        "rlm_q3_en-US_q3-pcm": 26,
        "rlm_q3_en-US_q3-pricing": 16,
        "rlm_qb_en-US_qb-billing": 16,
        "rlm_qb_en-US_qb-pcm": 26,
        "rlm_qb_en-US_qb-pricing": 16,
    }
    for name, one in found.items():
        assert one.tool == "SFDMU"
        assert one.plan.name == name
        assert parse_plan(dump_plan(one.plan)) == one.plan
    pcm = found["rlm_qb_en-US_qb-pcm"].plan
    junction = pcm.mapping("attributecategoryattribute")
    assert junction.key.target == ("AttributeCategory.Code", "AttributeDefinition.Code")
    assert set(junction.fields) == {"AttributeCategoryId", "AttributeDefinitionId"}
    assert not junction.auto_map
    assert any("is excluded" in note.sentence for note in found["rlm_qb_en-US_qb-pcm"].notes)


def test_real_cumulusci_files_become_plans(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "B_datasets"
    paths = [
        *sorted(folder.glob("*/mapping.yml")),
        *sorted((folder / "cumulusci_samples/select").glob("*mapping*.yml")),
        *sorted((folder / "cumulusci_samples/upsert").glob("upsert_*.yml")),
    ]

    found = {
        path.name if path.name != "mapping.yml" else path.parent.name: from_file(path)
        for path in paths
    }

    assert len(found) >= 15
    assert all(one.tool == "CumulusCI" for one in found.values())
    assert all(parse_plan(dump_plan(one.plan)) == one.plan for one in found.values())
    npsp = found["npsp_1k"].plan
    assert len(npsp.objects) == 13
    assert npsp.mapping("contact").operation is Operation.INSERT
    assert npsp.mapping("contact").key.is_ledger
    upsert = found["upsert_mapping_bulk_complex.yml"].plan.objects[0]
    assert upsert.key.target == ("FirstName", "LastName")
    assert upsert.operation is Operation.UPSERT
    select = found["similarity_select_insert_mapping.yml"]
    event = next(o for o in select.plan.objects if o.source == "Event")
    assert event.operation is Operation.PRESERVE
    assert set(event.lookups["WhoId"].through) == {"contact", "lead"}
    assert any("likeness" in note.sentence for note in select.notes)


def test_real_data_loader_files_become_plans(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "D_mapping_ground_truth/dataloader_sdl"

    found = {}
    refused = {}
    for path in sorted(folder.glob("*.sdl")):
        try:
            found[path.stem] = from_file(path, sobject="Account")
        except UserError as error:
            refused[path.stem] = str(error)

    assert len(found) + len(refused) == 38
    assert set(refused) <= {"deleteAccountCsvMap"}, refused
    clash = found["fieldAndConstantFieldClashMap"]
    fields = clash.plan.objects[0].fields
    assert fields["NumberOfEmployees"] == CopyRule(source="NumEmployees")
    assert fields["BillingState"] == ConstantRule(constant="California")
    assert fields["ShippingState"] == ConstantRule(constant="California")
    assert any("mapped twice" in note.sentence for note in clash.notes)


def test_sdl_names_its_object_by_file_or_by_word() -> None:
    text = 'Name=Name\n"a=b"=Description\nAcc\\ Ext=Account\\:Oracle_Id__c\nX=Parent:Code__c\n'

    one = read_sdl(text, source="a", target="b", name="upsertContacts")

    (mapping,) = one.plan.objects
    assert mapping.source == "Contact"
    assert mapping.fields["Description"] == ConstantRule(constant="a=b")
    assert mapping.lookups["ParentId"].match is not None
    assert mapping.lookups["ParentId"].source == "X"
    assert [note.place for note in one.notes][:2] == ["line 3", "line 4"]
    with pytest.raises(UserError, match="does not name its object"):
        read_sdl(text, source="a", target="b", name="mymap")


def sfdmu(
    *objects: dict[str, Any], values: str | None = None, fields: str | None = None, **document: Any
) -> Imported:
    text = json.dumps({"objects": list(objects), **document})
    return read_sfdmu(text, source="a", target="b", name="p", values=values, fields=fields)


def test_sfdmu_features_are_carried_over_or_said() -> None:
    one = sfdmu(
        {
            "query": "SELECT Id, all, Email, Type, OwnerId$User FROM Contact "
            "WHERE Name != 'x' LIMIT 5",
            "operation": "Upsert",
            "externalId": "Email;Account.Name",
            "excludedFields": ["Fax"],
            "excludedFromUpdateFields": ["Type"],
            "updateWithMockData": True,
            "mockFields": [{"name": "Email", "pattern": "c_email()"}],
            "fieldMapping": [
                {"targetObject": "Lead"},
                {"sourceField": "Type", "targetField": "Kind__c"},
            ],
            "deleteOldData": True,
            "somethingNew": 1,
        },
        {"query": "SELECT Name FROM Contact", "operation": "Readonly"},
        orgs=[{"name": "x", "accessToken": "secret"}],
        values="ObjectName,FieldName,RawValue,Value\nContact,Name,old,new\n",
    )

    lead, contact = one.plan.objects
    assert (lead.source, lead.target, lead.name) == ("Contact", "Lead", "lead")
    assert lead.key.target == ("Email", "Account.Name")
    assert lead.auto_map
    assert lead.skip == ("Fax",)
    assert lead.fields["Kind__c"] == CopyRule(source="Type", write=Write.INSERT_ONLY)
    assert lead.lookups["OwnerId"].object == "User"
    assert lead.where == "Name != 'x'"
    assert isinstance(contact.fields["Name"], ValueMapRule)
    assert contact.operation is Operation.PRESERVE
    places = {note.place for note in one.notes}
    assert places >= {
        "orgs",
        "objects[0].query",
        "objects[0].mockFields[0]",
        "objects[0].deleteOldData",
        "objects[0].somethingNew",
        "objects[1].externalId",
    }
    assert "secret" not in dump_plan(one.plan) + str(one.notes)


def test_sfdmu_renames_by_the_file_beside_it_and_leaves_existing_rows() -> None:
    one = sfdmu(
        {
            "query": "SELECT Id, Name, ParentId, ExternalID__c FROM Account",
            "operation": "Upsert",
            "externalId": "ExternalID__c",
            "useFieldMapping": True,
            "skipExistingRecords": True,
            "restApiBatchSize": 50,
        },
        {"query": "SELECT Name FROM Contact", "operation": "Insert", "useFieldMapping": True},
        fields="\ufeffObjectName,FieldName,Target\nAccount,,Thing__c\n"
        "Account,ParentId,Parent__c\nAccount,ExternalID__c,Code__c\n",
    )

    thing, contact = one.plan.objects
    assert (thing.source, thing.target, thing.operation) == ("Account", "Thing__c", "insert")
    assert (thing.key.source, thing.key.target) == (("ExternalID__c",), ("Code__c",))
    assert set(thing.fields) == {"Name", "Parent__c", "Code__c"}
    assert contact.target == "Contact"
    places = {note.place for note in one.notes}
    assert places >= {
        "objects[0].skipExistingRecords",
        "objects[0].restApiBatchSize",
        "objects[1].useFieldMapping",
    }


@pytest.mark.parametrize(
    ("field", "left_out"),
    [("Missing__c", "has no field Missing__c"), ("Total__c", "cannot be written")],
)
def test_sfdmu_fields_that_an_org_cannot_take_are_left_out_and_said(
    field: str, left_out: str
) -> None:
    one = sfdmu({"query": f"SELECT Name, {field} FROM Account", "operation": "Insert"})
    total = Field("Total__c", "double", calculated=True, createable=False, updateable=False)
    account = SObject("Account", Fields((Field("Name", "string"), total)))

    fit = fitted(one, {"account": account}, {"account": account})

    assert set(fit.plan.objects[0].fields) == {"Name"}
    assert any(left_out in note.sentence for note in fit.notes)


def test_sfdmu_objects_that_come_again_come_after_themselves() -> None:
    one = {"query": "SELECT Name FROM Account", "operation": "Update", "externalId": "Name"}

    plan = sfdmu(objectSets=[{"objects": [one]}, {"objects": [one]}]).plan

    assert [entry.name for entry in plan.objects] == ["account", "account_2"]
    assert plan.objects[1].after == ("account",)


ACCOUNT = {"query": "SELECT Name FROM Account", "operation": "Upsert", "externalId": "Name"}
BAD_SFDMU: list[tuple[str, str]] = [
    ("{", "line 1, column 2"),
    ("[]", "neither `objects` nor `objectSets`"),
    ('{"objects": {}}', "`objects` is no list"),
    ('{"objects": []}', "names no object"),
    ('{"objects": [1]}', "objects[0] is no object"),
    ('{"objects": [{"operation": "Upsert"}]}', "objects[0] has no `query`"),
    (json.dumps({"objects": [{**ACCOUNT, "operation": "DeleteSource"}]}), "objects[0].operation"),
    (
        json.dumps({"objects": [{**ACCOUNT, "query": "SELECT Name FROM Account; DELETE"}]}),
        "objects[0].query",
    ),
    (
        json.dumps({"objects": [{**ACCOUNT, "query": "SELECT Name FROM A WHERE x = 1 FOR VIEW"}]}),
        "objects[0].query",
    ),
    (json.dumps({"objects": [{**ACCOUNT, "externalId": "Na me"}]}), "objects[0].key"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_SFDMU)
def test_bad_sfdmu_files_are_refused_by_place(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_sfdmu(text, source="a", target="b", name="p")

    assert sentence in str(caught.value)


BAD_CUMULUSCI: list[tuple[str, str]] = [
    ("", "it holds no steps"),
    ("- a\n- b", "it holds no steps"),
    ("Account: 3", "'Account' is no step"),
    ("version: 1\nextract: {}", "declares an extract"),
    ("A: {sf_object: A, fields: [Name], action: frob}", "A.action: 'frob'"),
    ("A: {sf_object: A, fields: Name}", "A.fields is neither"),
    ("A: {sf_object: A, fields: [Name], soql_filter: 'Name = 1 LIMIT 2'}", "A.soql_filter"),
    ("A: {sf_object: 'A; B', fields: [Name]}", "objects[0].source"),
    ("A: {sf_object: A, fields: [Name], batch_size: many}", "objects[0].load.batch"),
    ("A: &x {sf_object: A, fields: [Name]}\nB: *x", "aliases"),
]


@pytest.mark.parametrize(("text", "sentence"), BAD_CUMULUSCI)
def test_bad_cumulusci_files_are_refused_by_place(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_cumulusci(text, source="a", target="b", name="p")

    assert sentence in str(caught.value)


def test_cumulusci_features_are_carried_over_or_said() -> None:
    one = read_cumulusci(
        "A:\n  sf_object: '%%%NAMESPACE%%%Thing__c'\n  table: things\n  fields: {Name: name}\n"
        "  static: {Active__c: true}\n  record_type: Big\n  soql_filter: Name != null\n"
        "  api: rest\n  bulk_mode: Serial\n  batch_size: 50\n  filters: ['x = 1']\n"
        "B:\n  sf_object: Other__c\n  fields: [Name]\n"
        "  lookups: {Thing__c: {table: things, after: A}, Lost__c: {table: nowhere}}\n",
        source="a",
        target="b",
        name="p",
    )

    thing, other = one.plan.objects
    assert thing.source == "Thing__c"
    assert thing.fields["Active__c"] == ConstantRule(constant="true")
    assert thing.where == "(Name != null) AND RecordType.DeveloperName = 'Big'"
    assert (thing.load.batch, thing.load.serial, thing.load.api) == (50, True, "collections")
    assert set(other.lookups) == {"Thing__c", "Lost__c"}
    assert {note.place for note in one.notes} >= {"A", "A.filters", "B.lookups.Lost__c"}


def test_our_own_files_take_other_orgs_and_unknown_files_are_refused() -> None:
    text = b"orgbridge: 1\nname: p\nsource: a\ntarget: b\nobjects: [{source: Account}]\n"

    assert read_any(text, file_name="x.yaml").plan.source == "a"
    assert read_any(text, file_name="x.yaml", source="q").plan.source == "q"
    with pytest.raises(UserError, match="none of the kinds"):
        read_any(b"hello", file_name="x.txt")
    with pytest.raises(UserError, match="no text in UTF-8"):
        read_any(b"\xff\xfe\x00", file_name="x.yaml")
    with pytest.raises(UserError, match="does not say between which orgs"):
        read_any(b'{"objects": []}', file_name="export.json")


def test_recipes_are_no_plans(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "B_datasets/snowfakery_examples"

    for path in sorted(folder.glob("*.yml"))[:20]:
        with pytest.raises(UserError):
            from_file(path)

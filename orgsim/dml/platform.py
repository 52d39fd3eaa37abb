"""What Salesforce does to particular standard objects beside the general rules.

Each entry of ``orgsim/dml/standard`` offers functions over staged rows; here is only which object
calls which.
"""

from __future__ import annotations

from collections.abc import Callable

from orgsim.dml.staging import Staged
from orgsim.dml.standard import (
    activities,
    campaigns,
    contacts,
    files,
    hierarchies,
    leads,
    opportunities,
    orders,
    permissions,
    persons,
    prices,
    quotes,
)
from orgsim.schema.model import SObject

Step = Callable[[Staged], None]

_BEFORE: dict[str, list[Step]] = {
    "Account": [persons.before, hierarchies.check],
    "Contact": [contacts.before],
    "Campaign": [hierarchies.check],
    "CampaignMember": [campaigns.settle_member],
    "ContentVersion": [files.before_version],
    "Contract": [orders.check_first_status],
    "Event": [activities.check_event, activities.check_who_and_what],
    "FieldPermissions": [permissions.check_field_permissions],
    "Lead": [leads.check_converted],
    "ObjectPermissions": [permissions.check_object_permissions],
    "Opportunity": [opportunities.guard_lines],
    "OpportunityLineItem": [opportunities.settle_lines],
    "Order": [orders.check_first_status],
    "OrderItem": [orders.settle_items],
    "PermissionSetAssignment": [permissions.check_assignments],
    "PricebookEntry": [prices.settle_entries],
    "Quote": [quotes.settle],
    "QuoteLineItem": [quotes.settle_lines],
    "Task": [activities.check_who_and_what],
}

_AFTER: dict[str, list[Step]] = {
    "Account": [persons.after],
    "Campaign": [campaigns.add_statuses],
    "CampaignMember": [campaigns.count_members],
    "Contact": [contacts.after],
    "ContentVersion": [files.after_version],
    "EmailMessage": [activities.log_mail],
    "FieldPermissions": [permissions.drop_unreadable],
    "Opportunity": [opportunities.add_contact_role],
    "OpportunityLineItem": [opportunities.total_up],
    "OrderItem": [orders.total_up],
    "QuoteLineItem": [quotes.total_up],
}


def watches(sobject: SObject) -> bool:
    """Whether rules of this room look at rows of the object."""
    return sobject.name in _BEFORE or sobject.name in _AFTER


def before(staged: Staged) -> None:
    """Rules before the checks, in order; rows refused by one are not shown to the next."""
    for step in _BEFORE.get(staged.sobject.name, ()):
        staged.drop_refused()
        if len(staged.frame):
            step(staged)


def after(staged: Staged) -> None:
    """Rows and totals the platform makes once the rows are stored."""
    for step in _AFTER.get(staged.sobject.name, ()):
        step(staged)

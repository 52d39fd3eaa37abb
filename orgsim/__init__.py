"""A practice org: a simulated Salesforce org in its own process, reached over HTTP only."""

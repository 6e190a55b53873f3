"""Who pays for calls: limits, quotas, budgets, and the ledger that they are counted in.

A tenant is whoever `gateway.identity` proved to be calling. Nothing here is made, and no
file is opened, unless tenants are configured.
"""

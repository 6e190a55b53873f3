"""The tables of the ledger's file, and every statement that reads or writes them.

An account is a day, a tenant, a backend and labels; an amount is calls, search units in
thousandths, tokens, money in billionths, and calls without a price.
"""

VERSION = 1
"""Of the tables."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS spent (
    day TEXT, tenant TEXT, backend TEXT, labels TEXT,
    calls INTEGER, search_units INTEGER, tokens INTEGER, cost INTEGER, unpriced INTEGER,
    estimated INTEGER,
    saved_calls INTEGER, saved_search_units INTEGER, saved_tokens INTEGER,
    saved_cost INTEGER, saved_unpriced INTEGER,
    PRIMARY KEY (day, tenant, backend, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reserved (
    id TEXT PRIMARY KEY, owner TEXT,
    day TEXT, tenant TEXT, backend TEXT, labels TEXT,
    calls INTEGER, search_units INTEGER, tokens INTEGER, cost INTEGER, unpriced INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS reserved_by_account ON reserved (day, tenant);
"""

USED_OF_BACKEND = """
SELECT COALESCE(SUM(calls), 0), COALESCE(SUM(search_units), 0), COALESCE(SUM(tokens), 0),
    COALESCE(SUM(cost), 0), COALESCE(SUM(unpriced), 0)
FROM (
    SELECT calls, search_units, tokens, cost, unpriced FROM spent
    WHERE day = :day AND tenant = :tenant AND backend = :backend
    UNION ALL
    SELECT calls, search_units, tokens, cost, unpriced FROM reserved
    WHERE day = :day AND tenant = :tenant AND backend = :backend
)
"""

COST_OF_ALL = """
SELECT COALESCE(SUM(cost), 0) FROM (
    SELECT cost FROM spent WHERE day = :day AND tenant = :tenant
    UNION ALL
    SELECT cost FROM reserved WHERE day = :day AND tenant = :tenant
)
"""

RESERVE = "INSERT INTO reserved VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

RELEASE = "DELETE FROM reserved WHERE id = ?"

OWNERS = "SELECT DISTINCT owner FROM reserved"

RESERVED_BY = """
SELECT day, tenant, backend, labels, calls, search_units, tokens, cost, unpriced
FROM reserved WHERE owner = ?
"""

RELEASE_ALL = "DELETE FROM reserved WHERE owner = ?"

ADD = """
UPDATE spent SET
    calls = calls + ?, search_units = search_units + ?, tokens = tokens + ?,
    cost = cost + ?, unpriced = unpriced + ?, estimated = estimated + ?,
    saved_calls = saved_calls + ?, saved_search_units = saved_search_units + ?,
    saved_tokens = saved_tokens + ?, saved_cost = saved_cost + ?,
    saved_unpriced = saved_unpriced + ?
WHERE day = ? AND tenant = ? AND backend = ? AND labels = ?
"""

BEGIN = "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

LABELS = """
SELECT COUNT(DISTINCT labels), COALESCE(SUM(labels = :labels), 0) FROM spent
WHERE day = :day AND tenant = :tenant
"""

FORGET = "DELETE FROM spent WHERE day < ?"

SPENT_ON = """
SELECT day, tenant, backend, labels, calls, search_units, tokens, cost, unpriced, estimated,
    saved_calls, saved_search_units, saved_tokens, saved_cost, saved_unpriced
FROM spent WHERE day = :day AND (:tenant IS NULL OR tenant = :tenant)
"""

RESERVED_ON = """
SELECT day, tenant, backend, labels, calls, search_units, tokens, cost, unpriced
FROM reserved WHERE day = :day AND (:tenant IS NULL OR tenant = :tenant)
"""

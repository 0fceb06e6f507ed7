"""Statements: queries, and what only looks like one."""

from __future__ import annotations

import pytest

from refrain.errors import UserError
from refrain.storage.sql.statement import gives_order, only_query

ALL = ["postgresql", "mysql", "mssql", "sqlite"]


@pytest.mark.parametrize("product", ALL)
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SELECT 1", "SELECT 1"),
        ("  select 1 ;\n-- done; really\n", "  select 1 "),
        (
            "/* a; b */ WITH x AS (SELECT ';' AS a) SELECT * FROM x;",
            "/* a; b */ WITH x AS (SELECT ';' AS a) SELECT * FROM x",
        ),
        ("(SELECT 1) UNION (SELECT 'it''s; into')", "(SELECT 1) UNION (SELECT 'it''s; into')"),
        ('SELECT "drop; into" FROM t', 'SELECT "drop; into" FROM t'),
    ],
)
def test_a_query_stays_as_it_is(product, text, kept):
    assert only_query(text, product) == kept


@pytest.mark.parametrize(
    ("product", "text"),
    [
        ("postgresql", "SELECT $q$; DROP$q$, E'it\\'s; into'"),
        ("postgresql", r"SELECT 'back\', 'slash; into'"),
        ("mysql", "SELECT 'it\\'s; into', `a;into` # ; into"),
        ("mssql", "SELECT [a;into] FROM t"),
    ],
)
def test_each_product_has_its_own_texts_and_names(product, text):
    assert only_query(text, product) == text


@pytest.mark.parametrize("product", ALL)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DELETE FROM t", "'DELETE FROM t' is no query: it begins with none of SELECT, WITH, VALUES, TABLE"),
        ("-- SELECT 1", "is no query"),
        ("", "'' is no query"),
        ("SELECT 1; DROP TABLE t", "'SELECT 1; DROP TABLE t' holds several statements; give one query"),
        ("SELECT * INTO other FROM t", r"writes, with INTO; give a query that only reads"),
        ("SELECT 'x" + "y" * 100 + "' INTO t", r"'SELECT 'xyy.*…\" writes, with INTO"),
    ],
)
def test_what_does_not_only_read_is_refused(product, text, message):
    with pytest.raises(UserError, match=message.replace("'SELECT 'x", "\"SELECT 'x")):
        only_query(text, product)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SELECT a FROM t", False),
        ("SELECT a FROM t order\nby a", True),
        ("SELECT row_number() OVER (ORDER BY a) FROM t", True),  # in doubt
        ("SELECT 'order by' AS \"order\" FROM t -- ORDER BY a", False),
    ],
)
def test_an_order_is_seen(text, answer):
    assert gives_order(text, "postgresql") is answer

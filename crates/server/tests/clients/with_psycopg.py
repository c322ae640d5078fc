"""psycopg 3: parameters in text and binary, server-side cursors, COPY, pipelines, notices of failure, enumerations."""

import datetime as dt
import decimal
import enum
import sys
import uuid

import psycopg
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Jsonb

connection = psycopg.connect(sys.argv[1], autocommit=True)


def one(sql, *args, **options):
    return connection.execute(sql, args or None, **options).fetchone()[0]


connection.execute("CREATE TABLE kinds (id serial PRIMARY KEY, b bool, i int, l bigint, f float8, n numeric(10,2), "
                   "t text, d date, m time, s timestamp, z timestamptz, v interval, u uuid, j jsonb, y bytea, a int[])")
row = (True, 7, 2**40, 1.5, decimal.Decimal("12.30"), "grün", dt.date(2024, 2, 29), dt.time(1, 2, 3),
       dt.datetime(2024, 1, 2, 3, 4, 5, 678), dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc),
       dt.timedelta(days=3, hours=4, microseconds=5), uuid.UUID(int=7), Jsonb({"a": [1, None]}), b"\x00\xff", [1, 2])
names = "b, i, l, f, n, t, d, m, s, z, v, u, j, y, a"
for binary in False, True:
    marks = ", ".join(["%b" if binary else "%s"] * len(row))
    connection.execute(f"INSERT INTO kinds ({names}) VALUES ({marks})", row, binary=binary)
    cursor = connection.execute(f"SELECT {names} FROM kinds ORDER BY id DESC LIMIT 1", binary=binary)
    back = cursor.fetchone()
    assert back[:12] + back[13:] == row[:12] + row[13:], back
    assert back[12] == {"a": [1, None]}

# A server-side cursor reads in parts, and scrolls.
with connection.transaction():
    with connection.cursor("parts", scrollable=True) as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 1000) AS s(n)")
        assert cursor.fetchone() == (1,)
        assert len(cursor.fetchmany(10)) == 10
        cursor.scroll(0, mode="absolute")
        assert cursor.fetchone() == (1,)

# COPY in text and in binary.
connection.execute("CREATE TABLE copied (i int, t text, d date, n numeric)")
rows = [(1, "a\tb", dt.date(2024, 1, 1), decimal.Decimal("1.50")), (2, None, None, None)]
for form in "text", "binary":
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY copied FROM STDIN (FORMAT {form})") as copy:
            copy.set_types(["int4", "text", "date", "numeric"])
            for line in rows:
                copy.write_row(line)
        with cursor.copy(f"COPY copied TO STDOUT (FORMAT {form})") as copy:
            copy.set_types(["int4", "text", "date", "numeric"])
            assert list(copy.rows()) == rows
    connection.execute("TRUNCATE copied")

# Many statements in one trip, and a failure among them.
with connection.pipeline():
    for number in range(20):
        connection.execute("INSERT INTO copied (i) VALUES (%s)", (number,))
assert one("SELECT count(*) FROM copied") == 20
try:
    with connection.transaction():
        connection.execute("INSERT INTO copied (i) VALUES (99)")
        connection.execute("INSERT INTO kinds (id) VALUES (1)")
    raise AssertionError("a duplicate key was taken")
except psycopg.errors.UniqueViolation as error:
    assert error.diag.constraint_name == "kinds_pkey", error.diag.constraint_name
assert one("SELECT count(*) FROM copied") == 20

# Prepared on its own after a few runs; prepared by hand too.
for number in range(20):
    assert one("SELECT %s::int + 1", number) == number + 1
connection.execute("PREPARE plus (int) AS SELECT $1 + 1")
assert one("EXECUTE plus(41)") == 42
connection.execute("DEALLOCATE plus")
info = psycopg.types.TypeInfo.fetch(connection, "uuid")
assert info.oid == 2950 and info.array_oid == 2951
# An enumeration: its labels from the catalogue, values in text and in binary.
connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
connection.execute("ALTER TYPE mood ADD VALUE 'fine' AFTER 'sad'")
connection.execute("CREATE TABLE felt (m mood)")
Mood = enum.Enum("Mood", {"sad": "sad", "fine": "fine", "ok": "ok"})
info = EnumInfo.fetch(connection, "mood")
assert info.labels == ["sad", "fine", "ok"], info.labels
register_enum(info, connection, Mood, mapping={member: member.value for member in Mood})
for binary in False, True:
    mark = "%b" if binary else "%s"
    connection.execute(f"INSERT INTO felt VALUES ({mark})", (Mood.fine,))
    cursor = connection.execute(f"SELECT m FROM felt WHERE m >= {mark}", (Mood.fine,), binary=binary)
    assert cursor.fetchone() == (Mood.fine,)
connection.close()
print("psycopg", psycopg.__version__)

"""asyncpg: introspection of types, binary parameters, cursors, COPY, listeners."""

import asyncio
import datetime as dt
import decimal
import sys
import uuid

import asyncpg


async def main():
    connection = await asyncpg.connect(sys.argv[1])
    await connection.execute(
        "CREATE TABLE kinds (id int PRIMARY KEY, t text, n numeric, d date, s timestamp, z timestamptz, v interval, "
        "u uuid, a int[], j jsonb, y bytea, m time)")
    row = (1, "x", decimal.Decimal("1.25"), dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4),
           dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc), dt.timedelta(days=2, seconds=5), uuid.UUID(int=3),
           [1, 2, 3], '{"a": 1}', b"\x00", dt.time(4, 5))
    marks = ", ".join(f"${n + 1}" for n in range(len(row)))
    await connection.execute(f"INSERT INTO kinds VALUES ({marks})", *row)
    assert tuple(await connection.fetchrow("SELECT * FROM kinds")) == row
    await connection.executemany("INSERT INTO kinds (id, t) VALUES ($1, $2)", [(n, str(n)) for n in range(2, 100)])
    assert await connection.fetchval("SELECT count(*) FROM kinds WHERE id = ANY($1::int[])", [1, 2, 500]) == 2
    async with connection.transaction():
        cursor = await connection.cursor("SELECT id FROM kinds ORDER BY id")
        assert [r["id"] for r in await cursor.fetch(3)] == [1, 2, 3]
        await cursor.forward(2)
        assert (await cursor.fetchrow())["id"] == 6
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO kinds (id) VALUES (1)")
        raise AssertionError("a duplicate key was taken")
    except asyncpg.UniqueViolationError:
        pass
    statement = await connection.prepare("SELECT id, t FROM kinds WHERE id > $1")
    assert [p.name for p in statement.get_parameters()] == ["int4"]
    assert [a.type.name for a in statement.get_attributes()] == ["int4", "text"]
    await connection.copy_records_to_table("kinds", records=[(1000, "c"), (1001, None)], columns=["id", "t"])
    assert await connection.fetchval("SELECT t FROM kinds WHERE id = 1000") == "c"
    # A type that the driver doesn't know by heart is looked up.
    await connection.set_type_codec("json", encoder=str, decoder=lambda text: text, schema="pg_catalog")
    assert await connection.fetchval("SELECT '[1]'::json") == "[1]"
    assert await connection.fetchval("SELECT 'kinds'::regclass::oid") > 0
    await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    assert await connection.fetchval("SELECT $1::mood", "ok") == "ok"
    assert await connection.fetchval("SELECT $1::mood < 'ok'", "sad") is True
    heard = asyncio.Queue()
    await connection.add_listener("news", lambda *args: heard.put_nowait(args[3]))
    other = await asyncpg.connect(sys.argv[1])
    await other.execute("NOTIFY news, 'hello'")
    assert await asyncio.wait_for(heard.get(), 10) == "hello"
    await other.close()
    await connection.reset()
    async with asyncpg.create_pool(sys.argv[1], min_size=2, max_size=4) as pool:
        numbers = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(20)))
        assert numbers == list(range(20))
    await connection.close()
    print("asyncpg", asyncpg.__version__)


asyncio.run(main())

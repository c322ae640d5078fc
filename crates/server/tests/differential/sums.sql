CREATE TABLE sums (id int PRIMARY KEY, g int, i int, b bigint, n numeric(10,2), f float8, r real, v interval)
INSERT INTO sums SELECT x, x % 3, x, x * 1000000000000, x / 4.0, x / 3.0, x / 7.0, x * interval '1 hour' FROM generate_series(1, 10) x
SELECT sum(x), avg(x), max(x) FROM (VALUES ('infinity'::float8), (1), (2)) v(x)
SELECT sum(x), avg(x) FROM (VALUES ('-infinity'::float8), (1), (2)) v(x)
SELECT sum(x) FROM (VALUES ('infinity'::float4), (1), (2)) v(x)
SELECT sum(x) FROM (VALUES (1e308::float8), (1e308)) v(x)
SELECT avg(x) FROM (VALUES (1e308::float8), (1e308)) v(x)
SELECT sum(x) FROM (VALUES (3e38::float4), (3e38)) v(x)
SELECT sum(x), avg(x) FROM (VALUES (0.1::float8), (0.2), (0.3), (0.1), (0.1), (0.1), (0.1)) v(x)
SELECT sum(f), avg(f), sum(r), avg(r) FROM sums
SELECT sum(f), avg(f), sum(r), avg(r) FROM sums WHERE id > 100
SELECT sum(DISTINCT f), avg(DISTINCT g::float8), sum(f) FILTER (WHERE id > 5) FROM sums
SELECT g, sum(f), stddev(f), variance(f) FROM sums GROUP BY g ORDER BY g
SELECT id, sum(b) OVER (ORDER BY id), avg(i) OVER (ORDER BY id), sum(n) OVER (PARTITION BY g ORDER BY id) FROM sums ORDER BY id
SELECT id, sum(b) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING), avg(n) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM sums ORDER BY id
SELECT id, sum(f) OVER (ORDER BY id), count(f) OVER (ORDER BY id ROWS 2 PRECEDING), min(f) OVER (ORDER BY id ROWS 2 PRECEDING) FROM sums ORDER BY id
SELECT id, sum(id::float8) OVER (ORDER BY id ROWS 2 PRECEDING), avg(id::float8) OVER (ORDER BY id ROWS 2 PRECEDING) FROM sums ORDER BY id
SELECT id, sum(x) OVER (ORDER BY id ROWS 1 PRECEDING) FROM (VALUES (1, 1::float8), (2, 'infinity'), (3, 2), (4, 3), (5, '-infinity'), (6, NULL), (7, NULL)) v(id, x)
SELECT id, array_agg(id) OVER (ORDER BY id ROWS 1 PRECEDING), sum(v) OVER (ORDER BY id ROWS 1 PRECEDING), avg(v) OVER (PARTITION BY g) FROM sums ORDER BY id
SELECT id, variance(i) OVER (ORDER BY id ROWS 2 PRECEDING), stddev_pop(id::float8) OVER (ORDER BY id ROWS 1 PRECEDING) FROM sums ORDER BY id
SELECT g, sum(sum(b)) OVER (ORDER BY g), avg(count(*)) OVER () FROM sums GROUP BY g ORDER BY g
SELECT sum(b) FILTER (WHERE i > 5) OVER (ORDER BY id) FROM sums ORDER BY id
DROP TABLE sums

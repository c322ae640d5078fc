SELECT ok, count(*), max(price) FROM p GROUP BY ok ORDER BY ok
SELECT name FROM p GROUP BY ok
SELECT ok FROM p GROUP BY 1 HAVING count(*) > 1
SELECT DISTINCT p FROM c ORDER BY p
SELECT DISTINCT ON (p) p, n FROM c ORDER BY p, n DESC
SELECT id FROM p UNION SELECT id FROM c ORDER BY 1
SELECT id FROM p EXCEPT SELECT p FROM c ORDER BY 1
SELECT id FROM p INTERSECT ALL SELECT p FROM c
WITH x AS (SELECT n FROM c) SELECT sum(n) FROM x
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
SELECT id, row_number() OVER (ORDER BY n DESC) FROM c ORDER BY id
SELECT id, sum(n) OVER (PARTITION BY p ORDER BY id) FROM c ORDER BY id
SELECT lag(n) OVER (ORDER BY id) FROM c
SELECT name FROM p WHERE EXISTS (SELECT 1 FROM c WHERE c.p = p.id) ORDER BY 1
SELECT (SELECT max(n) FROM c WHERE c.p = p.id) FROM p ORDER BY id
SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y)
SELECT * FROM generate_series(1, 3)
SELECT generate_series(1, 3)
SELECT id FROM p ORDER BY price DESC NULLS LAST LIMIT 2 OFFSET 1
SELECT string_agg(t, ',' ORDER BY id) FROM c
SELECT count(DISTINCT t), count(*) FILTER (WHERE n > 3) FROM c
SELECT CASE WHEN n > 3 THEN 'big' ELSE 'small' END FROM c ORDER BY id
SELECT coalesce(price, 0) FROM p ORDER BY id
SELECT nullif(n, 0) FROM c ORDER BY id
SELECT sum(price) FROM p
SELECT avg(price) FROM p
SELECT bool_and(ok), bool_or(ok) FROM p
SELECT max(name), min(made) FROM p
SELECT stddev(n) FROM c
SELECT (1, 2) = (1, 2)
SELECT n BETWEEN 3 AND 5 FROM c ORDER BY id
SELECT x.* FROM p, LATERAL (SELECT n FROM c WHERE c.p = p.id) x ORDER BY 1
SELECT id FROM p FETCH FIRST 1 ROW ONLY
TABLE p
SELECT 1 AS a, 2 AS a
SELECT current_database() IS NOT NULL
SELECT p FROM p
SELECT count(*) FROM p, c
SELECT mode() WITHIN GROUP (ORDER BY n) FROM c
SELECT p, t, sum(n) FROM c GROUP BY GROUPING SETS ((p), (t), ()) ORDER BY 1, 2, 3
SELECT p, t, count(*) FROM c GROUP BY CUBE (p, t) ORDER BY 1, 2, 3
SELECT p, t, grouping(p, t) FROM c GROUP BY ROLLUP (p, t) ORDER BY 1, 2, 3
SELECT DISTINCT ON (t) t, id FROM c ORDER BY t, id DESC LIMIT 2
SELECT DISTINCT ON (n) id FROM c ORDER BY id
SELECT p.id, l.n FROM p LEFT JOIN LATERAL (SELECT n FROM c WHERE c.p = p.id ORDER BY n DESC LIMIT 1) l ON true ORDER BY 1
SELECT id FROM c WHERE (p, n) = (1, 5)
SELECT id FROM c WHERE (p, n) > (1, 5) ORDER BY id
SELECT id FROM c WHERE (p, t) IN ((1, 'a'), (2, 'a')) ORDER BY id
SELECT id FROM c WHERE (p, n) IN (SELECT p, max(n) FROM c GROUP BY p) ORDER BY id
SELECT * FROM generate_series(date '2024-01-01', date '2024-01-03', interval '1 day')
SELECT * FROM generate_series(1, 10, 0)
SELECT variance(n), stddev_pop(n), var_pop(f) FROM c, p WHERE p.id = 1
SELECT array_agg(t ORDER BY n DESC) FILTER (WHERE n > 0) FROM c
SELECT string_agg(DISTINCT t, ',') FROM c
SELECT id FROM c ORDER BY n > 3, id
SELECT count(*) FROM unnest(ARRAY[1, 2], ARRAY['a', 'b', 'c']) u(x, y)
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
SELECT 1 WHERE false UNION ALL SELECT 2
(SELECT 1 ORDER BY 1) UNION ALL (SELECT 2 LIMIT 1)
SELECT ok, grouping(ok) FROM p GROUP BY ROLLUP (ok)

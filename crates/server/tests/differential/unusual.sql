SELECT 'infinity'::float8, '-Infinity'::float4, 'inf'::float8
SELECT 'infinity'::float8 + 1, 'infinity'::float8 * -2, 1 / 'infinity'::float8
SELECT 1e308::float8 * 10
SELECT 1e-300::float8 * 1e-300::float8
SELECT 1e308::float8 + 1e308::float8
SELECT 1e-300::float8 / 1e300::float8
SELECT 3e38::float4 * 10::float4
SELECT 'infinity'::float8 = 'infinity'::float8, 'infinity'::float8 > 1e300
SELECT 'infinity'::float8::int
SELECT 'infinity'::float8::numeric(4,1)
SELECT sqrt('infinity'::float8), exp(1000::float8)
SELECT sqrt(-1::float8)
SELECT ln(0::float8)
SELECT 1::float8 / 0

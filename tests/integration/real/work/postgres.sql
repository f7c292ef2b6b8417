-- SPDX-License-Identifier: MIT
-- After pgbench -i: sums, sorts that spill, joins, JSON with an index, a long string in a function.
select count(*), sum(tbalance) = (select sum(abalance) from pgbench_accounts) from pgbench_tellers;
set work_mem = '2MB';
select md5(string_agg(a::text, ',' order by a desc)) from generate_series(1, 200000) a;
select count(*), sum(x.a * y.a % 17)
    from generate_series(1, 1000) x(a) join generate_series(1, 1000) y(a) on x.a % 100 = y.a % 100;
create table j as
    select i, jsonb_build_object('k', i, 'list', array[i, i + 1], 'text', repeat('x', i % 50)) d
    from generate_series(1, 20000) i;
select sum((d->>'k')::int), count(distinct d->'text') from j;
create index on j using gin (d);
select count(*) from j where d @> '{"k": 77}';
do $$
declare s text := '';
begin
    for i in 1..20000 loop s := s || i; end loop;
    raise notice '%', length(s);
end $$;
vacuum analyze;

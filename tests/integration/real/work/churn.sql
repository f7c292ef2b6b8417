-- SPDX-License-Identifier: MIT
-- Inserts, indices, sorting, grouping, joins.
create table t(id integer primary key, k integer, name text, body blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 120000)
insert into t select i, (i * 7919) % 10007, 'name ' || (i * 31 % 5003), zeroblob(i % 200) from n;
create index by_k on t(k); create index by_name on t(name, k);
select count(*), sum(k), max(name), sum(length(body)) from t;
select k, count(*), group_concat(name) from t where k < 20 group by k order by k desc;
delete from t where id % 3 = 0; update t set name = name || '!' where k % 5 = 0;
select name, sum(k) s from t group by name order by s desc, name limit 20;
select count(*) from t a join t b on a.k = b.k where a.id < 2000;
vacuum; pragma integrity_check;

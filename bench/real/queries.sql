-- SPDX-License-Identifier: MIT
-- PostgreSQL in single-user mode with -j: a statement ends with a semicolon and an empty line.

CREATE TABLE item AS
SELECT i AS id, 'item-' || (i::bigint * 7919 % 150007) AS name, (i::bigint * 104729 % 1000003) / 100.0 AS price
FROM generate_series(1, 150000) AS i;

CREATE INDEX item_name ON item(name);

SELECT count(*) FROM (SELECT DISTINCT name, price FROM item) AS d;

SELECT sum(length(names)) FROM (SELECT string_agg(name, ',') AS names FROM item GROUP BY id % 500) AS g;

SELECT pg_sleep(0.5);

CREATE TABLE sale AS SELECT id::bigint * 13 % 150000 AS item_id, id % 97 AS amount FROM item;

SELECT sum(amount * price) FROM sale JOIN item ON item.id = sale.item_id;

SELECT max(rank) FROM (SELECT row_number() OVER (ORDER BY name DESC, price) AS rank FROM item) AS r;

SELECT pg_sleep(0.5);

SELECT a.price, count(*) FROM item AS a JOIN item AS b USING (price) GROUP BY a.price ORDER BY 2 DESC LIMIT 3;

UPDATE item SET name = name || '-sold' WHERE id IN (SELECT item_id FROM sale WHERE amount > 60);

SELECT length(array_to_string(array_agg(name ORDER BY price), ';')) FROM item;

CREATE INDEX item_both ON item(price, name);

SELECT pg_sleep(0.5);

SELECT sum(length(name)) FROM (SELECT name FROM item ORDER BY price, name) AS s;

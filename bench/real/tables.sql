-- SPDX-License-Identifier: MIT
-- SQLite in memory: inserts, an index, sorts, joins, updates and deletes. Prints a few numbers.

CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, payload BLOB);
WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
INSERT INTO item
SELECT i, 'item-' || (i * 7919 % 150007), i * 104729 % 1000003 / 100.0, zeroblob(i * 31 % 200)
FROM n;
CREATE INDEX item_name ON item(name);
CREATE INDEX item_price ON item(price, name);
SELECT count(*), sum(length(payload)) FROM item;
SELECT sum(rank * 1.0 % 1000) FROM (SELECT row_number() OVER (ORDER BY name DESC) AS rank FROM item);
SELECT max(length(names)) FROM (SELECT group_concat(name) AS names FROM item GROUP BY id % 500);
CREATE TABLE sale AS SELECT id * 13 % 150000 AS item_id, id % 97 AS amount FROM item;
SELECT sum(amount * price) FROM sale JOIN item ON item.id = sale.item_id;
UPDATE item SET name = name || '-sold' WHERE id IN (SELECT item_id FROM sale WHERE amount > 60);
DELETE FROM item WHERE id % 3 = 0;
SELECT count(*), min(name), max(name) FROM item;
SELECT sum(length(upper(name) || hex(payload))) FROM (SELECT * FROM item ORDER BY payload, name);

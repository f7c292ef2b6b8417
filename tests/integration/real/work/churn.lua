-- SPDX-License-Identifier: MIT
-- Tables, strings, sorting, collection and coroutines.
local seed = 1
local function rnd(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n end
local t = {}
for i = 1, 200000 do t[i] = { id = rnd(1000), name = "n" .. rnd(100000) } end
table.sort(t, function(a, b) if a.id ~= b.id then return a.id < b.id end return a.name < b.name end)
local sum = 0
for i = 1, #t, 7 do sum = (sum * 31 + t[i].id + #t[i].name) % 1000003 end
for i = 1, #t, 2 do t[i] = nil end
collectgarbage()
local parts = {}
for i = 1, 100000 do parts[#parts + 1] = ("%d:%s"):format(i, ("x"):rep(i % 10)) end
local s = table.concat(parts)
local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(("y"):rep(i)) end end)
local n = 0
for i = 1, 1000 do n = n + #co() end
print(sum, #s, s:gsub("x", "zz"):len(), n)

-- SPDX-License-Identifier: MIT
-- A Lua program of tables, strings and closures: every one of them from the allocator.
-- Prints one number, the same in every run.

local seed = 12345

local function draw(bound)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % bound
end

-- Binary trees, built and dropped.
local function tree(depth)
    if depth == 0 then
        return {}
    end
    return {tree(depth - 1), tree(depth - 1)}
end

local function count(node)
    if not node[1] then
        return 1
    end
    return 1 + count(node[1]) + count(node[2])
end

-- A table of strings where old entries make room for new ones.
local function words(steps)
    local live, total = {}, 0
    for step = 1, steps do
        local key = draw(20000)
        local parts = {}
        for at = 1, draw(10) + 1 do
            parts[at] = "word" .. (key * at)
        end
        live[key] = table.concat(parts, ",")
        total = total + #live[key]
    end
    return total
end

-- Closures and short arrays.
local function closures(steps)
    local total, keep = 0, {}
    for step = 1, steps do
        local captured = step
        keep[step % 5000 + 1] = function(x) return {x, captured, x + captured} end
        local use = keep[draw(5000) + 1]
        if use then
            total = total + use(step)[3]
        end
    end
    return total
end

local sum = 0
for _ = 1, 6 do
    sum = sum + count(tree(15))
end
sum = sum + words(200000) + closures(500000)
local long_lived = tree(16)
for _ = 1, 4 do
    sum = sum + count(tree(14))
end
print(sum + count(long_lived))

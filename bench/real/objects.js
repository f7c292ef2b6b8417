// SPDX-License-Identifier: MIT
// A Node program of buffers, JSON and compressed text: requests come in waves, a cache stays.
// Prints one number, the same in every run.
'use strict';

const zlib = require('zlib');

let seed = 7;

function draw(below) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor(seed / 65536) % below;
}

function request(cache) {
    const body = Buffer.alloc(1024 + draw(32768), draw(200) + 1);
    const record = {id: draw(5000), tags: Array.from({length: draw(20)}, () => `tag${draw(500)}`)};
    const packed = zlib.deflateSync(Buffer.concat([Buffer.from(JSON.stringify(record)), body]));

    cache.set(record.id, packed);
    return [body, zlib.inflateSync(packed)];
}

function wave(cache, size) {
    const held = [];

    for (let at = 0; at < size; at++) {
        held.push(request(cache));
    }
    return held.reduce((sum, [body, copy]) => sum + body.length + copy.length, 0);
}

async function main() {
    const cache = new Map();
    let sum = 0;

    for (const size of [200, 1500, 600, 2500, 100, 1500, 800, 3000, 300, 300, 2000, 1200]) {
        sum += wave(cache, size);
        await new Promise((done) => setTimeout(done, 300));
    }
    console.log(sum + cache.size);
}

main();

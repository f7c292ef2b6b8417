// SPDX-License-Identifier: MIT
// Objects, JSON, hashing and compression in the main thread and three workers.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib');

function work(seed) {
    const h = crypto.createHash('sha256');
    let s = seed;
    const rnd = n => (s = (Math.imul(s, 1103515245) + 12345) & 0x7fffffff) % n;
    for (let i = 0; i < 40; i++) {
        const o = {};
        for (let k = 0; k < 1000; k++) {
            o['k' + rnd(5000)] = [rnd(100), 'text'.repeat(rnd(20)), { v: rnd(7) }];
        }
        h.update(JSON.stringify(Object.keys(o).sort().map(k => o[k])));
        h.update(zlib.inflateSync(zlib.deflateSync(Buffer.alloc(200000, rnd(256)))));
    }
    return h.digest('hex');
}

if (isMainThread) {
    const results = [];
    let left = 3;
    for (let i = 0; i < 3; i++) {
        new Worker(__filename, { workerData: i + 1 }).on('message', m => {
            results[i] = m;
            if (--left == 0) {
                results.push(work(9));
                console.log(results.join('\n'));
            }
        });
    }
} else {
    parentPort.postMessage(work(workerData));
}

/* SPDX-License-Identifier: MIT */
/* Containers, threads, regular expressions, exceptions through frames and across threads. */
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>
struct Error : std::runtime_error {
    std::string detail;
    Error(const std::string &w, int n) : std::runtime_error(w), detail(n, 'd')
    {
    }
};
static int
deep(int n)
{
    std::string local(n * 10, 'x');
    if (n == 0)
        throw Error("bottom", 1000);
    return deep(n - 1) + (int)local.size();
}
static std::string
work(unsigned seed)
{
    std::unordered_map<std::string, std::vector<int>> m;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345;
        m[std::to_string(seed % 3000)].push_back((int)(seed >> 16));
    }
    std::vector<std::string> keys;
    for (auto &e : m)
        keys.push_back(e.first);
    std::sort(keys.begin(), keys.end());
    long sum = 0;
    for (auto &k : keys)
        for (int v : m[k])
            sum = sum * 31 + v;
    int caught = 0;
    size_t detail = 0;
    for (int i = 0; i < 1000; i++) {
        try {
            deep(i % 40);
        } catch (const Error &e) {
            caught++;
            detail += e.detail.size();
            try {
                throw;
            } catch (const std::exception &f) {
                detail += std::string(f.what()).size();
            }
        }
    }
    std::stringstream s;
    s << sum << ' ' << caught << ' ' << detail;
    std::regex r("([0-9]+) ([0-9]+)");
    std::smatch match;
    std::string text = s.str();
    std::regex_search(text, match, r);
    s << ' ' << match[2];
    return s.str();
}
int
main()
{
    std::vector<std::string> result(4);
    std::vector<std::thread> t;
    for (unsigned i = 0; i < 4; i++)
        t.emplace_back([&, i] { result[i] = work(i + 1); });
    for (auto &x : t)
        x.join();
    for (auto &r : result)
        std::cout << r << '\n';
    std::exception_ptr p;
    std::thread([&] {
        try {
            throw Error("crosses threads", 50000);
        } catch (...) {
            p = std::current_exception();
        }
    }).join();
    try {
        std::rethrow_exception(p);
    } catch (const Error &e) {
        std::cout << e.what() << ' ' << e.detail.size() << '\n';
    }
}
